//! `topic.recreation.policy`: what was accepted for a topic goes to its successor, or ends, as it says.
//!
//! Thread: the one that simulates. Locks: none. Brokers that answer by name alone (Produce before v13)
//! hide which topic a batch went to; nothing is said of those.

use std::collections::BTreeMap;
use std::time::Duration;

use uuid::Uuid;

use super::attempts::Attempts;
use super::findings::Findings;
use super::terms::Terms;
use crate::sim::guarantees::Property;
use crate::sim::ledger::{End, Entry, Ledger, index};

/// Topic ids that the client was told: of which topic, and when first.
pub(super) type ReadIds = BTreeMap<Uuid, (usize, Duration)>;

pub(super) fn judge(
    (terms, attempts): (&Terms, &Attempts),
    read: &ReadIds,
    ledger: &Ledger,
    findings: &mut Findings,
) {
    for entry in &ledger.entries {
        let Some((at, End::Failed { text, .. })) = entry.end() else {
            continue;
        };
        if text.contains(KEY) && !may_end_by_it(terms, read, entry) {
            findings.broken(Property::P1, *at, || {
                format!("a record ended by the policy, and there was no reason: {text}")
            });
        }
    }
    if !terms.fails_recreated {
        return;
    }
    for attempt in &attempts.all {
        let Some((topic, since)) = read.get(&attempt.topic_id) else {
            continue;
        };
        let has_predecessor = read
            .values()
            .any(|(other, at)| other == topic && at < since);
        let records = attempts.batches.get(attempt.batch).map(|it| &it.records);
        let is_older = |entry: &&Entry| entry.accepted_at.is_some_and(|at| at < *since);
        let older = records
            .into_iter()
            .flatten()
            .filter_map(|id| ledger.entries.get(index(*id)))
            .find(is_older);
        if let (true, Some(entry)) = (has_predecessor, older) {
            findings.broken(Property::P1, attempt.at, || {
                format!(
                    "a record that was accepted at {:?} goes to a topic that was known from {since:?} on",
                    entry.accepted_at
                )
            });
        }
    }
}

fn may_end_by_it(terms: &Terms, read: &ReadIds, entry: &Entry) -> bool {
    let ids = read
        .values()
        .filter(|(topic, _)| *topic == entry.spec.topic);
    terms.fails_recreated && ids.count() > 1
}

/// `topic.recreation.policy=fail` is why it failed.
pub(super) fn ends_by_policy(terms: &Terms, end: &End) -> bool {
    terms.fails_recreated && matches!(end, End::Failed { text, .. } if text.contains(KEY))
}

const KEY: &str = "topic.recreation.policy";
