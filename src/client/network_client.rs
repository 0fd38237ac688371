//! Sends requests to nodes and brings back one response for each (Java: `NetworkClient`).
//!
//! Thread: Sender. Locks: metadata's, for moments. What `poll` does with what the network brought
//! is in `network_events.rs`, whom to ask for metadata in `metadata_updater.rs`.
//! Invariants: every accepted request leaves in exactly one [`ClientResponse`]; nothing is sent in a
//! version the node did not name, to a node that is not Ready, or over a send in progress; with
//! nothing to do `poll` waits until the next of: metadata due, backoff over, setup or request overdue.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::api_versions::ApiVersions;
use super::cluster_connection_states::ClusterConnectionStates;
use super::host_resolver::{Addresses, Lookup};
use super::in_flight_requests::{InFlightRequest, InFlightRequests};
use super::metadata_state::MetadataAsk;
use super::metadata_updater::{MetadataRecovery, MetadataUpdater};
use super::{ClientRequest, ClientResponse, HostResolver, KafkaClient, Metadata, Outcome};
use crate::backoff::ExponentialBackoff;
use crate::cluster::{Node, NodeId};
use crate::error::{Error, ErrorKind};
use crate::network::{NetworkSend, PollOutcome, Selectable, Send};
use crate::protocol::messages::ApiRequest;
use crate::protocol::{FrameWriter, RequestHeader, VersionRange};
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

/// The production [`KafkaClient`].
#[derive(Debug)]
pub(crate) struct NetworkClient<S, T> {
    pub(super) config: NetworkClientConfig,
    pub(super) selector: S,
    pub(super) resolver: HostResolver,
    pub(super) random: Random,
    pub(super) metadata: Arc<Metadata>,
    pub(super) updater: MetadataUpdater,
    pub(super) states: ClusterConnectionStates,
    pub(super) api_versions: ApiVersions,
    pub(super) in_flight: InFlightRequests<Asker<T>>,
    /// Connected, but ApiVersions is not sent yet.
    pub(super) to_check: BTreeSet<NodeId>,
    /// Responses for the next `poll` to return.
    pub(super) done: Vec<ClientResponse<T>>,
    next_correlation_id: i32,
    /// Empty between polls; kept for its memory.
    outcome: PollOutcome,
}

/// Who sent a request: somebody above, or the client itself.
#[derive(Debug)]
pub(super) enum Asker<T> {
    User(T),
    ApiVersions,
    Metadata(MetadataAsk),
}

/// What goes with a request of a known version.
#[derive(Debug)]
pub(super) struct Dispatch<T> {
    pub(super) node: NodeId,
    pub(super) version: i16,
    pub(super) timeout: Duration,
    pub(super) expects_response: bool,
    pub(super) asker: Asker<T>,
}

impl<S: Selectable, T> NetworkClient<S, T> {
    pub(crate) fn new(
        config: NetworkClientConfig,
        metadata: Arc<Metadata>,
        selector: S,
        resolver: HostResolver,
        mut random: Random,
    ) -> Self {
        let states = ClusterConnectionStates::new(
            ExponentialBackoff::new(config.reconnect_backoff, config.reconnect_backoff_max),
            ExponentialBackoff::new(
                config.connection_setup_timeout,
                config.connection_setup_timeout_max,
            ),
            random.split(),
        );
        Self {
            updater: MetadataUpdater::new(
                Arc::clone(&metadata),
                config.metadata_recovery,
                config.request_timeout,
            ),
            in_flight: InFlightRequests::new(config.max_in_flight),
            config,
            selector,
            resolver,
            random,
            metadata,
            states,
            api_versions: ApiVersions::default(),
            to_check: BTreeSet::new(),
            done: Vec::new(),
            next_correlation_id: 0,
            outcome: PollOutcome::default(),
        }
    }

