//! What is sent arrives: every form of record, under every acknowledgement and age of broker.

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests read clocks, start threads and may panic"
)]

mod fixtures;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::Bytes;
use kafka_producer::{
    Acks, Callback, DeliveryCallback, DeliveryError, ErrorKind, Header, Headers, KafkaProducer,
    ProducerRecord, RecordMetadata, SendHandle,
};
use kafka_test_support::{
    Api, ClusterConfig, EmbeddedKafka, Fault, On, StoredHeader, StoredRecord, TopicConfig,
    VersionProfile, What,
};

use fixtures::ledger::{Ledger, logs_of, text_of, values_in};
use fixtures::{
    Limit, assert_at_once, assert_names, config, eventually, lock, ms, secs, start, timed,
};

const PROFILES: [VersionProfile; 4] = [
    VersionProfile::KAFKA_21,
    VersionProfile::KAFKA_28,
    VersionProfile::KAFKA_39,
    VersionProfile::KAFKA_43,
];

/// Who acknowledges, and whether repetitions are recognised.
const GUARANTEES: [(Acks, bool); 4] = [
    (Acks::All, true),
    (Acks::All, false),
    (Acks::Leader, false),
    (Acks::None, false),
];

type AnyRecord = ProducerRecord<'static, Option<Bytes>, Option<Bytes>>;

fn record(key: Option<&[u8]>, value: Option<&[u8]>) -> AnyRecord {
    let copied = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
    ProducerRecord::new("forms", value.map(copied)).key(key.map(copied))
}

/// Everything a record may be.
fn every_form() -> Vec<AnyRecord> {
    let headers: Headers = [
        Header::new("trace", "a1"),
        Header::null("trace"),
        Header::new("trace", "a1"),
        Header::new("", ""),
        Header::new("größe", vec![0_u8, 255, 13]),
    ]
    .into_iter()
    .collect();
    let long: Vec<u8> = (0_u8..=255).cycle().take(100_000).collect();
    vec![
        record(None, Some(b"value")),
        record(Some(b"key"), Some(b"value")),
        record(Some(b"tombstone"), None),
        record(None, None),
        record(Some(b""), Some(b"")),
        record(Some(&[0, 255, 128]), Some(&[7; 1])),
        record(Some(b"key"), Some(b"with headers")).headers(headers.clone()),
        record(None, None).headers(headers.clone()),
        record(None, Some(b"at 0")).timestamp_ms(0),
        record(Some(b"key"), Some(b"in 2033")).timestamp_ms(1_600_000_000_123),
        record(Some(b"key"), Some(b"to 2")).partition(2),
        record(None, Some(b"to 1 in 2017"))
            .partition(1)
            .timestamp_ms(1_500_000_000_000),
        record(Some(&long), Some(&long)).headers(headers),
        record(None, Some(&long)).partition(0),
    ]
}

fn stored_headers(headers: &Headers) -> Vec<StoredHeader> {
    let stored = |header: &Header| StoredHeader {
        key: header.key.clone(),
        value: header.value.clone(),
    };
    headers.into_iter().map(stored).collect()
}

fn is_the_same(sent: &AnyRecord, stored: &StoredRecord) -> bool {
    sent.key == stored.key
        && sent.value == stored.value
        && stored_headers(&sent.headers) == stored.headers
        && sent
            .timestamp_ms
            .is_none_or(|time| time == stored.timestamp)
}

fn send_all(producer: &KafkaProducer, records: &[AnyRecord]) -> Vec<SendHandle> {
    let send = |record: &AnyRecord| producer.send(record.clone()).unwrap();
    records.iter().map(send).collect()
}

#[test]
fn record_of_every_form_arrives_as_it_was_sent_under_every_guarantee_and_version() {
    let _limit = Limit::new(secs(60));
    for profile in PROFILES {
        for (acks, idempotence) in GUARANTEES {
            let case = format!("{profile:?} {acks:?} {idempotence}");
            let cluster = ClusterConfig::brokers(1)
                .topic("forms", 3)
                .versions(profile);
            let kafka = EmbeddedKafka::start(cluster);
            let producer = start(config(&kafka).acks(acks).enable_idempotence(idempotence));
            let records = every_form();
            let handles = send_all(&producer, &records);
            let told: Vec<RecordMetadata> =
                handles.into_iter().map(|h| h.get().expect(&case)).collect();
            // With acks=0 the outcome comes before the broker has read.
            eventually("all records are in the log", || {
                let logs = logs_of(&kafka, "forms");
                logs.iter().map(Vec::len).sum::<usize>() == records.len()
            });
            assert_forms(&case, &logs_of(&kafka, "forms"), &records, &told);
            for (metadata, record) in told.iter().zip(&records) {
                assert_eq!(metadata.offset().is_none(), acks == Acks::None, "{case}");
                assert_sizes(metadata, record);
            }
        }
    }
}

