//! The rules of metadata, without a lock or a clock: what to ask for, when to ask again, and what
//! an answer changes. [`super::Metadata`] is the monitor around it.
//!
//! Java's counterparts: `Metadata`, `ProducerMetadata`. Thread: any, under the monitor. Locks: none.
//! Invariants: the picture's version strictly grows; the leader epoch of a partition never goes back
//! unless its topic's id changes (KAFKA-13488); topics that somebody waits for do not expire.
//! ```text
//!            await_topic, touch                  a response names it
//!  unknown ---------------------> new (partial) ---------------------> kept until idle (full)
//!     ^                                                                        |
//!     +---------------- max.idle passed, seen at the next response -----------+
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use super::MetadataConfig;
use super::topic_interest::{Interest, NO_EPOCH};
use crate::backoff::ExponentialBackoff;
use crate::cluster::{Cluster, ClusterBuilder, Node, NodeId, PartitionInfo, TopicInfo};
use crate::error::{Error, ErrorKind};
use crate::protocol::ErrorCode;
use crate::protocol::messages::{LeaderHint, MetadataResponse, MetadataTopic};
use crate::random::Random;
use crate::time::deadline;

/// What one metadata request asks for, and what it leaves to the next.
#[derive(Debug)]
pub(super) struct MetadataAsk {
    pub(super) topics: Vec<Arc<str>>,
    /// New topics only: the answer replaces these and keeps the rest.
    is_partial: bool,
    new_topics_version: u64,
    full_version: u64,
}

#[derive(Debug)]
pub(super) struct MetadataState {
    config: MetadataConfig,
    backoff: ExponentialBackoff,
    bootstrap: Vec<Node>,
    cluster: Arc<Cluster>,
    topics: BTreeMap<Arc<str>, Interest>,
    waiters: BTreeMap<WaiterId, Waiter>,
    next_waiter: u64,
    is_closed: bool,
    /// Rises with every answer, so that a waiter can tell news from what it knew.
    update_version: u64,
    /// Rise with every wish; a wish made after the request was sent is not met by its answer.
    new_topics_version: u64,
    full_version: u64,
    needs_new_topics: bool,
    needs_full: bool,
    /// The last answer or failure; `None` lets the next request go at once.
    last_refresh: Option<Instant>,
    last_full_success: Option<Instant>,
    failed_attempts: u32,
    /// Answers in a row that told nothing new.
    equivalent_answers: u32,
    backoff_after_failure: Duration,
    backoff_after_equivalent: Duration,
    /// Why the last connection or request failed, until an answer comes.
    last_failure: Option<Error>,
    /// Topics that were forgotten while somebody used them (R68).
    #[cfg(feature = "planted")]
    evicted: BTreeSet<Arc<str>>,
}

/// Names one wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct WaiterId(u64);

/// One wait for a topic.
#[derive(Debug)]
pub(super) struct Waiter {
    topic: Arc<str>,
    partition: Option<i32>,
    /// The last answer before the wait began.
    since: u64,
    /// What ended all waits of its time.
    failure: Option<Error>,
    waker: Option<Waker>,
}

impl MetadataState {
    pub(super) fn new(config: MetadataConfig, bootstrap: Vec<Node>) -> Self {
        let backoff = ExponentialBackoff::new(config.retry_backoff, config.retry_backoff_max);
        Self {
            cluster: ClusterBuilder::bootstrap(bootstrap.iter().cloned()).build(),
            config,
            backoff,
            bootstrap,
            topics: BTreeMap::new(),
            waiters: BTreeMap::new(),
            next_waiter: 0,
            is_closed: false,
            update_version: 0,
            new_topics_version: 0,
            full_version: 1,
            needs_new_topics: false,
            needs_full: true,
            last_refresh: None,
            last_full_success: None,
            failed_attempts: 0,
            equivalent_answers: 0,
            backoff_after_failure: Duration::ZERO,
            backoff_after_equivalent: Duration::ZERO,
            last_failure: None,
            #[cfg(feature = "planted")]
            evicted: BTreeSet::new(),
        }
    }

