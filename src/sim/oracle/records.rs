//! P1, P2 and P3: each record's fate as it was told, held against the logs.
//!
//! Thread: the one that simulates. Locks: none.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::attempts::Attempts;
use super::findings::Findings;
use super::logs::{Log, Logs};
use super::terms::{Terms, Tp};
use crate::error::Persistence;
use crate::sim::guarantees::{Line, Promise, Property, weakest};
use crate::sim::ledger::{End, Entry, Ledger, RecordId};
use crate::sim::payload;

/// Where a record was found.
#[derive(Debug, Clone, Copy)]
struct Found {
    id: RecordId,
    tp: Tp,
    offset: i64,
    timestamp: i64,
}

/// What one record is judged by.
struct Case<'a> {
    entry: &'a Entry,
    found: &'a [Found],
    lines: &'a BTreeSet<Line>,
    at: Duration,
}

struct Judge<'a> {
    terms: &'a Terms,
    attempts: &'a Attempts,
    logs: &'a Logs,
}

/// All of them.
pub(super) fn judge(
    (terms, attempts): (&Terms, &Attempts),
    logs: &Logs,
    ledger: &Ledger,
    findings: &mut Findings,
) {
    let judge = Judge {
        terms,
        attempts,
        logs,
    };
    let found = judge.find(ledger, findings);
    let kinds = [false, true].map(|lost| [false, true].map(|forgot| terms.lines_of(lost, forgot)));
    let lines_of = |log: &Log| &kinds[usize::from(log.has_lost)][usize::from(log.has_forgotten)];
    let mut rest = found.as_slice();
    for entry in &ledger.entries {
        let id = entry.spec.id;
        rest = &rest[rest.partition_point(|found| found.id < id)..];
        let of_record = &rest[..rest.partition_point(|found| found.id == id)];
        let told = entry.end();
        let partition = told.map(|(_, end)| match end {
            End::Acked { partition, .. } | End::Failed { partition, .. } => *partition,
        });
        // Who asked for no outcome was told nothing; where it went, the batch says.
        let partition = partition.or_else(|| Some(attempts.batch_of(id)?.tp.1));
        let log = partition.and_then(|partition| logs.0.get(&(entry.spec.topic, partition)));
        let case = Case {
            entry,
            found: of_record,
            lines: log.map_or(&kinds[0][0], lines_of),
            at: told.map_or(entry.called_at, |(at, _)| *at),
        };
        judge.record(&case, told.map(|(_, end)| end), findings);
    }
    for (tp, log) in &logs.0 {
        judge.order(*tp, lines_of(log), ledger, findings);
    }
}

