//! The promise that `send` returns, and what it gives when it is broken.
//!
//! Java's counterpart: `FutureRecordMetadata`. Thread: any. Locks: the result's.

use std::sync::Arc;

use super::accumulator::ProduceRequestResult;
use crate::error::Error;

/// Becomes the outcome of one record. Dropping it cancels nothing.
#[derive(Debug)]
pub struct SendHandle {
    pub(crate) result: Arc<ProduceRequestResult>,
    pub(crate) index: u32,
    pub(crate) timestamp_ms: i64,
    pub(crate) serialized_key_size: i32,
    pub(crate) serialized_value_size: i32,
}

/// A record that was accepted and not delivered: why, what is known of its fate, and the record.
#[derive(Debug, Clone)]
pub struct DeliveryError {
    pub(crate) error: Error,
}

/// A record given back: topic, partition, timestamp, key, value, headers as bytes (D2).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct UndeliveredRecord {}
