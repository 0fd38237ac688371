//! What is called when a record's outcome is known, and the mark that a thread is inside one.
//!
//! Java's counterpart: `Callback`. Thread: Sender, or that
//! of the callbacks. Locks: none while a callback runs.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::{DeliveryError, RecordMetadata};
use crate::planted::{Plant, planted};

/// Is told the outcome of every record sent with it; one object serves many records and costs
/// none of them an allocation.
///
/// It runs on the Sender thread, so it should be quick: while it runs, nothing is sent or
/// received (unless callbacks have a thread of their own, see
/// [`ProducerConfig::callback_thread_enable`](crate::ProducerConfig::callback_thread_enable)). `send` works in here as long as it need not wait; whatever would wait fails at once
/// with [`ErrorKind::WouldDeadlock`](crate::ErrorKind::WouldDeadlock). A panic is logged and harms nothing else.
pub trait DeliveryCallback: Send + Sync {
    /// Called once for each record, with the tag given at `send`; per partition in the order of
    /// sending, so an outcome that is known early waits for those of earlier records.
    fn on_completion(&self, tag: u64, result: Result<&RecordMetadata, &DeliveryError>);
}

/// What to call for one record: a closure, or a shared [`DeliveryCallback`] with a tag.
///
/// ```
/// use std::sync::Arc;
/// use kafka_producer::{Callback, DeliveryCallback, DeliveryError, RecordMetadata};
///
/// struct Count;
/// impl DeliveryCallback for Count {
///     fn on_completion(&self, tag: u64, result: Result<&RecordMetadata, &DeliveryError>) {
///         println!("{tag}: {}", result.is_ok());
///     }
/// }
///
/// let shared: Arc<dyn DeliveryCallback> = Arc::new(Count);
/// let one = Callback::from((&shared, 7));
/// let another = Callback::once(|result| println!("{}", result.is_ok()));
/// ```
pub struct Callback<'a>(pub(crate) Kind<'a>);

pub(crate) enum Kind<'a> {
    Shared(Arc<dyn DeliveryCallback>, u64),
    /// The batch takes a reference of its own with the first record; the others only compare. A
    /// count per record would be shared with the network thread, which runs the callback.
    Lent(&'a Arc<dyn DeliveryCallback>, u64),
    Once(OnceCallback),
}

pub(crate) type OnceCallback = Box<dyn FnOnce(Result<&RecordMetadata, &DeliveryError>) + Send>;

impl Callback<'_> {
    /// Wraps a closure; costs one allocation unless it captures nothing.
    pub fn once(
        closure: impl FnOnce(Result<&RecordMetadata, &DeliveryError>) + Send + 'static,
    ) -> Self {
        Self(Kind::Once(Box::new(closure)))
    }

    /// Shares an object among many records, told apart by the tag; costs no allocation.
    #[must_use]
    pub fn shared(callback: Arc<dyn DeliveryCallback>, tag: u64) -> Self {
        Self(Kind::Shared(callback, tag))
    }
}

impl<'a> From<(&'a Arc<dyn DeliveryCallback>, u64)> for Callback<'a> {
    #[inline]
    fn from((callback, tag): (&'a Arc<dyn DeliveryCallback>, u64)) -> Self {
        Self(Kind::Lent(callback, tag))
    }
}

impl<F> From<F> for Callback<'_>
where
    F: FnOnce(Result<&RecordMetadata, &DeliveryError>) + Send + 'static,
{
    fn from(closure: F) -> Self {
        Self::once(closure)
    }
}

impl fmt::Debug for Callback<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Shared(..) | Kind::Lent(..) => "Callback::Shared",
            Kind::Once(_) => "Callback::Once",
        })
    }
}

crate::sync::thread_local! {
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
}

/// Whether the calling thread is inside a user's callback: then nothing may wait.
pub(crate) fn in_callback() -> bool {
    // KAFKA-10790: nobody asked.
    IN_CALLBACK.with(Cell::get) && !planted(Plant::R53)
}

/// Runs user code so that a panic of it harms nobody else.
pub(crate) fn run_guarded(what: &str, user_code: impl FnOnce()) {
    let before = IN_CALLBACK.with(|inside| inside.replace(true));
    let outcome = catch_unwind(AssertUnwindSafe(user_code));
    IN_CALLBACK.with(|inside| inside.set(before));
    if let Err(panic) = outcome {
        log::error!("{what} panicked: {}", panic_text(&*panic));
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
