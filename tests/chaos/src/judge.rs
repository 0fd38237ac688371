//! The verdict: what the producer told of each record, held against what Kafka's own consumer read.

use std::collections::BTreeMap;

use crate::ledger::{Entry, Fate};
use crate::payload::{Record, RecordId};

/// How many of each kind of finding are told one by one.
const EXAMPLES: usize = 10;

/// A record as it lies in a log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Read<'a> {
    pub(crate) topic: u8,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: &'a [u8],
}

/// What was found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Accepted by `send`.
    pub(crate) records: u64,
    pub(crate) acked: u64,
    pub(crate) unknown: u64,
    pub(crate) not_written: u64,
    pub(crate) refused: u64,
    /// Acknowledged, and in no log.
    pub(crate) lost: u64,
    /// In the log more than once; each time beyond the first counts.
    pub(crate) duplicate: u64,
    /// Behind a record of its partition that its thread sent later.
    pub(crate) reordered: u64,
    /// Not where its outcome says, or there although it says that it is not; bytes that nobody
    /// sent; callbacks and handles that do not agree.
    pub(crate) misreported: u64,
    /// Without an outcome when its time was over, or at all.
    pub(crate) late: u64,
    /// What is bad, in words; a few of each kind.
    pub(crate) examples: Vec<String>,
}

impl Verdict {
    /// Nothing is lost, doubled, reordered, misreported or late.
    pub(crate) fn is_clean(&self) -> bool {
        self.lost + self.duplicate + self.reordered + self.misreported + self.late == 0
    }
}

/// Where a record has been seen.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    is_there: bool,
    is_where_told: bool,
}

/// Reads the logs, and then says what it thinks.
#[derive(Debug)]
pub(crate) struct Judge<'a> {
    entries: &'a [Vec<Entry>],
    /// Of each topic, as many as there were at the start.
    partitions: &'a [i32],
    seen: Vec<Vec<Seen>>,
    /// The last record of a thread in a partition of a topic.
    last: BTreeMap<(u8, i32, u32), u32>,
    verdict: Verdict,
    told: BTreeMap<&'static str, usize>,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(entries: &'a [Vec<Entry>], partitions: &'a [i32]) -> Self {
        let seen = |entries: &Vec<Entry>| vec![Seen::default(); entries.len()];
        Self {
            entries,
            partitions,
            seen: entries.iter().map(seen).collect(),
            last: BTreeMap::new(),
            verdict: Verdict::default(),
            told: BTreeMap::new(),
        }
    }

    /// The next record of its partition.
    pub(crate) fn on_read(&mut self, read: &Read<'_>) {
        let place = format_args!("{}-{}@{}", read.topic, read.partition, read.offset).to_string();
        let Some(record) = Record::read(read.key, read.value, self.partitions) else {
            self.verdict.misreported += 1;
            self.tell("foreign", || format!("{place} holds what nobody sent"));
            return;
        };
        let RecordId { thread, number } = record.id;
        let (at, index) = (position(thread), position(number));
        let Some(entry) = self.entries.get(at).and_then(|all| all.get(index)) else {
            self.verdict.misreported += 1;
            self.tell("foreign", || {
                format!("{place} holds {record:?}, not sent yet")
            });
            return;
        };
        let is_elsewhere = record.topic != read.topic
            || record
                .partition
                .is_some_and(|partition| partition != read.partition);
        if is_elsewhere {
            self.verdict.misreported += 1;
            self.tell("elsewhere", || {
                format!("{record:?} lies at {place}, where it was not sent")
            });
        }
        let seen = &mut self.seen[at][index];
        let is_again = std::mem::replace(&mut seen.is_there, true);
        seen.is_where_told |= match entry.fate {
            Fate::Acked { partition, offset } => {
                partition == read.partition && offset.is_none_or(|offset| offset == read.offset)
            }
            Fate::Open | Fate::NotWritten | Fate::Unknown | Fate::Refused => false,
        };
        if is_again {
            self.verdict.duplicate += 1;
            self.tell("duplicate", || {
                format!("{:?} lies at {place} again ({:?})", record.id, entry.fate)
            });
            return;
        }
        let last = self.last.entry((read.topic, read.partition, thread));
        let before = last.or_insert(number);
        if *before > number {
            let before = *before;
            self.verdict.reordered += 1;
            self.tell("reordered", || {
                format!("{:?} lies at {place} behind number {before}", record.id)
            });
        } else {
            *before = number;
        }
    }

    /// All logs are read; `contradictions` is what callbacks and handles did not agree about.
    pub(crate) fn finish(mut self, contradictions: &[String]) -> Verdict {
        for text in contradictions {
            self.verdict.misreported += 1;
            self.tell("contradiction", || text.clone());
        }
        for thread in 0..self.entries.len() {
            for number in 0..self.entries[thread].len() {
                self.look(thread, number);
            }
        }
        self.verdict
    }

    fn look(&mut self, thread: usize, number: usize) {
        let entry = self.entries[thread][number];
        let seen = self.seen[thread][number];
        let verdict = &mut self.verdict;
        verdict.records += u64::from(entry.fate != Fate::Refused);
        let mut finding = None;
        match entry.fate {
            Fate::Acked { .. } => {
                verdict.acked += 1;
                if !seen.is_there {
                    verdict.lost += 1;
                    finding = Some(("lost", "in no log"));
                } else if !seen.is_where_told {
                    verdict.misreported += 1;
                    finding = Some(("misplaced", "not there"));
                }
            }
            Fate::Unknown => verdict.unknown += 1,
            Fate::NotWritten | Fate::Refused => {
                if entry.fate == Fate::Refused {
                    verdict.refused += 1;
                } else {
                    verdict.not_written += 1;
                }
                if seen.is_there {
                    verdict.misreported += 1;
                    finding = Some(("written", "in the log"));
                }
            }
            Fate::Open => {}
        }
        let is_late = entry.is_late || entry.fate == Fate::Open;
        verdict.late += u64::from(is_late);
        if is_late {
            finding = Some(("late", "ended too late or never"));
        }
        if let Some((kind, what)) = finding {
            self.tell(kind, || {
                format!(
                    "topic {}, thread {thread}, number {number}: told {:?}, is {what}",
                    entry.topic, entry.fate
                )
            });
        }
    }

    fn tell(&mut self, kind: &'static str, text: impl FnOnce() -> String) {
        let told = self.told.entry(kind).or_default();
        *told += 1;
        if *told <= EXAMPLES {
            self.verdict.examples.push(format!("{kind}: {}", text()));
        }
    }
}

