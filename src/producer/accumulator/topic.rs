//! A topic as appenders see it: a slot per partition, and the sticky partition.
//!
//! Java's counterparts: `TopicInfo` of the accumulator and `BuiltInPartitioner` (KIP-480, KIP-794).
//! Thread: any. Locks: a slot's queue; the sticky choice is made under the current partition's.

use std::sync::Arc;
use std::time::Instant;

use super::partition_queue::PartitionQueue;
use super::topic_share::ShareId;
use crate::cluster::{TopicInfo, TopicPartition};
use crate::producer::batch_id::SlotId;
use crate::random::Random;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicI32, AtomicU8, AtomicUsize, Ordering, fence};

/// A topic at one moment; replaced as a whole when its partitions change. Slots and the sticky
/// choice live on in the next.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(super) slots: Vec<Arc<Slot>>,
    /// Partitions with a leader, if that is not all of them.
    pub(super) available: Option<Vec<i32>>,
    pub(super) sticky: Arc<Sticky>,
    /// What its memory is counted under.
    pub(super) share: ShareId,
}

/// A partition's queue and whether the Sender knows that there is something in it.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) id: SlotId,
    pub(super) topic_partition: TopicPartition,
    /// What its topic's memory is counted under.
    pub(super) share: ShareId,
    pub(super) queue: Mutex<PartitionQueue>,
    /// `NOTHING`, or on the activated list and not taken from it yet: why.
    noted: AtomicU8,
}

/// What an appender tells the Sender of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activity {
    /// A batch was opened in a queue that was empty: it goes when its linger is over. The Sender
    /// believes that without a look, which would contend with the very appender for the queue.
    Opened(Instant),
    /// There is a batch that may go now.
    Full,
}

/// An entry of the activated list: when a batch was opened, if that is all.
#[derive(Debug)]
pub(super) struct Activated {
    pub(super) slot: Arc<Slot>,
    pub(super) opened: Option<Instant>,
}

/// The partition that records without a key go to at the moment, and how much went there.
#[derive(Debug)]
pub(super) struct Sticky {
    partition: AtomicI32,
    produced: AtomicUsize,
    random: Mutex<Random>,
}

impl Topic {
    pub(crate) fn partition_count(&self) -> i32 {
        i32::try_from(self.slots.len()).unwrap_or(i32::MAX)
    }

    /// The partitions with a leader, if that is not all of them.
    pub(super) fn available(info: &TopicInfo) -> Option<Vec<i32>> {
        if info.partitions.iter().all(|it| it.leader.is_some()) {
            return None;
        }
        let led = (0..).zip(&info.partitions);
        Some(
            led.filter(|(_, it)| it.leader.is_some())
                .map(|(number, _)| number)
                .collect(),
        )
    }

    /// Whether appenders would see no difference.
    pub(super) fn is_as(&self, info: &TopicInfo) -> bool {
        self.slots.len() == info.partitions.len() && self.available == Self::available(info)
    }

    #[inline]
    fn slot(&self, partition: i32) -> Option<&Arc<Slot>> {
        self.slots.get(usize::try_from(partition).ok()?)
    }

    /// The slot of a given partition, or of the sticky one; the first look at that chooses it. Only
    /// a look: it may have changed by the time the queue's lock is held (B44).
    #[inline]
    pub(super) fn slot_for(&self, partition: Option<i32>) -> Option<&Arc<Slot>> {
        match partition {
            Some(partition) => self.slot(partition),
            None => {
                let sticky = self.sticky.partition.load(Ordering::Acquire);
                self.slot(sticky).or_else(|| self.slot(self.choose(sticky)))
            }
        }
    }

    #[inline]
    pub(super) fn is_sticky(&self, partition: i32) -> bool {
        self.sticky.partition.load(Ordering::Acquire) == partition
    }

    /// `bytes` went to the sticky partition, whose queue the caller has locked; another one is
    /// chosen if it had its share: `batch.size` and its batch is full, or twice that (B39).
    #[inline]
    pub(super) fn note_produced(
        &self,
        partition: i32,
        bytes: usize,
        batch_size: usize,
        full: bool,
    ) {
        let produced = self.sticky.produced.load(Ordering::Relaxed) + bytes;
        if produced >= 2 * batch_size || (full && produced >= batch_size) {
            self.choose(partition);
        } else {
            self.sticky.produced.store(produced, Ordering::Relaxed);
        }
    }

    /// Any partition with a leader, or any at all if none has one (B40), in place of `instead_of`.
    /// A seam for choosing by load: the candidates would then have weights.
    #[cold]
    fn choose(&self, instead_of: i32) -> i32 {
        let next = {
            let mut random = self.sticky.random.lock();
            match &self.available {
                Some(available) if !available.is_empty() => available
                    .get(random.below(available.len()))
                    .copied()
                    .unwrap_or(0),
                _ => i32::try_from(random.below(self.slots.len())).unwrap_or(0),
            }
        };
        let sticky = &self.sticky;
        match sticky.partition.compare_exchange(
            instead_of,
            next,
            Ordering::AcqRel,
            Ordering::Acquire,
        ) {
            Ok(_) => {
                sticky.produced.store(0, Ordering::Relaxed);
                next
            }
            Err(current) => current,
        }
    }
}

impl Slot {
    pub(super) fn new(id: SlotId, topic_partition: TopicPartition, share: ShareId) -> Self {
        Self {
            id,
            topic_partition,
            share,
            queue: Mutex::new(PartitionQueue::new()),
            noted: AtomicU8::new(NOTHING),
        }
    }

    /// Notes an activity; `Some` if the slot has to be put on the activated list, and with what.
    pub(super) fn note(&self, activity: Activity) -> Option<Option<Instant>> {
        match activity {
            Activity::Opened(created) => self
                .noted
                .compare_exchange(NOTHING, OPENED, Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
                .then_some(Some(created)),
            Activity::Full => (self.noted.swap(FULL, Ordering::AcqRel) == NOTHING).then_some(None),
        }
    }

    /// Takes the note, before any look at the queue: what comes after it is noted again. Whether
    /// no more than the opening of a batch was noted.
    pub(super) fn take_note(&self) -> bool {
        let noted = self.noted.swap(NOTHING, Ordering::AcqRel);
        fence(Ordering::SeqCst);
        noted == OPENED
    }
}

impl Sticky {
    pub(super) fn new(random: Random) -> Self {
        Self {
            partition: AtomicI32::new(-1),
            produced: AtomicUsize::new(0),
            random: Mutex::new(random),
        }
    }
}

const NOTHING: u8 = 0;
const OPENED: u8 = 1;
const FULL: u8 = 2;