    pub(super) fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    /// One look of a waiter; a new one (`id` is `None`) asks for what it misses and gets an id.
    /// The waker is taken in if the wait goes on; the one it replaces is given back, to be dropped
    /// after the lock is.
    pub(super) fn await_topic(
        &mut self,
        id: &mut Option<WaiterId>,
        (topic, partition): (&str, Option<i32>),
        waker: &mut Option<Waker>,
        now: Instant,
    ) -> Option<Result<Arc<Cluster>, Error>> {
        if self.is_closed {
            let message = format!("closed while waiting for the metadata of topic {topic}");
            return Some(Err(Error::new(ErrorKind::Closed, message)));
        }
        let waiter = id.and_then(|id| self.waiters.get(&id));
        if let Some(failure) = waiter.and_then(|waiter| waiter.failure.clone()) {
            return Some(Err(failure));
        }
        let since = waiter.map_or(self.update_version, |waiter| waiter.since);
        let decision = self.decide(topic, partition, since);
        if decision.is_some() {
            return decision;
        }
        if let Some(waiter) = id.and_then(|id| self.waiters.get_mut(&id)) {
            std::mem::swap(&mut waiter.waker, waker);
            return None;
        }
        let topic = self.request_topic(topic, now);
        let new_id = WaiterId(self.next_waiter);
        self.next_waiter += 1;
        let waiter = Waiter {
            topic,
            partition,
            since,
            failure: None,
            waker: waker.take(),
        };
        self.waiters.insert(new_id, waiter);
        *id = Some(new_id);
        None
    }

    pub(super) fn remove_waiter(&mut self, id: WaiterId) -> Option<Waiter> {
        self.waiters.remove(&id)
    }

    #[cfg(any(test, interleave))]
    pub(super) fn waiter_count(&self) -> usize {
        self.waiters.len()
    }

    /// Whether a wait for the topic that began at answer `since` is over. `None`: it is not.
    fn decide(
        &self,
        topic: &str,
        partition: Option<i32>,
        since: u64,
    ) -> Option<Result<Arc<Cluster>, Error>> {
        if has_partition(&self.cluster, topic, partition) {
            return Some(Ok(Arc::clone(&self.cluster)));
        }
        let (code, at) = self.topics.get(topic)?.error?;
        // Rights, rules, or whoever answered wrongly can have changed since another waiter asked (B8).
        let is_refusal = matches!(
            code,
            ErrorCode::INVALID_TOPIC_EXCEPTION | ErrorCode::TOPIC_AUTHORIZATION_FAILED
        );
        let is_final = is_refusal && at > since;
        is_final.then(|| Err(code.to_error(&format!("metadata of topic {topic}"))))
    }

    /// After an answer: whose wait is over. The others need another answer.
    fn settle_waiters(&mut self) -> Vec<Waker> {
        let mut over = Vec::new();
        let (mut needs_new, mut needs_full) = (false, false);
        for (id, waiter) in &self.waiters {
            if self
                .decide(&waiter.topic, waiter.partition, waiter.since)
                .is_some()
            {
                over.push(*id);
            } else if self.topics.get(&waiter.topic).is_some_and(|it| it.is_new) {
                needs_new = true;
            } else {
                needs_full = true;
            }
        }
        if needs_new {
            self.request_new_topics_again();
        }
        if needs_full {
            self.request_full();
        }
        over.into_iter()
            .filter_map(|id| self.waiters.get_mut(&id)?.waker.take())
            .collect()
    }

    /// Ends all waits of now; later ones try for themselves.
    pub(super) fn fail_waiters(&mut self, error: &Error) -> Vec<Waker> {
        for waiter in self.waiters.values_mut() {
            waiter.failure = Some(error.clone());
        }
        self.all_wakers()
    }

    pub(super) fn close(&mut self) -> Vec<Waker> {
        self.is_closed = true;
        self.all_wakers()
    }

    fn all_wakers(&mut self) -> Vec<Waker> {
        self.waiters
            .values_mut()
            .filter_map(|waiter| waiter.waker.take())
            .collect()
    }

    /// Somebody wants the topic and it, or a partition of it, is not known: asks for it.
    fn request_topic(&mut self, topic: &str, now: Instant) -> Arc<str> {
        let topic: Arc<str> = match self.topics.get_key_value(topic) {
            Some((known, _)) => Arc::clone(known),
            None => Arc::from(topic),
        };
        if !self.touch(&topic, now) {
            if self.topics.get(&topic).is_some_and(|it| it.is_new) {
                self.request_new_topics_again();
            } else {
                self.request_full();
            }
        }
        topic
    }

