//! A stream of answers against requests in flight: the real client over a network of the fuzzer's.
//!
//! What must hold: every request that was taken ends in exactly one way; nothing counts as an answer
//! but a frame that carries its number; whoever answers with another number, or what cannot be read,
//! is disconnected; with nothing to do the client waits.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use super::broker_answers::TOPIC;
use super::input::Input;
use super::no_names::no_names;
use super::scripted_network::ScriptedNetwork;
use super::target::{self, Target};
use crate::client::{
    ClientRequest, ClientResponse, HostResolver, KafkaClient, Metadata, MetadataConfig,
    MetadataRecovery, MetadataTicket, NetworkClient, NetworkClientConfig, Outcome,
};
use crate::cluster::{Node, NodeId, Uuid};
use crate::network::{ChannelState, Selectable};
use crate::protocol::VersionRange;
use crate::protocol::messages::{
    ApiRequest, InitProducerIdRequest, PartitionProduceData, ProduceRequest, Records,
    TopicProduceData,
};
use crate::random::Random;
use crate::time::{MockTime, Time};

pub(super) const CORRELATION: Target = target::new(
    ("correlation", MAX_LEN),
    run,
    |length| 256 * 1024 + 64 * length,
    |length| 4096 + 256 * length,
);

const MAX_LEN: usize = 4 * 1024;

struct World {
    client: NetworkClient<ScriptedNetwork, u32>,
    metadata: Arc<Metadata>,
    ticket: MetadataTicket,
    time: Arc<MockTime>,
    /// Requests without an answer.
    open: BTreeSet<u32>,
    next_tag: u32,
    /// Frames that arrived, and responses that were taken for answers.
    frames: usize,
    answers: usize,
    responses: Vec<ClientResponse<u32>>,
    /// Turns in a row that could have waited and did not.
    spins: u32,
}

fn run(bytes: &[u8]) {
    play(bytes);
}

/// How many requests were answered.
pub(super) fn play(bytes: &[u8]) -> usize {
    let mut input = Input::new(bytes);
    let mut world = World::new(&mut input);
    while !input.is_empty() {
        world.step(&mut input);
    }
    world.end()
}

