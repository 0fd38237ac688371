//! When to ask whom for metadata, and what to do when nobody is left to ask
//! (Java: `NetworkClient.DefaultMetadataUpdater`).
//!
//! Thread: Sender. Locks: metadata's, for moments. Invariant: at most one request is in flight (B25),
//! and while none can be sent, `poll` has a timer or an event to wait for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Metadata;
use super::cluster_connection_states::ConnectionState;
use super::metadata_state::MetadataAsk;
use super::network_client::{Asker, Dispatch, NetworkClient};
use crate::cluster::{Node, NodeId};
use crate::error::{Error, ErrorKind};
use crate::network::Selectable;
use crate::protocol::messages::{
    ApiRequest, MetadataRequest, MetadataRequestTopic, MetadataResponse,
};
use crate::protocol::{ApiKey, ErrorCode, VersionRange};
use crate::random::Random;
use crate::time::deadline;

/// `metadata.recovery.strategy`: what happens when no known broker answers any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MetadataRecovery {
    /// `none`
    None,
    /// `rebootstrap`: begin again with `bootstrap.servers`; also after `trigger`
    /// (`metadata.recovery.rebootstrap.trigger.ms`) without metadata.
    Rebootstrap { trigger: Duration },
}

/// How far the client is with its metadata.
#[derive(Debug)]
pub(super) struct MetadataUpdater {
    metadata: Arc<Metadata>,
    recovery: MetadataRecovery,
    /// `request.timeout.ms`
    request_timeout: Duration,
    is_in_flight: bool,
    /// When the attempts began that have not succeeded yet.
    attempts_since: Option<Instant>,
    /// A broker said that the cluster is no longer this one (KIP-1102).
    is_sent_away: bool,
}

/// What a node can be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Usable {
    Ready,
    SettingUp,
    Connectable,
}

impl MetadataUpdater {
    pub(super) fn new(
        metadata: Arc<Metadata>,
        recovery: MetadataRecovery,
        request_timeout: Duration,
    ) -> Self {
        Self {
            metadata,
            recovery,
            request_timeout,
            is_in_flight: false,
            attempts_since: None,
            is_sent_away: false,
        }
    }

    pub(super) fn is_update_due(&self, now: Instant) -> bool {
        !self.is_in_flight && self.metadata.time_to_next_update(now).is_zero()
    }

    /// The request got no answer, or one of no use.
    pub(super) fn request_failed(&mut self, now: Instant, random: &mut Random) {
        self.is_in_flight = false;
        self.metadata.update_failed(now, random);
    }

    /// When to begin again with the bootstrap addresses if nothing comes before. One answer is given
    /// some time, whoever has just begun again the most: a shorter trigger would never let any come.
    pub(super) fn rebootstrap_at(&self) -> Option<Instant> {
        let MetadataRecovery::Rebootstrap { trigger } = self.recovery else {
            return None;
        };
        let since = self.attempts_since?;
        let least = if self.metadata.cluster().is_bootstrap() {
            self.request_timeout
        } else {
            self.request_timeout.min(LEAST_TRIGGER)
        };
        Some(deadline(since, trigger.max(least)))
    }

    fn can_rebootstrap(&self) -> bool {
        match self.recovery {
            MetadataRecovery::None => false,
            MetadataRecovery::Rebootstrap { .. } => true,
        }
    }
}