    /// The other side of the seam, for who plays it.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn selector(&mut self) -> &mut S {
        &mut self.selector
    }

    pub(super) fn can_send(&self, node: NodeId, now: Instant) -> bool {
        self.states.is_ready(node, now)
            && self.selector.is_channel_ready(node)
            && self.in_flight.can_send_more(node)
    }

    pub(super) fn initiate_connect(&mut self, node: &Node, now: Instant) {
        self.states.begin(node, now);
        if self.states.has_address(node.id) {
            return self.connect_to_next_address(node.id, now);
        }
        match self.resolver.lookup(&node.host, node.port) {
            Lookup::Done(addresses) => self.take_addresses(node.id, addresses, now),
            Lookup::Pending(ticket) => self.states.resolving(node.id, ticket),
        }
    }

    /// Answers of the resolver that came meanwhile.
    pub(super) fn handle_resolved(&mut self, now: Instant) {
        while let Some((ticket, addresses)) = self.resolver.next_answer() {
            if let Some(node) = self.states.waiting_for(ticket) {
                self.take_addresses(node, addresses, now);
            }
        }
    }

    fn take_addresses(&mut self, node: NodeId, addresses: Addresses, now: Instant) {
        let why_not = match addresses {
            Ok(addresses) if addresses.is_empty() => "the name has no address".to_owned(),
            Ok(addresses) => {
                self.states.resolved(node, addresses);
                return self.connect_to_next_address(node, now);
            }
            Err(error) => error.to_string(),
        };
        let address = self.states.address(node);
        let message = format!("could not resolve {address}: {why_not}");
        self.connection_failed(node, Error::new(ErrorKind::Network, message), now);
    }

    fn connect_to_next_address(&mut self, node: NodeId, now: Instant) {
        let Some(address) = self.states.next_address(node) else {
            return;
        };
        log::debug!("connecting to {} at {address}", self.states.address(node));
        if let Err(error) = self.selector.connect(node, address, now) {
            let node_address = self.states.address(node);
            let message = format!("could not connect to {node_address}: {address}: {error}");
            let error = Error::new(ErrorKind::Network, message).with_source(error);
            self.connection_failed(node, error, now);
        }
    }

    pub(super) fn dispatch(&mut self, body: &ApiRequest, to: Dispatch<T>, now: Instant) {
        let correlation_id = self.take_correlation_id();
        let header = RequestHeader {
            api_key: body.api_key(),
            version: to.version,
            correlation_id,
            client_id: &self.config.client_id,
        };
        let mut out = FrameWriter::default();
        header.encode(&mut out);
        body.encode(to.version, &mut out);
        let mut send = Send::new(out.into_parts());
        if to.expects_response {
            // Nobody acts upon the end of the send alone.
            send = send.completion_may_wait();
        }
        log::trace!(
            "{} v{} with correlation id {correlation_id} of {} bytes to node {}",
            body.api_key().name(),
            to.version,
            send.remaining(),
            to.node
        );
        let request = InFlightRequest {
            correlation_id,
            api_key: body.api_key(),
            version: to.version,
            expects_response: to.expects_response,
            created: now,
            expires: crate::time::deadline(now, to.timeout),
            timeout: to.timeout,
            asker: to.asker,
            is_sent: false,
            written: None,
        };
        self.in_flight.add(to.node, request);
        let is_written = self.selector.send(NetworkSend {
            node: to.node,
            id: send_id(correlation_id),
            send,
        });
        // The node is free for the next one at once; a request without response ends by `poll`.
        if is_written && to.expects_response {
            self.in_flight.sent(to.node, correlation_id, now);
        }
    }

    /// From 0 up and round, without those that SASL takes for itself (B129).
    fn take_correlation_id(&mut self) -> i32 {
        let id = self.next_correlation_id;
        self.next_correlation_id = if id + 1 >= FIRST_SASL_CORRELATION_ID {
            i32::MIN
        } else {
            id + 1
        };
        id
    }

    /// What a node said of its versions holds for one connection: the next one may tell better. A
    /// connection that has something else to do is left to it.
    pub(super) fn ask_for_versions_again(&mut self, node: NodeId, error: &Error, now: Instant) {
        if self.in_flight.count(node) == 0 {
            self.close_connection(node, error, now);
        }
    }

    /// Requests of others, without those of the client.
    fn refuse(&mut self, request: ClientRequest<T>, outcome: Outcome, now: Instant) {
        self.done.push(ClientResponse {
            node: request.node,
            tag: request.tag,
            created: now,
            written: None,
            received: now,
            outcome,
        });
    }

    /// Dekaf f8124a8c5: whoever is throttled does nothing else meanwhile (R72).
    #[cfg(feature = "planted")]
    fn sleep_while_throttled(&mut self, outcome: &mut PollOutcome) {
        use crate::planted::{Plant, planted};
        while planted(Plant::R72) {
            let now = self.config.time.now();
            let Some(until) = self.states.throttled_until().filter(|until| *until > now) else {
                return;
            };
            let mut more = PollOutcome::default();
            let left = until.saturating_duration_since(now);
            if self.selector.poll(left, now, &mut more).is_err() {
                return;
            }
            outcome.connected.append(&mut more.connected);
            outcome.disconnected.append(&mut more.disconnected);
            outcome.completed_sends.append(&mut more.completed_sends);
            outcome.receives.append(&mut more.receives);
        }
    }

    fn time_to_next_timer(&self, now: Instant) -> Duration {
        [
            self.states.next_setup_deadline(),
            self.in_flight.next_expiry(),
            self.updater.rebootstrap_at(),
        ]
        .into_iter()
        .flatten()
        .min()
        .map_or(Duration::MAX, |next| next.saturating_duration_since(now))
    }
}

