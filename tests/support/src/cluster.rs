//! The cluster as a pure state machine: no IO, no clock, no thread.
//!
//! Time is an argument everywhere, in milliseconds since 1970. This file holds the cluster's state
//! and what can be asked about it; `change` changes it, `connection` moves bytes, `handler` answers
//! requests.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::change::{Change, Hidden};
use crate::config::{ClusterConfig, TopicConfig};
use crate::connection::Connection;
use crate::fault::{Fault, Faults};
use crate::history::{Event, History};
use crate::log::{StoredBatch, StoredRecord};
use crate::producer_state::Rules;
use crate::topic::{Node, Partition, Topic};

/// A connection of a client to one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// Whether a connection lives after its output was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnState {
    /// More may come.
    Open,
    /// The broker closed it, after the bytes just taken.
    Closed,
}

/// One to five brokers, strict as Apache Kafka's own.
#[derive(Debug)]
pub struct Cluster {
    pub(crate) config: ClusterConfig,
    pub(crate) history: History,
    pub(crate) nodes: BTreeMap<i32, Node>,
    pub(crate) topics: BTreeMap<String, Topic>,
    pub(crate) names_by_id: BTreeMap<Uuid, String>,
    /// What the Metadata answers of a node, or of all, leave out.
    pub(crate) hidden: BTreeSet<(Option<i32>, Hidden)>,
    pub(crate) faults: Faults,
    pub(crate) connections: BTreeMap<ConnId, Connection>,
    /// Connections with bytes to take or an end to notice.
    pub(crate) dirty: BTreeSet<ConnId>,
    /// When paused connections go on.
    pub(crate) timers: BTreeSet<(i64, ConnId)>,
    pub(crate) scheduled: BTreeMap<(i64, u64), Change>,
    pub(crate) now_ms: i64,
    pub(crate) accepted: BTreeMap<i32, u64>,
    pub(crate) next_connection: u64,
    /// The id and epoch that the next producer gets.
    pub(crate) next_producer: (i64, i16),
    /// Producer id and epoch of each transactional id.
    pub(crate) transactional_ids: BTreeMap<String, (i64, i16)>,
    scheduled_count: u64,
    random: u64,
}

impl Cluster {
    /// A cluster with all nodes up and the topics of `config`.
    ///
    /// # Panics
    ///
    /// If it has not one to five brokers.
    pub fn new(config: ClusterConfig) -> Self {
        assert!(
            (1..=5).contains(&config.brokers),
            "a cluster has 1 to 5 brokers, not {}",
            config.brokers
        );
        let mut cluster = Self {
            history: History::new(config.history_events),
            nodes: BTreeMap::new(),
            topics: BTreeMap::new(),
            names_by_id: BTreeMap::new(),
            hidden: BTreeSet::new(),
            faults: Faults::default(),
            connections: BTreeMap::new(),
            dirty: BTreeSet::new(),
            timers: BTreeSet::new(),
            scheduled: BTreeMap::new(),
            now_ms: 0,
            accepted: BTreeMap::new(),
            next_connection: 1,
            next_producer: (config.first_producer_id, config.first_producer_epoch),
            transactional_ids: BTreeMap::new(),
            scheduled_count: 0,
            random: config.seed,
            config,
        };
        for _ in 0..cluster.config.brokers {
            cluster.add_broker();
        }
        for topic in std::mem::take(&mut cluster.config.topics) {
            cluster.apply(Change::CreateTopic(topic));
        }
        cluster
    }

    /// The settings it was made with; its topics have moved into the cluster.
    pub fn config(&self) -> &ClusterConfig {
        &self.config
    }

    /// Adds a node and returns its id. It leads nothing until a leader is moved to it or a topic or
    /// partition is created.
    pub fn add_broker(&mut self) -> i32 {
        let id = self.nodes.keys().last().map_or(1, |last| last + 1);
        self.nodes.insert(
            id,
            Node {
                host: format!("broker-{id}.embedded"),
                port: 9092,
                up: true,
                refuses: false,
                answers: None,
                frozen: None,
            },
        );
        id
    }

    /// Where clients are told to find a node.
    pub fn set_endpoint(&mut self, node: i32, host: &str, port: u16) {
        self.apply(Change::SetEndpoint(node, host.to_owned(), port));
    }

    /// The ids of all nodes, stopped ones too.
    pub fn nodes(&self) -> Vec<i32> {
        self.nodes.keys().copied().collect()
    }

    /// Creates a topic with Kafka's defaults.
    pub fn create_topic(&mut self, name: &str, partitions: i32) {
        self.apply(Change::CreateTopic(TopicConfig::new(name, partitions)));
    }

    /// Deletes a topic and its records.
    pub fn delete_topic(&mut self, name: &str) {
        self.apply(Change::DeleteTopic(name.to_owned()));
    }

    /// Raises the number of a topic's partitions.
    pub fn set_partitions(&mut self, name: &str, partitions: i32) {
        self.apply(Change::SetPartitions(name.to_owned(), partitions));
    }

    /// Gives a partition another leader.
    pub fn move_leader(&mut self, topic: &str, partition: i32, node: i32) {
        self.apply(Change::MoveLeader(topic.to_owned(), partition, Some(node)));
    }

    /// Stops a node.
    pub fn stop_broker(&mut self, node: i32) {
        self.apply(Change::StopBroker(node));
    }

    /// Starts a stopped node.
    pub fn start_broker(&mut self, node: i32) {
        self.apply(Change::StartBroker(node));
    }

    /// Lets something go wrong.
    pub fn fault(&mut self, fault: Fault) {
        self.faults.add(fault);
    }

    /// Ends all faults; what they hold back stays held.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// Whether a fault of this label still has requests to strike.
    pub fn has_fault(&self, label: &str) -> bool {
        self.faults.has(label)
    }

