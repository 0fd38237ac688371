//! Every batch on the wire: what it holds, each attempt to get it written, what brokers did with
//! it, and what the client was told.
//!
//! Thread: the one that simulates. Locks: none. A batch is known by its records' bytes (all after
//! the header, which is made anew for each attempt), an attempt by its request's correlation id.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use kafka_test_support::tap::{SeenBatch, SeenBody, SeenRequest, SeenTopic};
use kafka_test_support::{Event, ProducedBatch, StoredBatch, What};
use uuid::Uuid;

use super::findings::Findings;
use super::terms::{Terms, Tp};
use super::wire_watch::Place;
use crate::network::WireId;
use crate::sim::answers::{Told, ToldPartition, Topic};
use crate::sim::guarantees::{Property, proves_not_written};
use crate::sim::ledger::RecordId;
use crate::sim::payload;

/// Index of a batch.
pub(super) type BatchIndex = usize;

/// One batch in one request.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) at: Duration,
    pub(super) node: i32,
    pub(super) wire: WireId,
    pub(super) correlation_id: i32,
    pub(super) tp: Tp,
    pub(super) topic_id: Uuid,
    pub(super) producer_id: i64,
    pub(super) epoch: i16,
    pub(super) base_sequence: i32,
    pub(super) count: i32,
    pub(super) crc: u32,
    pub(super) batch: BatchIndex,
    /// When the client read an answer, or gave the connection up.
    pub(super) over_at: Option<Duration>,
    /// The code that it read.
    pub(super) told: Option<i16>,
    /// Indexes of the records that were named as the reason, those that there are.
    pub(super) blamed: Vec<usize>,
    /// What the broker really did: the code it answered, and whether it appended.
    done: Option<(i16, i64, bool)>,
    /// What was told is not what was done.
    pub(super) is_lie: bool,
}

/// Records that travel together.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) tp: Tp,
    pub(super) records: Vec<RecordId>,
    pub(super) attempts: Vec<usize>,
    pub(super) max_timestamp: i64,
    /// The batch that had its records before.
    before: Option<BatchIndex>,
}

/// Appends to one partition, in order.
#[derive(Debug, Default)]
pub(super) struct Appended {
    /// Offset and number of records.
    pub(super) batches: Vec<(i64, i32)>,
    pub(super) has_lost: bool,
    /// The topic was deleted and made again between appends.
    pub(super) was_made_again: bool,
    pub(super) topic_id: Option<Uuid>,
}

/// All there is to know of what was sent.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    pub(super) all: Vec<Attempt>,
    /// First and last + 1 of each request.
    requests: BTreeMap<i32, (usize, usize)>,
    pub(super) batches: Vec<Batch>,
    by_bytes: BTreeMap<(Tp, u32, usize), BatchIndex>,
    /// By record.
    of_record: Vec<Option<BatchIndex>>,
    pub(super) appended: BTreeMap<Tp, Appended>,
    names: Vec<String>,
}

impl Attempt {
    /// The client knows whether it was appended.
    pub(super) fn is_answered(&self) -> bool {
        self.told
            .is_some_and(|code| matches!(code, 0 | 46) || proves_not_written(code))
    }

    pub(super) fn is_acknowledged(&self) -> bool {
        matches!(self.told, Some(0 | 46))
    }

    /// The client knows that it was not.
    pub(super) fn is_proved_not_written(&self) -> bool {
        self.told.is_some_and(proves_not_written)
    }

    /// The offset that the client was told truly.
    pub(super) fn appended_at(&self) -> Option<i64> {
        let (code, offset, _) = self.done?;
        (code == 0 && self.told == Some(0) && !self.is_lie && offset >= 0).then_some(offset)
    }

    /// Of its last record.
    pub(super) fn last_offset(&self) -> Option<i64> {
        Some(self.appended_at()? + i64::from(self.count) - 1)
    }

