//! How the application's own code misbehaves: what is asked at the moments at which it may.
//!
//! Thread: the one that simulates. Locks: none.

use std::time::Duration;

/// What a callback does besides looking at its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallbackMood {
    Plain,
    /// Sends another record.
    Send,
    /// Takes its time.
    Sleep(Duration),
    Panic,
    /// Tries to wait for everything.
    Flush,
    /// Tries to close.
    Close,
    /// Tries to wait for a handle, and for metadata.
    Get,
}

/// Nothing misbehaves, unless a test says so.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClientFaults {
    pub(crate) moods: Vec<CallbackMood>,
    asked: std::sync::Arc<std::sync::atomic::AtomicUsize>,
}

impl ClientFaults {
    /// Of the callback that runs now.
    pub(crate) fn mood(&self, _now: Duration) -> CallbackMood {
        let asked = self
            .asked
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        match self.moods.len() {
            0 => CallbackMood::Plain,
            moods => self.moods[asked % moods],
        }
    }

    /// Whether the handle that a send has just returned is dropped, whatever it was wanted for.
    pub(crate) fn drops_handle(&self, _now: Duration) -> bool {
        false
    }

    /// Whether the serializers of the record that is made now fail.
    pub(crate) fn fails_to_serialize(&self, _now: Duration) -> bool {
        false
    }
}
