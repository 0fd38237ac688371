//! Appends, drains, retries, splits, expiries, aborts and a close in any order, against a model that knows of
//! each record where it must be.
//!
//! What must hold: batches leave a partition in the order of their records, and hold each of them once;
//! a batch is queued, on its way, or over; every record that was accepted is told once what became of
//! it; `NotWritten` is said exactly of what no attempt can have written; memory comes back whole.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::time::Duration;

use super::input::Input;
use super::target::{self, Target};
use crate::Callback;
use crate::cluster::{Cluster, ClusterBuilder, Node, NodeId, PartitionInfo, TopicInfo, Uuid};
use crate::error::{Error, ErrorKind, Persistence};
use crate::network::Wakeup;
use crate::producer::fuzzed::{
    AccumulatorConfig, Append, BatchAck, BatchFailure, DrainVerdict, Drained, Drainer,
    MemoryTicket, ProducerBatch, RecordAccumulator, RecordToAppend,
};
use crate::random::Random;
use crate::record::{BatchReader, RecordView};
use crate::time::{MockTime, Time};

pub(super) const ACCUMULATOR_OPS: Target = target::new(
    ("accumulator_ops", MAX_LEN),
    run,
    |length| 64 * 1024 + 512 * length,
    |length| 512 + 256 * length,
);

const MAX_LEN: usize = 2 * 1024;
const MEMORY: usize = 8 * 1024;
const TOPIC: &str = "topic";
const NODES: i32 = 2;

/// What was told of each record: how many times, and whether as not written.
type Told = Arc<Mutex<Vec<(AtomicU8, AtomicU8)>>>;

/// A batch that is on its way, and whether all its attempts so far were proved not to have written.
struct OnItsWay {
    batch: ProducerBatch,
    proved: bool,
}

struct Model {
    accumulator: Arc<RecordAccumulator>,
    drainer: Drainer,
    cluster: Arc<Cluster>,
    clock: Arc<MockTime>,
    told: Told,
    /// Records of each partition that are in its queue, in order.
    queued: Vec<BTreeSet<u32>>,
    /// Which of them had an attempt that may have written.
    doubtful: BTreeSet<u32>,

    on_their_way: VecDeque<OnItsWay>,
    /// A sender that stands in the line for memory, with its partition and size.
    waiting: VecDeque<(MemoryTicket, usize, usize)>,
    leaders: Vec<i32>,
    epoch: i32,
    closed: bool,
    accepted: BTreeMap<u32, bool>,
}

fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut model = Model::new(&mut input);
    while !input.is_empty() {
        model.step(&mut input);
    }
    model.end();
}

impl Model {
    fn new(input: &mut Input<'_>) -> Self {
        let (time, clock) = Time::mock();
        let config = AccumulatorConfig {
            batch_size: input.one_of(&[0, 64, 700, 4096]),
            linger: Duration::from_millis(input.one_of(&[0, 5])),
            buffer_memory: MEMORY,
            delivery_timeout: Duration::from_millis(1000),
            retry_backoff: Duration::from_millis(input.one_of(&[0, 100])),
            retry_backoff_max: Duration::from_millis(200),
            most_per_topic: input.one_of(&[None, Some(MEMORY / 2)]),
        };
        let wakeup = Wakeup::new(None);
        let accumulator = RecordAccumulator::new(config, time, Random::seeded(1), wakeup);
        let drainer = Drainer::new(Arc::clone(&accumulator), Random::seeded(2));
        let mut model = Self {
            accumulator,
            drainer,
            cluster: ClusterBuilder::bootstrap([]).build(),
            clock,
            told: Told::default(),
            queued: Vec::new(),
            doubtful: BTreeSet::new(),

            on_their_way: VecDeque::new(),
            waiting: VecDeque::new(),
            leaders: vec![1, 2],
            epoch: 0,
            closed: false,
            accepted: BTreeMap::new(),
        };
        model.publish();
        let topic = model.cluster.topic(TOPIC).map(Arc::clone);
        if let Some(topic) = topic {
            model.accumulator.learn_topic(&topic);
        }
        model
    }

