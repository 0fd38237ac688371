//! Handles are futures without a runtime: few polls, no forgotten wakers.

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests read clocks, start threads and may panic"
)]

mod fixtures;

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use kafka_producer::{
    DeliveryError, ErrorKind, KafkaProducer, ProducerRecord, RecordMetadata, SendHandle,
};
use kafka_test_support::{ClusterConfig, EmbeddedKafka, Fault, On};

use fixtures::{Limit, config, eventually, executor, ms, secs, start};

const HANDLES: usize = 10_000;

/// A cluster that answers nothing until released, and a producer that knows its topic.
fn stalled() -> (EmbeddedKafka, KafkaProducer) {
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(1).topic("t", 4));
    let producer = start(config(&kafka));
    producer.partitions_for("t").unwrap();
    kafka.with(|cluster| cluster.fault(Fault::hold(On::produce()).always()));
    (kafka, producer)
}

fn resume(kafka: &EmbeddedKafka) {
    kafka.with(|cluster| {
        cluster.clear_faults();
        cluster.release();
    });
}

fn send(producer: &KafkaProducer, count: usize) -> Vec<SendHandle> {
    (0..count)
        .map(|_| producer.send(ProducerRecord::new("t", "v")).unwrap())
        .collect()
}

/// Counts how often a handle is polled.
struct Counted {
    handle: SendHandle,
    polls: usize,
    most: Rc<Cell<usize>>,
}

impl Future for Counted {
    type Output = Result<RecordMetadata, DeliveryError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.polls += 1;
        self.most.set(self.most.get().max(self.polls));
        Pin::new(&mut self.handle).poll(cx)
    }
}

/// Awaits all handles in `tasks` tasks; gives the most polls that one handle took.
fn await_all(handles: Vec<SendHandle>, tasks: usize) -> usize {
    let most = Rc::new(Cell::new(0));
    let done = Rc::new(Cell::new(0));
    let count = handles.len();
    let mut shares: Vec<Vec<SendHandle>> = (0..tasks).map(|_| Vec::new()).collect();
    for (handle, task) in handles.into_iter().zip((0..tasks).cycle()) {
        shares[task].push(handle);
    }
    let mut futures: Vec<Pin<Box<dyn Future<Output = ()>>>> = Vec::new();
    for share in shares {
        let (most, done) = (Rc::clone(&most), Rc::clone(&done));
        futures.push(Box::pin(async move {
            for handle in share {
                let (polls, most) = (0, Rc::clone(&most));
                Counted {
                    handle,
                    polls,
                    most,
                }
                .await
                .unwrap();
                done.set(done.get() + 1);
            }
        }));
    }
    executor::run(futures);
    assert_eq!(done.get(), count);
    most.get()
}

#[test]
fn ten_thousand_handles_awaited_take_at_most_two_polls_each() {
    let _limit = Limit::new(secs(60));
    for tasks in [1, 100] {
        let (kafka, producer) = stalled();
        let handles = send(&producer, HANDLES);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let sent = || kafka.with(|c| (0..4).map(|p| c.end_offset("t", p)).sum::<i64>());
                eventually("something is under way", || sent() > 0);
                resume(&kafka);
            });
            let most = await_all(handles, tasks);
            assert!(most <= 2, "{tasks} tasks: a handle was polled {most} times");
        });
    }
}

