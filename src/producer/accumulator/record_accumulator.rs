//! The application's side of the accumulator: append, flush, close.
//!
//! Java's counterpart: `RecordAccumulator`. Thread: application. Locks: the partition's queue, and
//! under it only the pool's, without ever waiting there.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use super::ProduceRequestResult;
use super::buffer_pool::{Allocation, BufferPool, MemoryTicket};
use super::callback_slots::{CallbackSlots, GROUP_BYTES, SlotStock};
use super::flush::{FlushTicket, Outstanding};
use super::growth::Growth;
use super::partition_queue::{Appended, Fit, Material};
use super::purge::Purged;
use super::topic::{Activated, Activity, Slot, Topic};
use crate::cluster::{Cluster, TopicInfo};
use crate::error::{Error, ErrorKind};
use crate::network::Wakeup;
use crate::planted::{Plant, planted};
use crate::producer::batch_id::SlotId;
use crate::producer::callback::Callback;
use crate::random::Random;
use crate::record::{BATCH_OVERHEAD, RecordView};
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use crate::sync::{ArcSwap, Mutex};
use crate::time::{Time, deadline};

/// The keys the accumulator goes by.
#[derive(Debug, Clone)]
pub(crate) struct AccumulatorConfig {
    /// `batch.size` (0 means 1: a batch per record)
    pub(crate) batch_size: usize,
    /// `linger.ms`
    pub(crate) linger: Duration,
    /// `buffer.memory`
    pub(crate) buffer_memory: usize,
    /// `buffer.memory.share.per.topic`, in bytes; `None`: no limit.
    pub(crate) most_per_topic: Option<usize>,
    /// `delivery.timeout.ms`
    pub(crate) delivery_timeout: Duration,
    /// `retry.backoff.ms`
    pub(crate) retry_backoff: Duration,
    /// `retry.backoff.max.ms`
    pub(crate) retry_backoff_max: Duration,
}

/// Shared by all application threads; the Sender has a `Drainer` over the same state.
#[derive(Debug)]
pub(crate) struct RecordAccumulator {
    pub(super) config: AccumulatorConfig,
    pub(super) pool: Arc<BufferPool>,
    slot_stock: Arc<SlotStock>,
    pub(super) outstanding: Arc<Outstanding>,
    topics: ArcSwap<HashMap<Arc<str>, Arc<Topic>, RandomState>>,
    /// Every slot there is, by number, and who may add some.
    growth: Mutex<Growth>,
    /// Slots that got something since the Sender looked.
    activated: Mutex<Vec<Activated>>,
    pub(super) queued_batches: AtomicUsize,
    /// Taken out of their queues to be given up; they count as queued.
    pub(super) purged: Purged,
    closed: AtomicBool,
    /// When the Sender will look by itself, in nanoseconds after `started`.
    next_look_ns: AtomicU64,
    started: Instant,
    time: Time,
    wakeup: Wakeup,
}

/// A serialized record on its way into a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordToAppend<'a> {
    /// `None`: the built-in sticky partitioner chooses.
    pub(crate) partition: Option<i32>,
    pub(crate) view: RecordView<'a>,
}

/// What an attempt to append came to.
#[derive(Debug)]
pub(crate) enum Append {
    Appended {
        result: Arc<ProduceRequestResult>,
        index: u32,
    },
    /// No room: the ticket has its place in the line, its waker will be called.
    Blocked,
    /// The same, and it is the topic that has its share of the memory already.
    BlockedByShare,
    /// The partition is not one of the topic's, as far as is known.
    UnknownPartition,
    Failed(Error),
}

/// How one attempt under a queue's lock ended.
enum Attempt {
    Done(Append),
    /// Another partition became the sticky one meanwhile.
    Moved,
    NeedsBatch,
}

