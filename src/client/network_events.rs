//! What [`NetworkClient`] does with what the network brought, one step of `poll` after the other,
//! in Java's order (Java: the `handle*` methods of `NetworkClient`).
//!
//! Thread: Sender. Locks: metadata's, for moments. Invariant: a request leaves `in_flight` in the
//! step that makes its response, so that none can be answered twice.

use std::time::Instant;

use super::cluster_connection_states::ConnectionState;
use super::in_flight_requests::InFlightRequest;
use super::network_client::{Asker, Dispatch, NetworkClient, correlation_id_of};
use super::{ClientResponse, Outcome};
use crate::cluster::NodeId;
use crate::error::{Error, ErrorKind};
use crate::network::{ChannelState, Disconnected, PollOutcome, Selectable};
use crate::planted::{Plant, planted};
use crate::protocol::messages::{
    ApiRequest, ApiResponse, ApiVersionsRequest, ApiVersionsResponse, supported_versions,
};
use crate::protocol::{ApiKey, ErrorCode, Reader, decode_response_header};

impl<S: Selectable, T> NetworkClient<S, T> {
    /// Requests that have no response are done once they are written.
    pub(super) fn handle_completed_sends(&mut self, outcome: &PollOutcome, now: Instant) {
        for &(node, id) in &outcome.completed_sends {
            if let Some(request) = self.in_flight.sent(node, correlation_id_of(id), now) {
                self.finish(node, request, Outcome::Sent, now);
            }
        }
    }

    pub(super) fn handle_completed_receives(&mut self, outcome: &mut PollOutcome, now: Instant) {
        for received in outcome.receives.drain(..) {
            let node = received.node;
            // It may have ended over an earlier frame.
            if self.states.state(node) == ConnectionState::Disconnected {
                continue;
            }
            if let Err(what) = self.handle_frame(node, &received.frame, now) {
                let message = format!(
                    "{} does not keep to the protocol: {what}",
                    self.states.address(node)
                );
                log::warn!("{message}; the connection is closed");
                self.connection_broken(node, &Error::new(ErrorKind::Protocol, message), now);
            }
        }
    }

    /// One response, which must be the one to the oldest request (B128).
    fn handle_frame(&mut self, node: NodeId, frame: &[u8], now: Instant) -> Result<(), String> {
        let oldest = self.in_flight.oldest(node);
        let Some(oldest) = oldest.filter(|request| request.expects_response) else {
            return Err("it sent a response nobody asked for".to_owned());
        };
        let (api_key, version) = (oldest.api_key, oldest.version);
        let malformed = |error| {
            format!(
                "its response to {} v{version} is malformed: {error}",
                api_key.name()
            )
        };
        let mut input = Reader::new(frame);
        let correlation_id =
            decode_response_header(api_key, version, &mut input).map_err(malformed)?;
        if correlation_id != oldest.correlation_id && planted(Plant::R56) {
            // KAFKA-4669: the request was taken out before its id was looked at.
            drop(self.in_flight.complete_oldest(node));
            return Ok(());
        }
        if correlation_id != oldest.correlation_id && !planted(Plant::Correlation) {
            return Err(format!(
                "it answered {} with correlation id {} by correlation id {correlation_id}",
                api_key.name(),
                oldest.correlation_id
            ));
        }
        if !oldest.is_sent {
            return Err(format!(
                "it answered {} before that was written",
                api_key.name()
            ));
        }
        // A broker that does not know the version of ApiVersions answers in version 0 (KIP-511).
        let is_refused = api_key == ApiKey::ApiVersions
            && frame.get(4..6) == Some(&ErrorCode::UNSUPPORTED_VERSION.0.to_be_bytes());
        let read_as = if is_refused { 0 } else { version };
        let response = ApiResponse::decode(api_key, read_as, &mut input).map_err(malformed)?;
        let Some(request) = self.in_flight.complete_oldest(node) else {
            return Err("it sent a response nobody asked for".to_owned());
        };
        self.maybe_throttle(node, &response, read_as, now);
        match (request.asker, response) {
            (Asker::ApiVersions, ApiResponse::ApiVersions(response)) => {
                self.selector.mark_valid(node);
                self.handle_api_versions(node, version, &response, now)
            }
            (Asker::Metadata(ask), ApiResponse::Metadata(response)) => {
                self.handle_metadata_response(node, (&ask, version), response, now);
                Ok(())
            }
            (asker, response) => {
                let request = InFlightRequest { asker, ..request };
                self.finish(node, request, Outcome::Response(response), now);
                Ok(())
            }
        }
    }

