//! What is known of the cluster, what ought to be, and who waits for it: the monitor that the
//! application's threads and the Sender share.
//!
//! Java's counterparts: `Metadata`, `ProducerMetadata`. Thread: any. Locks: its own, a leaf; wakers
//! are called after it. The picture of now is read without it. The rules are [`MetadataState`]'s.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::{Duration, Instant};

use super::metadata_state::{MetadataAsk, MetadataState, WaiterId, has_partition};
use crate::cluster::{Cluster, Node};
use crate::error::Error;
use crate::network::Wakeup;
use crate::planted::{Plant, planted};
use crate::protocol::messages::{LeaderHint, MetadataResponse};
use crate::random::Random;
use crate::sync::{ArcSwap, Mutex};

/// The keys that metadata goes by.
#[derive(Debug, Clone)]
pub(crate) struct MetadataConfig {
    /// `metadata.max.age.ms`
    pub(crate) max_age: Duration,
    /// `metadata.max.idle.ms`
    pub(crate) max_idle: Duration,
    /// `retry.backoff.ms`
    pub(crate) retry_backoff: Duration,
    /// `retry.backoff.max.ms`
    pub(crate) retry_backoff_max: Duration,
}

/// The monitor that both sides see.
#[derive(Debug)]
pub(crate) struct Metadata(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The state's picture; stored under the lock, loaded without it.
    cluster: ArcSwap<Cluster>,
    state: Mutex<MetadataState>,
    wakeup: Wakeup,
    users: Users,
}

/// Who else has something to do with topics; nobody, unless told.
#[derive(Default)]
struct Users(OnceLock<HasRecords>);

/// Whether records for a topic wait to be sent.
type HasRecords = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// One waiter's place; made by `Default`, used for one wait, removes itself when dropped or ready.
#[derive(Debug, Default)]
pub(crate) struct MetadataTicket(Option<(Arc<Shared>, WaiterId)>);

/// How a wait for a topic stands.
#[derive(Debug)]
pub(crate) enum TopicAwait {
    Ready(Arc<Cluster>),
    /// The waker will be called when it is worth asking again.
    Pending,
    Failed(Error),
}

impl Metadata {
    pub(crate) fn new(config: MetadataConfig, bootstrap: Vec<Node>, wakeup: Wakeup) -> Self {
        let state = MetadataState::new(config, bootstrap);
        Self(Arc::new(Shared {
            cluster: ArcSwap::new(Arc::clone(state.cluster())),
            state: Mutex::new(state),
            wakeup,
            users: Users::default(),
        }))
    }

    /// Before a topic is forgotten because nothing was sent to it for long, `has_records` is asked
    /// whether something waits to be. On the Sender thread, without a lock; told once.
    pub(crate) fn ask_before_forgetting(
        &self,
        has_records: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) {
        let _ = self.0.users.0.set(Box::new(has_records));
    }

    /// The picture of now: one atomic load, no lock.
    pub(crate) fn cluster(&self) -> Arc<Cluster> {
        self.0.cluster.load_full()
    }

    /// Asks for a topic (and, if given, a partition of it) to be known. Never blocks; the caller
    /// owns the deadline and says so by `timed_out` afterwards. Topics that are known already cost
    /// one atomic load; they are kept in use by `touch`.
    pub(crate) fn await_topic(
        &self,
        topic: &str,
        partition: Option<i32>,
        ticket: &mut MetadataTicket,
        waker: &Waker,
        now: Instant,
    ) -> TopicAwait {
        let cluster = self.0.cluster.load();
        if has_partition(&cluster, topic, partition) {
            ticket.leave();
            return TopicAwait::Ready(Arc::clone(&cluster));
        }
        let mut id = ticket.0.as_ref().map(|(_, id)| *id);
        let is_new = id.is_none();
        // Cloned before the lock is taken and dropped after it: wakers are the user's code.
        let mut waker = Some(waker.clone());
        let decision =
            self.0
                .state
                .lock()
                .await_topic(&mut id, (topic, partition), &mut waker, now);
        match decision {
            Some(result) => {
                ticket.leave();
                result.map_or_else(TopicAwait::Failed, TopicAwait::Ready)
            }
            None => {
                if let (true, Some(id)) = (is_new, id) {
                    ticket.0 = Some((Arc::clone(&self.0), id));
                    self.0.wakeup.wake();
                }
                TopicAwait::Pending
            }
        }
    }

