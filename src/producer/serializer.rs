//! From a key or value to bytes: [`Serializer`], the [`Output`] it writes or lends to, and what a
//! record's fields may be ([`Field`]).
//!
//! Java's counterpart: `Serializer`. Thread: application. Locks: none. Null is not a serializer's
//! business: an `Option` or [`Null`](super::Null) never reaches one. Bytes that are lent are copied
//! once, into the batch; bytes that are written go into a buffer that the thread keeps and reuses.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::sync::Arc;

use super::Null;
use crate::record::Headers;

/// Makes bytes of values of type `T`.
///
/// It runs in `send`, on the application's thread, possibly on several at once. A panic in it ends
/// in [`ErrorKind::Serialization`](crate::ErrorKind::Serialization), like an error, with the record given back.
///
/// ```
/// use std::io::Write;
/// use kafka_producer::{Output, SerializeContext, SerializeError, Serializer};
///
/// struct Celsius(f64);
/// struct AsText;
///
/// impl Serializer<Celsius> for AsText {
///     fn serialize<'a>(
///         &'a self,
///         _: &SerializeContext<'_>,
///         data: &'a Celsius,
///         out: &mut Output<'a>,
///     ) -> Result<(), SerializeError> {
///         write!(out, "{:.1}", data.0)?;
///         Ok(())
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not serialize `{T}`",
    note = "the default `BytesSerializer` takes everything that is `AsRef<[u8]>`; for other types \
            see `KafkaProducer::with_serializers`"
)]
pub trait Serializer<T: ?Sized>: Send + Sync {
    /// Writes the bytes of `data` to `out`, or lends them.
    ///
    /// # Errors
    /// Whatever makes the value impossible to serialize; `send` then fails and gives the record back.
    fn serialize<'a>(
        &'a self,
        context: &SerializeContext<'_>,
        data: &'a T,
        out: &mut Output<'a>,
    ) -> Result<(), SerializeError>;
}

/// What a serializer may know of the record besides the value.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct SerializeContext<'a> {
    /// The topic the record goes to.
    pub topic: &'a str,
    /// Whether this is the key; else it is the value.
    pub is_key: bool,
    /// The record's headers.
    pub headers: &'a Headers,
}

/// Why a value could not be serialized; made from any error by `?`.
pub struct SerializeError(Box<dyn std::error::Error + Send + Sync>);

/// Takes everything that is bytes as it is: strings, slices, vectors, `Bytes`, arrays. The bytes
/// are copied once, into the batch (Java: `ByteArraySerializer`, `StringSerializer`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct BytesSerializer;

/// Where a serializer puts its bytes: it lends what it has as bytes already, or writes.
pub struct Output<'a>(State<'a>);

enum State<'a> {
    Null,
    Lent(&'a [u8]),
    Written(Vec<u8>),
}

impl<'a> Output<'a> {
    pub(super) fn null() -> Self {
        Self(State::Null)
    }

    /// Gives bytes that live as long as the value or the serializer: they are not copied here.
    #[inline]
    pub fn lend(&mut self, bytes: &'a [u8]) {
        match &mut self.0 {
            State::Null | State::Lent([]) => self.0 = State::Lent(bytes),
            State::Lent(_) | State::Written(_) => self.buffer().extend_from_slice(bytes),
        }
    }

    /// The bytes written so far, to append to.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        if !matches!(self.0, State::Written(_)) {
            let mut buffer = take_buffer();
            if let State::Lent(bytes) = self.0 {
                buffer.extend_from_slice(bytes);
            }
            self.0 = State::Written(buffer);
        }
        match &mut self.0 {
            State::Written(buffer) => buffer,
            State::Null | State::Lent(_) => unreachable!("it was made a buffer above"),
        }
    }

    /// Nothing so far, but not null.
    #[inline]
    fn begin(&mut self) {
        self.0 = State::Lent(&[]);
    }

    #[inline]
    pub(super) fn as_bytes(&self) -> Option<&[u8]> {
        match &self.0 {
            State::Null => None,
            State::Lent(bytes) => Some(bytes),
            State::Written(buffer) => Some(buffer),
        }
    }

    /// The same bytes, nothing lent any more.
    pub(super) fn into_owned(mut self) -> Output<'static> {
        Output(match std::mem::replace(&mut self.0, State::Null) {
            State::Null => State::Null,
            State::Lent(bytes) => State::Written(bytes.to_vec()),
            State::Written(buffer) => State::Written(buffer),
        })
    }
}

