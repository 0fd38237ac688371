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
        let mut framing = Self {
            bytes: [0; SPACE],
            start: 0,
            key_at: 0,
            end: 0,
            size: headers_size(record.headers),
        };
        let bytes = &mut framing.bytes;
        // After the room for the length and a zero: there are no attributes.
        let at = put(bytes, LENGTH_ROOM + 1, zig_zag(timestamp_delta));
        let at = put(bytes, at, 2 * u64::from(index));
        framing.key_at = put(bytes, at, length_of(record.key));
        framing.end = put(bytes, framing.key_at, length_of(record.value));
        framing.size += framing.end - LENGTH_ROOM
            + record.key.map_or(0, <[u8]>::len)
            + record.value.map_or(0, <[u8]>::len);
        let body = 2 * framing.size as u64;
        let length = varint_size(length_i64(framing.size)).min(LENGTH_ROOM);
        framing.start = LENGTH_ROOM - length;
        put(bytes, framing.start, body);
        framing.size += length;
        framing
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

/// The length of a nullable field, zig-zagged as varints are; lengths are far from 63 bits.
#[inline]
fn length_of(field: Option<&[u8]>) -> u64 {
    field.map_or(1, |bytes| 2 * bytes.len() as u64)
}

/// Writes what is zig-zagged already as a varint, and gives the place after it.
#[inline(always)]
fn put(bytes: &mut [u8; SPACE], mut at: usize, mut bits: u64) -> usize {
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