    /// Renews the topic's time to live; true if it was not of interest, and is asked for now.
    pub(super) fn touch(&mut self, topic: &Arc<str>, now: Instant) -> bool {
        let expires = deadline(now, self.config.max_idle);
        #[cfg(feature = "planted")]
        if crate::planted::planted(crate::planted::Plant::R68)
            && (self.topics.contains_key(topic) || self.evicted.contains(topic))
        {
            // krafka 0.22: its use did not count, and what was evicted once was not asked for again.
            return false;
        }
        if let Some(interest) = self.topics.get_mut(topic) {
            interest.expires = expires;
            return false;
        }
        self.topics
            .insert(Arc::clone(topic), Interest::new(expires));
        self.needs_new_topics = true;
        self.new_topics_version += 1;
        self.equivalent_answers = 0;
        // Nobody is to wait for a backoff that other topics have earned (B4).
        self.last_refresh = None;
        true
    }

    /// Topics that are new still: the request for them, unless it is under way, goes after backoff.
    fn request_new_topics_again(&mut self) {
        if !self.needs_new_topics {
            self.needs_new_topics = true;
            self.new_topics_version += 1;
        }
    }

    /// Something is stale: everything is asked for again, after backoff.
    pub(super) fn request_full(&mut self) {
        self.needs_full = true;
        self.full_version += 1;
    }

    /// How long until a request is due; zero if it is.
    pub(super) fn time_to_next_update(&self, now: Instant) -> Duration {
        let is_old = self.is_old(now);
        let until_wanted = if self.needs_full || self.needs_new_topics || is_old {
            Duration::ZERO
        } else {
            self.last_full_success.map_or(Duration::ZERO, |last| {
                deadline(last, self.max_age()).saturating_duration_since(now)
            })
        };
        let until_allowed = self.last_refresh.map_or(Duration::ZERO, |last| {
            // What is due by age is not held up by how little the last answers told (B18).
            let backoff = if is_old {
                self.backoff_after_failure
            } else {
                self.backoff_after_failure
                    .max(self.backoff_after_equivalent)
            };
            deadline(last, backoff).saturating_duration_since(now)
        });
        until_wanted.max(until_allowed)
    }

    fn is_old(&self, now: Instant) -> bool {
        self.last_full_success
            .is_none_or(|last| now >= deadline(last, self.max_age()))
    }

    /// `metadata.max.age.ms`, but never so short that brokers are asked without a pause.
    fn max_age(&self) -> Duration {
        self.config.max_age.max(self.config.retry_backoff)
    }

    /// What the next request asks for (B12).
    pub(super) fn ask(&self, now: Instant) -> MetadataAsk {
        let is_partial = self.needs_new_topics && !self.needs_full && !self.is_old(now);
        let topics = self.topics.iter();
        MetadataAsk {
            topics: topics
                .filter(|(_, interest)| interest.is_new || !is_partial)
                .map(|(name, _)| Arc::clone(name))
                .collect(),
            is_partial,
            new_topics_version: self.new_topics_version,
            full_version: self.full_version,
        }
    }

    /// Takes an answer to `ask`, in this version of the API; returns whom to wake.
    pub(super) fn update(
        &mut self,
        (ask, version): (&MetadataAsk, i16),
        response: MetadataResponse,
        now: Instant,
        random: &mut Random,
    ) -> Vec<Waker> {
        self.last_failure = None;
        self.update_version += 1;
        self.failed_attempts = 0;
        self.equivalent_answers = self.equivalent_answers.saturating_add(1);
        self.needs_new_topics = ask.new_topics_version < self.new_topics_version;
        if !ask.is_partial {
            self.needs_full = ask.full_version < self.full_version;
            self.last_full_success = Some(now);
        }
        self.forget_idle_topics(now);
        let nodes: BTreeSet<NodeId> = response.brokers.iter().map(|node| node.id).collect();
        let builder = self
            .cluster
            .to_builder()
            .nodes(response.brokers)
            .cluster_id(response.cluster_id.map(|id| Arc::from(&*id)));
        let mut old = self.known_topics();
        let mut found: BTreeMap<Arc<str>, Arc<TopicInfo>> = BTreeMap::new();
        let trusts_epochs = version >= EPOCHS_ARE_RELIABLE;
        for topic in &response.topics {
            let Some((name, _)) = self.topics.get_key_value(&*topic.name) else {
                continue;
            };
            let name = Arc::clone(name);
            let before = old.remove(&name);
            if let Some(after) = self.take_topic(&name, topic, before, trusts_epochs) {
                found.insert(name, after);
            }
        }
        if ask.is_partial {
            // What the answer does not name stays as it was.
            found.extend(old);
        }
        self.publish(builder, &nodes, found.into_values());
        let over = self.settle_waiters();
        self.finish_refresh(now, random);
        over
    }

