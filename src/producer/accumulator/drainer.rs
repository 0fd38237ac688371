//! The Sender's side of the accumulator: which nodes have work, and the work.
//!
//! Java's counterpart: `ready` and `drain` of `RecordAccumulator`. Thread: Sender, which owns it.
//! Locks: one partition's queue at a time.
//! ```text
//! nothing queued <-> waiting (linger, backoff: a timer) -> in its node's ring -> drained
//!                    without a leader (until metadata)     blocked, muted (until told)
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::partition_queue::HeadState;
use super::schedule::{Schedule, Timer};
use super::topic::{Activated, Slot};
use super::{ProducerBatch, RecordAccumulator};
use crate::backoff::ExponentialBackoff;
use crate::cluster::{Cluster, NodeId, Uuid};
use crate::planted::{Plant, planted};
use crate::producer::batch_id::{BatchId, SlotId};
use crate::random::Random;
use crate::record::ProducerState;
use crate::sync::atomic::Ordering;

/// Owned by the Sender.
#[derive(Debug)]
pub(crate) struct Drainer {
    pub(super) accumulator: Arc<RecordAccumulator>,
    cluster: Arc<Cluster>,
    backoff: ExponentialBackoff,
    random: Random,
    pub(super) slots: BTreeMap<SlotId, SlotView>,
    rings: BTreeMap<NodeId, VecDeque<SlotId>>,
    /// Slots with data that only linger keeps back.
    lingering: BTreeSet<SlotId>,
    /// Slots with data whose partition has no leader.
    leaderless: BTreeSet<SlotId>,
    pub(super) schedule: Schedule,
    /// Which node is asked first; moves on with every look.
    turn: usize,
    activated: Vec<Activated>,
}

/// What the Sender remembers of a slot.
#[derive(Debug)]
pub(super) struct SlotView {
    pub(super) slot: Arc<Slot>,
    in_ring: Option<NodeId>,
    /// `admit` said no, until `unblock`.
    blocked: bool,
    muted: bool,
    /// When the head's backoff ends; drawn once per attempt.
    backoff: Option<(BatchId, u32, Instant)>,
}

/// Who has work now, and when to look again.
#[derive(Debug, Default)]
pub(crate) struct ReadyCheck {
    /// Nodes that lead a partition with a batch to send now; in a deterministic, rotating order.
    pub(crate) nodes: Vec<NodeId>,
    /// When linger, backoff or delivery timeout next change that; `None` if nothing is queued.
    pub(crate) next_check: Option<Instant>,
    /// Topics with data for a partition without a known leader.
    pub(crate) unknown_leader_topics: Vec<Arc<str>>,
}

/// A batch that would go next, shown to whoever admits it.
#[derive(Debug)]
pub(crate) struct BatchHead {
    pub(crate) id: BatchId,
    pub(crate) topic_id: Uuid,
    pub(crate) record_count: u32,
}

/// Whether a batch may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DrainVerdict {
    /// It goes; `None` without idempotence.
    Send(Option<ProducerState>),
    /// Not this partition, until `unblock` is called for it; others of the node go on.
    SkipPartition,
    /// Not this batch, but maybe one behind it in the queue, which is shown next.
    TryNext,
    /// It leaves the queue, but not for a connection: it is over.
    TakeOut,
}

/// A batch on its way out.
#[derive(Debug)]
pub(crate) struct Drained {
    pub(crate) batch: ProducerBatch,
    /// It was taken out because it is over.
    pub(crate) is_over: bool,
    pub(crate) state: Option<ProducerState>,
    pub(crate) topic_id: Uuid,
    /// The leader's epoch as known now, for the batch to remember.
    pub(crate) leader_epoch: i32,
}

/// Where a slot stands after a look.
enum Standing {
    Empty,
    Leaderless,
    /// Blocked or muted: somebody will say.
    Held,
    Sendable(NodeId),
    Lingers(Instant),
    BacksOff(Instant),
}

impl SlotView {
    fn new(slot: Arc<Slot>) -> Self {
        Self {
            slot,
            in_ring: None,
            blocked: false,
            muted: false,
            backoff: None,
        }
    }
}

