//! A client that takes every request and acknowledges it at the next poll, as a broker with a log
//! for each partition would.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::client::{
    ClientRequest, ClientResponse, KafkaClient, Metadata, MetadataConfig, Outcome,
};
use crate::cluster::{Node, NodeId, Uuid};
use crate::interleaving::{Busy, Poller, Thread, spawn};
use crate::producer::accumulator::{
    AccumulatorConfig, Append, MemoryTicket, RecordAccumulator, RecordToAppend,
};
use crate::producer::callback::{Callback, DeliveryCallback};
use crate::producer::send_handle::{RecordSizes, SendHandle};
use crate::producer::sender::{RequestTag, Sender, SenderConfig};
use crate::producer::shared::Shared;
use crate::protocol::messages::{
    ApiRequest, ApiResponse, InitProducerIdResponse, MetadataPartition, MetadataResponse,
    MetadataTopic, PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse,
};
use crate::random::Random;
use crate::record::RecordView;
use crate::sync::Parker;
use crate::time::Time;

/// Where it lies in a batch (magic 2).
const RECORD_COUNT_AT: std::ops::Range<usize> = 57..61;

const TOPIC: &str = "topic";

struct Answering {
    poller: Poller,
    responses: Vec<ClientResponse<RequestTag>>,
    logs: BTreeMap<i32, i64>,
}

impl Answering {
    fn answer(&mut self, request: &ProduceRequest) -> ProduceResponse {
        let mut response = ProduceResponse::default();
        for topic in &request.topics {
            let mut partitions = Vec::new();
            for data in &topic.partitions {
                let header = data.records.parts.first().expect("it has a header");
                let count = header[RECORD_COUNT_AT].try_into().expect("four bytes");
                let end = self.logs.entry(data.index).or_default();
                partitions.push(PartitionProduceResponse {
                    index: data.index,
                    base_offset: *end,
                    log_append_time_ms: -1,
                    ..PartitionProduceResponse::default()
                });
                *end += i64::from(i32::from_be_bytes(count));
            }
            response.topics.push(TopicProduceResponse {
                name: (*topic.name).into(),
                topic_id: topic.topic_id,
                partitions,
            });
        }
        response
    }
}

impl KafkaClient<RequestTag> for Answering {
    fn ready(&mut self, _: &Node, _: Instant) -> bool {
        true
    }

    fn poll_delay(&self, _: &Node, _: Instant) -> Duration {
        Duration::ZERO
    }

    fn send(&mut self, request: ClientRequest<RequestTag>, now: Instant) {
        let response = match &request.body {
            ApiRequest::Produce(produce) => ApiResponse::Produce(self.answer(produce)),
            ApiRequest::InitProducerId(_) => ApiResponse::InitProducerId(InitProducerIdResponse {
                producer_id: 7,
                ..InitProducerIdResponse::default()
            }),
            other => panic!("the Sender does not ask {other:?}"),
        };
        self.responses.push(ClientResponse {
            node: request.node,
            tag: request.tag,
            created: now,
            written: Some(now),
            received: now,
            outcome: Outcome::Response(response),
        });
    }

    fn poll(&mut self, timeout: Duration, _: Instant, out: &mut Vec<ClientResponse<RequestTag>>) {
        let answered = !self.responses.is_empty();
        self.poller
            .sleep(Some(if answered { Duration::ZERO } else { timeout }));
        out.append(&mut self.responses);
    }

    fn least_loaded_node(&mut self, _: Instant) -> Option<Node> {
        Some(node())
    }
}

fn node() -> Node {
    Node {
        id: NodeId(1),
        host: "localhost".into(),
        port: 9092,
        rack: None,
    }
}

/// The parts, before the Sender is started.
pub(super) struct Bench {
    pub(super) shared: Arc<Shared>,
    buffer_memory: usize,
    poller: Option<Poller>,
    began: Instant,
}

