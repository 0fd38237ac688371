//! Callbacks on a thread of their own: nothing else waits for slow ones, and all that is promised of
//! callbacks holds there too.

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests read clocks, start threads and may panic"
)]

mod fixtures;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use kafka_producer::{Callback, ErrorKind, KafkaProducer, ProducerConfig, ProducerRecord};
use kafka_test_support::{ClusterConfig, EmbeddedKafka, Fault, On};

use fixtures::ledger::values_in;
use fixtures::process::Usage;
use fixtures::{Limit, assert_names, config, eventually, lock, ms, secs, start, timed};

/// Threads are counted per process, so one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> (MutexGuard<'static, ()>, Limit) {
    (lock(&ALONE), Limit::new(secs(40)))
}

fn cluster() -> EmbeddedKafka {
    EmbeddedKafka::start(ClusterConfig::brokers(1).topic("t", 2))
}

fn own_thread(kafka: &EmbeddedKafka) -> ProducerConfig {
    config(kafka).linger(ms(0)).callback_thread_enable(true)
}

fn record(number: usize) -> ProducerRecord<'static, kafka_producer::Null, String> {
    ProducerRecord::new("t", number.to_string()).partition(0)
}

/// A callback that waits until it is let go, or until whoever could is gone.
fn held() -> (Callback<'static>, Sender<()>, Receiver<()>) {
    let ((let_go, waits), (begins, begun)) = (channel::<()>(), channel());
    let callback = Callback::once(move |_| {
        let _ = begins.send(());
        let _ = waits.recv();
    });
    (callback, let_go, begun)
}

#[test]
fn callbacks_run_in_order_on_their_own_thread_before_handles_and_flush() {
    let _alone = alone();
    let kafka = cluster();
    let producer = start(own_thread(&kafka).client_id("me").batch_size(64));
    let told = Arc::new(Mutex::new(Vec::new()));
    let handles: Vec<_> = (0..50)
        .map(|number| {
            let told = Arc::clone(&told);
            let callback = Callback::once(move |_| {
                let name = thread::current().name().map(str::to_owned);
                lock(&told).push((number, name));
            });
            producer.send_with(record(number), callback).unwrap()
        })
        .collect();
    producer.flush().unwrap();
    let told = std::mem::take(&mut *lock(&told));
    assert!(handles.iter().all(kafka_producer::SendHandle::is_done));
    let numbers: Vec<usize> = told.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (0..50).collect::<Vec<_>>());
    let name = Some("kafka-producer-callback-thread | me".to_owned());
    assert!(told.iter().all(|(_, thread)| *thread == name), "{told:?}");
    producer.close(secs(10)).unwrap();
    eventually("both threads are gone", || {
        Usage::of_producers().threads == 0
    });
}

#[test]
fn callback_that_waits_holds_up_no_io() {
    let _alone = alone();
    let kafka = cluster();
    let producer = start(own_thread(&kafka));
    let (callback, let_go, begun) = held();
    let first = producer.send_with(record(0), callback).unwrap();
    begun.recv().unwrap();
    for number in 1..20 {
        producer.send(record(number)).unwrap().get().unwrap();
    }
    assert_eq!(
        values_in(&kafka, "t", 0).len(),
        20,
        "they went out meanwhile"
    );
    let behind = producer.send_with_callback(record(20), |_| {}).unwrap();
    eventually("it is written", || values_in(&kafka, "t", 0).len() == 21);
    assert!(
        !first.is_done() && !behind.is_done(),
        "callbacks come first"
    );
    let flushed = producer.flush_timeout(ms(10)).unwrap_err();
    assert_eq!(flushed.kind(), ErrorKind::Timeout);
    drop(let_go);
    producer.flush().unwrap();
    assert!(first.is_done() && behind.is_done());
}

#[test]
fn what_would_wait_fails_at_once_on_the_callback_thread_too() {
    let _alone = alone();
    let kafka = cluster();
    let producer = start(own_thread(&kafka));
    let (tell, told) = channel();
    let own = producer.clone();
    let callback = move |_: Result<&_, &_>| {
        let flush = own.flush().unwrap_err().kind();
        let close = own.close(secs(1)).unwrap_err().kind();
        // Told by this very thread, once it is through here.
        let sent = own.send_with_callback(record(1), |_| {}).unwrap();
        let get = sent.get().unwrap_err().kind();
        let purged = own.purge("nobody's");
        tell.send((flush, close, get, purged)).unwrap();
    };
    drop(producer.send_with_callback(record(0), callback).unwrap());
    let deadlock = ErrorKind::WouldDeadlock;
    assert_eq!(told.recv().unwrap(), (deadlock, deadlock, deadlock, 0));
    producer.flush().unwrap();
    assert_eq!(values_in(&kafka, "t", 0).len(), 2);
}

