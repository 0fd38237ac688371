//! Topics, partitions, and who leads them.

use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use uuid::Uuid;

use crate::config::TopicConfig;
use crate::log::PartitionLog;
use crate::producer_state::{ProducerStates, Rules, Sequenced};

#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) config: TopicConfig,
    /// As it began, unless that was changed.
    pub(crate) authorized: bool,
    pub(crate) id: Uuid,
    pub(crate) partitions: Vec<Partition>,
}

impl Topic {
    pub(crate) fn partition(&self, index: i32) -> Option<&Partition> {
        self.partitions.get(usize::try_from(index).ok()?)
    }

    pub(crate) fn partition_mut(&mut self, index: i32) -> Option<&mut Partition> {
        self.partitions.get_mut(usize::try_from(index).ok()?)
    }
}

#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) log: PartitionLog,
    pub(crate) producers: ProducerStates,
    pub(crate) leader: Option<i32>,
    pub(crate) leader_epoch: i32,
    pub(crate) replicas: Vec<i32>,
    /// Fewer replicas than live are in sync.
    pub(crate) isr: Option<Isr>,
    /// Producers were forgotten, but for the log.
    pub(crate) has_forgotten: bool,
    /// Up to here every replica has the log.
    replicated: i64,
}

/// An in-sync set that shrank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Isr {
    pub(crate) in_sync: usize,
    /// Whether the leader knows of it before it appends.
    pub(crate) noticed: bool,
}

impl Partition {
    pub(crate) fn new(replicas: Vec<i32>, leader: Option<i32>) -> Self {
        Self {
            log: PartitionLog::default(),
            producers: ProducerStates::default(),
            leader,
            leader_epoch: 0,
            replicas,
            isr: None,
            has_forgotten: false,
            replicated: 0,
        }
    }

    /// Everything in the log was acknowledged by all replicas.
    pub(crate) fn replicate(&mut self) {
        self.replicated = self.log.end();
    }

    /// Loses up to so many of the newest records, none that all replicas have.
    pub(crate) fn lose(&mut self, records: i64, rules: &Rules, now_ms: i64) {
        let from = self.log.end().saturating_sub(records);
        let from = from.max(self.replicated);
        if from < self.log.end() {
            self.truncate(from, rules, now_ms);
        }
    }

    /// Every election raises the epoch. A leader that is no replica yet becomes one.
    pub(crate) fn elect(&mut self, leader: Option<i32>) {
        if self.leader == leader {
            return;
        }
        self.leader = leader;
        self.leader_epoch += 1;
        if let Some(leader) = leader.filter(|leader| !self.replicas.contains(leader)) {
            self.replicas.push(leader);
        }
    }

    pub(crate) fn forget_producers(&mut self) {
        self.producers.forget();
        self.has_forgotten = true;
    }

    /// Loses the end of the log; what is known of producers is read from the rest, as by a leader
    /// that was elected although it lagged.
    pub(crate) fn truncate(&mut self, offset: i64, rules: &Rules, now_ms: i64) {
        self.log.truncate(offset);
        self.replicated = self.replicated.min(self.log.end());
        self.producers.forget();
        for batch in self.log.batches().filter(|batch| batch.producer_id >= 0) {
            let sequenced = Sequenced {
                producer_id: batch.producer_id,
                epoch: batch.producer_epoch,
                base_sequence: batch.base_sequence,
                count: batch.count,
            };
            let timestamp = batch.append_time.unwrap_or(batch.max_timestamp);
            self.producers
                .appended(&sequenced, batch.base_offset, timestamp, rules, now_ms);
        }
    }
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) host: String,
    pub(crate) port: i32,
    pub(crate) up: bool,
    pub(crate) refuses: bool,
    /// The code it answers everything with.
    pub(crate) answers: Option<i16>,
    /// The metadata it goes on telling.
    pub(crate) frozen: Option<MetadataView>,
}

/// What a node knows of the cluster.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MetadataView {
    pub(crate) nodes: Vec<(i32, String, i32)>,
    pub(crate) topics: Vec<MetadataResponseTopic>,
}

/// Kafka's rule for topic names.
pub(crate) fn is_valid_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=249).contains(&name.len()) && name != "." && name != ".." && name.bytes().all(legal)
}

pub(crate) fn is_internal(name: &str) -> bool {
    matches!(
        name,
        "__consumer_offsets" | "__transaction_state" | "__share_group_state"
    )
}
