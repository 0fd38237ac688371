//! P7: identities and sequences, partition by partition, in the order in which requests were made;
//! and without them, that a muted partition has one unanswered batch at most (R28).
//!
//! Thread: the one that simulates. Locks: none.

use std::collections::BTreeMap;
use std::time::Duration;

use uuid::Uuid;

use super::attempts::{Attempt, Attempts, BatchIndex};
use super::findings::Findings;
use super::terms::{Terms, Tp};
use super::wire_watch::WireWatch;
use crate::sim::guarantees::Property;
use crate::sim::ledger::{Entry, Ledger};

/// All partitions.
pub(super) fn judge(
    (terms, attempts): (&Terms, &Attempts),
    wire: &WireWatch,
    ledger: &Ledger,
    findings: &mut Findings,
) {
    let mut partitions: BTreeMap<Tp, Vec<&Attempt>> = BTreeMap::new();
    for attempt in &attempts.all {
        partitions.entry(attempt.tp).or_default().push(attempt);
    }
    for (tp, mut of_partition) in partitions {
        of_partition.sort_by_key(|attempt| attempt.correlation_id);
        if !terms.idempotence {
            judge_bare(terms, &of_partition, findings);
            continue;
        }
        findings.judged(&terms.lines, Property::P7);
        let mut view = View {
            name: terms.topic_name(tp.0),
            attempts,
            ledger,
            terms,
            streams: BTreeMap::new(),
            identities: BTreeMap::new(),
            latest_epoch: BTreeMap::new(),
        };
        for attempt in &of_partition {
            view.take(attempt, wire, findings);
        }
        view.judge_gaps(tp, &of_partition, findings);
    }
}

/// Without idempotence.
fn judge_bare(terms: &Terms, of_partition: &[&Attempt], findings: &mut Findings) {
    let mut open: Vec<&Attempt> = Vec::new();
    for attempt in of_partition {
        let name = terms.topic_name(attempt.tp.0);
        if (attempt.producer_id, attempt.epoch, attempt.base_sequence) != (-1, -1, -1) {
            findings.broken(Property::P7, attempt.at, || {
                format!("{} without idempotence", show(name, attempt))
            });
        }
        if !terms.mutes() {
            continue;
        }
        open.retain(|other| !other.was_over(attempt.at));
        if let Some(other) = open.first() {
            findings.broken(Property::P2, attempt.at, || {
                format!(
                    "{} goes to node {} while request {} to node {} is unanswered, and the partition \
                     should be muted",
                    show(name, attempt),
                    attempt.node,
                    other.correlation_id,
                    other.node
                )
            });
        }
        open.push(attempt);
    }
}

/// One partition.
struct View<'a> {
    name: &'a str,
    attempts: &'a Attempts,
    ledger: &'a Ledger,
    terms: &'a Terms,
    streams: BTreeMap<(i64, i16), Stream<'a>>,
    /// Under which identity a batch went last.
    identities: BTreeMap<BatchIndex, &'a Attempt>,
    latest_epoch: BTreeMap<i64, i16>,
}

/// One epoch of one producer id.
struct Stream<'a> {
    topic_id: Uuid,
    next: i32,
    /// By first sequence, the first attempt of each batch, in the order of stamping.
    stamped: Vec<&'a Attempt>,
    /// Ranges that were passed over.
    missing: Vec<(i32, i32)>,
    /// When the first acknowledgement came.
    flows_since: Option<Duration>,
    /// Those in `stamped` that may be unresolved.
    open: Vec<&'a Attempt>,
}

impl<'a> View<'a> {
    fn take(&mut self, attempt: &'a Attempt, wire: &WireWatch, findings: &mut Findings) {
        let (producer_id, epoch) = (attempt.producer_id, attempt.epoch);
        let given = wire.identities.get(&producer_id);
        let name = self.name;
        let mut broken = |why: &str| {
            findings.broken(Property::P7, attempt.at, || {
                format!("{}: {why}", show(name, attempt))
            });
        };
        if given.is_none_or(|first| *first > epoch) {
            broken("nobody gave out this producer id and epoch");
        }
        let latest = self.latest_epoch.entry(producer_id).or_insert(epoch);
        if *latest > epoch {
            broken("under an epoch below one that the partition had seen");
        }
        *latest = (*latest).max(epoch);
        if let Some(before) = self.identities.insert(attempt.batch, attempt) {
            let moved = (before.producer_id, before.epoch, before.base_sequence)
                != (producer_id, epoch, attempt.base_sequence);
            if moved && !self.may_move(attempt) {
                broken("sent again under another identity, and may have been written before");
            }
        }
        self.take_into_stream(attempt, given.copied(), &mut broken);
        self.check_window(attempt, &mut broken);
    }

