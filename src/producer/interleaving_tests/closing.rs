//! Closing, in order and by force, against threads that send.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::client::{Bench, send};
use crate::interleaving::{EXHAUSTIVE, Thread, spawn};
use crate::producer::callback::DeliveryCallback;
use crate::producer::shared::Shared;
use crate::producer::{DeliveryError, RecordMetadata};
use crate::sync::atomic::AtomicBool;

/// Counts outcomes, and how many of them were good.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    pub(super) all: AtomicUsize,
    pub(super) acknowledged: AtomicUsize,
}

impl DeliveryCallback for Outcomes {
    fn on_completion(&self, _: u64, result: Result<&RecordMetadata, &DeliveryError>) {
        self.all.fetch_add(1, Ordering::SeqCst);
        self.acknowledged
            .fetch_add(usize::from(result.is_ok()), Ordering::SeqCst);
    }
}

pub(super) fn close_delivers_what_was_accepted() {
    let (accepted, acknowledged) = race(Shared::begin_close);
    assert_eq!(acknowledged, accepted);
}

pub(super) fn force_ends_what_was_accepted() {
    let (accepted, acknowledged) = race(Shared::force_close);
    assert!(acknowledged <= accepted);
}

/// Threads that send until they are told it is closed, one that closes, and the Sender; how many
/// records were accepted, each of which came to one end, and how many were acknowledged.
fn race(close: fn(&Shared)) -> (usize, usize) {
    let (threads, each) = if EXHAUSTIVE { (1, 1) } else { (2, 3) };
    let mut bench = Bench::new(Duration::ZERO, 4096);
    let closed = Arc::new(AtomicBool::new(false));
    let sending: Vec<Thread<(usize, usize)>> = (0..threads)
        .map(|_| {
            let (shared, busy) = (Arc::clone(&bench.shared), bench.busy());
            let closed = Arc::clone(&closed);
            spawn(move || {
                let _busy = busy;
                let outcomes = Arc::new(Outcomes::default());
                let callback: Arc<dyn DeliveryCallback> = Arc::clone(&outcomes) as _;
                let mut handles = Vec::new();
                for tag in 0..each {
                    let is_late = closed.load(Ordering::Acquire);
                    let Some(handle) = send(&shared, None, (&callback, tag)) else {
                        break;
                    };
                    assert!(!is_late, "accepted after close returned");
                    handles.push(handle);
                }
                let accepted = handles.len();
                for (before, handle) in handles.into_iter().enumerate() {
                    drop(handle.get());
                    let called = outcomes.all.load(Ordering::SeqCst);
                    assert!(called > before, "a handle was done before its callback");
                }
                assert_eq!(outcomes.all.load(Ordering::SeqCst), accepted);
                (accepted, outcomes.acknowledged.load(Ordering::SeqCst))
            })
        })
        .collect();
    let closes = {
        let (shared, busy) = (Arc::clone(&bench.shared), bench.busy());
        spawn(move || {
            let _busy = busy;
            close(&shared);
            closed.store(true, Ordering::Release);
        })
    };
    let sender = bench.start();
    closes.join();
    let ends = sending.into_iter().map(|thread| thread.join());
    let (accepted, acknowledged): (Vec<usize>, Vec<usize>) = ends.unzip();
    sender.join();
    // What failed while closing is kept, with its bytes, for `close` to give back.
    drop(bench.shared.take_undelivered());
    bench.assert_nothing_is_held();
    bench.assert_no_time_passed();
    (accepted.iter().sum(), acknowledged.iter().sum())
}
