//! A record costs no allocation on the application's thread: only a new batch does.
//!
//! The counter is the thread's own, so what the network thread does meanwhile does not count.

use std::cell::Cell;
use std::sync::Arc;

use kafka_producer::{
    DeliveryCallback, DeliveryError, KafkaProducer, ProducerConfig, ProducerRecord, RecordMetadata,
    SendHandle,
};
use kafka_test_support::{ClusterConfig, EmbeddedKafka};

const TOPIC: &str = "allocations";
const PARTITIONS: i32 = 6;
const RECORDS: usize = 20_000;
const VALUE: [u8; 100] = [b'v'; 100];

/// What a batch of `batch.size` 16384 holds of such a record, at least (framing and key included).
const RECORDS_IN_A_BATCH: usize = 16_384 / 130;

/// Chunk, builder, result, slots for callbacks (which double) and their bookkeeping.
const ALLOCATIONS_OF_A_BATCH: u64 = 16;

struct Ignore;

impl DeliveryCallback for Ignore {
    fn on_completion(&self, _: u64, result: Result<&RecordMetadata, &DeliveryError>) {
        assert!(result.is_ok());
    }
}

/// A producer that has sent to every partition already, and its broker.
fn warm_producer(linger_ms: &str) -> (EmbeddedKafka, KafkaProducer) {
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(1).topic(TOPIC, PARTITIONS).lean());
    let bootstrap = kafka.bootstrap();
    let pairs = [
        ("bootstrap.servers", bootstrap.as_str()),
        ("linger.ms", linger_ms),
    ];
    let config = ProducerConfig::from_properties(pairs).expect("it is right");
    let producer = KafkaProducer::new(config).expect("it starts");
    for partition in 0..PARTITIONS {
        let record = ProducerRecord::new(TOPIC, VALUE).partition(partition);
        drop(producer.send(record).expect("it is accepted"));
    }
    producer.flush().expect("it flushes");
    (kafka, producer)
}

fn shared_callback() -> Arc<dyn DeliveryCallback> {
    Arc::new(Ignore)
}

/// Sends many records and asserts that only batches allocated.
fn assert_only_batches_allocate(what: &str, producer: &KafkaProducer, mut send: impl FnMut(usize)) {
    let info = allocation_counter::measure(|| (0..RECORDS).for_each(&mut send));
    producer.flush().expect("it flushes");
    // One batch more for each partition: the last ones are not full, nor are those that linger ends.
    let batches = RECORDS / RECORDS_IN_A_BATCH + 10 * usize::try_from(PARTITIONS).expect("small");
    let allowed = ALLOCATIONS_OF_A_BATCH * batches as u64;
    assert!(
        info.count_total <= allowed,
        "{what}: {} allocations for {RECORDS} records, allowed {allowed} (for {batches} batches)",
        info.count_total
    );
}

/// Sends records of which some certainly share one batch, and asserts that those cost nothing.
fn assert_free_within_a_batch(what: &str, mut send: impl FnMut(usize)) {
    // The slots for callbacks double at 32, 64 and 128, so what lies between is free.
    (0..70).for_each(&mut send);
    let info = allocation_counter::measure(|| (70..120).for_each(&mut send));
    assert_eq!(info.count_total, 0, "{what}");
}

#[test]
fn send_with_shared_callback_costs_no_allocation_per_record() {
    let (_kafka, producer) = warm_producer("5");
    let callback = shared_callback();
    let send = |tag: usize| {
        let record = ProducerRecord::new(TOPIC, VALUE.as_slice());
        let handle = producer.send_with(record, (&callback, tag as u64));
        drop(handle.expect("it is accepted"));
    };
    assert_only_batches_allocate("shared callback", &producer, send);
}

#[test]
fn send_with_key_costs_no_allocation_per_record() {
    let (_kafka, producer) = warm_producer("5");
    let callback = shared_callback();
    let send = |tag: usize| {
        let key = (tag as u64).to_be_bytes();
        let record = ProducerRecord::new(TOPIC, VALUE.as_slice()).key(key.as_slice());
        let handle = producer.send_with(record, (&callback, tag as u64));
        drop(handle.expect("it is accepted"));
    };
    assert_only_batches_allocate("key and shared callback", &producer, send);
}

#[test]
fn send_with_handles_kept_costs_no_allocation_per_record() {
    let (_kafka, producer) = warm_producer("5");
    let handles: Cell<Vec<SendHandle>> = Cell::new(Vec::with_capacity(RECORDS));
    let send = |_| {
        let record = ProducerRecord::new(TOPIC, VALUE.as_slice());
        let mut kept = handles.take();
        kept.push(producer.send(record).expect("it is accepted"));
        handles.set(kept);
    };
    assert_only_batches_allocate("handles", &producer, send);
    for handle in handles.take() {
        handle.get().expect("it is acknowledged");
    }
}

#[test]
fn record_that_joins_a_batch_costs_no_allocation_at_all() {
    // So long a linger that nothing goes before the end, and one partition: one batch.
    let (_kafka, producer) = warm_producer("60000");
    let callback = shared_callback();
    let key = "a key";
    assert_free_within_a_batch("shared callback", |tag| {
        let record = ProducerRecord::new(TOPIC, VALUE.as_slice()).partition(0);
        let handle = producer.send_with(record, (&callback, tag as u64));
        drop(handle.expect("it is accepted"));
    });
    assert_free_within_a_batch("key and shared callback", |tag| {
        let record = ProducerRecord::new(TOPIC, VALUE.as_slice()).key(key);
        let handle = producer.send_with(record, (&callback, tag as u64));
        drop(handle.expect("it is accepted"));
    });
    let mut handles = Vec::with_capacity(200);
    assert_free_within_a_batch("handles", |_| {
        let record = ProducerRecord::new(TOPIC, VALUE.as_slice()).partition(5);
        handles.push(producer.send(record).expect("it is accepted"));
    });
    producer.flush().expect("it flushes");
    for handle in handles {
        handle.get().expect("it is acknowledged");
    }
}

#[test]
fn closure_that_captures_costs_exactly_one_allocation() {
    let (_kafka, producer) = warm_producer("60000");
    let counted = Arc::new(());
    let send = |_: usize| {
        let captured = Arc::clone(&counted);
        let record = ProducerRecord::new(TOPIC, VALUE.as_slice()).partition(1);
        let handle = producer.send_with_callback(record, move |_: Result<&_, &_>| drop(captured));
        drop(handle.expect("it is accepted"));
    };
    (0..70).for_each(send);
    let info = allocation_counter::measure(|| (70..120).for_each(send));
    assert_eq!(
        info.count_total, 50,
        "the box of each closure, nothing else"
    );
    producer.flush().expect("it flushes");
}
