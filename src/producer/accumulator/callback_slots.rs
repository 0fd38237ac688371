//! The callbacks of one batch, in order, each in 40 bytes that count as `buffer.memory`.
//!
//! Java's counterpart: the thunks of `ProducerBatch`. Thread: application while the batch is open
//! (under its queue's lock), then Sender. Locks: the pool's, to count, and the stock's, a leaf.

use std::sync::Arc;

use super::buffer_pool::BufferPool;
use super::produce_request_result::BatchOutcome;
use super::producer_batch::BatchAck;
use super::topic_share::ShareId;
use crate::cluster::TopicPartition;
use crate::planted::{Plant, planted};
use crate::producer::callback::{Callback, DeliveryCallback, Kind, OnceCallback, run_guarded};
use crate::producer::delivery_error::{DeliveryError, FailedBatch};
use crate::producer::receipt::Receipt;
use crate::producer::record_metadata::RecordMetadata;
use crate::producer::send_handle::{offset_of, timestamp_of};
use crate::sync::Mutex;

/// What a callback's record metadata needs besides the batch's outcome.
#[derive(Debug, Clone, Copy)]
pub(super) struct RecordFacts {
    pub(super) index: u32,
    pub(super) timestamp_delta_ms: i64,
    pub(super) key_size: i32,
    pub(super) value_size: i32,
}

#[derive(Debug)]
struct Slot {
    facts: RecordFacts,
    /// Which of `shared`, or `ONCE`: which of `once` is in the tag.
    callback: u32,
    tag: u64,
}

const ONCE: u32 = u32::MAX;

/// Slots are counted in groups, so that the pool is asked seldom.
const GROUP: usize = 32;

/// Bytes counted for a group of slots.
pub(super) const GROUP_BYTES: usize = GROUP * size_of::<Slot>();

pub(super) struct CallbackSlots {
    slots: Vec<Slot>,
    /// How many slots are counted for; there may be capacity for more.
    room: usize,
    /// The distinct shared callbacks of this batch; mostly one.
    shared: Vec<Arc<dyn DeliveryCallback>>,
    once: Vec<Option<OnceCallback>>,
    pool: Arc<BufferPool>,
    share: ShareId,
    charged: usize,
    stock: Arc<SlotStock>,
}

/// Vectors that batches have done with, for new ones: allocating them on one thread and freeing
/// them on another costs more than filling them. Empty ones are not counted as `buffer.memory`.
#[derive(Debug, Default)]
pub(super) struct SlotStock(Mutex<Vec<Vec<Slot>>>);

/// As many as are on their way in a busy moment.
const STOCK: usize = 16;

/// Larger vectors are not kept: 40 KB each.
const KEPT_SLOTS: usize = 1024;

impl SlotStock {
    fn take(&self) -> Vec<Slot> {
        let kept = self.0.lock().pop();
        kept.unwrap_or_else(|| Vec::with_capacity(GROUP))
    }

    fn put_back(&self, mut slots: Vec<Slot>) {
        slots.clear();
        if slots.capacity() == 0 || slots.capacity() > KEPT_SLOTS {
            return;
        }
        let mut stock = self.0.lock();
        if stock.len() < STOCK {
            stock.push(slots);
        }
    }
}

impl std::fmt::Debug for CallbackSlots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallbackSlots")
            .field("slots", &self.slots.len())
            .finish_non_exhaustive()
    }
}

impl CallbackSlots {
    /// `charged`: what is counted already, for which topic.
    pub(super) fn new(
        pool: Arc<BufferPool>,
        (share, charged): (ShareId, usize),
        stock: Arc<SlotStock>,
    ) -> Self {
        Self {
            slots: Vec::new(),
            room: 0,
            shared: Vec::new(),
            once: Vec::new(),
            pool,
            share,
            charged,
            stock,
        }
    }