    /// Every attempt before this one was answered with a proof.
    fn may_move(&self, attempt: &Attempt) -> bool {
        let Some(batch) = self.attempts.batches.get(attempt.batch) else {
            return false;
        };
        let all = batch
            .attempts
            .iter()
            .filter_map(|index| self.attempts.all.get(*index));
        all.filter(|other| other.correlation_id < attempt.correlation_id)
            .all(|other| {
                let id_is_gone =
                    other.told == Some(UNKNOWN_TOPIC_ID) && other.topic_id != attempt.topic_id;
                other.was_over(attempt.at) && (other.is_proved_not_written() || id_is_gone)
            })
    }

    fn take_into_stream(
        &mut self,
        attempt: &'a Attempt,
        given: Option<i16>,
        broken: &mut dyn FnMut(&str),
    ) {
        // Later epochs begin with 0, and of an earlier one perhaps nothing ever left.
        let is_first = self.streams.is_empty() && given == Some(attempt.epoch);
        let first_sequence = self.terms.first_sequence;
        let key = (attempt.producer_id, attempt.epoch);
        let stream = self.streams.entry(key).or_insert_with(|| Stream {
            topic_id: attempt.topic_id,
            next: if is_first { first_sequence } else { 0 },
            stamped: Vec::new(),
            missing: Vec::new(),
            flows_since: None,
            open: Vec::new(),
        });
        if stream.topic_id != attempt.topic_id
            && !stream.topic_id.is_nil()
            && !attempt.topic_id.is_nil()
        {
            broken("under the epoch that the partition had in another topic of that name");
        }
        let base = attempt.base_sequence;
        let known = stream
            .stamped
            .iter()
            .rposition(|other| other.base_sequence == base);
        if let Some(place) = known {
            let other = stream.stamped[place];
            if other.batch == attempt.batch {
                if (other.crc, other.count) != (attempt.crc, attempt.count) {
                    broken("not the bytes that went under this identity before");
                }
                return;
            }
            let is_used_again = |first: i32| distance(base, first) < FARTHEST;
            let mut used_again =
                (stream.stamped.iter()).filter(|one| is_used_again(one.base_sequence));
            if !used_again.all(|one| is_settled(self.attempts, one.batch, attempt)) {
                broken("a second batch under this identity");
                return;
            }
            // Nobody has seen those sequences: they are used again. One that lies before them may have
            // been seen after them: what there was of its first attempt was no whole request.
            stream
                .stamped
                .retain(|one| !is_used_again(one.base_sequence));
            stream.missing.retain(|(from, _)| !is_used_again(*from));
            stream.next = base;
        }
        stream.stamp(attempt, broken);
    }

    /// At most five unresolved batches, one before the first acknowledgement.
    fn check_window(&mut self, attempt: &'a Attempt, broken: &mut dyn FnMut(&str)) {
        let (attempts, ledger, terms) = (self.attempts, self.ledger, self.terms);
        let key = (attempt.producer_id, attempt.epoch);
        let Some(stream) = self.streams.get_mut(&key) else {
            return;
        };
        let acknowledged = |batch: BatchIndex| acknowledged_at(attempts, batch);
        stream
            .open
            .retain(|other| acknowledged(other.batch).is_none_or(|at| at > attempt.at));
        let is_new = stream.open.iter().all(|other| other.batch != attempt.batch)
            && stream
                .stamped
                .last()
                .is_some_and(|last| std::ptr::eq(*last, attempt));
        if !is_new {
            return;
        }
        let first = stream
            .stamped
            .iter()
            .filter_map(|other| acknowledged(other.batch))
            .min();
        stream.flows_since = stream.flows_since.or(first);
        let flows = stream.flows_since.is_some_and(|since| since <= attempt.at);
        let most = if flows { MOST_UNRESOLVED } else { 1 };
        let unresolved =
            |other: &&&Attempt| is_unresolved((attempts, ledger, terms), other, attempt);
        let others = stream.open.iter().filter(unresolved).count();
        if others >= most {
            if flows {
                broken("a sixth unresolved batch");
            } else {
                broken("a second batch in flight before the first acknowledgement of its epoch");
            }
        }
        stream.open.push(attempt);
    }

    /// Sequences that were never seen belong to records that never were.
    fn judge_gaps(&self, tp: Tp, of_partition: &[&Attempt], findings: &mut Findings) {
        let missing: i64 = self
            .streams
            .values()
            .flat_map(|stream| &stream.missing)
            .map(|(from, to)| i64::from(distance(*from, *to)))
            .sum();
        let first_id = of_partition.first().map(|attempt| attempt.topic_id);
        let one_topic = of_partition
            .iter()
            .all(|attempt| Some(attempt.topic_id) == first_id);
        if missing == 0 || !one_topic {
            return;
        }
        let never_sent = |entry: &&Entry| {
            entry.spec.topic == tp.0
                && entry.accepted_at.is_some()
                && self.attempts.batch_of(entry.spec.id).is_none()
        };
        let explained = self.ledger.entries.iter().filter(never_sent).count();
        if i64::try_from(explained).unwrap_or(i64::MAX) < missing {
            let at = of_partition.last().map_or(Duration::ZERO, |last| last.at);
            findings.broken(Property::P7, at, || {
                format!(
                    "{}-{}: a gap of {missing} sequences that no batch ever had, {explained} records \
                     never left",
                    self.name, tp.1
                )
            });
        }
    }
}

