//! What makes a batch go that lingers: its time, being full, a flush, somebody who waits for memory.

use std::sync::Arc;
use std::time::Duration;

use super::{Bench, LINGER, TWO};
use crate::interleaving::{EXHAUSTIVE, spawn, wait_until};

const LONG: Duration = Duration::from_secs(60);

const PLENTY: usize = 64 * 1024;

/// No batch is drained later than its linger says; the bench asserts it with every batch.
pub(super) fn batch_is_drained_when_its_linger_is_over() {
    let records = if EXHAUSTIVE { 2 } else { 6 };
    let mut bench = Bench::new(TWO, LINGER, PLENTY, records + 1);
    // One lingers already. The turn that sends it has a timer that is over and none for the others.
    assert!(bench.appender().append(Some(0), records));
    assert!(bench.turn().is_some());
    let threads: Vec<_> = (0..2)
        .map(|number| {
            let (appender, busy) = (bench.appender(), bench.poller.busy());
            spawn(move || {
                let _busy = busy;
                // Two of three go to one partition: its batch is opened, filled, opened again.
                for tag in (number..records).step_by(2) {
                    let partition = i32::from(tag % 3 == 1);
                    assert!(appender.append(Some(partition), tag));
                }
            })
        })
        .collect();
    bench.clock.advance(LINGER);
    bench.serve();
    threads.into_iter().for_each(|thread| thread.join());
    bench.assert_all_delivered();
}

pub(super) fn flush_sends_what_lingers() {
    let (flushing, each) = if EXHAUSTIVE { (1, 1) } else { (3, 2) };
    let mut bench = Bench::new(TWO, LONG, PLENTY, flushing * each);
    let threads: Vec<_> = (0..flushing)
        .map(|thread| {
            let (appender, busy) = (bench.appender(), bench.poller.busy());
            let accumulator = Arc::clone(&bench.accumulator);
            spawn(move || {
                let _busy = busy;
                for tag in (thread..flushing * each).step_by(flushing) {
                    assert!(appender.append(Some(i32::from(thread == 1)), tag));
                    let mut flush = accumulator.begin_flush();
                    wait_until(|waker| flush.poll(waker));
                    assert_eq!(appender.calls.of(tag), 1, "flush returned before delivery");
                }
            })
        })
        .collect();
    bench.serve();
    threads.into_iter().for_each(|thread| thread.join());
    bench.assert_all_delivered();
}

/// Memory for one batch: the second and the third thread wait until the first batch was sent.
pub(super) fn wait_for_memory_sends_what_lingers() {
    let threads = if EXHAUSTIVE { 2 } else { 3 };
    let mut bench = Bench::new(TWO, LONG, 2048, threads);
    let threads: Vec<_> = (0..threads)
        .map(|tag| {
            let (appender, busy) = (bench.appender(), bench.poller.busy());
            spawn(move || {
                let _busy = busy;
                assert!(appender.append(Some(i32::from(tag == 1)), tag));
            })
        })
        .collect();
    bench.serve();
    threads.into_iter().for_each(|thread| thread.join());
    bench.assert_all_delivered();
}
