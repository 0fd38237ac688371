//! What the producer says of data that brokers lost: something where it was shown, nothing where none did.
//!
//! Thread: the one that simulates. Locks: none.

use std::collections::BTreeMap;
use std::time::Duration;

use super::attempts::{Attempt, Attempts};
use super::findings::Findings;
use super::logs::{Logs, Remains};
use super::terms::{Terms, Tp};
use crate::sim::guarantees::{Line, Property};
use crate::sim::ledger::{End, Ledger, index};

pub(super) fn judge(
    (terms, attempts): (&Terms, &Attempts),
    logs: &Logs,
    (ledger, remains): (&Ledger, &Remains),
    findings: &mut Findings,
) {
    if terms.sequences_suffer || terms.acks == 0 {
        return;
    }
    let told = remains.data_losses;
    let nothing_forgotten = logs
        .0
        .values()
        .all(|log| !(log.has_lost || log.has_forgotten && terms.idempotence));
    let is_sound = nothing_forgotten && !terms.lines.contains(&Line::IdempotentForgets);
    if is_sound && told > 0 {
        findings.broken(Property::P1, Duration::ZERO, || {
            format!("{told} times a broker was said to have lost data, and none had")
        });
    }
    let shown = shown(attempts, logs, ledger);
    if told < u64::try_from(shown.len()).unwrap_or(u64::MAX) {
        findings.broken(Property::P1, Duration::ZERO, || {
            format!(
                "{} partitions gave out offsets that they had acknowledged before (the first: {:?}), \
                 and {told} losses of data were told",
                shown.len(),
                shown.first()
            )
        });
    }
}

/// Partitions that gave a batch that was first sent after an acknowledgement an offset that this had
/// acknowledged, and when that was read.
fn shown(attempts: &Attempts, logs: &Logs, ledger: &Ledger) -> Vec<(Tp, Duration)> {
    let mut by_partition: BTreeMap<Tp, Vec<&Attempt>> = BTreeMap::new();
    let has_lost = |tp: &Tp| logs.0.get(tp).is_some_and(|log| log.has_lost);
    for attempt in attempts.all.iter().filter(|it| has_lost(&it.tp)) {
        if attempt.appended_at().is_some() && told_well(attempts, ledger, attempt) {
            by_partition.entry(attempt.tp).or_default().push(attempt);
        }
    }
    let mut shown = Vec::new();
    for (tp, acked) in by_partition {
        if attempts
            .appended
            .get(&tp)
            .is_some_and(|it| it.was_made_again)
        {
            continue; // Only some answers say which topic they are of.
        }
        let first_shown = acked
            .iter()
            .filter(|later| attempts.is_first_of_batch(later))
            .filter(|later| {
                acked.iter().any(|earlier| {
                    earlier.over_at.is_some_and(|read| read < later.at)
                        && is_same_identity(earlier, later)
                        && earlier.last_offset() >= later.appended_at()
                })
            })
            .filter_map(|later| later.over_at)
            .min();
        shown.extend(first_shown.map(|at| (tp, at)));
    }
    shown
}

/// The application was told that its records are written: the answer came before they were given up.
fn told_well(attempts: &Attempts, ledger: &Ledger, attempt: &Attempt) -> bool {
    let batch = attempts.batches.get(attempt.batch);
    let first = batch.and_then(|batch| batch.records.first());
    let entry = first.and_then(|id| ledger.entries.get(index(*id)));
    matches!(
        entry.and_then(|entry| entry.end()),
        Some((_, End::Acked { .. }))
    )
}

fn is_same_identity(one: &Attempt, other: &Attempt) -> bool {
    (one.producer_id, one.epoch, one.topic_id) == (other.producer_id, other.epoch, other.topic_id)
}