impl Drainer {
    pub(crate) fn new(accumulator: Arc<RecordAccumulator>, random: Random) -> Self {
        let config = &accumulator.config;
        Self {
            backoff: ExponentialBackoff::new(config.retry_backoff, config.retry_backoff_max),
            accumulator,
            cluster: Arc::default(),
            random,
            slots: BTreeMap::new(),
            rings: BTreeMap::new(),
            lingering: BTreeSet::new(),
            leaderless: BTreeSet::new(),
            schedule: Schedule::default(),
            turn: 0,
            activated: Vec::new(),
        }
    }

    /// Takes in what appenders activated and what the clock brought (B79..B81). Cost follows
    /// partitions with data; a partition that was skipped does not count until unblocked.
    pub(crate) fn ready(&mut self, cluster: &Arc<Cluster>, now: Instant) -> ReadyCheck {
        self.take_in_cluster(cluster, now);
        self.take_in_activated(now);
        while let Some((slot, timer)) = self.schedule.pop_due(now) {
            match timer {
                Timer::Ready => self.look(slot, now),
                Timer::Expiry => self.schedule.set(slot, Timer::Expiry, now),
            }
            if timer == Timer::Expiry {
                break; // It stays first until `expire` has looked.
            }
        }
        self.look_at_lingering(now);
        let mut next_check = self.schedule.next();
        self.accumulator.set_next_look(next_check);
        if self.accumulator.has_activated() {
            next_check = Some(now);
        }
        ReadyCheck {
            nodes: self.nodes_with_work(),
            next_check,
            unknown_leader_topics: self.leaderless_topics(),
        }
    }

    /// Somebody flushes, closes, or waits for memory: linger does not count, for all or for one topic.
    fn look_at_lingering(&mut self, now: Instant) {
        let accumulator = Arc::clone(&self.accumulator);
        if accumulator.everything_is_sendable() {
            for slot in std::mem::take(&mut self.lingering) {
                self.look(slot, now);
            }
        } else if accumulator.pool.has_share_waiters() {
            let of_topic = |id: &&SlotId| {
                let view = self.slots.get(id);
                view.is_some_and(|view| accumulator.pool.has_waiters_of(view.slot.share))
            };
            let due: Vec<SlotId> = self.lingering.iter().filter(of_topic).copied().collect();
            due.into_iter().for_each(|slot| self.look(slot, now));
        }
    }

    /// Leaders may have moved, topics may have come or gone.
    fn take_in_cluster(&mut self, cluster: &Arc<Cluster>, now: Instant) {
        if Arc::ptr_eq(&self.cluster, cluster) {
            return;
        }
        self.cluster = Arc::clone(cluster);
        self.accumulator.learn_cluster(cluster);
        self.rings.clear();
        let known: Vec<SlotId> = self.slots.keys().copied().collect();
        for slot in known {
            if let Some(view) = self.slots.get_mut(&slot) {
                view.in_ring = None;
            }
            self.look(slot, now);
        }
    }

    fn take_in_activated(&mut self, now: Instant) {
        let mut activated = std::mem::take(&mut self.activated);
        self.accumulator.take_activated(&mut activated);
        for Activated { slot, opened } in activated.drain(..) {
            let nothing_more = slot.take_note();
            let opened = opened.filter(|_| nothing_more);
            let id = slot.id;
            if let (Some(created), false) = (opened, self.slots.contains_key(&id)) {
                if self.take_in_opened(&slot, created, now) {
                    continue;
                }
            }
            self.slots.entry(id).or_insert_with(|| SlotView::new(slot));
            self.look(id, now);
        }
        self.activated = activated;
    }

    /// A queue that was empty has one batch, and it lingers: what a look would say, without one.
    /// False: there is more to it.
    fn take_in_opened(&mut self, slot: &Arc<Slot>, created: Instant, now: Instant) -> bool {
        let config = &self.accumulator.config;
        let lingers_until = crate::time::deadline(created, config.linger);
        let expires = crate::time::deadline(created, config.delivery_timeout);
        let tp = &slot.topic_partition;
        let partition = self.cluster.partition(&tp.topic, tp.partition);
        if lingers_until <= now
            || self.accumulator.is_sendable_at_once(slot)
            || partition.is_none_or(|partition| partition.leader.is_none())
        {
            return false;
        }
        let id = slot.id;
        self.slots.insert(id, SlotView::new(Arc::clone(slot)));
        self.lingering.insert(id);
        self.schedule.set(id, Timer::Ready, lingers_until);
        self.schedule.set(id, Timer::Expiry, expires);
        true
    }

