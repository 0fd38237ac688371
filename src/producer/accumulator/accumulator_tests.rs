//! Append, ready, drain, retry, expire, flush and close, on a clock that stands still.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::time::Duration;

use super::drainer::ReadyCheck;
use super::*;
use crate::cluster::{Cluster, Node, NodeId, PartitionInfo, TopicInfo, Uuid};
use crate::error::{Error, ErrorKind, Persistence};
use crate::network::Wakeup;
use crate::producer::batch_id::SlotId;
use crate::producer::callback::Callback;
use crate::producer::send_handle::{RecordSizes, SendHandle};
use crate::random::Random;
use crate::record::{BatchReader, RecordView};
use crate::time::{MockTime, Time};

struct Bench {
    accumulator: Arc<RecordAccumulator>,
    drainer: Drainer,
    cluster: Arc<Cluster>,
    clock: Arc<MockTime>,
    wakeup: Wakeup,
}

fn config() -> AccumulatorConfig {
    AccumulatorConfig {
        batch_size: 1024,
        linger: Duration::from_millis(5),
        buffer_memory: 64 * 1024,
        delivery_timeout: Duration::from_secs(120),
        retry_backoff: Duration::from_millis(100),
        retry_backoff_max: Duration::from_secs(1),
    }
}

fn cluster_of(partitions: Vec<PartitionInfo>, before: &Cluster) -> Arc<Cluster> {
    let node = |id| Node {
        id: NodeId(id),
        host: "localhost".into(),
        port: 9092,
        rack: None,
    };
    before
        .to_builder()
        .nodes([node(1), node(2)])
        .topic(TopicInfo {
            name: "topic".into(),
            id: Uuid([1; 16]),
            partitions,
        })
        .build()
}

fn led_by(leader: i32, leader_epoch: i32) -> PartitionInfo {
    PartitionInfo {
        leader: (leader > 0).then_some(NodeId(leader)),
        leader_epoch,
    }
}

impl Bench {
    fn new(config: AccumulatorConfig, partitions: Vec<PartitionInfo>) -> Self {
        let (time, clock) = Time::mock();
        let wakeup = Wakeup::new(None);
        let accumulator = RecordAccumulator::new(config, time, Random::seeded(1), wakeup.clone());
        let cluster = cluster_of(partitions, &Cluster::default());
        accumulator.learn_topic(cluster.topic("topic").expect("it was just put there"));
        let drainer = Drainer::new(Arc::clone(&accumulator), Random::seeded(2));
        Self {
            accumulator,
            drainer,
            cluster,
            clock,
            wakeup,
        }
    }

    fn append(
        &self,
        partition: Option<i32>,
        value: &[u8],
        mut callback: Option<Callback<'_>>,
    ) -> Append {
        let topic = self.accumulator.topic("topic").expect("it is known");
        let record = RecordToAppend {
            partition,
            view: RecordView::new(7, None, Some(value), &[]),
        };
        self.accumulator.try_append(
            &topic,
            &record,
            &mut callback,
            &mut MemoryTicket::default(),
            None,
        )
    }

    fn send(&self, partition: i32, value: &[u8]) -> SendHandle {
        match self.append(Some(partition), value, None) {
            Append::Appended { result, index } => {
                let sizes = RecordSizes {
                    timestamp_ms: 7,
                    serialized_key_size: -1,
                    serialized_value_size: i32::try_from(value.len()).expect("small"),
                };
                SendHandle::new(result, index, sizes)
            }
            other => panic!("{other:?}"),
        }
    }

    fn ready(&mut self) -> ReadyCheck {
        self.drainer.ready(&self.cluster, self.clock.now())
    }

    fn drain(&mut self, node: i32, max_size: usize) -> Vec<Drained> {
        let mut out = Vec::new();
        let admit = &mut |_: &BatchHead| DrainVerdict::Send(None);
        self.drainer
            .drain(NodeId(node), max_size, self.clock.now(), admit, &mut out);
        out
    }

