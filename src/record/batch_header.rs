//! The 61 bytes in front of a batch's records.

/// Who sends a batch, and as its how-manieth: stamped into the header at send time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProducerState {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    pub(crate) base_sequence: i32,
}