impl<'a> Stream<'a> {
    fn stamp(&mut self, attempt: &'a Attempt, broken: &mut dyn FnMut(&str)) {
        let (base, end) = (
            attempt.base_sequence,
            advance(attempt.base_sequence, attempt.count),
        );
        let ahead = distance(self.next, base);
        if ahead == 0 {
            self.next = end;
        } else if ahead < FARTHEST {
            self.missing.push((self.next, base));
            self.next = end;
        } else if !self.fill(base, attempt.count) {
            broken("its sequence lies before what the epoch has come to");
            return;
        }
        self.stamped.push(attempt);
    }

    /// A batch whose request was made before and took longer.
    fn fill(&mut self, base: i32, count: i32) -> bool {
        let hole = self.missing.iter().position(|(from, to)| {
            let (room, into) = (distance(*from, *to), distance(*from, base));
            into < room && into + count <= room
        });
        let Some(hole) = hole else {
            return false;
        };
        let (from, to) = self.missing.swap_remove(hole);
        let end = advance(base, count);
        for rest in [(from, base), (end, to)] {
            if rest.0 != rest.1 {
                self.missing.push(rest);
            }
        }
        true
    }
}

/// Every attempt of `batch` was answered with a proof by the time of `attempt`.
fn is_settled(attempts: &Attempts, batch: BatchIndex, attempt: &Attempt) -> bool {
    let batch = attempts.batches.get(batch);
    let all = batch.into_iter().flat_map(|batch| &batch.attempts);
    all.filter_map(|index| attempts.all.get(*index))
        .all(|other| {
            other.correlation_id > attempt.correlation_id
                || (other.is_proved_not_written() && other.was_over(attempt.at))
        })
}

fn acknowledged_at(attempts: &Attempts, batch: BatchIndex) -> Option<Duration> {
    let batch = attempts.batches.get(batch)?;
    let all = batch
        .attempts
        .iter()
        .filter_map(|index| attempts.all.get(*index));
    all.filter(|one| one.is_acknowledged())
        .filter_map(|one| one.over_at)
        .min()
}

/// Whether a batch certainly had its end still before it when `attempt` was made.
fn is_unresolved(
    (attempts, ledger, terms): (&Attempts, &Ledger, &Terms),
    other: &Attempt,
    attempt: &Attempt,
) -> bool {
    let Some(batch) = attempts.batches.get(other.batch) else {
        return false;
    };
    let same = |one: &&Attempt| {
        (one.producer_id, one.epoch, one.base_sequence)
            == (other.producer_id, other.epoch, other.base_sequence)
    };
    let all = batch
        .attempts
        .iter()
        .filter_map(|index| attempts.all.get(*index))
        .filter(same);
    let Some(last) = all.max_by_key(|one| one.correlation_id) else {
        return false;
    };
    if last.correlation_id > attempt.correlation_id {
        return true;
    }
    let ended = batch.records.iter().any(|id| {
        let entry = usize::try_from(*id)
            .ok()
            .and_then(|id| ledger.entries.get(id));
        entry.is_none_or(|entry| {
            entry
                .callbacks
                .first()
                .is_some_and(|(at, _)| *at <= attempt.at)
                || entry.called_at + terms.delivery_timeout <= attempt.at
        })
    });
    !last.was_over(attempt.at) && !ended
}

fn show(name: &str, attempt: &Attempt) -> String {
    format!(
        "request {} with {}-{} producer {} epoch {} sequence {} + {} (batch {})",
        attempt.correlation_id,
        name,
        attempt.tp.1,
        attempt.producer_id,
        attempt.epoch,
        attempt.base_sequence,
        attempt.count,
        attempt.batch
    )
}

/// After 2147483647 comes 0.
fn advance(sequence: i32, by: i32) -> i32 {
    sequence.wrapping_add(by) & i32::MAX
}

fn distance(from: i32, to: i32) -> i32 {
    to.wrapping_sub(from) & i32::MAX
}

/// What brokers remember.
const MOST_UNRESOLVED: usize = 5;
const UNKNOWN_TOPIC_ID: i16 = 100;
/// Farther ahead means behind.
const FARTHEST: i32 = 1 << 30;