impl RecordAccumulator {
    pub(crate) fn new(
        mut config: AccumulatorConfig,
        time: Time,
        random: Random,
        wakeup: Wakeup,
    ) -> Arc<Self> {
        config.batch_size = config.batch_size.max(1);
        let chunk_size = config.batch_size.clamp(MIN_CHUNK, MAX_CHUNK);
        let pool = BufferPool::with_share(config.buffer_memory, chunk_size, config.most_per_topic);
        let pool = Arc::new(pool);
        Arc::new(Self {
            pool,
            config,
            slot_stock: Arc::default(),
            outstanding: Arc::default(),
            topics: ArcSwap::default(),
            growth: Mutex::new(Growth {
                slots: Vec::new(),
                topics: BTreeMap::new(),
                random,
            }),
            activated: Mutex::new(Vec::new()),
            queued_batches: AtomicUsize::new(0),
            purged: Purged::default(),
            closed: AtomicBool::new(false),
            next_look_ns: AtomicU64::new(u64::MAX),
            started: time.now(),
            time,
            wakeup,
        })
    }

    /// Looks at the topic, if its partitions are known: the fast path, no lock, and no reference
    /// count that all threads would share.
    #[inline]
    pub(crate) fn with_topic<R>(&self, name: &str, look: impl FnOnce(&Topic) -> R) -> Option<R> {
        self.topics.load().get(name).map(|topic| look(topic))
    }