fn position(number: u32) -> usize {
    usize::try_from(number).expect("a machine of 32 bits at least")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTITIONS: &[i32] = &[8, 4];

    /// Records of thread 0, and a log of one partition to hold them.
    struct Case {
        entries: Vec<Vec<Entry>>,
        log: Vec<Record>,
    }

    impl Case {
        /// So many records of topic 0 without a partition of their own, acknowledged in order.
        fn acked(count: usize) -> Self {
            let mut case = Self {
                entries: vec![Vec::new()],
                log: Vec::new(),
            };
            for number in 0.. {
                let record = Record::new(RecordId { thread: 0, number }, PARTITIONS);
                if case.log.len() == count {
                    return case;
                }
                let fate = if record.topic == 0 && record.partition.is_none() {
                    let offset = i64::try_from(case.log.len()).ok();
                    case.log.push(record);
                    Fate::Acked {
                        partition: 2,
                        offset,
                    }
                } else {
                    Fate::NotWritten
                };
                case.entries[0].push(Entry::new(0, fate));
            }
            unreachable!("numbers do not end")
        }

        fn number(&self, index: usize) -> usize {
            position(self.log[index].id.number)
        }

        fn tell(&mut self, index: usize, fate: Fate) {
            let number = self.number(index);
            self.entries[0][number].fate = fate;
        }

        fn verdict(&self) -> Verdict {
            self.verdict_with(&[])
        }

        fn verdict_with(&self, contradictions: &[String]) -> Verdict {
            let mut judge = Judge::new(&self.entries, PARTITIONS);
            for (offset, record) in (0..).zip(&self.log) {
                judge.on_read(&Read {
                    topic: 0,
                    partition: 2,
                    offset,
                    key: record.key.as_deref().map(str::as_bytes),
                    value: &record.value(),
                });
            }
            judge.finish(contradictions)
        }
    }

    /// Lost, duplicate, reordered, misreported, late.
    fn bad(verdict: &Verdict) -> [u64; 5] {
        let Verdict {
            lost,
            duplicate,
            reordered,
            misreported,
            late,
            ..
        } = *verdict;
        [lost, duplicate, reordered, misreported, late]
    }

    #[test]
    fn log_as_it_was_told_is_clean() {
        let verdict = Case::acked(20).verdict();
        assert!(verdict.is_clean(), "{verdict:?}");
        assert_eq!(verdict.acked, 20);
        assert_eq!(verdict.records, 20 + verdict.not_written);
    }

    #[test]
    fn acked_record_in_no_log_is_lost() {
        let mut case = Case::acked(20);
        case.log.pop();
        let verdict = case.verdict();
        assert_eq!(bad(&verdict), [1, 0, 0, 0, 0]);
        assert!(verdict.examples[0].starts_with("lost: "), "{verdict:?}");
    }

    #[test]
    fn record_that_lies_there_twice_is_a_duplicate_and_no_disorder() {
        let mut case = Case::acked(20);
        case.log.push(case.log[3].clone());
        assert_eq!(bad(&case.verdict()), [0, 1, 0, 0, 0]);
    }

    #[test]
    fn unknown_record_may_be_there_or_not_but_not_twice() {
        let mut case = Case::acked(20);
        case.tell(18, Fate::Unknown);
        case.tell(19, Fate::Unknown);
        case.log.pop();
        let verdict = case.verdict();
        assert!(verdict.is_clean(), "{verdict:?}");
        assert_eq!(verdict.unknown, 2);
        case.log.push(case.log[18].clone());
        assert_eq!(bad(&case.verdict()), [0, 1, 0, 0, 0]);
    }

    #[test]
    fn record_behind_a_later_one_of_its_thread_is_reordered() {
        let mut case = Case::acked(20);
        for index in [4, 5] {
            // Wherever it lies is right, so that the order alone is wrong.
            let anywhere = Fate::Acked {
                partition: 2,
                offset: None,
            };
            case.tell(index, anywhere);
        }
        case.log.swap(4, 5);
        assert_eq!(bad(&case.verdict()), [0, 0, 1, 0, 0]);
    }

    #[test]
    fn acked_record_elsewhere_than_told_is_misreported() {
        for (partition, offset) in [(2, 8), (3, 7)] {
            let mut case = Case::acked(20);
            let offset = Some(offset);
            case.tell(7, Fate::Acked { partition, offset });
            assert_eq!(bad(&case.verdict()), [0, 0, 0, 1, 0]);
        }
    }

    #[test]
    fn record_that_was_not_written_and_is_there_is_misreported() {
        for fate in [Fate::NotWritten, Fate::Refused] {
            let mut case = Case::acked(20);
            case.tell(7, fate);
            assert_eq!(bad(&case.verdict()), [0, 0, 0, 1, 0], "{fate:?}");
        }
    }

    #[test]
    fn record_outside_the_partition_it_was_sent_to_is_misreported() {
        let mut case = Case::acked(20);
        // The first of topic 0 that goes where it is told, and not to partition 2.
        let mut all = (0..).map(|number| Record::new(RecordId { thread: 0, number }, PARTITIONS));
        let record = all
            .find(|r| r.topic == 0 && r.partition.is_some_and(|p| p != 2))
            .unwrap();
        case.entries[0].resize(1_000, Entry::new(0, Fate::NotWritten));
        let number = position(record.id.number);
        case.entries[0][number].fate = Fate::Unknown;
        let place = case.log.iter().position(|r| r.id.number > record.id.number);
        case.log.insert(place.unwrap_or(20), record);
        let verdict = case.verdict();
        assert!(
            verdict
                .examples
                .iter()
                .any(|text| text.contains("where it was not sent")),
            "{verdict:?}"
        );
    }

    #[test]
    fn bytes_that_nobody_sent_are_misreported() {
        let case = Case::acked(3);
        let mut judge = Judge::new(&case.entries, PARTITIONS);
        let mut value = case.log[0].value();
        value[25] ^= 1;
        let unsent = Record::new(
            RecordId {
                thread: 9,
                number: 0,
            },
            PARTITIONS,
        );
        for (value, key) in [(value, &case.log[0].key), (unsent.value(), &unsent.key)] {
            judge.on_read(&Read {
                topic: 0,
                partition: 2,
                offset: 0,
                key: key.as_deref().map(str::as_bytes),
                value: &value,
            });
        }
        let verdict = judge.finish(&[]);
        assert_eq!((verdict.misreported, verdict.lost), (2, 3));
    }

    #[test]
    fn open_and_late_records_are_late() {
        let mut case = Case::acked(20);
        case.tell(19, Fate::Open);
        let number = case.number(3);
        case.entries[0][number].is_late = true;
        assert_eq!(bad(&case.verdict()), [0, 0, 0, 0, 2]);
    }

    #[test]
    fn contradictions_are_misreported_and_told() {
        let case = Case::acked(1);
        let verdict = case.verdict_with(&["handle and callback".to_owned()]);
        assert_eq!(bad(&verdict), [0, 0, 0, 1, 0]);
        assert_eq!(verdict.examples, ["contradiction: handle and callback"]);
    }
}
