//! Callbacks on a thread of their own, as events of the simulated clock.
//!
//! Thread: the one that simulates; the world is held, and callbacks do not touch it. Locks: the ledger's,
//! for moments.

use std::time::Duration;

use super::Applications;
use super::outcome::lock;
use crate::producer::CallbackThread;

impl Applications {
    /// Callbacks run on a thread of their own.
    pub(crate) fn set_callback_thread(&mut self, callbacks: CallbackThread) {
        *lock(&self.shared.callbacks_busy_until) = Some(Duration::ZERO);
        self.callbacks = Some(callbacks);
    }

    /// When the thread of the callbacks can run the next ones, if there are any.
    pub(crate) fn next_callbacks(&self) -> Option<Duration> {
        let waits = self
            .callbacks
            .as_ref()
            .is_some_and(CallbackThread::has_work);
        waits.then(|| lock(&self.shared.callbacks_busy_until).unwrap_or_default())
    }

    /// Runs what is due.
    pub(super) fn run_callbacks(&mut self, now: Duration) {
        while self.next_callbacks().is_some_and(|at| at <= now) {
            if let Some(callbacks) = &self.callbacks {
                callbacks.turn();
            }
        }
    }
}
