//! Which sequence a batch carries, and when it may go: (producer id, epoch, next sequence) for
//! each partition, because that is what brokers check (docs/DESIGN.md, "Sequences").
//!
//! Java's counterpart: `TxnPartitionMap`, `TxnPartitionEntry` and half of `TransactionManager`.
//! Thread: Sender, which owns it. Locks: none.
//! ```text
//!            admit (one at a time)       acked
//!  new ----> FRESH --------------------------------> FLOWING (up to 5)
//!              ^  \                                 /   ^
//!              |   `- ended unknown, out of order -'    | acked: the last hole or a later batch
//!     bump:    |                  |                     |
//!     nothing  |                  v                     |
//!     stamped  `------------- STOPPED ------------------'
//! ```
//! | event | FRESH | FLOWING | STOPPED at H |
//! |---|---|---|---|
//! | `admit` of a new batch | if nothing is unresolved | if fewer than 5 are | once nothing is: bump |
//! | `admit` of a stamped one | the lowest | the lowest | the lowest |
//! | acked X | FLOWING | - | FLOWING if X >= H |
//! | X ended unknown, or refused by sequence | STOPPED at X | STOPPED at X | at max(H, X) |
//! | X ended, not written | - ; its sequences are used again if it was the last, else STOPPED | as left | at max(H, X) |
//!
//! Invariants: unresolved batches ascend in id and in sequence alike; one whose outcome may be
//! unknown keeps its identity to its end. R06, R07, R14, R15, R23, R24, R30, R37, R38.

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::Uuid;
use crate::planted::{Plant, planted};
use crate::producer::batch_id::{BatchId, SlotId};
use crate::protocol::ErrorCode;
use crate::record::ProducerState;

/// A producer id with its epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
}

/// All partitions' sequences.
#[derive(Debug, Default)]
pub(crate) struct Sequences {
    /// What partitions without a state of their own begin with.
    identity: Option<Identity>,
    partitions: BTreeMap<SlotId, Partition>,
    waiting_for_identity: BTreeSet<SlotId>,
    /// What every partition begins with, for runs against brokers that take any first sequence.
    #[cfg(any(test, fuzzing))]
    pub(crate) first_sequence: i32,
}

#[derive(Debug)]
struct Partition {
    topic_id: Uuid,
    identity: Identity,
    next_sequence: i32,
    phase: Phase,
    /// Stamped, on the wire or waiting for another attempt.
    unresolved: BTreeMap<BatchId, Stamped>,
    last_acked: Option<Acked>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing acknowledged under this identity: whatever comes first would be accepted.
    Fresh,
    Flowing,
    /// From this batch on nobody knows what the broker expects.
    Stopped {
        at: BatchId,
    },
}

#[derive(Debug, Clone, Copy)]
struct Stamped {
    base_sequence: i32,
    record_count: u32,
    on_wire: bool,
    /// At its latest attempt an earlier batch was unresolved, which explains a gap.
    behind: bool,
    /// Some attempt has no answer that proves anything.
    unanswered: bool,
    /// Some attempt was answered UNKNOWN_TOPIC_ID, which proves something only to another topic.
    id_unknown: bool,
}

#[derive(Debug, Clone, Copy)]
struct Acked {
    id: BatchId,
    next_sequence: i32,
    last_offset: i64,
}

/// Whether a batch may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    Send(ProducerState),
    /// Not before something of this partition ends, or a producer id arrives.
    Wait,
    /// It waits, but a later batch of the queue that was stamped before has to go first.
    TryNext,
    /// It may be in the log of a topic that is gone: it ends, its outcome unknown.
    EndUnknown,
}

/// What follows from a code that is about sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SequenceVerdict {
    /// The same bytes again, later.
    RetryUnchanged,
    /// It is in no log, and goes again under a new identity. `lost`: the last offset that was
    /// acknowledged, or -1 if that is not known, where the refusal shows that the broker lacks it.
    Restamp { lost: Option<i64> },
    /// An earlier attempt may have been appended.
    EndUnknown,
    /// Ended before this answer came.
    Late,
}

