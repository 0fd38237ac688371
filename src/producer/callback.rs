//! What is called when a record's outcome is known, and the mark that a thread is inside one.
//!
//! Java's counterpart: `Callback`. Thread: Sender. Locks: none while a callback runs.

use std::fmt;
use std::sync::Arc;

use super::{DeliveryError, RecordMetadata};

/// Is told the outcome of every record sent with it; one object serves many records (D4).
///
/// Runs on the Sender thread: anything that would wait in here fails at once (D11).
pub trait DeliveryCallback: Send + Sync {
    /// Called once for each record, in the order of sending per partition, with the tag given at `send`.
    fn on_completion(&self, tag: u64, result: Result<&RecordMetadata, &DeliveryError>);
}

/// A callback for one record.
pub(crate) enum Callback {
    /// Costs no allocation: shared by many records, told apart by the tag.
    Shared(Arc<dyn DeliveryCallback>, u64),
    /// Costs one allocation, unless the closure captures nothing.
    Once(Box<dyn FnOnce(Result<&RecordMetadata, &DeliveryError>) + Send>),
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shared(..) => "Callback::Shared",
            Self::Once(_) => "Callback::Once",
        })
    }
}

/// Whether the calling thread is inside a user's callback: then nothing may wait (D11).
pub(crate) fn in_callback() -> bool {
    todo!("accumulator room: a thread-local set around callbacks")
}