    /// Puts a slot where it belongs now.
    pub(super) fn look(&mut self, slot: SlotId, now: Instant) {
        let standing = self.standing(slot, now);
        self.lingering.remove(&slot);
        self.leaderless.remove(&slot);
        let node = match standing {
            Standing::Sendable(node) => Some(node),
            Standing::Empty
            | Standing::Leaderless
            | Standing::Held
            | Standing::Lingers(_)
            | Standing::BacksOff(_) => None,
        };
        // A place in a ring that is not right any more would be a second one later.
        if self
            .slots
            .get(&slot)
            .is_some_and(|view| view.in_ring != node)
        {
            self.leave_ring(slot);
        }
        let Some(view) = self.slots.get_mut(&slot) else {
            return;
        };
        match standing {
            // Its queue is the accumulator's; it comes back when it is activated again.
            Standing::Empty if !view.blocked && !view.muted => {
                self.slots.remove(&slot);
            }
            Standing::Empty | Standing::Held => {}
            Standing::Leaderless => {
                self.leaderless.insert(slot);
            }
            Standing::Sendable(node) => {
                if view.in_ring != Some(node) {
                    view.in_ring = Some(node);
                    self.rings.entry(node).or_default().push_back(slot);
                }
            }
            Standing::Lingers(until) => {
                self.lingering.insert(slot);
                self.schedule.set(slot, Timer::Ready, until);
            }
            Standing::BacksOff(until) => self.schedule.set(slot, Timer::Ready, until),
        }
    }

    fn standing(&mut self, slot: SlotId, now: Instant) -> Standing {
        let Some(view) = self.slots.get_mut(&slot) else {
            return Standing::Empty;
        };
        let (head, id) = {
            let queue = view.slot.queue.lock();
            let Some(head) = queue.head_state() else {
                return Standing::Empty;
            };
            (head, queue.head().map(ProducerBatch::id))
        };
        self.schedule.set(slot, Timer::Expiry, head.deadline);
        if view.blocked || view.muted {
            return Standing::Held;
        }
        let tp = &view.slot.topic_partition;
        let Some(partition) = self.cluster.partition(&tp.topic, tp.partition) else {
            return Standing::Leaderless;
        };
        let Some(leader) = partition.leader else {
            return Standing::Leaderless;
        };
        if let (Some(id), Some(last)) = (id, head.last_attempt) {
            // A new leader is asked at once (KIP-951).
            let until = backoff_end(view, (id, &head, last), self.backoff, &mut self.random);
            if until > now && partition.leader_epoch <= head.leader_epoch {
                // sarama #2619: only the batch itself waits.
                if planted(Plant::R29) && view.slot.queue.lock().overtake() {
                    return Standing::Sendable(leader);
                }
                return Standing::BacksOff(until);
            }
            return Standing::Sendable(leader);
        }
        let lingers_until = crate::time::deadline(head.created, self.accumulator.config.linger);
        if head.full || lingers_until <= now || self.accumulator.is_sendable_at_once(&view.slot) {
            Standing::Sendable(leader)
        } else {
            Standing::Lingers(lingers_until)
        }
    }

    /// Nodes whose ring is not empty, each time beginning with another one.
    fn nodes_with_work(&mut self) -> Vec<NodeId> {
        self.rings.retain(|_, ring| !ring.is_empty());
        let mut nodes: Vec<NodeId> = self.rings.keys().copied().collect();
        if planted(Plant::HashOrder) {
            let unordered: std::collections::HashSet<NodeId> = nodes.into_iter().collect();
            nodes = unordered.into_iter().collect();
        }
        if !nodes.is_empty() {
            let first = self.turn % nodes.len();
            nodes.rotate_left(first);
            self.turn = self.turn.wrapping_add(1);
        }
        nodes
    }

