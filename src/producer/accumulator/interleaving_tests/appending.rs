//! Appends against a Sender that ends when it was closed and finds nothing left.

use std::sync::Arc;

use super::{Bench, TWO};
use crate::interleaving::{EXHAUSTIVE, Thread, spawn};
use crate::sync::atomic::{AtomicBool, Ordering};

use std::time::Duration;

pub(super) fn accepted_record_ends_once_whenever_close_comes() {
    let threads = if EXHAUSTIVE { 1 } else { 2 };
    let each = if EXHAUSTIVE { 1 } else { 3 };
    let batch_size = if EXHAUSTIVE { 1 } else { TWO };
    let mut bench = Bench::new(batch_size, Duration::ZERO, 4096, threads * each);
    let closed = Arc::new(AtomicBool::new(false));
    let appending: Vec<Thread<Vec<bool>>> = (0..threads)
        .map(|thread| {
            let (appender, closed) = (bench.appender(), Arc::clone(&closed));
            spawn(move || {
                (0..each)
                    .map(|number| {
                        let is_late = closed.load(Ordering::Acquire);
                        // Half of them go wherever the sticky partition is.
                        let partition = (number == 1).then_some(0);
                        let accepted = appender.append(partition, thread * each + number);
                        assert!(!(is_late && accepted), "accepted after close returned");
                        accepted
                    })
                    .collect()
            })
        })
        .collect();
    let closes = {
        let (accumulator, wakeup) = (Arc::clone(&bench.accumulator), bench.poller.wakeup());
        let closed = Arc::clone(&closed);
        spawn(move || {
            accumulator.close();
            closed.store(true, Ordering::Release);
            wakeup.wake();
        })
    };
    loop {
        if closed.load(Ordering::Acquire) && bench.drainer.is_drained_for_good() {
            break;
        }
        let now = bench.clock.now();
        // Only what is due now keeps it awake: the other timers are of batches that are gone.
        let due = bench.turn().filter(|next| *next <= now);
        bench.poller.sleep(due.map(|_| Duration::ZERO));
    }
    closes.join();
    let accepted = appending.into_iter().flat_map(|thread| thread.join());
    for (tag, accepted) in accepted.enumerate() {
        assert_eq!(bench.calls.of(tag), usize::from(accepted), "record {tag}");
    }
    bench.assert_nothing_is_held();
}
