//! The Sender over a client without a network, on a clock that stands still.

mod closing;
mod data_loss;
mod delivery;
mod ending_order;
mod idempotence;
mod identity;
mod lasting;
#[cfg(feature = "planted")]
mod planted;
mod purging;
mod receipts;
mod recreation;
mod refused_records;
mod retrying;
mod split_waits;
mod splitting;
mod waiting;
mod whole;

use std::sync::Arc;
use std::time::Duration;

use super::mock_client::MockClient;
use super::{RequestTag, Sender, SenderConfig};
use crate::client::{ClientRequest, Metadata, MetadataConfig, Outcome};
use crate::cluster::{Node, NodeId, Uuid};
use crate::error::{Error, ErrorKind, Persistence};
use crate::network::Wakeup;
use crate::producer::accumulator::{
    AccumulatorConfig, Append, MemoryTicket, RecordAccumulator, RecordToAppend,
};
use crate::producer::callback::Callback;
use crate::producer::send_handle::{RecordSizes, SendHandle};
use crate::producer::shared::Shared;
use crate::producer::{DeliveryError, RecordMetadata};
use crate::protocol::messages::{
    ApiRequest, ApiResponse, InitProducerIdResponse, MetadataPartition, MetadataResponse,
    MetadataTopic, PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse,
};
use crate::random::Random;
use crate::record::RecordView;
use crate::time::{MockTime, Time};

pub(super) const TOPIC: &str = "topic";
pub(super) const TOPIC_ID: Uuid = Uuid([1; 16]);

pub(super) struct Bench {
    pub(super) sender: Sender<MockClient<RequestTag>>,
    pub(super) client: MockClient<RequestTag>,
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Arc<MockTime>,
    /// Of the next records.
    pub(super) timestamp_ms: i64,
}

pub(super) type Request = ClientRequest<RequestTag>;

/// One batch of a request, as it is on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OnWire {
    pub(super) partition: i32,
    pub(super) producer_id: i64,
    pub(super) epoch: i16,
    pub(super) sequence: i32,
    pub(super) records: i32,
}

pub(super) fn config() -> SenderConfig {
    SenderConfig {
        client_id: "test".into(),
        acks: -1,
        max_request_size: 1 << 20,
        request_timeout: Duration::from_secs(30),
        retries: u32::MAX,
        max_in_flight_per_connection: 5,
        idempotence: true,
        retry_backoff: Duration::from_millis(100),
        retry_backoff_max: Duration::from_secs(1),
        fail_recreated_topics: false,
    }
}

pub(super) fn plain() -> SenderConfig {
    SenderConfig {
        idempotence: false,
        ..config()
    }
}

pub(super) fn node(id: i32) -> Node {
    Node {
        id: NodeId(id),
        host: "localhost".into(),
        port: 9092,
        rack: None,
    }
}

/// What a callback, or whoever comes late, does: appends a record of nothing to partition 0.
pub(super) fn append_null(accumulator: &RecordAccumulator) -> Append {
    let topic = accumulator.topic(TOPIC).expect("it is known");
    let record = RecordToAppend {
        partition: Some(0),
        view: RecordView::new(1, None, None, &[]),
    };
    accumulator.try_append(
        &topic,
        &record,
        &mut None,
        &mut MemoryTicket::default(),
        None,
    )
}

impl Bench {
    /// `leaders` of the partitions of one topic; 0 for none. Every record is a batch of its own.
    pub(super) fn new(config: SenderConfig, leaders: &[i32]) -> Self {
        Self::with_batches_of(1, config, leaders)
    }