    fn leaderless_topics(&self) -> Vec<Arc<str>> {
        let views = self
            .leaderless
            .iter()
            .filter_map(|slot| self.slots.get(slot));
        let mut topics: Vec<Arc<str>> = views
            .map(|view| Arc::clone(&view.slot.topic_partition.topic))
            .collect();
        topics.sort_unstable();
        topics.dedup();
        topics
    }

    /// Takes at most one batch per partition the node leads, up to `max_size` bytes in all (a
    /// larger one goes alone), from where the last drain of this node stopped (B82, B83).
    pub(crate) fn drain(
        &mut self,
        node: NodeId,
        max_size: usize,
        now: Instant,
        admit: &mut dyn FnMut(&BatchHead) -> DrainVerdict,
        out: &mut Vec<Drained>,
    ) {
        let Some(mut ring) = self.rings.remove(&node) else {
            return;
        };
        let before = out.len();
        let mut size = 0;
        for _ in 0..ring.len() {
            let Some(slot) = ring.pop_front() else { break };
            let fits = |batch: usize| size == 0 || size + batch <= max_size;
            match self.drain_slot(slot, fits, admit) {
                Taken::Batch(drained) => {
                    if !drained.is_over {
                        size += drained.batch.size();
                    }
                    out.push(drained);
                }
                Taken::Nothing => {}
                // KAFKA-13834: where the next request goes on, this partition is behind already.
                Taken::Stop if planted(Plant::R61) => break,
                Taken::Stop => {
                    ring.push_front(slot);
                    break;
                }
            }
        }
        // Those that were not reached keep their places; those that were come after them.
        let later = self.rings.remove(&node).unwrap_or_default();
        ring.extend(later);
        self.rings.insert(node, ring);
        let drained: Vec<SlotId> = out
            .iter()
            .skip(before)
            .map(|drained| drained.batch.id().slot)
            .collect();
        drained.into_iter().for_each(|slot| self.look(slot, now));
    }

    fn drain_slot(
        &mut self,
        slot: SlotId,
        fits: impl Fn(usize) -> bool,
        admit: &mut dyn FnMut(&BatchHead) -> DrainVerdict,
    ) -> Taken {
        let Some(view) = self.slots.get_mut(&slot) else {
            return Taken::Nothing;
        };
        if view.blocked || view.muted {
            view.in_ring = None;
            return Taken::Nothing;
        }
        let tp = &view.slot.topic_partition;
        let topic_id = self
            .cluster
            .topic(&tp.topic)
            .map_or(Uuid::ZERO, |topic| topic.id);
        let mut queue = view.slot.queue.lock();
        let mut place = 0;
        if planted(Plant::R31) && self.accumulator.everything_is_sendable() {
            // Dekaf #1696: what the flush sealed just now went first.
            place = queue.last_if_open().unwrap_or(0);
        }
        let (state, is_over) = loop {
            let Some(head) = queue.get(place) else {
                // An empty queue activates its slot by itself; all passed over is a skip.
                view.blocked = place > 0;
                view.in_ring = None;
                return Taken::Nothing;
            };
            if !fits(head.size()) {
                return Taken::Stop;
            }
            let shown = BatchHead {
                id: head.id(),
                topic_id,
                // Complete: one that is open is sealed under this lock.
                record_count: head.record_count(),
            };
            match admit(&shown) {
                DrainVerdict::Send(state) => break (state, false),
                DrainVerdict::TakeOut => break (None, true),
                DrainVerdict::TryNext => place += 1,
                DrainVerdict::SkipPartition => {
                    view.blocked = true;
                    view.in_ring = None;
                    return Taken::Nothing;
                }
            }
        };
        view.in_ring = None;
        let Some(batch) = queue.remove(place) else {
            return Taken::Nothing;
        };
        drop(queue);
        self.accumulator
            .queued_batches
            .fetch_sub(1, Ordering::AcqRel);
        let partition = self.cluster.partition(&tp.topic, tp.partition);
        let leader_epoch = partition.map_or(-1, |partition| partition.leader_epoch);
        Taken::Batch(Drained {
            batch,
            is_over,
            state,
            topic_id,
            leader_epoch,
        })
    }

