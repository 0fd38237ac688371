//! A serialized record on its way into a batch, and how large it can get before it is known where
//! in the batch it will lie.

use super::batch_header::BATCH_OVERHEAD;
use super::headers::Header;
use super::size::{headers_size, nullable_size};

/// A serialized record; the sizes of its fields are told once, as everybody asks for them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordView<'a> {
    pub(crate) timestamp_ms: i64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: &'a [Header],
    /// -1 for null, and no more than an `i32` holds.
    pub(crate) key_size: i32,
    pub(crate) value_size: i32,
}

impl<'a> RecordView<'a> {
    #[inline]
    pub(crate) fn new(
        timestamp_ms: i64,
        key: Option<&'a [u8]>,
        value: Option<&'a [u8]>,
        headers: &'a [Header],
    ) -> Self {
        Self {
            timestamp_ms,
            key,
            value,
            headers,
            key_size: size_of(key),
            value_size: size_of(value),
        }
    }

    /// An upper bound on a batch that holds this record alone (B51).
    pub(crate) fn upper_bound(&self) -> usize {
        let fields = nullable_size(self.key) + nullable_size(self.value);
        BATCH_OVERHEAD + MAX_RECORD_OVERHEAD + fields + headers_size(self.headers)
    }

    /// Whether [`upper_bound`](Self::upper_bound) is certainly no more than `most`: cheaper to say
    /// than how much it is.
    #[inline]
    pub(crate) fn is_within(&self, most: usize) -> bool {
        const REST: usize = BATCH_OVERHEAD + MAX_RECORD_OVERHEAD + 3 * 10;
        let length = |field: Option<&[u8]>| field.unwrap_or_default().len();
        self.headers.is_empty() && REST + length(self.key) + length(self.value) <= most
    }
}

#[inline]
fn size_of(field: Option<&[u8]>) -> i32 {
    field.map_or(-1, |bytes| i32::try_from(bytes.len()).unwrap_or(i32::MAX))
}

/// The most that a record's own framing can take: length, attributes, timestamp delta, offset
/// delta and the count of headers (Java: `MAX_RECORD_OVERHEAD`).
const MAX_RECORD_OVERHEAD: usize = 21;
