//! What a record of the run holds: who sent it where, so that every byte in a log can be judged.

/// Which record: the thread that sent it, and as which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RecordId {
    pub(crate) thread: u32,
    pub(crate) number: u32,
}

/// What follows from a record's id alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) id: RecordId,
    /// Index of its topic.
    pub(crate) topic: u8,
    /// Where the partition was chosen by whoever sent it.
    pub(crate) partition: Option<i32>,
    pub(crate) key: Option<String>,
}

/// What the values of records begin with.
const MAGIC: [u8; 4] = *b"CHAO";

const HEAD_BYTES: usize = 4 + 1 + 4 + 4 + 4;
const CRC_BYTES: usize = 4;

/// Keys of a thread: few enough to repeat, enough to meet every partition.
const KEYS: u32 = 61;

impl RecordId {
    /// One number for both, as the tag of a callback.
    pub(crate) fn tag(self) -> u64 {
        u64::from(self.thread) << 32 | u64::from(self.number)
    }

    pub(crate) fn from_tag(tag: u64) -> Self {
        let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).expect("a half");
        Self {
            thread: half(tag >> 32),
            number: half(tag),
        }
    }
}

impl Record {
    /// Of a run with topics that had so many partitions at its start. Of twelve records seven have
    /// a key, one goes where it is told, four go where the producer likes.
    pub(crate) fn new(id: RecordId, partitions: &[i32]) -> Self {
        let RecordId { thread, number } = id;
        // Mixed, or the kinds of records would fall in step with the topics.
        let mixed = number.wrapping_mul(0x9e37_79b1) >> 8;
        let topic = usize::try_from(mixed % 3).map_or(0, |one| one.min(1)) % partitions.len();
        let kind = number % 12;
        let count = partitions[topic];
        Self {
            id,
            topic: u8::try_from(topic).expect("a few topics"),
            partition: (kind == 7).then(|| i32::try_from(mixed >> 8).unwrap_or(0) % count),
            key: (kind < 7).then(|| format!("{thread}-{}", mixed % KEYS)),
        }
    }

    /// The bytes to send.
    pub(crate) fn value(&self) -> Vec<u8> {
        let length = 40 + usize::try_from(self.id.number % 163).unwrap_or(0);
        let mut bytes = Vec::with_capacity(length + CRC_BYTES);
        bytes.extend(MAGIC);
        bytes.push(self.topic);
        bytes.extend(self.partition.unwrap_or(-1).to_be_bytes());
        bytes.extend(self.id.thread.to_be_bytes());
        bytes.extend(self.id.number.to_be_bytes());
        bytes.resize(length, self.id.number.to_be_bytes()[3]);
        bytes.extend(crc32c::crc32c(&bytes).to_be_bytes());
        bytes
    }

    /// The record whose value this is, if all of it is as it was made, key included.
    pub(crate) fn read(key: Option<&[u8]>, value: &[u8], partitions: &[i32]) -> Option<Self> {
        let head = value.get(..HEAD_BYTES)?;
        let number = |at: usize| {
            let bytes: [u8; 4] = head[at..at + 4].try_into().expect("four bytes");
            u32::from_be_bytes(bytes)
        };
        let id = RecordId {
            thread: number(9),
            number: number(13),
        };
        let record = Self::new(id, partitions);
        let is_whole = value == record.value() && key == record.key.as_deref().map(str::as_bytes);
        is_whole.then_some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTITIONS: &[i32] = &[12, 6];

    fn record(number: u32) -> Record {
        Record::new(RecordId { thread: 3, number }, PARTITIONS)
    }

    #[test]
    fn record_is_read_as_it_was_made() {
        for number in 0..1_000 {
            let record = record(number);
            let key = record.key.clone().map(String::into_bytes);
            let read = Record::read(key.as_deref(), &record.value(), PARTITIONS);
            assert_eq!(read, Some(record));
        }
    }

    #[test]
    fn records_are_of_all_kinds_in_every_topic() {
        for topic in [0, 1] {
            let records: Vec<Record> = (0..10_000)
                .map(record)
                .filter(|record| record.topic == topic)
                .collect();
            let keys: std::collections::BTreeSet<_> = records.iter().map(|r| &r.key).collect();
            assert_eq!(keys.len(), 1 + usize::try_from(KEYS).unwrap());
            let chosen: std::collections::BTreeSet<_> =
                records.iter().filter_map(|r| r.partition).collect();
            let all = PARTITIONS[usize::from(topic)];
            assert_eq!(chosen, (0..all).collect());
        }
    }

    #[test]
    fn changed_byte_is_seen_wherever_it_is() {
        let record = record(5);
        let key = record.key.clone().unwrap().into_bytes();
        let value = record.value();
        for at in 0..value.len() {
            let mut changed = value.clone();
            changed[at] ^= 1;
            assert_eq!(Record::read(Some(&key), &changed, PARTITIONS), None, "{at}");
        }
        assert_eq!(Record::read(None, &value, PARTITIONS), None);
        assert_eq!(Record::read(Some(&key), &value[..20], PARTITIONS), None);
    }

    #[test]
    fn tag_is_read_as_it_was_made() {
        let id = RecordId {
            thread: 7,
            number: u32::MAX,
        };
        assert_eq!(RecordId::from_tag(id.tag()), id);
    }
}