impl io::Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The buffer goes back to its thread.
impl Drop for Output<'_> {
    #[inline]
    fn drop(&mut self) {
        if let State::Written(buffer) = &mut self.0 {
            keep_buffer(std::mem::take(buffer));
        }
    }
}

impl fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output")
            .field("bytes", &self.as_bytes().map(<[u8]>::len))
            .finish()
    }
}

thread_local! {
    static BUFFERS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A thread keeps that many buffers, for a key and a value and one more record inside.
const KEPT_BUFFERS: usize = 4;

/// Larger ones are not kept: one huge record should not hold memory for ever.
const KEPT_BYTES: usize = 1 << 20;

/// A thread that ends has no buffers any more; then they are new.
fn take_buffer() -> Vec<u8> {
    let kept = BUFFERS.try_with(|kept| kept.borrow_mut().pop());
    kept.ok().flatten().unwrap_or_default()
}

fn keep_buffer(mut buffer: Vec<u8>) {
    if buffer.capacity() > KEPT_BYTES {
        return;
    }
    buffer.clear();
    // Thread-locals that are gone already only mean that the buffer is freed.
    let _ = BUFFERS.try_with(|kept| {
        let mut kept = kept.borrow_mut();
        if kept.len() < KEPT_BUFFERS {
            kept.push(buffer);
        }
    });
}

impl<T: AsRef<[u8]> + ?Sized> Serializer<T> for BytesSerializer {
    #[inline]
    fn serialize<'a>(
        &'a self,
        _: &SerializeContext<'_>,
        data: &'a T,
        out: &mut Output<'a>,
    ) -> Result<(), SerializeError> {
        out.lend(data.as_ref());
        Ok(())
    }
}

impl<T: ?Sized, S: Serializer<T> + ?Sized> Serializer<T> for Arc<S> {
    fn serialize<'a>(
        &'a self,
        context: &SerializeContext<'_>,
        data: &'a T,
        out: &mut Output<'a>,
    ) -> Result<(), SerializeError> {
        (**self).serialize(context, data, out)
    }
}

impl<T: ?Sized, S: Serializer<T> + ?Sized> Serializer<T> for Box<S> {
    fn serialize<'a>(
        &'a self,
        context: &SerializeContext<'_>,
        data: &'a T,
        out: &mut Output<'a>,
    ) -> Result<(), SerializeError> {
        (**self).serialize(context, data, out)
    }
}

/// What a key or value may be for a serializer `S`: a value that `S` takes, an `Option` of one, or
/// [`Null`](super::Null). `How` says which; the compiler finds it.
///
/// It is there for bounds (`V: Field<S, How>`); there is never a need to implement it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a key or value that the producer's serializer `{S}` takes",
    note = "the default `BytesSerializer` takes everything that is `AsRef<[u8]>`, an `Option` of \
            it, or `Null`; for other types see `KafkaProducer::with_serializers`"
)]
pub trait Field<S: ?Sized, How> {
    #[doc(hidden)]
    fn serialize_with<'a>(
        &'a self,
        serializer: &'a S,
        context: &SerializeContext<'_>,
        out: &mut Output<'a>,
    ) -> Result<(), SerializeError>;
}

/// A [`Field`] that is a value of its serializer.
#[derive(Debug)]
#[non_exhaustive]
pub struct Direct;

/// A [`Field`] that is null.
#[derive(Debug)]
#[non_exhaustive]
pub struct Always;

/// A [`Field`] that may be null.
#[derive(Debug)]
#[non_exhaustive]
pub struct Nullable<How>(std::marker::PhantomData<How>);

impl<S: Serializer<T> + ?Sized, T> Field<S, Direct> for T {
    #[inline]
    fn serialize_with<'a>(
        &'a self,
        serializer: &'a S,
        context: &SerializeContext<'_>,
        out: &mut Output<'a>,
    ) -> Result<(), SerializeError> {
        out.begin();
        serializer.serialize(context, self, out)
    }
}

impl<S: ?Sized> Field<S, Always> for Null {
    #[inline]
    fn serialize_with<'a>(
        &'a self,
        _: &'a S,
        _: &SerializeContext<'_>,
        _: &mut Output<'a>,
    ) -> Result<(), SerializeError> {
        Ok(())
    }
}