impl World {
    fn new(input: &mut Input<'_>) -> Self {
        let (time, mock) = Time::mock();
        let selector = ScriptedNetwork::new(Arc::clone(&mock));
        let config = MetadataConfig {
            max_age: Duration::from_secs(300),
            max_idle: Duration::from_secs(300),
            retry_backoff: Duration::from_millis(100),
            retry_backoff_max: Duration::from_secs(1),
        };
        let bootstrap = (0..2).map(|number| Node {
            id: NodeId(-1 - number),
            host: "10.0.0.1".into(),
            port: 9092,
            rack: None,
        });
        let metadata = Metadata::new(config, bootstrap.collect(), selector.wakeup());
        let metadata = Arc::new(metadata);
        let metadata_recovery = match input.below(2) {
            0 => MetadataRecovery::None,
            _ => MetadataRecovery::Rebootstrap {
                trigger: Duration::from_secs(5),
            },
        };
        let config = NetworkClientConfig {
            client_id: Arc::from("fuzz"),
            max_in_flight: 1 + input.below(5),
            reconnect_backoff: Duration::from_millis(50),
            reconnect_backoff_max: Duration::from_secs(1),
            connection_setup_timeout: Duration::from_secs(10),
            connection_setup_timeout_max: Duration::from_secs(30),
            request_timeout: Duration::from_secs(30),
            metadata_recovery,
            time,
        };
        let resolver = HostResolver::simulated(no_names());
        let random = Random::seeded(7);
        let client = NetworkClient::new(config, Arc::clone(&metadata), selector, resolver, random);
        Self {
            client,
            metadata,
            ticket: MetadataTicket::default(),
            time: mock,
            open: BTreeSet::new(),
            next_tag: 0,
            frames: 0,
            answers: 0,
            responses: Vec::new(),
            spins: 0,
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.below(12) {
            0 => self.connect(input),
            1 => self.request(input),
            2 => {
                let nodes = self.client.selector().nodes();
                for node in nodes {
                    self.client.selector().accept(node);
                    self.client.selector().finish_send(node);
                }
            }
            3 => self.deliver_raw(input),
            4 | 5 => self.answer(input, false),
            6 | 7 => self.answer(input, true),
            8 => {
                if let Some(node) = self.some_channel(input) {
                    self.client.selector().end(node, ChannelState::Connected);
                }
            }
            9 => self
                .time
                .advance(Duration::from_millis(1 << input.below(16))),
            10 => {
                let now = self.time.now();
                let waker = Waker::noop();
                let _ = self
                    .metadata
                    .await_topic(TOPIC, None, &mut self.ticket, waker, now);
            }
            _ => {}
        }
        let wait = Duration::from_millis(input.one_of(&[0, 0, 10, 10_000]));
        self.poll(wait);
    }

    fn poll(&mut self, timeout: Duration) {
        let now = self.time.now();
        self.client.poll(timeout, now, &mut self.responses);
        let spins = self.client.selector().was_idle && !timeout.is_zero();
        self.spins = if spins && self.responses.is_empty() {
            self.spins + 1
        } else {
            0
        };
        assert!(self.spins < 4, "it spins");
        for response in self.responses.drain(..) {
            assert!(self.open.remove(&response.tag), "it ended twice");
            if let Outcome::Response(_) = response.outcome {
                self.answers += 1;
            }
        }
        assert!(self.answers <= self.frames, "answered by nobody");
    }

    fn connect(&mut self, input: &mut Input<'_>) {
        let now = self.time.now();
        let cluster = self.metadata.cluster();
        let at = input.below(cluster.nodes().len());
        if let Some(node) = cluster.nodes().nth(at) {
            self.client.ready(node, now);
        }
    }

    fn some_channel(&mut self, input: &mut Input<'_>) -> Option<NodeId> {
        let nodes = self.client.selector().nodes();
        nodes.get(input.below(nodes.len())).copied()
    }

    fn request(&mut self, input: &mut Input<'_>) {
        let Some(node) = self.some_channel(input) else {
            return;
        };
        let choice = input.below(4);
        let body = if choice == 0 {
            ApiRequest::InitProducerId(InitProducerIdRequest {
                transactional_id: None,
                transaction_timeout_ms: 0,
                producer_id: -1,
                producer_epoch: -1,
            })
        } else {
            ApiRequest::Produce(produce_request())
        };
        let tag = self.next_tag;
        self.next_tag += 1;
        self.open.insert(tag);
        let request = ClientRequest {
            node,
            body,
            expects_response: choice != 1,
            timeout: Duration::from_secs(30),
            versions: VersionRange::ALL,
            tag,
        };
        let now = self.time.now();
        self.client.send(request, now);
    }

    /// Bytes as they come.
    fn deliver_raw(&mut self, input: &mut Input<'_>) {
        let Some(node) = self.some_channel(input) else {
            return;
        };
        let count = usize::from(input.byte());
        let bytes = input.take(count);
        self.frames += self.client.selector().deliver(node, bytes);
    }

    /// A frame with the number of the oldest request, or nearly; its body is made of bytes of the
    /// input, or as brokers write them.
    fn answer(&mut self, input: &mut Input<'_>, as_brokers_do: bool) {
        let Some(node) = self.some_channel(input) else {
            return;
        };
        let off_by = input.one_of(&[0, 0, 0, 0, 0, 0, 0, 1, -1, i32::MIN]);
        let network = self.client.selector();
        let Some(oldest) = network.oldest_unanswered(node) else {
            return;
        };
        let body = if as_brokers_do {
            oldest.body(input)
        } else {
            let length = usize::from(input.u16() % 512);
            input.take(length).to_vec()
        };
        let was_between_frames = network.is_between_frames(node);
        let frame = oldest.frame(oldest.correlation_id.wrapping_add(off_by), &body);
        let is_whole = network.deliver(node, &frame) == 1;
        self.frames += usize::from(is_whole);
        if is_whole && was_between_frames && off_by != 0 {
            self.poll(Duration::ZERO);
            let is_closed = !self.client.selector().has_channel(node);
            assert!(is_closed, "another number was taken for the answer");
        }
    }

    /// Every connection ends, and then every request has.
    fn end(mut self) -> usize {
        for _ in 0..100 {
            for node in self.client.selector().nodes() {
                self.client.selector().end(node, ChannelState::Connected);
            }
            self.poll(Duration::from_secs(1));
        }
        assert!(self.open.is_empty(), "requests without an end");
        self.answers
    }
}

fn produce_request() -> ProduceRequest {
    ProduceRequest {
        transactional_id: None,
        acks: -1,
        timeout_ms: 30_000,
        topics: vec![TopicProduceData {
            name: TOPIC.into(),
            topic_id: Uuid([1; 16]),
            partitions: vec![PartitionProduceData {
                index: 0,
                records: Records::default(),
            }],
        }],
    }
}
