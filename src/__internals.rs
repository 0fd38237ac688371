//! What the benches of this repository reach into the library by: thin, and of no stability whatever.
//!
//! Behind the feature `__internals`, which nothing but `benches/` asks for. Thread: any; a
//! [`Drain`] has one owner, as the Sender would be.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::Callback;
use crate::cluster::{Cluster, ClusterBuilder, Node, NodeId, PartitionInfo, TopicInfo, Uuid};
use crate::network::Wakeup;
use crate::producer::bench::{
    AccumulatorConfig, Append, BatchAck, BatchHead, DrainVerdict, Drained, Drainer, MemoryTicket,
    RecordAccumulator, RecordToAppend,
};
use crate::protocol::messages::{
    PartitionProduceData, ProduceRequest, ProduceResponse, Records, Request, Response,
    TopicProduceData,
};
use crate::protocol::{FrameWriter, Reader};
use crate::random::Random;
use crate::record::{BATCH_OVERHEAD, BatchHeader, ProducerState, RecordView};
use crate::time::Time;

/// An accumulator with one topic, led by one node.
#[derive(Debug, Clone)]
pub struct Accumulator {
    accumulator: Arc<RecordAccumulator>,
    cluster: Arc<Cluster>,
    time: Time,
}

/// Takes batches out of an [`Accumulator`] as a Sender would, and acknowledges them at once.
#[derive(Debug)]
pub struct Drain {
    drainer: Drainer,
    cluster: Arc<Cluster>,
    time: Time,
    drained: Vec<Drained>,
    next_offset: i64,
}

impl Accumulator {
    /// Starts empty, with `linger.ms` of 5.
    #[must_use]
    pub fn new(partitions: usize, batch_size: usize, buffer_memory: usize) -> Self {
        let config = AccumulatorConfig {
            batch_size,
            linger: Duration::from_millis(5),
            buffer_memory,
            most_per_topic: None,
            delivery_timeout: Duration::from_secs(120),
            retry_backoff: Duration::from_millis(100),
            retry_backoff_max: Duration::from_secs(1),
        };
        let time = Time::default();
        let wakeup = Wakeup::new(None);
        let random = Random::from_entropy();
        let accumulator = RecordAccumulator::new(config, time.clone(), random, wakeup);
        let topic = topic(partitions);
        accumulator.learn_topic(&topic);
        let cluster = ClusterBuilder::bootstrap([]).nodes([node()]).topic(topic);
        Self {
            accumulator,
            cluster: cluster.build(),
            time,
        }
    }

    /// Appends a record with the time of now; false without room, and then nothing happened.
    #[inline]
    pub fn append(
        &self,
        partition: Option<i32>,
        (key, value): (Option<&[u8]>, Option<&[u8]>),
        mut callback: Option<Callback<'_>>,
    ) -> bool {
        let record = RecordToAppend {
            partition,
            view: RecordView::new(self.time.wall_clock_ms(), key, value, &[]),
        };
        let append = self.accumulator.with_topic(TOPIC, |topic| {
            let mut ticket = MemoryTicket::default();
            self.accumulator
                .try_append(topic, &record, &mut callback, &mut ticket, None)
        });
        matches!(append, Some(Append::Appended { .. }))
    }

    /// The other side.
    #[must_use]
    pub fn drain(&self) -> Drain {
        Drain {
            drainer: Drainer::new(Arc::clone(&self.accumulator), Random::from_entropy()),
            cluster: Arc::clone(&self.cluster),
            time: self.time.clone(),
            drained: Vec::new(),
            next_offset: 0,
        }
    }
}

impl Drain {
    /// One turn of a Sender without a network; returns how many batches went.
    pub fn turn(&mut self) -> usize {
        let now = self.time.now();
        let admit = &mut |_: &BatchHead| DrainVerdict::Send(None);
        for node in self.drainer.ready(&self.cluster, now).nodes {
            self.drainer
                .drain(node, usize::MAX, now, admit, &mut self.drained);
        }
        let count = self.drained.len();
        for drained in self.drained.drain(..) {
            let base_offset = self.next_offset;
            self.next_offset += i64::from(drained.batch.record_count());
            drained.batch.complete(BatchAck {
                base_offset,
                log_append_time_ms: -1,
            });
        }
        count
    }
}

/// Encodes the header of a batch of `record_count` records, checksum over `chunks` included.
#[must_use]
pub fn encode_batch_header(record_count: u32, chunks: &[Bytes]) -> [u8; BATCH_OVERHEAD] {
    let header = BatchHeader {
        record_count,
        base_timestamp_ms: 1_700_000_000_000,
        max_timestamp_ms: 1_700_000_000_005,
        state: Some(ProducerState {
            producer_id: 1,
            epoch: 0,
            base_sequence: 0,
        }),
    };
    header.encode(chunks)
}

/// A Produce request with the same batch for each of some partitions.
#[derive(Debug)]
pub struct Produce(ProduceRequest);

impl Produce {
    /// `parts` is the batch, header first.
    #[must_use]
    pub fn new(partitions: i32, parts: &[Bytes]) -> Self {
        let partition = |index| PartitionProduceData {
            index,
            records: Records {
                parts: parts.to_vec(),
            },
        };
        Self(ProduceRequest {
            transactional_id: None,
            acks: -1,
            timeout_ms: 30_000,
            topics: vec![TopicProduceData {
                name: TOPIC.into(),
                topic_id: Uuid([7; 16]),
                partitions: (0..partitions).map(partition).collect(),
            }],
        })
    }

    /// Encodes the body; returns the pieces that would go to the socket.
    #[must_use]
    pub fn encode(&self, version: i16) -> Vec<Bytes> {
        let mut out = FrameWriter::default();
        self.0.encode(version, &mut out);
        out.into_parts()
    }
}

/// Decodes the body of a Produce response; returns the number of partitions, `None` if it is none.
#[must_use]
pub fn decode_produce_response(version: i16, body: &[u8]) -> Option<usize> {
    let response = ProduceResponse::decode(version, &mut Reader::new(body)).ok()?;
    Some(response.topics.iter().map(|t| t.partitions.len()).sum())
}

fn topic(partitions: usize) -> TopicInfo {
    let led = PartitionInfo {
        leader: Some(NODE),
        leader_epoch: 0,
    };
    TopicInfo {
        name: TOPIC.into(),
        id: Uuid([7; 16]),
        partitions: vec![led; partitions],
    }
}

fn node() -> Node {
    Node {
        id: NODE,
        host: "localhost".into(),
        port: 9092,
        rack: None,
    }
}

const TOPIC: &str = "topic";

const NODE: NodeId = NodeId(1);
