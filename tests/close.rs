//! The end of a producer: everything accepted has an outcome, and no thread is left.

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests read clocks, start threads and may panic"
)]

mod fixtures;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use kafka_producer::{
    Acks, Callback, DeliveryCallback, DeliveryError, ErrorKind, KafkaProducer, Persistence,
    ProducerRecord, RecordMetadata, SendHandle,
};
use kafka_test_support::{ClusterConfig, EmbeddedKafka, Fault, On};

use fixtures::ledger::{Ledger, assert_logs_tell, logs_of, values_in};
use fixtures::peer::dead_address;
use fixtures::process::Usage;
use fixtures::{
    Limit, assert_at_once, assert_names, assert_waited, config, config_for, eventually, lock, ms,
    secs, start, timed,
};

/// Threads are counted per process, so one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> (MutexGuard<'static, ()>, Limit) {
    let guard = lock(&ALONE);
    assert_eq!(
        Usage::of_producers().threads,
        0,
        "threads of an earlier test"
    );
    (guard, Limit::new(secs(40)))
}

fn cluster() -> EmbeddedKafka {
    EmbeddedKafka::start(ClusterConfig::brokers(2).topic("t", 4))
}

#[track_caller]
fn assert_no_threads() {
    // The last instructions of a thread come after it can be joined.
    eventually("the producer's threads are gone", || {
        Usage::of_producers().threads == 0
    });
}

#[test]
fn close_delivers_everything_and_ends_the_threads() {
    let _alone = alone();
    let kafka = cluster();
    for acks in [Acks::All, Acks::Leader, Acks::None] {
        let idempotence = acks == Acks::All;
        let config = config(&kafka).acks(acks).enable_idempotence(idempotence);
        let producer = start(config.linger(secs(20)));
        eventually("the thread has its name", || {
            Usage::of_producers().threads == 1
        });
        let mut ledger = Ledger::default();
        ledger.send_many(&producer, "t", 4, 1000);
        let (closed, waited) = timed(|| producer.close(secs(20)));
        closed.unwrap();
        // Else it would have waited for linger.ms.
        assert!(waited < secs(10), "{waited:?}");
        assert!(producer.is_closed());
        assert!(ledger.sent.iter().all(|sent| sent.handle.is_done()));
        assert!(ledger.settle().iter().all(|o| o.result.is_ok()));
        assert_no_threads();
    }
    eventually("acks=0 has arrived too", || {
        logs_of(&kafka, "t").iter().map(Vec::len).sum::<usize>() == 3000
    });
}

#[test]
fn close_of_an_unused_producer_is_immediate() {
    let _alone = alone();
    for bootstrap in [dead_address(), "kafka.invalid:9092".to_owned()] {
        let producer = start(config_for(bootstrap));
        let (closed, waited) = timed(|| producer.close(secs(20)));
        closed.unwrap();
        assert_at_once(waited);
        drop(producer);
        assert_no_threads();
    }
}

#[test]
fn close_twice_is_no_error() {
    let _alone = alone();
    let kafka = cluster();
    let producer = start(config(&kafka));
    let handle = producer.send(ProducerRecord::new("t", "v")).unwrap();
    producer.close(secs(10)).unwrap();
    let (closed, waited) = timed(|| producer.close(secs(10)));
    closed.unwrap();
    assert_at_once(waited);
    producer.clone().close(ms(0)).unwrap();
    handle.get().unwrap();
}

