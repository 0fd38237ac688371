//! How a batch is named: all that rooms which do not own it ever hold of it.
//!
//! Thread: any. Locks: none.

/// A partition's dense index in the accumulator, for the life of the producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SlotId(pub(crate) u32);

/// A partition and the number of the batch's first record there: orders retries and splits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BatchId {
    pub(crate) slot: SlotId,
    pub(crate) first_record: u64,
}