    fn ready_nodes(&mut self) -> Vec<i32> {
        let mut nodes: Vec<i32> = self.ready().nodes.into_iter().map(|node| node.0).collect();
        nodes.sort_unstable();
        nodes
    }

    fn advance(&self, ms: u64) {
        self.clock.advance(Duration::from_millis(ms));
    }
}

fn acked(base_offset: i64) -> BatchAck {
    BatchAck {
        base_offset,
        log_append_time_ms: -1,
    }
}

fn failure(kind: ErrorKind) -> BatchFailure {
    BatchFailure {
        error: Error::new(kind, "why"),
        record_errors: Vec::new(),
    }
}

#[test]
fn lingering_batch_is_not_ready_before_its_time() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    let _handle = bench.send(0, b"x");
    let check = bench.ready();
    assert!(check.nodes.is_empty());
    assert_eq!(
        check.next_check,
        Some(bench.clock.now() + Duration::from_millis(5))
    );
    bench.advance(5);
    assert_eq!(bench.ready_nodes(), [1]);
    assert_eq!(bench.drain(1, 1 << 20).len(), 1);
    assert_eq!(bench.ready_nodes(), [0; 0]);
}

#[test]
fn full_batch_is_ready_at_once_and_records_stay_in_order() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    let handles: Vec<SendHandle> = (0..30).map(|i| bench.send(0, &[i; 100])).collect();
    assert_eq!(bench.ready_nodes(), [1]);
    let mut batch = bench.drain(1, 1 << 20).pop().expect("a batch").batch;
    let count = batch.record_count();
    assert!(
        batch.size() <= 1024 && count > 5,
        "{} bytes, {count} records",
        batch.size()
    );
    let parts = batch.encode(None);
    let mut reader = BatchReader::new(&parts[1..]);
    for i in 0..count {
        let value = reader.read().expect("a record").value.expect("a value");
        assert_eq!(value[0], u8::try_from(i).expect("few"));
    }
    assert!(reader.read().is_none());
    batch.complete(acked(100));
    let metadata = handles[3].try_get().expect("done").expect("acknowledged");
    assert_eq!((metadata.offset(), metadata.timestamp_ms()), (Some(103), 7));
    assert!(handles.last().expect("thirty").try_get().is_none());
}

#[test]
fn record_larger_than_a_batch_goes_alone() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    let _small = bench.send(0, b"x");
    let _large = bench.send(0, &[7; 5000]);
    let _after = bench.send(0, b"y");
    bench.advance(5);
    let sizes: Vec<u32> = (0..3)
        .map(|_| {
            bench.ready();
            bench
                .drain(1, 1 << 20)
                .pop()
                .expect("a batch")
                .batch
                .record_count()
        })
        .collect();
    assert_eq!(sizes, [1, 1, 1]);
}

#[test]
fn drain_takes_one_batch_per_partition_up_to_the_request_size() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0), led_by(1, 0), led_by(2, 0)]);
    let _handles: Vec<SendHandle> = (0..3)
        .flat_map(|p| [bench.send(p, &[0; 900]), bench.send(p, &[0; 900])])
        .collect();
    assert_eq!(bench.ready_nodes(), [1, 2]);
    assert!(bench.drain(9, 1500).is_empty(), "it leads nothing");
    let first = bench.drain(1, 1500);
    assert_eq!(
        first.len(),
        1,
        "a second batch would be too large for the request"
    );
    let second = bench.drain(1, 1500);
    assert_ne!(
        first[0].batch.id().slot,
        second[0].batch.id().slot,
        "it goes on where it stopped"
    );
    assert_eq!(
        bench.drain(2, 1).len(),
        1,
        "one that is larger than the request goes alone"
    );
}

