//! What an append costs: the accumulator alone, a drainer beside it that acknowledges at once.
//!
//! ```text
//! cargo bench --features __internals --bench append             # 1, 2 and 4 appending threads
//! cargo bench --features __internals --bench append -- --test   # only that it runs
//! ```
//! The time is wall time for all threads together, so on two cores four threads are not faster.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "a bench measures by the clock"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kafka_producer::__internals::{Accumulator, Drain};
use kafka_producer::{DeliveryCallback, DeliveryError, RecordMetadata};

/// As an application that counts would have it.
struct Ignore;

impl DeliveryCallback for Ignore {
    fn on_completion(&self, _: u64, result: Result<&RecordMetadata, &DeliveryError>) {
        std::hint::black_box(result.map(RecordMetadata::offset).ok());
    }
}

fn append(c: &mut Criterion) {
    let mut group = c.benchmark_group("append");
    group
        .throughput(Throughput::Elements(1))
        .measurement_time(Duration::from_secs(2))
        .warm_up_time(Duration::from_millis(500))
        .sample_size(20);
    for threads in [1, 2, 4] {
        group.bench_with_input(
            BenchmarkId::new("100 B with callback", threads),
            &threads,
            |b, threads| b.iter_custom(|records| timed(*threads, records, true)),
        );
    }
    group.bench_function("100 B without callback/1", |b| {
        b.iter_custom(|records| timed(1, records, false))
    });
    group.finish();
}

/// Appends that many records in all and returns how long it took.
fn timed(threads: u64, records: u64, with_callback: bool) -> Duration {
    let accumulator = Accumulator::new(6, 16 * 1024, 32 << 20);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let drain = accumulator.drain();
        let drainer = scope.spawn(|| keep_draining(drain, &stop));
        let started = Instant::now();
        let appenders: Vec<_> = (0..threads)
            .map(|_| {
                let accumulator = accumulator.clone();
                scope.spawn(move || append_many(&accumulator, records / threads, with_callback))
            })
            .collect();
        appenders
            .into_iter()
            .for_each(|appender| appender.join().expect("appending works"));
        let took = started.elapsed();
        stop.store(true, Ordering::Release);
        drainer.join().expect("draining works");
        took
    })
}

fn append_many(accumulator: &Accumulator, records: u64, with_callback: bool) {
    let callback: Arc<dyn DeliveryCallback> = Arc::new(Ignore);
    let value = [b'v'; 100];
    for tag in 0..records {
        let next = || with_callback.then(|| (&callback, tag).into());
        while !accumulator.append(None, (None, Some(&value)), next()) {
            thread::yield_now();
        }
    }
}

fn keep_draining(mut drain: Drain, stop: &AtomicBool) {
    while !stop.load(Ordering::Acquire) {
        if drain.turn() == 0 {
            // What a Sender waits in the kernel, so as not to fight for the locks.
            thread::sleep(Duration::from_micros(50));
        }
    }
}

criterion_group!(benches, append);
criterion_main!(benches);
