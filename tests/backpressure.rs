//! `buffer.memory`: who waits, how long, in which order, and that all of it comes back.

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests read clocks, start threads and may panic"
)]

mod fixtures;

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use kafka_producer::{
    Callback, DeliveryCallback, DeliveryError, ErrorKind, KafkaProducer, ProducerConfig,
    ProducerRecord, RecordMetadata, SendHandle,
};
use kafka_test_support::{Api, ClusterConfig, EmbeddedKafka, Fault, On, What};

use fixtures::ledger::{logs_of, values_in};
use fixtures::process::state_of_thread;
use fixtures::{
    Limit, assert_at_once, assert_names, assert_waited, config, eventually, lock, ms, ms_in, secs,
    start, timed,
};

const MEMORY: usize = 64 * 1024;
const MAX_BLOCK: Duration = ms(400);

fn cluster() -> EmbeddedKafka {
    EmbeddedKafka::start(ClusterConfig::brokers(1).topic("t", 1))
}

fn small(kafka: &EmbeddedKafka) -> ProducerConfig {
    config(kafka)
        .buffer_memory(MEMORY)
        .batch_size(4096)
        .linger(ms(0))
        .max_block(MAX_BLOCK)
}

/// The broker takes what comes and answers nothing until released.
fn stall(kafka: &EmbeddedKafka) {
    kafka.with(|cluster| cluster.fault(Fault::hold(On::produce()).always()));
}

fn resume(kafka: &EmbeddedKafka) {
    kafka.with(|cluster| {
        cluster.clear_faults();
        cluster.release();
    });
}

/// Sends without waiting until there is no room for `value`.
fn fill(producer: &KafkaProducer, value: &str) -> Vec<SendHandle> {
    let mut handles = Vec::new();
    loop {
        match producer.try_send(ProducerRecord::new("t", value)) {
            Ok(handle) => handles.push(handle),
            Err(refused) => {
                assert_eq!(refused.kind(), ErrorKind::BufferExhausted, "{refused:?}");
                return handles;
            }
        }
    }
}

#[test]
fn send_without_room_blocks_for_max_block_and_gives_the_record_back() {
    let _limit = Limit::new(secs(20));
    let kafka = cluster();
    let producer = start(small(&kafka));
    producer.partitions_for("t").unwrap();
    stall(&kafka);
    let value = "x".repeat(1000);
    let handles = fill(&producer, &value);
    assert!(handles.len() >= 30, "{} kilobytes are all", handles.len());
    let record = ProducerRecord::new("t", value.as_str()).key("k");
    let (result, waited) = timed(|| producer.send(record.clone()));
    let refused = result.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::BufferExhausted);
    assert!(refused.error().is_retriable());
    assert_waited(waited, MAX_BLOCK);
    let text = refused.to_string();
    assert_names(&text, &["buffer.memory", "max.block.ms", "65536"]);
    assert!((350..2500).contains(&ms_in(&text)), "{text}");
    assert!(refused.into_record() == record);
    resume(&kafka);
    producer.flush().unwrap();
    assert_eq!(values_in(&kafka, "t", 0).len(), handles.len());
}

#[test]
fn send_that_blocks_goes_on_as_soon_as_there_is_room() {
    let _limit = Limit::new(secs(20));
    let kafka = cluster();
    let producer = start(small(&kafka).max_block(secs(15)));
    producer.partitions_for("t").unwrap();
    stall(&kafka);
    let value = "x".repeat(1000);
    let before = fill(&producer, &value).len();
    thread::scope(|scope| {
        let waits = scope.spawn(|| {
            let record = ProducerRecord::new("t", value.as_str());
            producer.send(record).map(|_| ())
        });
        resume(&kafka);
        waits.join().unwrap().unwrap();
    });
    producer.flush().unwrap();
    assert_eq!(values_in(&kafka, "t", 0).len(), before + 1);
}

#[test]
fn try_send_without_room_gives_the_record_back_at_once() {
    let _limit = Limit::new(secs(20));
    let kafka = cluster();
    let producer = start(small(&kafka).max_block(secs(60)));
    producer.partitions_for("t").unwrap();
    stall(&kafka);
    let value = "x".repeat(1000);
    fill(&producer, &value);
    let record = || {
        ProducerRecord::new("t", value.clone())
            .key("k")
            .header("h", "v")
    };
    for _ in 0..10 {
        let (result, waited) = timed(|| producer.try_send(record()));
        let refused = result.unwrap_err();
        assert_at_once(waited);
        assert_eq!(refused.kind(), ErrorKind::BufferExhausted);
        assert!(refused.into_record() == record());
    }
    resume(&kafka);
}

