//! The cluster as values: nodes, topics, partitions, and the immutable [`Cluster`] that one
//! metadata response makes. Nothing here talks, waits or changes (Java: `org.apache.kafka.common`).

#[allow(
    clippy::module_inception,
    reason = "the house has a room and a type of this name"
)]
mod cluster;
mod node;
mod topic_name;
mod topic_partition;
mod uuid;

pub(crate) use self::cluster::{Cluster, ClusterBuilder, PartitionInfo, TopicInfo};
pub(crate) use self::node::{Node, NodeId};
pub(crate) use self::topic_name::check_topic_name;
pub(crate) use self::topic_partition::TopicPartition;
pub(crate) use self::uuid::Uuid;
