//! The accumulator and its drainer over a poller without a network: appenders against the Sender.

mod appending;
mod lingering;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::*;
use crate::cluster::{Cluster, Node, NodeId, PartitionInfo, TopicInfo, Uuid};
use crate::interleaving::{Model, Poller};
use crate::producer::callback::{Callback, DeliveryCallback};
use crate::producer::{DeliveryError, RecordMetadata};
use crate::random::Random;
use crate::record::RecordView;
use crate::sync::Parker;
use crate::time::{MockTime, Time};

pub(crate) use super::buffer_pool::interleaving_tests::MODELS as POOL;
pub(crate) use super::flush::interleaving_tests::MODELS as FLUSH;

pub(crate) const MODELS: &[Model] = &[
    Model {
        name: "activation",
        property: "a batch that is opened or filled is drained in time: an append that finds the \
                   Sender asleep past its linger wakes it, any other is seen without",
        run: lingering::batch_is_drained_when_its_linger_is_over,
        preemptions: Some(2),
        percent: 50,
    },
    Model {
        name: "flush_drain",
        property: "a flush makes the Sender send what lingers, and returns once it is delivered",
        run: lingering::flush_sends_what_lingers,
        preemptions: Some(3),
        percent: 50,
    },
    Model {
        name: "pressure",
        property: "whoever waits for memory makes the Sender send what lingers, and gets on",
        run: lingering::wait_for_memory_sends_what_lingers,
        preemptions: Some(1),
        percent: 30,
    },
    Model {
        name: "append_close",
        property: "every record that was accepted is drained or aborted exactly once, and none is \
                   accepted after close returned",
        run: appending::accepted_record_ends_once_whenever_close_comes,
        preemptions: Some(2),
        percent: 50,
    },
];

/// Records are of one size: two of them fill a batch of `TWO` bytes.
const VALUE: [u8; 40] = [7; 40];
const TWO: usize = 155;

const LINGER: Duration = Duration::from_millis(10);

/// How often the callback of each record was called.
#[derive(Debug)]
struct Calls(Vec<AtomicUsize>);

impl DeliveryCallback for Calls {
    fn on_completion(&self, tag: u64, _: Result<&RecordMetadata, &DeliveryError>) {
        self.0[usize::try_from(tag).expect("few")].fetch_add(1, Ordering::SeqCst);
    }
}

impl Calls {
    fn of(&self, tag: usize) -> usize {
        self.0[tag].load(Ordering::SeqCst)
    }
}

/// The Sender's side.
struct Bench {
    accumulator: Arc<RecordAccumulator>,
    drainer: Drainer,
    cluster: Arc<Cluster>,
    clock: Arc<MockTime>,
    poller: Poller,
    linger: Duration,
    calls: Arc<Calls>,
}

/// An application's side.
#[derive(Clone)]
struct Appender {
    accumulator: Arc<RecordAccumulator>,
    calls: Arc<Calls>,
}

impl Bench {
    /// Two partitions of one topic, led by one node, and that many records to come.
    fn new(batch_size: usize, linger: Duration, buffer_memory: usize, records: usize) -> Self {
        let (time, clock) = Time::mock();
        let poller = Poller::new(Arc::clone(&clock));
        let config = AccumulatorConfig {
            batch_size,
            linger,
            buffer_memory,
            most_per_topic: None,
            delivery_timeout: Duration::from_secs(120),
            retry_backoff: Duration::ZERO,
            retry_backoff_max: Duration::ZERO,
        };
        let random = Random::seeded(1);
        let accumulator = RecordAccumulator::new(config, time, random, poller.wakeup());
        let led = PartitionInfo {
            leader: Some(NodeId(1)),
            leader_epoch: 0,
        };
        let node = Node {
            id: NodeId(1),
            host: "localhost".into(),
            port: 1,
            rack: None,
        };
        let topic = TopicInfo {
            name: "topic".into(),
            id: Uuid([1; 16]),
            partitions: vec![led; 2],
        };
        let builder = Cluster::default().to_builder();
        let cluster = builder.nodes([node]).topic(topic).build();
        accumulator.learn_topic(cluster.topic("topic").expect("it was just put there"));
        let calls = (0..records).map(|_| AtomicUsize::new(0)).collect();
        Self {
            drainer: Drainer::new(Arc::clone(&accumulator), Random::seeded(2)),
            accumulator,
            cluster,
            clock,
            poller,
            linger,
            calls: Arc::new(Calls(calls)),
        }
    }

    fn appender(&self) -> Appender {
        Appender {
            accumulator: Arc::clone(&self.accumulator),
            calls: Arc::clone(&self.calls),
        }
    }

    /// Drains and delivers what is ready, as one turn of the Sender does. When to look again: at
    /// once if something was drained, as its answer is an event.
    fn turn(&mut self) -> Option<Instant> {
        let now = self.clock.now();
        let check = self.drainer.ready(&self.cluster, now);
        let mut out = Vec::new();
        for node in &check.nodes {
            let admit = &mut |_: &BatchHead| DrainVerdict::Send(None);
            self.drainer.drain(*node, 1 << 20, now, admit, &mut out);
        }
        let more = !out.is_empty();
        for drained in out {
            let due = drained.batch.created() + self.linger;
            assert!(now <= due, "drained {:?} late", now - due);
            drained.batch.complete(BatchAck {
                base_offset: 0,
                log_append_time_ms: -1,
            });
        }
        if more { Some(now) } else { check.next_check }
    }

    /// Turn after turn until the application is done, and has nothing left that only a timer brings.
    fn serve(&mut self) {
        loop {
            let alone = self.poller.is_alone();
            let next = self.turn();
            if alone && !self.drainer.has_queued() {
                break;
            }
            let now = self.clock.now();
            self.poller
                .sleep(next.map(|next| next.saturating_duration_since(now)));
        }
    }

    /// Everything was delivered once, nothing is held.
    fn assert_all_delivered(&self) {
        for tag in 0..self.calls.0.len() {
            assert_eq!(self.calls.of(tag), 1, "record {tag}");
        }
        self.assert_nothing_is_held();
    }

    fn assert_nothing_is_held(&self) {
        let accumulator = &self.accumulator;
        assert_eq!(
            accumulator.available_memory(),
            accumulator.config.buffer_memory
        );
        assert_eq!(accumulator.incomplete_batches(), 0);
        assert!(!self.drainer.has_queued());
    }
}

impl Appender {
    /// Appends one record, waiting for memory; whether it was accepted.
    fn append(&self, partition: Option<i32>, tag: usize) -> bool {
        let topic = self.accumulator.topic("topic").expect("it is known");
        let shared: Arc<dyn DeliveryCallback> = Arc::clone(&self.calls) as _;
        let tag = u64::try_from(tag).expect("few");
        let mut callback = Some(Callback::from((&shared, tag)));
        let record = RecordToAppend {
            partition,
            view: RecordView::new(0, None, Some(&VALUE), &[]),
        };
        let (mut ticket, parker) = (MemoryTicket::default(), Parker::new());
        let waker = parker.waker();
        loop {
            let accumulator = &self.accumulator;
            match accumulator.try_append(&topic, &record, &mut callback, &mut ticket, Some(&waker))
            {
                Append::Appended { .. } => return true,
                Append::Blocked | Append::BlockedByShare => {
                    parker.park_until(&Time::default(), None)
                }
                Append::Failed(error) => {
                    assert_eq!(error.kind(), crate::error::ErrorKind::Closed);
                    return false;
                }
                Append::UnknownPartition => panic!("it is known"),
            }
        }
    }
}