impl<S: Selectable, T> KafkaClient<T> for NetworkClient<S, T> {
    /// While metadata is due nobody is ready, so that its request goes first (B24).
    fn ready(&mut self, node: &Node, now: Instant) -> bool {
        if self.can_send(node.id, now) {
            return !self.updater.is_update_due(now);
        }
        if self.states.can_connect(node.id, now) {
            self.initiate_connect(node, now);
        }
        false
    }

    fn poll_delay(&self, node: &Node, now: Instant) -> Duration {
        if !self.can_send(node.id, now) {
            return self.states.delay(node.id, now);
        }
        if self.updater.is_update_due(now) {
            return Duration::MAX;
        }
        Duration::ZERO
    }

    fn send(&mut self, request: ClientRequest<T>, now: Instant) {
        let node = request.node;
        if !self.can_send(node, now) {
            let message = format!("{} is not ready for a request", self.states.address(node));
            let outcome = Outcome::Disconnected {
                maybe_written: false,
                error: Error::new(ErrorKind::Network, message),
            };
            return self.refuse(request, outcome, now);
        }
        let api_key = request.body.api_key();
        match self
            .api_versions
            .usable_version(node, api_key, request.versions)
        {
            Ok(version) => {
                let dispatch = Dispatch {
                    node,
                    version,
                    timeout: request.timeout,
                    expects_response: request.expects_response,
                    asker: Asker::User(request.tag),
                };
                self.dispatch(&request.body, dispatch, now);
            }
            Err(none) => {
                let message = format!("{}: {none}", self.states.address(node));
                let error = Error::new(ErrorKind::UnsupportedVersion, message);
                let is_of_node = self
                    .api_versions
                    .usable_version(node, api_key, VersionRange::ALL)
                    .is_err();
                if is_of_node {
                    self.ask_for_versions_again(node, &error, now);
                }
                self.refuse(request, Outcome::UnsupportedVersion(error), now);
            }
        }
    }

    fn poll(&mut self, timeout: Duration, now: Instant, out: &mut Vec<ClientResponse<T>>) {
        self.handle_resolved(now);
        let until_metadata = self.maybe_update_metadata(now);
        // What is known already is not kept waiting, nor does it keep the network from its turn.
        let timeout = if self.done.is_empty() {
            timeout
                .min(until_metadata)
                .min(self.time_to_next_timer(now))
        } else {
            Duration::ZERO
        };
        let mut outcome = std::mem::take(&mut self.outcome);
        if let Err(error) = self.selector.poll(timeout, now, &mut outcome) {
            log::error!("the operating system's selector failed: {error}");
        }
        #[cfg(feature = "planted")]
        self.sleep_while_throttled(&mut outcome);
        let now = self.config.time.now();
        self.handle_completed_sends(&outcome, now);
        self.handle_completed_receives(&mut outcome, now);
        self.handle_disconnections(&mut outcome, now);
        self.handle_connections(&outcome);
        self.outcome = outcome;
        self.handle_resolved(now);
        self.handle_initiate_api_versions(now);
        self.handle_timed_out_connections(now);
        self.handle_timed_out_requests(now);
        self.handle_rebootstrap(now);
        out.append(&mut self.done);
    }

    fn least_loaded_node(&mut self, now: Instant) -> Option<Node> {
        self.choose_node(now).map(|(node, _)| node)
    }
}

/// A correlation id as the name of a send, and back.
fn send_id(correlation_id: i32) -> u64 {
    u64::from(u32::from_ne_bytes(correlation_id.to_ne_bytes()))
}

pub(super) fn correlation_id_of(send_id: u64) -> i32 {
    let low = u32::try_from(send_id & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    i32::from_ne_bytes(low.to_ne_bytes())
}

/// The last eight are for authentication, which counts by itself.
const FIRST_SASL_CORRELATION_ID: i32 = i32::MAX - 7;

#[cfg(test)]
#[path = "network_client_tests/mod.rs"]
mod tests;
