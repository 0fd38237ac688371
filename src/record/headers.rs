//! Headers of a record: an ordered multimap (Java: `Headers`, `RecordHeaders`).

use bytes::Bytes;

/// One header: a key that is never null, a value that may be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// The key; several headers may have the same.
    pub key: String,
    /// The value, or null.
    pub value: Option<Bytes>,
}

impl Header {
    /// Creates a header with a value.
    #[must_use]
    pub fn new(key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        Self {
            key: key.into(),
            value: Some(value.into()),
        }
    }

    /// Creates a header whose value is null.
    #[must_use]
    pub fn null(key: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            value: None,
        }
    }
}

/// The headers of a record, in the order in which they were added.
///
/// ```
/// use kafka_producer::{Header, Headers};
///
/// let mut headers = Headers::default();
/// headers.add("trace", "a1");
/// headers.add("trace", "b2");
/// headers.push(Header::null("seen"));
/// assert_eq!(headers.last("trace").and_then(|header| header.value.as_deref()), Some(&b"b2"[..]));
/// headers.remove("trace");
/// assert_eq!(headers.len(), 1);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<Header>);

impl Headers {
    /// Adds a header at the end.
    pub fn add(&mut self, key: impl Into<String>, value: impl Into<Bytes>) {
        self.push(Header::new(key, value));
    }

    /// Adds a header at the end.
    pub fn push(&mut self, header: Header) {
        self.0.push(header);
    }

    /// Removes every header with this key.
    pub fn remove(&mut self, key: &str) {
        self.0.retain(|header| header.key != key);
    }

    /// Returns the header with this key that was added last (Java: `lastHeader`).
    #[must_use]
    pub fn last(&self, key: &str) -> Option<&Header> {
        self.0.iter().rev().find(|header| header.key == key)
    }

    /// Returns the headers with this key in order (Java: `headers(key)`).
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Header> {
        self.0.iter().filter(move |header| header.key == key)
    }

    /// Returns all headers in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Header] {
        &self.0
    }

    /// Returns how many headers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there is no header.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Header> for Headers {
    fn from_iter<I: IntoIterator<Item = Header>>(headers: I) -> Self {
        Self(headers.into_iter().collect())
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = &'a Header;
    type IntoIter = std::slice::Iter<'a, Header>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}
