//! From the first send to the last clone dropped, over TCP against the embedded cluster: what was
//! accepted arrives, whichever way the producer ends, and nothing waits for itself.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kafka_producer::{
    Callback, DeliveryError, ErrorKind, KafkaProducer, Null, Persistence, ProducerConfig,
    ProducerRecord, RecordMetadata,
};
use kafka_test_support::{ClusterConfig, EmbeddedKafka, Fault, On};

const PATIENCE: Duration = Duration::from_secs(30);

fn cluster() -> EmbeddedKafka {
    EmbeddedKafka::start(ClusterConfig::brokers(1).topic("topic", 1))
}

fn producer(kafka: &EmbeddedKafka) -> KafkaProducer {
    KafkaProducer::new(ProducerConfig::new(kafka.bootstrap())).expect("it starts")
}

fn values(kafka: &EmbeddedKafka) -> Vec<Option<Vec<u8>>> {
    let log = kafka.with(|cluster| cluster.log("topic", 0));
    let value = |value: Option<bytes::Bytes>| value.map(|bytes| bytes.to_vec());
    log.into_iter().map(|record| value(record.value)).collect()
}

#[test]
fn record_arrives_as_it_was_sent_at_the_offset_the_handle_tells() {
    let kafka = cluster();
    let producer = producer(&kafka);
    let first = ProducerRecord::new("topic", "value")
        .key("key")
        .header("a", "1")
        .timestamp_ms(1_700_000_000_123);
    let first = producer.send(first).expect("it is accepted");
    let second = ProducerRecord::new("topic", Null).key(b"key".to_vec());
    let second = producer.send(second).expect("it is accepted");
    let first = first.get().expect("it is delivered");
    assert_eq!(first.to_string(), "topic-0@0");
    assert_eq!(first.timestamp_ms(), 1_700_000_000_123);
    assert_eq!(second.get().expect("it is delivered").offset(), Some(1));
    let log = kafka.with(|cluster| cluster.log("topic", 0));
    assert_eq!(log[0].key.as_deref(), Some(&b"key"[..]));
    assert_eq!(log[0].value.as_deref(), Some(&b"value"[..]));
    assert_eq!(log[0].timestamp, 1_700_000_000_123);
    assert_eq!(log[0].headers[0].key, "a");
    assert_eq!(log[1].value, None);
    assert!(log[1].timestamp > 1_700_000_000_123);
    let partitions = producer.partitions_for("topic").expect("it is known");
    assert_eq!(partitions.len(), 1);
    assert!(partitions[0].leader.is_some());
}

#[test]
fn drop_of_the_last_clone_delivers_what_was_accepted() {
    let kafka = cluster();
    let producer = producer(&kafka);
    let clone = producer.clone();
    for _ in 0..100 {
        let _handle = clone
            .send(ProducerRecord::new("topic", "v"))
            .expect("it is accepted");
    }
    drop(producer);
    let _handle = clone
        .send(ProducerRecord::new("topic", "v"))
        .expect("a clone is left");
    drop(clone);
    assert_eq!(values(&kafka).len(), 101);
}

#[test]
fn drop_of_the_last_producer_inside_a_callback_ends_and_loses_nothing() {
    let kafka = cluster();
    let producer = producer(&kafka);
    let last = Arc::new(Mutex::new(Some(producer.clone())));
    let (done, ended) = channel();
    let callback = Callback::once(move |result| {
        assert!(result.is_ok());
        let producer = last
            .lock()
            .expect("nobody panicked")
            .take()
            .expect("it is there");
        let next = ProducerRecord::new("topic", "from the callback");
        let sent =
            producer.send_with_callback(next, move |_: Result<&RecordMetadata, &DeliveryError>| {
                done.send(()).expect("the test waits");
            });
        drop(sent.expect("it need not wait"));
        drop(producer);
    });
    let sent = producer.send_with(ProducerRecord::new("topic", "first"), callback);
    drop(sent.expect("it is accepted"));
    drop(producer);
    ended
        .recv_timeout(PATIENCE)
        .expect("the second record has its outcome");
    assert_eq!(values(&kafka).len(), 2);
}

