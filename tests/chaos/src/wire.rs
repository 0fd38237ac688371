//! What the proxy saw of the producer: batches that were sent again, connections that ended,
//! partitions whose batches went to another broker. Counted from bytes, so nobody can flatter.
//!
//! Locks: one for all of it, held while a piece of a stream is looked at.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use kafka_test_support::proxy::{Direction, Watcher};
use kafka_test_support::tap::{self, SeenBatch, SeenBody, SeenTopic};

/// What was counted.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Batches of records, each attempt counted.
    pub(crate) batches: u64,
    /// Batches whose records had been sent before.
    pub(crate) retries: u64,
    /// Connections that had carried a request and ended before the producer did.
    pub(crate) disconnects: u64,
    /// Times that a partition's batches went to another broker than those before.
    pub(crate) leader_changes: u64,
    /// Requests that could not be read; the first in words.
    pub(crate) unreadable: Vec<String>,
}

#[derive(Debug, Default)]
struct State {
    counts: Counts,
    streams: BTreeMap<u64, Stream>,
    /// Hashes of the records of batches.
    seen: BTreeSet<u64>,
    leaders: BTreeMap<(SeenTopic, i32), usize>,
    is_over: bool,
}

#[derive(Debug, Default)]
struct Stream {
    bytes: Vec<u8>,
    requests: u64,
}

/// The watcher of the proxy between the producer and its brokers.
#[derive(Debug, Default)]
pub(crate) struct Wire(Mutex<State>);