#[test]
fn close_with_a_stalled_broker_ends_in_time_and_says_what_is_known() {
    let _alone = alone();
    let kafka = cluster();
    let producer = start(config(&kafka).linger(ms(0)).batch_size(100));
    producer.partitions_for("t").unwrap();
    // Partition 0 answers nothing; its leader has one batch, the others never leave the house,
    // because no acknowledgement has come yet.
    let on = On::produce().partition("t", 0);
    kafka.with(|cluster| cluster.fault(Fault::hold(on).always()));
    let called = Arc::new(AtomicUsize::new(0));
    let mut handles: Vec<SendHandle> = Vec::new();
    for number in 0..10 {
        let count = Arc::clone(&called);
        let callback = Callback::once(move |result| {
            assert!(result.is_err());
            count.fetch_add(1, Ordering::SeqCst);
        });
        let value = format!("{number} {}", "x".repeat(100));
        let record = ProducerRecord::new("t", value).partition(0);
        handles.push(producer.send_with(record, callback).unwrap());
        eventually("the first batch is under way", || {
            kafka.with(|cluster| cluster.end_offset("t", 0) == 1)
        });
    }
    let (closed, waited) = timed(|| producer.close(ms(300)));
    let error = closed.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_names(&error.to_string(), &["10 records were given up", " ms"]);
    assert_waited(waited, ms(300));
    assert_eq!(error.undelivered_count(), 10);
    for (undelivered, number) in error.undelivered().zip(0..) {
        let value = undelivered.record().unwrap().value.unwrap();
        assert!(value.starts_with(number.to_string().as_bytes()));
        assert_eq!(
            undelivered.persistence() == Persistence::Unknown,
            number == 0
        );
    }
    assert_eq!(called.load(Ordering::SeqCst), 10, "a callback was not run");
    for (handle, number) in handles.into_iter().zip(0..) {
        let error = handle.try_get().expect("it has an outcome").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Aborted, "{error:?}");
        let known = if number == 0 {
            Persistence::Unknown
        } else {
            Persistence::NotWritten
        };
        assert_eq!(error.persistence(), known, "record {number}");
        let value = error.record().unwrap().value.unwrap();
        assert!(value.starts_with(number.to_string().as_bytes()));
    }
    assert_eq!(values_in(&kafka, "t", 0).len(), 1);
    assert_no_threads();
}

#[test]
fn close_of_zero_gives_up_at_once_what_has_no_outcome() {
    let _alone = alone();
    let kafka = cluster();
    let producer = start(config(&kafka).linger(secs(20)));
    let handle = producer.send(ProducerRecord::new("t", "v")).unwrap();
    let (closed, waited) = timed(|| producer.close(ms(0)));
    assert_eq!(closed.unwrap_err().kind(), ErrorKind::Timeout);
    assert_at_once(waited);
    let error = handle.get().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Aborted);
    assert_eq!(error.persistence(), Persistence::NotWritten);
    assert_no_threads();
}

#[test]
fn close_of_zero_inside_a_callback_does_not_wait() {
    let _alone = alone();
    let kafka = cluster();
    let producer = start(config(&kafka).linger(ms(0)));
    let inner = producer.clone();
    let (tell, told) = std::sync::mpsc::channel();
    let callback = Callback::once(move |_| tell.send(timed(|| inner.close(ms(0)))).unwrap());
    let record = ProducerRecord::new("t", "v");
    drop(producer.send_with(record, callback).unwrap());
    let (closed, waited) = told.recv_timeout(secs(10)).unwrap();
    closed.unwrap();
    assert_at_once(waited);
    assert_no_threads();
    assert!(producer.is_closed());
}

#[test]
fn close_ends_sends_that_wait() {
    let _alone = alone();
    let kafka = cluster();
    // One waits for a topic, one for room.
    kafka.with(|cluster| cluster.fault(Fault::hold(On::produce()).always()));
    let config = config(&kafka).max_block(secs(30)).buffer_memory(20_000);
    let producer = start(config.linger(ms(0)));
    let dead = start(config_for(dead_address()).max_block(secs(30)));
    producer.partitions_for("t").unwrap();
    let value = "x".repeat(4000);
    while producer
        .try_send(ProducerRecord::new("t", value.as_str()))
        .is_ok()
    {}
    thread::scope(|scope| {
        let for_topic = scope.spawn(|| dead.send(ProducerRecord::new("t", "v")).map(|_| ()));
        let for_room = scope.spawn(|| {
            let record = ProducerRecord::new("t", value.as_str());
            producer.send(record).map(|_| ())
        });
        let asks = scope.spawn(|| dead.partitions_for("t"));
        dead.close(secs(5)).unwrap();
        let _ = producer.close(ms(100));
        let refused = for_topic.join().unwrap().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Closed, "{refused:?}");
        let refused = for_room.join().unwrap().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Closed, "{refused:?}");
        assert_eq!(asks.join().unwrap().unwrap_err().kind(), ErrorKind::Closed);
    });
    assert_no_threads();
}

#[test]
fn close_while_threads_send_gives_every_record_an_outcome_or_refuses_it() {
    let _alone = alone();
    for round in 0..10 {
        let kafka = cluster();
        let producer = start(config(&kafka).batch_size(300));
        producer.partitions_for("t").unwrap();
        let sending = AtomicUsize::new(0);
        let accepted: Vec<usize> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|partition| {
                    let (producer, sending) = (producer.clone(), &sending);
                    scope.spawn(move || send_until_closed(&producer, partition, sending))
                })
                .collect();
            eventually("all threads send", || {
                sending.load(Ordering::SeqCst) >= 200 * (1 + round % 3)
            });
            producer.close(secs(20)).unwrap();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        for (partition, count) in (0..).zip(accepted) {
            let values = values_in(&kafka, "t", partition);
            let due: Vec<String> = (0..count).map(|n| format!("{n:06}")).collect();
            assert!(
                values == due,
                "partition {partition}: {} of {count}",
                values.len()
            );
        }
        assert_no_threads();
    }
}