#[test]
fn callback_that_panics_harms_nobody() {
    let _alone = alone();
    let kafka = cluster();
    let producer = start(own_thread(&kafka));
    let bad = |_: Result<&_, &_>| panic!("on purpose");
    let first = producer.send_with_callback(record(0), bad).unwrap();
    let second = producer.send_with_callback(record(1), |_| {}).unwrap();
    producer.flush().unwrap();
    assert!(first.get().is_ok() && second.get().is_ok());
}

#[test]
fn what_waits_for_its_callback_keeps_its_memory() {
    let _alone = alone();
    let kafka = cluster();
    let config = own_thread(&kafka).buffer_memory(64 * 1024).batch_size(4096);
    let producer = start(config.max_block(ms(300)));
    let (callback, let_go, begun) = held();
    drop(producer.send_with(record(0), callback).unwrap());
    begun.recv().unwrap();
    let value = "x".repeat(1000);
    let send = || {
        let record = ProducerRecord::new("t", value.as_str()).partition(0);
        producer.send_with_callback(record, |_| {})
    };
    let accepted = (0..1000).take_while(|_| send().is_ok()).count();
    assert!((10..65).contains(&accepted), "{accepted} of 64 KB");
    assert_eq!(send().unwrap_err().kind(), ErrorKind::BufferExhausted);
    drop(let_go);
    producer.flush().unwrap();
    send().unwrap().get().unwrap();
}

#[test]
fn close_waits_for_callbacks_within_its_timeout() {
    let _alone = alone();
    let kafka = cluster();
    let producer = start(own_thread(&kafka));
    let (callback, let_go, begun) = held();
    let handle = producer.send_with(record(0), callback).unwrap();
    begun.recv().unwrap();
    let (closed, waited) = timed(|| producer.close(ms(300)));
    let error = closed.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_names(
        &error.to_string(),
        &["callbacks of 1 batches", "callback.thread.enable"],
    );
    assert!(waited >= ms(300) && waited < secs(5), "{waited:?}");
    assert_eq!(error.undelivered_count(), 0, "it is written");
    assert!(!handle.is_done());
    drop(let_go);
    handle.get().unwrap();
    producer.close(secs(10)).unwrap();
    eventually("both threads are gone", || {
        Usage::of_producers().threads == 0
    });
}

#[test]
fn close_by_force_tells_everything_in_callbacks() {
    let _alone = alone();
    let kafka = cluster();
    let producer = start(own_thread(&kafka));
    producer.partitions_for("t").unwrap();
    kafka.with(|cluster| cluster.fault(Fault::hold(On::produce()).always()));
    let (tell, told) = channel();
    for number in 0..10 {
        let tell = tell.clone();
        let callback = move |result: Result<&_, &kafka_producer::DeliveryError>| {
            tell.send(result.err().map(kafka_producer::DeliveryError::kind))
                .unwrap();
        };
        drop(
            producer
                .send_with_callback(record(number), callback)
                .unwrap(),
        );
    }
    drop(tell);
    let error = producer.close(ms(0)).unwrap_err();
    assert_eq!(error.undelivered_count(), 10);
    let kinds: Vec<_> = told.iter().collect();
    assert_eq!(kinds, [Some(ErrorKind::Aborted); 10]);
}

#[test]
fn last_producer_dropped_in_a_callback_ends_both_threads() {
    let _alone = alone();
    let kafka = cluster();
    let producer = start(own_thread(&kafka));
    let (tell, told) = channel();
    let own: KafkaProducer = producer.clone();
    let (let_go, waits) = channel::<()>();
    let callback = move |_: Result<&_, &_>| {
        let _ = waits.recv();
        drop(own);
        tell.send(()).unwrap();
    };
    drop(producer.send_with_callback(record(0), callback).unwrap());
    drop(producer);
    drop(let_go);
    told.recv().unwrap();
    eventually("both threads are gone", || {
        Usage::of_producers().threads == 0
    });
}