impl Judge<'_> {
    /// Every record of every log, by number; what is in none of our records is nobody's.
    fn find(&self, ledger: &Ledger, findings: &mut Findings) -> Vec<Found> {
        let mut all = Vec::new();
        for (tp, log) in &self.logs.0 {
            let name = self.terms.topic_name(tp.0);
            for stored in &log.records {
                let id = payload::identify(stored);
                let entry = id.and_then(|id| ledger.entries.get(usize::try_from(id).ok()?));
                let Some(entry) = entry else {
                    findings.broken(Property::P1, Duration::ZERO, || {
                        format!(
                            "{name}-{}@{}: a record that nobody sent",
                            tp.1, stored.offset
                        )
                    });
                    continue;
                };
                let own = entry.spec.topic == tp.0
                    && entry
                        .spec
                        .partition
                        .is_none_or(|partition| partition == tp.1);
                let stamped = (entry.accepted_at.is_some()
                    && !entry.is_probe
                    && self.terms.append_time.get(tp.0) == Some(&false))
                .then_some(entry.stamped_ms);
                let same = payload::check(&entry.spec, stored, stamped);
                if let (false, _) | (_, Err(_)) = (own, &same) {
                    findings.broken(Property::P1, entry.called_at, || {
                        let why = same.err().unwrap_or_else(|| "not its partition".to_owned());
                        format!(
                            "record {} at {name}-{}@{}: {why}",
                            entry.spec.id, tp.1, stored.offset
                        )
                    });
                }
                all.push(Found {
                    id: entry.spec.id,
                    tp: *tp,
                    offset: stored.offset,
                    timestamp: stored.timestamp,
                });
            }
        }
        all.sort_by_key(|found| found.id);
        all
    }

    fn record(&self, case: &Case<'_>, told: Option<&End>, findings: &mut Findings) {
        let id = case.entry.spec.id;
        let batch = self.attempts.batch_of(id);
        if case.entry.accepted_at.is_none() && case.entry.refused.is_some() {
            if !case.found.is_empty() || batch.is_some() {
                findings.broken(Property::P3NotWritten, case.at, || {
                    format!("record {id} was refused, and sent all the same")
                });
            }
            return;
        }
        if batch.is_some_and(|batch| self.attempts.is_lied_about(batch)) {
            return;
        }
        match told {
            Some(End::Acked {
                partition,
                offset,
                timestamp_ms,
            }) => {
                findings.judged(case.lines, Property::P1);
                self.acknowledged(case, (*partition, *offset, *timestamp_ms), findings);
            }
            Some(End::Failed {
                persistence: Persistence::NotWritten,
                text,
                ..
            }) => {
                findings.judged(case.lines, Property::P3NotWritten);
                let times = batch.map_or(0, |batch| self.attempts.times_appended(batch));
                if !case.found.is_empty() || times > 0 {
                    findings.broken(Property::P3NotWritten, case.at, || {
                        format!(
                            "record {id} ended NotWritten ({text}) and is in the log: {:?}",
                            case.found
                        )
                    });
                }
            }
            Some(End::Failed { .. }) => {
                findings.judged(case.lines, Property::P3Unknown);
                self.not_too_often(case, Property::P3Unknown, findings);
            }
            None => self.not_too_often(case, Property::P3Unknown, findings),
        }
    }

    fn acknowledged(
        &self,
        case: &Case<'_>,
        (partition, offset, timestamp_ms): (i32, Option<i64>, i64),
        findings: &mut Findings,
    ) {
        let (id, at) = (case.entry.spec.id, case.at);
        let tp = (case.entry.spec.topic, partition);
        let name = self.terms.topic_name(tp.0);
        let place = offset.map_or("?".to_owned(), |offset| offset.to_string());
        let mut broken = |why: &str| {
            findings.broken(Property::P1, at, || {
                format!(
                    "record {id}, acknowledged at {name}-{partition}@{place}: {why}; found {:?}",
                    case.found
                )
            });
        };
        let Some(batch) = self.attempts.batch_of(id) else {
            broken("it was never handed to a socket");
            return;
        };
        if batch.tp != tp {
            broken("it went to another partition");
        }
        if self.terms.acks == 0 {
            if offset.is_some() {
                broken("an offset that nobody told");
            }
            return;
        }
        let Some(log) = self.logs.0.get(&tp).filter(|log| !log.has_lost) else {
            return;
        };
        if offset.map_or(log.start > 0, |offset| offset < log.start) {
            return; // Deleted since.
        }
        let is_there =
            |found: &&Found| found.tp == tp && offset.is_none_or(|offset| offset == found.offset);
        let Some(there) = case.found.iter().find(is_there) else {
            broken("it is not there");
            return;
        };
        let exactly = match weakest(case.lines, Property::P1) {
            Promise::Always => true,
            Promise::IfAnswered => self.attempts.is_answered(batch),
            Promise::Nothing => false,
        };
        if exactly && case.found.len() > 1 {
            broken("it is there more than once");
        }
        // Who is told that a repetition was recognised does not learn when it was appended (R79).
        let append_time = self.terms.append_time.get(tp.0) == Some(&true);
        let repeated = batch.attempts.len() > 1;
        if there.timestamp != timestamp_ms && !(append_time && repeated) {
            broken(&format!(
                "its timestamp is {}, told {timestamp_ms}",
                there.timestamp
            ));
        }
        self.not_too_often(case, Property::P1, findings);
    }

    /// At most once where that is promised, and nowhere more often than it was sent.
    fn not_too_often(&self, case: &Case<'_>, property: Property, findings: &mut Findings) {
        let id = case.entry.spec.id;
        let most = match weakest(case.lines, Property::P3Unknown) {
            Promise::Always => 1,
            Promise::IfAnswered | Promise::Nothing => self
                .attempts
                .batch_of(id)
                .map_or(0, |batch| batch.attempts.len()),
        };
        if case.found.len() > most {
            findings.broken(property, case.at, || {
                format!(
                    "record {id} is there {} times, {most} at most: {:?}",
                    case.found.len(),
                    case.found
                )
            });
        }
    }

    /// P2.
    fn order(&self, tp: Tp, lines: &BTreeSet<Line>, ledger: &Ledger, findings: &mut Findings) {
        let promise = weakest(lines, Property::P2);
        let Some(log) = self.logs.0.get(&tp).filter(|_| promise > Promise::Nothing) else {
            return;
        };
        let mut latest: BTreeMap<usize, (RecordId, i64, i64)> = BTreeMap::new();
        for stored in &log.records {
            let entry = payload::identify(stored)
                .and_then(|id| ledger.entries.get(usize::try_from(id).ok()?));
            let Some(entry) = entry else {
                continue;
            };
            let id = entry.spec.id;
            let before = latest.get(&entry.thread).copied();
            let is_late = before.is_some_and(|(last, ..)| id <= last);
            if is_late || promise == Promise::IfAnswered {
                let batch = self.attempts.batch_of(id);
                let is_answered = batch.is_some_and(|batch| self.attempts.is_answered(batch));
                let is_lied_about = batch.is_some_and(|batch| self.attempts.is_lied_about(batch));
                let used_up = before.is_some_and(|(.., producer)| producer != stored.producer_id);
                if is_lied_about || (!is_answered && (promise == Promise::IfAnswered || used_up)) {
                    continue;
                }
            }
            findings.judged(lines, Property::P2);
            if let Some((last, offset, _)) = before.filter(|_| is_late) {
                findings.broken(Property::P2, entry.called_at, || {
                    format!(
                        "record {id} of thread {} lies at {}-{}@{}, behind its record {last} at {offset}",
                        entry.thread,
                        self.terms.topic_name(tp.0),
                        tp.1,
                        stored.offset
                    )
                });
                continue;
            }
            latest.insert(entry.thread, (id, stored.offset, stored.producer_id));
        }
    }
}
