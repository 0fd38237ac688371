//! How the Sender comes by a producer id: one InitProducerId at a time, to whoever is least
//! loaded, when something is queued; never waiting for it (B155, B156).
//!
//! Java's counterpart: `TransactionManager.InitProducerIdHandler`. Thread: Sender. Locks: none.

use std::time::Instant;

use super::sender::{RequestTag, Sender, Wait};
use crate::client::{ClientRequest, KafkaClient, Outcome};
use crate::error::{Error, ErrorKind};
use crate::producer::transaction::Identity;
use crate::protocol::messages::{
    ApiRequest, ApiResponse, InitProducerIdRequest, InitProducerIdResponse,
};
use crate::protocol::{ErrorCode, VersionRange};

/// How asking for a producer id stands.
#[derive(Debug, Default)]
pub(super) struct IdentityRequest {
    in_flight: bool,
    failures: u32,
    not_before: Option<Instant>,
    /// The node that was asked last named no version of InitProducerId that we have, or gave an id that
    /// is used up.
    refusal: Option<Error>,
}

impl IdentityRequest {
    pub(super) fn is_in_flight(&self) -> bool {
        self.in_flight
    }

    /// Why there is no id, if more than time is missing.
    pub(super) fn refusal(&self) -> Option<&Error> {
        self.refusal.as_ref()
    }
}

impl<C: KafkaClient<RequestTag>> Sender<C> {
    /// Asks if an id is needed, somebody waits for it and a node can be asked.
    pub(super) fn maybe_ask_for_identity(&mut self, now: Instant, wait: &mut Wait) {
        let needed = self.config.idempotence && self.sequences.needs_identity();
        if !needed || self.identity_request.in_flight || !self.drainer.has_queued() {
            return;
        }
        if let Some(not_before) = self.identity_request.not_before.filter(|then| *then > now) {
            wait.at(Some(not_before));
            return;
        }
        let Some(node) = self.client.least_loaded_node(now) else {
            self.shared.metadata.request_update();
            wait.after(self.config.retry_backoff);
            return;
        };
        if !self.client.ready(&node, now) {
            wait.after(self.client.poll_delay(&node, now));
            return;
        }
        self.identity_request.in_flight = true;
        let request = ClientRequest {
            node: node.id,
            body: ApiRequest::InitProducerId(InitProducerIdRequest {
                transactional_id: None,
                transaction_timeout_ms: i32::MAX,
                producer_id: -1,
                producer_epoch: -1,
            }),
            expects_response: true,
            timeout: self.config.request_timeout,
            versions: VersionRange::ALL,
            tag: RequestTag::InitProducerId,
        };
        self.client.send(request, now);
    }

    pub(super) fn on_identity_outcome(&mut self, outcome: Outcome, now: Instant) {
        self.identity_request.in_flight = false;
        self.identity_request.refusal = None;
        match outcome {
            Outcome::Response(ApiResponse::InitProducerId(response)) => {
                self.on_identity_response(&response, now);
            }
            Outcome::Response(other) => {
                log::error!("the response to InitProducerId is another API's: {other:?}");
                self.ask_again_later(now);
            }
            Outcome::Disconnected { error, .. } | Outcome::TimedOut { error } => {
                log::warn!("no answer to InitProducerId, asking again: {error}");
                self.shared.metadata.request_update();
                self.ask_again_later(now);
            }
            Outcome::Sent => self.ask_again_later(now),
            Outcome::UnsupportedVersion(error) => {
                // One node, or one answer, is not the cluster's last word: what waits ends with this
                // if no other word comes in its time.
                let text = format!(
                    "the broker is too old for idempotence: it has no InitProducerId \
                     (enable.idempotence): {error}"
                );
                let error = Error::new(ErrorKind::UnsupportedVersion, text).with_source(error);
                log::error!("{error}; asking again");
                self.identity_request.refusal = Some(error);
                self.ask_again_later(now);
            }
        }
    }

    fn on_identity_response(&mut self, response: &InitProducerIdResponse, now: Instant) {
        let code = ErrorCode(response.error_code);
        let identity = Identity {
            producer_id: response.producer_id,
            epoch: response.producer_epoch,
        };
        if code.is_none() && (identity.producer_id < 0 || identity.epoch < 0) {
            // -1 is how a batch says that it has none: brokers would take it twice.
            log::error!("a broker gave {identity:?} as a producer id, which is none; asking again");
            self.ask_again_later(now);
            return;
        }
        if code.is_none() {
            log::info!(
                "{}: producer id {} with epoch {}",
                self.config.client_id,
                response.producer_id,
                response.producer_epoch
            );
            for slot in self.sequences.on_identity(identity) {
                self.drainer.unblock(slot, now);
            }
            if !self.sequences.needs_identity() {
                self.identity_request = IdentityRequest::default();
                return;
            }
            // Without a pause this would go on as fast as the broker answers (R38).
            let text = format!(
                "producer id {} was given again, and all its epochs are used up",
                identity.producer_id
            );
            let error = Error::new(ErrorKind::Protocol, text);
            log::error!("{error}; asking again");
            self.identity_request.refusal = Some(error);
            self.ask_again_later(now);
            return;
        }
        let error = code.to_error("could not get a producer id (enable.idempotence)");
        if code.is_retriable() {
            log::warn!("{error}; asking again");
            self.ask_again_later(now);
        } else if code == ErrorCode::CLUSTER_AUTHORIZATION_FAILED {
            // Recovers by itself once the ACL is granted: what waits fails, what comes asks again.
            self.ask_again_later(now);
            self.abort_queued(&error, now);
        } else {
            self.shared.set_fatal(&error);
        }
    }

    fn ask_again_later(&mut self, now: Instant) {
        let request = &mut self.identity_request;
        let pause = self.backoff.backoff(request.failures, &mut self.random);
        request.failures = request.failures.saturating_add(1);
        request.not_before = Some(crate::time::deadline(now, pause));
    }
}
