//! Wakers are the user's code: one may own a task, and the task something that waits in the very
//! line that the waker stands in.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use super::client::{Bench, try_send};
use crate::client::{MetadataTicket, TopicAwait};
use crate::interleaving::{owning_waker, spawn};
use crate::producer::accumulator::MemoryTicket;
use crate::producer::send_handle::SendHandle;
use crate::producer::shared::Shared;

/// How a wait that owns another one of its kind is ended.
#[derive(Debug, Clone, Copy)]
enum End {
    Replaced,
    GivenUp,
    Called,
}

/// Waits of one kind: makes one whose waker is the given one, and waits on with another one.
trait Waits: Send + Sized + 'static {
    fn begin(shared: &Arc<Shared>) -> Self;
    fn wait(&mut self, waker: &Waker);

    /// One that stands in the line, with a waker that owns another one that does. Given back if it
    /// is to stand there to the end.
    fn run(shared: &Arc<Shared>, end: End) -> Option<Box<dyn Any + Send>> {
        let mut owned = Self::begin(shared);
        owned.wait(Waker::noop());
        let mut owner = Self::begin(shared);
        owner.wait(&owning_waker(owned));
        match end {
            End::Replaced => owner.wait(Waker::noop()),
            End::GivenUp => {}
            End::Called => return Some(Box::new(owner)),
        }
        None
    }
}

struct ForMetadata(Arc<Shared>, MetadataTicket);

impl Waits for ForMetadata {
    fn begin(shared: &Arc<Shared>) -> Self {
        Self(Arc::clone(shared), MetadataTicket::default())
    }

    fn wait(&mut self, waker: &Waker) {
        let (metadata, now) = (&self.0.metadata, self.0.time.now());
        let state = metadata.await_topic("another", None, &mut self.1, waker, now);
        assert!(!matches!(state, TopicAwait::Ready(_)));
    }
}

struct ForMemory(Arc<Shared>, MemoryTicket);

impl Waits for ForMemory {
    fn begin(shared: &Arc<Shared>) -> Self {
        Self(Arc::clone(shared), MemoryTicket::default())
    }

    fn wait(&mut self, waker: &Waker) {
        drop(try_send(&self.0, Some(1), &mut None, &mut self.1, waker));
    }
}

struct ForFlush(crate::producer::accumulator::FlushTicket);

impl Waits for ForFlush {
    fn begin(shared: &Arc<Shared>) -> Self {
        Self(shared.accumulator.begin_flush())
    }

    fn wait(&mut self, waker: &Waker) {
        self.0.poll(waker);
    }
}

struct ForOutcome(SendHandle);

impl Waits for ForOutcome {
    fn begin(shared: &Arc<Shared>) -> Self {
        let mut ticket = MemoryTicket::default();
        let sent = try_send(shared, Some(0), &mut None, &mut ticket, Waker::noop());
        Self(sent.flatten().expect("there is an open batch with room"))
    }

    fn wait(&mut self, waker: &Waker) {
        let polled = Pin::new(&mut self.0).poll(&mut Context::from_waker(waker));
        drop(polled);
    }
}

type Run = fn(&Arc<Shared>, End) -> Option<Box<dyn Any + Send>>;

/// A lock that is taken again by the thread that holds it is a deadlock, which the checker sees.
pub(super) fn waker_may_own_what_waits_in_the_same_line() {
    for end in [End::Replaced, End::GivenUp, End::Called] {
        // There is memory for one batch of two records, which is never sent but by the close.
        let lines: [(Run, bool); 4] = [
            (ForMetadata::run, false),
            (ForMemory::run, true),
            (ForFlush::run, true),
            (ForOutcome::run, false),
        ];
        for (run, needs_a_batch) in lines {
            let mut bench = Bench::new(Duration::from_secs(60), 2048);
            let first = needs_a_batch.then(|| ForOutcome::begin(&bench.shared));
            let (shared, busy) = (Arc::clone(&bench.shared), bench.busy());
            let waiting = spawn(move || {
                let _busy = busy;
                let stays = run(&shared, end);
                shared.force_close();
                stays
            });
            let sender = bench.start();
            let stays = waiting.join();
            sender.join();
            drop((first, stays));
        }
    }
}