/// How a batch ended without an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Unknown,
    NotWritten,
    /// Not written, and refused because of its sequence: the next one would be too.
    RefusedBySequence,
}

impl Sequences {
    /// Whether somebody has to ask the cluster for a producer id.
    pub(crate) fn needs_identity(&self) -> bool {
        self.identity.is_none() || !self.waiting_for_identity.is_empty()
    }

    /// The cluster gave a producer id; returns the partitions that waited for one and can go on.
    /// The others have used up that one, and go on waiting.
    pub(crate) fn on_identity(&mut self, identity: Identity) -> BTreeSet<SlotId> {
        self.identity = Some(identity);
        let has_used_up = |slot: &SlotId| {
            self.partitions
                .get(slot)
                .is_some_and(|partition| partition.next_identity(identity).is_none())
        };
        let (waiting, served) = std::mem::take(&mut self.waiting_for_identity)
            .into_iter()
            .partition(has_used_up);
        self.waiting_for_identity = waiting;
        served
    }

    /// Whether the batch, the first of its partition's queue that was not passed over, may go,
    /// and as what. `Send` puts it on the wire.
    pub(crate) fn admit(&mut self, id: BatchId, topic_id: Uuid, record_count: u32) -> Admission {
        #[cfg(any(test, fuzzing))]
        let first_sequence = self.first_sequence;
        let Self {
            identity,
            partitions,
            waiting_for_identity,
            ..
        } = self;
        let partition = match (partitions.entry(id.slot), &*identity) {
            (std::collections::btree_map::Entry::Occupied(entry), _) => entry.into_mut(),
            (std::collections::btree_map::Entry::Vacant(entry), Some(identity)) => {
                let partition = entry.insert(Partition::new(*identity, topic_id));
                #[cfg(any(test, fuzzing))]
                partition.begin_at(first_sequence);
                partition
            }
            (std::collections::btree_map::Entry::Vacant(_), None) => {
                waiting_for_identity.insert(id.slot);
                return Admission::Wait;
            }
        };
        let moved = partition.is_another_topic(topic_id);
        if moved && planted(Plant::R65) {
            // franz-go 1.13.1: what waited for the old topic's end was never told of it.
            return Admission::Wait;
        }
        if moved {
            // What is certainly in no log may go to the new topic as if it had never been sent.
            partition
                .unresolved
                .retain(|_, other| other.on_wire || other.unanswered);
        }
        if let Some(admission) = partition.admit_stamped(id, moved) {
            return admission;
        }
        if partition.unresolved.values().any(|other| !other.on_wire) {
            return Admission::TryNext;
        }
        if moved || matches!(partition.phase, Phase::Stopped { .. }) {
            if planted(Plant::R24) {
                // Java's `startSequencesAtBeginning` renumbers whatever is in flight.
                partition.unresolved.clear();
            }
            if !partition.unresolved.is_empty() {
                return Admission::Wait;
            }
            if !partition.renew(*identity) {
                waiting_for_identity.insert(id.slot);
                return Admission::Wait;
            }
            if moved {
                partition.topic_id = topic_id;
                partition.last_acked = None;
            }
        }
        let limit = match partition.phase {
            Phase::Flowing => MAX_UNRESOLVED,
            // KAFKA-15591: as many as in any other phase.
            Phase::Fresh if planted(Plant::R06) => MAX_UNRESOLVED,
            Phase::Fresh | Phase::Stopped { .. } => 1,
        };
        if partition.unresolved.len() >= limit {
            return Admission::Wait;
        }
        Admission::Send(partition.stamp(id, record_count))
    }

