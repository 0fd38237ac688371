//! Metadata (key 3), versions 1 to 13: who is in the cluster and who leads what.
//! 9 flexible, epochs reliable from here on; 10 topic ids; 13 a top-level error (KIP-1102).

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::{Request, Response};
use crate::cluster::{Node, NodeId, Uuid};
use crate::protocol::{ApiKey, FrameWriter, ProtocolError, Reader};

/// Asks about topics; an empty list asks about the brokers alone.
#[derive(Debug, Default)]
pub(crate) struct MetadataRequest {
    pub(crate) topics: Vec<MetadataRequestTopic>,
    pub(crate) allow_auto_topic_creation: bool,
}

#[derive(Debug)]
pub(crate) struct MetadataRequestTopic {
    pub(crate) name: Arc<str>,
}

#[derive(Debug, Default)]
pub(crate) struct MetadataResponse {
    pub(crate) throttle_time_ms: i32,
    pub(crate) brokers: Vec<Node>,
    pub(crate) cluster_id: Option<Box<str>>,
    #[allow(
        dead_code,
        reason = "part of the response; a producer has no use for it"
    )]
    pub(crate) controller_id: i32,
    pub(crate) topics: Vec<MetadataTopic>,
    /// The top-level error, version 13 on; else 0.
    pub(crate) error_code: i16,
}

#[derive(Debug, Default)]
pub(crate) struct MetadataTopic {
    pub(crate) error_code: i16,
    pub(crate) name: Box<str>,
    /// Zero before version 10.
    pub(crate) topic_id: Uuid,
    #[allow(
        dead_code,
        reason = "part of the response; a producer has no use for it"
    )]
    pub(crate) is_internal: bool,
    pub(crate) partitions: Vec<MetadataPartition>,
}

/// One partition; replica lists are skipped, a producer has no use for them.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct MetadataPartition {
    pub(crate) error_code: i16,
    pub(crate) index: i32,
    /// -1 if there is none.
    pub(crate) leader_id: i32,
    /// -1 before version 7.
    pub(crate) leader_epoch: i32,
}

impl Request for MetadataRequest {
    const API_KEY: ApiKey = ApiKey::Metadata;
    const VERSIONS: RangeInclusive<i16> = 1..=13;
    type Response = MetadataResponse;

    fn encode(&self, version: i16, out: &mut FrameWriter) {
        let flexible = Self::API_KEY.is_flexible(version);
        out.count(self.topics.len(), flexible);
        for topic in &self.topics {
            if version >= 10 {
                out.uuid(Uuid::ZERO);
            }
            out.string(&topic.name, flexible);
            out.no_tagged_fields(flexible);
        }
        if version >= 4 {
            out.bool(self.allow_auto_topic_creation);
        }
        if (8..=10).contains(&version) {
            out.bool(false); // include_cluster_authorized_operations
        }
        if version >= 8 {
            out.bool(false); // include_topic_authorized_operations
        }
        out.no_tagged_fields(flexible);
    }
}

impl Response for MetadataResponse {
    fn decode(version: i16, input: &mut Reader<'_>) -> Result<Self, ProtocolError> {
        let flexible = ApiKey::Metadata.is_flexible(version);
        let throttle_time_ms = if version >= 3 { input.i32()? } else { 0 };
        let (count, mut brokers) = input.list(flexible, 10)?;
        for _ in 0..count {
            brokers.push(decode_broker(flexible, input)?);
        }
        let cluster_id = match version {
            2.. => input.nullable_string(flexible)?.map(Into::into),
            _ => None,
        };
        let controller_id = input.i32()?;
        let (count, mut topics) = input.list(flexible, 6)?;
        for _ in 0..count {
            topics.push(decode_topic(version, flexible, input)?);
        }
        if (8..=10).contains(&version) {
            input.i32()?; // cluster_authorized_operations
        }
        let error_code = if version >= 13 { input.i16()? } else { 0 };
        input.skip_tagged_fields(flexible)?;
        Ok(Self {
            throttle_time_ms,
            brokers,
            cluster_id,
            controller_id,
            topics,
            error_code,
        })
    }
}

fn decode_broker(flexible: bool, input: &mut Reader<'_>) -> Result<Node, ProtocolError> {
    let id = NodeId(input.i32()?);
    let host = input.string(flexible)?.into();
    let port = u16::try_from(input.i32()?).map_err(|_| input.error("port out of range"))?;
    let rack = input.nullable_string(flexible)?.map(Into::into);
    input.skip_tagged_fields(flexible)?;
    Ok(Node {
        id,
        host,
        port,
        rack,
    })
}

fn decode_topic(
    version: i16,
    flexible: bool,
    input: &mut Reader<'_>,
) -> Result<MetadataTopic, ProtocolError> {
    let error_code = input.i16()?;
    // Null only where topics are asked for by id, which we do not.
    let name = input.nullable_string(flexible)?.unwrap_or_default().into();
    let topic_id = if version >= 10 {
        input.uuid()?
    } else {
        Uuid::ZERO
    };
    let is_internal = input.bool()?;
    // The smallest partition has an error code, an index, a leader and two empty lists.
    let (count, mut partitions) = input.list(flexible, 12)?;
    for _ in 0..count {
        partitions.push(decode_partition(version, flexible, input)?);
    }
    if version >= 8 {
        input.i32()?; // topic_authorized_operations
    }
    input.skip_tagged_fields(flexible)?;
    Ok(MetadataTopic {
        error_code,
        name,
        topic_id,
        is_internal,
        partitions,
    })
}

fn decode_partition(
    version: i16,
    flexible: bool,
    input: &mut Reader<'_>,
) -> Result<MetadataPartition, ProtocolError> {
    let (error_code, index, leader_id) = (input.i16()?, input.i32()?, input.i32()?);
    let leader_epoch = if version >= 7 { input.i32()? } else { -1 };
    input.skip_i32s(flexible)?; // replicas
    input.skip_i32s(flexible)?; // in-sync replicas
    if version >= 5 {
        input.skip_i32s(flexible)?; // offline replicas
    }
    input.skip_tagged_fields(flexible)?;
    Ok(MetadataPartition {
        error_code,
        index,
        leader_id,
        leader_epoch,
    })
}
