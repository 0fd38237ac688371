//! What `partitions_for` tells of a topic (Java: `PartitionInfo`, `Node`).
//!
//! Thread: any. Locks: none.

use std::sync::Arc;

use crate::cluster::{Cluster, Node, TopicInfo};

/// What is known of one partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionInfo {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition's number.
    pub partition: i32,
    /// The broker that leads it; `None` while there is none.
    pub leader: Option<Broker>,
}

/// A broker and where it listens.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Broker {
    /// The broker's id.
    pub id: i32,
    /// Its host, as it calls itself.
    pub host: Arc<str>,
    /// Its port.
    pub port: u16,
    /// Its rack, if it has said so.
    pub rack: Option<Arc<str>>,
}

impl From<&Node> for Broker {
    fn from(node: &Node) -> Self {
        Self {
            id: node.id.0,
            host: Arc::clone(&node.host),
            port: node.port,
            rack: node.rack.as_ref().map(Arc::clone),
        }
    }
}

/// All partitions of a topic in order.
pub(super) fn partitions_of(topic: &TopicInfo, cluster: &Cluster) -> Vec<PartitionInfo> {
    let leader = |id| cluster.node(id).map(Broker::from);
    (0..)
        .zip(&topic.partitions)
        .map(|(partition, info)| PartitionInfo {
            topic: Arc::clone(&topic.name),
            partition,
            leader: info.leader.and_then(leader),
        })
        .collect()
}
