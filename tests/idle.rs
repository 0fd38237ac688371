//! A producer with nothing to do does nothing: its thread sleeps, whatever it is that it waits for.
//!
//! The kernel counts what the thread used over half a second. A loop that spins uses all of it and
//! fails by two orders of magnitude.

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests read clocks, start threads and may panic"
)]

mod fixtures;

use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use kafka_producer::{KafkaProducer, ProducerRecord, SendHandle};
use kafka_test_support::{Change, ClusterConfig, EmbeddedKafka, Fault, On};

use fixtures::peer::{Peer, Proxy, dead_address};
use fixtures::process::Usage;
use fixtures::{Limit, config, config_for, eventually, lock, ms, secs, start};

/// What is measured belongs to the whole process, so one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> (MutexGuard<'static, ()>, Limit) {
    (lock(&ALONE), Limit::new(secs(40)))
}

const INTERVAL: Duration = ms(500);

/// What the producers' threads use in half a second.
fn used() -> Usage {
    let before = Usage::of_producers();
    // Not to wait for something: this is the time over which is measured.
    thread::sleep(INTERVAL);
    let used = Usage::of_producers().since(before);
    assert!(used.threads > 0, "there is no thread to measure");
    used
}

/// At most `wakes` times awake, and no time used to speak of.
#[track_caller]
fn assert_sleeps(wakes: u64) {
    let used = used();
    assert!(
        used.sleeps <= wakes,
        "awake {} times: {used:?}",
        used.sleeps
    );
    assert!(used.cpu < ms(25), "{used:?}");
}

fn cluster() -> EmbeddedKafka {
    EmbeddedKafka::start(ClusterConfig::brokers(2).topic("t", 2))
}

fn send(producer: &KafkaProducer, partition: i32) -> SendHandle {
    let record = ProducerRecord::new("t", "v").partition(partition);
    producer.send(record).unwrap()
}

#[test]
fn producer_that_was_never_used_sleeps() {
    let _alone = alone();
    let kafka = cluster();
    let _producer = start(config(&kafka));
    eventually("it has started", || Usage::of_producers().threads == 1);
    assert_sleeps(5);
}

#[test]
fn producer_that_has_delivered_everything_sleeps() {
    let _alone = alone();
    let kafka = cluster();
    let producer = start(config(&kafka));
    for partition in 0..2 {
        send(&producer, partition).get().unwrap();
    }
    producer.flush().unwrap();
    assert_sleeps(5);
}

#[test]
fn producer_that_waits_for_an_answer_sleeps() {
    let _alone = alone();
    let kafka = cluster();
    let producer = start(config(&kafka).linger(ms(0)));
    producer.partitions_for("t").unwrap();
    kafka.with(|cluster| cluster.fault(Fault::hold(On::produce()).always()));
    let handle = send(&producer, 0);
    eventually("it is under way", || {
        kafka.with(|cluster| cluster.end_offset("t", 0)) == 1
    });
    assert_sleeps(5);
    kafka.with(|cluster| cluster.release());
    handle.get().unwrap();
}

#[test]
fn producer_with_an_unreachable_broker_sleeps_between_attempts() {
    let _alone = alone();
    // A hundred milliseconds between attempts, after the first few.
    let producer = start(config_for(dead_address()).max_block(ms(0)));
    let refused = producer.try_send(ProducerRecord::new("t", "v"));
    assert!(refused.is_err());
    assert_sleeps(150);
    let silent = Peer::start(|_, _| {});
    let producer = start(config_for(silent.address()));
    assert!(producer.try_send(ProducerRecord::new("t", "v")).is_err());
    eventually("it asks", || silent.accepted() > 0);
    assert_sleeps(150);
}

#[test]
fn producer_whose_broker_went_away_sleeps_between_attempts() {
    let _alone = alone();
    let kafka = cluster();
    let producer = start(config(&kafka));
    send(&producer, 0).get().unwrap();
    kafka.stop_broker(1);
    kafka.stop_broker(2);
    let handle = send(&producer, 0);
    assert_sleeps(150);
    kafka.start_broker(1);
    kafka.start_broker(2);
    handle.get().unwrap();
}

#[test]
fn producer_with_a_leaderless_partition_sleeps_between_questions() {
    let _alone = alone();
    let kafka = cluster();
    let producer = start(config(&kafka).retry_backoff(ms(50), ms(50)));
    kafka.with(|cluster| cluster.apply(Change::MoveLeader("t".to_owned(), 0, None)));
    let handle = send(&producer, 0);
    assert_sleeps(150);
    assert!(!handle.is_done());
    kafka.with(|cluster| cluster.move_leader("t", 0, 1));
    handle.get().unwrap();
}

