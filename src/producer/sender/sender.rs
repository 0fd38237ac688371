//! The loop of the I/O thread: expire, ask for a producer id, send, poll, take in responses.
//!
//! Java's counterpart: `Sender`. Thread: Sender. Locks: none of its own; no lock is held while
//! callbacks run. Invariants: one Produce request for a node in a turn; the wait is bounded by
//! every timer there is, and by nothing that only an event can change, so that it never spins.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::acked_offsets::AckedOffsets;
use super::callback_executor::CallbackExecutor;
use super::ending_order::EndingOrder;
use super::identity::IdentityRequest;
use super::in_flight_batches::InFlightBatches;
use super::produce::{self, ProduceTag};
use super::recreation::TopicIds;
use super::splitting::TakenSizes;
use crate::backoff::ExponentialBackoff;
use crate::client::{ClientRequest, ClientResponse, KafkaClient, Outcome};
use crate::cluster::{Cluster, Node};
use crate::planted::{Plant, planted};
use crate::producer::accumulator::{BatchHead, DrainVerdict, Drained, Drainer, ProducerBatch};
use crate::producer::shared::Shared;
use crate::producer::transaction::{Admission, Ending, Sequences};
use crate::protocol::messages::ApiRequest;
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
    /// `topic.recreation.policy` is `fail`.
    pub(crate) fail_recreated_topics: bool,
}

/// What comes back with a response.
#[derive(Debug)]
pub(crate) enum RequestTag {
    Produce(ProduceTag),
    InitProducerId,
}

/// The thread's state.
#[derive(Debug)]
pub(crate) struct Sender<C> {
    pub(super) config: SenderConfig,
    pub(super) shared: Arc<Shared>,
    pub(super) client: C,
    pub(super) random: Random,
    pub(super) backoff: ExponentialBackoff,
    pub(super) drainer: Drainer,
    pub(super) in_flight: InFlightBatches,
    pub(super) ending_order: EndingOrder,
    pub(super) taken_sizes: TakenSizes,
    pub(super) callbacks: CallbackExecutor,
    /// Empty and unused without idempotence.
    pub(super) sequences: Sequences,
    pub(super) identity_request: IdentityRequest,
    /// Empty and unused with idempotence, or without acknowledgements.
    pub(super) acked_offsets: AckedOffsets,
    pub(super) topic_ids: TopicIds,
    /// When topics without a leader are asked about again.
    leaderless_pause: Option<Instant>,
    /// Reused from turn to turn.
    responses: Vec<ClientResponse<RequestTag>>,
    drained: Vec<Drained>,
}

/// How long a turn may wait.
#[derive(Debug)]
pub(super) struct Wait {
    now: Instant,
    until: Instant,
}

impl<C: KafkaClient<RequestTag>> Sender<C> {
    pub(crate) fn new(
        config: SenderConfig,
        shared: Arc<Shared>,
        client: C,
        mut random: Random,
    ) -> Self {
        Self {
            backoff: ExponentialBackoff::new(config.retry_backoff, config.retry_backoff_max),
            drainer: Drainer::new(Arc::clone(&shared.accumulator), random.split()),
            in_flight: InFlightBatches::default(),
            ending_order: EndingOrder::default(),
            taken_sizes: TakenSizes::default(),
            callbacks: CallbackExecutor::of_sender(),
            sequences: Sequences::default(),
            identity_request: IdentityRequest::default(),
            acked_offsets: AckedOffsets::default(),
            topic_ids: TopicIds::default(),
            leaderless_pause: None,
            responses: Vec::new(),
            drained: Vec::new(),
            config,
            shared,
            client,
            random,
        }
    }

    /// Outcomes are told there.
    pub(crate) fn with_callbacks(mut self, callbacks: CallbackExecutor) -> Self {
        self.callbacks = callbacks;
        self
    }

