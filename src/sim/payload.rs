//! What records hold: made from their number and their spec alone, so that every byte can be
//! checked in a log.
//!
//! Thread: any. Locks: none. Invariant: each record names its number in one place at least, see
//! [`Mark`]; `identify` looks at the places in the same order.

use std::sync::LazyLock;

use bytes::Bytes;
use kafka_test_support::{StoredHeader, StoredRecord};

use super::ledger::RecordId;
use crate::producer::ProducerRecord;
use crate::random::Random;
use crate::record::{Header, Headers};

/// A record as it was drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordSpec {
    pub(crate) id: RecordId,
    /// Index of its topic in the scenario; beyond the last: see `application/topics.rs`.
    pub(crate) topic: usize,
    pub(crate) partition: Option<i32>,
    pub(crate) key: Key,
    pub(crate) value_bytes: Option<usize>,
    /// How many, besides one that may hold the number.
    pub(crate) headers: u32,
    pub(crate) timestamp_ms: Option<i64>,
    pub(crate) mark: Mark,
}

/// The key of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    Null,
    Empty,
    /// One of a small set, so that keys repeat.
    Common(u32),
    /// Its own, of so many bytes, at least [`ID_BYTES`].
    Own(usize),
}

/// Where a record names its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    Value,
    Key,
    Header,
    /// By a timestamp that no other record has; not where brokers stamp records themselves.
    Timestamp,
}

/// The form in which all simulated records are sent.
pub(crate) type SimRecord = ProducerRecord<'static, Option<Bytes>, Option<Bytes>>;

/// Bytes that a number takes.
pub(crate) const ID_BYTES: usize = 8;

impl RecordSpec {
    /// Decides where the number goes: into the value or the key if there is room, else where it
    /// may. A broker that stamps records itself leaves only the header.
    pub(crate) fn settle(mut self, brokers_stamp: bool, prefers_timestamp: bool) -> Self {
        self.mark = if self.value_bytes.is_some_and(|bytes| bytes >= ID_BYTES) {
            Mark::Value
        } else if matches!(self.key, Key::Own(_)) {
            Mark::Key
        } else if prefers_timestamp && !brokers_stamp {
            Mark::Timestamp
        } else {
            Mark::Header
        };
        if self.mark == Mark::Timestamp {
            self.timestamp_ms = Some(MARKED_TIMES + index(self.id));
        }
        self
    }

    /// The record to send.
    pub(crate) fn record(&self, topic: &str) -> SimRecord {
        let mut record = ProducerRecord::new(topic.to_owned(), self.value())
            .key(self.key())
            .headers(self.headers());
        record.partition = self.partition;
        record.timestamp_ms = self.timestamp_ms;
        record
    }

    pub(crate) fn key(&self) -> Option<Bytes> {
        match self.key {
            Key::Null => None,
            Key::Empty => Some(Bytes::new()),
            Key::Common(number) => Some(format!("k{number}").into()),
            Key::Own(bytes) => Some(self.marked(bytes, 1)),
        }
    }

    pub(crate) fn value(&self) -> Option<Bytes> {
        self.value_bytes.map(|bytes| self.marked(bytes, 0))
    }

    pub(crate) fn headers(&self) -> Headers {
        let marked = (self.mark == Mark::Header).then(|| Header::new(ID_HEADER, self.marked(8, 0)));
        let others = (0..self.headers).map(|number| {
            let hash = mixed(self.id, 2 + u64::from(number));
            let name = HEADER_NAMES[at_most(hash, HEADER_NAMES.len() - 1)];
            match (hash >> 8) % 4 {
                0 => Header::null(name),
                1 => Header::new(name, Bytes::new()),
                _ => Header::new(name, filler(hash, at_most(hash >> 16, 20))),
            }
        });
        marked.into_iter().chain(others).collect()
    }

    /// So many bytes: the number as far as it has room, then what follows from it.
    fn marked(&self, bytes: usize, salt: u64) -> Bytes {
        let mut all = Vec::with_capacity(bytes);
        if bytes >= ID_BYTES {
            all.extend_from_slice(&MAGIC);
            all.extend_from_slice(&short(self.id).to_be_bytes());
        }
        let hash = mixed(self.id, salt);
        while all.len() < bytes {
            let from = at_most(hash, NOISE_BYTES / 2);
            let length = (bytes - all.len()).min(NOISE_BYTES / 2);
            all.extend_from_slice(&NOISE[from..from + length]);
        }
        all.into()
    }