impl Bench {
    /// A topic of two partitions; batches of two records.
    pub(super) fn new(linger: Duration, buffer_memory: usize) -> Self {
        let (time, clock) = Time::mock();
        let now = clock.now();
        let poller = Poller::new(clock);
        let wakeup = poller.wakeup();
        let config = AccumulatorConfig {
            batch_size: 155,
            linger,
            buffer_memory,
            most_per_topic: None,
            delivery_timeout: Duration::from_secs(120),
            retry_backoff: Duration::ZERO,
            retry_backoff_max: Duration::ZERO,
        };
        let random = Random::seeded(1);
        let accumulator = RecordAccumulator::new(config, time.clone(), random, wakeup.clone());
        let config = MetadataConfig {
            max_age: Duration::from_secs(300),
            max_idle: Duration::from_secs(300),
            retry_backoff: Duration::ZERO,
            retry_backoff_max: Duration::ZERO,
        };
        let metadata = Metadata::new(config, vec![node()], wakeup.clone());
        metadata.touch(&TOPIC.into(), now);
        metadata.learn(picture(), now);
        let cluster = metadata.cluster();
        accumulator.learn_topic(cluster.topic(TOPIC).expect("it was just learnt"));
        Self {
            shared: Shared::new(time, Arc::new(metadata), accumulator, wakeup),
            buffer_memory,
            poller: Some(poller),
            began: now,
        }
    }

    /// Marks a thread of the application.
    pub(super) fn busy(&self) -> Busy {
        self.poller.as_ref().expect("not started yet").busy()
    }

    pub(super) fn start(&mut self) -> Thread<()> {
        let (shared, poller) = (Arc::clone(&self.shared), self.poller.take());
        let config = SenderConfig {
            client_id: "model".into(),
            acks: -1,
            max_request_size: 1 << 20,
            request_timeout: Duration::from_secs(30),
            retries: u32::MAX,
            max_in_flight_per_connection: 5,
            idempotence: true,
            retry_backoff: Duration::ZERO,
            retry_backoff_max: Duration::ZERO,
            fail_recreated_topics: false,
        };
        let client = Answering {
            poller: poller.expect("it is started once"),
            responses: Vec::new(),
            logs: BTreeMap::new(),
        };
        let sender = Sender::new(config, shared, client, Random::seeded(2));
        spawn(move || sender.run())
    }

    /// The Sender was told of everything: it never slept until a timer.
    pub(super) fn assert_no_time_passed(&self) {
        assert_eq!(self.shared.time.now(), self.began, "it slept on");
    }

    /// Once the Sender has ended.
    pub(super) fn assert_nothing_is_held(&self) {
        let accumulator = &self.shared.accumulator;
        assert_eq!(accumulator.available_memory(), self.buffer_memory);
        assert_eq!(accumulator.incomplete_batches(), 0);
    }
}

fn picture() -> MetadataResponse {
    let led = |index| MetadataPartition {
        index,
        leader_id: 1,
        ..MetadataPartition::default()
    };
    MetadataResponse {
        brokers: vec![node()],
        topics: vec![MetadataTopic {
            name: TOPIC.into(),
            topic_id: Uuid([1; 16]),
            partitions: vec![led(0), led(1)],
            ..MetadataTopic::default()
        }],
        ..MetadataResponse::default()
    }
}

/// As `send`: waits for memory; `None` once it is closed.
pub(super) fn send(
    shared: &Shared,
    partition: Option<i32>,
    (callback, tag): (&Arc<dyn DeliveryCallback>, u64),
) -> Option<SendHandle> {
    let mut callback = Some(Callback::from((callback, tag)));
    let (mut ticket, parker) = (MemoryTicket::default(), Parker::new());
    let waker = parker.waker();
    loop {
        match try_send(shared, partition, &mut callback, &mut ticket, &waker) {
            Some(outcome) => return outcome,
            None => parker.park_until(&Time::default(), None),
        }
    }
}

/// One attempt of it; `None`: the ticket stands in the line.
pub(super) fn try_send(
    shared: &Shared,
    partition: Option<i32>,
    callback: &mut Option<Callback<'_>>,
    ticket: &mut MemoryTicket,
    waker: &Waker,
) -> Option<Option<SendHandle>> {
    let accumulator = &shared.accumulator;
    let topic = accumulator.topic(TOPIC).expect("it is known");
    let record = RecordToAppend {
        partition,
        view: RecordView::new(0, None, Some(&[7; 40]), &[]),
    };
    match accumulator.try_append(&topic, &record, callback, ticket, Some(waker)) {
        Append::Appended { result, index } => {
            let sizes = RecordSizes {
                timestamp_ms: 0,
                serialized_key_size: -1,
                serialized_value_size: 40,
            };
            Some(Some(SendHandle::new(result, index, sizes)))
        }
        Append::Blocked | Append::BlockedByShare => None,
        Append::Failed(_) => Some(None),
        Append::UnknownPartition => panic!("it is known"),
    }
}
