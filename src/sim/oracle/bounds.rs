//! P4, P5, P6 and P10: what the application was told, when, how often, and what is left.
//!
//! Thread: the one that simulates. Locks: none.

use std::collections::BTreeMap;
use std::time::Duration;

use super::findings::Findings;
use super::logs::Remains;
use super::polls::Stalls;
use super::recreation::ends_by_policy;
use super::terms::{Terms, Tp};
use super::wire_watch::WireWatch;
use crate::error::{ErrorKind, Persistence};
use crate::sim::guarantees::Property;
use crate::sim::ledger::{BlockingCall, End, Entry, Ledger};

/// All of it.
pub(super) fn judge(
    (terms, wire, stalls): (&Terms, &WireWatch, &Stalls),
    ledger: &Ledger,
    remains: &Remains,
    findings: &mut Findings,
) {
    for entry in &ledger.entries {
        judge_outcome(entry, findings, terms);
        judge_time(entry, stalls, findings, terms);
    }
    for call in &ledger.blocking_calls {
        judge_call(call, stalls, terms, findings);
        if call.name == "flush" {
            judge_flush(call, ledger, findings);
        }
    }
    judge_purges(ledger, findings);
    judge_memory(terms, ledger, findings);
    judge_remains(terms, remains, findings);
    judge_probes((terms, wire, stalls), ledger, findings);
}

/// P5.
fn judge_outcome(entry: &Entry, findings: &mut Findings, terms: &Terms) {
    let id = entry.spec.id;
    let at = entry
        .callbacks
        .last()
        .map_or(entry.called_at, |(at, _)| *at);
    let times = entry.callbacks.len();
    findings.judged(&terms.lines, Property::P5);
    let mut broken = |why: &str| {
        findings.broken(Property::P5, at, || {
            format!(
                "record {id}: {why}; callbacks {:?}, handle {:?}",
                entry.callbacks, entry.handle
            )
        });
    };
    if entry.accepted_at.is_none() {
        if times > 0 || entry.handle.is_some() {
            broken("it was not accepted and has an outcome");
        }
        return;
    }
    if entry.refused.is_some() {
        broken("it was accepted and refused");
    }
    if entry.wants_callback && times == 0 {
        broken("it has no outcome");
    }
    if times > 1 || (times == 1 && !entry.wants_callback) {
        broken("one outcome too many");
    }
    if let (Some((_, told)), Some((_, by_handle))) = (entry.callbacks.first(), &entry.handle) {
        if !told.says_the_same(by_handle) {
            broken("callback and handle tell differently");
        }
    }
}

/// P4 of records.
fn judge_time(entry: &Entry, stalls: &Stalls, findings: &mut Findings, terms: &Terms) {
    let (Some(accepted_at), Some((ended_at, _))) = (entry.accepted_at, entry.callbacks.first())
    else {
        return;
    };
    findings.judged(&terms.lines, Property::P4);
    let deadline = accepted_at + terms.delivery_timeout;
    let late = stalls.runnable(deadline, *ended_at);
    if late > MOST_LATE {
        findings.broken(Property::P4, *ended_at, || {
            let id = entry.spec.id;
            format!("record {id}, accepted at {accepted_at:?}, has its outcome {late:?} late (delivery.timeout.ms)")
        });
    }
}

/// P4 of calls that wait.
fn judge_call(call: &BlockingCall, stalls: &Stalls, terms: &Terms, findings: &mut Findings) {
    let timeout = call.timeout.unwrap_or(terms.delivery_timeout);
    findings.judged(&terms.lines, Property::P4);
    let deadline = call.began + timeout;
    let late = call
        .ended
        .map_or(Duration::MAX, |ended| stalls.runnable(deadline, ended));
    if late > MOST_LATE {
        let at = call.ended.unwrap_or(deadline);
        findings.broken(Property::P4, at, || {
            let BlockingCall {
                name, began, ended, ..
            } = call;
            format!("{name} of {timeout:?}, begun at {began:?}, ended at {ended:?}")
        });
    }
}