    /// Makes the leaders of now the picture of now.
    fn publish(&mut self) {
        self.queued.resize(self.leaders.len(), BTreeSet::new());
        let led = |leader: &i32| PartitionInfo {
            leader: (*leader > 0).then_some(NodeId(*leader)),
            leader_epoch: self.epoch,
        };
        let topic = TopicInfo {
            name: TOPIC.into(),
            id: Uuid([1; 16]),
            partitions: self.leaders.iter().map(led).collect(),
        };
        let node = |id| Node {
            id: NodeId(id),
            host: "localhost".into(),
            port: 9092,
            rack: None,
        };
        let nodes = (1..=NODES).map(node);
        self.cluster = self.cluster.to_builder().nodes(nodes).topic(topic).build();
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.below(16) {
            0..=4 => self.append(input),
            5 | 6 => self.drain(input),
            7 => self.end_one(input),
            8 => self.put_back(input),
            9 => self
                .clock
                .advance(Duration::from_millis(1 << input.below(9))),
            10 => self.expire(),
            11 => self.move_leaders(input),
            12 => self.serve_waiting(),
            13 => self.hold(input),
            14 if input.below(8) == 0 => self.abort(),
            15 if input.below(8) == 0 => self.close(),
            14 => drop(self.waiting.pop_front()),
            _ => self.flush(),
        }
        assert!(self.accumulator.available_memory() <= MEMORY);
    }

    fn append(&mut self, input: &mut Input<'_>) {
        let partition = input.below(self.leaders.len());
        let size = input.one_of(&[0, 10, 100, 600, 3000, 9000]);
        let waits = input.below(4) == 0;
        let mut ticket = MemoryTicket::default();
        if self.try_append(partition, size, &mut ticket, waits) {
            return;
        }
        if waits && self.waiting.len() < 4 {
            self.waiting.push_back((ticket, partition, size));
        }
    }

    /// Whether it is over: appended, or failed for good.
    fn try_append(
        &mut self,
        partition: usize,
        size: usize,
        ticket: &mut MemoryTicket,
        waits: bool,
    ) -> bool {
        let Some(topic) = self.accumulator.topic(TOPIC) else {
            return true;
        };
        let number = u32::try_from(self.accepted.len()).unwrap_or(u32::MAX);
        let mut value = number.to_be_bytes().to_vec();
        value.resize(size + 4, 0xAB);
        let record = RecordToAppend {
            partition: Some(i32::try_from(partition).unwrap_or(-1)),
            view: RecordView::new(7, None, Some(&value), &[]),
        };
        let mut callback = Some(self.callback(number));
        let waker = waits.then_some(Waker::noop());
        let append = self
            .accumulator
            .try_append(&topic, &record, &mut callback, ticket, waker);
        match append {
            Append::Appended { .. } => {
                assert!(!self.closed, "accepted after the close");
                assert!(callback.is_none(), "the callback was not taken");
                self.accepted.insert(number, false);
                if let Some(queue) = self.queued.get_mut(partition) {
                    queue.insert(number);
                }
                true
            }
            Append::Blocked | Append::BlockedByShare => {
                assert!(callback.is_some(), "the callback is gone");
                false
            }
            Append::UnknownPartition => panic!("partition {partition} is known"),
            Append::Failed(error) => {
                let allowed = match error.kind() {
                    ErrorKind::Closed => self.closed,
                    ErrorKind::RecordTooLarge => size > 1000,
                    _ => false,
                };
                assert!(allowed, "{error}");
                true
            }
        }
    }