/// Per partition in the order of sending, at the offsets and with the times that were told.
fn assert_forms(
    case: &str,
    logs: &[Vec<StoredRecord>],
    records: &[AnyRecord],
    told: &[RecordMetadata],
) {
    let mut next = vec![0; logs.len()];
    for (record, metadata) in records.iter().zip(told) {
        let partition = usize::try_from(metadata.partition()).unwrap();
        let stored = &logs[partition][next[partition]];
        next[partition] += 1;
        let name = String::from_utf8_lossy(record.value.as_deref().unwrap_or(b"null"));
        let name = name.chars().take(20).collect::<String>();
        assert!(is_the_same(record, stored), "{case}: {name}: {stored:?}");
        assert!(record.partition.is_none_or(|p| p == metadata.partition()));
        assert_eq!(metadata.timestamp_ms(), stored.timestamp, "{case}: {name}");
        let offset = metadata.offset();
        assert!(offset.is_none_or(|o| o == stored.offset), "{case}: {name}");
    }
}

fn assert_sizes(metadata: &RecordMetadata, record: &AnyRecord) {
    let size = |bytes: &Option<Bytes>| bytes.as_ref().map(Bytes::len);
    assert_eq!(metadata.topic(), "forms");
    assert_eq!(metadata.serialized_key_size(), size(&record.key));
    assert_eq!(metadata.serialized_value_size(), size(&record.value));
}

#[test]
fn produce_uses_the_newest_version_that_the_broker_has_and_no_other() {
    let _limit = Limit::new(secs(20));
    for (profile, newest) in PROFILES.into_iter().zip([7, 9, 11, 13]) {
        let kafka = EmbeddedKafka::start(ClusterConfig::brokers(1).topic("t", 1).versions(profile));
        let producer = start(config(&kafka));
        producer
            .send(ProducerRecord::new("t", "v"))
            .unwrap()
            .get()
            .unwrap();
        let versions: Vec<i16> = kafka.with(|cluster| {
            let events = cluster.history();
            events
                .filter_map(|event| match &event.what {
                    What::Request {
                        api: Api::Produce,
                        version,
                        ..
                    } => Some(*version),
                    _ => None,
                })
                .collect()
        });
        assert_eq!(versions, [newest], "{profile:?}");
    }
}

#[test]
fn timestamp_of_log_append_time_topic_is_the_brokers() {
    let _limit = Limit::new(secs(20));
    for profile in PROFILES {
        let topic = TopicConfig::new("stamped", 1).log_append_time();
        let kafka = EmbeddedKafka::start(
            ClusterConfig::brokers(1)
                .topic_with(topic)
                .versions(profile),
        );
        let producer = start(config(&kafka));
        let record = ProducerRecord::new("stamped", "v").timestamp_ms(1);
        let metadata = producer.send(record).unwrap().get().unwrap();
        let stored = kafka.with(|cluster| cluster.log("stamped", 0));
        assert!(metadata.timestamp_ms() > 1_600_000_000_000, "{metadata:?}");
        assert_eq!(metadata.timestamp_ms(), stored[0].timestamp, "{profile:?}");
    }
}

#[test]
fn records_to_many_topics_and_partitions_arrive_each_in_its_own_order() {
    let _limit = Limit::new(secs(30));
    let mut cluster = ClusterConfig::brokers(3);
    let topics: Vec<String> = (0..5).map(|n| format!("topic-{n}")).collect();
    for topic in &topics {
        cluster = cluster.topic(topic, 7);
    }
    let kafka = EmbeddedKafka::start(cluster);
    let producer = start(config(&kafka).batch_size(1000));
    let mut ledger = Ledger::default();
    for number in 0..5000_i32 {
        let topic = &topics[usize::try_from(number % 5).unwrap()];
        let value = format!("{number:06}");
        ledger.send(&producer, topic, Some(number / 5 % 7), value);
    }
    producer.flush().unwrap();
    ledger.assert_all_delivered(&kafka);
}