    /// Whether the node still has something in its ring.
    pub(crate) fn has_work(&self, node: NodeId) -> bool {
        self.rings.get(&node).is_some_and(|ring| !ring.is_empty())
    }

    /// Puts a batch back for another attempt after its backoff, in the order of `BatchId`.
    pub(crate) fn reenqueue(&mut self, mut batch: ProducerBatch, now: Instant) {
        let slot = batch.id().slot;
        batch.put_back(now);
        let Some(handle) = self.view(slot) else {
            return;
        };
        self.accumulator
            .queued_batches
            .fetch_add(1, Ordering::AcqRel);
        handle.queue.lock().insert(batch);
        self.leave_ring(slot);
        self.look(slot, now);
    }

    /// Puts the pieces of a batch that was split in its place, in one step. They go at once.
    pub(crate) fn reenqueue_pieces(
        &mut self,
        slot: SlotId,
        pieces: Vec<ProducerBatch>,
        now: Instant,
    ) {
        let Some(handle) = self.view(slot) else {
            return;
        };
        self.accumulator
            .queued_batches
            .fetch_add(pieces.len(), Ordering::AcqRel);
        handle.queue.lock().insert_pieces(pieces);
        self.leave_ring(slot);
        self.look(slot, now);
    }

    /// Whether the slot's topic is not in this picture (R07).
    #[cfg(feature = "planted")]
    pub(crate) fn is_absent(&self, slot: SlotId, cluster: &Cluster) -> bool {
        let slot = self.accumulator.slot(slot);
        slot.is_some_and(|slot| cluster.topic(&slot.topic_partition.topic).is_none())
    }

    pub(super) fn view(&mut self, slot: SlotId) -> Option<Arc<Slot>> {
        if !self.slots.contains_key(&slot) {
            let handle = self.accumulator.slot(slot)?;
            self.slots.insert(slot, SlotView::new(handle));
        }
        self.slots.get(&slot).map(|view| Arc::clone(&view.slot))
    }

    pub(super) fn leave_ring(&mut self, slot: SlotId) {
        let Some(view) = self.slots.get_mut(&slot) else {
            return;
        };
        if let Some(ring) = view
            .in_ring
            .take()
            .and_then(|node| self.rings.get_mut(&node))
        {
            ring.retain(|other| *other != slot);
        }
    }

    /// What `admit` may depend on has changed for this partition (a batch of it ended).
    pub(crate) fn unblock(&mut self, slot: SlotId, now: Instant) {
        if let Some(view) = self.slots.get_mut(&slot).filter(|view| view.blocked) {
            view.blocked = false;
            self.look(slot, now);
        }
    }

    /// No batch of this partition goes until `unmute`: order with one request in flight (B86).
    pub(crate) fn mute(&mut self, slot: SlotId) {
        if self.view(slot).is_some() {
            self.leave_ring(slot);
            if let Some(view) = self.slots.get_mut(&slot) {
                view.muted = true;
            }
        }
    }

    pub(crate) fn unmute(&mut self, slot: SlotId, now: Instant) {
        if let Some(view) = self.slots.get_mut(&slot) {
            view.muted = false;
            // sarama #2133: whoever waited for this was not woken.
            if !planted(Plant::R63) {
                self.look(slot, now);
            }
        }
    }
}

/// What one slot gave.
enum Taken {
    Batch(Drained),
    Nothing,
    Stop,
}

/// When the head's backoff is over; drawn once per attempt, so that looking does not re-roll it.
fn backoff_end(
    view: &mut SlotView,
    (id, head, last): (BatchId, &HeadState, Instant),
    backoff: ExponentialBackoff,
    random: &mut Random,
) -> Instant {
    match view.backoff {
        Some((known, tries, until)) if known == id && tries == head.tries => until,
        _ => {
            let wait = head
                .tries
                .checked_sub(1)
                .map_or(Duration::ZERO, |before| backoff.backoff(before, random));
            let until = crate::time::deadline(last, wait);
            view.backoff = Some((id, head.tries, until));
            until
        }
    }
}