    /// The batch, sent as `state`, is in the log. It may have ended before: the answer is still
    /// evidence. Returns the last offset that was acknowledged before, if this one shows that the
    /// broker lacks it.
    pub(crate) fn on_acked(
        &mut self,
        id: BatchId,
        state: ProducerState,
        record_count: u32,
        base_offset: i64,
    ) -> Option<i64> {
        let partition = self.partitions.get_mut(&id.slot)?;
        let sent_as = Identity {
            producer_id: state.producer_id,
            epoch: state.epoch,
        };
        if planted(Plant::R36) {
            // KAFKA-6015: the answer to a batch of before the reset met an entry that was gone.
            let known = partition.identity == sent_as && partition.unresolved.contains_key(&id);
            assert!(known, "no entry for a batch in flight");
        }
        if partition.identity != sent_as {
            return None;
        }
        partition.unresolved.remove(&id);
        match partition.phase {
            Phase::Fresh => partition.phase = Phase::Flowing,
            // Brokers take no batch without the one before it.
            Phase::Stopped { at } if id >= at => partition.phase = Phase::Flowing,
            Phase::Flowing | Phase::Stopped { .. } => {}
        }
        partition.note_acked(id, state, record_count, base_offset)
    }

    /// The attempt ended without success and the batch goes back to its queue as it is.
    /// `proved`: by an answer that proves that this attempt was not appended.
    pub(crate) fn on_put_back(&mut self, id: BatchId, proved: bool) {
        if planted(Plant::RetryOrder) && proved {
            // Whoever is numbered next gets its sequences.
            self.on_ended(id, Ending::NotWritten);
        }
        if let Some(stamped) = self.stamped(id) {
            stamped.on_wire = false;
            stamped.unanswered |= !proved;
        }
    }

    /// The leader does not know the topic id. It may have appended under it before only if that topic
    /// is gone, and then nothing is left that going to the new one could duplicate. As long as the id
    /// stays the same, the answer proves nothing.
    pub(crate) fn on_topic_id_unknown(&mut self, id: BatchId) {
        if let Some(stamped) = self.stamped(id) {
            stamped.id_unknown = true;
        }
    }

    /// A broker refused the batch because of its identity or sequence: OUT_OF_ORDER_SEQUENCE_NUMBER,
    /// UNKNOWN_PRODUCER_ID or INVALID_PRODUCER_EPOCH. `log_start_offset` as the answer tells it, or -1.
    pub(crate) fn on_refused(
        &mut self,
        id: BatchId,
        code: ErrorCode,
        log_start_offset: i64,
    ) -> SequenceVerdict {
        let Some(partition) = self.partitions.get_mut(&id.slot) else {
            return SequenceVerdict::Late;
        };
        let hole_before = matches!(partition.phase, Phase::Stopped { at } if at < id);
        let predecessor = partition.unresolved.range(..id).next().is_some();
        let Some(stamped) = partition.unresolved.get_mut(&id) else {
            return SequenceVerdict::Late;
        };
        stamped.on_wire = false;
        // sarama 9df3038a: retried like any other error, though nobody will fill the gap.
        if predecessor || (stamped.behind && !hole_before) || planted(Plant::R17) {
            return SequenceVerdict::RetryUnchanged;
        }
        let stamped = *stamped;
        partition.unresolved.remove(&id);
        let flowed = partition.phase == Phase::Flowing;
        partition.stop(id);
        // Java's `startSequencesAtBeginning` asks for no proof.
        if (stamped.unanswered || stamped.id_unknown) && !planted(Plant::R24) {
            return SequenceVerdict::EndUnknown;
        }
        let is_gap = code == ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER && flowed;
        let lost = partition
            .last_acked
            .filter(|_| is_gap)
            .filter(|acked| acked.next_sequence == stamped.base_sequence)
            .map(|acked| acked.last_offset)
            // What retention has deleted was not lost.
            .filter(|last| *last < 0 || log_start_offset <= *last);
        if lost.is_some() {
            // The offsets of what follows are no second loss.
            partition.last_acked = None;
        }
        self.raise_all_epochs(id.slot);
        SequenceVerdict::Restamp { lost }
    }

