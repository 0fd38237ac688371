//! What `close` could not deliver.
//!
//! Java has no counterpart: there the records are gone (docs/DESIGN.md, "The shape of the API").
//! Thread: application. Locks: none.

use std::fmt;
use std::sync::Arc;

use super::DeliveryError;
use super::delivery_error::FailedBatch;
use crate::error::{Error, ErrorKind};

/// The producer is closed, or could not be, and not everything was delivered.
///
/// It gives back the records that failed from the moment `close` was called, each with what is known
/// of it. It keeps their memory, which is at most `buffer.memory`, until it is dropped.
pub struct CloseError {
    error: Error,
    batches: Vec<Arc<FailedBatch>>,
}

impl CloseError {
    pub(crate) fn new(error: Error, batches: Vec<Arc<FailedBatch>>) -> Self {
        Self { error, batches }
    }

    /// Returns why: [`ErrorKind::Timeout`] if what was left was given up, [`ErrorKind::WouldDeadlock`]
    /// if the call would have had to wait for its own thread, else the first record's reason.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// Returns the sort of failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.error.kind()
    }

    /// Returns the error alone.
    #[must_use]
    pub fn into_error(self) -> Error {
        self.error
    }

    /// Returns how many records were not delivered.
    #[must_use]
    pub fn undelivered_count(&self) -> usize {
        self.batches
            .iter()
            .map(|batch| batch.record_count as usize)
            .sum()
    }

    /// Returns each record that was not delivered, in the order of sending within its partition:
    /// why, its [`persistence`](DeliveryError::persistence), and the [`record`](DeliveryError::record).
    pub fn undelivered(&self) -> impl Iterator<Item = DeliveryError> {
        self.batches.iter().flat_map(|batch| {
            (0..batch.record_count).map(|index| DeliveryError::new(Arc::clone(batch), index))
        })
    }
}

impl fmt::Display for CloseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl fmt::Debug for CloseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloseError")
            .field("error", &self.error)
            .field("undelivered", &self.undelivered_count())
            .finish()
    }
}

impl std::error::Error for CloseError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}