#[test]
fn records_with_equal_keys_go_to_one_partition_and_different_keys_to_all() {
    let _limit = Limit::new(secs(20));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(1).topic("keyed", 6));
    let producer = start(config(&kafka));
    for number in 0..600 {
        let key = format!("user-{}", number % 60);
        let record = ProducerRecord::new("keyed", number.to_string()).key(key);
        drop(producer.send(record).unwrap());
    }
    producer.flush().unwrap();
    let logs = logs_of(&kafka, "keyed");
    let mut homes: BTreeMap<Bytes, usize> = BTreeMap::new();
    for (partition, log) in logs.iter().enumerate() {
        assert!(!log.is_empty(), "60 keys leave partition {partition} out");
        for record in log {
            let key = record.key.clone().unwrap();
            assert_eq!(*homes.entry(key).or_insert(partition), partition);
        }
    }
    assert_eq!(homes.len(), 60);
}

#[test]
fn records_without_key_use_every_partition() {
    let _limit = Limit::new(secs(20));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(2).topic("sticky", 4));
    let producer = start(config(&kafka).batch_size(500));
    for number in 0..2000 {
        drop(
            producer
                .send(ProducerRecord::new("sticky", format!("{number:06}")))
                .unwrap(),
        );
    }
    producer.flush().unwrap();
    let counts: Vec<usize> = logs_of(&kafka, "sticky").iter().map(Vec::len).collect();
    assert_eq!(counts.iter().sum::<usize>(), 2000);
    assert!(counts.iter().all(|count| *count > 100), "{counts:?}");
}

#[test]
fn record_larger_than_batch_size_travels_in_a_batch_of_its_own() {
    let _limit = Limit::new(secs(20));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(1).topic("large", 1));
    let producer = start(config(&kafka).batch_size(1000).linger(secs(10)));
    // Many chunks of the pool, with the neighbours before and after it in batches of their own.
    let large: Vec<u8> = (0..=250).cycle().take(900_000).collect();
    let values: [&[u8]; 5] = [b"before", &large, b"between", &large, b"after"];
    let handles = values.map(|value| producer.send(ProducerRecord::new("large", value)).unwrap());
    producer.flush().unwrap();
    for (handle, offset) in handles.into_iter().zip(0..) {
        assert_eq!(handle.get().unwrap().offset(), Some(offset));
    }
    let batches = kafka.with(|cluster| cluster.batches("large", 0));
    let counts: Vec<i32> = batches.iter().map(|batch| batch.count).collect();
    assert_eq!(counts, [1, 1, 1, 1, 1]);
    let log = kafka.with(|cluster| cluster.log("large", 0));
    for (stored, sent) in log.iter().zip(values) {
        assert!(
            stored.value.as_deref() == Some(sent),
            "{} bytes",
            sent.len()
        );
    }
}

#[test]
fn batch_size_of_zero_makes_every_record_a_batch() {
    let _limit = Limit::new(secs(20));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(1).topic("t", 2));
    let producer = start(config(&kafka).batch_size(0));
    let mut ledger = Ledger::default();
    ledger.send_many(&producer, "t", 2, 50);
    ledger.assert_all_delivered(&kafka);
    let batches = kafka.with(|cluster| cluster.batches("t", 0));
    assert_eq!(batches.len(), 25);
}

#[test]
fn linger_holds_a_batch_back_until_it_is_full() {
    let _limit = Limit::new(secs(20));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(1).topic("t", 1));
    let producer = start(
        config(&kafka)
            .batch_size(1000)
            .linger(secs(600))
            .delivery_timeout(secs(1000)),
    );
    let mut ledger = Ledger::default();
    ledger.send_many(&producer, "t", 1, 100);
    // The last batch stays; those that are full do not wait for it.
    eventually("the full batches arrive", || {
        let last_full = ledger.sent.iter().rposition(|sent| sent.handle.is_done());
        last_full.is_some_and(|index| index > 50)
    });
    assert!(!ledger.sent[99].handle.is_done());
    producer.flush().unwrap();
    assert!(ledger.sent[99].handle.is_done());
    ledger.assert_all_delivered(&kafka);
    let batches = kafka.with(|cluster| cluster.batches("t", 0));
    assert!(batches[0].count > 10, "a batch of {}", batches[0].count);
    assert!(batches.iter().all(|batch| batch.bytes.len() <= 1000));
}

