//! The cluster as a pure state machine: no IO, no clock, no thread.

use crate::config::{ClusterConfig, TopicConfig};
use crate::fault::Fault;
use crate::history::{Event, History};
use crate::log::{StoredBatch, StoredRecord};

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

/// A change of the cluster, now ([`Cluster::apply`]) or later ([`Cluster::schedule`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A topic comes into being.
    CreateTopic(TopicConfig),
    /// A topic and its records are gone; one created later has another id.
    DeleteTopic(String),
    /// A topic has that many partitions from now on.
    SetPartitions(String, i32),
    /// A partition has another leader, or none.
    MoveLeader(String, i32, Option<i32>),
    /// A node stops: its connections close, its partitions move to living replicas.
    StopBroker(i32),
    /// A stopped node is back.
    StartBroker(i32),
    /// A fault begins.
    Fault(Fault),
}

/// One to five brokers, strict as Apache Kafka's own.
#[derive(Debug)]
pub struct Cluster {
    config: ClusterConfig,
    history: History,
}

impl Cluster {
    /// A cluster with all nodes up and the topics of `config`.
    pub fn new(config: ClusterConfig) -> Self {
        let history = History::new(config.history_events);
        Self { config, history }
    }

    /// Creates a topic.
    pub fn create_topic(&mut self, name: &str, partitions: i32) {
        self.apply(Change::CreateTopic(TopicConfig::new(name, partitions)));
    }

    /// Deletes a topic and its records.
    pub fn delete_topic(&mut self, name: &str) {
        self.apply(Change::DeleteTopic(name.to_owned()));
    }

    /// Makes a change now.
    pub fn apply(&mut self, change: Change) {
        let _ = change;
    }

    /// Makes a change when the time comes.
    pub fn schedule(&mut self, at_ms: i64, change: Change) {
        let _ = (at_ms, change);
    }

    /// Lets something go wrong.
    pub fn fault(&mut self, fault: Fault) {
        let _ = fault;
    }

    /// Ends all faults.
    pub fn clear_faults(&mut self) {}

    /// Lets go of every answer that a fault holds back.
    pub fn release(&mut self) {}

    /// A client connects to a node; `None` if the node is down or refuses.
    pub fn connect(&mut self, node: i32, now_ms: i64) -> Option<ConnId> {
        let _ = (node, now_ms);
        None
    }

    /// The client closed the connection.
    pub fn disconnect(&mut self, connection: ConnId, now_ms: i64) {
        let _ = (connection, now_ms);
    }

    /// Bytes from a client, cut anyhow.
    pub fn receive(&mut self, connection: ConnId, bytes: &[u8], now_ms: i64) {
        let _ = (connection, bytes, now_ms);
    }

    /// Lets time pass; returns when something happens next by itself.
    pub fn advance(&mut self, now_ms: i64) -> Option<i64> {
        let _ = now_ms;
        None
    }

    /// Takes the bytes that wait for a client.
    pub fn output(&mut self, connection: ConnId, out: &mut Vec<u8>) -> ConnState {
        let _ = (connection, out);
        ConnState::Closed
    }

    /// The records of a partition; empty for one that does not exist.
    pub fn log(&self, topic: &str, partition: i32) -> Vec<StoredRecord> {
        let _ = (topic, partition);
        Vec::new()
    }

    /// The batches of a partition.
    pub fn batches(&self, topic: &str, partition: i32) -> Vec<StoredBatch> {
        let _ = (topic, partition);
        Vec::new()
    }

    /// The offset the next record of a partition will get.
    pub fn end_offset(&self, topic: &str, partition: i32) -> i64 {
        let _ = (topic, partition);
        0
    }

    /// How many partitions a topic has; 0 if there is no such topic.
    pub fn partitions(&self, topic: &str) -> i32 {
        let _ = topic;
        0
    }

    /// What happened so far, oldest first.
    pub fn history(&self) -> impl Iterator<Item = &Event> {
        self.history.events()
    }

    /// The settings it was made with.
    pub fn config(&self) -> &ClusterConfig {
        &self.config
    }
}
