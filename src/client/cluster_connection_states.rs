//! How the connection to each node stands, when it may be tried again, and at which of its
//! addresses (Java: `ClusterConnectionStates`).
//!
//! Thread: Sender. Locks: none. Invariants: nothing connects before its backoff is over; only Ready
//! nodes get requests of others than the client itself; a node that is set up ends as Ready or
//! Disconnected by its deadline, whatever hangs: the resolver, TCP or the first answer.
//! ```text
//!                 begin              addresses            TCP            ApiVersions
//!  Disconnected --------> Resolving -----------> Connecting ---> Checking ---------> Ready
//!     ^   ^                   |                      |              |                  |
//!     |   +-------------------+----------------------+--------------+   setup failed:  |
//!     |        failed or overdue: both backoffs grow, next address                     |
//!     +--------------------------------------------------------------------------------+
//!          lost: addresses are forgotten, backoff begins anew
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::host_resolver::LookupTicket;
use crate::backoff::ExponentialBackoff;
use crate::cluster::{Node, NodeId};
use crate::planted::{Plant, planted};
use crate::random::Random;
use crate::time::deadline;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectionState {
    Disconnected,
    /// `None`: the lookup is about to begin.
    Resolving(Option<LookupTicket>),
    Connecting,
    /// ApiVersions is on its way, the only request there may be.
    CheckingApiVersions,
    Ready,
}

#[derive(Debug)]
struct NodeConnection {
    host: Arc<str>,
    port: u16,
    state: ConnectionState,
    last_attempt: Instant,
    /// Not before; over when the connection is Ready.
    backoff_until: Instant,
    /// Disconnects since the last Ready.
    failures: u32,
    /// Of them, those before ApiVersions was answered.
    setup_failures: u32,
    setup_timeout: Duration,
    setup_deadline: Instant,
    throttled_until: Option<Instant>,
    /// Not tried yet, the next first.
    addresses: VecDeque<SocketAddr>,
    last_address: Option<IpAddr>,
}

/// The states of all nodes that were ever connected to and are still of interest.
#[derive(Debug)]
pub(super) struct ClusterConnectionStates {
    reconnect: ExponentialBackoff,
    setup: ExponentialBackoff,
    random: Random,
    nodes: BTreeMap<NodeId, NodeConnection>,
}

impl ClusterConnectionStates {
    pub(super) fn new(
        reconnect: ExponentialBackoff,
        setup: ExponentialBackoff,
        random: Random,
    ) -> Self {
        Self {
            reconnect,
            setup,
            random,
            nodes: BTreeMap::new(),
        }
    }

    pub(super) fn state(&self, node: NodeId) -> ConnectionState {
        self.nodes
            .get(&node)
            .map_or(ConnectionState::Disconnected, |it| it.state)
    }

    /// Whether a connection may be begun: there is none, and the backoff is over.
    pub(super) fn can_connect(&self, node: NodeId, now: Instant) -> bool {
        self.nodes
            .get(&node)
            .is_none_or(|it| it.state == ConnectionState::Disconnected && it.backoff_until <= now)
    }

    /// How long until something can be done with a node that is not usable now; zero if a
    /// connection may be begun, `MAX` if only an event can tell.
    pub(super) fn delay(&self, node: NodeId, now: Instant) -> Duration {
        let Some(it) = self.nodes.get(&node) else {
            return Duration::ZERO;
        };
        match it.state {
            ConnectionState::Disconnected => it.backoff_until.saturating_duration_since(now),
            ConnectionState::Resolving(_)
            | ConnectionState::Connecting
            | ConnectionState::CheckingApiVersions => Duration::MAX,
            ConnectionState::Ready => match self.throttle_delay(node, now) {
                Duration::ZERO => Duration::MAX,
                delay => delay,
            },
        }
    }