impl Wire {
    /// From now on connections end because the producer does; what was counted until now.
    pub(crate) fn finish(&self) -> Counts {
        let mut state = self.lock();
        state.is_over = true;
        state.counts.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watcher for Wire {
    fn sent(&self, connection: u64, link: usize, direction: Direction, bytes: &[u8]) {
        if direction == Direction::ToBroker {
            self.lock().requests(connection, link, bytes);
        }
    }

    fn ended(&self, connection: u64, _: usize) {
        let mut state = self.lock();
        // Kept: a client that does not know yet may be in the middle of a request.
        let stream = state.streams.get(&connection);
        let has_worked = stream.is_some_and(|stream| stream.requests > 0);
        state.counts.disconnects += u64::from(has_worked && !state.is_over);
    }
}

impl State {
    fn requests(&mut self, connection: u64, link: usize, bytes: &[u8]) {
        let mut stream = self.streams.remove(&connection).unwrap_or_default();
        stream.bytes.extend(bytes);
        let mut at = 0;
        while let Some(frame) = frame(&stream.bytes[at..]) {
            at += SIZE_BYTES + frame.len();
            stream.requests += 1;
            match tap::read_request(frame) {
                Ok(request) => {
                    if let SeenBody::Produce(produce) = request.body {
                        for batch in &produce.batches {
                            self.batch(batch, link, frame);
                        }
                    }
                }
                Err(why) => self.counts.unreadable.push(why),
            }
        }
        stream.bytes.drain(..at);
        self.streams.insert(connection, stream);
    }

    /// Sequences change when a batch is sent under a new epoch; its records do not.
    fn batch(&mut self, batch: &SeenBatch, link: usize, frame: &[u8]) {
        let records = frame.get(batch.at + COUNT_AT..batch.at + batch.bytes);
        let mut hasher = DefaultHasher::new();
        (&batch.topic, batch.partition, records).hash(&mut hasher);
        self.counts.batches += 1;
        self.counts.retries += u64::from(!self.seen.insert(hasher.finish()));
        let place = (batch.topic.clone(), batch.partition);
        let before = self.leaders.insert(place, link);
        self.counts.leader_changes += u64::from(before.is_some_and(|before| before != link));
    }
}

/// The first frame, if all of it is there.
fn frame(bytes: &[u8]) -> Option<&[u8]> {
    let (size, rest) = bytes.split_first_chunk::<SIZE_BYTES>()?;
    rest.get(..usize::try_from(u32::from_be_bytes(*size)).ok()?)
}

const SIZE_BYTES: usize = 4;

/// Where a batch says how many records it holds; they follow.
const COUNT_AT: usize = 57;

#[cfg(test)]
mod tests {
    use super::*;

    /// A Produce request of version 3 with one batch: `base_sequence` and `crc` are not part of
    /// what makes two batches the same, `text` is.
    fn produce(partition: i32, base_sequence: i32, text: &[u8]) -> Vec<u8> {
        let mut tail = Vec::new();
        tail.extend(0_i16.to_be_bytes()); // attributes
        tail.extend(0_i32.to_be_bytes()); // last offset delta
        tail.extend([0; 16]); // timestamps
        tail.extend(7_i64.to_be_bytes()); // producer id
        tail.extend(0_i16.to_be_bytes()); // producer epoch
        tail.extend(base_sequence.to_be_bytes());
        tail.extend(1_i32.to_be_bytes()); // count
        tail.extend(text);
        let mut batch = vec![0; 8];
        let length = i32::try_from(9 + tail.len()).unwrap();
        batch.extend(length.to_be_bytes());
        batch.extend((-1_i32).to_be_bytes()); // leader epoch
        batch.push(2); // magic
        batch.extend(crc32c::crc32c(&tail).to_be_bytes());
        batch.extend(tail);
        let mut frame = Vec::new();
        frame.extend([0, 0, 0, 3]); // Produce, version 3
        frame.extend(1_i32.to_be_bytes()); // correlation id
        frame.extend((-1_i16).to_be_bytes()); // client id
        frame.extend((-1_i16).to_be_bytes()); // transactional id
        frame.extend((-1_i16).to_be_bytes()); // acks
        frame.extend(1_000_i32.to_be_bytes()); // timeout
        frame.extend(1_i32.to_be_bytes()); // topics
        frame.extend([0, 1, b't']);
        frame.extend(1_i32.to_be_bytes()); // partitions
        frame.extend(partition.to_be_bytes());
        frame.extend(i32::try_from(batch.len()).unwrap().to_be_bytes());
        frame.extend(batch);
        let mut bytes = u32::try_from(frame.len()).unwrap().to_be_bytes().to_vec();
        bytes.extend(frame);
        bytes
    }

    fn send(wire: &Wire, connection: u64, link: usize, bytes: &[u8]) {
        wire.sent(connection, link, Direction::ToBroker, bytes);
    }

    #[test]
    fn batch_that_is_sent_again_is_a_retry_whatever_its_sequence() {
        let wire = Wire::default();
        send(&wire, 0, 0, &produce(0, 0, b"first"));
        send(&wire, 0, 0, &produce(0, 1, b"second"));
        assert_eq!(wire.finish().retries, 0);
        send(&wire, 1, 0, &produce(0, 0, b"first"));
        send(&wire, 1, 0, &produce(0, 9, b"second"));
        // The same records of another partition are other records.
        send(&wire, 1, 0, &produce(1, 0, b"first"));
        let counts = wire.finish();
        assert_eq!((counts.batches, counts.retries), (5, 2), "{counts:?}");
        assert!(counts.unreadable.is_empty(), "{counts:?}");
    }

    #[test]
    fn requests_are_found_however_they_are_cut() {
        let wire = Wire::default();
        let bytes = [produce(0, 0, b"first"), produce(0, 1, b"second")].concat();
        for byte in bytes.chunks(1) {
            send(&wire, 0, 0, byte);
        }
        send(&wire, 1, 0, &bytes);
        let counts = wire.finish();
        assert_eq!((counts.batches, counts.retries), (4, 2), "{counts:?}");
    }

    #[test]
    fn request_is_read_to_its_end_although_the_broker_has_gone() {
        let wire = Wire::default();
        let bytes = produce(0, 0, b"first");
        let (begin, rest) = bytes.split_at(10);
        send(&wire, 0, 0, begin);
        wire.ended(0, 0);
        send(&wire, 0, 0, rest);
        let counts = wire.finish();
        assert_eq!(counts.batches, 1);
        assert!(counts.unreadable.is_empty(), "{counts:?}");
    }

    #[test]
    fn partition_whose_batches_go_elsewhere_has_another_leader() {
        let wire = Wire::default();
        for (link, text) in [(0, b"a"), (0, b"b"), (2, b"c"), (2, b"d"), (0, b"e")] {
            send(&wire, 0, link, &produce(0, 0, text));
        }
        assert_eq!(wire.finish().leader_changes, 2);
    }

    #[test]
    fn connections_count_once_they_worked_and_until_the_producer_ends() {
        let wire = Wire::default();
        send(&wire, 0, 0, &produce(0, 0, b"a"));
        send(&wire, 1, 0, b"only a few bytes");
        send(&wire, 2, 0, &produce(0, 1, b"b"));
        wire.ended(0, 0);
        wire.ended(1, 0);
        wire.ended(3, 0);
        assert_eq!(wire.finish().disconnects, 1);
        wire.ended(2, 0);
        assert_eq!(wire.finish().disconnects, 1);
    }

    #[test]
    fn request_that_cannot_be_read_is_told() {
        let wire = Wire::default();
        let mut bytes = produce(0, 0, b"a");
        bytes[5] = 99;
        send(&wire, 0, 0, &bytes);
        assert_eq!(wire.finish().unreadable.len(), 1);
    }
}