    pub(super) fn was_over(&self, at: Duration) -> bool {
        self.over_at.is_some_and(|over| over <= at)
    }
}

impl Appended {
    /// The offset after the last one.
    pub(super) fn end(&self) -> i64 {
        self.batches
            .last()
            .map_or(0, |(at, count)| at + i64::from(*count))
    }
}

impl Attempts {
    pub(super) fn new(terms: &Terms) -> Self {
        Self {
            names: terms.topics.clone(),
            ..Self::default()
        }
    }

    pub(super) fn tp_of(
        &self,
        topic: &SeenTopic,
        partition: i32,
        terms: &Terms,
        ids: &BTreeMap<Uuid, usize>,
    ) -> Option<Tp> {
        let topic = match topic {
            SeenTopic::Name(name) => terms.topic(name)?,
            SeenTopic::Id(id) => *ids.get(id)?,
        };
        Some((topic, partition))
    }

    pub(super) fn on_produce(
        &mut self,
        place: Place,
        seen: &SeenRequest,
        (frame, ids): (&[u8], &BTreeMap<Uuid, usize>),
        findings: &mut Findings,
    ) {
        let SeenBody::Produce(produce) = &seen.body else {
            return;
        };
        let first = self.all.len();
        for batch in &produce.batches {
            self.on_batch(place, (seen.correlation_id, batch), (frame, ids), findings);
        }
        self.requests
            .insert(seen.correlation_id, (first, self.all.len()));
        if produce.acks == 0 {
            for attempt in self.all.iter_mut().skip(first) {
                attempt.over_at = Some(place.0);
            }
        }
    }

    fn on_batch(
        &mut self,
        (now, node, wire): Place,
        (correlation_id, seen): (i32, &SeenBatch),
        (frame, ids): (&[u8], &BTreeMap<Uuid, usize>),
        findings: &mut Findings,
    ) {
        let (topic, topic_id) = match &seen.topic {
            SeenTopic::Name(name) => (
                self.names.iter().position(|known| known == name),
                Uuid::nil(),
            ),
            SeenTopic::Id(id) => (ids.get(id).copied(), *id),
        };
        let (Some(topic), Some(bytes)) = (topic, frame.get(seen.at..seen.at + seen.bytes)) else {
            return;
        };
        let tp = (topic, seen.partition);
        let body = bytes.get(BATCH_HEAD..).unwrap_or_default();
        // Attributes and times stay as they are, too; a record may be known by its time alone.
        let head = bytes.get(ATTRIBUTES_TO_TIMES).unwrap_or_default();
        let hash = crc32c::crc32c_append(crc32c::crc32c(head), body);
        let key = (tp, hash, body.len());
        let batch = match self.by_bytes.get(&key) {
            Some(batch) => {
                self.is_still_its_own(now, *batch, findings);
                *batch
            }
            None => {
                let batch = self.take_in(now, tp, bytes, findings);
                self.by_bytes.insert(key, batch);
                batch
            }
        };
        if let Some(batch) = self.batches.get_mut(batch) {
            batch.attempts.push(self.all.len());
        }
        self.all.push(Attempt {
            at: now,
            node,
            wire,
            correlation_id,
            tp,
            topic_id,
            producer_id: seen.producer_id,
            epoch: seen.producer_epoch,
            base_sequence: seen.base_sequence,
            count: seen.count,
            crc: seen.crc,
            batch,
            over_at: None,
            told: None,
            blamed: Vec::new(),
            done: None,
            is_lie: false,
        });
    }

    /// What was split goes in its pieces, and not once more as it was.
    fn is_still_its_own(&self, now: Duration, batch: BatchIndex, findings: &mut Findings) {
        let first = self.batches.get(batch).and_then(|it| it.records.first());
        let slot = first.and_then(|id| usize::try_from(*id).ok());
        let is_in = slot.and_then(|slot| *self.of_record.get(slot)?);
        if let Some(is_in) = is_in.filter(|is_in| *is_in != batch) {
            findings.broken(Property::P7, now, || {
                format!("batch {batch} is sent again, and its records went in batch {is_in} since")
            });
        }
    }

