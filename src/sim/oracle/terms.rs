//! What the run goes by, as far as it decides what is right.
//!
//! Thread: the one that simulates. Locks: none.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::sim::faults::{FaultKind, Group};
use crate::sim::guarantees::Line;
use crate::sim::scenario::Scenario;

/// A topic's index in the scenario, and a partition.
pub(super) type Tp = (usize, i32);

/// The settings that bounds and rules come from.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    /// Of every partition that loses nothing.
    pub(super) lines: BTreeSet<Line>,
    pub(super) topics: Vec<String>,
    /// Per topic: the broker's clock stamps records.
    pub(super) append_time: Vec<bool>,
    pub(super) acks: i16,
    pub(super) idempotence: bool,
    pub(super) max_in_flight: usize,
    /// `topic.recreation.policy` is `fail`.
    pub(super) fails_recreated: bool,
    pub(super) first_sequence: i32,
    pub(super) max_request_size: usize,
    pub(super) buffer_memory: usize,
    /// Of that, at most, for one topic.
    pub(super) memory_of_a_topic: usize,
    /// Few partitions of a topic can have a batch at once.
    pub(super) shares_are_tight: bool,
    pub(super) linger: Duration,
    pub(super) request_timeout: Duration,
    pub(super) delivery_timeout: Duration,
    pub(super) max_block: Duration,
    pub(super) shortest_reconnect: Duration,
    pub(super) longest_backoff: Duration,
    pub(super) longest_setup: Duration,
    /// Beyond these, records come from callbacks.
    pub(super) threads: usize,
    /// Connections to a node may lead to another one.
    pub(super) addresses_move: bool,
    /// From then on something may keep the Sender's own thread from its work, a request that was made
    /// from its socket, or what a partition needs from metadata.
    pub(super) suffers_from: Option<Duration>,
    /// Brokers may say what is not so of sequences, or forget what they knew.
    pub(super) sequences_suffer: bool,
}

impl Terms {
    pub(super) fn of(scenario: &Scenario) -> Self {
        let (config, cluster) = (&scenario.config, &scenario.cluster);
        let ms = Duration::from_millis;
        let has = |group| {
            scenario
                .faults
                .iter()
                .any(|fault| fault.kind.group() == group)
        };
        Self {
            lines: Line::of(config, cluster),
            topics: cluster
                .topics
                .iter()
                .map(|topic| topic.name.clone())
                .collect(),
            append_time: cluster
                .topics
                .iter()
                .map(|topic| topic.log_append_time)
                .collect(),
            acks: config.acks,
            idempotence: config.idempotence,
            max_in_flight: usize::try_from(config.max_in_flight).unwrap_or(usize::MAX),
            fails_recreated: config.fails_recreated,
            first_sequence: config.first_sequence,
            max_request_size: config.max_request_size,
            buffer_memory: config.buffer_memory,
            memory_of_a_topic: config.memory_of_a_topic(),
            shares_are_tight: config.topic_share < 100
                && config.memory_of_a_topic() < MANY_BATCHES * (config.batch_size + CALLBACKS),
            threads: scenario.threads.len(),
            linger: ms(config.linger_ms),
            request_timeout: ms(config.request_timeout_ms),
            delivery_timeout: ms(config.delivery_timeout_ms),
            max_block: ms(config.max_block_ms),
            shortest_reconnect: ms(config.reconnect_backoff_ms.0),
            longest_backoff: ms(config.retry_backoff_ms.1.max(config.reconnect_backoff_ms.1)),
            longest_setup: ms(config.setup_timeout_ms.1),
            addresses_move: has(Group::Names)
                || scenario
                    .faults
                    .iter()
                    .any(|fault| fault.kind.name() == "node-readdressed"),
            suffers_from: scenario
                .faults
                .iter()
                .filter(|fault| holds_up_others(fault.kind))
                .map(|fault| fault.from)
                .min(),
            sequences_suffer: scenario
                .faults
                .iter()
                .any(|fault| LIES_OF_SEQUENCES.contains(&fault.kind.name())),
        }
    }

    /// Order by letting a partition wait: one request in flight and no sequences.
    pub(super) fn mutes(&self) -> bool {
        !self.idempotence && self.max_in_flight == 1
    }

    pub(super) fn topic(&self, name: &str) -> Option<usize> {
        self.topics.iter().position(|known| known == name)
    }

    pub(super) fn topic_name(&self, topic: usize) -> &str {
        self.topics.get(topic).map_or("?", String::as_str)
    }

    /// What holds for a partition.
    pub(super) fn lines_of(&self, has_lost: bool, has_forgotten: bool) -> BTreeSet<Line> {
        let mut lines = self.lines.clone();
        if has_forgotten && self.idempotence {
            lines.remove(&Line::Idempotent);
            lines.insert(Line::IdempotentForgets);
        }
        if has_lost {
            lines.insert(Line::of_lost_data(self.idempotence));
        }
        lines
    }
}

/// So many as there are partitions of a topic, added ones included.
const MANY_BATCHES: usize = 30;

/// What is counted for a batch's callbacks, at least.
const CALLBACKS: usize = 1_280;

/// Whoever has no version in common with a node makes no request, and tries again after a backoff.
fn holds_up_others(kind: FaultKind) -> bool {
    kind.holds_up_others() || kind == FaultKind::OddApiVersions
}

/// Faults after which a sequence may be missing though no record is.
const LIES_OF_SEQUENCES: &[&str] = &[
    "any-code",
    "lying-produce-answer",
    "producers-forgotten",
    "records-deleted",
    "sequence-code",
];