    /// The batch ended without an acknowledgement, wherever it was; nothing if it is not stamped.
    pub(crate) fn on_ended(&mut self, id: BatchId, ending: Ending) {
        let Some(partition) = self.partitions.get_mut(&id.slot) else {
            return;
        };
        let Some(stamped) = partition.unresolved.remove(&id) else {
            return;
        };
        let was_last = stamped.end() == partition.next_sequence
            && !matches!(partition.phase, Phase::Stopped { .. });
        match ending {
            // KAFKA-14397: those behind it take its sequences, though the leader may have them.
            Ending::Unknown if planted(Plant::R15) => partition.close_gap(&stamped),
            // librdkafka #4438: "possibly persisted" moved the sequence that is expected.
            Ending::Unknown if planted(Plant::R40) => {}
            // sarama 9df3038a: what failed here used its sequences up.
            Ending::NotWritten if planted(Plant::R17) => {}
            // Nobody will see these sequences, and none after them are in use.
            Ending::NotWritten if was_last => partition.next_sequence = stamped.base_sequence,
            Ending::NotWritten | Ending::Unknown | Ending::RefusedBySequence => partition.stop(id),
        }
    }

    /// librdkafka #4953 and KAFKA-12152: one epoch for all partitions (R23, R35).
    fn raise_all_epochs(&mut self, but: SlotId) {
        if !planted(Plant::R23) && !planted(Plant::R35) {
            return;
        }
        for (slot, partition) in &mut self.partitions {
            let idle = partition.unresolved.is_empty();
            if *slot == but {
                continue;
            }
            if planted(Plant::R23) && partition.renew(None) {
                // What is unresolved gets sequences of the new epoch.
                partition.unresolved.clear();
            } else if planted(Plant::R35) && idle {
                // The old sequences go on.
                partition.identity.epoch = partition.identity.epoch.saturating_add(1);
            }
        }
    }

    /// librdkafka 1.9.0 dropped its partitions together with their topic (R07).
    #[cfg(feature = "planted")]
    pub(crate) fn forget(&mut self, is_gone: impl Fn(SlotId) -> bool) {
        self.partitions.retain(|slot, _| !is_gone(*slot));
    }

    fn stamped(&mut self, id: BatchId) -> Option<&mut Stamped> {
        self.partitions.get_mut(&id.slot)?.unresolved.get_mut(&id)
    }
}

impl Partition {
    fn new(identity: Identity, topic_id: Uuid) -> Self {
        Self {
            topic_id,
            identity,
            next_sequence: 0,
            phase: Phase::Fresh,
            unresolved: BTreeMap::new(),
            last_acked: None,
        }
    }

    /// Whether the topic was deleted and made again since; brokers that tell no ids never say so.
    fn is_another_topic(&mut self, topic_id: Uuid) -> bool {
        if self.topic_id.is_zero() {
            self.topic_id = topic_id;
        }
        !topic_id.is_zero() && topic_id != self.topic_id
    }

    /// The verdict for a batch that carries a sequence already; `None` if it does not (any more).
    fn admit_stamped(&mut self, id: BatchId, moved: bool) -> Option<Admission> {
        let is_lowest = self.unresolved.keys().next() == Some(&id);
        let identity = self.identity;
        let stamped = self.unresolved.get_mut(&id)?;
        if moved {
            self.unresolved.remove(&id);
            self.stop(id);
            return Some(Admission::EndUnknown);
        }
        if !is_lowest {
            return Some(Admission::Wait);
        }
        stamped.on_wire = true;
        stamped.behind = false;
        Some(Admission::Send(stamped.state(identity)))
    }

    fn stamp(&mut self, id: BatchId, record_count: u32) -> ProducerState {
        let stamped = Stamped {
            base_sequence: self.next_sequence,
            record_count,
            on_wire: true,
            behind: !self.unresolved.is_empty(),
            unanswered: false,
            id_unknown: false,
        };
        debug_assert!(
            self.unresolved.keys().next_back() < Some(&id) || matches!(self.phase, Phase::Flowing),
            "sequences follow the order of batches"
        );
        self.next_sequence = stamped.end();
        self.unresolved.insert(id, stamped);
        stamped.state(self.identity)
    }