/// When it returns, what was accepted before it began is done.
fn judge_flush(call: &BlockingCall, ledger: &Ledger, findings: &mut Findings) {
    let Some(ended) = call.ended.filter(|_| !call.is_abandoned) else {
        return;
    };
    if call
        .timeout
        .is_some_and(|timeout| ended >= call.began + timeout)
    {
        return;
    }
    let is_open = |entry: &&Entry| {
        entry.wants_callback
            && entry.accepted_at.is_some_and(|at| at < call.began)
            && entry.callbacks.first().is_none_or(|(at, _)| *at > ended)
    };
    if let Some(entry) = ledger.entries.iter().find(is_open) {
        findings.broken(Property::P4, ended, || {
            let id = entry.spec.id;
            format!(
                "flush, begun at {:?}, returned before record {id} had its outcome",
                call.began
            )
        });
    }
}

/// P5: no more records end as purged than purges gave up; that they are in no log is P3.
fn judge_purges(ledger: &Ledger, findings: &mut Findings) {
    let is_purged = |entry: &&Entry| {
        let told = entry.end().map(|(_, end)| end);
        matches!(told, Some(End::Failed { kind, .. }) if *kind == ErrorKind::Purged)
    };
    let purged = ledger.entries.iter().filter(is_purged).count();
    if purged > ledger.purged {
        findings.broken(Property::P5, Duration::MAX, || {
            let said = ledger.purged;
            format!("{purged} records ended as purged, {said} were given up by purges")
        });
    }
    for entry in ledger.entries.iter().filter(is_purged) {
        if let Some((at, End::Failed { persistence, .. })) = entry.end() {
            if *persistence != Persistence::NotWritten {
                let id = entry.spec.id;
                findings.broken(Property::P3NotWritten, *at, || {
                    format!("record {id} was purged, and may be written")
                });
            }
        }
    }
}

/// P6: the values alone of what was accepted and has no outcome never exceed `buffer.memory`, nor those
/// of a topic its share of that.
fn judge_memory(terms: &Terms, ledger: &Ledger, findings: &mut Findings) {
    judge_memory_of(None, terms, ledger, findings);
    if terms.memory_of_a_topic < terms.buffer_memory {
        for topic in 0..terms.topics.len() {
            judge_memory_of(Some(topic), terms, ledger, findings);
        }
    }
}

fn judge_memory_of(topic: Option<usize>, terms: &Terms, ledger: &Ledger, findings: &mut Findings) {
    // What ends and what is accepted in one instant ends first.
    let mut changes: Vec<(Duration, bool, i64, bool)> = Vec::new();
    let is_meant = |entry: &&Entry| topic.is_none_or(|topic| topic == entry.spec.topic);
    for entry in ledger.entries.iter().filter(is_meant) {
        // Without a callback nobody knows when it ended.
        let (Some(at), true, Some(bytes)) = (
            entry.accepted_at,
            entry.wants_callback,
            entry.spec.value_bytes,
        ) else {
            continue;
        };
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        // A callback may send before the batch that it belongs to has ended with the last of them.
        changes.push((at, true, bytes, entry.thread < terms.threads));
        if let Some((ended_at, _)) = entry.callbacks.first() {
            changes.push((*ended_at, false, bytes, false));
        }
    }
    changes.sort_unstable();
    let (most, key) = match topic {
        None => (terms.buffer_memory, "buffer.memory"),
        Some(_) => (terms.memory_of_a_topic, "buffer.memory.share.per.topic"),
    };
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let mut held = 0;
    for (at, is_accepted, bytes, is_judged) in changes {
        if !is_accepted {
            held -= bytes;
            continue;
        }
        held += bytes;
        if is_judged && held > most {
            return findings.broken(Property::P6, at, || {
                let of = topic.map_or("", |topic| terms.topic_name(topic));
                format!("records of {held} bytes are held at once ({key} is {most}) {of}")
            });
        }
    }
}

/// P6.
fn judge_remains(terms: &Terms, remains: &Remains, findings: &mut Findings) {
    let Remains {
        available_memory,
        incomplete_batches,
        open_links,
        data_losses: _,
    } = *remains;
    let mut broken = |text: String| findings.broken(Property::P6, Duration::MAX, || text);
    if available_memory != terms.buffer_memory {
        broken(format!(
            "{available_memory} of {} bytes are back",
            terms.buffer_memory
        ));
    }
    if incomplete_batches != 0 {
        broken(format!("{incomplete_batches} batches have no end"));
    }
    if open_links != 0 {
        broken(format!("{open_links} connections are still open"));
    }
}

