//! One immutable picture of the cluster: what the last metadata says (Java: `Cluster` and
//! `MetadataSnapshot` in one). Made by [`ClusterBuilder`], shared as `Arc<Cluster>`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::{Node, NodeId, Uuid};

/// What is known of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartitionInfo {
    /// The leader, if one is known and its node is in the picture.
    pub(crate) leader: Option<NodeId>,
    /// The leader's epoch; -1 where brokers are too old to say.
    pub(crate) leader_epoch: i32,
}

/// What is known of one topic: its partitions by number, dense from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicInfo {
    pub(crate) name: Arc<str>,
    pub(crate) id: Uuid,
    pub(crate) partitions: Vec<PartitionInfo>,
}

/// An immutable picture of the cluster.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cluster {
    /// Rises with every picture of one client; the first real one has 1, the bootstrap picture 0.
    version: u64,
    cluster_id: Option<Arc<str>>,
    /// True while only the bootstrap addresses are known.
    bootstrap: bool,
    nodes: BTreeMap<NodeId, Node>,
    topics: HashMap<Arc<str>, Arc<TopicInfo>, RandomState>,
}

impl Cluster {
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn cluster_id(&self) -> Option<&Arc<str>> {
        self.cluster_id.as_ref()
    }

    pub(crate) fn is_bootstrap(&self) -> bool {
        self.bootstrap
    }

    /// All nodes in the order of their ids.
    pub(crate) fn nodes(&self) -> impl ExactSizeIterator<Item = &Node> {
        self.nodes.values()
    }

    pub(crate) fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(&id)
    }

    #[inline]
    pub(crate) fn topic(&self, name: &str) -> Option<&Arc<TopicInfo>> {
        self.topics.get(name)
    }

    /// Every topic's id, in the order of names.
    #[allow(clippy::disallowed_methods, reason = "sorted before anybody sees it")]
    pub(crate) fn topic_ids(&self) -> BTreeMap<Arc<str>, Uuid> {
        let ids = self.topics.values();
        ids.map(|topic| (Arc::clone(&topic.name), topic.id))
            .collect()
    }

    pub(crate) fn partition(&self, topic: &str, partition: i32) -> Option<PartitionInfo> {
        let index = usize::try_from(partition).ok()?;
        self.topic(topic)?.partitions.get(index).copied()
    }

    /// A builder that starts from this picture, with the next version.
    pub(crate) fn to_builder(&self) -> ClusterBuilder {
        let mut next = self.clone();
        next.version += 1;
        ClusterBuilder(next)
    }
}

/// Puts a [`Cluster`] together.
#[derive(Debug, Default)]
pub(crate) struct ClusterBuilder(Cluster);

impl ClusterBuilder {
    pub(crate) fn bootstrap(nodes: impl IntoIterator<Item = Node>) -> Self {
        Self::default().bootstrap_nodes(nodes)
    }

    /// Replaces all nodes; the picture is no longer one of bootstrap addresses.
    #[must_use]
    pub(crate) fn nodes(mut self, nodes: impl IntoIterator<Item = Node>) -> Self {
        self.0.nodes = nodes.into_iter().map(|node| (node.id, node)).collect();
        self.0.bootstrap = false;
        self
    }

    /// Replaces all nodes by bootstrap addresses, which is where the client begins again.
    #[must_use]
    pub(crate) fn bootstrap_nodes(mut self, nodes: impl IntoIterator<Item = Node>) -> Self {
        self = self.nodes(nodes);
        self.0.bootstrap = true;
        self
    }

    #[must_use]
    pub(crate) fn cluster_id(mut self, id: Option<Arc<str>>) -> Self {
        self.0.cluster_id = id;
        self
    }

    /// Adds or replaces a topic.
    #[must_use]
    pub(crate) fn topic(mut self, topic: impl Into<Arc<TopicInfo>>) -> Self {
        let topic = topic.into();
        self.0.topics.insert(Arc::clone(&topic.name), topic);
        self
    }

    #[cfg(test)]
    #[must_use]
    pub(crate) fn without_topic(mut self, name: &str) -> Self {
        self.0.topics.remove(name);
        self
    }

    /// Removes every topic.
    #[must_use]
    pub(crate) fn without_topics(mut self) -> Self {
        self.0.topics.clear();
        self
    }

    pub(crate) fn build(self) -> Arc<Cluster> {
        Arc::new(self.0)
    }
}
