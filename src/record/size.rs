//! How large a record can get, before it is known where in a batch it will lie.

use super::headers::Header;
use super::varint::varint_size;

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
