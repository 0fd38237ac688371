//! P5 of batches that are refused for a reason of their own: no record fails for another's fault.
//!
//! Thread: the one that simulates. Locks: none. Judged where every attempt was answered with a proof:
//! then a batch that is too large goes in pieces, and one of which records are named goes without
//! them (KIP-467).

use super::attempts::{Attempt, Attempts, Batch};
use super::findings::Findings;
use super::terms::Terms;
use crate::error::{ErrorKind, Persistence};
use crate::sim::guarantees::Property;
use crate::sim::ledger::{End, Entry, Ledger};

/// All records that failed so, and all that were named.
pub(super) fn judge(terms: &Terms, attempts: &Attempts, ledger: &Ledger, findings: &mut Findings) {
    for entry in &ledger.entries {
        if let Some(batch) = attempts.batch_of(entry.spec.id) {
            if !attempts.is_lied_about(batch) {
                judge_failed(entry, batch, attempts, (terms, findings));
            }
        }
    }
    for (index, batch) in attempts.batches.iter().enumerate() {
        let last = last_attempt(batch, attempts).filter(|last| names_some(last));
        let Some(last) = last.filter(|_| attempts.is_answered(batch)) else {
            continue;
        };
        if !attempts.is_proved_not_written(index) || attempts.is_lied_about(batch) {
            continue;
        }
        for id in last.blamed.iter().filter_map(|at| batch.records.get(*at)) {
            let entry = usize::try_from(*id).ok();
            let entry = entry.and_then(|id| ledger.entries.get(id));
            let Some((at, end)) = entry.and_then(Entry::end) else {
                continue;
            };
            // It may have been given up before the answer came.
            let is_right = matches!(
                end,
                End::Failed {
                    persistence: Persistence::Unknown,
                    ..
                } | End::Failed {
                    kind: ErrorKind::InvalidRecord,
                    ..
                }
            );
            if !is_right {
                findings.broken(Property::P5, *at, || {
                    format!("record {id} was named as the reason of a refusal, and ended {end:?}")
                });
            }
        }
    }
}

fn judge_failed(
    entry: &Entry,
    batch: &Batch,
    attempts: &Attempts,
    (terms, findings): (&Terms, &mut Findings),
) {
    let Some((
        at,
        End::Failed {
            kind,
            persistence: Persistence::NotWritten,
            text,
            ..
        },
    )) = entry.end()
    else {
        return;
    };
    let id = entry.spec.id;
    let is_others_fault = match kind {
        ErrorKind::RecordTooLarge => batch.records.len() > 1,
        ErrorKind::InvalidRecord => last_attempt(batch, attempts).is_some_and(|last| {
            let at = batch.records.iter().position(|other| *other == id);
            names_some(last) && at.is_some_and(|at| !last.blamed.contains(&at))
        }),
        _ => return,
    };
    findings.judged(&terms.lines, Property::P5);
    if is_others_fault {
        findings.broken(Property::P5, *at, || {
            format!("record {id} failed for the fault of others of its batch: {text}")
        });
    }
}

fn last_attempt<'a>(batch: &Batch, attempts: &'a Attempts) -> Option<&'a Attempt> {
    let all = batch.attempts.iter();
    all.filter_map(|index| attempts.all.get(*index))
        .max_by_key(|attempt| attempt.correlation_id)
}

/// Some of several records are named, and not all.
fn names_some(attempt: &Attempt) -> bool {
    let named: std::collections::BTreeSet<usize> = attempt.blamed.iter().copied().collect();
    let count = usize::try_from(attempt.count).unwrap_or(0);
    matches!(attempt.told, Some(32 | 87)) && (1..count).contains(&named.len())
}