/// How many were accepted; each of them is delivered.
fn send_until_closed(producer: &KafkaProducer, partition: i32, sending: &AtomicUsize) -> usize {
    let mut handles = Vec::new();
    loop {
        let value = format!("{:06}", handles.len());
        match producer.send(ProducerRecord::new("t", value).partition(partition)) {
            Ok(handle) => handles.push(handle),
            Err(refused) => {
                assert_eq!(refused.kind(), ErrorKind::Closed, "{refused:?}");
                break;
            }
        }
        sending.fetch_add(1, Ordering::SeqCst);
    }
    let count = handles.len();
    for handle in handles {
        handle.get().expect("what is accepted is delivered");
    }
    count
}

#[test]
fn forced_close_while_threads_send_leaves_no_record_without_outcome() {
    let _alone = alone();
    let kafka = cluster();
    kafka.with(|cluster| cluster.fault(Fault::delay(On::produce(), 20).always()));
    let producer = start(config(&kafka).batch_size(300).linger(ms(0)));
    producer.partitions_for("t").unwrap();
    let mut ledger = Ledger::default();
    ledger.send_many(&producer, "t", 4, 2000);
    let _ = producer.close(ms(30));
    assert!(ledger.sent.iter().all(|sent| sent.handle.is_done()));
    // What the broker had not read yet may still come in.
    drop(producer);
    assert_no_threads();
    let outcomes = ledger.settle();
    for outcome in &outcomes {
        if let Err(error) = &outcome.result {
            assert_eq!(error.kind(), ErrorKind::Aborted, "{error:?}");
        }
    }
    assert_logs_tell(&kafka, &outcomes);
}

/// Sends again whatever was delivered, for ever.
struct Perpetual {
    producer: KafkaProducer,
    sent: AtomicUsize,
    me: Mutex<Option<Arc<dyn DeliveryCallback>>>,
}

