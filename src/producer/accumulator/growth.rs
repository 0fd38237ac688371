//! Slots and topics as metadata brings them; none is ever forgotten.
//!
//! Java's counterpart: the maps inside `RecordAccumulator`. Thread: any. Locks: none of its own; it lives
//! under one of the accumulator's.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::topic::{Slot, Sticky, Topic};
use super::topic_share::ShareId;
use crate::cluster::{TopicInfo, TopicPartition};
use crate::producer::batch_id::SlotId;
use crate::random::Random;

/// All there ever was.
#[derive(Debug)]
pub(super) struct Growth {
    pub(super) slots: Vec<Arc<Slot>>,
    /// Every topic there ever was: its slots live as long as the producer.
    pub(super) topics: BTreeMap<Arc<str>, TopicSlots>,
    pub(super) random: Random,
}

/// What belongs to one topic.
#[derive(Debug)]
pub(super) struct TopicSlots {
    share: ShareId,
    pub(super) slots: Vec<Arc<Slot>>,
    sticky: Arc<Sticky>,
}

impl Growth {
    /// The topic as metadata has it now; what slots it lacks are added.
    pub(super) fn topic(&mut self, info: &TopicInfo) -> Topic {
        let Self {
            slots: all,
            topics,
            random,
        } = self;
        let next = ShareId(u32::try_from(topics.len()).unwrap_or(u32::MAX));
        let known = topics
            .entry(Arc::clone(&info.name))
            .or_insert_with(|| TopicSlots {
                share: next,
                slots: Vec::new(),
                sticky: Arc::new(Sticky::new(random.split())),
            });
        for partition in known.slots.len()..info.partitions.len() {
            let id = SlotId(u32::try_from(all.len()).unwrap_or(u32::MAX));
            let number = i32::try_from(partition).unwrap_or(i32::MAX);
            let tp = TopicPartition {
                topic: Arc::clone(&info.name),
                partition: number,
            };
            let slot = Arc::new(Slot::new(id, tp, known.share));
            all.push(Arc::clone(&slot));
            known.slots.push(slot);
        }
        Topic {
            slots: known
                .slots
                .iter()
                .take(info.partitions.len())
                .map(Arc::clone)
                .collect(),
            available: Topic::available(info),
            sticky: Arc::clone(&known.sticky),
            share: known.share,
        }
    }
}