    #[cfg(any(test, fuzzing, interleave))]
    pub(crate) fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.topics.load().get(name).map(Arc::clone)
    }

    /// Takes in what metadata says of a topic: slots are added, never removed.
    pub(crate) fn learn_topic(&self, info: &TopicInfo) -> Arc<Topic> {
        let mut growth = self.growth.lock();
        let topic = Arc::new(growth.topic(info));
        let mut topics = HashMap::clone(&self.topics.load());
        topics.insert(Arc::clone(&info.name), Arc::clone(&topic));
        self.topics.store(Arc::new(topics));
        topic
    }

    /// Takes in what a new picture says of every topic there ever was. One that metadata does not
    /// know any more is forgotten: the next send asks again. What is unchanged costs a look.
    pub(super) fn learn_cluster(&self, cluster: &Cluster) {
        let mut growth = self.growth.lock();
        let known = self.topics.load_full();
        let mut topics: Option<HashMap<Arc<str>, Arc<Topic>, RandomState>> = None;
        let names: Vec<Arc<str>> = growth.topics.keys().map(Arc::clone).collect();
        for name in names {
            let before = known.get(&name);
            match cluster.topic(&name) {
                Some(info) if before.is_some_and(|topic| topic.is_as(info)) => {}
                Some(info) => {
                    let topic = Arc::new(growth.topic(info));
                    topics
                        .get_or_insert_with(|| HashMap::clone(&known))
                        .insert(name, topic);
                }
                None if before.is_some() => {
                    topics
                        .get_or_insert_with(|| HashMap::clone(&known))
                        .remove(&name);
                }
                None => {}
            }
        }
        if let Some(topics) = topics {
            self.topics.store(Arc::new(topics));
        }
    }

    pub(super) fn slot(&self, id: SlotId) -> Option<Arc<Slot>> {
        self.growth.lock().slots.get(id.0 as usize).map(Arc::clone)
    }

    /// Whether records for the topic wait to be sent, for the first time or again. Locks each of its queues
    /// for a moment.
    pub(crate) fn has_queued(&self, topic: &str) -> bool {
        let slots = self.slots_of(topic);
        slots.iter().any(|slot| !slot.queue.lock().is_empty())
    }

    pub(super) fn all_slots(&self) -> Vec<Arc<Slot>> {
        self.growth.lock().slots.clone()
    }

    /// Those that a topic ever had.
    pub(super) fn slots_of(&self, topic: &str) -> Vec<Arc<Slot>> {
        let growth = self.growth.lock();
        let known = growth.topics.get(topic);
        known.map(|topic| topic.slots.clone()).unwrap_or_default()
    }

    pub(super) fn wake_sender(&self) {
        self.wakeup.wake();
    }

    /// Appends the record, never waiting. `waker`: `None` takes no place in the line (`try_send`).
    /// Wakes the Sender if a batch became full or is new. The size was checked before. The callback
    /// is taken when the record is appended, and left otherwise.
    #[inline]
    pub(crate) fn try_append(
        &self,
        topic: &Topic,
        record: &RecordToAppend<'_>,
        callback: &mut Option<Callback<'_>>,
        ticket: &mut MemoryTicket,
        waker: Option<&Waker>,
    ) -> Append {
        if let Some(append) = self.append_to_open(topic, record, callback) {
            ticket.release();
            return append;
        }
        self.append_anywhere(topic, (record, callback), ticket, waker)
    }

    /// What nearly every record comes to: its partition's last batch is open and has room. `None`
    /// if not, and then nothing has happened.
    #[inline]
    fn append_to_open(
        &self,
        topic: &Topic,
        record: &RecordToAppend<'_>,
        callback: &mut Option<Callback<'_>>,
    ) -> Option<Append> {
        let sticky = record.partition.is_none();
        let slot = topic.slot_for(record.partition)?;
        let partition = slot.topic_partition.partition;
        let batch_size = self.config.batch_size;
        let mut queue = slot.queue.lock();
        if (sticky && !topic.is_sticky(partition)) || self.closed.load(Ordering::Acquire) {
            return None;
        }
        let appended = queue.append_to_last(&record.view, callback, batch_size, &self.pool)?;
        if sticky {
            topic.note_produced(partition, appended.bytes, batch_size, appended.sealed);
        }
        drop(queue);
        if appended.sealed {
            self.activate(slot, Activity::Full);
        }
        let Appended { result, index, .. } = appended;
        Some(Append::Appended { result, index })
    }

    /// The rest: seals, moves to another partition, opens a batch.
    #[cold]
    fn append_anywhere(
        &self,
        topic: &Topic,
        (record, callback): (&RecordToAppend<'_>, &mut Option<Callback<'_>>),
        ticket: &mut MemoryTicket,
        waker: Option<&Waker>,
    ) -> Append {
        let mut material: Option<Material> = None;
        loop {
            let Some(slot) = topic.slot_for(record.partition) else {
                return Append::UnknownPartition;
            };
            let sticky = record.partition.is_none();
            let callback = (sticky, &mut *callback);
            match self.attempt(topic, slot, &record.view, callback, &mut material) {
                Attempt::Done(append) => {
                    ticket.release();
                    return append;
                }
                Attempt::Moved => {}
                Attempt::NeedsBatch => match self.material(topic, &record.view, ticket, waker) {
                    Ok(fresh) => material = Some(fresh),
                    Err(append) => return append,
                },
            }
        }
    }

    /// One try under the queue's lock; what is not used of `material` stays there.
    fn attempt(
        &self,
        topic: &Topic,
        slot: &Arc<Slot>,
        view: &RecordView<'_>,
        (sticky, callback): (bool, &mut Option<Callback<'_>>),
        material: &mut Option<Material>,
    ) -> Attempt {
        let partition = slot.topic_partition.partition;
        let batch_size = self.config.batch_size;
        let mut queue = slot.queue.lock();
        if sticky && !topic.is_sticky(partition) {
            return Attempt::Moved;
        }
        if self.closed.load(Ordering::Acquire) {
            return Attempt::Done(Append::Failed(closed()));
        }
        let mut activity = None;
        let mut fit = queue.try_append(view, callback, batch_size, &self.pool);
        if let Fit::NeedsBatch { sealed } = fit {
            if sticky {
                // The batch that is full had its share; this record goes where the next one does.
                // So does one that begins a batch after linger sent what there was: a change in
                // the middle of it would leave two batches that are cut short.
                let bytes = if sealed { view.upper_bound() } else { 0 };
                topic.note_produced(partition, bytes, batch_size, true);
            }
            if sticky && !topic.is_sticky(partition) {
                drop(queue);
                if sealed {
                    self.activate(slot, Activity::Full);
                }
                return Attempt::Moved;
            }
            let Some(material) = material.take() else {
                drop(queue);
                if sealed {
                    self.activate(slot, Activity::Full);
                }
                return Attempt::NeedsBatch;
            };
            activity = Some(if queue.is_empty() {
                Activity::Opened(material.created)
            } else {
                Activity::Full
            });
            self.queued_batches.fetch_add(1, Ordering::AcqRel);
            queue.push_new(slot.id, slot.topic_partition.clone(), material);
            fit = queue.try_append(view, callback, batch_size, &self.pool);
        }
        let Fit::Appended(appended) = fit else {
            // An empty batch would be one that no broker takes.
            self.queued_batches
                .fetch_sub(queue.pop_empty(), Ordering::AcqRel);
            drop(queue);
            self.activate(slot, Activity::Full);
            return Attempt::Done(Append::Failed(self.too_large_for_pool()));
        };
        if sticky {
            topic.note_produced(partition, appended.bytes, batch_size, appended.sealed);
        }
        drop(queue);
        match activity {
            _ if appended.sealed => self.activate(slot, Activity::Full),
            Some(activity) => self.activate(slot, activity),
            None => {}
        }
        let Appended { result, index, .. } = appended;
        Attempt::Done(Append::Appended { result, index })
    }

    /// Memory and a clock reading for a new batch.
    #[cold]
    fn material(
        &self,
        topic: &Topic,
        view: &RecordView<'_>,
        ticket: &mut MemoryTicket,
        waker: Option<&Waker>,
    ) -> Result<Material, Append> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Append::Failed(closed()));
        }
        let bytes = view.upper_bound() - BATCH_OVERHEAD;
        let wanted = (bytes, GROUP_BYTES);
        match self.pool.allocate_for(topic.share, wanted, ticket, waker) {
            Allocation::Chunks { chunks, charged } => {
                let created = self.time.now();
                Ok(Material {
                    chunks,
                    callbacks: CallbackSlots::new(
                        Arc::clone(&self.pool),
                        (topic.share, charged),
                        Arc::clone(&self.slot_stock),
                    ),
                    created,
                    deadline: deadline(created, self.config.delivery_timeout),
                    flush_token: self.outstanding.begin(),
                })
            }
            Allocation::Blocked => {
                if waker.is_some() {
                    // With somebody in the line everything is sendable (B66).
                    self.wakeup.wake();
                }
                Err(Append::Blocked)
            }
            Allocation::BlockedByShare => {
                if waker.is_some() {
                    // The same, for what the topic has.
                    self.wakeup.wake();
                }
                Err(Append::BlockedByShare)
            }
            Allocation::TooLarge => Err(Append::Failed(self.too_large_for_pool())),
            Allocation::Closed => Err(Append::Failed(closed())),
        }
    }

    /// Tells the Sender that a slot has something new; with a system call only if it sleeps and
    /// would not look in time by itself. It is asked after the slot is on the list, and the Sender
    /// looks at the list after it has said when it looks next, so one of the two sees the other.
    fn activate(&self, slot: &Arc<Slot>, activity: Activity) {
        if let Some(opened) = slot.note(activity) {
            let slot = Arc::clone(slot);
            self.activated.lock().push(Activated { slot, opened });
        }
        let wake = match activity {
            // librdkafka #2912: one too many within the same second.
            Activity::Full => !planted(Plant::R64),
            // Who flushes or waits for memory may have called before this batch was there.
            Activity::Opened(created) => {
                self.is_sendable_at_once(slot) || self.sender_sleeps_past(created)
            }
        };
        if wake {
            self.wakeup.wake();
        }
    }

    /// Whether a batch created now would linger out before the Sender looks by itself.
    fn sender_sleeps_past(&self, created: Instant) -> bool {
        if self.config.linger.is_zero() {
            return true;
        }
        let due = deadline(created, self.config.linger).saturating_duration_since(self.started);
        let due_ns = u64::try_from(due.as_nanos()).unwrap_or(u64::MAX);
        fence(Ordering::SeqCst);
        due_ns < self.next_look_ns.load(Ordering::Acquire)
    }

    /// The Sender will look by itself at `next`, or not at all.
    pub(super) fn set_next_look(&self, next: Option<Instant>) {
        let ns = next.map_or(u64::MAX, |next| {
            let after = next.saturating_duration_since(self.started);
            u64::try_from(after.as_nanos()).unwrap_or(u64::MAX)
        });
        self.next_look_ns.store(ns, Ordering::Release);
        fence(Ordering::SeqCst);
    }

    /// Whether something was activated since `take_activated`.
    pub(super) fn has_activated(&self) -> bool {
        !self.activated.lock().is_empty()
    }

    pub(super) fn take_activated(&self, into: &mut Vec<Activated>) {
        std::mem::swap(&mut *self.activated.lock(), into);
    }

    /// Whether linger counts for nothing at the moment (B66, B79).
    pub(super) fn everything_is_sendable(&self) -> bool {
        self.outstanding.flush_in_progress()
            || self.pool.has_waiters()
            || self.closed.load(Ordering::Acquire)
    }

    /// Whether linger counts for nothing in this queue: then, or because others wait for what its
    /// topic holds.
    pub(super) fn is_sendable_at_once(&self, slot: &Slot) -> bool {
        self.everything_is_sendable() || self.pool.has_waiters_of(slot.share)
    }

    /// The error for a wait for memory that ran out.
    pub(crate) fn exhausted(&self, needed: usize, waited: Duration) -> Error {
        let text = format!(
            "buffer memory exhausted after {} ms: needed {} of {} bytes (buffer.memory, max.block.ms)",
            waited.as_millis(),
            self.pool.chunked(needed),
            self.pool.total(),
        );
        Error::new(ErrorKind::BufferExhausted, text)
    }

    /// The error for a wait for a topic's share of the memory that ran out.
    pub(crate) fn share_exhausted(&self, topic: &str, needed: usize, waited: Duration) -> Error {
        let text = format!(
            "topic {topic} has its share of the buffer memory, still after {} ms: needed {}, and a topic \
             may have {} of {} bytes (buffer.memory.share.per.topic, max.block.ms)",
            waited.as_millis(),
            self.pool.chunked(needed),
            self.pool.most_per_topic(),
            self.pool.total(),
        );
        Error::new(ErrorKind::BufferExhausted, text)
    }

    fn too_large_for_pool(&self) -> Error {
        let most = self.pool.most_per_topic();
        let key = if most < self.pool.total() {
            "buffer.memory.share.per.topic"
        } else {
            "buffer.memory"
        };
        let text =
            format!("the record does not fit into the {most} bytes there are in all ({key})");
        Error::new(ErrorKind::RecordTooLarge, text)
    }

    /// Makes everything appended so far sendable at once.
    pub(crate) fn begin_flush(&self) -> FlushTicket {
        let ticket = self.outstanding.begin_flush();
        self.wakeup.wake();
        ticket
    }

    /// Appends fail from now on, waiters too; what is queued becomes sendable at once.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.pool.close();
        self.wakeup.wake();
    }

    /// Batches without an outcome yet.
    pub(crate) fn incomplete_batches(&self) -> usize {
        self.outstanding.count()
    }

    /// Batches that have their outcome.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn ended_batches(&self) -> u64 {
        self.outstanding.ended()
    }

    /// Bytes of `buffer.memory` that are free.
    #[cfg(any(test, fuzzing, interleave))]
    pub(crate) fn available_memory(&self) -> usize {
        self.pool.available()
    }
}

fn closed() -> Error {
    Error::new(
        ErrorKind::Closed,
        "the producer was closed before the record was accepted",
    )
}

/// Smaller chunks would cost more in keeping than they hold.
const MIN_CHUNK: usize = 512;

/// Larger ones would leave more empty at a batch's end than they save in pieces.
const MAX_CHUNK: usize = 16 * 1024;