    fn callback(&self, number: u32) -> Callback<'static> {
        let told = Arc::clone(&self.told);
        Callback::once(move |outcome| {
            let not_written =
                outcome.is_err_and(|error| error.persistence() == Persistence::NotWritten);
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            let index = usize::try_from(number).unwrap_or(usize::MAX);
            while told.len() <= index {
                told.push(Default::default());
            }
            if let Some((times, claim)) = told.get(index) {
                times.fetch_add(1, Ordering::Relaxed);
                claim.store(u8::from(not_written), Ordering::Relaxed);
            }
        })
    }

    fn drain(&mut self, input: &mut Input<'_>) {
        let (choice, most) = (input.below(8), input.one_of(&[100, 1 << 20]));
        let now = self.clock.now();
        let check = self.drainer.ready(&self.cluster, now);
        let mut drained = Vec::new();
        let mut shown = 0;
        for node in check.nodes {
            let mut admit = |_: &_| {
                shown += 1;
                assert!(shown < 10_000, "it is asked without end");
                match choice {
                    0 => DrainVerdict::SkipPartition,
                    1 => DrainVerdict::TryNext,
                    2 => DrainVerdict::TakeOut,
                    _ => DrainVerdict::Send(None),
                }
            };
            self.drainer
                .drain(node, most, now, &mut admit, &mut drained);
        }
        for one in drained {
            self.take_drained(one);
        }
        if choice < 2 {
            let slots: Vec<_> = (0..self.leaders.len()).collect();
            for slot in slots {
                self.unblock(slot);
            }
        }
    }

    fn unblock(&mut self, partition: usize) {
        let now = self.clock.now();
        let slot = crate::producer::fuzzed::SlotId(u32::try_from(partition).unwrap_or(u32::MAX));
        self.drainer.unblock(slot, now);
    }

    /// What left a queue is its first batch, whole.
    fn take_drained(&mut self, drained: Drained) {
        let now = self.clock.now();
        let Drained {
            mut batch,
            is_over,
            leader_epoch,
            ..
        } = drained;
        let records = self.leave_queue(&mut batch);
        let proved = !records.iter().any(|it| self.doubtful.contains(it));
        if is_over {
            self.fail(batch, &records, proved);
            return;
        }
        batch.begin_attempt(now, leader_epoch);
        self.on_their_way.push_back(OnItsWay { batch, proved });
    }

    /// The batch's records, which were the first of its partition's queue.
    fn leave_queue(&mut self, batch: &mut ProducerBatch) -> Vec<u32> {
        let partition = usize::try_from(batch.topic_partition().partition).unwrap_or(usize::MAX);
        let records = records_of(batch);
        let queue = self.queued.get_mut(partition);
        let queue = queue.unwrap_or_else(|| panic!("a batch of partition {partition}"));
        for record in &records {
            assert_eq!(
                queue.pop_first(),
                Some(*record),
                "not the first of its queue"
            );
        }
        records
    }

    fn end_one(&mut self, input: &mut Input<'_>) {
        let choice = input.below(4);
        let offset = i64::from(input.u16());
        let at = input.below(self.on_their_way.len().max(1));
        let Some(mut one) = self.on_their_way.remove(at) else {
            return;
        };
        let records = records_of(&mut one.batch);
        if choice == 0 {
            if input.below(2) == 0 {
                one.batch.attempt_proved_not_written();
                return self.fail(one.batch, &records, one.proved);
            }
            return self.fail(one.batch, &records, false);
        }
        let base_offset = match choice {
            1 => offset,
            2 => -1,
            _ => i64::MAX,
        };
        one.batch.complete(BatchAck {
            base_offset,
            log_append_time_ms: -1,
        });
        self.over(&records, false);
    }

    fn fail(&mut self, batch: ProducerBatch, records: &[u32], proved: bool) {
        let expected = if proved {
            Persistence::NotWritten
        } else {
            Persistence::Unknown
        };
        assert_eq!(batch.persistence(), expected, "not what its attempts prove");
        let _ = batch.fail(BatchFailure {
            error: Error::new(ErrorKind::Network, "ended by the fuzzer"),
            record_errors: Vec::new(),
        });
        self.over(records, proved);
    }

    /// All of these were told, once and the truth.
    fn over(&mut self, records: &[u32], not_written: bool) {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for record in records {
            let index = usize::try_from(*record).unwrap_or(usize::MAX);
            let (times, claim) = told.get(index).expect("it was told something");
            assert_eq!(times.load(Ordering::Relaxed), 1, "record {record}");
            assert_eq!(claim.load(Ordering::Relaxed) == 1, not_written);
            self.accepted.insert(*record, true);
        }
    }

    /// An attempt failed after which there is to be another, of the whole or of its pieces.
    fn put_back(&mut self, input: &mut Input<'_>) {
        let choice = input.below(4);
        let proves = choice % 2 == 0;
        let Some(mut one) = self.on_their_way.pop_back() else {
            return;
        };
        let partition =
            usize::try_from(one.batch.topic_partition().partition).unwrap_or(usize::MAX);
        let records = records_of(&mut one.batch);
        if proves {
            one.batch.attempt_proved_not_written();
        } else {
            self.doubtful.extend(&records);
        }
        if let Some(queue) = self.queued.get_mut(partition) {
            queue.extend(&records);
        }
        let now = self.clock.now();
        if choice == 2 && one.proved && records.len() > 1 {
            self.split(one.batch, input.below(records.len()));
        } else {
            self.drainer.reenqueue(one.batch, now);
        }
    }

    /// At this record; the first one stands for by half.
    fn split(&mut self, batch: ProducerBatch, at: usize) {
        let slot = batch.id().slot;
        let points = match u32::try_from(at) {
            Ok(0) | Err(_) => batch.split_points(usize::MAX),
            Ok(at) => vec![at],
        };
        let pieces = batch.split(&points);
        assert_eq!(pieces.len(), points.len() + 1);
        let now = self.clock.now();
        self.drainer.reenqueue_pieces(slot, pieces, now);
    }

    fn expire(&mut self) {
        let now = self.clock.now();
        self.drainer.ready(&self.cluster, now);
        let mut expired = Vec::new();
        self.drainer.expire(now, &mut expired);
        for mut batch in expired {
            assert!(batch.deadline() <= now, "expired before its time");
            let records = self.leave_queue(&mut batch);
            let proved = !records.iter().any(|it| self.doubtful.contains(it));
            self.fail(batch, &records, proved);
        }
    }

    fn abort(&mut self) {
        let mut aborted = Vec::new();
        self.drainer.abort_all(&mut aborted);
        for mut batch in aborted {
            let records = self.leave_queue(&mut batch);
            let proved = !records.iter().any(|it| self.doubtful.contains(it));
            self.fail(batch, &records, proved);
        }
        assert!(self.queued.iter().all(BTreeSet::is_empty), "left behind");
        assert!(!self.drainer.has_queued());
    }

    fn close(&mut self) {
        self.accumulator.close();
        self.closed = true;
    }

    fn flush(&mut self) {
        let mut ticket = self.accumulator.begin_flush();
        let done = ticket.poll(Waker::noop());
        assert_eq!(done, self.accumulator.incomplete_batches() == 0);
    }

    /// One or another partition is led by the other node, by none, or there is one more.
    fn move_leaders(&mut self, input: &mut Input<'_>) {
        let at = input.below(4);
        let leader = i32::try_from(input.below(3)).unwrap_or(0);
        self.epoch += 1;
        match self.leaders.get_mut(at) {
            Some(place) => *place = leader,
            None => self.leaders.push(leader),
        }
        self.publish();
        self.drainer.ready(&self.cluster, self.clock.now());
    }

    /// Who stands in the line tries again, the first one first.
    fn serve_waiting(&mut self) {
        if let Some((mut ticket, partition, size)) = self.waiting.pop_front() {
            if !self.try_append(partition, size, &mut ticket, true) {
                self.waiting.push_front((ticket, partition, size));
            }
        }
    }

    fn hold(&mut self, input: &mut Input<'_>) {
        let partition = input.below(self.leaders.len());
        let slot = crate::producer::fuzzed::SlotId(u32::try_from(partition).unwrap_or(u32::MAX));
        let now = self.clock.now();
        match input.below(2) {
            0 => self.drainer.mute(slot),
            _ => self.drainer.unmute(slot, now),
        }
    }

    /// Everything ends, and then nothing is left.
    fn end(mut self) {
        self.waiting.clear();
        self.abort();
        while let Some(mut one) = self.on_their_way.pop_front() {
            let records = records_of(&mut one.batch);
            self.fail(one.batch, &records, false);
        }
        assert!(self.accepted.values().all(|over| *over), "never told");
        assert_eq!(self.accumulator.incomplete_batches(), 0);
        assert_eq!(
            self.accumulator.available_memory(),
            MEMORY,
            "memory is lost"
        );
        assert!(self.drainer.is_drained_for_good());
    }
}

/// The numbers of the batch's records, as they are on the wire.
fn records_of(batch: &mut ProducerBatch) -> Vec<u32> {
    let parts = batch.encode(None);
    let mut reader = BatchReader::new(parts.get(1..).unwrap_or_default());
    let mut numbers = Vec::new();
    while let Some(record) = reader.read() {
        let value = record.value.unwrap_or_default();
        let (number, rest) = value.split_first_chunk().expect("each has a number");
        assert!(rest.iter().all(|byte| *byte == 0xAB), "memory was reused");
        numbers.push(u32::from_be_bytes(*number));
    }
    let count = usize::try_from(batch.record_count()).unwrap_or(usize::MAX);
    assert_eq!(numbers.len(), count, "the count and the bytes differ");
    assert!(count > 0, "an empty batch");
    numbers
}