    /// Begins to set a connection up. A node that moved to another host or port begins anew (B32).
    pub(super) fn begin(&mut self, node: &Node, now: Instant) {
        let it = self
            .nodes
            .entry(node.id)
            .or_insert_with(|| NodeConnection::new(node, now));
        if it.host != node.host || it.port != node.port {
            *it = NodeConnection::new(node, now);
        }
        debug_assert!(it.state == ConnectionState::Disconnected, "{node}");
        it.state = ConnectionState::Resolving(None);
        it.last_attempt = now;
        it.setup_timeout = self.setup.backoff(it.setup_failures, &mut self.random);
        if planted(Plant::R71) {
            // KAFKA-9893: TCP was to find out by itself.
            it.setup_timeout = Duration::MAX;
        }
        it.setup_deadline = deadline(now, it.setup_timeout);
    }

    /// Whether an address of an earlier lookup is not tried yet.
    pub(super) fn has_address(&self, node: NodeId) -> bool {
        self.nodes
            .get(&node)
            .is_some_and(|it| !it.addresses.is_empty())
    }

    /// The next address to connect to.
    pub(super) fn next_address(&mut self, node: NodeId) -> Option<SocketAddr> {
        let it = self.nodes.get_mut(&node)?;
        let address = it.addresses.pop_front()?;
        it.last_address = Some(address.ip());
        it.state = ConnectionState::Connecting;
        Some(address)
    }

    pub(super) fn resolving(&mut self, node: NodeId, ticket: LookupTicket) {
        if let Some(it) = self.nodes.get_mut(&node) {
            it.state = ConnectionState::Resolving(Some(ticket));
        }
    }

    /// Who waits for a lookup, if anybody still does.
    pub(super) fn waiting_for(&self, ticket: LookupTicket) -> Option<NodeId> {
        self.nodes
            .iter()
            .find(|(_, it)| it.state == ConnectionState::Resolving(Some(ticket)))
            .map(|(node, _)| *node)
    }

    /// Takes what a node's name means: all addresses, those of the first one's family first, where
    /// the one tried last is not tried again first if there are others (B31). The other family is
    /// not left out, as in Java, because `localhost` is `::1` first on most systems, and brokers
    /// often listen on IPv4 only; Java's runtime prefers IPv4.
    pub(super) fn resolved(&mut self, node: NodeId, addresses: Vec<SocketAddr>) {
        let Some(it) = self.nodes.get_mut(&node) else {
            return;
        };
        let is_v4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
        let (first_family, other_family): (Vec<_>, Vec<_>) = addresses
            .into_iter()
            .partition(|address| address.is_ipv4() == is_v4);
        it.addresses = first_family.into_iter().chain(other_family).collect();
        let first = it.addresses.front().map(SocketAddr::ip);
        if it.addresses.len() > 1 && first == it.last_address {
            it.addresses.rotate_left(1);
        }
    }

    /// TCP stands; what follows has as much time again.
    pub(super) fn checking_api_versions(&mut self, node: NodeId, now: Instant) {
        if let Some(it) = self.nodes.get_mut(&node) {
            it.state = ConnectionState::CheckingApiVersions;
            it.setup_deadline = deadline(now, it.setup_timeout);
        }
    }

    pub(super) fn ready(&mut self, node: NodeId) {
        if let Some(it) = self.nodes.get_mut(&node) {
            it.state = ConnectionState::Ready;
            it.failures = 0;
            it.setup_failures = 0;
        }
    }

    /// The connection ended, or was never made.
    pub(super) fn disconnected(&mut self, node: NodeId, now: Instant) {
        let Some(it) = self.nodes.get_mut(&node) else {
            return;
        };
        match it.state {
            ConnectionState::Disconnected => return,
            ConnectionState::Resolving(_) | ConnectionState::Connecting => {
                it.setup_failures = it.setup_failures.saturating_add(1);
            }
            ConnectionState::CheckingApiVersions => {
                it.setup_failures = it.setup_failures.saturating_add(1);
                it.addresses.clear();
            }
            ConnectionState::Ready => it.addresses.clear(),
        }
        if planted(Plant::R70) {
            // KAFKA-12193: the name was never looked up again.
            let known = it.last_address.map(|ip| SocketAddr::new(ip, it.port));
            it.addresses = known.into_iter().collect();
        }
        it.state = ConnectionState::Disconnected;
        it.backoff_until = deadline(now, self.reconnect.backoff(it.failures, &mut self.random));
        it.failures = it.failures.saturating_add(1);
    }

