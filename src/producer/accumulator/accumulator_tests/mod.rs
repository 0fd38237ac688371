//! Append, ready, drain, retry, expire, flush and close, on a clock that stands still.

mod appending;
mod batches;
mod draining;
#[cfg(feature = "planted")]
mod planted;
mod retrying;

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
        most_per_topic: None,
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
