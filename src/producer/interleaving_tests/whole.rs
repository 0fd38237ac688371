//! All of it: threads that send to two partitions, under memory for three batches, against the
//! Sender.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::client::{Bench, send};
use super::closing::Outcomes;
use crate::interleaving::{Thread, spawn, wait_until};
use crate::producer::callback::DeliveryCallback;

const THREADS: usize = 3;
const EACH: usize = 3;

/// Where a record went, and what its sender was told.
type Told = Vec<(i32, i64)>;

pub(super) fn every_record_is_delivered_once_and_in_order() {
    let mut bench = Bench::new(Duration::from_secs(60), 4096);
    let threads: Vec<Thread<Told>> = (0..THREADS)
        .map(|thread| {
            let (shared, busy) = (Arc::clone(&bench.shared), bench.busy());
            spawn(move || {
                let _busy = busy;
                let outcomes = Arc::new(Outcomes::default());
                let callback: Arc<dyn DeliveryCallback> = Arc::clone(&outcomes) as _;
                // One goes wherever the sticky partition is, the others each to theirs.
                let partition = [Some(0), Some(1), None].get(thread).copied().flatten();
                let handles: Vec<_> = (0..EACH)
                    .map(|_| send(&shared, partition, (&callback, 0)).expect("it is open"))
                    .collect();
                let mut flush = shared.accumulator.begin_flush();
                wait_until(|waker| flush.poll(waker));
                let called = outcomes.acknowledged.load(Ordering::SeqCst);
                assert_eq!(called, EACH, "flush returned before a callback");
                assert!(handles.iter().all(|handle| handle.is_done()));
                let told = handles.into_iter().map(|handle| {
                    let metadata = handle.get().expect("it is acknowledged");
                    (
                        metadata.partition(),
                        metadata.offset().expect("it is known"),
                    )
                });
                told.collect()
            })
        })
        .collect();
    let closes = bench.busy();
    let sender = bench.start();
    let mut all = Told::new();
    for thread in threads {
        let told = thread.join();
        for partition in [0, 1] {
            let offsets: Vec<i64> = told
                .iter()
                .filter(|(of, _)| *of == partition)
                .map(|(_, offset)| *offset)
                .collect();
            assert!(offsets.is_sorted(), "{offsets:?}");
        }
        all.extend(told);
    }
    bench.shared.begin_close();
    drop(closes);
    sender.join();
    all.sort_unstable();
    let (zero, one): (Told, Told) = all.into_iter().partition(|(partition, _)| *partition == 0);
    for log in [zero, one] {
        for (place, (_, offset)) in (0..).zip(log) {
            assert_eq!(offset, place, "each offset once, without a gap");
        }
    }
    bench.assert_nothing_is_held();
}