#[test]
fn skipped_partition_is_not_ready_until_it_is_unblocked() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0), led_by(1, 0)]);
    let _handles = [bench.send(0, &[0; 1000]), bench.send(1, &[0; 1000])];
    bench.advance(5);
    bench.ready();
    let mut out = Vec::new();
    let mut skipped = None;
    bench.drainer.drain(
        NodeId(1),
        1 << 20,
        bench.clock.now(),
        &mut |head| {
            if head.id.slot == SlotId(0) {
                skipped = Some(head.id.slot);
                return DrainVerdict::SkipPartition;
            }
            DrainVerdict::Send(None)
        },
        &mut out,
    );
    assert_eq!(out.len(), 1, "the other partition is not held up");
    assert_eq!(bench.ready_nodes(), [0; 0], "a skip cannot spin");
    let now = bench.clock.now();
    bench.drainer.unblock(skipped.expect("it was shown"), now);
    assert_eq!(bench.ready_nodes(), [1]);
}

#[test]
fn batch_behind_one_that_waits_can_go_first_or_be_taken_out() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    let _handles: Vec<SendHandle> = (0..3).map(|i| bench.send(0, &[i; 1000])).collect();
    bench.advance(5);
    bench.ready();
    let (mut shown, mut out) = (Vec::new(), Vec::new());
    let now = bench.clock.now();
    bench.drainer.drain(
        NodeId(1),
        1 << 20,
        now,
        &mut |head| {
            shown.push(head.id.first_record);
            match head.id.first_record {
                0 => DrainVerdict::TryNext,
                _ => DrainVerdict::Send(None),
            }
        },
        &mut out,
    );
    assert_eq!(shown, [0, 1]);
    assert_eq!(out[0].batch.id().first_record, 1);
    bench.drainer.drain(
        NodeId(1),
        1 << 20,
        now,
        &mut |_| DrainVerdict::TakeOut,
        &mut out,
    );
    assert!(out[1].is_over && out[1].batch.id().first_record == 0);
    assert_eq!(bench.ready_nodes(), [1], "there is one more");
    let admit = &mut |_: &BatchHead| DrainVerdict::TryNext;
    bench
        .drainer
        .drain(NodeId(1), 1 << 20, now, admit, &mut out);
    assert_eq!(bench.ready_nodes(), [0; 0], "all passed over is a skip");
    bench.drainer.unblock(out[1].batch.id().slot, now);
    assert_eq!(bench.ready_nodes(), [1]);
}

#[test]
fn partition_whose_queue_was_emptied_has_one_place_in_its_ring_afterwards() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    let _first = bench.send(0, b"x");
    assert_eq!(bench.ready_nodes(), [0; 0], "it lingers");
    let flush = bench.accumulator.begin_flush();
    assert_eq!(bench.ready_nodes(), [1]);
    drop(flush);
    bench.drainer.abort_all(&mut Vec::new());
    bench.advance(5);
    bench.ready();
    let _later: Vec<SendHandle> = (0..4).map(|i| bench.send(0, &[i; 1000])).collect();
    bench.advance(5);
    bench.ready();
    assert_eq!(
        bench.drain(1, 1 << 20).len(),
        1,
        "one batch of a partition in a request"
    );
}

#[test]
fn drained_for_good_only_when_no_queue_holds_anything() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    assert!(bench.drainer.is_drained_for_good());
    let _handle = bench.send(0, b"x");
    bench.accumulator.close();
    assert!(!bench.drainer.is_drained_for_good());
    bench.ready();
    let drained = bench.drain(1, 1 << 20);
    assert!(bench.drainer.is_drained_for_good());
    drop(drained);
}

#[test]
fn topic_that_vanishes_and_comes_back_larger_keeps_its_slots() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    let _handle = bench.send(0, b"x");
    bench.ready();
    let known = bench.accumulator.topic("topic").expect("known");
    bench.cluster = bench.cluster.to_builder().without_topic("topic").build();
    bench.ready();
    assert!(bench.accumulator.topic("topic").is_none());
    bench.cluster = cluster_of(vec![led_by(1, 0), led_by(0, 0)], &bench.cluster);
    bench.ready();
    let again = bench.accumulator.topic("topic").expect("it is back");
    assert_eq!(again.partition_count(), 2);
    assert!(Arc::ptr_eq(&known.slots[0], &again.slots[0]));
    assert_eq!(again.available, Some(vec![0]));
    bench.cluster = cluster_of(vec![led_by(2, 1), led_by(0, 0)], &bench.cluster);
    bench.ready();
    let same = bench.accumulator.topic("topic").expect("it is there");
    assert!(Arc::ptr_eq(&same, &again), "a moved leader changes nothing");
}

