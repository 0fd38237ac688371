//! How large a record can get, before it is known where in a batch it will lie.

use super::batch_header::BATCH_OVERHEAD;
use super::headers::Header;
use super::varint::varint_size;

/// The most that a record's own framing can take: length, attributes, timestamp delta, offset
/// delta and the count of headers (Java: `MAX_RECORD_OVERHEAD`).
const MAX_RECORD_OVERHEAD: usize = 21;

/// An upper bound on a batch that holds this record alone (B51).
#[inline]
pub(crate) fn upper_bound(key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header]) -> usize {
    let body = nullable_size(key) + nullable_size(value) + headers_size(headers);
    BATCH_OVERHEAD + MAX_RECORD_OVERHEAD + body
}

/// Whether [`upper_bound`] is certainly no more than `most`: cheaper to say than how much it is.
#[inline]
pub(crate) fn is_within(
    (key, value, headers): (Option<&[u8]>, Option<&[u8]>, &[Header]),
    most: usize,
) -> bool {
    const LENGTHS: usize = 3 * 10;
    let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
    headers.is_empty()
        && BATCH_OVERHEAD + MAX_RECORD_OVERHEAD + LENGTHS + length(key) + length(value) <= most
}

/// A nullable byte string with its length in front.
#[inline]
pub(super) fn nullable_size(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| {
        varint_size(length_i64(bytes.len())) + bytes.len()
    })
}

/// The headers, with their count in front.
#[inline]
pub(super) fn headers_size(headers: &[Header]) -> usize {
    if headers.is_empty() {
        return 1;
    }
    let each = |header: &Header| {
        nullable_size(Some(header.key.as_bytes())) + nullable_size(header.value.as_deref())
    };
    varint_size(length_i64(headers.len())) + headers.iter().map(each).sum::<usize>()
}

/// Lengths in memory fit an `i64` with room to spare.
#[inline]
pub(super) fn length_i64(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
