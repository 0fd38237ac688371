//! A thread of the producer, from its start until it is joined, which happens once.
//!
//! Java's counterpart: `KafkaThread` and `join`. Thread: application. Locks: its own, around the handle
//! to join. A `JoinHandle` cannot be waited for with a limit, so the thread holds the end of a channel.

use std::thread::{self, JoinHandle, ThreadId};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::sync::Mutex;

/// A thread that runs, or has run.
#[derive(Debug)]
pub(super) struct Worker {
    /// Gets nothing, and ends when the thread does.
    ended: Receiver<()>,
    thread: Mutex<Option<JoinHandle<()>>>,
    id: Option<ThreadId>,
}

impl Worker {
    /// `ended`: of a channel whose other end the thread drops as the last thing.
    pub(super) fn new(thread: JoinHandle<()>, ended: Receiver<()>) -> Self {
        Self {
            ended,
            id: Some(thread.thread().id()),
            thread: Mutex::new(Some(thread)),
        }
    }

    /// None: who simulates it says when it ends.
    pub(super) fn none() -> Self {
        Self {
            ended: crossbeam_channel::never(),
            thread: Mutex::new(None),
            id: None,
        }
    }

    pub(super) fn exists(&self) -> bool {
        self.id.is_some()
    }

    /// Whether the caller runs on it.
    pub(super) fn is_current(&self) -> bool {
        self.id == Some(thread::current().id())
    }

    /// Whether it has ended within that time; joins it if so.
    pub(super) fn ends_within(&self, timeout: Duration) -> bool {
        match self.ended.recv_timeout(timeout) {
            Err(RecvTimeoutError::Timeout) => false,
            Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                let thread = self.thread.lock().take();
                if let Some(thread) = thread {
                    // It has nothing left to do; a panic in it was dealt with there.
                    let _ = thread.join();
                }
                true
            }
        }
    }
}