    /// Brokers that leave it to the client to be quiet for a while are left alone (KIP-219).
    fn maybe_throttle(&mut self, node: NodeId, response: &ApiResponse, version: i16, now: Instant) {
        let (throttle_ms, is_ours) = response.throttle(version);
        let Ok(throttle_ms @ 1..) = u64::try_from(throttle_ms) else {
            return;
        };
        if is_ours {
            let by = std::time::Duration::from_millis(throttle_ms);
            self.states.throttle(node, crate::time::deadline(now, by));
            self.in_flight.extend(node, by);
        }
    }

    /// The node's versions, or which version of the question it would understand (B123).
    fn handle_api_versions(
        &mut self,
        node: NodeId,
        asked_in: i16,
        response: &ApiVersionsResponse,
        now: Instant,
    ) -> Result<(), String> {
        let code = ErrorCode(response.error_code);
        if code.is_none() {
            self.api_versions.update(node, &response.api_keys);
            self.states.ready(node);
            log::debug!("{} is ready", self.states.address(node));
            return Ok(());
        }
        if code != ErrorCode::UNSUPPORTED_VERSION || asked_in == 0 {
            return Err(code.to_error("its response to ApiVersions").to_string());
        }
        let understood = response
            .api_keys
            .iter()
            .find(|(key, _, _)| *key == ApiKey::ApiVersions.code())
            .map_or(0, |(_, _, max)| *max);
        // Lower every time, so that it ends whatever the node says.
        let version = if (0..asked_in).contains(&understood) {
            understood
        } else {
            0
        };
        self.send_api_versions(node, version, now);
        Ok(())
    }

    pub(super) fn handle_disconnections(&mut self, outcome: &mut PollOutcome, now: Instant) {
        for disconnected in outcome.disconnected.drain(..) {
            let node = disconnected.node;
            if self.states.state(node) == ConnectionState::Disconnected {
                continue;
            }
            let error = self.disconnect_error(&disconnected);
            let is_idle = self.states.state(node) == ConnectionState::Ready
                && self.in_flight.count(node) == 0;
            match disconnected.state {
                // Not a sign of anything.
                ChannelState::Expired => {
                    log::debug!("{error}");
                    self.connection_ended(node, &error, disconnected.send_begun, now);
                }
                ChannelState::NotConnected | ChannelState::Garbage | ChannelState::Connected => {
                    // Brokers end connections that are idle, or when they restart.
                    let level = if is_idle {
                        log::Level::Info
                    } else {
                        log::Level::Warn
                    };
                    log::log!(level, "{error}");
                    self.connection_ended(node, &error, disconnected.send_begun, now);
                    self.handle_server_disconnect(error, now);
                }
            }
        }
    }

    fn disconnect_error(&self, disconnected: &Disconnected) -> Error {
        let address = self.states.address(disconnected.node);
        let reason = &disconnected.reason;
        let is_checking =
            self.states.state(disconnected.node) == ConnectionState::CheckingApiVersions;
        let (kind, message) = match disconnected.state {
            ChannelState::NotConnected => (
                ErrorKind::Network,
                format!("could not connect to {address}: {reason}"),
            ),
            ChannelState::Connected if is_checking => (
                ErrorKind::Network,
                format!(
                    "{address} ended the connection before it said what it speaks: {reason} \
                     (is it a Kafka broker, and does security.protocol fit its listener?)"
                ),
            ),
            ChannelState::Connected => (
                ErrorKind::Network,
                format!("the connection to {address} was lost: {reason}"),
            ),
            ChannelState::Expired => (
                ErrorKind::Network,
                format!("the connection to {address} was {reason}"),
            ),
            ChannelState::Garbage => (
                ErrorKind::Protocol,
                format!("{address} does not speak Kafka's protocol: {reason}"),
            ),
        };
        Error::new(kind, message)
    }

    pub(super) fn handle_connections(&mut self, outcome: &PollOutcome) {
        self.to_check.extend(&outcome.connected);
    }

    /// Asks connected nodes for their versions, as soon as their channel lets requests through.
    pub(super) fn handle_initiate_api_versions(&mut self, now: Instant) {
        if self.to_check.is_empty() {
            return;
        }
        for node in std::mem::take(&mut self.to_check) {
            if self.states.state(node) != ConnectionState::Connecting {
                continue;
            }
            if !self.selector.is_channel_ready(node) {
                self.to_check.insert(node);
                continue;
            }
            self.states.checking_api_versions(node, now);
            let newest = supported_versions(ApiKey::ApiVersions).max;
            self.send_api_versions(node, newest, now);
        }
    }

