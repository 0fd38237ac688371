//! Produce (key 0), versions 3 to 13: record batches to the leaders of their partitions.
//! 9 flexible; 10 leader hints (KIP-951); 12 implicit add-partition (KIP-890); 13 topic ids (KIP-516).

use std::ops::RangeInclusive;
use std::sync::Arc;

use bytes::Bytes;

use super::{Request, Response};
use crate::cluster::{Node, NodeId, Uuid};
use crate::protocol::{ApiKey, FrameWriter, ProtocolError, Reader};

/// Batches for the partitions one node leads.
#[derive(Debug, Default)]
pub(crate) struct ProduceRequest {
    pub(crate) transactional_id: Option<Arc<str>>,
    /// 0, 1 or -1 (all).
    pub(crate) acks: i16,
    pub(crate) timeout_ms: i32,
    pub(crate) topics: Vec<TopicProduceData>,
}

#[derive(Debug)]
pub(crate) struct TopicProduceData {
    pub(crate) name: Arc<str>,
    pub(crate) topic_id: Uuid,
    pub(crate) partitions: Vec<PartitionProduceData>,
}

#[derive(Debug)]
pub(crate) struct PartitionProduceData {
    pub(crate) index: i32,
    pub(crate) records: Records,
}

/// One whole record batch, in pieces that are written as they are.
#[derive(Debug, Default)]
pub(crate) struct Records {
    pub(crate) parts: Vec<Bytes>,
}

#[derive(Debug, Default)]
pub(crate) struct ProduceResponse {
    pub(crate) throttle_time_ms: i32,
    pub(crate) topics: Vec<TopicProduceResponse>,
    /// Addresses of the leaders that hints name (version 10 on).
    pub(crate) node_endpoints: Vec<Node>,
}

#[derive(Debug, Default)]
pub(crate) struct TopicProduceResponse {
    /// Empty from version 13 on.
    pub(crate) name: Box<str>,
    /// Zero before version 13.
    pub(crate) topic_id: Uuid,
    pub(crate) partitions: Vec<PartitionProduceResponse>,
}

#[derive(Debug, Default)]
pub(crate) struct PartitionProduceResponse {
    pub(crate) index: i32,
    pub(crate) error_code: i16,
    /// -1 if unknown.
    pub(crate) base_offset: i64,
    /// -1 unless the topic stamps records with the broker's time.
    pub(crate) log_append_time_ms: i64,
    /// -1 if unknown.
    #[allow(dead_code, reason = "part of the response; nothing depends on it yet")]
    pub(crate) log_start_offset: i64,
    pub(crate) record_errors: Vec<RecordError>,
    pub(crate) error_message: Option<Box<str>>,
    pub(crate) current_leader: Option<LeaderHint>,
}

/// A record of a rejected batch that was the cause (KIP-467).
#[derive(Debug)]
pub(crate) struct RecordError {
    pub(crate) batch_index: i32,
    pub(crate) message: Option<Box<str>>,
}

/// Who leads now, as the node that no longer does says (KIP-951).
#[derive(Debug, Clone, Copy)]
pub(crate) struct LeaderHint {
    pub(crate) leader_id: i32,
    pub(crate) leader_epoch: i32,
}

impl Request for ProduceRequest {
    const API_KEY: ApiKey = ApiKey::Produce;
    const VERSIONS: RangeInclusive<i16> = 3..=13;
    type Response = ProduceResponse;

    fn encode(&self, version: i16, out: &mut FrameWriter) {
        let flexible = Self::API_KEY.is_flexible(version);
        out.nullable_string(self.transactional_id.as_deref(), flexible);
        out.i16(self.acks);
        out.i32(self.timeout_ms);
        out.count(self.topics.len(), flexible);
        for topic in &self.topics {
            if version >= TOPIC_IDS {
                out.uuid(topic.topic_id);
            } else {
                out.string(&topic.name, flexible);
            }
            out.count(topic.partitions.len(), flexible);
            for partition in &topic.partitions {
                out.i32(partition.index);
                out.records(&partition.records.parts, flexible);
                out.no_tagged_fields(flexible);
            }
            out.no_tagged_fields(flexible);
        }
        out.no_tagged_fields(flexible);
    }
}

impl Response for ProduceResponse {
    fn decode(version: i16, input: &mut Reader<'_>) -> Result<Self, ProtocolError> {
        let flexible = ApiKey::Produce.is_flexible(version);
        // The smallest topic has an empty name and no partitions.
        let (count, mut topics) = input.list(flexible, if flexible { 3 } else { 6 })?;
        for _ in 0..count {
            topics.push(decode_topic(version, flexible, input)?);
        }
        let throttle_time_ms = input.i32()?;
        let mut node_endpoints = Vec::new();
        input.tagged_fields(flexible, |tag, field| {
            if tag == 0 {
                node_endpoints = decode_endpoints(field)?;
            }
            Ok(())
        })?;
        Ok(Self {
            throttle_time_ms,
            topics,
            node_endpoints,
        })
    }
}

fn decode_topic(
    version: i16,
    flexible: bool,
    input: &mut Reader<'_>,
) -> Result<TopicProduceResponse, ProtocolError> {
    let (name, topic_id) = if version >= TOPIC_IDS {
        (Box::default(), input.uuid()?)
    } else {
        (input.string(flexible)?.into(), Uuid::ZERO)
    };
    // The smallest partition has an index, an error code, an offset and a time.
    let (count, mut partitions) = input.list(flexible, 22)?;
    for _ in 0..count {
        partitions.push(decode_partition(version, flexible, input)?);
    }
    input.skip_tagged_fields(flexible)?;
    Ok(TopicProduceResponse {
        name,
        topic_id,
        partitions,
    })
}

fn decode_partition(
    version: i16,
    flexible: bool,
    input: &mut Reader<'_>,
) -> Result<PartitionProduceResponse, ProtocolError> {
    let mut partition = PartitionProduceResponse {
        index: input.i32()?,
        error_code: input.i16()?,
        base_offset: input.i64()?,
        log_append_time_ms: input.i64()?,
        log_start_offset: if version >= 5 { input.i64()? } else { -1 },
        ..PartitionProduceResponse::default()
    };
    if version >= 8 {
        let count;
        (count, partition.record_errors) = input.list(flexible, 5)?;
        for _ in 0..count {
            let batch_index = input.i32()?;
            let message = input.nullable_string(flexible)?.map(Into::into);
            input.skip_tagged_fields(flexible)?;
            partition.record_errors.push(RecordError {
                batch_index,
                message,
            });
        }
        partition.error_message = input.nullable_string(flexible)?.map(Into::into);
    }
    input.tagged_fields(flexible, |tag, field| {
        if tag == 0 {
            let (leader_id, leader_epoch) = (field.i32()?, field.i32()?);
            partition.current_leader = Some(LeaderHint {
                leader_id,
                leader_epoch,
            });
        }
        Ok(())
    })?;
    Ok(partition)
}

fn decode_endpoints(input: &mut Reader<'_>) -> Result<Vec<Node>, ProtocolError> {
    let (count, mut nodes) = input.list(true, 10)?;
    for _ in 0..count {
        let id = NodeId(input.i32()?);
        let host = input.string(true)?.into();
        let port = u16::try_from(input.i32()?).map_err(|_| input.error("port out of range"))?;
        let rack = input.nullable_string(true)?.map(Into::into);
        input.skip_tagged_fields(true)?;
        nodes.push(Node {
            id,
            host,
            port,
            rack,
        });
    }
    Ok(nodes)
}

/// From here on topics have ids instead of names.
const TOPIC_IDS: i16 = 13;
