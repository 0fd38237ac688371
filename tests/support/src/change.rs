//! What can happen to the cluster: every change there is, and how it is made.

use crate::cluster::{Cluster, ConnId};
use crate::config::{LeaderHints, TopicConfig};
use crate::fault::Fault;
use crate::topic::{Isr, Node, Partition};

/// A change of the cluster, now ([`Cluster::apply`]) or later ([`Cluster::schedule`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A topic comes into being; nothing happens if it exists.
    CreateTopic(TopicConfig),
    /// A topic and its records are gone; one created later has another id.
    DeleteTopic(String),
    /// A topic has that many partitions from now on; never fewer than before.
    SetPartitions(String, i32),
    /// `max.message.bytes` of a topic, from now on.
    SetMaxMessageBytes(String, usize),
    /// A partition has another leader, or none.
    MoveLeader(String, i32, Option<i32>),
    /// A node stops: its connections close, its partitions move to living replicas.
    StopBroker(i32),
    /// A stopped node is back.
    StartBroker(i32),
    /// A node closes all its connections and goes on, as when they were idle too long.
    CloseConnections(i32),
    /// A node refuses new connections, or takes them again.
    RefuseConnections(i32, bool),
    /// A node answers Metadata with what was true at this moment, until thawed.
    FreezeMetadata(i32),
    /// A node answers Metadata with the truth again.
    ThawMetadata(i32),
    /// A partition knows no producer any more.
    ForgetProducers(String, i32),
    /// A partition loses its records from this offset on (whole batches), as after an unclean
    /// election.
    Truncate(String, i32, i64),
    /// A partition's oldest records are deleted, up to this offset (whole batches).
    DeleteRecords(String, i32, i64),
    /// What the nodes say about leaders that they are not.
    SetLeaderHints(LeaderHints),
    /// Clients may use a topic, or may not any more.
    SetAuthorized(String, bool),
    /// A topic is left out of the Metadata answers of one node, or of all, or is told again. Asked
    /// for it they say UNKNOWN_TOPIC_OR_PARTITION or UNKNOWN_TOPIC_ID, as a node that has just been
    /// started does; it can still be written to.
    HideTopic(String, Option<i32>, bool),
    /// A partition is left out of the Metadata answers of one node, or of all, or is told again.
    HidePartition(String, i32, Option<i32>, bool),
    /// A node (the first number) is left out of the Metadata answers of one node, or of all, or is
    /// told again. Partitions name it as their leader all the same.
    HideBroker(i32, Option<i32>, bool),
    /// A node dies and takes records with it that no replica has yet: those appended without an
    /// acknowledgement for acks=all since the last one that had it. Each partition that it led loses
    /// up to so many of the newest of them (whole batches), if a living replica takes over.
    CrashBroker {
        /// The node.
        node: i32,
        /// How many records at most, of each partition.
        lose: i64,
    },
    /// Only so many replicas of a partition are in sync, although their nodes may live. With fewer
    /// than `min.insync.replicas` acks=all is answered NOT_ENOUGH_REPLICAS.
    ShrinkIsr(String, i32, usize),
    /// The same, but the leader notices only when it has appended: acks=all is answered
    /// NOT_ENOUGH_REPLICAS_AFTER_APPEND.
    ShrinkIsrAfterAppend(String, i32, usize),
    /// All living replicas of a partition are in sync again.
    ExpandIsr(String, i32),
    /// A node answers every request with this code and does nothing, or answers sensibly again. A
    /// Metadata answer has the code at each of its topics.
    AnswerAll(i32, Option<i16>),
    /// Clients are told another host and port for a node. [`crate::EmbeddedKafka`] listens where it
    /// did all the same.
    SetEndpoint(i32, String, u16),
    /// Nothing is wrong any more: all nodes are up and answer at once with the truth, every
    /// partition is led by a living replica and has all of them in sync, withdrawn authorizations are
    /// given back, leader hints are right; faults, and changes that were scheduled, are gone. Answers
    /// that wait leave now; connections on which nothing would ever be answered are closed.
    /// Nodes of an [`crate::EmbeddedKafka`] that its own methods stopped have no port all the same.
    HealEverything,
    /// A fault begins.
    Fault(Fault),
    /// All faults end.
    ClearFaults,
    /// Every answer held back leaves.
    Release,
}