impl<S: Selectable, T> NetworkClient<S, T> {
    /// Sends a request if one is due and can be sent; returns how long `poll` may wait before it
    /// has to look again.
    pub(super) fn maybe_update_metadata(&mut self, now: Instant) -> Duration {
        if self.updater.is_in_flight {
            return Duration::MAX;
        }
        let wait = self.metadata.time_to_next_update(now);
        if !wait.is_zero() {
            return wait;
        }
        self.updater.attempts_since.get_or_insert(now);
        let mut choice = self.choose_node(now);
        if choice.is_none() && self.nobody_is_left() {
            log::info!("no known broker can be reached, beginning again with bootstrap.servers");
            self.metadata.rebootstrap();
            // What was tried before does not count against the bootstrap addresses.
            self.updater.attempts_since = Some(now);
            choice = self.choose_node(now);
        }
        match choice {
            Some((node, Usable::Ready)) => self.ask_for_metadata(node.id, now),
            Some((_, Usable::SettingUp)) => Duration::MAX,
            Some((node, Usable::Connectable)) => {
                self.initiate_connect(&node, now);
                if self.states.is_setting_up(node.id) {
                    return Duration::MAX;
                }
                // Not even the attempt could be made; another node is tried after backoff.
                self.metadata.time_to_next_update(now)
            }
            None => self.delay_of_any_node(now),
        }
    }

    fn nobody_is_left(&self) -> bool {
        let cluster = self.metadata.cluster();
        self.updater.can_rebootstrap()
            && !cluster.is_bootstrap()
            && !cluster
                .nodes()
                .any(|node| self.states.state(node.id) == ConnectionState::Ready)
    }

    /// How long until some node can be tried, if no event comes before.
    fn delay_of_any_node(&self, now: Instant) -> Duration {
        let cluster = self.metadata.cluster();
        cluster
            .nodes()
            .map(|node| self.states.delay(node.id, now))
            .min()
            .unwrap_or(Duration::MAX)
    }

    fn ask_for_metadata(&mut self, node: NodeId, now: Instant) -> Duration {
        let versions = self
            .api_versions
            .usable_version(node, ApiKey::Metadata, VersionRange::ALL);
        let version = match versions {
            Ok(version) => version,
            Err(none) => {
                let message = format!("{}: {none}", self.states.address(node));
                let error = Error::new(ErrorKind::UnsupportedVersion, message);
                log::error!("{error}");
                self.metadata.note_failure(error.clone());
                self.updater.request_failed(now, &mut self.random);
                self.metadata.fail_waiters(&error);
                self.ask_for_versions_again(node, &error, now);
                return self.metadata.time_to_next_update(now);
            }
        };
        let ask = self.metadata.ask(now);
        let topics = ask.topics.iter().map(|name| MetadataRequestTopic {
            name: Arc::clone(name),
        });
        let body = ApiRequest::Metadata(MetadataRequest {
            topics: topics.collect(),
            allow_auto_topic_creation: true,
        });
        let dispatch = Dispatch {
            node,
            version,
            timeout: self.config.request_timeout,
            expects_response: true,
            asker: Asker::Metadata(ask),
        };
        self.updater.is_in_flight = true;
        self.dispatch(&body, dispatch, now);
        // Nodes were not ready while this was due, and are now: whoever polls has to look again.
        Duration::ZERO
    }

    /// The node to ask what any node can be asked (B27): one that is ready, the fewest requests
    /// first; else one that is being set up; else the one that was not tried for the longest time.
    pub(super) fn choose_node(&mut self, now: Instant) -> Option<(Node, Usable)> {
        let cluster = self.metadata.cluster();
        let start = self.random.below(cluster.nodes().len());
        let in_turn = cluster
            .nodes()
            .skip(start)
            .chain(cluster.nodes().take(start));
        let mut ready: Option<(usize, &Node)> = None;
        let mut setting_up: Option<&Node> = None;
        let mut connectable: Option<(Option<Instant>, &Node)> = None;
        for node in in_turn {
            if self.can_send(node.id, now) {
                let count = self.in_flight.count(node.id);
                if ready.is_none_or(|(fewest, _)| count < fewest) {
                    ready = Some((count, node));
                }
                if count == 0 {
                    break;
                }
            } else if self.states.is_setting_up(node.id) {
                setting_up = Some(node);
            } else if self.states.can_connect(node.id, now) {
                let last = self.states.last_attempt(node.id);
                if connectable.is_none_or(|(oldest, _)| last < oldest) {
                    connectable = Some((last, node));
                }
            }
        }
        let (node, usable) = ready
            .map(|(_, node)| (node, Usable::Ready))
            .or_else(|| setting_up.map(|node| (node, Usable::SettingUp)))
            .or_else(|| connectable.map(|(_, node)| (node, Usable::Connectable)))?;
        Some((node.clone(), usable))
    }