    fn send_api_versions(&mut self, node: NodeId, version: i16, now: Instant) {
        let body = ApiRequest::ApiVersions(ApiVersionsRequest {
            client_software_name: env!("CARGO_PKG_NAME").to_owned(),
            client_software_version: env!("CARGO_PKG_VERSION").to_owned(),
        });
        let dispatch = Dispatch {
            node,
            version,
            timeout: self.config.request_timeout,
            expects_response: true,
            asker: Asker::ApiVersions,
        };
        self.dispatch(&body, dispatch, now);
    }

    /// Connections that are not usable in time, whatever they wait for (B121).
    pub(super) fn handle_timed_out_connections(&mut self, now: Instant) {
        for (node, had) in self.states.overdue(now) {
            let address = self.states.address(node);
            let after = format!(
                "within {} ms (socket.connection.setup.timeout.ms)",
                had.as_millis()
            );
            let message = match self.states.state(node) {
                ConnectionState::Resolving(ticket) => {
                    if let Some(ticket) = ticket {
                        self.resolver.give_up(ticket);
                    }
                    format!("could not resolve {address} {after}")
                }
                ConnectionState::Connecting => format!("could not connect to {address} {after}"),
                ConnectionState::CheckingApiVersions => {
                    format!("{address} took the connection and did not answer {after}")
                }
                ConnectionState::Ready | ConnectionState::Disconnected => continue,
            };
            log::warn!("{message}");
            self.connection_broken(node, &Error::new(ErrorKind::Timeout, message), now);
        }
    }

    /// One overdue request ends the connection: what comes after it would wait behind it (B126).
    pub(super) fn handle_timed_out_requests(&mut self, now: Instant) {
        for (node, correlation_id) in self.in_flight.overdue(now) {
            let address = self.states.address(node);
            let overdue = self
                .in_flight
                .of_node(node)
                .find(|it| it.correlation_id == correlation_id);
            let message = overdue.map_or_else(String::new, |request| {
                format!(
                    "no response to {} from {address} within {} ms (request.timeout.ms)",
                    request.api_key.name(),
                    request.timeout.as_millis()
                )
            });
            log::warn!("{message}; the connection is closed");
            let error = Error::new(ErrorKind::Timeout, message);
            for request in self.in_flight.clear(node) {
                let error = error.clone();
                self.finish(node, request, Outcome::TimedOut { error }, now);
            }
            if planted(Plant::R18) && self.states.state(node) == ConnectionState::Ready {
                continue;
            }
            self.connection_broken(node, &error, now);
        }
    }

    /// Closes a connection from our side, because of what the node did or did not do.
    pub(super) fn connection_broken(&mut self, node: NodeId, error: &Error, now: Instant) {
        self.close_connection(node, error, now);
        self.handle_server_disconnect(error.clone(), now);
    }

    /// A connection that could not even be begun.
    pub(super) fn connection_failed(&mut self, node: NodeId, error: Error, now: Instant) {
        log::warn!("{error}");
        self.connection_ended(node, &error, false, now);
        self.handle_server_disconnect(error, now);
    }

    pub(super) fn close_connection(&mut self, node: NodeId, error: &Error, now: Instant) {
        self.selector.close(node);
        if planted(Plant::R19) {
            // Dekaf #1602: who scaled connections down forgot who waited for them.
            let requests = self.in_flight.clear(node).into_iter();
            for request in requests.filter(|it| !matches!(it.asker, Asker::User(_))) {
                let error = error.clone();
                self.finish(node, request, Outcome::TimedOut { error }, now);
            }
        }
        // How far a send in progress came is not known here, so it counts as begun.
        self.connection_ended(node, error, true, now);
    }

    /// Forgets a connection and answers its requests, the oldest first (B127).
    fn connection_ended(&mut self, node: NodeId, error: &Error, send_begun: bool, now: Instant) {
        self.states.disconnected(node, now);
        self.api_versions.remove(node);
        self.to_check.remove(&node);
        for request in self.in_flight.clear(node) {
            let outcome = Outcome::Disconnected {
                maybe_written: request.is_sent || send_begun,
                error: error.clone(),
            };
            self.finish(node, request, outcome, now);
        }
    }

    /// Gives a request its response; the client's own end here.
    fn finish(
        &mut self,
        node: NodeId,
        request: InFlightRequest<Asker<T>>,
        outcome: Outcome,
        now: Instant,
    ) {
        match request.asker {
            Asker::User(tag) => self.done.push(ClientResponse {
                node,
                tag,
                created: request.created,
                written: request.written,
                received: now,
                outcome,
            }),
            Asker::ApiVersions => {}
            // librdkafka 2.10.0: it was thought to be on its way still.
            Asker::Metadata(_) if planted(Plant::R67) => {}
            Asker::Metadata(_) => self.updater.request_failed(now, &mut self.random),
        }
    }
}