/// What a Metadata answer can leave out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hidden {
    Topic(String),
    Partition(String, i32),
    Broker(i32),
}

impl Cluster {
    /// Makes a change now. A change of something that does not exist does nothing.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::CreateTopic(topic) => self.create(topic),
            Change::DeleteTopic(name) => {
                if let Some(topic) = self.topics.remove(&name) {
                    self.names_by_id.remove(&topic.id);
                }
            }
            Change::SetPartitions(name, partitions) => self.grow(&name, partitions),
            Change::SetMaxMessageBytes(topic, bytes) => {
                if let Some(topic) = self.topics.get_mut(&topic) {
                    topic.config.max_message_bytes = bytes;
                }
            }
            Change::SetAuthorized(topic, authorized) => {
                if let Some(topic) = self.topics.get_mut(&topic) {
                    topic.authorized = authorized;
                }
            }
            Change::StopBroker(node) => self.stop(node),
            Change::StartBroker(node) => self.restart(node),
            Change::CrashBroker { node, lose } => self.crash(node, lose),
            Change::CloseConnections(node) => self.reset_all(node),
            Change::RefuseConnections(node, refuses) => {
                self.on_node(node, |node| node.refuses = refuses);
            }
            Change::FreezeMetadata(node) => {
                let view = self.metadata_view();
                self.on_node(node, |node| node.frozen = Some(view));
            }
            Change::ThawMetadata(node) => self.on_node(node, |node| node.frozen = None),
            Change::AnswerAll(node, code) => self.on_node(node, |node| node.answers = code),
            Change::SetEndpoint(node, host, port) => self.on_node(node, |node| {
                node.host = host;
                node.port = i32::from(port);
            }),
            Change::HideTopic(topic, at, hidden) => {
                self.hide(at, Hidden::Topic(topic), hidden);
            }
            Change::HidePartition(topic, partition, at, hidden) => {
                self.hide(at, Hidden::Partition(topic, partition), hidden);
            }
            Change::HideBroker(node, at, hidden) => self.hide(at, Hidden::Broker(node), hidden),
            Change::SetLeaderHints(hints) => self.config.leader_hints = hints,
            Change::Fault(fault) => self.fault(fault),
            Change::ClearFaults => self.clear_faults(),
            Change::Release => self.release_held(),
            Change::HealEverything => self.heal(),
            Change::MoveLeader(..)
            | Change::ForgetProducers(..)
            | Change::Truncate(..)
            | Change::DeleteRecords(..)
            | Change::ShrinkIsr(..)
            | Change::ShrinkIsrAfterAppend(..)
            | Change::ExpandIsr(..) => self.change_partition(change),
        }
    }

    /// The changes of one partition.
    fn change_partition(&mut self, change: Change) {
        let (rules, now_ms) = (self.rules(), self.now_ms);
        match change {
            Change::MoveLeader(topic, partition, leader) => {
                self.on_partition(&topic, partition, |partition| partition.elect(leader));
            }
            Change::ForgetProducers(topic, partition) => {
                self.on_partition(&topic, partition, Partition::forget_producers);
            }
            Change::Truncate(topic, partition, offset) => {
                self.on_partition(&topic, partition, |partition| {
                    partition.truncate(offset, &rules, now_ms);
                });
            }
            Change::DeleteRecords(topic, partition, offset) => {
                self.on_partition(&topic, partition, |partition| {
                    partition.log.delete_before(offset);
                });
            }
            Change::ShrinkIsr(topic, partition, in_sync) => {
                let isr = Isr {
                    in_sync,
                    noticed: true,
                };
                self.on_partition(&topic, partition, |partition| partition.isr = Some(isr));
            }
            Change::ShrinkIsrAfterAppend(topic, partition, in_sync) => {
                let isr = Isr {
                    in_sync,
                    noticed: false,
                };
                self.on_partition(&topic, partition, |partition| partition.isr = Some(isr));
            }
            Change::ExpandIsr(topic, partition) => {
                self.on_partition(&topic, partition, |partition| partition.isr = None);
            }
            other => unreachable!("{other:?} changes more than one partition"),
        }
    }

    fn hide(&mut self, at: Option<i32>, what: Hidden, hidden: bool) {
        if hidden {
            self.hidden.insert((at, what));
        } else {
            self.hidden.remove(&(at, what));
        }
    }

    fn crash(&mut self, node: i32, lose: i64) {
        let mut led = Vec::new();
        for (name, topic) in &self.topics {
            for (index, partition) in (0..).zip(&topic.partitions) {
                if self.is_up(node) && partition.leader == Some(node) {
                    led.push((name.clone(), index));
                }
            }
        }
        self.stop(node);
        let (rules, now_ms) = (self.rules(), self.now_ms);
        for (topic, index) in led {
            self.on_partition(&topic, index, |partition| {
                if partition.leader.is_some() {
                    partition.lose(lose, &rules, now_ms);
                }
            });
        }
    }

    fn heal(&mut self) {
        self.scheduled.clear();
        self.faults.clear();
        self.hidden.clear();
        self.config.leader_hints = LeaderHints::Right;
        for node in self.nodes.values_mut() {
            node.up = true;
            node.refuses = false;
            node.answers = None;
            node.frozen = None;
        }
        let first = self.nodes.keys().next().copied();
        for topic in self.topics.values_mut() {
            topic.authorized |= !topic.config.unauthorized;
            for partition in &mut topic.partitions {
                partition.isr = None;
                if partition.replicas.is_empty() {
                    partition.replicas.extend(first);
                }
            }
        }
        self.elect_where(|partition| partition.leader.is_none());
        self.release_all();
    }

    fn stop(&mut self, node: i32) {
        let Some(stopped) = self.nodes.get_mut(&node) else {
            return;
        };
        stopped.up = false;
        self.elect_where(|partition| partition.leader == Some(node));
        self.reset_all(node);
    }

    fn reset_all(&mut self, node: i32) {
        let ids: Vec<ConnId> = self
            .connections
            .iter()
            .filter_map(|(id, connection)| (connection.node == node).then_some(*id))
            .collect();
        for id in ids {
            self.reset(id);
        }
    }

    fn restart(&mut self, node: i32) {
        self.on_node(node, |node| {
            node.up = true;
            node.frozen = None;
        });
        self.elect_where(|partition| partition.leader.is_none());
    }

    /// The first living replica leads.
    fn elect_where(&mut self, chosen: impl Fn(&Partition) -> bool) {
        let nodes = &self.nodes;
        let up = |node: &&i32| nodes.get(node).is_some_and(|node| node.up);
        for topic in self.topics.values_mut() {
            for partition in topic.partitions.iter_mut().filter(|p| chosen(p)) {
                let leader = partition.replicas.iter().find(up).copied();
                partition.elect(leader);
            }
        }
    }

    fn on_node(&mut self, node: i32, change: impl FnOnce(&mut Node)) {
        if let Some(node) = self.nodes.get_mut(&node) {
            change(node);
        }
    }

    fn on_partition(&mut self, topic: &str, partition: i32, change: impl FnOnce(&mut Partition)) {
        let topic = self.topics.get_mut(topic);
        if let Some(partition) = topic.and_then(|topic| topic.partition_mut(partition)) {
            change(partition);
        }
    }
}