#[test]
fn try_send_to_an_unknown_topic_asks_for_it_and_works_later() {
    let _limit = Limit::new(secs(20));
    let kafka = cluster();
    let producer = start(small(&kafka).max_block(secs(60)));
    let (first, waited) = timed(|| producer.try_send(ProducerRecord::new("t", "v")));
    assert_at_once(waited);
    assert_eq!(first.unwrap_err().kind(), ErrorKind::Timeout);
    eventually("the topic is known", || {
        producer.try_send(ProducerRecord::new("t", "v")).is_ok()
    });
    producer.flush().unwrap();
    assert_eq!(values_in(&kafka, "t", 0), ["v"]);
}

#[test]
fn threads_that_wait_for_room_get_it_in_the_order_they_came() {
    let _limit = Limit::new(secs(30));
    let kafka = cluster();
    // A record takes more than half of the memory, so that one is let in at a time: who is let in
    // together may still overtake one another on the way to the batch.
    let producer = start(small(&kafka).max_block(secs(20)));
    producer.partitions_for("t").unwrap();
    stall(&kafka);
    fill(&producer, &"x".repeat(10_000));
    let order = Arc::new(Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for number in 0..12 {
            let (tell, told) = channel();
            let (producer, order) = (producer.clone(), Arc::clone(&order));
            let thread = scope.spawn(move || {
                let tid = std::fs::read_link("/proc/thread-self").unwrap();
                tell.send(tid).unwrap();
                let value = format!("{number:02}{}", "y".repeat(40_000));
                let callback = Callback::once(move |_| lock(&order).push(number));
                let record = ProducerRecord::new("t", value);
                producer.send_with(record, callback).map(|_| ()).unwrap();
            });
            // The next one comes when this one is asleep in the line.
            let tid = told.recv().unwrap();
            eventually("the thread waits for room", || {
                assert!(!thread.is_finished(), "there was room for {number}");
                state_of_thread(&tid) == Some('S')
            });
        }
        resume(&kafka);
    });
    producer.flush().unwrap();
    assert_eq!(*lock(&order), (0..12).collect::<Vec<_>>());
}

#[test]
fn small_record_does_not_overtake_a_large_one_that_waits() {
    let _limit = Limit::new(secs(30));
    let kafka = cluster();
    let producer = start(small(&kafka).max_block(secs(20)));
    producer.partitions_for("t").unwrap();
    stall(&kafka);
    let filled = fill(&producer, &"x".repeat(4000)).len();
    thread::scope(|scope| {
        let (tell, told) = channel();
        let producer = &producer;
        let large = scope.spawn(move || {
            tell.send(std::fs::read_link("/proc/thread-self").unwrap())
                .unwrap();
            let value = "L".repeat(40_000);
            producer
                .send(ProducerRecord::new("t", value))
                .unwrap()
                .get()
                .unwrap()
        });
        let tid = told.recv().unwrap();
        eventually("the large one waits", || state_of_thread(&tid) == Some('S'));
        // Whatever is free belongs to the one that waits.
        let refused = producer.try_send(ProducerRecord::new("t", "s".repeat(5000)));
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::BufferExhausted);
        resume(&kafka);
        let metadata = large.join().unwrap();
        assert_eq!(metadata.offset(), i64::try_from(filled).ok());
    });
}

#[test]
fn memory_is_whole_again_after_every_sort_of_end() {
    let _limit = Limit::new(secs(60));
    let kafka = cluster();
    let config = small(&kafka)
        .request_timeout(ms(150))
        .delivery_timeout(MAX_BLOCK * 2);
    let producer = start(config);
    producer.partitions_for("t").unwrap();
    let value = "x".repeat(1000);
    stall(&kafka);
    let full = fill(&producer, &value).len();
    resume(&kafka);
    producer.flush().unwrap();
    for turn in 0..6 {
        match turn {
            0 => stall(&kafka),
            // Timeouts, fatal codes, codes to try again after.
            1 => kafka.with(|c| c.fault(Fault::swallow(On::produce()).always())),
            2 => kafka.with(|c| c.fault(Fault::error(On::produce(), 29).always())),
            3 => kafka.with(|c| c.fault(Fault::error(On::produce(), 19).always())),
            _ => stall(&kafka),
        }
        // Whoever finds no room gives its ticket back too.
        let handles = fill(&producer, &value);
        assert!(
            handles.len() >= full - 4 || turn == 2,
            "turn {turn}: room for {} of {full}",
            handles.len()
        );
        if turn == 4 {
            let refused = producer.send(ProducerRecord::new("t", value.as_str()));
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::BufferExhausted);
        }
        if turn > 3 {
            resume(&kafka);
        }
        producer.flush().unwrap();
        drop(handles);
        resume(&kafka);
    }
}

