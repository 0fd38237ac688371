//! Metadata (key 3), versions 1 to 13: who is in the cluster and who leads what.
//! 9 flexible, epochs reliable from here on; 10 topic ids; 13 a top-level error (KIP-1102).

use std::sync::Arc;

use crate::cluster::{Node, Uuid};

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