    pub(super) fn with_batches_of(
        batch_size: usize,
        config: SenderConfig,
        leaders: &[i32],
    ) -> Self {
        let (time, clock) = Time::mock();
        let wakeup = Wakeup::new(None);
        let accumulator_config = AccumulatorConfig {
            batch_size,
            linger: Duration::ZERO,
            buffer_memory: 1 << 20,
            most_per_topic: None,
            delivery_timeout: Duration::from_secs(120),
            retry_backoff: config.retry_backoff,
            retry_backoff_max: config.retry_backoff_max,
        };
        let accumulator = RecordAccumulator::new(
            accumulator_config,
            time.clone(),
            Random::seeded(1),
            wakeup.clone(),
        );
        let metadata_config = MetadataConfig {
            max_age: Duration::from_secs(300),
            max_idle: Duration::from_secs(300),
            retry_backoff: config.retry_backoff,
            retry_backoff_max: config.retry_backoff_max,
        };
        let metadata = Arc::new(Metadata::new(
            metadata_config,
            vec![node(-1)],
            wakeup.clone(),
        ));
        let shared = Shared::new(time, metadata, accumulator, wakeup);
        let client = MockClient::new();
        client.set_least_loaded(Some(node(1)));
        let sender = Sender::new(
            config,
            Arc::clone(&shared),
            client.handle(),
            Random::seeded(2),
        );
        let bench = Self {
            sender,
            client,
            shared,
            clock,
            timestamp_ms: 77,
        };
        bench.learn(TOPIC_ID, leaders, 1);
        let cluster = bench.shared.metadata.cluster();
        bench
            .shared
            .accumulator
            .learn_topic(cluster.topic(TOPIC).expect("it was just learnt"));
        bench
    }

    /// Idempotent, with producer id 7 and epoch 0.
    pub(super) fn idempotent(leaders: &[i32]) -> Self {
        Self::idempotent_with(config(), leaders)
    }

    pub(super) fn idempotent_with(config: SenderConfig, leaders: &[i32]) -> Self {
        let mut bench = Self::new(config, leaders);
        bench.give_identity(7, 0);
        bench
    }

    /// A first record brings it about, and is acknowledged at offset 0 of the first partition.
    fn give_identity(&mut self, producer_id: i64, epoch: i16) {
        let first = self.send(0);
        self.turn();
        let request = self.client.take().expect("it asks for an id");
        self.client.answer(request, identity(producer_id, epoch, 0));
        self.turn();
        self.turn();
        let request = self.take();
        self.acknowledge(request, 0);
        self.turn();
        assert!(first.is_done());
    }

    pub(super) fn learn(&self, id: Uuid, leaders: &[i32], leader_epoch: i32) {
        let now = self.clock.now();
        self.shared.metadata.touch(&TOPIC.into(), now);
        let partitions = (0..).zip(leaders).map(|(index, leader)| MetadataPartition {
            error_code: 0,
            index,
            leader_id: if *leader > 0 { *leader } else { -1 },
            leader_epoch,
        });
        let response = MetadataResponse {
            brokers: vec![node(1), node(2), node(3)],
            topics: vec![MetadataTopic {
                name: TOPIC.into(),
                topic_id: id,
                partitions: partitions.collect(),
                ..MetadataTopic::default()
            }],
            ..MetadataResponse::default()
        };
        self.shared.metadata.learn(response, now);
    }

    /// Metadata says that there is no such topic.
    pub(super) fn learn_nothing_of_the_topic(&self) {
        let response = MetadataResponse {
            brokers: vec![node(1), node(2), node(3)],
            topics: vec![MetadataTopic {
                name: TOPIC.into(),
                error_code: 3,
                ..MetadataTopic::default()
            }],
            ..MetadataResponse::default()
        };
        self.shared.metadata.learn(response, self.clock.now());
    }

    pub(super) fn send(&self, partition: i32) -> SendHandle {
        self.send_with(partition, None)
    }

    pub(super) fn send_with(&self, partition: i32, callback: Option<Callback<'_>>) -> SendHandle {
        self.send_value(partition, b"value", callback)
    }

