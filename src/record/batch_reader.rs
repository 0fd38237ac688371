//! Reads records back out of a batch's chunks: to give them back to the application, and for
//! tests. Never panics, whatever the bytes.

use bytes::{Bytes, BytesMut};

use super::headers::{Header, Headers};
use super::size::length_i64;
use super::varint::{read_varint, varint_size};

/// One record, copied out of its batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReadRecord {
    pub(crate) timestamp_delta_ms: i64,
    pub(crate) key: Option<Bytes>,
    pub(crate) value: Option<Bytes>,
    pub(crate) headers: Headers,
}

/// What surrounds one record, without its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Measured {
    /// Of the record as it lies there, its length in front included.
    pub(crate) bytes: usize,
    pub(crate) timestamp_delta_ms: i64,
    /// Its number in the batch that it was appended to.
    pub(crate) offset_delta: i64,
    /// What its length in front says.
    pub(super) body_bytes: usize,
}

impl Measured {
    /// What it takes as record number `index` of its batch.
    pub(crate) fn bytes_at(&self, index: u32) -> usize {
        let body = self.body_bytes_at(index);
        varint_size(length_i64(body)) + body
    }

    pub(super) fn body_bytes_at(&self, index: u32) -> usize {
        self.body_bytes - varint_size(self.offset_delta) + varint_size(i64::from(index))
    }
}

/// Goes through the records in order, without the batch's header.
#[derive(Debug)]
pub(crate) struct BatchReader<'a> {
    chunks: std::slice::Iter<'a, Bytes>,
    current: &'a [u8],
}

impl<'a> BatchReader<'a> {
    pub(crate) fn new(chunks: &'a [Bytes]) -> Self {
        Self {
            chunks: chunks.iter(),
            current: &[],
        }
    }

    /// Passes over a record without looking into it.
    pub(crate) fn skip(&mut self) -> Option<()> {
        let length = self.length()?;
        self.pass(length)
    }

    /// Passes over a record, and tells what surrounds it.
    pub(crate) fn measure(&mut self) -> Option<Measured> {
        let (measured, rest) = self.front()?;
        self.pass(rest)?;
        Some(measured)
    }

    /// Reads a record up to its key, and tells how many bytes of it are left.
    pub(super) fn front(&mut self) -> Option<(Measured, usize)> {
        let body_bytes = self.length()?;
        self.byte()?; // attributes
        let (timestamp_delta_ms, offset_delta) = (self.varint()?, self.varint()?);
        let read = 1 + varint_size(timestamp_delta_ms) + varint_size(offset_delta);
        let measured = Measured {
            bytes: varint_size(length_i64(body_bytes)) + body_bytes,
            timestamp_delta_ms,
            offset_delta,
            body_bytes,
        };
        Some((measured, body_bytes.checked_sub(read)?))
    }

    /// Copies so many bytes as they are.
    pub(super) fn copy(&mut self, mut length: usize, out: &mut Vec<u8>) -> Option<()> {
        while length > 0 {
            if self.current.is_empty() {
                self.current = self.chunks.next()?;
            }
            let (now, rest) = self.current.split_at(length.min(self.current.len()));
            out.extend_from_slice(now);
            self.current = rest;
            length -= now.len();
        }
        Some(())
    }

    /// The next record; `None` at the end, or where the bytes are not a record.
    pub(crate) fn read(&mut self) -> Option<ReadRecord> {
        self.length()?;
        self.byte()?; // attributes
        let timestamp_delta_ms = self.varint()?;
        self.varint()?; // offset delta
        let (key, value) = (self.nullable()?, self.nullable()?);
        let mut headers = Headers::default();
        for _ in 0..self.length()? {
            let key = String::from_utf8(self.nullable()??.to_vec()).ok()?;
            headers.push(Header {
                key,
                value: self.nullable()?,
            });
        }
        Some(ReadRecord {
            timestamp_delta_ms,
            key,
            value,
            headers,
        })
    }

    fn byte(&mut self) -> Option<u8> {
        loop {
            if let Some((first, rest)) = self.current.split_first() {
                self.current = rest;
                return Some(*first);
            }
            self.current = self.chunks.next()?;
        }
    }

    fn varint(&mut self) -> Option<i64> {
        read_varint(|| self.byte())
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(self.varint()?).ok()
    }

    fn pass(&mut self, mut length: usize) -> Option<()> {
        while length > self.current.len() {
            length -= self.current.len();
            self.current = self.chunks.next()?;
        }
        self.current = self.current.get(length..)?;
        Some(())
    }

    /// The outer `None`: not there; the inner one: null.
    #[allow(
        clippy::option_option,
        reason = "null and the end of the bytes are different things"
    )]
    fn nullable(&mut self) -> Option<Option<Bytes>> {
        let length = self.varint()?;
        if length == -1 {
            return Some(None);
        }
        let mut left = usize::try_from(length).ok()?;
        let mut out = BytesMut::new();
        while left > 0 {
            if self.current.is_empty() {
                self.current = self.chunks.next()?;
            }
            let (now, rest) = self.current.split_at(left.min(self.current.len()));
            out.extend_from_slice(now);
            self.current = rest;
            left -= now.len();
        }
        Some(Some(out.freeze()))
    }
}
