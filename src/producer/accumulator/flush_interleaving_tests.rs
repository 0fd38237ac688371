//! The count of outstanding batches: batches that begin and end while flushes wait or give up.

use super::*;
use crate::interleaving::{Model, spawn, wait_until};
use crate::sync::Parker;
use crate::sync::atomic::AtomicBool;

pub(crate) const MODELS: &[Model] = &[Model {
    name: "flush",
    property: "a flush returns when every batch begun before it has ended, not earlier and not \
               never, and nothing is left behind",
    run: flush_returns_when_every_earlier_batch_has_ended,
    preemptions: Some(3),
    percent: 100,
}];

fn flush_returns_when_every_earlier_batch_has_ended() {
    let outstanding = Arc::new(Outstanding::default());
    let ended = Arc::new(AtomicBool::new(false));
    let before = outstanding.begin();
    let ends = {
        let ended = Arc::clone(&ended);
        spawn(move || {
            ended.store(true, Ordering::Relaxed);
            drop(before);
        })
    };
    let passes = {
        let outstanding = Arc::clone(&outstanding);
        spawn(move || drop(outstanding.begin()))
    };
    let gives_up = {
        let outstanding = Arc::clone(&outstanding);
        spawn(move || {
            let mut flush = outstanding.begin_flush();
            let mine = Parker::new().waker();
            let _ = flush.poll(&mine);
            drop(flush);
            let state = outstanding.state.lock();
            let stays = |(_, _, waker): &(u64, u64, Waker)| waker.will_wake(&mine);
            assert!(!state.waiters.iter().any(stays), "it left its waker behind");
        })
    };
    let mut flush = outstanding.begin_flush();
    wait_until(|waker| flush.poll(waker));
    assert!(ended.load(Ordering::Relaxed), "it returned too early");
    assert!(outstanding.flush_in_progress());
    drop(flush);
    [ends, passes, gives_up]
        .into_iter()
        .for_each(|thread| thread.join());
    assert!(!outstanding.flush_in_progress(), "linger counts again");
    let state = outstanding.state.lock();
    assert!(state.left.is_empty() && state.waiters.is_empty());
}
