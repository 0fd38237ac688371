//! What the application's threads and the Sender both see, and how far the producer's life has gone.
//!
//! Java keeps these as fields of `KafkaProducer` and `Sender` (`running`, `forceClose`, the
//! transaction manager's fatal state). Thread: any. Locks: one
//! around what failed while closing, a leaf.
//! ```text
//! running --begin_close--> closing --force_close--> forced          (never back)
//! ```
//! Invariant: nothing is accepted once it is closing; the first fatal error stays.

use std::sync::{Arc, OnceLock};

use super::accumulator::RecordAccumulator;
use super::delivery_error::FailedBatch;
use crate::client::Metadata;
use crate::error::Error;
use crate::network::Wakeup;
use crate::planted::{Plant, planted};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use crate::time::Time;

/// Both sides' view.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) time: Time,
    pub(crate) metadata: Arc<Metadata>,
    pub(crate) accumulator: Arc<RecordAccumulator>,
    pub(crate) wakeup: Wakeup,
    stage: AtomicU8,
    fatal: OnceLock<Error>,
    /// Times that a broker was found to lack what it had acknowledged.
    data_losses: AtomicU64,
    /// What failed since closing began, for `close` to give back.
    undelivered: Mutex<Vec<Arc<FailedBatch>>>,
}

/// How far the producer's life has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Running,
    /// What was accepted still goes out.
    Closing,
    /// What is left ends now.
    Forced,
}

impl Shared {
    pub(crate) fn new(
        time: Time,
        metadata: Arc<Metadata>,
        accumulator: Arc<RecordAccumulator>,
        wakeup: Wakeup,
    ) -> Arc<Self> {
        Arc::new(Self {
            time,
            metadata,
            accumulator,
            wakeup,
            stage: AtomicU8::new(RUNNING),
            fatal: OnceLock::new(),
            data_losses: AtomicU64::new(0),
            undelivered: Mutex::new(Vec::new()),
        })
    }

    /// Accepts nothing more; the Sender ends when everything accepted has its outcome.
    pub(crate) fn begin_close(&self) {
        self.advance(CLOSING);
    }

    /// Ends everything that has no outcome yet; the Sender ends at its next turn.
    pub(crate) fn force_close(&self) {
        self.advance(FORCED);
    }

    /// The accumulator is closed first, so that the Sender, once it sees the new stage, may take
    /// an empty queue for the last word.
    fn advance(&self, stage: u8) {
        self.accumulator.close();
        self.stage.fetch_max(stage, Ordering::AcqRel);
        self.metadata.close();
        self.wakeup.wake();
    }

    pub(crate) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Acquire) {
            RUNNING => Stage::Running,
            CLOSING => Stage::Closing,
            _ => Stage::Forced,
        }
    }

    /// Why nothing can be sent any more, if so: `send` fails with it.
    pub(crate) fn fatal_error(&self) -> Option<Error> {
        self.fatal.get().cloned()
    }

    /// Nothing can be sent any more; only the first reason counts.
    pub(crate) fn set_fatal(&self, error: &Error) {
        if self.fatal.set(error.clone()).is_ok() {
            log::error!("the producer cannot send any more and can only be closed: {error}");
        }
    }

    /// Times that a broker was found to lack what it had acknowledged.
    pub(crate) fn data_losses(&self) -> u64 {
        self.data_losses.load(Ordering::Relaxed)
    }

    /// Whether what fails now is to be kept for `close`. To be asked before its owners know: one who
    /// hears of a failure and then closes has been told of it already.
    pub(crate) fn keeps_failures(&self) -> bool {
        self.stage() != Stage::Running
    }

    /// A batch ended badly while closing, and its owners know.
    pub(crate) fn keep_failed(&self, batch: Arc<FailedBatch>) {
        self.undelivered.lock().push(batch);
    }

    /// What failed since closing began; the next call gives only what failed after this one.
    pub(crate) fn take_undelivered(&self) -> Vec<Arc<FailedBatch>> {
        std::mem::take(&mut *self.undelivered.lock())
    }

    pub(crate) fn note_data_loss(&self) {
        if planted(Plant::SilentLoss) {
            return;
        }
        self.data_losses.fetch_add(1, Ordering::Relaxed);
    }
}

const RUNNING: u8 = 0;
const CLOSING: u8 = 1;
const FORCED: u8 = 2;