    pub(super) fn handle_metadata_response(
        &mut self,
        node: NodeId,
        ask: (&MetadataAsk, i16),
        mut response: MetadataResponse,
        now: Instant,
    ) {
        self.updater.is_in_flight = false;
        let code = ErrorCode(response.error_code);
        keep_possible(&mut response.brokers);
        if code == ErrorCode::REBOOTSTRAP_REQUIRED && self.updater.can_rebootstrap() {
            self.updater.is_sent_away = true;
        } else if !code.is_none() || response.brokers.is_empty() {
            let address = self.states.address(node);
            let error = if code.is_none() {
                let message = format!("metadata from {address} names no broker");
                Error::new(ErrorKind::Protocol, message)
            } else {
                code.to_error(&format!("metadata from {address}"))
            };
            log::warn!("{error}");
            self.metadata.note_failure(error);
            self.metadata.update_failed(now, &mut self.random);
        } else {
            self.metadata.update(ask, response, now, &mut self.random);
            self.updater.attempts_since = None;
            let cluster = self.metadata.cluster();
            log::debug!(
                "metadata {} of cluster {}: {} brokers",
                cluster.version(),
                cluster.cluster_id().map_or("(no id)", |id| &**id),
                cluster.nodes().len()
            );
            self.states
                .forget(|node| node.0 < 0 || cluster.node(node).is_some());
        }
    }

    /// A node ended a connection or could not be reached: what is known may be stale (B29).
    pub(super) fn handle_server_disconnect(&mut self, error: Error, now: Instant) {
        self.metadata.note_failure(error);
        if self.updater.is_update_due(now) {
            self.metadata.update_failed(now, &mut self.random);
        }
        self.metadata.request_update();
    }

    /// No metadata for too long, or sent away: all connections end, and all begins again (B28).
    pub(super) fn handle_rebootstrap(&mut self, now: Instant) {
        let is_overdue = self.updater.rebootstrap_at().is_some_and(|at| at <= now);
        if !is_overdue && !self.updater.is_sent_away {
            return;
        }
        let why = if self.updater.is_sent_away {
            "a broker asked for it"
        } else {
            "no broker gave metadata for metadata.recovery.rebootstrap.trigger.ms"
        };
        log::warn!("beginning again with bootstrap.servers: {why}");
        for node in self.states.connected() {
            let address = self.states.address(node);
            let message = format!("the connection to {address} was closed to begin again: {why}");
            self.close_connection(node, &Error::new(ErrorKind::Network, message), now);
        }
        self.updater.is_sent_away = false;
        self.updater.attempts_since = Some(now);
        self.metadata.rebootstrap();
    }
}

/// What an answer may take before known brokers count as lost.
const LEAST_TRIGGER: Duration = Duration::from_secs(1);

/// Leaves out what cannot be a broker: an id below zero is a bootstrap address's own, and of a node
/// that is named with two addresses nobody can tell which one is right. Once known, a wrong address
/// would keep a client with `metadata.recovery.strategy=none` from ever asking again.
fn keep_possible(brokers: &mut Vec<Node>) {
    let mut addresses: BTreeMap<NodeId, Option<(Arc<str>, u16)>> = BTreeMap::new();
    for node in brokers.iter() {
        let address = (Arc::clone(&node.host), node.port);
        addresses
            .entry(node.id)
            .and_modify(|known| {
                known.take_if(|known| *known != address);
            })
            .or_insert(Some(address));
    }
    brokers.retain(|node| {
        let has_one_address = addresses.get(&node.id).is_some_and(Option::is_some);
        node.id.0 >= 0 && node.port > 0 && !node.host.is_empty() && has_one_address
    });
}