    /// Bytes of key, value and headers, at least: what a limit is compared with.
    pub(crate) fn payload_bytes(&self) -> usize {
        let key = match self.key {
            Key::Null | Key::Empty => 0,
            Key::Common(_) => 2,
            Key::Own(bytes) => bytes,
        };
        key + self.value_bytes.unwrap_or(0)
    }
}

/// Which record this is; `None` if it is none of ours, or spoilt.
pub(crate) fn identify(stored: &StoredRecord) -> Option<RecordId> {
    let has_room = |bytes: &&Bytes| bytes.len() >= ID_BYTES;
    if let Some(value) = stored.value.as_ref().filter(has_room) {
        return read_id(value);
    }
    if let Some(key) = stored.key.as_ref().filter(has_room) {
        return read_id(key);
    }
    let header = stored
        .headers
        .first()
        .filter(|header| header.key == ID_HEADER);
    if let Some(header) = header {
        return read_id(header.value.as_ref()?);
    }
    let number = stored.timestamp.checked_sub(MARKED_TIMES)?;
    u32::try_from(number).ok().map(RecordId::from)
}

/// Whether a record in a log is, byte for byte, the one that was sent. `timestamp_ms` is what it
/// has to be stamped with, where that is certain.
///
/// # Errors
/// The first thing that differs.
pub(crate) fn check(
    spec: &RecordSpec,
    stored: &StoredRecord,
    timestamp_ms: Option<i64>,
) -> Result<(), String> {
    let differs = |what: &str, expected: String, found: String| {
        let id = spec.id;
        Err(format!(
            "record {id}: {what} is {found}, sent was {expected}"
        ))
    };
    let shown = |bytes: &Option<Bytes>| match bytes {
        None => "null".to_owned(),
        Some(bytes) => {
            let first = &bytes[..bytes.len().min(16)];
            format!("{} bytes {first:02x?}", bytes.len())
        }
    };
    let (key, value) = (spec.key(), spec.value());
    if stored.key != key {
        return differs("its key", shown(&key), shown(&stored.key));
    }
    if stored.value != value {
        return differs("its value", shown(&value), shown(&stored.value));
    }
    let headers = spec.headers();
    let same = |(sent, stored): (&Header, &StoredHeader)| {
        sent.key == stored.key && sent.value == stored.value
    };
    if headers.len() != stored.headers.len()
        || !headers.as_slice().iter().zip(&stored.headers).all(same)
    {
        let (expected, found) = (format!("{headers:?}"), format!("{:?}", stored.headers));
        return differs("the list of its headers", expected, found);
    }
    match timestamp_ms {
        Some(expected) if expected != stored.timestamp => {
            let (expected, found) = (expected.to_string(), stored.timestamp.to_string());
            differs("its timestamp", expected, found)
        }
        _ => Ok(()),
    }
}

fn read_id(bytes: &[u8]) -> Option<RecordId> {
    let number = bytes.get(..ID_BYTES)?.strip_prefix(&MAGIC)?;
    Some(u32::from_be_bytes(number.try_into().ok()?).into())
}

fn short(id: RecordId) -> u32 {
    u32::try_from(id).expect("a seed has a few thousand records")
}

fn index(id: RecordId) -> i64 {
    i64::from(short(id))
}

/// A number that follows from both.
fn mixed(id: RecordId, salt: u64) -> u64 {
    let hash = (id.wrapping_mul(16) + salt + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let hash = (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash ^ (hash >> 32)
}

fn at_most(hash: u64, most: usize) -> usize {
    usize::try_from(hash % (u64::try_from(most).expect("64 bits") + 1)).expect("64 bits")
}

fn filler(hash: u64, bytes: usize) -> Bytes {
    let from = at_most(hash, NOISE_BYTES / 2);
    Bytes::copy_from_slice(&NOISE[from..from + bytes])
}

/// Where all bytes come from: copying is cheaper than computing.
static NOISE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut random = Random::seeded(0x006e_6f69_7365);
    (0..NOISE_BYTES)
        .map(|_| u8::try_from(random.below(256)).expect("a byte"))
        .collect()
});

const NOISE_BYTES: usize = 1 << 17;
const MAGIC: [u8; 4] = *b"ksim";
const ID_HEADER: &str = "ksim-id";
/// Repeated, empty, longer, not ASCII.
const HEADER_NAMES: [&str; 5] = ["", "a", "a", "trace-parent", "größe"];
/// Times of their own, long before all others that are drawn.
const MARKED_TIMES: i64 = 1_500_000_000_000;

#[cfg(test)]
#[path = "payload_tests.rs"]
mod tests;
