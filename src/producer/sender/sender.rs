//! The loop of the I/O thread: expire, ask for a producer id, send, poll, take in responses.
//!
//! Java's counterpart: `Sender`. Thread: Sender. Locks: none of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::client::KafkaClient;
use crate::producer::shared::Shared;
use crate::random::Random;

/// The keys the Sender goes by.
#[derive(Debug, Clone)]
pub(crate) struct SenderConfig {
    /// `client.id`
    pub(crate) client_id: Arc<str>,
    /// `acks`: 0, 1 or -1 (all)
    pub(crate) acks: i16,
    /// `max.request.size`
    pub(crate) max_request_size: usize,
    /// `request.timeout.ms`
    pub(crate) request_timeout: Duration,
    /// `delivery.timeout.ms`, for texts: a batch knows its own deadline
    pub(crate) delivery_timeout: Duration,
    /// `retries`
    pub(crate) retries: u32,
    /// `max.in.flight.requests.per.connection`
    pub(crate) max_in_flight_per_connection: usize,
    /// `enable.idempotence`
    pub(crate) idempotence: bool,
    /// `retry.backoff.ms`
    pub(crate) retry_backoff: Duration,
    /// `retry.backoff.max.ms`
    pub(crate) retry_backoff_max: Duration,
}

/// What comes back with a response.
#[derive(Debug)]
pub(crate) enum RequestTag {
    Produce,
    InitProducerId,
}

/// The thread's state.
#[derive(Debug)]
pub(crate) struct Sender<C> {
    config: SenderConfig,
    shared: Arc<Shared>,
    client: C,
    random: Random,
}

impl<C: KafkaClient<RequestTag>> Sender<C> {
    pub(crate) fn new(
        config: SenderConfig,
        shared: Arc<Shared>,
        client: C,
        random: Random,
    ) -> Self {
        Self {
            config,
            shared,
            client,
            random,
        }
    }

    /// Runs until closed and done; a panic ends every batch and makes later sends fail.
    pub(crate) fn run(self) {
        todo!("next commit")
    }

    /// One turn.
    pub(crate) fn run_once(&mut self, _now: Instant) {
        todo!("next commit")
    }
}
