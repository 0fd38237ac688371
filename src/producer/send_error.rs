//! A record that was not accepted: why, and the record itself, with its types.
//!
//! Java has no counterpart: there the record is the caller's anyway (docs/DESIGN.md, "The shape of
//! the API"). Thread: application. Locks: none.

use std::fmt;

use super::ProducerRecord;
use crate::error::{Error, ErrorKind};

/// Why `send` did not accept a record, and the record: nothing of it was sent, no callback was or
/// will be called.
///
/// It is one pointer in size, so that the way of success stays cheap.
pub struct SendError<'t, K, V>(Box<Refused<'t, K, V>>);

struct Refused<'t, K, V> {
    error: Error,
    record: ProducerRecord<'t, K, V>,
}

impl<'t, K, V> SendError<'t, K, V> {
    #[cold]
    pub(super) fn new(error: Error, record: ProducerRecord<'t, K, V>) -> Self {
        Self(Box::new(Refused { error, record }))
    }

    /// Returns why it was not accepted.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.0.error
    }

    /// Returns the sort of failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.error.kind()
    }

    /// Returns the record that was not accepted.
    #[must_use]
    pub fn record(&self) -> &ProducerRecord<'t, K, V> {
        &self.0.record
    }

    /// Gives the record back, to send it again or to keep it.
    #[must_use]
    pub fn into_record(self) -> ProducerRecord<'t, K, V> {
        self.0.record
    }

    /// Gives only why, and drops the record: for `map_err(SendError::into_error)`.
    #[must_use]
    pub fn into_error(self) -> Error {
        self.0.error
    }

    /// Gives both.
    #[must_use]
    pub fn into_parts(self) -> (Error, ProducerRecord<'t, K, V>) {
        (self.0.error, self.0.record)
    }
}

impl<K, V> fmt::Display for SendError<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.error.fmt(f)
    }
}

impl<K, V> fmt::Debug for SendError<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError")
            .field("error", &self.0.error)
            .field("record", &self.0.record)
            .finish()
    }
}

impl<K, V> std::error::Error for SendError<'_, K, V> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn send_error_gives_the_typed_record_back() {
        let record = ProducerRecord::new("topic", vec![1_u8]).key(7_u32);
        let error = Error::new(ErrorKind::Closed, "closed");
        let refused = SendError::new(error, record.clone());
        assert_eq!(refused.kind(), ErrorKind::Closed);
        assert_eq!(refused.to_string(), "closed");
        assert_eq!(size_of_val(&refused), size_of::<usize>());
        assert_eq!(refused.into_record(), record);
    }
}
