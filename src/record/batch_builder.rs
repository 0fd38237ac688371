//! Writes records one after the other into a chain of chunks; a record may cross from one chunk
//! into the next, so a large batch needs no large piece of memory.
//!
//! Invariant: what is written never exceeds what the [`Framing`] foretold, and a record goes in
//! whole or not at all.

use super::framing::Framing;
use super::headers::Header;
use super::record_view::RecordView;
use super::size::length_i64;
use super::varint::put_varint;

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

    /// The framing of the record as the next of this batch; knows its size.
    #[inline(always)]
    pub(crate) fn framing(&self, record: &RecordView<'_>) -> Framing {
        Framing::new(record, self.timestamp_delta(record), self.record_count)
    }

    #[inline]
    fn timestamp_delta(&self, record: &RecordView<'_>) -> i64 {
        if self.record_count == 0 {
            0
        } else {
            record.timestamp_ms.wrapping_sub(self.base_timestamp_ms)
        }
    }

    /// Appends a record with its framing of just now, for which there is room.
    #[inline(always)]
    pub(crate) fn append(&mut self, record: &RecordView<'_>, framing: &Framing) {
        debug_assert!(framing.size() <= self.room, "the caller looked for room");
        if self.record_count == 0 {
            self.base_timestamp_ms = record.timestamp_ms;
        }
        self.max_timestamp_ms = self.max_timestamp_ms.max(record.timestamp_ms);
        match self.chunks.get_mut(self.current).map(AsMut::as_mut) {
            Some(memory)
                if record.headers.is_empty()
                    && framing.size() <= memory.capacity() - memory.len() =>
            {
                framing.put_front(memory);
                if let Some(key) = record.key {
                    framing.put_key_length(memory);
                    memory.extend_from_slice(key);
                }
                framing.put_value_length(memory);
                memory.extend_from_slice(record.value.unwrap_or_default());
                memory.push(0); // no headers
            }
            _ => self.append_in_pieces(record, framing),
        }
        self.record_count += 1;
        self.room -= framing.size();
        self.written += framing.size();
    }

    /// The same for records that have headers or do not fit into what is left of one chunk.
    #[cold]
    fn append_in_pieces(&mut self, record: &RecordView<'_>, framing: &Framing) {
        let [front, key_length, value_length] = framing.pieces();
        self.put(front);
        if let Some(key) = record.key {
            self.put(key_length);
            self.put(key);
        }
        self.put(value_length);
        self.put(record.value.unwrap_or_default());
        self.put_headers(record.headers);
    }

    fn put_headers(&mut self, headers: &[Header]) {
        self.put_length(length_i64(headers.len()));
        for header in headers {
            self.put_length(length_i64(header.key.len()));
            self.put(header.key.as_bytes());
            let value = header.value.as_deref();
            self.put_length(value.map_or(-1, |value| length_i64(value.len())));
            self.put(value.unwrap_or_default());
        }
    }

    fn put_length(&mut self, length: i64) {
        let mut bytes = [0_u8; 10];
        let count = put_varint(&mut bytes, length);
        self.put(bytes.get(..count).unwrap_or_default());
    }

    /// As much as fits into each chunk in turn.
    fn put(&mut self, mut bytes: &[u8]) {
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::record::{BatchReader, Headers};

    type Made = (
        i64,
        Option<Vec<u8>>,
        Option<Vec<u8>>,
        Vec<(String, Option<Vec<u8>>)>,
    );

    fn record() -> impl Strategy<Value = Made> {
        let bytes = |most| proptest::option::of(proptest::collection::vec(any::<u8>(), 0..most));
        let timestamp = prop_oneof![
            1_700_000_000_000..1_700_000_000_100_i64,
            Just(0),
            Just(i64::MAX)
        ];
        let headers = proptest::collection::vec(("[a-z]{0,70}", bytes(80)), 0..3);
        (timestamp, bytes(70), bytes(300), headers)
    }

    proptest! {
        /// Whatever the chunks' sizes: what goes in comes out, and takes what was foretold.
        #[test]
        fn append_of_any_records_over_any_chunks_reads_back(
            records in proptest::collection::vec(record(), 1..80),
            chunk_size in 1..700_usize,
        ) {
            let mut builder = BatchBuilder::new(vec![Vec::with_capacity(chunk_size)]);
            for (timestamp_ms, key, value, headers) in &records {
                let headers: Headers = headers
                    .iter()
                    .map(|(key, value)| Header { key: key.clone(), value: value.clone().map(Bytes::from) })
                    .collect();
                let view =
                    RecordView::new(*timestamp_ms, key.as_deref(), value.as_deref(), headers.as_slice());
                let framing = builder.framing(&view);
                while builder.room() < framing.size() {
                    builder.add_chunk(Vec::with_capacity(chunk_size));
                }
                let before = builder.written();
                builder.append(&view, &framing);
                prop_assert_eq!(builder.written() - before, framing.size());
            }
            let base = builder.base_timestamp_ms();
            let written = builder.written();
            let chunks: Vec<Bytes> = builder.into_chunks().into_iter().map(Bytes::from).collect();
            prop_assert_eq!(chunks.iter().map(Bytes::len).sum::<usize>(), written);
            let mut reader = BatchReader::new(&chunks);
            for (timestamp_ms, key, value, headers) in records {
                let read = reader.read().expect("it is there");
                prop_assert_eq!(base.wrapping_add(read.timestamp_delta_ms), timestamp_ms);
                prop_assert_eq!(read.key.as_deref(), key.as_deref());
                prop_assert_eq!(read.value.as_deref(), value.as_deref());
                let read: Vec<_> = read.headers.as_slice().iter().map(|h| (h.key.clone(), h.value.as_deref().map(<[u8]>::to_vec))).collect();
                prop_assert_eq!(read, headers);
            }
            prop_assert!(reader.read().is_none());
        }
    }
}
