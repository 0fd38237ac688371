//! Produce (key 0), versions 3 to 13: record batches to the leaders of their partitions.
//! 9 flexible; 10 leader hints (KIP-951); 12 implicit add-partition (KIP-890); 13 topic ids (KIP-516).

use std::sync::Arc;

use bytes::Bytes;

use crate::cluster::{Node, Uuid};

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

impl Records {
    /// Bytes in all.
    pub(crate) fn size(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum()
    }
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