    /// The error for a wait that ran out: names topic, partition, partition count, time and keys,
    /// with the topic's last metadata error as source, or else why no broker could be asked (B6, B7).
    pub(crate) fn timed_out(&self, topic: &str, partition: Option<i32>, waited: Duration) -> Error {
        self.0.state.lock().timed_out(topic, partition, waited)
    }

    /// The topic is in use: its expiry is renewed (B2); a topic that was forgotten meanwhile is
    /// asked for again. Called by the Sender once per drained batch's topic.
    pub(crate) fn touch(&self, topic: &Arc<str>, now: Instant) {
        self.0.state.lock().touch(topic, now);
    }

    /// Something was stale: a full update is due, after backoff. Called by the Sender, whose next
    /// `poll` sees to it.
    pub(crate) fn request_update(&self) {
        if planted(Plant::R69) {
            // rskafka 2f67e11: the error was retried, the picture behind it was not looked at.
            return;
        }
        self.0.state.lock().request_full();
    }

    /// A leader as a produce response hints (B22): taken if it is complete and newer than what is
    /// known. `endpoints` are the response's own nodes.
    pub(crate) fn update_leader(
        &self,
        topic: &str,
        partition: i32,
        leader: LeaderHint,
        endpoints: &[Node],
    ) -> bool {
        let mut state = self.0.state.lock();
        let is_taken = state.update_leader((topic, partition), leader, endpoints);
        self.0.publish(&state);
        is_taken
    }

    /// Fails all waits, now and later, with "closed".
    pub(crate) fn close(&self) {
        let wakers = self.0.state.lock().close();
        wake_all(wakers);
    }

    #[cfg(any(test, interleave))]
    pub(super) fn waiter_count(&self) -> usize {
        self.0.state.lock().waiter_count()
    }

    /// How long until a request is due; zero if it is.
    pub(super) fn time_to_next_update(&self, now: Instant) -> Duration {
        self.0.state.lock().time_to_next_update(now)
    }

    /// What the next request asks for.
    pub(super) fn ask(&self, now: Instant) -> MetadataAsk {
        self.0.state.lock().ask(now)
    }

    /// An answer to `ask` in this version of the API; it names at least one broker.
    pub(super) fn update(
        &self,
        ask: (&MetadataAsk, i16),
        response: MetadataResponse,
        now: Instant,
        random: &mut Random,
    ) {
        let idle = self.0.state.lock().idle_topics(now);
        for topic in idle.iter().filter(|topic| self.0.users.use_topic(topic)) {
            self.touch(topic, now);
        }
        let mut state = self.0.state.lock();
        let wakers = state.update(ask, response, now, random);
        self.0.publish(&state);
        drop(state);
        wake_all(wakers);
    }

    /// A request failed, or its answer was of no use.
    pub(super) fn update_failed(&self, now: Instant, random: &mut Random) {
        self.0.state.lock().update_failed(now, random);
    }

    /// Why a connection or request failed: what a wait that runs out has to say.
    pub(super) fn note_failure(&self, error: Error) {
        self.0.state.lock().note_failure(error);
    }

    /// No broker can tell what is asked: fails the waits of now.
    pub(super) fn fail_waiters(&self, error: &Error) {
        let wakers = self.0.state.lock().fail_waiters(error);
        wake_all(wakers);
    }

    /// Begins again with the bootstrap addresses.
    pub(super) fn rebootstrap(&self) {
        let mut state = self.0.state.lock();
        state.rebootstrap();
        self.0.publish(&state);
    }
}

impl Users {
    fn use_topic(&self, topic: &str) -> bool {
        self.0.get().is_some_and(|has_records| has_records(topic))
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Users")
            .field(&self.0.get().is_some())
            .finish()
    }
}

impl Shared {
    fn publish(&self, state: &MetadataState) {
        if !Arc::ptr_eq(&self.cluster.load(), state.cluster()) {
            self.cluster.store(Arc::clone(state.cluster()));
        }
    }
}

impl MetadataTicket {
    fn leave(&mut self) {
        if let Some((shared, id)) = self.0.take() {
            // The waker in it is dropped after the lock is.
            let _waiter = shared.state.lock().remove_waiter(id);
        }
    }
}

impl Drop for MetadataTicket {
    fn drop(&mut self) {
        self.leave();
    }
}

fn wake_all(wakers: Vec<Waker>) {
    for waker in wakers {
        waker.wake();
    }
}