    /// The topic that its bytes, and those of its batch, are counted for.
    pub(super) fn share(&self) -> ShareId {
        self.share
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether one more is counted for; asks the pool for a group if not.
    #[inline]
    pub(super) fn has_room(&mut self) -> bool {
        self.slots.len() < self.room || self.grow()
    }

    /// Doubles, so that what is moved stays in proportion to what is there.
    #[cold]
    fn grow(&mut self) -> bool {
        if self.room == 0 {
            // The first group was counted when the batch was made (or could not be: tiny pools).
            self.slots = self.stock.take();
            self.room = GROUP;
            return true;
        }
        let wanted = 2 * self.room;
        let bytes = wanted * size_of::<Slot>();
        let more = bytes.saturating_sub(self.charged);
        if more > 0 && !self.pool.try_charge_for(self.share, more) {
            return false;
        }
        self.charged = self.charged.max(bytes);
        self.slots.reserve_exact(wanted - self.slots.len());
        self.room = wanted;
        true
    }

    #[inline]
    pub(super) fn push(&mut self, callback: Callback<'_>, facts: RecordFacts) {
        let (callback, tag) = match callback.0 {
            Kind::Lent(callback, tag) => (self.shared_index(callback), tag),
            Kind::Shared(callback, tag) => (self.shared_index(&callback), tag),
            Kind::Once(callback) => {
                self.once.push(Some(callback));
                (ONCE, self.once.len() as u64 - 1)
            }
        };
        self.slots.push(Slot {
            facts,
            callback,
            tag,
        });
    }

    /// Where among the batch's own it is, mostly last; a new one is added.
    #[inline]
    fn shared_index(&mut self, callback: &Arc<dyn DeliveryCallback>) -> u32 {
        let same = |known: &Arc<dyn DeliveryCallback>| Arc::ptr_eq(known, callback);
        let at = self.shared.iter().rposition(same).unwrap_or_else(|| {
            self.shared.push(Arc::clone(callback));
            self.shared.len() - 1
        });
        u32::try_from(at).unwrap_or(ONCE - 1)
    }

    /// The callbacks of each piece of the batch: as many as there are `points`, the indexes where the
    /// second and later pieces begin, and one. What they count for is shared out, and counted once.
    pub(super) fn split(&mut self, points: &[u32]) -> Vec<Self> {
        let mut slots = std::mem::take(&mut self.slots).into_iter().peekable();
        let mut pieces = Vec::with_capacity(points.len() + 1);
        let mut left = self.charged;
        let mut first = 0;
        for end in points.iter().copied().chain([u32::MAX]) {
            let counted = (self.share, 0);
            let mut piece = Self::new(Arc::clone(&self.pool), counted, Arc::clone(&self.stock));
            while let Some(slot) = slots.next_if(|slot| slot.facts.index < end) {
                self.move_to(&mut piece, slot, first);
            }
            let own = piece.slots.len() * size_of::<Slot>();
            piece.charged = if end == u32::MAX { left } else { own.min(left) };
            left -= piece.charged;
            pieces.push(piece);
            first = end;
        }
        #[cfg(feature = "planted")]
        if planted(Plant::R04) {
            // KAFKA-8325: what was split was given back with its pieces, and once more by itself.
            self.pool.release_once_more(self.charged);
        }
        self.charged = 0;
        pieces
    }

    /// `first`: the index of the piece's first record.
    fn move_to(&mut self, piece: &mut Self, mut slot: Slot, first: u32) {
        slot.facts.index -= first;
        if slot.callback == ONCE {
            piece.once.push(self.take_once(slot.tag));
            slot.tag = piece.once.len() as u64 - 1;
        } else if piece.shared.is_empty() {
            piece.shared.clone_from(&self.shared);
        }
        piece.slots.push(slot);
    }

    /// Tells each, in order, where its record lies.
    pub(super) fn run_acked(
        &mut self,
        tp: &TopicPartition,
        ack: BatchAck,
        base_timestamp_ms: i64,
        receipt: Receipt,
    ) {
        let mut metadata = RecordMetadata {
            topic: Arc::clone(&tp.topic),
            partition: tp.partition,
            offset: -1,
            timestamp_ms: -1,
            serialized_key_size: -1,
            serialized_value_size: -1,
            receipt,
        };
        let mut slots = std::mem::take(&mut self.slots);
        let mut left = slots.drain(..);
        // One guard for all: after a panic the next one begins with the next record.
        while !left.as_slice().is_empty() {
            run_guarded("a delivery callback", || {
                for slot in &mut left {
                    let facts = slot.facts;
                    let own_ms = base_timestamp_ms.wrapping_add(facts.timestamp_delta_ms);
                    metadata.offset = offset_of(ack.base_offset, facts.index);
                    metadata.timestamp_ms = timestamp_of(ack.log_append_time_ms, own_ms);
                    metadata.serialized_key_size = facts.key_size;
                    metadata.serialized_value_size = facts.value_size;
                    self.run(&slot, Ok(&metadata));
                }
            });
        }
        drop(left);
        self.stock.put_back(slots);
    }

    /// Tells each, in order, why its record failed.
    pub(super) fn run_failed(&mut self, batch: &Arc<FailedBatch>) {
        let mut left = std::mem::take(&mut self.slots).into_iter();
        while !left.as_slice().is_empty() {
            run_guarded("a delivery callback", || {
                for slot in &mut left {
                    let error = BatchOutcome::delivery_error(batch, slot.facts.index);
                    self.run(&slot, Err(&error));
                }
            });
        }
    }

    #[inline]
    fn run(&mut self, slot: &Slot, result: Result<&RecordMetadata, &DeliveryError>) {
        if let Some(shared) = self.shared.get(slot.callback as usize) {
            if planted(Plant::CompletedTwice) {
                shared.on_completion(slot.tag, result);
            }
            shared.on_completion(slot.tag, result);
        } else if let Some(once) = self.take_once(slot.tag) {
            once(result);
        }
    }

    fn take_once(&mut self, tag: u64) -> Option<OnceCallback> {
        self.once.get_mut(usize::try_from(tag).ok()?)?.take()
    }
}

/// Callbacks are dropped as user code too: a panic in a destructor harms nobody else.
impl Drop for CallbackSlots {
    fn drop(&mut self) {
        self.pool.release_for(self.share, self.charged);
        let (shared, once) = (
            std::mem::take(&mut self.shared),
            std::mem::take(&mut self.once),
        );
        run_guarded("dropping a delivery callback", move || drop((shared, once)));
    }
}
