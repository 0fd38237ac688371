//! Writes one frame: small fields into one buffer, record batches spliced in as they are.

use bytes::Bytes;

use super::varint::put_unsigned_varint;
use crate::cluster::Uuid;

/// A frame in the making. The payload of record batches is never copied: `splice` only notes
/// where in the small fields it belongs.
#[derive(Debug)]
pub(crate) struct FrameWriter {
    /// The small fields, the frame's length first.
    small: Vec<u8>,
    /// `(how many bytes of small come before it, the bytes)`.
    spliced: Vec<(usize, Bytes)>,
}

const LENGTH_PREFIX: usize = 4;

impl Default for FrameWriter {
    fn default() -> Self {
        let mut small = Vec::with_capacity(256);
        small.extend_from_slice(&[0; LENGTH_PREFIX]);
        Self {
            small,
            spliced: Vec::new(),
        }
    }
}

impl FrameWriter {
    pub(crate) fn bool(&mut self, value: bool) {
        self.small.push(u8::from(value));
    }

    pub(crate) fn i16(&mut self, value: i16) {
        self.small.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn i32(&mut self, value: i32) {
        self.small.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn i64(&mut self, value: i64) {
        self.small.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn uuid(&mut self, value: Uuid) {
        self.small.extend_from_slice(&value.0);
    }

    pub(crate) fn unsigned_varint(&mut self, value: u32) {
        put_unsigned_varint(&mut self.small, value);
    }

    /// Strings are bounded by what may be named: a longer one is cut by the caller's checks.
    pub(crate) fn string(&mut self, value: &str, flexible: bool) {
        self.nullable_string(Some(value), flexible);
    }

    pub(crate) fn nullable_string(&mut self, value: Option<&str>, flexible: bool) {
        let length = value.map(str::len);
        if flexible {
            self.unsigned_varint(length.map_or(0, |length| length_u32(length) + 1));
        } else {
            self.i16(length.map_or(-1, |length| i16::try_from(length).unwrap_or(i16::MAX)));
        }
        self.small
            .extend_from_slice(value.unwrap_or_default().as_bytes());
    }

    /// The count of an array.
    pub(crate) fn count(&mut self, count: usize, flexible: bool) {
        if flexible {
            self.unsigned_varint(length_u32(count) + 1);
        } else {
            self.i32(i32::try_from(count).unwrap_or(i32::MAX));
        }
    }

    /// An empty set of tagged fields, where the version has any.
    pub(crate) fn no_tagged_fields(&mut self, flexible: bool) {
        if flexible {
            self.small.push(0);
        }
    }

    /// Puts the parts here without copying them, with their length in front.
    pub(crate) fn records(&mut self, parts: &[Bytes], flexible: bool) {
        let length = parts.iter().map(Bytes::len).sum::<usize>();
        self.count(length, flexible);
        let at = self.small.len();
        self.spliced.extend(
            parts
                .iter()
                .filter(|part| !part.is_empty())
                .map(|part| (at, part.clone())),
        );
    }

    /// The frame with its length in front, in pieces.
    pub(crate) fn into_parts(mut self) -> Vec<Bytes> {
        let length = self.small.len() - LENGTH_PREFIX
            + self
                .spliced
                .iter()
                .map(|(_, part)| part.len())
                .sum::<usize>();
        let prefix = i32::try_from(length).unwrap_or(i32::MAX).to_be_bytes();
        if let Some(place) = self.small.first_chunk_mut::<LENGTH_PREFIX>() {
            *place = prefix;
        }
        let small = Bytes::from(self.small);
        let mut parts = Vec::with_capacity(2 * self.spliced.len() + 1);
        let mut from = 0;
        for (at, part) in self.spliced {
            if at > from {
                parts.push(small.slice(from..at));
                from = at;
            }
            parts.push(part);
        }
        if from < small.len() {
            parts.push(small.slice(from..));
        }
        parts
    }
}

fn length_u32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn into_parts_is_the_frame_in_order_with_its_length_in_front() {
        let mut out = FrameWriter::default();
        out.i16(7);
        out.records(
            &[
                Bytes::from_static(b"abc"),
                Bytes::new(),
                Bytes::from_static(b"de"),
            ],
            false,
        );
        out.bool(true);
        let frame = out.into_parts().concat();
        assert_eq!(
            frame,
            [
                0, 0, 0, 12, 0, 7, 0, 0, 0, 5, b'a', b'b', b'c', b'd', b'e', 1
            ]
        );
    }

    #[test]
    fn records_are_shared_not_copied() {
        let payload = Bytes::from(vec![1_u8; 100]);
        let mut out = FrameWriter::default();
        out.records(std::slice::from_ref(&payload), true);
        let parts = out.into_parts();
        assert!(parts.iter().any(|part| part.as_ptr() == payload.as_ptr()));
    }
}