#[test]
fn linger_lets_a_batch_go_when_its_time_is_up() {
    let _limit = Limit::new(secs(20));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(1).topic("t", 1));
    let producer = start(config(&kafka).linger(ms(150)));
    producer.partitions_for("t").unwrap();
    let mut ledger = Ledger::default();
    let (last, waited) = timed(|| {
        ledger.send_many(&producer, "t", 1, 20);
        ledger.sent.pop().unwrap().handle.get()
    });
    assert_eq!(last.unwrap().offset(), Some(19));
    assert!(waited >= ms(140), "{waited:?}");
    assert_eq!(kafka.with(|cluster| cluster.batches("t", 0).len()), 1);
}

#[test]
fn flush_covers_all_records_sent_before_it_while_others_go_on_sending() {
    let _limit = Limit::new(secs(30));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(2).topic("t", 4).topic("busy", 4));
    let producer = start(config(&kafka).linger(secs(20)));
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut ledger = Ledger::default();
                while !stop.load(Ordering::SeqCst) {
                    ledger.send_many(&producer, "busy", 4, 100);
                    ledger.sent.clear();
                }
            });
        }
        for _ in 0..20 {
            let mut ledger = Ledger::default();
            let handles: Vec<SendHandle> = (0..40)
                .map(|n| {
                    producer
                        .send(ProducerRecord::new("t", "v").partition(n % 4))
                        .unwrap()
                })
                .collect();
            ledger.send_many(&producer, "busy", 4, 4);
            let (flushed, waited) = timed(|| producer.flush());
            flushed.unwrap();
            // Else it would have waited for linger.ms.
            assert!(waited < secs(10), "{waited:?}");
            assert!(handles.iter().all(SendHandle::is_done));
            assert!(ledger.sent.iter().all(|sent| sent.handle.is_done()));
        }
        stop.store(true, Ordering::SeqCst);
    });
}

#[test]
fn flush_of_nothing_returns_at_once() {
    let _limit = Limit::new(secs(20));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(1).topic("t", 1));
    let producer = start(config(&kafka));
    let (flushed, waited) = timed(|| producer.flush());
    flushed.unwrap();
    assert_at_once(waited);
    producer.flush_timeout(ms(0)).unwrap();
}

#[test]
fn flush_timeout_ends_in_time_and_the_records_go_on() {
    let _limit = Limit::new(secs(20));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(1).topic("t", 1));
    kafka.with(|cluster| cluster.fault(Fault::hold(On::produce())));
    let producer = start(config(&kafka));
    let handle = producer.send(ProducerRecord::new("t", "v")).unwrap();
    let (flushed, waited) = timed(|| producer.flush_timeout(ms(200)));
    let error = flushed.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_names(
        &error.to_string(),
        &["200 ms", "1 batch", "delivery.timeout.ms"],
    );
    fixtures::assert_waited(waited, ms(200));
    assert!(!handle.is_done());
    kafka.with(|cluster| cluster.release());
    producer.flush_timeout(secs(10)).unwrap();
    assert_eq!(handle.get().unwrap().offset(), Some(0));
}

/// Writes down who came when.
#[derive(Default)]
struct Diary(Mutex<Vec<(u64, i32, Option<i64>)>>);

impl DeliveryCallback for Diary {
    fn on_completion(&self, tag: u64, result: Result<&RecordMetadata, &DeliveryError>) {
        let metadata = result.expect("it is delivered");
        let entry = (tag, metadata.partition(), metadata.offset());
        lock(&self.0).push(entry);
    }
}

#[test]
fn callbacks_run_in_the_order_of_sending_per_partition_and_before_flush_returns() {
    let _limit = Limit::new(secs(30));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(2).topic("t", 4));
    let producer = start(config(&kafka).batch_size(300));
    let diary = Arc::new(Diary::default());
    let shared: Arc<dyn DeliveryCallback> = Arc::<Diary>::clone(&diary);
    for tag in 0..2000_u64 {
        let partition = i32::try_from(tag % 4).unwrap();
        let record = ProducerRecord::new("t", "value").partition(partition);
        drop(producer.send_with(record, (&shared, tag)).unwrap());
    }
    producer.flush().unwrap();
    let entries = lock(&diary.0).clone();
    assert_eq!(entries.len(), 2000, "flush returned before the callbacks");
    for partition in 0..4 {
        let of_partition = entries.iter().filter(|(_, p, _)| *p == partition);
        let (tags, offsets): (Vec<u64>, Vec<Option<i64>>) =
            of_partition.map(|(tag, _, offset)| (*tag, *offset)).unzip();
        let due: Vec<u64> = (0..2000)
            .filter(|tag| tag % 4 == u64::from(i32::unsigned_abs(partition)))
            .collect();
        assert_eq!(tags, due);
        assert_eq!(offsets, (0..500).map(Some).collect::<Vec<_>>());
    }
}