    /// Ends the faults of one label; their strikes stay counted.
    pub fn end_faults(&mut self, label: &str) {
        self.faults.end(label);
    }

    /// On how many requests the faults of each label had an effect so far; a fault that matched a
    /// request and changed nothing about it, because another one forestalled it, is not counted.
    pub fn strikes(&self) -> &BTreeMap<&'static str, u64> {
        self.faults.counts()
    }

    /// Lets go of every answer that a fault holds back.
    pub fn release(&mut self) {
        self.apply(Change::Release);
    }

    /// Makes a change when [`Cluster::advance`] reaches its time.
    pub fn schedule(&mut self, at_ms: i64, change: Change) {
        self.scheduled_count += 1;
        self.scheduled.insert((at_ms, self.scheduled_count), change);
    }

    /// The records of a partition; empty for one that does not exist.
    ///
    /// # Panics
    ///
    /// If a batch is compressed; [`Cluster::batches`] has its bytes.
    pub fn log(&self, topic: &str, partition: i32) -> Vec<StoredRecord> {
        self.partition(topic, partition)
            .into_iter()
            .flat_map(|partition| partition.log.batches())
            .flat_map(|batch| {
                batch
                    .records()
                    .expect("records of compressed batches are read from `batches`")
            })
            .collect()
    }

    /// The batches of a partition.
    pub fn batches(&self, topic: &str, partition: i32) -> Vec<StoredBatch> {
        self.partition(topic, partition)
            .into_iter()
            .flat_map(|partition| partition.log.batches().cloned())
            .collect()
    }

    /// The offset the next record of a partition will get.
    pub fn end_offset(&self, topic: &str, partition: i32) -> i64 {
        self.partition(topic, partition)
            .map_or(0, |partition| partition.log.end())
    }

    /// Whether a partition was ever told to forget its producers.
    pub fn has_forgotten_producers(&self, topic: &str, partition: i32) -> bool {
        self.partition(topic, partition)
            .is_some_and(|partition| partition.has_forgotten)
    }

    /// How many partitions a topic has; 0 if there is no such topic.
    pub fn partitions(&self, topic: &str) -> i32 {
        self.topics.get(topic).map_or(0, |topic| {
            i32::try_from(topic.partitions.len()).expect("partitions are counted by i32")
        })
    }

    /// The leader of a partition.
    pub fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        self.partition(topic, partition)?.leader
    }

    /// The settings with which a topic was made.
    pub fn topic_config(&self, topic: &str) -> Option<&TopicConfig> {
        self.topics.get(topic).map(|topic| &topic.config)
    }

    /// The id of a topic.
    pub fn topic_id(&self, topic: &str) -> Option<Uuid> {
        self.topics.get(topic).map(|topic| topic.id)
    }

    /// What happened so far, oldest first.
    pub fn history(&self) -> impl Iterator<Item = &Event> {
        self.history.events()
    }

    /// Takes what happened since the history was last taken or cleared, oldest first. Whatever it
    /// dropped before because it was full stays counted.
    pub fn take_history(&mut self) -> Vec<Event> {
        self.history.take()
    }

    /// How many events the history has dropped because it was full.
    pub fn history_dropped(&self) -> u64 {
        self.history.dropped()
    }

    /// Starts the history anew.
    pub fn clear_history(&mut self) {
        self.history.clear();
    }

    /// How many connections a node has accepted.
    pub fn connections_accepted(&self, node: i32) -> u64 {
        self.accepted.get(&node).copied().unwrap_or(0)
    }

    pub(crate) fn partition(&self, topic: &str, partition: i32) -> Option<&Partition> {
        self.topics.get(topic)?.partition(partition)
    }

    pub(crate) fn rules(&self) -> Rules {
        let config = &self.config;
        Rules {
            first: config
                .first_sequence
                .unwrap_or_else(|| config.versions.first_sequence()),
            window: config.producer_window,
            expiration_ms: config.producer_id_expiration_ms,
        }
    }

    pub(crate) fn is_up(&self, node: i32) -> bool {
        self.nodes.get(&node).is_some_and(|node| node.up)
    }

    pub(crate) fn create(&mut self, mut config: TopicConfig) {
        if self.topics.contains_key(&config.name) {
            return;
        }
        let id = Uuid::from_u64_pair(self.next_random() | 1, self.next_random());
        let (name, partitions) = (config.name.clone(), config.partitions);
        config
            .timestamp_after_max_ms
            .get_or_insert(self.config.versions.timestamp_after_max_ms());
        self.names_by_id.insert(id, name.clone());
        let topic = Topic {
            authorized: !config.unauthorized,
            config,
            id,
            partitions: Vec::new(),
        };
        self.topics.insert(name.clone(), topic);
        self.grow(&name, partitions);
    }

    /// Partition `p` is led by the `p`-th living node, as round robin goes.
    pub(crate) fn grow(&mut self, name: &str, partitions: i32) {
        let alive: Vec<i32> = self
            .nodes()
            .into_iter()
            .filter(|n| self.is_up(*n))
            .collect();
        let Some(topic) = self.topics.get_mut(name) else {
            return;
        };
        let factor = usize::try_from(self.config.replication_factor).unwrap_or(1);
        let wanted = usize::try_from(partitions).unwrap_or(0);
        for index in topic.partitions.len()..wanted {
            let nodes = alive.iter().cycle().skip(index % alive.len().max(1));
            let replicas: Vec<i32> = nodes.take(factor.min(alive.len())).copied().collect();
            let leader = replicas.first().copied();
            topic.partitions.push(Partition::new(replicas, leader));
        }
    }

    /// SplitMix64.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