    /// Topics of interest that the picture has.
    fn known_topics(&self) -> BTreeMap<Arc<str>, Arc<TopicInfo>> {
        self.topics
            .keys()
            .filter_map(|name| Some((Arc::clone(name), Arc::clone(self.cluster.topic(name)?))))
            .collect()
    }

    /// The topic as it is from now on, or `None` if it is not there.
    fn take_topic(
        &mut self,
        name: &Arc<str>,
        answer: &MetadataTopic,
        old: Option<Arc<TopicInfo>>,
        trusts_epochs: bool,
    ) -> Option<Arc<TopicInfo>> {
        let update_version = self.update_version;
        let interest = self.topics.get_mut(name)?;
        let taken = interest.take(name, answer, old, (update_version, trusts_epochs));
        if taken.tells_news {
            self.equivalent_answers = 0;
        }
        if taken.is_stale {
            self.request_full();
        }
        taken.topic
    }

    /// Topics that the next answer makes forgotten.
    pub(super) fn idle_topics(&self, now: Instant) -> Vec<Arc<str>> {
        let idle = |interest: &Interest| !interest.is_new && interest.expires <= now;
        let topics = self.topics.iter().filter(|(_, interest)| idle(interest));
        topics.map(|(name, _)| Arc::clone(name)).collect()
    }

    /// Waited-for topics are in use; others go when their time has come, epochs and all (B16).
    fn forget_idle_topics(&mut self, now: Instant) {
        let expires = deadline(now, self.config.max_idle);
        for waiter in self.waiters.values() {
            if let Some(interest) = self.topics.get_mut(&waiter.topic) {
                interest.expires = expires;
            }
        }
        self.topics.retain(|name, interest| {
            let is_kept = interest.is_new || interest.expires > now;
            if !is_kept {
                log::debug!("topic {name} was not used, its metadata is forgotten");
                #[cfg(feature = "planted")]
                self.evicted.insert(Arc::clone(name));
            }
            is_kept
        });
    }

    /// Makes the builder's picture, with these topics, the picture of now.
    fn publish(
        &mut self,
        builder: ClusterBuilder,
        nodes: &BTreeSet<NodeId>,
        topics: impl IntoIterator<Item = Arc<TopicInfo>>,
    ) {
        let mut builder = builder.without_topics();
        for topic in topics {
            builder = builder.topic(with_leaders_among(nodes, topic));
        }
        self.cluster = builder.build();
    }

    /// The request failed, or its answer is of no use (B21).
    pub(super) fn update_failed(&mut self, now: Instant, random: &mut Random) {
        self.failed_attempts = self.failed_attempts.saturating_add(1);
        self.equivalent_answers = 0;
        self.finish_refresh(now, random);
    }

    fn finish_refresh(&mut self, now: Instant, random: &mut Random) {
        self.last_refresh = Some(now);
        let after =
            |count: u32, random: &mut Random| self.backoff.backoff(count.saturating_sub(1), random);
        self.backoff_after_failure = after(self.failed_attempts, random);
        self.backoff_after_equivalent = match self.equivalent_answers {
            0 => Duration::ZERO,
            // Without `retry.backoff.ms` brokers would be asked as fast as they answer, and with one
            // request in flight nothing else would get through.
            count => after(count, random).max(SHORTEST_PAUSE),
        };
    }

    pub(super) fn note_failure(&mut self, error: Error) {
        self.last_failure = Some(error);
    }

