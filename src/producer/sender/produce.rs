//! One Produce request from the batches that a node's partitions gave, and what to remember of it
//! until its response: topic ids and names as they were sent, not as they are known later (R57).
//!
//! Java's counterpart: `Sender.sendProduceRequest`. Thread: Sender. Locks: none.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::in_flight_batches::InFlightBatches;
use crate::cluster::Uuid;
use crate::producer::accumulator::Drained;
use crate::producer::batch_id::BatchId;
use crate::protocol::VersionRange;
use crate::protocol::messages::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse, Records,
    TopicProduceData,
};
use crate::record::ProducerState;

/// What one request carried, in the order of topic names and partitions.
#[derive(Debug, Default)]
pub(crate) struct ProduceTag {
    pub(super) topics: Vec<SentTopic>,
}

#[derive(Debug)]
pub(super) struct SentTopic {
    pub(super) name: Arc<str>,
    pub(super) id: Uuid,
    pub(super) partitions: Vec<SentPartition>,
}

/// One batch as it was sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct SentPartition {
    pub(super) index: i32,
    pub(super) batch: BatchId,
    pub(super) record_count: u32,
    pub(super) state: Option<ProducerState>,
    /// The last offset that was acknowledged before it was sent, where no sequence tells; else -1.
    pub(super) acked_before: i64,
}

/// A request that is ready to go.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) request: ProduceRequest,
    pub(super) tag: ProduceTag,
    pub(super) versions: VersionRange,
}

/// Begins an attempt for each batch, encodes its header and hands it to `in_flight`. The records
/// are shared with the request, not copied.
pub(super) fn build(
    drained: impl Iterator<Item = Drained>,
    (acks, timeout): (i16, Duration),
    in_flight: &mut InFlightBatches,
    now: Instant,
) -> Built {
    let mut topics: BTreeMap<Arc<str>, BTreeMap<i32, Drained>> = BTreeMap::new();
    for drained in drained {
        let tp = drained.batch.topic_partition();
        let (topic, partition) = (Arc::clone(&tp.topic), tp.partition);
        let before = topics.entry(topic).or_default().insert(partition, drained);
        debug_assert!(before.is_none(), "a partition has one batch in a request");
    }
    let mut built = Built {
        request: ProduceRequest {
            transactional_id: None,
            acks,
            timeout_ms: i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX),
            topics: Vec::with_capacity(topics.len()),
        },
        tag: ProduceTag::default(),
        versions: VersionRange::ALL,
    };
    for (name, partitions) in topics {
        let topic_id = partitions
            .values()
            .next()
            .map_or(Uuid::ZERO, |first| first.topic_id);
        if topic_id.is_zero() {
            built.versions.max = LAST_WITH_NAMES;
        }
        let mut data = Vec::with_capacity(partitions.len());
        let mut sent = Vec::with_capacity(partitions.len());
        for (index, drained) in partitions {
            let (mut batch, state) = (drained.batch, drained.state);
            batch.begin_attempt(now, drained.leader_epoch);
            let parts = batch.encode(state);
            data.push(PartitionProduceData {
                index,
                records: Records { parts },
            });
            sent.push(SentPartition {
                index,
                batch: batch.id(),
                record_count: batch.record_count(),
                state,
                acked_before: -1,
            });
            in_flight.insert(batch);
        }
        built.request.topics.push(TopicProduceData {
            name: Arc::clone(&name),
            topic_id,
            partitions: data,
        });
        built.tag.topics.push(SentTopic {
            name,
            id: topic_id,
            partitions: sent,
        });
    }
    built
}

/// A batch as it was sent, and what the response says of it, if anything.
#[derive(Debug)]
pub(super) struct Answered<'a> {
    pub(super) topic: &'a SentTopic,
    pub(super) sent: SentPartition,
    pub(super) answer: Option<PartitionProduceResponse>,
}

impl ProduceTag {
    /// Each batch with what was said of it. Brokers answer in any order, and what they say of
    /// partitions that were not asked about is nobody's.
    pub(super) fn match_with(&self, response: &mut ProduceResponse) -> Vec<Answered<'_>> {
        let mut answers: BTreeMap<(usize, i32), PartitionProduceResponse> = BTreeMap::new();
        let by_id: BTreeMap<Uuid, usize> = self
            .topics
            .iter()
            .enumerate()
            .filter(|(_, topic)| !topic.id.is_zero())
            .map(|(place, topic)| (topic.id, place))
            .collect();
        for topic in std::mem::take(&mut response.topics) {
            let place = if topic.topic_id.is_zero() {
                self.topics
                    .binary_search_by(|sent| (*sent.name).cmp(&topic.name))
                    .ok()
            } else {
                by_id.get(&topic.topic_id).copied()
            };
            let Some(place) = place else {
                log::warn!(
                    "a produce response speaks of topic {:?} ({}), which was not in the request",
                    topic.name,
                    topic.topic_id
                );
                continue;
            };
            for partition in topic.partitions {
                answers.entry((place, partition.index)).or_insert(partition);
            }
        }
        let mut matched = Vec::new();
        for (place, topic) in self.topics.iter().enumerate() {
            for sent in &topic.partitions {
                matched.push(Answered {
                    topic,
                    sent: *sent,
                    answer: answers.remove(&(place, sent.index)),
                });
            }
        }
        if !answers.is_empty() {
            log::warn!(
                "a produce response speaks of {} partitions that were not in the request",
                answers.len()
            );
        }
        matched
    }

    /// Every batch, with its topic.
    pub(super) fn sent(&self) -> impl Iterator<Item = (&SentTopic, SentPartition)> {
        self.topics
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(move |sent| (topic, *sent)))
    }
}

/// From the next version on a request names topics by their ids.
const LAST_WITH_NAMES: i16 = 12;
