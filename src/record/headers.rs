//! Headers of a record: an ordered multimap (Java: `RecordHeaders`).

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

/// The headers of a record in the order in which they were added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<Header>);

impl Headers {
    /// Returns the headers in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Header] {
        &self.0
    }
}
