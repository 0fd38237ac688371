//! Where an acknowledged record lies (Java: `RecordMetadata`).

use std::sync::Arc;

/// The place of an acknowledged record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordMetadata {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) timestamp_ms: i64,
    pub(crate) serialized_key_size: i32,
    pub(crate) serialized_value_size: i32,
}