#[test]
fn retried_batch_waits_for_its_backoff_unless_the_leader_changed() {
    let mut bench = Bench::new(config(), vec![led_by(1, 3)]);
    let _handle = bench.send(0, &[0; 1000]);
    bench.advance(5);
    bench.ready();
    let mut batch = bench.drain(1, 1 << 20).pop().expect("a batch").batch;
    let now = bench.clock.now();
    batch.begin_attempt(now, 3);
    bench.drainer.reenqueue(batch, now);
    assert_eq!(bench.ready_nodes(), [0; 0]);
    bench.cluster = cluster_of(vec![led_by(2, 4)], &bench.cluster);
    assert_eq!(bench.ready_nodes(), [2], "a new leader is asked at once");
    bench.cluster = cluster_of(vec![led_by(1, 3)], &bench.cluster);
    assert_eq!(bench.ready_nodes(), [0; 0]);
    bench.advance(121);
    assert_eq!(bench.ready_nodes(), [1]);
}

#[test]
fn retried_batches_go_back_in_order() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    let _handles: Vec<SendHandle> = (0..3).map(|i| bench.send(0, &[i; 1000])).collect();
    bench.advance(5);
    bench.ready();
    let (first, second) = (
        bench.drain(1, 1 << 20).remove(0),
        bench.drain(1, 1 << 20).remove(0),
    );
    let (first_id, second_id) = (first.batch.id(), second.batch.id());
    let now = bench.clock.now();
    bench.drainer.reenqueue(second.batch, now);
    bench.drainer.reenqueue(first.batch, now);
    bench.advance(2000);
    bench.ready();
    assert_eq!(bench.drain(1, 1 << 20)[0].batch.id(), first_id);
    assert_eq!(bench.drain(1, 1 << 20)[0].batch.id(), second_id);
}

#[test]
fn leaderless_partition_waits_and_names_its_topic() {
    let mut bench = Bench::new(config(), vec![led_by(0, 0)]);
    let _handle = bench.send(0, &[0; 1000]);
    bench.advance(5);
    let check = bench.ready();
    assert!(check.nodes.is_empty());
    assert_eq!(check.unknown_leader_topics, ["topic".into()]);
    bench.cluster = cluster_of(vec![led_by(2, 1)], &bench.cluster);
    assert_eq!(bench.ready_nodes(), [2]);
}

#[test]
fn queued_batch_expires_at_its_delivery_timeout() {
    let mut bench = Bench::new(config(), vec![led_by(0, 0)]);
    let handle = bench.send(0, b"x");
    let mut out = Vec::new();
    bench.ready();
    bench.advance(119_999);
    bench.drainer.expire(bench.clock.now(), &mut out);
    assert!(out.is_empty());
    bench.advance(1);
    bench.drainer.expire(bench.clock.now(), &mut out);
    let batch = out.pop().expect("its time is over");
    batch.fail(failure(ErrorKind::Timeout));
    let error = handle.try_get().expect("done").expect_err("expired");
    assert_eq!(
        (error.kind(), error.persistence()),
        (ErrorKind::Timeout, Persistence::NotWritten)
    );
    let record = error.record().expect("it is given back");
    assert_eq!(
        (record.value.as_deref(), record.timestamp_ms),
        (Some(&b"x"[..]), 7)
    );
    assert!(!bench.drainer.has_queued());
}

#[test]
fn flush_makes_everything_ready_and_ends_after_the_callbacks() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    let called = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&called);
    let callback = Callback::once(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    assert!(matches!(
        bench.append(Some(0), b"x", Some(callback)),
        Append::Appended { .. }
    ));
    let mut flush = bench.accumulator.begin_flush();
    assert_eq!(bench.ready_nodes(), [1]);
    assert!(!flush.poll(Waker::noop()));
    let batch = bench.drain(1, 1 << 20).pop().expect("a batch").batch;
    batch.complete(acked(0));
    assert_eq!(called.load(Ordering::Relaxed), 1);
    assert!(flush.poll(Waker::noop()));
}