#[test]
fn record_kept_by_an_error_counts_until_it_is_dropped() {
    let _limit = Limit::new(secs(30));
    let kafka = cluster();
    let producer = start(small(&kafka));
    producer.partitions_for("t").unwrap();
    stall(&kafka);
    let value = "x".repeat(1000);
    let full = fill(&producer, &value).len();
    resume(&kafka);
    producer.flush().unwrap();
    // 29 TOPIC_AUTHORIZATION_FAILED ends them at once.
    kafka.with(|cluster| cluster.fault(Fault::error(On::produce(), 29).always()));
    let errors: Vec<DeliveryError> = (0..10)
        .map(|_| {
            let record = ProducerRecord::new("t", value.as_str());
            producer.send(record).unwrap().get().unwrap_err()
        })
        .collect();
    kafka.with(kafka_test_support::Cluster::clear_faults);
    assert!(
        errors
            .iter()
            .all(|e| e.record().unwrap().value.unwrap() == value)
    );
    stall(&kafka);
    let less = fill(&producer, &value).len();
    resume(&kafka);
    producer.flush().unwrap();
    assert!(less < full, "10 records kept by errors take no room");
    drop(errors);
    stall(&kafka);
    let again = fill(&producer, &value).len();
    resume(&kafka);
    assert!(again >= full - 4, "room for {again} of {full}");
}

struct Nothing;

impl DeliveryCallback for Nothing {
    fn on_completion(&self, _: u64, _: Result<&RecordMetadata, &DeliveryError>) {}
}

#[test]
fn callbacks_are_charged_to_buffer_memory() {
    let _limit = Limit::new(secs(30));
    let kafka = cluster();
    let counts: Vec<usize> = [false, true]
        .into_iter()
        .map(|with_callback| {
            let producer = start(small(&kafka));
            producer.partitions_for("t").unwrap();
            stall(&kafka);
            let shared: Arc<dyn DeliveryCallback> = Arc::new(Nothing);
            let mut count = 0_u64;
            loop {
                let record = ProducerRecord::new("t", "0123456789");
                let sent = if with_callback {
                    producer.try_send_with(record, (&shared, count))
                } else {
                    producer.try_send(record)
                };
                if sent.is_err() {
                    break;
                }
                count += 1;
            }
            resume(&kafka);
            producer.flush().unwrap();
            drop(producer);
            assert_eq!(Arc::strong_count(&shared), 1, "a callback was kept");
            usize::try_from(count).unwrap()
        })
        .collect();
    let [without, with] = counts[..] else {
        unreachable!()
    };
    // A slot is some 24 bytes, as large as the record.
    assert!(
        with * 10 < without * 8,
        "{with} with, {without} without callbacks"
    );
    assert!(
        with * 5 > without,
        "{with} with, {without} without callbacks"
    );
}

#[test]
fn many_threads_through_little_memory_lose_nothing() {
    let _limit = Limit::new(secs(60));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(1).topic("t", 4));
    let producer = start(small(&kafka).max_block(secs(30)).buffer_memory(24 * 1024));
    thread::scope(|scope| {
        for thread in 0..6 {
            let producer = producer.clone();
            scope.spawn(move || {
                for number in 0..500 {
                    let value = format!("{thread} {number:06} {}", "z".repeat(number % 700));
                    drop(producer.send(ProducerRecord::new("t", value)).unwrap());
                }
            });
        }
    });
    producer.flush().unwrap();
    let count: usize = logs_of(&kafka, "t").iter().map(Vec::len).sum();
    assert_eq!(count, 3000);
}

#[test]
fn large_records_in_little_memory_go_one_after_another() {
    let _limit = Limit::new(secs(30));
    let kafka = cluster();
    let producer = start(small(&kafka).max_block(secs(30)));
    let value = "x".repeat(50_000);
    for _ in 0..20 {
        drop(
            producer
                .send(ProducerRecord::new("t", value.as_str()))
                .unwrap(),
        );
    }
    producer.flush().unwrap();
    let requests = kafka.with(|cluster| {
        let events = cluster.history();
        events
            .filter(|e| {
                matches!(
                    e.what,
                    What::Request {
                        api: Api::Produce,
                        ..
                    }
                )
            })
            .count()
    });
    assert_eq!(requests, 20);
    assert_eq!(values_in(&kafka, "t", 0).len(), 20);
}