    pub(super) fn send_value(
        &self,
        partition: i32,
        value: &[u8],
        mut callback: Option<Callback<'_>>,
    ) -> SendHandle {
        let topic = self.shared.accumulator.topic(TOPIC).expect("it is known");
        let record = RecordToAppend {
            partition: Some(partition),
            view: RecordView::new(self.timestamp_ms, None, Some(value), &[]),
        };
        let mut ticket = MemoryTicket::default();
        match self
            .shared
            .accumulator
            .try_append(&topic, &record, &mut callback, &mut ticket, None)
        {
            Append::Appended { result, index } => SendHandle::new(
                result,
                index,
                RecordSizes {
                    timestamp_ms: self.timestamp_ms,
                    serialized_key_size: -1,
                    serialized_value_size: 5,
                },
            ),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn turn(&mut self) {
        self.sender.run_once(self.clock.now());
    }

    pub(super) fn advance(&self, ms: u64) {
        self.clock.advance(Duration::from_millis(ms));
    }

    /// Past any backoff, and a turn.
    pub(super) fn next_attempt(&mut self) {
        self.advance(2000);
        self.turn();
    }

    pub(super) fn take(&self) -> Request {
        self.client.take().expect("a request was sent")
    }

    pub(super) fn acknowledge(&self, request: Request, base_offset: i64) {
        self.answer_each(request, |partition| {
            partition.base_offset = base_offset;
        });
    }

    pub(super) fn refuse(&self, request: Request, code: i16) {
        self.answer_each(request, |partition| {
            partition.error_code = code;
            partition.base_offset = -1;
        });
    }

    pub(super) fn answer_each(
        &self,
        request: Request,
        answer: impl FnMut(&mut PartitionProduceResponse),
    ) {
        let response = response_to(produce(&request), answer);
        self.client
            .answer(request, Outcome::Response(ApiResponse::Produce(response)));
    }

    pub(super) fn disconnect(&self, request: Request, maybe_written: bool) {
        let error = Error::new(ErrorKind::Network, "the connection was reset");
        let outcome = Outcome::Disconnected {
            maybe_written,
            error,
        };
        self.client.answer(request, outcome);
    }

    pub(super) fn time_out(&self, request: Request) {
        let error = Error::new(ErrorKind::Timeout, "no response within 30000 ms");
        self.client.answer(request, Outcome::TimedOut { error });
    }
}

pub(super) fn identity(producer_id: i64, producer_epoch: i16, error_code: i16) -> Outcome {
    Outcome::Response(ApiResponse::InitProducerId(InitProducerIdResponse {
        throttle_time_ms: 0,
        error_code,
        producer_id,
        producer_epoch,
    }))
}

pub(super) fn produce(request: &Request) -> &ProduceRequest {
    match &request.body {
        ApiRequest::Produce(produce) => produce,
        other => panic!("{other:?}"),
    }
}

pub(super) fn response_to(
    request: &ProduceRequest,
    mut answer: impl FnMut(&mut PartitionProduceResponse),
) -> ProduceResponse {
    let topics = request.topics.iter().map(|topic| TopicProduceResponse {
        name: if topic.topic_id.is_zero() {
            (*topic.name).into()
        } else {
            Box::default()
        },
        topic_id: topic.topic_id,
        partitions: topic
            .partitions
            .iter()
            .map(|partition| {
                let mut response = PartitionProduceResponse {
                    index: partition.index,
                    log_append_time_ms: -1,
                    log_start_offset: -1,
                    ..PartitionProduceResponse::default()
                };
                answer(&mut response);
                response
            })
            .collect(),
    });
    ProduceResponse {
        topics: topics.collect(),
        ..ProduceResponse::default()
    }
}

pub(super) fn on_wire(request: &Request) -> Vec<OnWire> {
    let partitions = produce(request)
        .topics
        .iter()
        .flat_map(|topic| &topic.partitions);
    partitions
        .map(|partition| {
            let header = &partition.records.parts[0];
            let field = |at: usize, size: usize| {
                header[at..at + size]
                    .iter()
                    .fold(0_i64, |value, byte| value << 8 | i64::from(*byte))
            };
            OnWire {
                partition: partition.index,
                producer_id: field(43, 8),
                epoch: i16::try_from(field(51, 2)).unwrap_or(-1),
                sequence: i32::try_from(field(53, 4)).unwrap_or(-1),
                records: i32::try_from(field(57, 4)).expect("small"),
            }
        })
        .collect()
}

/// What the one batch of a request carries: epoch and sequence.
pub(super) fn stamp(request: &Request) -> (i16, i32) {
    let batches = on_wire(request);
    assert_eq!(batches.len(), 1, "{batches:?}");
    (batches[0].epoch, batches[0].sequence)
}

pub(super) fn done(handle: &SendHandle) -> Result<RecordMetadata, DeliveryError> {
    handle.try_get().expect("it has its outcome")
}

pub(super) fn offset(handle: &SendHandle) -> Option<i64> {
    done(handle).expect("it was acknowledged").offset()
}

pub(super) fn failed(handle: &SendHandle) -> (ErrorKind, Persistence) {
    let error = done(handle).expect_err("it failed");
    (error.kind(), error.persistence())
}
