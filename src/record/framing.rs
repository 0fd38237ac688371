//! What surrounds a record's key, value and headers, made in one go before anything is written,
//! so that its size is known and most records go into memory in three pieces.

use super::batch_builder::RecordView;
use super::size::{headers_size, length_i64};
use super::varint::{varint_size, zig_zag};

/// Length, attributes, timestamp delta, offset delta, length of the key | length of the value.
#[derive(Debug)]
pub(crate) struct Framing {
    /// The length lies right before `LENGTH_ROOM`, as long as it is.
    bytes: [u8; SPACE],
    start: usize,
    /// Where the key belongs.
    key_at: usize,
    end: usize,
    /// Bytes of the record as a whole.
    size: usize,
}

/// What a body's length takes at most.
const LENGTH_ROOM: usize = 5;

/// Framing that is copied as a block of this size is copied without a call. Attributes, deltas and
/// two lengths take at most 1 + 10 + 5 + 5 + 5 bytes.
const FIXED: usize = 32;

/// A power of two, so that a masked place needs no check.
const SPACE: usize = 64;

impl Framing {
    /// The framing of a record that stands at `index` of its batch.
    #[inline(always)]
    pub(super) fn new(record: &RecordView<'_>, timestamp_delta: i64, index: u32) -> Self {
        let mut bytes = [0; SPACE];
        let mut key_size = -1;
        let mut value_size = -1;
        let mut size = headers_size(record.headers);
        if let Some(key) = record.key {
            key_size = length_i64(key.len());
            size += key.len();
        }
        if let Some(value) = record.value {
            value_size = length_i64(value.len());
            size += value.len();
        }
        let after_attributes = LENGTH_ROOM + 1;
        let at = put(&mut bytes, after_attributes, timestamp_delta);
        let at = put(&mut bytes, at, i64::from(index));
        let key_at = put(&mut bytes, at, key_size);
        let end = put(&mut bytes, key_at, value_size);
        size += end - LENGTH_ROOM;
        let body = length_i64(size);
        let start = LENGTH_ROOM - varint_size(body).min(LENGTH_ROOM);
        put(&mut bytes, start, body);
        Self {
            bytes,
            start,
            key_at,
            end,
            size: size + LENGTH_ROOM - start,
        }
    }

    /// Bytes that the record takes as a whole.
    #[inline]
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Appends the part that goes before the key.
    #[inline]
    pub(super) fn put_before_key(&self, out: &mut Vec<u8>) {
        put_block(self.bytes.get(self.start..), self.key_at - self.start, out);
    }

    /// Appends the part between key and value.
    #[inline]
    pub(super) fn put_after_key(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.after_key());
    }

    /// Appends both, for a record without a key.
    #[inline]
    pub(super) fn put_all(&self, out: &mut Vec<u8>) {
        put_block(self.bytes.get(self.start..), self.end - self.start, out);
    }

    pub(super) fn before_key(&self) -> &[u8] {
        self.bytes.get(self.start..self.key_at).unwrap_or_default()
    }

    pub(super) fn after_key(&self) -> &[u8] {
        self.bytes.get(self.key_at..self.end).unwrap_or_default()
    }
}

/// Writes a varint at a place and gives the one after it.
#[inline]
fn put(bytes: &mut [u8; SPACE], at: usize, value: i64) -> usize {
    let mut bits = zig_zag(value);
    let mut at = at;
    while bits >= 0x80 {
        put_byte(bytes, at, (bits & 0x7F) as u8 | 0x80);
        bits >>= 7;
        at += 1;
    }
    put_byte(bytes, at, (bits & 0x7F) as u8);
    at + 1
}

#[inline]
fn put_byte(bytes: &mut [u8; SPACE], at: usize, byte: u8) {
    if let Some(place) = bytes.get_mut(at & (SPACE - 1)) {
        *place = byte;
    }
}

/// Appends the first `length` of `bytes`: a whole block, cut to size, if `out` has room for one.
#[inline]
fn put_block(bytes: Option<&[u8]>, length: usize, out: &mut Vec<u8>) {
    let bytes = bytes.unwrap_or_default();
    match bytes.first_chunk::<FIXED>() {
        Some(block) if out.capacity() - out.len() >= FIXED => {
            let before = out.len();
            out.extend_from_slice(block);
            out.truncate(before + length);
        }
        _ => out.extend_from_slice(bytes.get(..length).unwrap_or_default()),
    }
}