    /// Nothing is sent to the node before `until`, which never moves back (KIP-219).
    pub(super) fn throttle(&mut self, node: NodeId, until: Instant) {
        if let Some(it) = self.nodes.get_mut(&node) {
            it.throttled_until = it.throttled_until.max(Some(until));
        }
    }

    /// When the last throttling ends (R72).
    #[cfg(feature = "planted")]
    pub(super) fn throttled_until(&self) -> Option<Instant> {
        self.nodes
            .values()
            .filter_map(|it| it.throttled_until)
            .max()
    }

    pub(super) fn throttle_delay(&self, node: NodeId, now: Instant) -> Duration {
        self.nodes
            .get(&node)
            .and_then(|it| it.throttled_until)
            .map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// Whether requests can be sent as far as the connection goes.
    pub(super) fn is_ready(&self, node: NodeId, now: Instant) -> bool {
        self.state(node) == ConnectionState::Ready && self.throttle_delay(node, now).is_zero()
    }

    pub(super) fn is_setting_up(&self, node: NodeId) -> bool {
        match self.state(node) {
            ConnectionState::Disconnected | ConnectionState::Ready => false,
            ConnectionState::Resolving(_)
            | ConnectionState::Connecting
            | ConnectionState::CheckingApiVersions => true,
        }
    }

    /// When a connection to the node was begun last; `None` is never.
    pub(super) fn last_attempt(&self, node: NodeId) -> Option<Instant> {
        self.nodes.get(&node).map(|it| it.last_attempt)
    }

    /// The host and port the connection goes to, which metadata may have changed since.
    pub(super) fn address(&self, node: NodeId) -> String {
        match self.nodes.get(&node) {
            Some(it) => format!("{}:{} (node {node})", it.host, it.port),
            None => format!("node {node}"),
        }
    }

    /// Nodes whose setup takes too long, with the time they had.
    pub(super) fn overdue(&self, now: Instant) -> Vec<(NodeId, Duration)> {
        self.setting_up()
            .filter(|(_, it)| it.setup_deadline <= now)
            .map(|(node, it)| (node, it.setup_timeout))
            .collect()
    }

    /// When the next setup will be overdue.
    pub(super) fn next_setup_deadline(&self) -> Option<Instant> {
        self.setting_up().map(|(_, it)| it.setup_deadline).min()
    }

    fn setting_up(&self) -> impl Iterator<Item = (NodeId, &NodeConnection)> {
        self.nodes
            .iter()
            .filter(|(node, _)| self.is_setting_up(**node))
            .map(|(node, it)| (*node, it))
    }

    /// Forgets nodes without a connection that are not to be kept.
    pub(super) fn forget(&mut self, is_kept: impl Fn(NodeId) -> bool) {
        self.nodes
            .retain(|node, it| it.state != ConnectionState::Disconnected || is_kept(*node));
    }

    /// Nodes that have a connection, or are getting one.
    pub(super) fn connected(&self) -> Vec<NodeId> {
        self.nodes
            .iter()
            .filter(|(_, it)| it.state != ConnectionState::Disconnected)
            .map(|(node, _)| *node)
            .collect()
    }
}

impl NodeConnection {
    fn new(node: &Node, now: Instant) -> Self {
        Self {
            host: Arc::clone(&node.host),
            port: node.port,
            state: ConnectionState::Disconnected,
            last_attempt: now,
            backoff_until: now,
            failures: 0,
            setup_failures: 0,
            setup_timeout: Duration::ZERO,
            setup_deadline: now,
            throttled_until: None,
            addresses: VecDeque::new(),
            last_address: None,
        }
    }
}

#[cfg(test)]
#[path = "cluster_connection_states_tests.rs"]
mod tests;