    /// Partitions begin at this sequence instead of 0.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn begin_sequences_at(&mut self, first_sequence: i32) {
        self.sequences.first_sequence = first_sequence;
    }

    /// One turn.
    pub(crate) fn run_once(&mut self, now: Instant) {
        let mut wait = Wait::new(now);
        if self.in_flight.next_deadline().is_some_and(|at| at <= now) {
            // A callback may have kept us until now: an answer that has arrived counts (D16).
            self.poll(Duration::ZERO, now);
        }
        // What no turn has seen cannot be told from what came before it.
        let cluster = self.shared.metadata.cluster();
        #[cfg(feature = "planted")]
        if planted(Plant::R07) {
            // librdkafka 1.9.0: what metadata does not name for a moment is forgotten whole.
            let drainer = &self.drainer;
            self.sequences
                .forget(|slot| drainer.is_absent(slot, &cluster));
        }
        self.end_purged(now);
        self.expire(now);
        self.end_what_topics_left(&cluster, now);
        if let Some(error) = self.shared.fatal_error() {
            wait.at(self.drainer.ready(&cluster, now).next_check);
            self.abort_everything(&error, now);
        } else {
            self.maybe_ask_for_identity(now, &mut wait);
            self.send_producer_data(&cluster, now, &mut wait);
            wait.at(self.in_flight.next_deadline());
        }
        if self.has_closed_gracefully() {
            // What this turn ended was the last: no event would end the wait.
            wait.at(Some(now));
        }
        // Callbacks may have kept us for long: what is due is counted from when the wait begins.
        let now = self.shared.time.now();
        self.poll(wait.timeout(now), now);
    }

    /// Waits for what the network brings, and takes it in.
    fn poll(&mut self, timeout: Duration, now: Instant) {
        let mut responses = std::mem::take(&mut self.responses);
        self.client.poll(timeout, now, &mut responses);
        let now = self.shared.time.now();
        for response in responses.drain(..) {
            self.handle_response(response, now);
        }
        self.responses = responses;
    }

    /// Ends what has outlived its delivery timeout, queued or on its way, in the order of sending.
    fn expire(&mut self, now: Instant) {
        let mut expired = Vec::new();
        self.in_flight.take_expired(now, &mut expired);
        let on_the_way = expired.len();
        self.drainer.expire(now, &mut expired);
        let mut expired: Vec<(ProducerBatch, bool)> = expired
            .into_iter()
            .enumerate()
            .map(|(place, batch)| (batch, place < on_the_way))
            .collect();
        expired.sort_by_key(|(batch, _)| batch.id());
        for (batch, on_the_way) in expired {
            self.end_expired(batch, on_the_way, now);
        }
    }

    /// One request for each node that has work and a connection.
    fn send_producer_data(&mut self, cluster: &Arc<Cluster>, now: Instant, wait: &mut Wait) {
        let check = self.drainer.ready(cluster, now);
        wait.at(check.next_check);
        self.ask_for_leaders(&check.unknown_leader_topics, now, wait);
        for id in check.nodes {
            let Some(node) = cluster.node(id) else {
                continue; // The next picture tells another leader.
            };
            if !self.client.ready(node, now) {
                wait.after(self.client.poll_delay(node, now));
                continue;
            }
            let progressed = self.send_to(node, now);
            if progressed && self.drainer.has_work(id) {
                if self.client.ready(node, now) {
                    wait.at(Some(now));
                } else {
                    wait.after(self.client.poll_delay(node, now));
                }
            }
        }
    }

    /// Metadata is asked about topics that have data but no leader, at a pace of its own (B105).
    fn ask_for_leaders(&mut self, topics: &[Arc<str>], now: Instant, wait: &mut Wait) {
        if topics.is_empty() {
            self.leaderless_pause = None;
            return;
        }
        if self.leaderless_pause.is_none_or(|pause| pause <= now) {
            for topic in topics {
                self.shared.metadata.touch(topic, now);
            }
            self.shared.metadata.request_update();
            let pause = self.config.retry_backoff.max(SHORTEST_WAIT);
            self.leaderless_pause = Some(crate::time::deadline(now, pause));
        }
        wait.at(self.leaderless_pause);
    }

    /// Whether any batch left its queue.
    fn send_to(&mut self, node: &Node, now: Instant) -> bool {
        let mut drained = std::mem::take(&mut self.drained);
        let (sequences, idempotence) = (&mut self.sequences, self.config.idempotence);
        let mut admit = |head: &BatchHead| admit(sequences, idempotence, head);
        let size = self.config.max_request_size;
        self.drainer
            .drain(node.id, size, now, &mut admit, &mut drained);
        let progressed = !drained.is_empty();
        let (over, going): (Vec<Drained>, Vec<Drained>) =
            drained.drain(..).partition(|drained| drained.is_over);
        self.drained = drained;
        if !going.is_empty() {
            self.send_batches(node, going, now);
        }
        for drained in over {
            self.end_of_another_topic(drained.batch, now);
        }
        progressed
    }

    fn send_batches(&mut self, node: &Node, mut going: Vec<Drained>, now: Instant) {
        let mut touched: Option<Arc<str>> = None;
        for drained in &mut going {
            drained.batch.goes_to(node.id);
            let topic = &drained.batch.topic_partition().topic;
            if touched.as_ref() != Some(topic) {
                self.shared.metadata.touch(topic, now);
                touched = Some(Arc::clone(topic));
            }
            self.ending_order.on_sent(&drained.batch);
            if self.guarantees_order_by_muting() {
                self.drainer.mute(drained.batch.id().slot);
            }
        }
        let SenderConfig {
            acks,
            request_timeout,
            ..
        } = self.config;
        let mut built = produce::build(
            going.into_iter(),
            (acks, request_timeout),
            &mut self.in_flight,
            now,
        );
        if acks != 0 && !self.config.idempotence {
            self.acked_offsets.on_sent(&mut built.tag);
        }
        let request = ClientRequest {
            node: node.id,
            body: ApiRequest::Produce(built.request),
            expects_response: acks != 0,
            timeout: request_timeout,
            versions: built.versions,
            tag: RequestTag::Produce(built.tag),
        };
        self.client.send(request, now);
    }

    /// One request in flight and no sequences: a partition whose batch is on its way to one node
    /// must not send to another after its leader moved (B86, R28).
    pub(super) fn guarantees_order_by_muting(&self) -> bool {
        // KAFKA-3197: one request in flight was thought to be enough.
        !self.config.idempotence
            && self.config.max_in_flight_per_connection == 1
            && !planted(Plant::R28)
    }

    fn handle_response(&mut self, response: ClientResponse<RequestTag>, now: Instant) {
        log::trace!(
            "node {} answered after {:?}",
            response.node,
            response
                .received
                .saturating_duration_since(response.created)
        );
        let is_answered = matches!(response.outcome, Outcome::Response(_));
        let answered = is_answered.then_some(response.received);
        self.in_flight.request_ended(response.written, answered);
        match response.tag {
            RequestTag::Produce(tag) => self.on_produce_outcome(&tag, response.outcome, now),
            RequestTag::InitProducerId => self.on_identity_outcome(response.outcome, now),
        }
    }

    /// Tells the sequences how a batch ended, and the drainer that this may have changed things.
    pub(super) fn forget(&mut self, batch: &ProducerBatch, ending: Ending, now: Instant) {
        let id = batch.id();
        if self.config.idempotence {
            self.sequences.on_ended(id, ending);
        }
        self.drainer.unblock(id.slot, now);
    }
}