    /// A batch that was not seen before.
    fn take_in(
        &mut self,
        now: Duration,
        tp: Tp,
        bytes: &[u8],
        findings: &mut Findings,
    ) -> BatchIndex {
        let index = self.batches.len();
        let stored = StoredBatch {
            base_offset: 0,
            count: 0,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            max_timestamp: 0,
            bytes: Bytes::copy_from_slice(bytes),
            append_time: None,
        };
        let mut batch = Batch {
            tp,
            records: Vec::new(),
            attempts: Vec::new(),
            max_timestamp: i64::MIN,
            before: None,
        };
        let Some(records) = stored.records() else {
            findings.broken(Property::P1, now, || {
                format!("a batch for {}-{} cannot be read", self.name(tp), tp.1)
            });
            self.batches.push(batch);
            return index;
        };
        for record in &records {
            batch.max_timestamp = batch.max_timestamp.max(record.timestamp);
            let Some(id) = payload::identify(record) else {
                findings.broken(Property::P1, now, || {
                    format!("a record for {}-{} that nobody sent", self.name(tp), tp.1)
                });
                continue;
            };
            batch.records.push(id);
            let slot = usize::try_from(id).unwrap_or(usize::MAX);
            if slot >= self.of_record.len() && slot < MOST_RECORDS {
                self.of_record.resize(slot + 1, None);
            }
            if let Some(of_record) = self.of_record.get_mut(slot) {
                batch.before = batch.before.or(*of_record);
                *of_record = Some(index);
            }
        }
        if let Some(before) = batch
            .before
            .filter(|before| !self.is_proved_not_written(*before))
        {
            let first = batch.records.first().copied();
            findings.broken(Property::P7, now, || {
                format!(
                    "records from {first:?} of {}-{} go in another batch, and batch {before} may have \
                     been written",
                    self.name(tp),
                    tp.1
                )
            });
        }
        self.batches.push(batch);
        index
    }