/// P10: one of a partition's probes is acknowledged in time.
fn judge_probes(
    (terms, wire, stalls): (&Terms, &WireWatch, &Stalls),
    ledger: &Ledger,
    findings: &mut Findings,
) {
    // A share of a few batches may be in what the application keeps of those that failed, and then a
    // topic's probes wait for that, or for each other.
    if wire.is_ended_by_broker || terms.shares_are_tight {
        return;
    }
    let mut partitions: BTreeMap<Tp, Vec<&Entry>> = BTreeMap::new();
    for entry in ledger.entries.iter().filter(|entry| entry.is_probe) {
        let partition = entry.spec.partition.unwrap_or(-1);
        partitions
            .entry((entry.spec.topic, partition))
            .or_default()
            .push(entry);
    }
    let most =
        (terms.request_timeout.max(terms.longest_setup) + terms.longest_backoff) * 2 + terms.linger;
    for (tp, probes) in partitions {
        let Some(first) = probes.first() else {
            continue;
        };
        findings.judged(&terms.lines, Property::P10);
        let since = first
            .called_at
            .max(line_moves_at(terms, ledger, first.called_at))
            .max(wire.throttled_until(tp, first.called_at));
        let took = |entry: &&Entry| match entry.end() {
            Some((at, End::Acked { .. })) => Some(stalls.runnable(since.min(*at), *at)),
            _ => None,
        };
        if probes
            .iter()
            .filter_map(took)
            .min()
            .is_some_and(|took| took <= most)
        {
            continue;
        }
        if is_excused(&probes, terms, most) {
            continue;
        }
        findings.broken(Property::P10, first.called_at, || {
            let name = terms.topic_name(tp.0);
            let ends: Vec<_> = probes
                .iter()
                .map(|probe| (probe.refused, probe.end()))
                .collect();
            format!(
                "no probe of {name}-{} was acknowledged within {most:?} of the repair: {ends:?}",
                tp.1
            )
        });
    }
}

/// Memory is given out first come, first served: a send that nearly needs all of it, and never gets it
/// (the application keeps what failed, with its bytes), holds up the others for `max.block.ms`.
fn line_moves_at(terms: &Terms, ledger: &Ledger, at: Duration) -> Duration {
    let gave_up = ledger.entries.iter().filter(|entry| {
        entry.refused == Some(ErrorKind::BufferExhausted)
            && !entry.is_probe
            && entry.called_at <= at
    });
    gave_up
        .map(|entry| entry.called_at + terms.max_block)
        .max()
        .unwrap_or_default()
}

/// Probes ended for a reason that says nothing of progress.
fn is_excused(probes: &[&Entry], terms: &Terms, most: Duration) -> bool {
    let timeout_is_shorter = terms.delivery_timeout < most;
    // Who does not stand in the line for memory may find none each time.
    let never_waits = terms.max_block < SHORTEST_WAIT;
    let failed_with = |entry: &Entry, wanted: ErrorKind| matches!(entry.end(), Some((_, End::Failed { kind, .. })) if *kind == wanted);
    // A delivery timeout that is shorter than the bound ends probes before it; and no other follows
    // those when the application closed the producer, in a callback.
    // Nor does one say anything that is acknowledged after them, too late for the first.
    let is_acked = |entry: &Entry| matches!(entry.end(), Some((_, End::Acked { .. })));
    let is_of_old_topic =
        |entry: &Entry| (entry.end()).is_some_and(|(_, end)| ends_by_policy(terms, end));
    let says_nothing = |entry: &&Entry| {
        entry.refused == Some(ErrorKind::Closed)
            || never_waits && entry.refused == Some(ErrorKind::BufferExhausted)
            || timeout_is_shorter
                && (failed_with(entry, ErrorKind::Timeout)
                    || is_acked(entry)
                    || is_of_old_topic(entry))
    };
    probes.iter().all(says_nothing)
}

const MOST_LATE: Duration = Duration::from_millis(100);
/// For memory.
const SHORTEST_WAIT: Duration = Duration::from_millis(20);
