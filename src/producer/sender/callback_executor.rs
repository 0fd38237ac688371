//! Who runs callbacks: the Sender itself, or a thread of their own, so that slow ones do not keep it
//! from sending and receiving.
//!
//! Java has no counterpart. Thread: Sender hands over; `kafka-producer-callback-thread | {client.id}`
//! tells. Locks: none while callbacks run. Invariants: outcomes are told in the order in which they are
//! handed over, so in the order of sending within a partition; a batch keeps what it is charged until
//! it has been told, so that what waits here is bounded by `buffer.memory`; what is handed over is told,
//! whatever ends the Sender.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender as Channel, unbounded};

use super::ending_order::Ended;
use crate::producer::shared::Shared;

/// Where outcomes are told.
#[derive(Debug)]
pub(crate) struct CallbackExecutor(Inner);

#[derive(Debug)]
enum Inner {
    /// At once, by the Sender.
    Sender,
    /// By a thread, which ends when this is dropped and all is told.
    Thread(Channel<Ended>),
}

/// What the thread of the callbacks would do, one batch at a time, for who simulates it.
#[cfg(any(test, fuzzing))]
#[derive(Debug, Clone)]
pub(crate) struct CallbackThread {
    handed_over: Receiver<Ended>,
    shared: Arc<Shared>,
}

impl CallbackExecutor {
    /// The Sender runs them.
    pub(crate) fn of_sender() -> Self {
        Self(Inner::Sender)
    }

    /// A thread of their own runs them; `end` is dropped when it ends.
    pub(crate) fn start(
        client_id: &str,
        shared: Arc<Shared>,
        end: Channel<()>,
    ) -> io::Result<(Self, JoinHandle<()>)> {
        let (channel, handed_over) = unbounded();
        let thread = thread::Builder::new()
            .name(format!("kafka-producer-callback-thread | {client_id}"))
            .spawn(move || {
                tell_all(&handed_over, &shared);
                drop(end);
            })?;
        Ok((Self(Inner::Thread(channel)), thread))
    }

    /// The seam for simulations: nothing is told until the other side is asked to.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn simulated(shared: Arc<Shared>) -> (Self, CallbackThread) {
        let (channel, handed_over) = unbounded();
        let thread = CallbackThread {
            handed_over,
            shared,
        };
        (Self(Inner::Thread(channel)), thread)
    }

    /// Tells a batch's owners, or has them told. Without callbacks nobody's code is to be waited for.
    pub(super) fn tell(&self, ended: Ended, shared: &Shared) {
        let ended = match &self.0 {
            Inner::Thread(channel) if ended.batch.has_callbacks() => match channel.send(ended) {
                Ok(()) => return,
                // It is there as long as this is; should it not be, nothing is left hanging.
                Err(refused) => refused.into_inner(),
            },
            Inner::Thread(_) | Inner::Sender => ended,
        };
        ended.tell(shared);
    }
}

fn tell_all(handed_over: &Receiver<Ended>, shared: &Shared) {
    for ended in handed_over {
        // Callbacks have guards of their own; this is against bugs of ours.
        let told = catch_unwind(AssertUnwindSafe(|| ended.tell(shared)));
        if told.is_err() {
            log::error!("telling a batch's outcome panicked, which is a bug of this library");
        }
    }
}

#[cfg(any(test, fuzzing))]
impl CallbackThread {
    /// Whether an outcome waits to be told.
    pub(crate) fn has_work(&self) -> bool {
        !self.handed_over.is_empty()
    }

    /// Tells the next one.
    pub(crate) fn turn(&self) {
        if let Ok(ended) = self.handed_over.try_recv() {
            ended.tell(&self.shared);
        }
    }
}
