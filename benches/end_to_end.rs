//! The whole way: `send`, batches, sockets, the embedded broker on loopback, callbacks.
//!
//! ```text
//! cargo bench --bench end_to_end
//! cargo bench --bench end_to_end -- --test   # only that it runs
//! ```
//! The embedded broker checks all it is sent, which costs more than producing it: the time per
//! record is that of the pair. `docs/PERFORMANCE.md` says how to measure the producer alone.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "a bench measures by the clock"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kafka_producer::{
    DeliveryCallback, DeliveryError, KafkaProducer, ProducerConfig, ProducerRecord, RecordMetadata,
};
use kafka_test_support::{ClusterConfig, EmbeddedKafka};

const TOPIC: &str = "bench";

#[derive(Default)]
struct Count(AtomicU64);

impl DeliveryCallback for Count {
    fn on_completion(&self, _: u64, result: Result<&RecordMetadata, &DeliveryError>) {
        result.expect("nothing fails here");
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn end_to_end(c: &mut Criterion) {
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(1).topic(TOPIC, 6).lean());
    let mut group = c.benchmark_group("end_to_end");
    group
        .measurement_time(Duration::from_secs(3))
        .warm_up_time(Duration::from_millis(500))
        .sample_size(20);
    for size in [100_usize, 1024] {
        let producer = producer(&kafka, "5");
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(format!("{size} B with callback"), |b| {
            b.iter_custom(|records| timed(&producer, size, records));
        });
    }
    let producer = producer(&kafka, "0");
    group.throughput(Throughput::Elements(1));
    group.bench_function("send and wait", |b| {
        b.iter(|| {
            let record = ProducerRecord::new(TOPIC, "value");
            let handle = producer.send(record).expect("it is accepted");
            handle.get().expect("it is acknowledged")
        });
    });
    group.finish();
}

fn producer(kafka: &EmbeddedKafka, linger_ms: &str) -> KafkaProducer {
    let bootstrap = kafka.bootstrap();
    let pairs = [
        ("bootstrap.servers", bootstrap.as_str()),
        ("linger.ms", linger_ms),
    ];
    let config = ProducerConfig::from_properties(pairs).expect("it is right");
    KafkaProducer::new(config).expect("it starts")
}

/// Until everything is acknowledged.
fn timed(producer: &KafkaProducer, size: usize, records: u64) -> Duration {
    let value = vec![b'v'; size];
    let count = Arc::new(Count::default());
    let callback: Arc<dyn DeliveryCallback> = Arc::clone(&count) as _;
    let started = Instant::now();
    for tag in 0..records {
        let record = ProducerRecord::new(TOPIC, value.as_slice());
        drop(
            producer
                .send_with(record, (&callback, tag))
                .expect("it is accepted"),
        );
    }
    producer.flush().expect("it flushes");
    let took = started.elapsed();
    assert_eq!(count.0.load(Ordering::Relaxed), records);
    took
}

criterion_group!(benches, end_to_end);
criterion_main!(benches);
