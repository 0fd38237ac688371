//! One topic of interest: how long it stays, what was seen of it, and what an answer makes of it
//! (Java: `Metadata.updateLatestMetadata`).
//!
//! Thread: any, under metadata's monitor. Locks: none. Invariant: the epochs seen of a partition
//! never go back unless the topic's id changes, whatever becomes of the topic in between.

use std::sync::Arc;
use std::time::Instant;

use crate::cluster::{NodeId, PartitionInfo, TopicInfo, Uuid};
use crate::planted::{Plant, planted};
use crate::protocol::ErrorCode;
use crate::protocol::messages::{MetadataPartition, MetadataTopic};

/// A topic that somebody uses or waits for.
#[derive(Debug)]
pub(super) struct Interest {
    pub(super) expires: Instant,
    /// No answer has named it yet.
    pub(super) is_new: bool,
    /// The last id that was not none.
    pub(super) id: Uuid,
    /// The highest leader epoch seen of each partition; [`NO_EPOCH`] where there is none. Outlives
    /// the topic's absence from the picture.
    pub(super) epochs: Vec<i32>,
    /// What the last answer that named it said, and which answer that was.
    pub(super) error: Option<(ErrorCode, u64)>,
}

/// What an answer makes of a topic.
#[derive(Debug)]
pub(super) struct Taken {
    /// `None`: it is not there.
    pub(super) topic: Option<Arc<TopicInfo>>,
    /// It was not the answer that was known already.
    pub(super) tells_news: bool,
    /// The answer says of itself that it will not hold.
    pub(super) is_stale: bool,
}

impl Interest {
    pub(super) fn new(expires: Instant) -> Self {
        Self {
            expires,
            is_new: true,
            id: Uuid::ZERO,
            epochs: Vec::new(),
            error: None,
        }
    }

    /// Takes what answer number `at` says of the topic, which so far was `old`.
    pub(super) fn take(
        &mut self,
        name: &Arc<str>,
        answer: &MetadataTopic,
        old: Option<Arc<TopicInfo>>,
        (at, trusts_epochs): (u64, bool),
    ) -> Taken {
        let was_new = std::mem::replace(&mut self.is_new, false);
        let code = ErrorCode(answer.error_code);
        if !code.is_none() {
            self.error = Some((code, at));
            // Without an id, the topic of this name that comes next could not be told from an older
            // answer, and its epochs begin anew.
            if code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION && self.id.is_zero() {
                self.epochs.clear();
            }
            return take_error(name, code, old);
        }
        self.error = None;
        let is_another = !answer.topic_id.is_zero() && self.id != answer.topic_id;
        if is_another {
            // KAFKA-13488: the old topic's epochs were held against the new one.
            if !planted(Plant::R66) {
                self.epochs.clear();
            }
            self.id = answer.topic_id;
        }
        let count = answer.partitions.len();
        self.epochs.resize(count, NO_EPOCH);
        let mut partitions = vec![NO_LEADER; count];
        let mut taken = Taken {
            topic: None,
            tells_news: is_another || was_new,
            is_stale: false,
        };
        for partition in &answer.partitions {
            let index = usize::try_from(partition.index).unwrap_or(usize::MAX);
            let (Some(place), Some(seen)) = (partitions.get_mut(index), self.epochs.get_mut(index))
            else {
                log::warn!(
                    "topic {name} of {count} partitions has a partition {}",
                    partition.index
                );
                continue;
            };
            let cached = old
                .as_ref()
                .and_then(|it| it.partitions.get(index).copied());
            let (info, is_news) = take_partition(partition, cached, seen, trusts_epochs);
            *place = info;
            taken.tells_news |= is_news;
            taken.is_stale |= ErrorCode(partition.error_code).refreshes_metadata();
        }
        taken.topic = (count > 0).then(|| {
            Arc::new(TopicInfo {
                name: Arc::clone(name),
                id: answer.topic_id,
                partitions,
            })
        });
        taken
    }
}

fn take_error(name: &Arc<str>, code: ErrorCode, old: Option<Arc<TopicInfo>>) -> Taken {
    log::warn!(
        "metadata of topic {name}: {}: {}",
        code.name(),
        code.message()
    );
    // A topic does not cease to exist because it has no leader for a while (librdkafka 2.10.0).
    let is_passing = code.is_retriable() && code != ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    Taken {
        topic: old.filter(|_| is_passing),
        tells_news: false,
        is_stale: code.refreshes_metadata(),
    }
}

fn take_partition(
    partition: &MetadataPartition,
    cached: Option<PartitionInfo>,
    seen: &mut i32,
    trusts_epochs: bool,
) -> (PartitionInfo, bool) {
    let leader = (partition.leader_id >= 0).then_some(NodeId(partition.leader_id));
    let info = |leader, leader_epoch| PartitionInfo {
        leader,
        leader_epoch,
    };
    let epoch = partition.leader_epoch;
    if !trusts_epochs {
        *seen = NO_EPOCH;
        // Nobody can tell whether it is older; that it says the same as before is no news in any case.
        let is_news = cached.is_none_or(|known| known.leader != leader);
        return (info(leader, NO_EPOCH), is_news);
    }
    if epoch < 0 {
        // Leaderless: what was seen is remembered all the same.
        let taken = info(leader, *seen);
        return (taken, cached != Some(taken));
    }
    if epoch < *seen {
        return (cached.unwrap_or(info(None, *seen)), false);
    }
    let is_news = epoch > *seen;
    *seen = epoch;
    (info(leader, epoch), is_news)
}

pub(super) const NO_EPOCH: i32 = -1;
const NO_LEADER: PartitionInfo = PartitionInfo {
    leader: None,
    leader_epoch: NO_EPOCH,
};
