//! What a partition remembers of each producer, and the verdict on the next batch.
//!
//! Kafka's ProducerStateManager, ProducerStateEntry and ProducerAppendInfo for data batches from
//! clients outside transactions: the last batches per producer (5 in Kafka) recognise repetitions;
//! anything else must follow the newest sequence, or begin a newer epoch at 0. What a producer that
//! is not known may begin with depends on the release: [`FirstSequence`].

use std::collections::{BTreeMap, VecDeque};

use crate::code;
use crate::config::FirstSequence;

/// Stands for a producer that was never seen.
const NO_EPOCH: i16 = -1;

/// The producer's side of a batch header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sequenced {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    pub(crate) base_sequence: i32,
    pub(crate) count: i32,
}

impl Sequenced {
    /// Sequences wrap from `i32::MAX` to 0.
    fn last_sequence(&self) -> i32 {
        increment_sequence(self.base_sequence, self.count - 1)
    }
}

/// A batch that can be recognised when it comes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Remembered {
    first_sequence: i32,
    last_sequence: i32,
    pub(crate) base_offset: i64,
    pub(crate) timestamp: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// To be appended.
    Next,
    /// Appended before: the answer is what it was then.
    Duplicate(Remembered),
    Refused(i16),
}

/// How a partition treats producers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    /// What an unknown producer may begin with.
    pub(crate) first: FirstSequence,
    /// How many batches of a producer are remembered.
    pub(crate) window: usize,
    /// After how long a producer is forgotten.
    pub(crate) expiration_ms: i64,
}

#[derive(Debug)]
struct Entry {
    epoch: i16,
    last_sequence: i32,
    /// When it last appended.
    used_ms: i64,
    batches: VecDeque<Remembered>,
}

/// The producers of one partition.
#[derive(Debug, Default)]
pub(crate) struct ProducerStates {
    entries: BTreeMap<i64, Entry>,
}

impl ProducerStates {
    /// `new_log`: the partition has never held a record.
    pub(crate) fn check(
        &mut self,
        batch: &Sequenced,
        rules: &Rules,
        new_log: bool,
        now_ms: i64,
    ) -> Verdict {
        let entry = self.entries.get(&batch.producer_id);
        let idle = |entry: &Entry| now_ms.saturating_sub(entry.used_ms);
        let Some(entry) = entry.filter(|entry| idle(entry) < rules.expiration_ms) else {
            self.entries.remove(&batch.producer_id);
            return check_unknown(batch, rules.first, new_log);
        };
        let last_sequence = batch.last_sequence();
        if batch.epoch == entry.epoch {
            let same = entry.batches.iter().find(|known| {
                known.first_sequence == batch.base_sequence && known.last_sequence == last_sequence
            });
            if let Some(known) = same {
                return Verdict::Duplicate(*known);
            }
        }
        if batch.epoch < entry.epoch {
            return Verdict::Refused(code::INVALID_PRODUCER_EPOCH);
        }
        if entry.epoch == NO_EPOCH {
            return Verdict::Next;
        }
        let expected = if batch.epoch > entry.epoch {
            0
        } else {
            increment_sequence(entry.last_sequence, 1)
        };
        if batch.base_sequence == expected {
            Verdict::Next
        } else {
            Verdict::Refused(code::OUT_OF_ORDER_SEQUENCE_NUMBER)
        }
    }

    /// Remembers a batch that was appended.
    pub(crate) fn appended(
        &mut self,
        batch: &Sequenced,
        base_offset: i64,
        timestamp: i64,
        rules: &Rules,
        now_ms: i64,
    ) {
        let entry = self.entries.entry(batch.producer_id).or_insert(Entry {
            epoch: batch.epoch,
            last_sequence: -1,
            used_ms: now_ms,
            batches: VecDeque::new(),
        });
        if entry.epoch != batch.epoch {
            entry.epoch = batch.epoch;
            entry.batches.clear();
        }
        entry.last_sequence = batch.last_sequence();
        entry.used_ms = now_ms;
        entry.batches.push_back(Remembered {
            first_sequence: batch.base_sequence,
            last_sequence: batch.last_sequence(),
            base_offset,
            timestamp,
        });
        while entry.batches.len() > rules.window {
            entry.batches.pop_front();
        }
    }