    /// A new epoch for this partition alone, or the newest producer id where there is no higher epoch.
    /// False: another one has to be asked for.
    fn renew(&mut self, newest: Option<Identity>) -> bool {
        let next = match newest {
            Some(newest) => self.next_identity(newest),
            None => self.next_epoch(),
        };
        let Some(next) = next else {
            return false;
        };
        self.identity = next;
        self.next_sequence = 0;
        self.phase = Phase::Fresh;
        if let Some(acked) = &mut self.last_acked {
            acked.next_sequence = -1;
        }
        true
    }

    /// `None`: the last epoch of this producer id is in use, and `newest` is no other id.
    fn next_identity(&self, newest: Identity) -> Option<Identity> {
        let is_other = newest.producer_id != self.identity.producer_id;
        self.next_epoch().or(is_other.then_some(newest))
    }

    fn next_epoch(&self) -> Option<Identity> {
        let epoch = if planted(Plant::R38) {
            // sarama 5c6b5812: it went on where there is nothing left.
            self.identity.epoch.wrapping_add(1)
        } else {
            self.identity.epoch.checked_add(1)?
        };
        Some(Identity {
            epoch,
            ..self.identity
        })
    }

    #[cfg(any(test, fuzzing))]
    fn begin_at(&mut self, first_sequence: i32) {
        self.next_sequence = first_sequence;
    }

    /// Moves what was numbered after a batch to where that began (R15).
    fn close_gap(&mut self, gone: &Stamped) {
        let back = |sequence: i32| {
            let moved = i64::from(sequence) - i64::from(gone.record_count);
            i32::try_from(moved & i64::from(i32::MAX)).unwrap_or(0)
        };
        for stamped in self.unresolved.values_mut() {
            if stamped.base_sequence > gone.base_sequence {
                stamped.base_sequence = back(stamped.base_sequence);
            }
        }
        self.next_sequence = back(self.next_sequence);
    }

    fn stop(&mut self, id: BatchId) {
        let at = match self.phase {
            Phase::Stopped { at } => at.max(id),
            Phase::Fresh | Phase::Flowing => id,
        };
        self.phase = Phase::Stopped { at };
    }

    fn note_acked(
        &mut self,
        id: BatchId,
        state: ProducerState,
        record_count: u32,
        base_offset: i64,
    ) -> Option<i64> {
        let before = self.last_acked.filter(|acked| acked.id > id);
        if before.is_some() {
            return None;
        }
        let known = self.last_acked.map_or(-1, |acked| acked.last_offset);
        let last_offset = if base_offset < 0 {
            known
        } else {
            base_offset.saturating_add(i64::from(record_count) - 1)
        };
        self.last_acked = Some(Acked {
            id,
            next_sequence: advance(state.base_sequence, record_count),
            last_offset,
        });
        (0..=known).contains(&base_offset).then_some(known)
    }
}

impl Stamped {
    fn end(&self) -> i32 {
        advance(self.base_sequence, self.record_count)
    }

    fn state(&self, identity: Identity) -> ProducerState {
        ProducerState {
            producer_id: identity.producer_id,
            epoch: identity.epoch,
            base_sequence: self.base_sequence,
        }
    }
}

/// The sequence after `record_count` records: after 2147483647 comes 0 (B157).
fn advance(sequence: i32, record_count: u32) -> i32 {
    if planted(Plant::R37) {
        // KAFKA-7693: it went on below zero.
        return sequence.wrapping_add_unsigned(record_count);
    }
    let end = (i64::from(sequence) + i64::from(record_count)) & i64::from(i32::MAX);
    i32::try_from(end).unwrap_or(0)
}

/// Brokers remember this many batches of a producer in a partition (B159).
pub(super) const MAX_UNRESOLVED: usize = 5;

#[cfg(test)]
impl Sequences {
    /// Begins a partition where its numbers are about to run out.
    pub(super) fn begin_at(&mut self, slot: SlotId, identity: Identity, next_sequence: i32) {
        let mut partition = Partition::new(identity, Uuid::ZERO);
        partition.begin_at(next_sequence);
        self.partitions.insert(slot, partition);
    }

    pub(super) fn unresolved(&self, slot: SlotId) -> usize {
        self.partitions
            .get(&slot)
            .map_or(0, |partition| partition.unresolved.len())
    }
}