#[test]
fn callback_that_panics_or_waits_harms_nobody() {
    let kafka = cluster();
    let producer = producer(&kafka);
    let panics = Callback::once(|_| panic!("on purpose"));
    let sent = producer.send_with(ProducerRecord::new("topic", "a"), panics);
    drop(sent.expect("it is accepted"));
    let (tell, told) = channel();
    let inner = producer.clone();
    let waits = Callback::once(move |_| {
        let kind = inner.flush().expect_err("it would wait for itself").kind();
        tell.send(kind).expect("the test waits");
    });
    let sent = producer.send_with(ProducerRecord::new("topic", "b"), waits);
    drop(sent.expect("it is accepted"));
    producer.flush().expect("the thread lives");
    assert_eq!(told.recv_timeout(PATIENCE), Ok(ErrorKind::WouldDeadlock));
    let handle = producer
        .send(ProducerRecord::new("topic", "c"))
        .expect("it is accepted");
    assert_eq!(handle.get().expect("it is delivered").offset(), Some(2));
}

#[test]
fn close_delivers_and_a_second_close_is_no_error() {
    let kafka = cluster();
    let producer = producer(&kafka);
    let handle = producer
        .send(ProducerRecord::new("topic", "v"))
        .expect("it is accepted");
    producer.close(PATIENCE).expect("everything is delivered");
    assert!(handle.is_done());
    assert_eq!(values(&kafka).len(), 1);
    producer.close(PATIENCE).expect("it is closed");
    producer.flush().expect("there is nothing to wait for");
    let late = producer
        .send(ProducerRecord::new("topic", "late"))
        .expect_err("it is closed");
    assert_eq!(late.kind(), ErrorKind::Closed);
    assert_eq!(late.into_record().value, "late");
}

#[test]
fn close_without_time_gives_up_what_has_no_answer_and_says_so() {
    let kafka = cluster();
    let producer = producer(&kafka);
    let first = producer
        .send(ProducerRecord::new("topic", "v"))
        .expect("it is accepted");
    first.get().expect("it is delivered");
    kafka.with(|cluster| cluster.fault(Fault::swallow(On::produce()).always()));
    let handle = producer
        .send(ProducerRecord::new("topic", "lost?"))
        .expect("it is accepted");
    let error = producer
        .close(Duration::from_millis(100))
        .expect_err("there is no answer");
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.undelivered_count(), 1);
    let given_back = error.undelivered().next().expect("the record");
    assert_eq!(given_back.persistence(), Persistence::Unknown);
    let value = given_back.record().and_then(|record| record.value);
    assert_eq!(value.as_deref(), Some(&b"lost?"[..]));
    let error = handle.get().expect_err("it was given up");
    assert_eq!(
        error.error().persistence(),
        Some(Persistence::Unknown),
        "{error}"
    );
    let back = error.record().expect("it comes back");
    assert_eq!(back.value.as_deref(), Some(&b"lost?"[..]));
}

#[test]
fn topic_that_does_not_exist_times_out_and_the_others_go_on() {
    let config = ClusterConfig::brokers(1)
        .topic("topic", 1)
        .auto_create_topics(false);
    let kafka = EmbeddedKafka::start(config);
    let config = ProducerConfig::new(kafka.bootstrap()).max_block(Duration::from_millis(300));
    let producer = KafkaProducer::new(config).expect("it starts");
    let refused = producer
        .send(ProducerRecord::new("missing", "v"))
        .expect_err("there is none");
    assert_eq!(refused.kind(), ErrorKind::Timeout);
    let text = refused.to_string();
    assert!(
        text.contains("missing") && text.contains("max.block.ms"),
        "{text}"
    );
    let handle = producer
        .send(ProducerRecord::new("topic", "v"))
        .expect("it is accepted");
    handle.get().expect("it is delivered");
}
