//! One batch's result against all who may look at it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use crate::cluster::TopicPartition;
use crate::interleaving::{EXHAUSTIVE, Thread, spawn, wait_until};
use crate::producer::accumulator::{BatchOutcome, ProduceRequestResult};
use crate::producer::receipt::Receipt;
use crate::producer::send_handle::{RecordSizes, SendHandle};
use crate::sync::Parker;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::time::Time;

fn handle(result: &Arc<ProduceRequestResult>, index: u32) -> SendHandle {
    let sizes = RecordSizes {
        timestamp_ms: 0,
        serialized_key_size: -1,
        serialized_value_size: 40,
    };
    SendHandle::new(Arc::clone(result), index, sizes)
}

/// What a thread does with its handle; the offset it was told, if any.
type Use = fn(SendHandle, &ProduceRequestResult) -> Option<i64>;

fn blocks(handle: SendHandle, _: &ProduceRequestResult) -> Option<i64> {
    handle.get().expect("it is acknowledged").offset()
}

/// Another waker with each poll: only the last one may be relied on.
fn awaits_elsewhere(mut handle: SendHandle, _: &ProduceRequestResult) -> Option<i64> {
    let mut poll = |waker: &Waker| {
        let polled = Pin::new(&mut handle).poll(&mut Context::from_waker(waker));
        match polled {
            Poll::Ready(outcome) => outcome.expect("it is acknowledged").offset(),
            Poll::Pending => None,
        }
    };
    let first = Parker::new();
    if let Some(offset) = poll(&first.waker()) {
        return Some(offset);
    }
    let second = Parker::new();
    loop {
        if let Some(offset) = poll(&second.waker()) {
            return Some(offset);
        }
        second.park_until(&Time::default(), None);
    }
}

/// While there is no outcome, nothing of a dropped handle may be left.
fn gives_up(mut handle: SendHandle, result: &ProduceRequestResult) -> Option<i64> {
    struct Task;

    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    let task = Arc::new(Task);
    let waker = Waker::from(Arc::clone(&task));
    let polled = Pin::new(&mut handle).poll(&mut Context::from_waker(&waker));
    drop((handle, waker));
    if result.outcome(0).is_none() {
        assert_eq!(Arc::strong_count(&task), 1, "it left its waker behind");
    }
    match polled {
        Poll::Ready(outcome) => outcome.expect("it is acknowledged").offset(),
        Poll::Pending => None,
    }
}

pub(super) fn outcome_reaches_every_handle_once() {
    let topic_partition = TopicPartition {
        topic: "topic".into(),
        partition: 0,
    };
    let result = Arc::new(ProduceRequestResult::new(topic_partition));
    let called_back = Arc::new(AtomicBool::new(false));
    let uses: &[Use] = if EXHAUSTIVE {
        &[blocks, awaits_elsewhere, gives_up]
    } else {
        &[blocks, awaits_elsewhere, gives_up, blocks, awaits_elsewhere]
    };
    let threads: Vec<Thread<Option<i64>>> = (0..)
        .zip(uses)
        .map(|(index, uses)| {
            let (handle, uses) = (handle(&result, index), *uses);
            let (called_back, result) = (Arc::clone(&called_back), Arc::clone(&result));
            spawn(move || {
                let offset = uses(handle, &result);
                let told_early = offset.is_some() && !called_back.load(Ordering::Relaxed);
                assert!(!told_early, "a handle was done before its callback");
                offset.map(|offset| offset - i64::from(index))
            })
        })
        .collect();
    let began = Time::default().now();
    let acked = |base_offset| BatchOutcome::Acked {
        base_offset,
        log_append_time_ms: -1,
        receipt: Receipt::of_new_batch(began),
    };
    called_back.store(true, Ordering::Relaxed);
    result.finish(0, acked(100));
    // Whatever is said later does not count.
    result.finish(0, acked(200));
    for thread in threads {
        assert!(thread.join().is_none_or(|base| base == 100));
    }
    assert_eq!(result.waiter_count(), 0);
    wait_until(|waker| !result.wait(0, &mut None, waker));
}

/// The batch of six records is split in the middle while they wait; the second half ends first.
pub(super) fn outcome_of_a_piece_reaches_its_handles_once() {
    let topic_partition = TopicPartition {
        topic: "topic".into(),
        partition: 0,
    };
    let result = Arc::new(ProduceRequestResult::new(topic_partition));
    let uses: &[(u32, Use)] = if EXHAUSTIVE {
        &[(1, blocks), (4, awaits_elsewhere)]
    } else {
        &[
            (0, awaits_elsewhere),
            (2, blocks),
            (3, blocks),
            (5, awaits_elsewhere),
        ]
    };
    let threads: Vec<(u32, Thread<Option<i64>>)> = uses
        .iter()
        .map(|(index, uses)| {
            let (handle, uses, result) = (handle(&result, *index), *uses, Arc::clone(&result));
            (*index, spawn(move || uses(handle, &result)))
        })
        .collect();
    let began = Time::default().now();
    let acked = |base_offset| BatchOutcome::Acked {
        base_offset,
        log_append_time_ms: -1,
        receipt: Receipt::of_new_batch(began),
    };
    result.split(0, std::iter::once(3));
    result.finish(3, acked(200));
    result.finish(0, acked(100));
    for (index, thread) in threads {
        let first = if index < 3 { 100 } else { 200 - 3 };
        assert_eq!(thread.join(), Some(first + i64::from(index)));
    }
    assert_eq!(result.waiter_count(), 0);
}
