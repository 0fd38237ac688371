//! The log of one partition: batches as they arrived, read only when somebody looks.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::batch;
use crate::producer_state::Sequenced;

/// A record as a consumer would see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its place in the partition.
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// The key, if it has one.
    pub key: Option<Bytes>,
    /// The value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// In the producer's order.
    pub headers: Vec<StoredHeader>,
    /// -1 without idempotence.
    pub producer_id: i64,
    /// -1 without idempotence.
    pub producer_epoch: i16,
    /// -1 without idempotence.
    pub sequence: i32,
}

/// A header of a [`StoredRecord`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredHeader {
    /// Its key.
    pub key: String,
    /// Its value, if it has one.
    pub value: Option<Bytes>,
}

/// A batch in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBatch {
    /// Offset of its first record.
    pub base_offset: i64,
    /// How many records it holds.
    pub count: i32,
    /// -1 without idempotence.
    pub producer_id: i64,
    /// -1 without idempotence.
    pub producer_epoch: i16,
    /// -1 without idempotence.
    pub base_sequence: i32,
    /// The largest timestamp of its records.
    pub max_timestamp: i64,
    /// The bytes from the producer; offset and append time are those of this struct.
    pub bytes: Bytes,
    /// The append time, for topics with `LogAppendTime`.
    pub append_time: Option<i64>,
}

impl StoredBatch {
    /// Its records; `None` if it is compressed.
    pub fn records(&self) -> Option<Vec<StoredRecord>> {
        batch::read_records(&self.bytes, self.base_offset, self.append_time)
    }
}

/// The times of a batch to append.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamp {
    pub(crate) max_timestamp: i64,
    pub(crate) append_time: Option<i64>,
}

/// The batches of one partition, and the offsets it has given out.
#[derive(Debug, Default)]
pub(crate) struct PartitionLog {
    batches: VecDeque<StoredBatch>,
    bytes: usize,
    start: i64,
    end: i64,
}

impl PartitionLog {
    /// Appends, and deletes the oldest batches beyond `retention` bytes.
    pub(crate) fn append(
        &mut self,
        bytes: Bytes,
        producer: &Sequenced,
        stamp: Stamp,
        retention: Option<usize>,
    ) -> i64 {
        let base_offset = self.end;
        self.end += i64::from(producer.count);
        self.bytes += bytes.len();
        self.batches.push_back(StoredBatch {
            base_offset,
            count: producer.count,
            producer_id: producer.producer_id,
            producer_epoch: producer.epoch,
            base_sequence: producer.base_sequence,
            max_timestamp: stamp.max_timestamp,
            bytes,
            append_time: stamp.append_time,
        });
        while retention.is_some_and(|most| self.bytes > most) && self.batches.len() > 1 {
            let Some(old) = self.batches.pop_front() else {
                break;
            };
            self.bytes -= old.bytes.len();
            self.start = old.base_offset + i64::from(old.count);
        }
        base_offset
    }

    /// Deletes everything below an offset, whole batches only.
    pub(crate) fn delete_before(&mut self, offset: i64) {
        while let Some(first) = self.batches.front() {
            if first.base_offset + i64::from(first.count) > offset {
                break;
            }
            self.start = first.base_offset + i64::from(first.count);
            self.bytes -= first.bytes.len();
            self.batches.pop_front();
        }
    }

    /// Loses everything from an offset on, whole batches only, as an unclean election does.
    pub(crate) fn truncate(&mut self, offset: i64) {
        while let Some(last) = self.batches.back() {
            if last.base_offset < offset {
                break;
            }
            self.end = last.base_offset;
            self.bytes -= last.bytes.len();
            self.batches.pop_back();
        }
    }

    pub(crate) fn start(&self) -> i64 {
        self.start
    }

    pub(crate) fn end(&self) -> i64 {
        self.end
    }

    pub(crate) fn batches(&self) -> impl Iterator<Item = &StoredBatch> {
        self.batches.iter()
    }
}