#[test]
fn full_pool_makes_everything_ready_and_serves_the_waiter_when_memory_returns() {
    let mut tight = config();
    tight.buffer_memory = 2048;
    tight.linger = Duration::from_secs(60);
    let mut bench = Bench::new(tight, vec![led_by(1, 0), led_by(1, 0)]);
    let _handles = [bench.send(0, b"a"), bench.send(1, b"b")];
    assert!(bench.ready_nodes().is_empty());
    let topic = bench.accumulator.topic("topic").expect("known");
    let mut callback = None;
    let record = RecordToAppend {
        partition: Some(0),
        view: RecordView::new(0, None, Some(&[0; 1000]), &[]),
    };
    let (woken, waker) = counted();
    let mut ticket = MemoryTicket::default();
    let append =
        bench
            .accumulator
            .try_append(&topic, &record, &mut callback, &mut ticket, Some(&waker));
    assert!(matches!(append, Append::Blocked), "{append:?}");
    assert_eq!(
        bench.ready_nodes(),
        [1],
        "nobody lingers while somebody waits for memory"
    );
    for drained in bench.drain(1, 1 << 20) {
        drained.batch.complete(acked(0));
    }
    assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    let append =
        bench
            .accumulator
            .try_append(&topic, &record, &mut callback, &mut ticket, Some(&waker));
    assert!(matches!(append, Append::Appended { .. }), "{append:?}");
}

#[derive(Default)]
struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn counted() -> (Arc<Counter>, Waker) {
    let counter = Arc::new(Counter::default());
    (Arc::clone(&counter), Waker::from(counter))
}

#[test]
fn memory_of_an_acknowledged_batch_comes_back_whole() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    let before = bench.accumulator.available_memory();
    for _ in 0..100 {
        let callback = Callback::once(|_| {});
        assert!(matches!(
            bench.append(Some(0), &[0; 10], Some(callback)),
            Append::Appended { .. }
        ));
    }
    bench.advance(5);
    while bench.drainer.has_queued() {
        bench.ready();
        for mut drained in bench.drain(1, 1 << 20) {
            let on_the_socket = drained.batch.encode(None);
            drained.batch.complete(acked(0));
            assert!(
                bench.accumulator.available_memory() < before,
                "a transport still reads it"
            );
            drop(on_the_socket);
        }
    }
    assert_eq!(bench.accumulator.available_memory(), before);
}

#[test]
fn close_refuses_appends_and_makes_the_rest_ready() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    let handle = bench.send(0, b"x");
    bench.accumulator.close();
    let Append::Failed(error) = bench.append(Some(0), b"y", None) else {
        panic!("it is closed")
    };
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(bench.ready_nodes(), [1]);
    let mut out = Vec::new();
    bench.drainer.abort_all(&mut out);
    assert_eq!(out.len(), 1);
    drop(out);
    let error = handle.try_get().expect("done").expect_err("dropped");
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert_eq!(bench.accumulator.incomplete_batches(), 0);
}

#[test]
fn sticky_partition_changes_when_it_had_its_share() {
    let mut many = config();
    many.buffer_memory = 4 << 20;
    let bench = Bench::new(many, (0..8).map(|_| led_by(1, 0)).collect());
    let mut partitions = Vec::new();
    for _ in 0..400 {
        let Append::Appended { result, .. } = bench.append(None, &[0; 100], None) else {
            panic!()
        };
        partitions.push(result.topic_partition().partition);
    }
    let changes = partitions
        .windows(2)
        .filter(|pair| pair[0] != pair[1])
        .count();
    assert!(
        (20..=60).contains(&changes),
        "{changes} changes in 400 records of 100 bytes"
    );
}

#[test]
fn sticky_partition_has_a_leader_if_any_has() {
    let bench = Bench::new(config(), vec![led_by(0, 0), led_by(2, 0), led_by(0, 0)]);
    for _ in 0..50 {
        let Append::Appended { result, .. } = bench.append(None, &[0; 100], None) else {
            panic!()
        };
        assert_eq!(result.topic_partition().partition, 1);
    }
}

