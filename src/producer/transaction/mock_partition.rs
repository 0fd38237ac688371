//! A partition as its brokers keep it: the log, and per producer the epoch and the latest five
//! batches (Java's `ProducerStateManager` and `ProducerAppendInfo` in small).
//!
//! Thread: the test's. Locks: none.

use std::collections::{BTreeMap, VecDeque};

use crate::record::ProducerState;

/// One batch of the log is one number.
#[derive(Debug, Default)]
pub(crate) struct MockPartition {
    pub(crate) log: Vec<u64>,
    producers: BTreeMap<i64, Entry>,
}

#[derive(Debug, Default)]
struct Entry {
    epoch: i16,
    /// First and last sequence, and where it lies.
    window: VecDeque<(i32, i32, i64)>,
}

impl MockPartition {
    /// Appends, or recognises a repetition, and says where it lies.
    ///
    /// # Errors
    /// The code a broker would answer.
    pub(crate) fn append(
        &mut self,
        batch: u64,
        state: ProducerState,
        records: i32,
    ) -> Result<i64, i16> {
        let ProducerState {
            producer_id,
            epoch,
            base_sequence,
        } = state;
        let last = base_sequence + records - 1;
        let entry = match self.producers.get_mut(&producer_id) {
            Some(known) if epoch < known.epoch => return Err(47),
            Some(known) if epoch == known.epoch => {
                let same = |it: &&(i32, i32, i64)| (it.0, it.1) == (base_sequence, last);
                if let Some((_, _, offset)) = known.window.iter().find(same) {
                    return Ok(*offset);
                }
                if known
                    .window
                    .back()
                    .is_some_and(|end| end.1 + 1 != base_sequence)
                {
                    return Err(45);
                }
                known
            }
            Some(_) if base_sequence != 0 => return Err(45),
            // Whoever is not known may begin anywhere.
            _ => {
                self.producers.insert(producer_id, Entry::default());
                self.producers
                    .get_mut(&producer_id)
                    .expect("it was just put there")
            }
        };
        let offset = i64::try_from(self.log.len()).expect("short") * i64::from(records);
        entry.epoch = epoch;
        entry.window.push_back((base_sequence, last, offset));
        if entry.window.len() > 5 {
            entry.window.pop_front();
        }
        self.log.push(batch);
        Ok(offset)
    }

    pub(crate) fn newest_producer_id(&self) -> Option<i64> {
        self.producers.keys().next_back().copied()
    }
}