    pub(crate) fn forget(&mut self) {
        self.entries.clear();
    }
}

fn check_unknown(batch: &Sequenced, first: FirstSequence, new_log: bool) -> Verdict {
    if batch.epoch < NO_EPOCH {
        return Verdict::Refused(code::INVALID_PRODUCER_EPOCH);
    }
    if batch.base_sequence == 0 {
        return Verdict::Next;
    }
    match first {
        FirstSequence::Any => Verdict::Next,
        FirstSequence::ZeroInNewLog if !new_log => Verdict::Next,
        FirstSequence::ZeroInNewLog | FirstSequence::Zero => {
            Verdict::Refused(code::OUT_OF_ORDER_SEQUENCE_NUMBER)
        }
        FirstSequence::ZeroOrUnknownProducerId => Verdict::Refused(code::UNKNOWN_PRODUCER_ID),
    }
}

fn increment_sequence(sequence: i32, by: i32) -> i32 {
    sequence.wrapping_add(by) & i32::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules {
        first: FirstSequence::Any,
        window: 5,
        expiration_ms: 1000,
    };
    const OLD: Rules = Rules {
        first: FirstSequence::ZeroOrUnknownProducerId,
        ..RULES
    };
    const ONE: Rules = Rules { window: 1, ..RULES };

    fn batch(epoch: i16, base_sequence: i32, count: i32) -> Sequenced {
        Sequenced {
            producer_id: 7,
            epoch,
            base_sequence,
            count,
        }
    }

    fn append(states: &mut ProducerStates, batch: Sequenced, offset: i64) {
        assert_eq!(states.check(&batch, &RULES, false, 0), Verdict::Next);
        states.appended(&batch, offset, offset * 10, &RULES, 0);
    }

    fn code_of(verdict: Verdict) -> i16 {
        match verdict {
            Verdict::Next => 0,
            Verdict::Duplicate(known) => panic!("a duplicate of {known:?}"),
            Verdict::Refused(code) => code,
        }
    }

    #[test]
    fn check_next_expected_is_taken_and_a_gap_is_not() {
        let mut states = ProducerStates::default();
        append(&mut states, batch(0, 0, 3), 0);
        assert_eq!(code_of(states.check(&batch(0, 4, 1), &RULES, false, 0)), 45);
        append(&mut states, batch(0, 3, 1), 3);
    }

    #[test]
    fn check_any_of_the_last_five_is_a_duplicate_and_the_sixth_is_out_of_order() {
        let mut states = ProducerStates::default();
        for number in 0..6 {
            append(&mut states, batch(0, number * 2, 2), i64::from(number * 2));
        }
        for number in 1..6 {
            let Verdict::Duplicate(known) =
                states.check(&batch(0, number * 2, 2), &RULES, false, 0)
            else {
                panic!("batch {number} was not recognised");
            };
            assert_eq!(known.base_offset, i64::from(number * 2));
            assert_eq!(known.timestamp, i64::from(number * 20));
        }
        assert_eq!(code_of(states.check(&batch(0, 0, 2), &RULES, false, 0)), 45);
    }

    #[test]
    fn check_same_start_and_another_length_is_out_of_order() {
        let mut states = ProducerStates::default();
        append(&mut states, batch(0, 0, 3), 0);
        assert_eq!(code_of(states.check(&batch(0, 0, 2), &RULES, false, 0)), 45);
    }

    #[test]
    fn check_new_epoch_starts_at_zero_and_old_epochs_are_fenced() {
        let mut states = ProducerStates::default();
        append(&mut states, batch(1, 0, 3), 0);
        assert_eq!(code_of(states.check(&batch(2, 3, 1), &RULES, false, 0)), 45);
        append(&mut states, batch(2, 0, 1), 3);
        assert_eq!(code_of(states.check(&batch(1, 3, 1), &RULES, false, 0)), 47);
        assert_eq!(code_of(states.check(&batch(1, 0, 3), &RULES, false, 0)), 47);
    }

    #[test]
    fn check_unknown_producer_may_start_anywhere() {
        let mut states = ProducerStates::default();
        append(&mut states, batch(3, 1000, 2), 0);
        assert_eq!(
            code_of(states.check(&batch(3, 1001, 2), &RULES, false, 0)),
            45
        );
        states.forget();
        append(&mut states, batch(0, 5, 1), 2);
    }

    #[test]
    fn check_unknown_producer_begins_at_zero_before_kip_360() {
        let mut states = ProducerStates::default();
        assert_eq!(code_of(states.check(&batch(3, 1, 2), &OLD, false, 0)), 59);
        assert_eq!(states.check(&batch(3, 0, 2), &OLD, false, 0), Verdict::Next);
        states.appended(&batch(3, 0, 2), 0, 0, &RULES, 0);
        assert_eq!(code_of(states.check(&batch(4, 1, 2), &OLD, false, 0)), 45);
    }

    #[test]
    fn check_sequence_wraps_to_zero_and_through_zero() {
        let mut states = ProducerStates::default();
        append(&mut states, batch(0, i32::MAX - 1, 2), 0);
        append(&mut states, batch(0, 0, 1), 2);
        let mut through = ProducerStates::default();
        append(&mut through, batch(0, i32::MAX - 1, 4), 0);
        assert_eq!(
            code_of(through.check(&batch(0, 0, 1), &RULES, false, 0)),
            45
        );
        append(&mut through, batch(0, 2, 1), 4);
        assert!(matches!(
            through.check(&batch(0, i32::MAX - 1, 4), &RULES, false, 0),
            Verdict::Duplicate(_)
        ));
    }

    #[test]
    fn appended_window_of_one_remembers_one() {
        let mut states = ProducerStates::default();
        states.appended(&batch(0, 0, 1), 0, 0, &ONE, 0);
        states.appended(&batch(0, 1, 1), 1, 0, &ONE, 0);
        assert_eq!(code_of(states.check(&batch(0, 0, 1), &RULES, false, 0)), 45);
        assert!(matches!(
            states.check(&batch(0, 1, 1), &RULES, false, 0),
            Verdict::Duplicate(_)
        ));
    }

    #[test]
    fn appended_window_of_none_recognises_nothing_and_still_counts() {
        let none = Rules { window: 0, ..RULES };
        let mut states = ProducerStates::default();
        states.appended(&batch(0, 0, 2), 0, 0, &none, 0);
        assert_eq!(code_of(states.check(&batch(0, 0, 2), &none, false, 0)), 45);
        let next = states.check(&batch(0, 2, 1), &none, false, 0);
        assert_eq!(next, Verdict::Next);
    }

    #[test]
    fn check_producer_without_use_is_forgotten_in_time() {
        let mut states = ProducerStates::default();
        states.appended(&batch(0, 0, 2), 0, 0, &RULES, 10);
        let again = states.check(&batch(0, 0, 2), &RULES, false, 1009);
        assert!(matches!(again, Verdict::Duplicate(_)));
        assert_eq!(
            code_of(states.check(&batch(0, 7, 1), &RULES, false, 1009)),
            45
        );
        let late = states.check(&batch(0, 7, 1), &RULES, false, 1010);
        assert_eq!(late, Verdict::Next);
    }

    #[test]
    fn check_first_sequence_is_judged_as_the_release_does() {
        let mut states = ProducerStates::default();
        let mut code = |first, new_log| {
            let rules = Rules { first, ..RULES };
            code_of(states.check(&batch(0, 4, 1), &rules, new_log, 0))
        };
        assert_eq!(code(FirstSequence::Any, true), 0);
        assert_eq!(code(FirstSequence::ZeroInNewLog, true), 45);
        assert_eq!(code(FirstSequence::ZeroInNewLog, false), 0);
        assert_eq!(code(FirstSequence::Zero, false), 45);
        assert_eq!(code(FirstSequence::ZeroOrUnknownProducerId, true), 59);
        let zero = Rules {
            first: FirstSequence::Zero,
            ..RULES
        };
        assert_eq!(states.check(&batch(0, 0, 1), &zero, true, 0), Verdict::Next);
    }
}