    /// Takes the leader that a produce response names, if it is news and complete (B22).
    pub(super) fn update_leader(
        &mut self,
        (topic, partition): (&str, i32),
        hint: LeaderHint,
        endpoints: &[Node],
    ) -> bool {
        let (leader, epoch) = (NodeId(hint.leader_id), hint.leader_epoch);
        let node = endpoints
            .iter()
            .find(|node| node.id == leader)
            .or_else(|| self.cluster.node(leader))
            .cloned();
        let (Some(node), Some(old)) = (node, self.cluster.topic(topic)) else {
            return false;
        };
        let mut next = TopicInfo::clone(old);
        let Ok(index) = usize::try_from(partition) else {
            return false;
        };
        let Some(place) = next.partitions.get_mut(index) else {
            return false;
        };
        let seen = self
            .topics
            .get_mut(topic)
            .and_then(|interest| interest.epochs.get_mut(index));
        let newest = seen.as_ref().map_or(NO_EPOCH, |seen| **seen);
        if leader.0 < 0 || epoch <= place.leader_epoch.max(newest).max(NO_EPOCH) {
            return false;
        }
        *place = PartitionInfo {
            leader: Some(leader),
            leader_epoch: epoch,
        };
        if let Some(seen) = seen {
            *seen = epoch;
        }
        let mut builder = self.cluster.to_builder();
        if self.cluster.node(leader) != Some(&node) {
            let others = self.cluster.nodes().filter(|it| it.id != leader).cloned();
            builder = builder.nodes(others.chain([node]));
        }
        self.cluster = builder.topic(next).build();
        true
    }

    /// Begins again with the bootstrap addresses; topics stay known, without leaders (B28).
    pub(super) fn rebootstrap(&mut self) {
        self.request_full();
        self.last_refresh = None;
        if self.cluster.is_bootstrap() {
            return;
        }
        self.equivalent_answers = 0;
        for interest in self.topics.values_mut() {
            // Without ids, topics of another cluster could not be told from older answers.
            if interest.id.is_zero() {
                interest.epochs.fill(NO_EPOCH);
            }
        }
        let builder = self
            .cluster
            .to_builder()
            .bootstrap_nodes(self.bootstrap.iter().cloned());
        let topics = self.known_topics();
        self.publish(builder, &BTreeSet::new(), topics.into_values());
    }

    /// The error of a wait that ran out, see [`super::Metadata::timed_out`].
    pub(super) fn timed_out(&self, topic: &str, partition: Option<i32>, waited: Duration) -> Error {
        let waited_ms = waited.as_millis();
        let known = self.cluster.topic(topic);
        let what = match (partition, known) {
            (Some(partition), Some(known)) => format!(
                "partition {partition} of topic {topic} with {} partitions",
                known.partitions.len()
            ),
            (_, _) => format!("topic {topic}"),
        };
        let missing = format!("{what} not present in metadata after {waited_ms} ms");
        let topic_error = self.topics.get(topic).and_then(|interest| interest.error);
        if let Some((code, _)) = topic_error {
            let source = code.to_error(&format!("metadata of topic {topic}"));
            let message = format!("{missing}: {source} (max.block.ms)");
            return Error::new(ErrorKind::Timeout, message).with_source(source);
        }
        let Some(failure) = self.last_failure.clone() else {
            let message = format!("{missing} (max.block.ms)");
            return Error::new(ErrorKind::Timeout, message);
        };
        let message = if self.cluster.is_bootstrap() {
            let servers: Vec<_> = self
                .bootstrap
                .iter()
                .map(|node| format!("{}:{}", node.host, node.port))
                .collect();
            format!(
                "{missing}: no broker of {} answered; the last one failed with: {failure} \
                 (bootstrap.servers, max.block.ms)",
                servers.join(",")
            )
        } else {
            format!("{missing}: {failure} (max.block.ms)")
        };
        Error::new(ErrorKind::Timeout, message).with_source(failure)
    }
}

/// The same topic, unless it has a leader that is not a node of the picture.
fn with_leaders_among(nodes: &BTreeSet<NodeId>, topic: Arc<TopicInfo>) -> Arc<TopicInfo> {
    let is_gone = |partition: &PartitionInfo| {
        partition
            .leader
            .is_some_and(|leader| !nodes.contains(&leader))
    };
    if !topic.partitions.iter().any(is_gone) {
        return topic;
    }
    let mut topic = TopicInfo::clone(&topic);
    for partition in topic.partitions.iter_mut().filter(|it| is_gone(it)) {
        partition.leader = None;
    }
    Arc::new(topic)
}

pub(super) fn has_partition(cluster: &Cluster, topic: &str, partition: Option<i32>) -> bool {
    cluster.topic(topic).is_some_and(|known| {
        let index = partition.map_or(Some(0), |partition| usize::try_from(partition).ok());
        index.is_some_and(|index| index < known.partitions.len())
    })
}

/// After an answer that told nothing new.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
/// From this version of Metadata on an epoch in an answer is the leader's, not a guess.
const EPOCHS_ARE_RELIABLE: i16 = 9;

#[cfg(test)]
#[path = "metadata_tests/mod.rs"]
mod tests;