#[test]
fn partition_that_is_not_there_is_told() {
    let bench = Bench::new(config(), vec![led_by(1, 0)]);
    assert!(matches!(
        bench.append(Some(1), b"x", None),
        Append::UnknownPartition
    ));
    assert!(matches!(
        bench.append(Some(-1), b"x", None),
        Append::UnknownPartition
    ));
}

#[test]
fn sender_that_looks_in_time_by_itself_is_not_woken() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0), led_by(1, 0)]);
    let _first = bench.send(0, b"x");
    bench.ready();
    bench.wakeup.end_sleep();
    assert!(bench.wakeup.begin_sleep(), "the note is taken");
    let _second = bench.send(1, b"y");
    assert_eq!(
        bench.wakeup.writes(),
        0,
        "the first batch's linger ends before the second one's"
    );
}

#[test]
fn panicking_callback_harms_no_other() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    let called = Arc::new(AtomicUsize::new(0));
    for i in 0..3 {
        let count = Arc::clone(&called);
        let callback = Callback::once(move |_| {
            assert_ne!(i, 1, "this one fails on purpose");
            count.fetch_add(1, Ordering::Relaxed);
        });
        assert!(matches!(
            bench.append(Some(0), b"x", Some(callback)),
            Append::Appended { .. }
        ));
    }
    bench.advance(5);
    bench.ready();
    bench
        .drain(1, 1 << 20)
        .pop()
        .expect("a batch")
        .batch
        .complete(acked(0));
    assert_eq!(called.load(Ordering::Relaxed), 2);
}

#[test]
fn handle_that_is_polled_and_dropped_leaves_no_waiter_and_a_swapped_waker_is_honoured() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    let (mut first, second) = (bench.send(0, b"x"), bench.send(0, b"y"));
    let (old, new) = (counted(), counted());
    let mut second = Some(second);
    for waker in [&old.1, &new.1] {
        let cx = &mut std::task::Context::from_waker(waker);
        assert!(std::pin::Pin::new(&mut first).poll(cx).is_pending());
        if let Some(second) = &mut second {
            assert!(std::pin::Pin::new(second).poll(cx).is_pending());
        }
    }
    bench.advance(5);
    bench.ready();
    let batch = bench.drain(1, 1 << 20).pop().expect("a batch").batch;
    let result = Arc::clone(batch.result());
    assert_eq!(result.waiter_count(), 2);
    second.take();
    assert_eq!(result.waiter_count(), 1);
    batch.complete(acked(0));
    let woken = |counter: &Arc<Counter>| counter.0.load(Ordering::Relaxed);
    assert_eq!((woken(&old.0), woken(&new.0)), (0, 1));
    assert!(first.is_done());
}

#[test]
fn ready_batch_opened_and_filled_between_two_looks_goes_at_once() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    (0..10).for_each(|_| drop(bench.send(0, &[0; 100])));
    assert_eq!(bench.ready_nodes(), [1]);
}

#[test]
fn ready_batch_filled_after_its_opening_was_taken_in_goes_at_once() {
    let mut bench = Bench::new(config(), vec![led_by(1, 0)]);
    drop(bench.send(0, &[0; 100]));
    let check = bench.ready();
    assert!(check.nodes.is_empty(), "it lingers");
    let due = bench.clock.now() + Duration::from_millis(5);
    assert_eq!(check.next_check, Some(due));
    (0..9).for_each(|_| drop(bench.send(0, &[0; 100])));
    assert_eq!(bench.ready_nodes(), [1]);
}

#[test]
fn ready_batch_opened_without_a_leader_asks_for_one_at_once() {
    let mut bench = Bench::new(config(), vec![led_by(0, 0)]);
    drop(bench.send(0, &[0; 100]));
    let topics = bench.ready().unknown_leader_topics;
    assert_eq!(topics.len(), 1, "before its linger is over");
}