#[test]
fn callback_has_run_when_its_handle_is_done() {
    let _limit = Limit::new(secs(20));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(1).topic("t", 1));
    let producer = start(config(&kafka).linger(ms(0)));
    for _ in 0..200 {
        let ran = Arc::new(AtomicBool::new(false));
        let runs = Arc::clone(&ran);
        let record = ProducerRecord::new("t", "v");
        let handle = producer
            .send_with_callback(record, move |result| {
                assert!(result.is_ok());
                runs.store(true, Ordering::SeqCst);
            })
            .unwrap();
        handle.get().unwrap();
        assert!(
            ran.load(Ordering::SeqCst),
            "get returned before the callback"
        );
    }
}

#[test]
fn callback_of_a_record_that_is_refused_never_runs() {
    let _limit = Limit::new(secs(20));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(1).topic("t", 1));
    let producer = start(config(&kafka));
    let runs = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&runs);
    let record = ProducerRecord::new("t", "v").partition(-1);
    let refused = producer.send_with(
        record,
        Callback::once(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
        }),
    );
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidArgument);
    producer.close(secs(10)).unwrap();
    assert_eq!(runs.load(Ordering::SeqCst), 0);
    assert_eq!(Arc::strong_count(&runs), 1, "the callback was kept");
}

#[test]
fn two_producers_on_one_topic_each_keep_their_order() {
    let _limit = Limit::new(secs(30));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(2).topic("t", 3));
    thread::scope(|scope| {
        for name in ["a", "b"] {
            let kafka = &kafka;
            scope.spawn(move || {
                let producer = start(config(kafka).batch_size(400));
                for number in 0..900_i32 {
                    let value = format!("{name}-{number:06}");
                    let record = ProducerRecord::new("t", value).partition(number % 3);
                    drop(producer.send(record).unwrap());
                }
                producer.close(secs(20)).unwrap();
            });
        }
    });
    for partition in 0..3 {
        let values = values_in(&kafka, "t", partition);
        assert_eq!(values.len(), 600);
        for name in ["a-", "b-"] {
            let own: Vec<&String> = values.iter().filter(|v| v.starts_with(name)).collect();
            assert_eq!(own.len(), 300);
            assert!(own.is_sorted());
        }
    }
}

#[test]
fn clones_and_faces_outlive_the_first_and_share_its_life() {
    let _limit = Limit::new(secs(20));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(1).topic("t", 1));
    let first = start(config(&kafka).linger(secs(10)));
    let (second, third) = (
        first.clone(),
        first.with_serializers(
            kafka_producer::BytesSerializer::default(),
            kafka_producer::BytesSerializer::default(),
        ),
    );
    drop(first.send(ProducerRecord::new("t", "1")).unwrap());
    drop(first);
    drop(second.send(ProducerRecord::new("t", "2")).unwrap());
    drop(third.send(ProducerRecord::new("t", "3")).unwrap());
    third.flush().unwrap();
    assert_eq!(values_in(&kafka, "t", 0), ["1", "2", "3"]);
    second.close(secs(10)).unwrap();
    assert!(third.is_closed());
    let refused = third.send(ProducerRecord::new("t", "4")).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Closed);
}

#[test]
fn partitions_for_tells_leaders_and_where_they_listen() {
    let _limit = Limit::new(secs(20));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(3).topic("t", 4));
    let producer = start(config(&kafka));
    let partitions = producer.partitions_for("t").unwrap();
    assert_eq!(partitions.len(), 4);
    for (info, number) in partitions.iter().zip(0..) {
        assert_eq!((&*info.topic, info.partition), ("t", number));
        let leader = info.leader.as_ref().expect("every partition has a leader");
        assert_eq!(
            Some(leader.id),
            kafka.with(|cluster| cluster.leader("t", number))
        );
        assert_eq!(
            (&*leader.host, leader.port),
            ("127.0.0.1", kafka.port(leader.id))
        );
    }
}