impl DeliveryCallback for Perpetual {
    fn on_completion(&self, tag: u64, _: Result<&RecordMetadata, &DeliveryError>) {
        let me = lock(&self.me).clone();
        if let Some(me) = me {
            let record = ProducerRecord::new("t", "again");
            if let Ok(_handle) = self.producer.send_with(record, (&me, tag + 1)) {
                self.sent.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}

#[test]
fn close_ends_a_chain_of_callbacks_that_send() {
    let _alone = alone();
    let kafka = cluster();
    let producer = start(config(&kafka).linger(ms(0)));
    let perpetual = Arc::new(Perpetual {
        producer: producer.clone(),
        sent: AtomicUsize::new(0),
        me: Mutex::new(None),
    });
    let shared: Arc<dyn DeliveryCallback> = Arc::<Perpetual>::clone(&perpetual);
    *lock(&perpetual.me) = Some(Arc::clone(&shared));
    drop(
        producer
            .send_with(ProducerRecord::new("t", "first"), (&shared, 0))
            .unwrap(),
    );
    eventually("the chain goes on", || {
        perpetual.sent.load(Ordering::SeqCst) > 100
    });
    let (closed, waited) = timed(|| producer.close(secs(20)));
    closed.unwrap();
    assert_at_once(waited);
    let sent = i64::try_from(perpetual.sent.load(Ordering::SeqCst)).unwrap();
    assert_eq!(kafka.with(|cluster| logs(cluster)), sent + 1);
    *lock(&perpetual.me) = None;
    assert_no_threads();
}

#[test]
fn close_while_batches_wait_to_be_sent_again_delivers_them() {
    let _alone = alone();
    let kafka = cluster();
    // 19 NOT_ENOUGH_REPLICAS.
    kafka.with(|cluster| cluster.fault(Fault::error(On::produce(), 19).times(6)));
    let producer = start(config(&kafka).retry_backoff(ms(50), ms(100)).linger(ms(0)));
    let mut ledger = Ledger::default();
    ledger.send_many(&producer, "t", 4, 100);
    producer.close(secs(20)).unwrap();
    ledger.assert_all_delivered(&kafka);
    assert_no_threads();
}

#[test]
fn drop_delivers_what_was_accepted() {
    let _alone = alone();
    let kafka = cluster();
    let producer = start(config(&kafka).linger(secs(20)));
    let second = producer.clone();
    let mut ledger = Ledger::default();
    ledger.send_many(&producer, "t", 4, 500);
    drop(producer);
    ledger.send_many(&second, "t", 4, 500);
    let ((), waited) = timed(|| drop(second));
    assert!(waited < secs(10), "{waited:?}");
    assert!(ledger.sent.iter().all(|sent| sent.handle.is_done()));
    ledger.assert_all_delivered(&kafka);
    assert_no_threads();
}

#[test]
fn drop_with_an_unreachable_broker_ends_with_the_delivery_timeout() {
    let _alone = alone();
    let kafka = cluster();
    let config = config(&kafka)
        .request_timeout(ms(200))
        .delivery_timeout(ms(500))
        .linger(ms(0));
    let producer = start(config);
    producer.partitions_for("t").unwrap();
    kafka.stop_broker(1);
    kafka.stop_broker(2);
    let handle = producer.send(ProducerRecord::new("t", "v")).unwrap();
    let ((), waited) = timed(|| drop(producer));
    assert_waited(waited, ms(500));
    let error = handle.get().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.persistence(), Persistence::NotWritten);
    assert_no_threads();
}

#[test]
fn drop_while_panicking_waits_for_nobody() {
    let _alone = alone();
    let kafka = cluster();
    kafka.with(|cluster| cluster.fault(Fault::hold(On::produce())));
    let producer = start(config(&kafka).linger(ms(0)));
    let handle = producer.send(ProducerRecord::new("t", "v")).unwrap();
    let (panicked, waited) = timed(|| {
        thread::spawn(move || {
            let _producer = producer;
            panic!("the application of the test panics");
        })
        .join()
    });
    assert!(panicked.is_err());
    assert_at_once(waited);
    eventually("the record is under way", || {
        kafka.with(|cluster| logs(cluster)) == 1
    });
    kafka.with(|cluster| cluster.release());
    assert_eq!(handle.get().unwrap().offset(), Some(0));
    assert_no_threads();
}

fn logs(cluster: &kafka_test_support::Cluster) -> i64 {
    (0..4)
        .map(|partition| cluster.end_offset("t", partition))
        .sum()
}

#[test]
fn producers_made_and_dropped_many_times_leave_nothing() {
    let _alone = alone();
    let kafka = cluster();
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let mut before = 0;
    for round in 0..30 {
        let producer = start(config(&kafka));
        drop(producer.send(ProducerRecord::new("t", "v")).unwrap());
        drop(producer);
        if round == 4 {
            before = descriptors();
        }
    }
    assert_no_threads();
    // The broker's own ends close a moment later.
    eventually("the descriptors are closed", || descriptors() <= before + 4);
}

#[test]
fn flushes_that_wait_end_when_the_producer_is_closed_by_force() {
    let _alone = alone();
    let kafka = cluster();
    kafka.with(|cluster| cluster.fault(Fault::hold(On::produce()).always()));
    let producer = start(config(&kafka).linger(secs(20)));
    let mut ledger = Ledger::default();
    ledger.send_many(&producer, "t", 4, 100);
    thread::scope(|scope| {
        let waits: Vec<_> = (0..4).map(|_| scope.spawn(|| producer.flush())).collect();
        eventually("the flushes let the records go", || {
            kafka.with(|cluster| logs(cluster)) > 0
        });
        assert!(producer.close(ms(50)).is_err());
        for flush in waits {
            flush.join().unwrap().unwrap();
        }
    });
    assert!(ledger.sent.iter().all(|sent| sent.handle.is_done()));
    assert_no_threads();
}

#[test]
fn construction_that_fails_leaves_no_thread() {
    let _alone = alone();
    let kafka = cluster();
    for (key, value) in [
        ("linger.ms", "-1"),
        ("bootstrap.servers", "nowhere"),
        ("enable.idempotence", "perhaps"),
        ("acks", "0"),
        ("delivery.timeout.ms", "1"),
    ] {
        let broken = config(&kafka).enable_idempotence(true).set(key, value);
        let error = KafkaProducer::new(broken).expect_err("it cannot be right");
        assert!(error.to_string().contains(key), "{error}");
        assert_eq!(Usage::of_producers().threads, 0, "{key}");
    }
    // What was made before something failed is not in the way of the next.
    start(config(&kafka)).close(secs(10)).unwrap();
    assert_no_threads();
}
