//! Writes records one after the other into a chain of chunks; a record may cross from one chunk
//! into the next, so a large batch needs no large piece of memory.
//!
//! Invariant: what is written never exceeds what `record_size` foretold, and a record goes in
//! whole or not at all.

use super::headers::Header;
use super::size::{headers_size, length_i64, nullable_size};
use super::varint::{put_varint, varint_size};

/// A serialized record as the builder sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordView<'a> {
    pub(crate) timestamp_ms: i64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: &'a [Header],
}

/// Records in the making; `C` is a chunk of memory whose capacity is all that it will ever hold.
#[derive(Debug)]
pub(crate) struct BatchBuilder<C> {
    /// Chunks in order; those after `current` are still empty.
    chunks: Vec<C>,
    current: usize,
    /// Bytes that still fit into the chunks that are there.
    room: usize,
    written: usize,
    record_count: u32,
    base_timestamp_ms: i64,
    max_timestamp_ms: i64,
}

impl<C: AsMut<Vec<u8>>> BatchBuilder<C> {
    pub(crate) fn new(chunks: Vec<C>) -> Self {
        let mut builder = Self {
            chunks: Vec::with_capacity(chunks.len()),
            current: 0,
            room: 0,
            written: 0,
            record_count: 0,
            base_timestamp_ms: 0,
            max_timestamp_ms: i64::MIN,
        };
        chunks
            .into_iter()
            .for_each(|chunk| builder.add_chunk(chunk));
        builder
    }

    /// Adds an empty chunk at the end.
    pub(crate) fn add_chunk(&mut self, mut chunk: C) {
        let memory = chunk.as_mut();
        self.room += memory.capacity() - memory.len();
        self.chunks.push(chunk);
    }

    pub(crate) fn room(&self) -> usize {
        self.room
    }

    /// Bytes of records written.
    pub(crate) fn written(&self) -> usize {
        self.written
    }

    pub(crate) fn record_count(&self) -> u32 {
        self.record_count
    }

    pub(crate) fn base_timestamp_ms(&self) -> i64 {
        self.base_timestamp_ms
    }

    pub(crate) fn max_timestamp_ms(&self) -> i64 {
        self.max_timestamp_ms
    }

    /// The record's body as the next of this batch, and what it takes with its length in front.
    #[inline]
    pub(crate) fn record_size(&self, record: &RecordView<'_>) -> (usize, usize) {
        let body = 1
            + varint_size(self.timestamp_delta(record))
            + varint_size(i64::from(self.record_count))
            + nullable_size(record.key)
            + nullable_size(record.value)
            + headers_size(record.headers);
        (body, varint_size(length_i64(body)) + body)
    }

    #[inline]
    fn timestamp_delta(&self, record: &RecordView<'_>) -> i64 {
        if self.record_count == 0 {
            0
        } else {
            record.timestamp_ms.wrapping_sub(self.base_timestamp_ms)
        }
    }

    /// Appends a record that has the sizes `(body, whole)` by `record_size` and for which there is room.
    #[inline]
    pub(crate) fn append(&mut self, record: &RecordView<'_>, (body, whole): (usize, usize)) {
        debug_assert!(whole <= self.room, "the caller looked for room");
        let delta = self.timestamp_delta(record);
        if self.record_count == 0 {
            self.base_timestamp_ms = record.timestamp_ms;
        }
        self.max_timestamp_ms = self.max_timestamp_ms.max(record.timestamp_ms);
        // Length, attributes, two deltas and the key's length: at most 5 + 1 + 10 + 5 + 5 bytes.
        let mut front = [0_u8; 32];
        let mut length = put_varint(&mut front, length_i64(body)) + 1;
        length += put_after(&mut front, length, delta);
        length += put_after(&mut front, length, i64::from(self.record_count));
        length += put_after(
            &mut front,
            length,
            record.key.map_or(-1, |key| length_i64(key.len())),
        );
        self.put(front.get(..length).unwrap_or_default());
        self.put(record.key.unwrap_or_default());
        self.put_length(record.value.map_or(-1, |value| length_i64(value.len())));
        self.put(record.value.unwrap_or_default());
        self.put_length(length_i64(record.headers.len()));
        for header in record.headers {
            self.put_length(length_i64(header.key.len()));
            self.put(header.key.as_bytes());
            self.put_length(
                header
                    .value
                    .as_ref()
                    .map_or(-1, |value| length_i64(value.len())),
            );
            self.put(header.value.as_deref().unwrap_or_default());
        }
        self.record_count += 1;
        self.room -= whole;
        self.written += whole;
    }

    #[inline]
    fn put_length(&mut self, length: i64) {
        let mut bytes = [0_u8; 10];
        let count = put_varint(&mut bytes, length);
        self.put(bytes.get(..count).unwrap_or_default());
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        if let Some(chunk) = self.chunks.get_mut(self.current) {
            let memory = chunk.as_mut();
            if bytes.len() <= memory.capacity() - memory.len() {
                memory.extend_from_slice(bytes);
                return;
            }
        }
        self.put_across(bytes);
    }

    /// As much as fits into each chunk in turn.
    #[cold]
    fn put_across(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let Some(chunk) = self.chunks.get_mut(self.current) else {
                debug_assert!(false, "the caller looked for room");
                return;
            };
            let memory = chunk.as_mut();
            let fits = bytes.len().min(memory.capacity() - memory.len());
            let (now, later) = bytes.split_at(fits);
            memory.extend_from_slice(now);
            bytes = later;
            if !bytes.is_empty() {
                self.current += 1;
            }
        }
    }

    /// The chunks that hold anything; those that hold nothing are dropped.
    pub(crate) fn into_chunks(self) -> Vec<C> {
        let mut chunks = self.chunks;
        chunks.retain_mut(|chunk| !chunk.as_mut().is_empty());
        chunks
    }
}

#[inline]
fn put_after(out: &mut [u8], at: usize, value: i64) -> usize {
    out.get_mut(at..).map_or(0, |rest| put_varint(rest, value))
}