    /// The client read an answer.
    pub(super) fn on_told(
        &mut self,
        (now, correlation_id): (Duration, i32),
        told: &Told<'_>,
        (terms, ids): (&Terms, &BTreeMap<Uuid, usize>),
        findings: &mut Findings,
    ) {
        let _ = findings;
        let Some((first, end)) = self.requests.get(&correlation_id).copied() else {
            return;
        };
        for attempt in self.all.get_mut(first..end).into_iter().flatten() {
            attempt.over_at.get_or_insert(now);
            let of_attempt = |answer: &&ToldPartition<'_>| {
                let topic = match answer.topic {
                    Topic::Name(name) => terms.topic(name) == Some(attempt.tp.0),
                    Topic::Id(id) => ids.get(&id) == Some(&attempt.tp.0),
                };
                topic && answer.partition == attempt.tp.1
            };
            if let Some(answer) = told.produced.iter().find(of_attempt) {
                attempt.told = Some(answer.error);
                let count = usize::try_from(attempt.count).unwrap_or(0);
                let indexes = answer.blamed.iter();
                attempt.blamed = indexes
                    .filter_map(|index| usize::try_from(*index).ok())
                    .filter(|index| *index < count)
                    .collect();
                attempt.is_lie = match attempt.done {
                    None => true,
                    Some((code, offset, appended)) => {
                        code != answer.error
                            || (code == 0 && offset != answer.base_offset)
                            || (appended && proves_not_written(code))
                    }
                };
            }
        }
    }

    /// No answer will come.
    pub(super) fn on_lost(&mut self, now: Duration, correlation_id: i32) {
        if let Some((first, end)) = self.requests.get(&correlation_id).copied() {
            for attempt in self.all.get_mut(first..end).into_iter().flatten() {
                attempt.over_at.get_or_insert(now);
            }
        }
    }

    pub(super) fn on_events(&mut self, events: &[Event]) {
        for event in events {
            if let What::Produced(produced) = &event.what {
                self.on_produced(produced);
            }
        }
    }

    fn on_produced(&mut self, produced: &ProducedBatch) {
        let Some(topic) = self.names.iter().position(|name| *name == produced.topic) else {
            return;
        };
        let tp = (topic, produced.partition);
        if let Some((first, end)) = self.requests.get(&produced.correlation_id).copied() {
            let mut attempts = self.all.get_mut(first..end).into_iter().flatten();
            if let Some(attempt) = attempts.find(|attempt| attempt.tp == tp) {
                attempt.done = Some((produced.error_code, produced.base_offset, produced.appended));
            }
        }
        let appended = self.appended.entry(tp).or_default();
        if produced.appended {
            appended.was_made_again |= appended.topic_id.is_some_and(|id| id != produced.topic_id);
            appended.has_lost |= produced.log_offset < appended.end() || appended.was_made_again;
            appended.topic_id = Some(produced.topic_id);
            appended.batches.push((produced.log_offset, produced.count));
        }
    }

    /// Nothing of its records was on the wire before.
    pub(super) fn is_first_of_batch(&self, attempt: &Attempt) -> bool {
        self.batches.get(attempt.batch).is_some_and(|batch| {
            let first = batch
                .attempts
                .first()
                .and_then(|first| self.all.get(*first));
            batch.before.is_none() && first.is_some_and(|first| std::ptr::eq(first, attempt))
        })
    }

    pub(super) fn batch_of(&self, record: RecordId) -> Option<&Batch> {
        let slot = usize::try_from(record).ok()?;
        self.batches.get((*self.of_record.get(slot)?)?)
    }

    /// Whether every attempt of a batch, and of those its records were in before, was answered.
    pub(super) fn is_answered(&self, batch: &Batch) -> bool {
        let mut all = self.with_those_before(batch).flat_map(|it| &it.attempts);
        all.all(|attempt| self.all.get(*attempt).is_some_and(Attempt::is_answered))
    }

    /// What a broker told of it, or of a batch its records were in before, was not so.
    pub(super) fn is_lied_about(&self, batch: &Batch) -> bool {
        let mut all = self.with_those_before(batch).flat_map(|it| &it.attempts);
        all.any(|attempt| self.all.get(*attempt).is_some_and(|one| one.is_lie))
    }

    /// A batch, and those its records were in before it was split.
    fn with_those_before<'a>(&'a self, batch: &'a Batch) -> impl Iterator<Item = &'a Batch> {
        std::iter::successors(Some(batch), |later| self.batches.get(later.before?))
    }

    pub(super) fn is_proved_not_written(&self, batch: BatchIndex) -> bool {
        let attempts = self
            .batches
            .get(batch)
            .map_or(&[][..], |batch| &batch.attempts);
        attempts.iter().all(|attempt| {
            self.all
                .get(*attempt)
                .is_some_and(Attempt::is_proved_not_written)
        })
    }

    /// In how many batches that a broker appended its records were.
    pub(super) fn times_appended(&self, batch: &Batch) -> usize {
        let all = self.with_those_before(batch).flat_map(|it| &it.attempts);
        all.filter_map(|attempt| self.all.get(*attempt))
            .filter(|attempt| matches!(attempt.done, Some((_, _, true))))
            .count()
    }

    fn name(&self, tp: Tp) -> &str {
        self.names.get(tp.0).map_or("?", String::as_str)
    }
}

const BATCH_HEAD: usize = 61;
const ATTRIBUTES_TO_TIMES: std::ops::Range<usize> = 21..43;
/// Numbers above are not ours, whatever a corrupt record says.
const MOST_RECORDS: usize = 10_000_000;
