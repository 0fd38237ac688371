//! `topic.recreation.policy=fail`: what was accepted for a topic that was deleted and made again under
//! its name ends, and does not go to the new one. The default policy, `adopt`, needs nothing of this.
//!
//! Java has no counterpart: it sends what it has to whatever topic has the name. Thread: Sender. Locks:
//! one partition's queue at a time; none while callbacks run. A topic counts as made again from the turn
//! in which the Sender sees another id of it; brokers that tell no ids (before 2.8) never say so.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::outcome::attempt_text;
use super::produce::SentTopic;
use super::sender::{RequestTag, Sender};
use crate::client::KafkaClient;
use crate::cluster::{Cluster, Uuid};
use crate::error::{Error, ErrorKind};
use crate::planted::{Plant, planted};
use crate::producer::accumulator::ProducerBatch;

/// The ids that the Sender last saw, of every topic it ever saw; empty unless the policy is `fail`.
#[derive(Debug, Default)]
pub(super) struct TopicIds {
    cluster: Arc<Cluster>,
    ids: BTreeMap<Arc<str>, Uuid>,
}

/// A topic that is another one than before.
struct Recreated {
    name: Arc<str>,
    old: Uuid,
    new: Uuid,
}

impl TopicIds {
    /// Topics that have another id in this picture than in the last one that had them.
    fn take_in(&mut self, cluster: &Arc<Cluster>) -> Vec<Recreated> {
        if Arc::ptr_eq(&self.cluster, cluster) {
            return Vec::new();
        }
        self.cluster = Arc::clone(cluster);
        let mut recreated = Vec::new();
        for (name, new) in cluster.topic_ids() {
            if new.is_zero() {
                continue;
            }
            if let Some(old) = self
                .ids
                .insert(Arc::clone(&name), new)
                .filter(|old| *old != new)
            {
                recreated.push(Recreated { name, old, new });
            }
        }
        recreated
    }
}

impl<C: KafkaClient<RequestTag>> Sender<C> {
    /// Ends what is queued for topics that are others in this picture.
    pub(super) fn end_what_topics_left(&mut self, cluster: &Arc<Cluster>, now: Instant) {
        if !self.config.fail_recreated_topics {
            return;
        }
        for topic in self.topic_ids.take_in(cluster) {
            log::warn!(
                "topic {} was deleted and created again: its id was {}, and is {}",
                topic.name,
                topic.old,
                topic.new
            );
            let mut left = Vec::new();
            self.drainer.take_topic(&topic.name, now, &mut left);
            for batch in left {
                self.end_left_behind(batch, &topic, now);
            }
        }
    }

    /// A batch that would go again, unless it was sent to a topic that is another one by now, where that
    /// ends it.
    pub(super) fn unless_left_behind(
        &mut self,
        batch: ProducerBatch,
        sent_to: &SentTopic,
        now: Instant,
    ) -> Option<ProducerBatch> {
        let known = self.topic_ids.ids.get(&sent_to.name);
        let Some(new) = known.copied().filter(|_| !sent_to.id.is_zero()) else {
            return Some(batch);
        };
        if new == sent_to.id || planted(Plant::AdoptedAnyway) {
            return Some(batch);
        }
        let topic = Recreated {
            name: Arc::clone(&sent_to.name),
            old: sent_to.id,
            new,
        };
        self.end_left_behind(batch, &topic, now);
        None
    }

    fn end_left_behind(&mut self, batch: ProducerBatch, topic: &Recreated, now: Instant) {
        let Recreated { name, old, new } = topic;
        let text = format!(
            "{}: topic {name} was deleted and created again (topic id {old}, now {new}), and what was \
             accepted for the old one does not go to the new one (topic.recreation.policy=fail)",
            attempt_text(&batch, now)
        );
        let error = Error::new(ErrorKind::UnknownTopicOrPartition, text);
        let error = match batch.last_failure() {
            Some(why) => error.with_source(why.clone()),
            None => error,
        };
        self.fail(batch, error.into(), false, now);
    }
}
