//! P12: a partition whose own connection answers everything is not held up by others.
//!
//! Thread: the one that simulates. Locks: none. Judged are the batches of a
//! partition as long as every attempt went over one connection and was acknowledged at once (with
//! `acks=0` nobody says so), its leader stayed, and no fault that keeps anything from the client's own
//! thread, from a socket or from metadata had begun: from the moment when a batch was due (linger
//! over, leader and producer id known, connection ready; an answer with an error for the topic makes
//! its leaders unknown until the next) until it was written, that connection may
//! not have been idle for long.

use std::collections::BTreeMap;
use std::time::Duration;

use super::attempts::{Attempt, Attempts, Batch};
use super::findings::Findings;
use super::polls::Stalls;
use super::terms::{Terms, Tp};
use super::wire_watch::{Traffic, WireWatch};
use crate::sim::guarantees::Property;
use crate::sim::ledger::Ledger;

/// All partitions.
pub(super) fn judge(
    (terms, attempts, stalls): (&Terms, &Attempts, &Stalls),
    wire: &WireWatch,
    ledger: &Ledger,
    findings: &mut Findings,
) {
    let mut partitions: BTreeMap<Tp, Vec<&Attempt>> = BTreeMap::new();
    for attempt in &attempts.all {
        partitions.entry(attempt.tp).or_default().push(attempt);
    }
    // The first that was used: one that came before it was none that could be believed.
    let first_id = attempts.all.first().map(|attempt| attempt.producer_id);
    let identified_at = first_id.and_then(|id| wire.identified_at.get(&id).copied());
    for (tp, of_partition) in partitions {
        let Some(first) = of_partition.first() else {
            continue;
        };
        let Some(led) = wire.leaders.get(&tp) else {
            continue;
        };
        // What comes later held up nothing before.
        let until = [led.moved_at, terms.suffers_from];
        let until = until.into_iter().flatten().min().unwrap_or(Duration::MAX);
        let is_well = |attempt: &&Attempt| {
            let is_taken = terms.acks == 0 || attempt.told == Some(0);
            attempt.wire == first.wire && is_taken && !attempt.is_lie && attempt.at < until
        };
        let Some(traffic) = wire.traffic.get(&first.wire) else {
            continue;
        };
        for attempt in of_partition.into_iter().take_while(is_well) {
            let ready = [led.since(attempt.at), traffic.ready_at, identified_at];
            let not_before = ready.into_iter().flatten().max().unwrap_or_default();
            let batch = attempts.batches.get(attempt.batch);
            let due = batch.and_then(|batch| due_at(batch, terms, ledger));
            let Some(due) = due.map(|due| due.max(not_before)) else {
                continue;
            };
            // A request on a connection that has gone wrong is told of elsewhere.
            if traffic.in_trouble_at.is_some_and(|at| at <= attempt.at) {
                continue;
            }
            findings.judged(&terms.lines, Property::P12);
            let throttles = wire.throttles.get(&attempt.node);
            let before = |throttle: &&(Duration, Duration)| throttle.0 <= attempt.at;
            let throttled = throttles.into_iter().flatten().filter(before);
            let due = throttled
                .map(|throttle| throttle.1)
                .fold(due, Duration::max);
            let waited = idle(traffic, stalls, due, attempt.at);
            if waited > MOST_IDLE {
                findings.broken(Property::P12, attempt.at, || {
                    let name = terms.topic_name(tp.0);
                    format!(
                        "batch {} of {name}-{} was due at {due:?} and waited {waited:?} beside an idle \
                         connection to node {}",
                        attempt.batch, tp.1, attempt.node
                    )
                });
            }
        }
    }
}

/// When linger cannot have kept the batch any longer.
fn due_at(batch: &Batch, terms: &Terms, ledger: &Ledger) -> Option<Duration> {
    let accepted = batch.records.iter().map(|id| {
        let entry = usize::try_from(*id)
            .ok()
            .and_then(|id| ledger.entries.get(id))?;
        entry.accepted_at
    });
    // Nobody knows when a record was accepted whose call has not returned: it is not counted.
    Some(accepted.flatten().min()? + terms.linger)
}

/// How much of that time the connection had nothing in flight and the Sender could run.
fn idle(traffic: &Traffic, stalls: &Stalls, from: Duration, until: Duration) -> Duration {
    let mut at = from;
    let mut sum = Duration::ZERO;
    let first = traffic.busy.partition_point(|(_, end)| *end <= from);
    for (begin, end) in traffic.busy.iter().skip(first) {
        if *begin >= until {
            break;
        }
        sum += stalls.runnable(at, *begin);
        at = at.max(*end);
    }
    sum + stalls.runnable(at, until)
}

const MOST_IDLE: Duration = Duration::from_millis(100);
