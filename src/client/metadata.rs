//! What is known of the cluster, what ought to be, and who waits for it.
//!
//! Java's counterparts: `Metadata`, `ProducerMetadata`. Thread: any. Locks: its own, a leaf.

use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::cluster::{Cluster, Node};
use crate::error::Error;
use crate::network::Wakeup;

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
pub(crate) struct Metadata {}

/// One waiter's place; made by `Default`, used for one wait, removes itself when dropped or ready.
#[derive(Debug, Default)]
pub(crate) struct MetadataTicket {}

/// How a wait for a topic stands.
#[derive(Debug)]
pub(crate) enum TopicAwait {
    Ready(Arc<Cluster>),
    /// The waker will be called when it is worth asking again.
    Pending,
    Failed(Error),
}

impl Metadata {
    pub(crate) fn new(_config: MetadataConfig, _bootstrap: Vec<Node>, _wakeup: Wakeup) -> Self {
        todo!("client room")
    }

    /// The picture of now: one atomic load, no lock.
    pub(crate) fn cluster(&self) -> Arc<Cluster> {
        todo!("client room")
    }

    /// Asks for a topic (and, if given, a partition of it) to be known. Never blocks; the caller
    /// owns the deadline and says so by `timed_out` afterwards.
    pub(crate) fn await_topic(
        &self,
        _topic: &str,
        _partition: Option<i32>,
        _ticket: &mut MetadataTicket,
        _waker: &Waker,
        _now: Instant,
    ) -> TopicAwait {
        todo!("client room")
    }

    /// The error for a wait that ran out: names topic, partition, partition count, time and keys,
    /// with the topic's last metadata error as source (B6, B7).
    pub(crate) fn timed_out(
        &self,
        _topic: &str,
        _partition: Option<i32>,
        _waited: Duration,
    ) -> Error {
        todo!("client room")
    }

    /// The topic is in use: its expiry is renewed (B2). Called by the Sender once per drained batch's topic.
    pub(crate) fn touch(&self, _topic: &Arc<str>, _now: Instant) {
        todo!("client room")
    }

    /// Something was stale: a full update is due, after backoff.
    pub(crate) fn request_update(&self) {
        todo!("client room")
    }

    /// A leader as a produce response hints (B22).
    pub(crate) fn update_leader(
        &self,
        _topic: &str,
        _partition: i32,
        _leader: crate::protocol::messages::LeaderHint,
        _endpoints: &[Node],
    ) -> bool {
        todo!("client room")
    }

    /// Fails all waits, now and later, with "closed".
    pub(crate) fn close(&self) {
        todo!("client room")
    }
}
