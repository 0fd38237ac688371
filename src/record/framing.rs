//! What surrounds a record's key, value and headers, made before anything is written, so that its
//! size is known and nearly every record goes into memory in a few blocks, without a loop.

use super::record_view::RecordView;
use super::size::headers_size;
use super::varint::{put_varint, varint_size, zig_zag};

/// The framing of one record.
#[derive(Debug)]
pub(crate) struct Framing {
    /// Length, attributes, timestamp delta, offset delta: at most 5 + 1 + 10 + 5 bytes.
    front: Piece<24>,
    /// Unused for a null key: its length goes with the value's.
    key_length: Piece<BLOCK>,
    value_length: Piece<BLOCK>,
    /// Bytes of the record as a whole.
    size: usize,
}

/// A few bytes, with room behind them.
#[derive(Debug)]
struct Piece<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

/// A varint in the low bytes of a number, the first one lowest, and how many bytes it takes.
type Short = (u64, usize);

/// What is copied at once, without a call.
const BLOCK: usize = 8;

impl Framing {
    /// The framing of a record that stands at `index` of its batch.
    #[inline(always)]
    pub(super) fn new(record: &RecordView<'_>, timestamp_delta: i64, index: u32) -> Self {
        let (key, value) = (i64::from(record.key_size), i64::from(record.value_size));
        let rest = headers_size(record.headers)
            + usize::try_from(key).unwrap_or(0)
            + usize::try_from(value).unwrap_or(0);
        let fields = [timestamp_delta, i64::from(index), key, value];
        match Self::of_short(fields, rest) {
            Some(framing) => framing,
            None => Self::of_any(fields, rest),
        }
    }

    /// What nearly every record comes to: all fits into blocks.
    #[inline(always)]
    fn of_short([timestamp, index, key, value]: [i64; 4], rest: usize) -> Option<Self> {
        let (timestamp, timestamp_bytes) = short(timestamp)?;
        let (index, index_bytes) = short(index)?;
        let is_keyed = key >= 0;
        let (key, value) = (short(key)?, short(value)?);
        let body = 1 + timestamp_bytes + index_bytes + key.1 + value.1 + rest;
        let (length, length_bytes) = short(i64::try_from(body).ok()?)?;
        let front_bytes = length_bytes + 1 + timestamp_bytes + index_bytes;
        if front_bytes > BLOCK {
            return None;
        }
        // Between length and timestamp lies a zero: there are no attributes.
        let at = 8 * (length_bytes + 1);
        let front = length | timestamp << at | index << (at + 8 * timestamp_bytes);
        let value_length = if is_keyed {
            value
        } else {
            (key.0 | value.0 << 8, 1 + value.1)
        };
        Some(Self {
            front: Piece::of((front, front_bytes)),
            key_length: Piece::of(key),
            value_length: Piece::of(value_length),
            size: length_bytes + body,
        })
    }

    #[cold]
    fn of_any([timestamp, index, key, value]: [i64; 4], rest: usize) -> Self {
        let lengths = varint_size(timestamp) + varint_size(index) + varint_size(key);
        let body = 1 + lengths + varint_size(value) + rest;
        let mut front = Piece::empty();
        front.push(i64::try_from(body).unwrap_or(i64::MAX));
        front.push(0); // no attributes
        front.push(timestamp);
        front.push(index);
        let (mut key_length, mut value_length) = (Piece::empty(), Piece::empty());
        let own = if key >= 0 {
            &mut key_length
        } else {
            &mut value_length
        };
        own.push(key);
        value_length.push(value);
        Self {
            size: front.length + key_length.length + value_length.length + rest,
            front,
            key_length,
            value_length,
        }
    }

    /// Bytes that the record takes as a whole.
    #[inline]
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Appends what goes before the key's length, or before the value's.
    #[inline]
    pub(super) fn put_front(&self, out: &mut Vec<u8>) {
        self.front.append_to(out);
    }

    /// Appends the length of a key that is not null.
    #[inline]
    pub(super) fn put_key_length(&self, out: &mut Vec<u8>) {
        self.key_length.append_to(out);
    }

    /// Appends what goes before the value.
    #[inline]
    pub(super) fn put_value_length(&self, out: &mut Vec<u8>) {
        self.value_length.append_to(out);
    }

    /// The same three, in this order.
    pub(super) fn pieces(&self) -> [&[u8]; 3] {
        [
            self.front.as_slice(),
            self.key_length.as_slice(),
            self.value_length.as_slice(),
        ]
    }
}

impl<const N: usize> Piece<N> {
    fn empty() -> Self {
        Self {
            bytes: [0; N],
            length: 0,
        }
    }

    #[inline(always)]
    fn of((bits, length): Short) -> Self {
        let mut piece = Self::empty();
        piece.length = length;
        if let Some(block) = piece.bytes.first_chunk_mut::<BLOCK>() {
            *block = bits.to_le_bytes();
        }
        piece
    }

    fn push(&mut self, value: i64) {
        let mut varint = [0; 10];
        let length = put_varint(&mut varint, value);
        for (to, from) in self.bytes.iter_mut().skip(self.length).zip(&varint) {
            *to = *from;
        }
        self.length += length;
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Appends a whole block, cut to size, if `out` has room for one.
    #[inline(always)]
    fn append_to(&self, out: &mut Vec<u8>) {
        match self.bytes.first_chunk::<BLOCK>() {
            Some(block) if self.length <= BLOCK && out.capacity() - out.len() >= BLOCK => {
                let before = out.len();
                out.extend_from_slice(block);
                out.truncate(before + self.length);
            }
            _ => out.extend_from_slice(self.as_slice()),
        }
    }
}

/// A varint of one to three bytes, else `None`.
#[inline(always)]
fn short(value: i64) -> Option<Short> {
    let bits = zig_zag(value);
    Some(match bits {
        0..0x80 => (bits, 1),
        0x80..0x4000 => (bits & 0x7F | 0x80 | bits >> 7 << 8, 2),
        0x4000..0x20_0000 => {
            let middle = bits >> 7 & 0x7F | 0x80;
            (bits & 0x7F | 0x80 | middle << 8 | bits >> 14 << 16, 3)
        }
        _ => return None,
    })
}
