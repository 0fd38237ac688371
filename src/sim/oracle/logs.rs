//! What is left when a run is over: the brokers' logs, and what the producer still holds.
//!
//! Thread: the one that simulates. Locks: none.

use std::collections::BTreeMap;

use kafka_test_support::{Cluster, StoredBatch, StoredRecord};

use super::attempts::Attempts;
use super::terms::{Terms, Tp};
use crate::producer::Afterwards;

/// The log of every partition that records went to.
#[derive(Debug, Default)]
pub(super) struct Logs(pub(super) BTreeMap<Tp, Log>);

/// One partition's.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// What lies before was deleted on purpose.
    pub(super) start: i64,
    pub(super) records: Vec<StoredRecord>,
    /// Records that had been appended are gone from its end, or with a topic that was deleted.
    pub(super) has_lost: bool,
    /// Producers were forgotten in it.
    pub(super) has_forgotten: bool,
}

/// What nobody may hold any more.
#[derive(Debug)]
pub(super) struct Remains {
    pub(super) available_memory: usize,
    pub(super) incomplete_batches: usize,
    pub(super) open_links: usize,
    /// Times that the producer said that a broker had lost what it had acknowledged.
    pub(super) data_losses: u64,
}

impl Logs {
    pub(super) fn read(cluster: &Cluster, terms: &Terms, attempts: &Attempts) -> Self {
        let mut logs = BTreeMap::new();
        for (topic, name) in terms.topics.iter().enumerate() {
            for partition in 0..cluster.partitions(name) {
                let batches = cluster.batches(name, partition);
                let end = cluster.end_offset(name, partition);
                let appended = attempts.appended.get(&(topic, partition));
                let has_lost = appended.is_some_and(|appended| {
                    appended.has_lost
                        || appended.end() > end
                        || appended.topic_id != cluster.topic_id(name)
                });
                let log = Log {
                    start: batches.first().map_or(end, |first| first.base_offset),
                    records: batches
                        .iter()
                        .filter_map(StoredBatch::records)
                        .flatten()
                        .collect(),
                    has_lost,
                    has_forgotten: cluster.has_forgotten_producers(name, partition),
                };
                logs.insert((topic, partition), log);
            }
        }
        for tp in attempts.appended.keys() {
            logs.entry(*tp).or_insert(Log {
                has_lost: true,
                ..Log::default()
            });
        }
        Self(logs)
    }
}

impl Remains {
    pub(super) fn of(afterwards: &Afterwards, open_links: usize) -> Self {
        Self {
            available_memory: afterwards.available_memory(),
            incomplete_batches: afterwards.incomplete_batches(),
            open_links,
            data_losses: afterwards.data_losses(),
        }
    }
}