/// Joins the accumulator's question to the sequences' answer.
fn admit(sequences: &mut Sequences, idempotence: bool, head: &BatchHead) -> DrainVerdict {
    if !idempotence {
        return DrainVerdict::Send(None);
    }
    match sequences.admit(head.id, head.topic_id, head.record_count) {
        Admission::Send(state) => DrainVerdict::Send(Some(state)),
        Admission::Wait => DrainVerdict::SkipPartition,
        Admission::TryNext => DrainVerdict::TryNext,
        Admission::EndUnknown => DrainVerdict::TakeOut,
    }
}

impl Wait {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            now,
            until: now + LONGEST_WAIT,
        }
    }

    /// No longer than until then.
    pub(super) fn at(&mut self, until: Option<Instant>) {
        if let Some(until) = until {
            self.until = self.until.min(until);
        }
    }

    /// No longer than that; somebody who said "not now" is not asked again at once.
    pub(super) fn after(&mut self, delay: Duration) {
        let delay = delay.clamp(SHORTEST_WAIT, LONGEST_WAIT);
        self.until = self.until.min(self.now + delay);
    }

    /// For a wait that begins at `now`, perhaps later than the turn.
    pub(super) fn timeout(&self, now: Instant) -> Duration {
        self.until.saturating_duration_since(now)
    }
}

/// What has no timer is an event, which ends the wait; this only bounds the sum.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

const SHORTEST_WAIT: Duration = Duration::from_millis(1);
