//! What a cluster is made of, with a broker's own defaults.

use crate::versions::VersionProfile;

/// Settings of a whole cluster; made by [`ClusterConfig::brokers`] and changed by its methods or
/// its fields.
#[derive(Debug, Clone)]
pub struct ClusterConfig {
    /// Number of nodes; their ids are 1 to `brokers`.
    pub brokers: i32,
    /// Which versions all nodes speak.
    pub versions: VersionProfile,
    /// Feeds topic ids and the first producer id.
    pub seed: u64,
    /// How many batches per producer and partition are remembered to recognise repetitions. 0
    /// recognises none: they are OUT_OF_ORDER_SEQUENCE_NUMBER, as they were to Redpanda.
    pub producer_window: usize,
    /// `producer.id.expiration.ms`: a producer that appended nothing to a partition for so long is
    /// not known there any more. Kafka looks at the timestamps of the records and every ten minutes;
    /// here the broker's clock decides, at once.
    pub producer_id_expiration_ms: i64,
    /// What an unknown producer may begin with; `None` is what the release does.
    pub first_sequence: Option<FirstSequence>,
    /// The first producer id that is given out; the next ones follow it.
    pub first_producer_id: i64,
    /// The epoch that comes with the first producer id; a real broker's is 0, and so is that of the
    /// next ones.
    pub first_producer_epoch: i16,
    /// What NOT_LEADER_OR_FOLLOWER says about the leader.
    pub leader_hints: LeaderHints,
    /// `auto.create.topics.enable`.
    pub auto_create_topics: bool,
    /// `num.partitions`: partitions of a topic created on demand.
    pub default_partitions: i32,
    /// `default.replication.factor`, at most the number of brokers.
    pub replication_factor: i32,
    /// `socket.request.max.bytes`.
    pub socket_request_max_bytes: usize,
    /// Bytes of batches kept per partition; older ones are deleted. `None` keeps all.
    pub retention_bytes: Option<usize>,
    /// Events kept by the history; 0 switches it off, for speed.
    pub history_events: usize,
    /// Refuses also what a real broker takes but no correct producer sends: offset deltas with gaps
    /// and a wrong largest timestamp (INVALID_RECORD), a partition named twice in one request, null
    /// records, bytes after a request (the connection is closed).
    pub stricter_than_kafka: bool,
    /// Topics that exist from the start.
    pub topics: Vec<TopicConfig>,
}

impl ClusterConfig {
    /// A cluster of `brokers` nodes (1 to 5) as Kafka 4.3 comes out of the box.
    pub fn brokers(brokers: i32) -> Self {
        Self {
            brokers,
            versions: VersionProfile::KAFKA_43,
            seed: 1,
            producer_window: 5,
            producer_id_expiration_ms: 86_400_000,
            first_sequence: None,
            first_producer_id: 1000,
            first_producer_epoch: 0,
            leader_hints: LeaderHints::Right,
            auto_create_topics: true,
            default_partitions: 1,
            replication_factor: 3,
            socket_request_max_bytes: 100 * 1024 * 1024,
            retention_bytes: None,
            history_events: 100_000,
            stricter_than_kafka: true,
            topics: Vec::new(),
        }
    }

    /// Adds a topic that exists from the start.
    #[must_use]
    pub fn topic(self, name: &str, partitions: i32) -> Self {
        self.topic_with(TopicConfig::new(name, partitions))
    }

    /// Adds a topic with settings of its own.
    #[must_use]
    pub fn topic_with(mut self, topic: TopicConfig) -> Self {
        self.topics.push(topic);
        self
    }

    /// Takes all that a real broker takes.
    #[must_use]
    pub fn exactly_kafka(mut self) -> Self {
        self.stricter_than_kafka = false;
        self
    }

    /// Speaks as an older broker does.
    #[must_use]
    pub fn versions(mut self, versions: VersionProfile) -> Self {
        self.versions = versions;
        self
    }

    /// Whether asking for an unknown topic creates it.
    #[must_use]
    pub fn auto_create_topics(mut self, on: bool) -> Self {
        self.auto_create_topics = on;
        self
    }

    /// Sets the seed of everything that is random in a real cluster.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// No history and only the newest records: for measuring speed.
    #[must_use]
    pub fn lean(mut self) -> Self {
        self.history_events = 0;
        self.retention_bytes = Some(1024 * 1024);
        self
    }
}

/// What becomes of a batch from a producer that its partition does not know, if its sequence is not
/// 0. A known producer is another matter: its sequences follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstSequence {
    /// It is appended: Kafka 2.5 (KIP-360) to 4.4.
    Any,
    /// OUT_OF_ORDER_SEQUENCE_NUMBER if the log has never held a record, else appended: Kafka 4.5
    /// (KAFKA-15591).
    ZeroInNewLog,
    /// OUT_OF_ORDER_SEQUENCE_NUMBER.
    Zero,
    /// UNKNOWN_PRODUCER_ID: Kafka before 2.5.
    ZeroOrUnknownProducerId,
}

/// What a broker says about the leader of a partition that it does not lead (KIP-951).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaderHints {
    /// Who it is and where it lives.
    Right,
    /// Nothing.
    Absent,
    /// Another node than the leader, under the leader's epoch.
    Wrong,
}

/// Settings of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicConfig {
    /// Its name.
    pub name: String,
    /// How many partitions it has at first.
    pub partitions: i32,
    /// `max.message.bytes`: the largest batch, compressed as it is.
    pub max_message_bytes: usize,
    /// `min.insync.replicas`, counted against the living replicas.
    pub min_insync_replicas: usize,
    /// `message.timestamp.type=LogAppendTime`.
    pub log_append_time: bool,
    /// `message.timestamp.before.max.ms`.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`. `None` is the broker's own: an hour since Kafka 4.0, no
    /// limit before.
    pub timestamp_after_max_ms: Option<i64>,
    /// `cleanup.policy=compact`: every record needs a key.
    pub compacted: bool,
    /// Every use is answered with TOPIC_AUTHORIZATION_FAILED.
    pub unauthorized: bool,
}

impl TopicConfig {
    /// A topic with Kafka's defaults.
    pub fn new(name: &str, partitions: i32) -> Self {
        Self {
            name: name.to_owned(),
            partitions,
            max_message_bytes: 1024 * 1024 + 12,
            min_insync_replicas: 1,
            log_append_time: false,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: None,
            compacted: false,
            unauthorized: false,
        }
    }

    /// Sets `max.message.bytes`.
    #[must_use]
    pub fn max_message_bytes(mut self, bytes: usize) -> Self {
        self.max_message_bytes = bytes;
        self
    }

    /// Sets `min.insync.replicas`.
    #[must_use]
    pub fn min_insync_replicas(mut self, replicas: usize) -> Self {
        self.min_insync_replicas = replicas;
        self
    }

    /// The broker's clock stamps the records.
    #[must_use]
    pub fn log_append_time(mut self) -> Self {
        self.log_append_time = true;
        self
    }

    /// Every record needs a key.
    #[must_use]
    pub fn compacted(mut self) -> Self {
        self.compacted = true;
        self
    }

    /// Nobody may write to it, describe it or create it.
    #[must_use]
    pub fn unauthorized(mut self) -> Self {
        self.unauthorized = true;
        self
    }
}
