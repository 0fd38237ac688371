//! Up to which offset each partition has acknowledged, for producers without sequences: what is sent
//! afterwards and gets an offset that was acknowledged before shows that the broker lost data.
//!
//! Java has no counterpart. Thread: Sender. Locks: none. Only what was sent *after* an acknowledgement
//! came can prove anything: requests that cross, to two leaders or again, may get offsets in any order.

use std::collections::BTreeMap;

use super::produce::{ProduceTag, SentPartition, SentTopic};
use crate::cluster::Uuid;
use crate::producer::batch_id::SlotId;

/// By partition: the topic's id, and the last offset that was acknowledged.
#[derive(Debug, Default)]
pub(super) struct AckedOffsets(BTreeMap<SlotId, (Uuid, i64)>);

impl AckedOffsets {
    /// Notes in what is about to be sent what was acknowledged before.
    pub(super) fn on_sent(&self, tag: &mut ProduceTag) {
        for topic in &mut tag.topics {
            for sent in &mut topic.partitions {
                let known = self.0.get(&sent.batch.slot);
                sent.acked_before = known
                    .filter(|(id, _)| *id == topic.id)
                    .map_or(-1, |(_, last)| *last);
            }
        }
    }

    /// Returns the last offset that was acknowledged before, if this one shows that the broker lacks it.
    pub(super) fn on_acked(
        &mut self,
        topic: &SentTopic,
        sent: &SentPartition,
        base_offset: i64,
    ) -> Option<i64> {
        if base_offset < 0 {
            return None;
        }
        let last = base_offset.saturating_add(i64::from(sent.record_count) - 1);
        let known = self.0.entry(sent.batch.slot).or_insert((topic.id, -1));
        let is_same = known.0 == topic.id;
        // Several may have been on their way when the log ended earlier: the first one counts.
        let is_lost = is_same && base_offset <= sent.acked_before && known.1 >= sent.acked_before;
        if is_lost || !is_same || known.1 < last {
            *known = (topic.id, last);
        }
        is_lost.then_some(sent.acked_before)
    }
}