impl<S: ?Sized, T: Field<S, How>, How> Field<S, Nullable<How>> for Option<T> {
    #[inline]
    fn serialize_with<'a>(
        &'a self,
        serializer: &'a S,
        context: &SerializeContext<'_>,
        out: &mut Output<'a>,
    ) -> Result<(), SerializeError> {
        match self {
            Some(data) => data.serialize_with(serializer, context, out),
            None => Ok(()),
        }
    }
}

impl SerializeError {
    /// Creates an error from a text.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into().into())
    }

    pub(super) fn into_source(self) -> Box<dyn std::error::Error + Send + Sync> {
        self.0
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for SerializeError {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl fmt::Display for SerializeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for SerializeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn bytes_of<T: Field<S, How>, S, How>(data: &T, serializer: &S) -> Option<Vec<u8>> {
        let headers = Headers::default();
        let context = SerializeContext {
            topic: "topic",
            is_key: false,
            headers: &headers,
        };
        let mut out = Output::null();
        data.serialize_with(serializer, &context, &mut out)
            .expect("it does");
        out.as_bytes().map(<[u8]>::to_vec)
    }

    #[test]
    fn bytes_serializer_takes_everything_that_is_bytes() {
        let expected = Some(b"abc".to_vec());
        let bytes = bytes::Bytes::from_static(b"abc");
        let boxed: Box<[u8]> = b"abc".as_slice().into();
        assert_eq!(bytes_of(&"abc", &BytesSerializer), expected);
        assert_eq!(bytes_of(&String::from("abc"), &BytesSerializer), expected);
        assert_eq!(bytes_of(&&String::from("abc"), &BytesSerializer), expected);
        assert_eq!(bytes_of(&b"abc".as_slice(), &BytesSerializer), expected);
        assert_eq!(bytes_of(b"abc", &BytesSerializer), expected);
        assert_eq!(bytes_of(&b"abc".to_vec(), &BytesSerializer), expected);
        assert_eq!(bytes_of(&bytes, &BytesSerializer), expected);
        assert_eq!(bytes_of(&boxed, &BytesSerializer), expected);
    }

    #[test]
    fn null_is_null_and_empty_is_not() {
        assert_eq!(bytes_of(&Null, &BytesSerializer), None);
        assert_eq!(bytes_of(&None::<&str>, &BytesSerializer), None);
        assert_eq!(bytes_of(&Some(None::<&str>), &BytesSerializer), None);
        assert_eq!(bytes_of(&Some(""), &BytesSerializer), Some(Vec::new()));
        assert_eq!(bytes_of(&"", &BytesSerializer), Some(Vec::new()));
    }

    #[test]
    fn lend_twice_and_write_keep_the_order() {
        let mut out = Output::null();
        out.begin();
        out.lend(b"a");
        out.lend(b"b");
        out.write_all(b"c").expect("memory takes everything");
        out.lend(b"d");
        assert_eq!(out.as_bytes(), Some(b"abcd".as_slice()));
        assert_eq!(out.into_owned().as_bytes(), Some(b"abcd".as_slice()));
    }

    #[test]
    fn buffer_is_used_again_by_the_same_thread() {
        let mut first = Output::null();
        first.buffer().reserve(1000);
        let pointer = first.buffer().as_ptr();
        drop(first);
        let mut second = Output::null();
        assert_eq!(second.buffer().as_ptr(), pointer);
        assert!(second.buffer().is_empty());
    }

    #[test]
    fn buffer_that_is_huge_is_not_kept() {
        let mut huge = Output::null();
        huge.buffer().reserve(KEPT_BYTES + 1);
        drop(huge);
        assert!(Output::null().buffer().capacity() <= KEPT_BYTES);
    }

    #[test]
    fn serializer_behind_a_pointer_is_one() {
        let shared: Arc<dyn Serializer<str>> = Arc::new(BytesSerializer);
        let boxed: Box<dyn Serializer<&'static str>> = Box::new(BytesSerializer);
        assert_eq!(bytes_of(&"a", &boxed), Some(b"a".to_vec()));
        let headers = Headers::default();
        let context = SerializeContext {
            topic: "topic",
            is_key: true,
            headers: &headers,
        };
        let mut out = Output::null();
        shared.serialize(&context, "a", &mut out).expect("it does");
        assert_eq!(out.as_bytes(), Some(b"a".as_slice()));
    }
}
