//! Pieces of a batch: its bytes cut between two records, shared and not copied; and the same records
//! numbered from 0, made when a piece is sent, because offset deltas begin at 0 in every batch.
//!
//! Java's counterpart: `ProducerBatch.split`, which appends every record to a new batch. A record's
//! time stays relative to the batch that it was appended to (the header tells to what), so numbering
//! anew makes no record larger: pieces never need more than the whole did. Never panics on bytes that
//! are no records.

use std::collections::VecDeque;

use bytes::Bytes;

use super::batch_reader::BatchReader;
use super::size::length_i64;
use super::varint::put_varint;

/// Takes so many bytes from the front of a chain of chunks.
pub(crate) fn take_front(chunks: &mut VecDeque<Bytes>, mut bytes: usize) -> Vec<Bytes> {
    let mut taken = Vec::new();
    while bytes > 0 {
        let Some(chunk) = chunks.front_mut() else {
            debug_assert!(false, "what was measured is there");
            break;
        };
        let part = chunk.split_to(bytes.min(chunk.len()));
        bytes -= part.len();
        if chunk.is_empty() {
            chunks.pop_front();
        }
        if !part.is_empty() {
            taken.push(part);
        }
    }
    taken
}

/// The records of `chunks`, numbered from 0; `None` if they are none.
pub(crate) fn numbered_from_zero(chunks: &[Bytes]) -> Option<Bytes> {
    let bytes = chunks.iter().map(Bytes::len).sum();
    let mut out = Vec::with_capacity(bytes);
    let mut left = bytes;
    let mut reader = BatchReader::new(chunks);
    let mut index = 0_u32;
    while left > 0 {
        let (measured, rest) = reader.front()?;
        put(length_i64(measured.body_bytes_at(index)), &mut out);
        out.push(0); // no attributes
        put(measured.timestamp_delta_ms, &mut out);
        put(i64::from(index), &mut out);
        reader.copy(rest, &mut out)?;
        left = left.checked_sub(measured.bytes)?;
        index += 1;
    }
    Some(out.into())
}

fn put(value: i64, out: &mut Vec<u8>) {
    let mut varint = [0; 10];
    let length = put_varint(&mut varint, value);
    out.extend_from_slice(varint.get(..length).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::{BatchBuilder, Header, RecordView};

    /// Records of these times and sizes, some with headers, over chunks of that size.
    fn batch(records: &[(i64, usize)], chunk_size: usize) -> Vec<Bytes> {
        let mut builder = BatchBuilder::new(vec![Vec::with_capacity(chunk_size)]);
        for (timestamp_ms, size) in records {
            let value = vec![b'v'; *size];
            let headers = [Header::new("h", vec![1; size % 70]), Header::null("")];
            let headers = headers.get(..size % 3).unwrap_or_default();
            let view = RecordView::new(*timestamp_ms, Some(b"key"), Some(&value), headers);
            let framing = builder.framing(&view);
            while builder.room() < framing.size() {
                builder.add_chunk(Vec::with_capacity(chunk_size));
            }
            builder.append(&view, &framing);
        }
        let chunks = builder.into_chunks();
        chunks.into_iter().map(Bytes::from).collect()
    }

    fn measured(chunks: &[Bytes]) -> Vec<(i64, i64, usize)> {
        let mut reader = BatchReader::new(chunks);
        let each = std::iter::from_fn(|| reader.measure());
        each.map(|it| (it.offset_delta, it.timestamp_delta_ms, it.bytes))
            .collect()
    }

    proptest! {
        /// Wherever it is cut: what is behind the cut keeps times and content, is numbered from 0,
        /// takes what was foretold, and is never larger.
        #[test]
        fn numbered_from_zero_behind_any_cut_keeps_content_and_never_grows(
            records in proptest::collection::vec((0..5_000_000_i64, 0..300_usize), 1..200),
            cut in 0..200_usize,
            chunk_size in 1..700_usize,
        ) {
            let cut = cut % records.len();
            let chunks = batch(&records, chunk_size);
            let before: usize = measured(&chunks).iter().take(cut).map(|it| it.2).sum();
            let mut rest = VecDeque::from(chunks.clone());
            let front = take_front(&mut rest, before);
            prop_assert_eq!(front.iter().map(Bytes::len).sum::<usize>(), before);
            let rest: Vec<Bytes> = rest.into();
            let numbered = [numbered_from_zero(&rest).expect("they are records")];
            let mut reader = BatchReader::new(&rest);
            let foretold: usize = (0..).map_while(|index| Some(reader.measure()?.bytes_at(index))).sum();
            prop_assert_eq!(numbered[0].len(), foretold);
            prop_assert!(foretold <= rest.iter().map(Bytes::len).sum());
            let (mut old, mut new) = (BatchReader::new(&rest), BatchReader::new(&numbered));
            for _ in cut..records.len() {
                prop_assert_eq!(old.read(), new.read());
            }
            prop_assert!(new.read().is_none());
            let numbers: Vec<i64> = measured(&numbered).iter().map(|it| it.0).collect();
            let expected: Vec<i64> = (0..).take(records.len() - cut).collect();
            prop_assert_eq!(numbers, expected);
        }

        /// Whatever the bytes are.
        #[test]
        fn numbered_from_zero_of_any_bytes_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = numbered_from_zero(&[Bytes::from(bytes)]);
        }
    }

    #[test]
    fn take_front_of_a_chunk_shares_its_memory() {
        let chunks = batch(&[(1, 10), (1, 10)], 1000);
        let whole = chunks[0].as_ptr();
        let mut rest = VecDeque::from(chunks);
        let front = take_front(&mut rest, 5);
        assert_eq!(front[0].as_ptr(), whole);
        assert_eq!(rest[0].as_ptr(), whole.wrapping_add(5));
    }
}