/// Counts how often it was woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Bell {
    fn rung(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

fn poll(handle: &mut SendHandle, bell: &Arc<Bell>) -> Poll<Result<RecordMetadata, DeliveryError>> {
    let waker = Waker::from(Arc::clone(bell));
    Pin::new(handle).poll(&mut Context::from_waker(&waker))
}

#[test]
fn waker_that_was_swapped_is_the_one_that_is_woken() {
    let _limit = Limit::new(secs(30));
    let (kafka, producer) = stalled();
    let mut handle = send(&producer, 1).pop().unwrap();
    let bells: Vec<Arc<Bell>> = (0..3).map(|_| Arc::default()).collect();
    for bell in &bells {
        assert!(poll(&mut handle, bell).is_pending());
        assert!(poll(&mut handle, bell).is_pending());
    }
    // Those that were replaced are kept by nobody; the last one by the handle's entry.
    let counts: Vec<usize> = bells.iter().map(Arc::strong_count).collect();
    assert_eq!(counts, [1, 1, 2]);
    resume(&kafka);
    eventually("the last waker is woken", || bells[2].rung() > 0);
    let rung: Vec<usize> = bells.iter().map(|bell| bell.rung()).collect();
    assert_eq!(rung, [0, 0, 1]);
    assert_eq!(Arc::strong_count(&bells[2]), 1);
    assert!(matches!(poll(&mut handle, &bells[0]), Poll::Ready(Ok(_))));
}

#[test]
fn handles_that_are_dropped_leave_no_entry_behind() {
    let _limit = Limit::new(secs(30));
    let (kafka, producer) = stalled();
    let bell = Arc::<Bell>::default();
    let mut handles = send(&producer, 1000);
    for handle in &mut handles {
        assert!(poll(handle, &bell).is_pending());
    }
    assert_eq!(Arc::strong_count(&bell), 1001);
    let kept = handles.split_off(990);
    drop(handles);
    assert_eq!(
        Arc::strong_count(&bell),
        11,
        "wakers of dropped handles are kept"
    );
    resume(&kafka);
    producer.flush().unwrap();
    assert_eq!(bell.rung(), 10, "dropped handles are woken");
    assert_eq!(Arc::strong_count(&bell), 1);
    assert!(kept.iter().all(SendHandle::is_done));
}

#[test]
fn handles_of_one_batch_each_wake_their_own_task() {
    let _limit = Limit::new(secs(30));
    let (kafka, producer) = stalled();
    let mut handles = send(&producer, 50);
    let bells: Vec<Arc<Bell>> = (0..50).map(|_| Arc::default()).collect();
    for (handle, bell) in handles.iter_mut().zip(&bells) {
        assert!(poll(handle, bell).is_pending());
    }
    resume(&kafka);
    producer.flush().unwrap();
    assert!(bells.iter().all(|bell| bell.rung() == 1));
}

#[test]
fn handle_that_is_done_is_ready_at_its_first_poll() {
    let _limit = Limit::new(secs(30));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(1).topic("t", 4));
    let producer = start(config(&kafka));
    let handles = send(&producer, 100);
    producer.flush().unwrap();
    assert_eq!(await_all(handles, 1), 1);
}

#[test]
fn threads_and_tasks_that_wait_for_one_batch_all_learn_of_it() {
    let _limit = Limit::new(secs(30));
    let (kafka, producer) = stalled();
    let mut tasks = send(&producer, 20);
    let bell = Arc::<Bell>::default();
    for handle in &mut tasks {
        assert!(poll(handle, &bell).is_pending());
    }
    std::thread::scope(|scope| {
        for handle in send(&producer, 8) {
            scope.spawn(move || handle.get().unwrap());
        }
        for mut handle in send(&producer, 8) {
            scope.spawn(move || handle.get_timeout(secs(20)).unwrap().unwrap());
        }
        resume(&kafka);
    });
    producer.flush().unwrap();
    assert_eq!(bell.rung(), 20);
}

#[test]
fn get_timeout_ends_in_time_and_the_handle_can_be_asked_again() {
    let _limit = Limit::new(secs(30));
    let (kafka, producer) = stalled();
    let mut handle = send(&producer, 1).pop().unwrap();
    let (outcome, waited) = fixtures::timed(|| handle.get_timeout(ms(150)));
    assert!(outcome.is_none());
    fixtures::assert_waited(waited, ms(150));
    assert!(handle.try_get().is_none());
    assert!(!handle.is_done());
    resume(&kafka);
    assert!(handle.get_timeout(secs(20)).unwrap().is_ok());
    // It may be asked as often as one likes.
    assert_eq!(handle.try_get().unwrap().unwrap().offset(), Some(0));
    assert_eq!(handle.get().unwrap().offset(), Some(0));
}

#[test]
fn records_that_fail_wake_their_tasks_too() {
    let _limit = Limit::new(secs(30));
    let (kafka, producer) = stalled();
    let bell = Arc::<Bell>::default();
    let mut handles = send(&producer, 10);
    for handle in &mut handles {
        assert!(poll(handle, &bell).is_pending());
    }
    let _ = producer.close(ms(0));
    assert_eq!(bell.rung(), 10);
    for handle in &mut handles {
        let Poll::Ready(Err(error)) = poll(handle, &bell) else {
            panic!("it is not over");
        };
        assert_eq!(error.kind(), ErrorKind::Aborted);
    }
    drop(kafka);
}
