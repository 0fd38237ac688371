//! Each part of a scenario as it is when nothing was drawn: where the shrinker wants to get to, and
//! what a scenario in a file has where it says nothing.
//!
//! Thread: any. Locks: none.

use std::time::Duration;

use super::draw::Contradiction;
use super::faults::{FaultKind, FaultPlan};
use super::scenario::{ClusterPlan, ConfigPlan, Ending, Habits, Scenario, ThreadPlan, TopicPlan};

/// What a thing is when nothing was drawn: the simplest that does anything.
pub(super) trait Plain {
    fn plain() -> Self;
}

impl Plain for Scenario {
    /// One thread, one topic of one partition, one broker, nothing goes wrong.
    fn plain() -> Self {
        Self {
            seed: 0,
            config: ConfigPlan::plain(),
            cluster: ClusterPlan::plain(),
            threads: vec![ThreadPlan::plain()],
            faults: Vec::new(),
            safety: Duration::from_secs(60),
            ending: Ending::Close,
        }
    }
}

impl Plain for ConfigPlan {
    /// Kafka's defaults, but for a small memory.
    fn plain() -> Self {
        Self {
            acks: -1,
            idempotence: true,
            max_in_flight: 5,
            linger_ms: 5,
            batch_size: 16_384,
            buffer_memory: 1 << 20,
            topic_share: 100,
            max_request_size: 1 << 20,
            delivery_timeout_ms: 120_000,
            request_timeout_ms: 30_000,
            max_block_ms: 60_000,
            retries: i32::MAX.unsigned_abs(),
            retry_backoff_ms: (100, 1_000),
            reconnect_backoff_ms: (50, 1_000),
            setup_timeout_ms: (10_000, 30_000),
            max_idle_ms: Some(540_000),
            metadata_max_age_ms: 300_000,
            metadata_max_idle_ms: 300_000,
            rebootstrap_trigger_ms: None,
            ignore_keys: false,
            fails_recreated: false,
            callback_thread: false,
            first_sequence: 0,
            contradictions: Vec::new(),
            bootstrap_servers: 1,
            bootstrap_by_name: false,
        }
    }
}

impl Plain for ClusterPlan {
    fn plain() -> Self {
        Self {
            seed: 0,
            brokers: 1,
            topics: vec![TopicPlan::plain()],
            versions: 0,
            producer_window: 5,
            forgets_after_ms: None,
            refuses_unknown_first_sequence: false,
            first_epoch: 0,
        }
    }
}

impl Plain for TopicPlan {
    fn plain() -> Self {
        Self {
            name: "t".to_owned(),
            partitions: 1,
            log_append_time: false,
            min_insync_replicas: 1,
            max_message_bytes: 1 << 20,
        }
    }
}

impl Plain for ThreadPlan {
    fn plain() -> Self {
        Self {
            seed: 0,
            calls: 10,
            pause_us: 1_000,
            burst: 1,
            largest_value: 100,
            huge_records: 0,
            deaf: false,
            habits: Habits::default(),
        }
    }
}

impl Plain for Contradiction {
    fn plain() -> Self {
        Self::NoBootstrap
    }
}

impl Plain for FaultPlan {
    fn plain() -> Self {
        Self {
            kind: FaultKind::Latency,
            seed: 0,
            strength: 500,
            from: Duration::ZERO,
            until: Duration::from_secs(60),
        }
    }
}