#[test]
fn timestamp_without_one_is_the_time_of_send() {
    let _limit = Limit::new(secs(20));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(1).topic("t", 1));
    let producer = start(config(&kafka).linger(ms(50)));
    let wall_ms = || {
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        i64::try_from(since.as_millis()).unwrap()
    };
    producer.partitions_for("t").unwrap();
    let before = wall_ms();
    let handle = producer.send(ProducerRecord::new("t", "v")).unwrap();
    let after = wall_ms();
    let stamped = handle.get().unwrap().timestamp_ms();
    assert!(
        (before..=after).contains(&stamped),
        "{before} {stamped} {after}"
    );
}

#[test]
fn threads_on_one_producer_keep_each_its_order_in_every_partition() {
    let _limit = Limit::new(secs(60));
    const THREADS: usize = 8;
    const EACH: usize = 12_500;
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(3).topic("t", 6));
    let producer = start(config(&kafka));
    let acked = AtomicUsize::new(0);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (producer, acked) = (producer.clone(), &acked);
            scope.spawn(move || {
                let send = |number: usize| {
                    let value = format!("{thread} {number:06}");
                    let partition = i32::try_from(number % 6).unwrap();
                    let record = ProducerRecord::new("t", value).partition(partition);
                    producer.send(record).unwrap()
                };
                let handles: Vec<SendHandle> = (0..EACH).map(send).collect();
                for handle in handles {
                    handle.get().unwrap();
                    acked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(acked.load(Ordering::Relaxed), THREADS * EACH);
    let mut total = 0;
    for log in logs_of(&kafka, "t") {
        let mut last = vec![String::new(); THREADS];
        for record in &log {
            let text = text_of(record);
            let thread: usize = text.split(' ').next().unwrap().parse().unwrap();
            assert!(last[thread] < text, "{text} after {}", last[thread]);
            last[thread] = text;
        }
        total += log.len();
    }
    assert_eq!(total, THREADS * EACH);
}

#[test]
fn thousand_partitions_on_three_brokers_get_their_records() {
    let _limit = Limit::new(secs(60));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(3).topic("wide", 1000));
    let producer = start(config(&kafka));
    let mut ledger = Ledger::default();
    ledger.send_many(&producer, "wide", 1000, 10_000);
    producer.flush().unwrap();
    ledger.assert_all_delivered(&kafka);
}

#[test]
fn requests_stay_below_max_request_size_however_many_partitions_are_ready() {
    let _limit = Limit::new(secs(30));
    let mut cluster = ClusterConfig::brokers(1).topic("t", 20);
    // The broker closes the connection on anything larger.
    cluster.socket_request_max_bytes = 5500;
    let kafka = EmbeddedKafka::start(cluster);
    let config = config(&kafka).max_request_size(5000).batch_size(2000);
    let producer = start(config.linger(secs(10)));
    let mut ledger = Ledger::default();
    for round in 0..4_i32 {
        for partition in 0..20 {
            let value = format!("{round:03} {partition:03} {}", "x".repeat(300));
            ledger.send(&producer, "t", Some(partition), value);
        }
    }
    producer.flush().unwrap();
    ledger.assert_all_delivered(&kafka);
    assert!(kafka.connections_accepted(1) <= 2);
}

#[test]
fn records_without_acknowledgement_all_arrive_in_order_while_nothing_breaks() {
    let _limit = Limit::new(secs(30));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(2).topic("t", 3));
    let producer = start(config(&kafka).acks(Acks::None).enable_idempotence(false));
    let handles: Vec<SendHandle> = (0..10_000_i32)
        .map(|number| {
            let record = ProducerRecord::new("t", format!("{number:06}"));
            producer.send(record.partition(number % 3)).unwrap()
        })
        .collect();
    producer.close(secs(10)).unwrap();
    assert!(handles.into_iter().all(|handle| handle.get().is_ok()));
    eventually("all are in the log", || {
        logs_of(&kafka, "t").iter().map(Vec::len).sum::<usize>() == 10_000
    });
    for partition in 0..3 {
        assert!(values_in(&kafka, "t", partition).is_sorted());
    }
}
