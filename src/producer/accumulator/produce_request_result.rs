//! One latch per batch: the outcome of all its records, and who waits for it.
//!
//! Java's counterpart: `ProduceRequestResult`. Thread: any. Locks: its own, a leaf; wakers are
//! called outside of it.

/// The outcome of one batch, to be.
#[derive(Debug)]
pub(crate) struct ProduceRequestResult {}
