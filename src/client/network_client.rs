//! Sends requests and brings back responses (Java: `NetworkClient`). Thread: Sender. Locks: metadata's.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{ClientRequest, ClientResponse, HostResolver, KafkaClient, Metadata};
use crate::cluster::{Node, NodeId};
use crate::network::Selectable;
use crate::random::Random;
use crate::time::Time;

/// The keys that the client goes by.
#[derive(Debug, Clone)]
pub(crate) struct NetworkClientConfig {
    /// `client.id`
    pub(crate) client_id: Arc<str>,
    /// `max.in.flight.requests.per.connection`
    pub(crate) max_in_flight: usize,
    /// `reconnect.backoff.ms`
    pub(crate) reconnect_backoff: Duration,
    /// `reconnect.backoff.max.ms`
    pub(crate) reconnect_backoff_max: Duration,
    /// `socket.connection.setup.timeout.ms`
    pub(crate) connection_setup_timeout: Duration,
    /// `socket.connection.setup.timeout.max.ms`
    pub(crate) connection_setup_timeout_max: Duration,
    /// `request.timeout.ms`, for the client's own requests; others bring theirs.
    pub(crate) request_timeout: Duration,
    pub(crate) metadata_recovery: MetadataRecovery,
    /// Read once per `poll`, after the wait.
    pub(crate) time: Time,
}

/// `metadata.recovery.strategy`: what happens when no known broker answers any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MetadataRecovery {
    /// `none`
    None,
    /// `rebootstrap`: begin again with `bootstrap.servers`, also after
    /// `metadata.recovery.rebootstrap.trigger.ms` without metadata.
    Rebootstrap { trigger: Duration },
}

/// The production [`KafkaClient`].
#[derive(Debug)]
pub(crate) struct NetworkClient<S, T>(S, PhantomData<T>);

impl<S: Selectable, T> NetworkClient<S, T> {
    pub(crate) fn new(
        _config: NetworkClientConfig,
        _metadata: Arc<Metadata>,
        _selector: S,
        _resolver: HostResolver,
        _random: Random,
    ) -> Self {
        todo!("client room")
    }
}

impl<S: Selectable, T> KafkaClient<T> for NetworkClient<S, T> {
    fn ready(&mut self, _node: &Node, _now: Instant) -> bool {
        todo!("client room")
    }

    fn poll_delay(&self, _node: &Node, _now: Instant) -> Duration {
        todo!("client room")
    }

    fn send(&mut self, _request: ClientRequest<T>, _now: Instant) {
        todo!("client room")
    }

    fn poll(&mut self, _timeout: Duration, _now: Instant, _out: &mut Vec<ClientResponse<T>>) {
        todo!("client room")
    }

    fn least_loaded_node(&mut self, _now: Instant) -> Option<Node> {
        todo!("client room")
    }

    fn disconnect(&mut self, _node: NodeId, _now: Instant) {
        todo!("client room")
    }

    fn in_flight_request_count(&self) -> usize {
        todo!("client room")
    }
}