#[test]
fn producer_with_a_lingering_batch_sleeps() {
    let _alone = alone();
    let kafka = cluster();
    let producer = start(config(&kafka).linger(secs(20)));
    let handle = send(&producer, 0);
    producer.partitions_for("t").unwrap();
    assert_sleeps(10);
    assert!(!handle.is_done());
    producer.flush().unwrap();
    handle.get().unwrap();
}

/// The first batch of a partition is unanswered, so the others must wait for it.
#[test]
fn producer_with_a_partition_blocked_by_its_sequence_sleeps() {
    let _alone = alone();
    let kafka = cluster();
    let producer = start(config(&kafka).linger(ms(0)).batch_size(0));
    producer.partitions_for("t").unwrap();
    kafka.with(|cluster| {
        let on = On::produce().partition("t", 0);
        cluster.fault(Fault::hold(on));
    });
    let handles: Vec<SendHandle> = (0..20).map(|_| send(&producer, 0)).collect();
    eventually("the first is under way", || {
        kafka.with(|cluster| cluster.end_offset("t", 0)) == 1
    });
    assert_sleeps(10);
    assert_eq!(kafka.with(|cluster| cluster.end_offset("t", 0)), 1);
    kafka.with(|cluster| cluster.release());
    for handle in handles {
        handle.get().unwrap();
    }
}

#[test]
fn producer_with_a_partition_that_ended_unknown_sleeps() {
    let _alone = alone();
    let kafka = cluster();
    let config = config(&kafka)
        .linger(ms(0))
        .request_timeout(ms(100))
        .delivery_timeout(ms(200));
    let producer = start(config);
    send(&producer, 0).get().unwrap();
    kafka.with(|cluster| cluster.fault(Fault::swallow(On::produce()).always()));
    assert!(send(&producer, 0).get().is_err());
    assert_sleeps(150);
    kafka.with(kafka_test_support::Cluster::clear_faults);
    // The connection may have to be made anew, which may take longer than this delivery timeout.
    eventually("the partition goes on", || send(&producer, 0).get().is_ok());
}

#[test]
fn producer_that_waits_to_try_again_sleeps() {
    let _alone = alone();
    let kafka = cluster();
    let producer = start(config(&kafka).retry_backoff(secs(5), secs(5)));
    send(&producer, 0).get().unwrap();
    // 19 NOT_ENOUGH_REPLICAS.
    kafka.with(|cluster| cluster.fault(Fault::error(On::produce(), 19)));
    let handle = send(&producer, 0);
    eventually("it was refused", || {
        kafka.with(|cluster| {
            let mut events = cluster.history();
            events.any(
                |e| matches!(&e.what, kafka_test_support::What::Produced(b) if b.error_code == 19),
            )
        })
    });
    assert_sleeps(10);
    assert!(!handle.is_done());
    let _ = producer.close(ms(0));
}

#[test]
fn throttled_producer_sleeps() {
    let _alone = alone();
    let kafka = cluster();
    let producer = start(config(&kafka).linger(ms(0)));
    producer.partitions_for("t").unwrap();
    kafka.with(|cluster| cluster.fault(Fault::throttle(On::produce(), 2000)));
    send(&producer, 0).get().unwrap();
    let handle = send(&producer, 0);
    assert_sleeps(10);
    handle.get().unwrap();
}

/// The socket takes no more of a request: the rest waits for the kernel to say so, and for nothing else.
#[test]
fn producer_whose_broker_does_not_read_sleeps() {
    let _alone = alone();
    let kafka = cluster();
    let proxy = Proxy::to(([127, 0, 0, 1], kafka.port(1)).into());
    kafka.with(|cluster| cluster.set_endpoint(1, "127.0.0.1", proxy.port()));
    let config = config_for(format!("127.0.0.1:{}", kafka.port(2)));
    let producer = start(config.linger(ms(0)));
    send(&producer, 0).get().unwrap();
    send(&producer, 1).get().unwrap();
    proxy.read_nothing(true);
    let value = vec![7; 900_000];
    let handles: Vec<SendHandle> = (0..16)
        .map(|_| {
            let record = ProducerRecord::new("t", value.as_slice()).partition(0);
            producer.send(record).unwrap()
        })
        .collect();
    // The other broker's partition goes on beside it.
    send(&producer, 1).get().unwrap();
    assert_sleeps(20);
    assert!(handles.iter().all(|handle| !handle.is_done()));
    proxy.read_nothing(false);
    for handle in handles {
        handle.get().unwrap();
    }
}
