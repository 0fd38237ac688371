//! One case: requests sent one after another on a connection of their own, and what is compared of
//! their answers.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::{BufMut, Bytes};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    ApiVersionsRequest, InitProducerIdRequest, MetadataRequest, ProduceRequest, TopicName,
    TransactionalId,
};
use kafka_protocol::protocol::StrBytes;
use kafka_test_support::real_kafka::{
    Answer, Failure, RawConnection, decode_response, encode_request,
};
use uuid::Uuid;

use super::batch::Batch;

/// Stands for the id of the topic `plain`, which each cluster chooses itself. All other bytes are
/// the same for both.
pub(super) const PLAIN_ID: Uuid = Uuid::from_bytes([0xAB; 16]);

const ANSWER: Duration = Duration::from_secs(20);

/// How long a broker is watched that should say nothing.
const SILENCE: Duration = Duration::from_millis(250);

/// What is sent in one go, and how its answer is read.
#[derive(Debug, Clone)]
pub(super) struct Step {
    bytes: Bytes,
    reading: Reading,
}

#[derive(Debug, Clone, Copy)]
enum Reading {
    Produce(i16),
    Metadata(i16),
    ApiVersions(i16),
    InitProducerId(i16),
    /// The request has no answer; the next one may come at once.
    None,
    /// Whatever happens is told without a look inside.
    Event,
    /// The same, for what a broker should wait on.
    Pause,
}

/// A request and its name.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) steps: Vec<Step>,
}

impl Case {
    /// Sends the requests and tells what came back, in a form that is the same for equal answers.
    pub(super) fn run(&self, address: &str, plain_id: Uuid) -> Result<String, Failure> {
        let mut connection = RawConnection::open(address)?;
        let mut said = Vec::new();
        for step in &self.steps {
            connection.send(&with_id(&step.bytes, plain_id));
            let limit = match step.reading {
                Reading::None => continue,
                Reading::Pause => SILENCE,
                _ => ANSWER,
            };
            let answer = match connection.receive(limit)? {
                Answer::Frame(frame) => step.reading.read(frame)?,
                Answer::Closed => "closed".to_owned(),
                Answer::Silence => "silence".to_owned(),
            };
            let closed = answer == "closed";
            said.push(answer);
            if closed {
                break;
            }
        }
        Ok(said.join("; "))
    }
}

fn with_id(bytes: &[u8], plain_id: Uuid) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let pattern = PLAIN_ID.as_bytes();
    let places: Vec<usize> = bytes
        .windows(16)
        .enumerate()
        .filter(|(_, window)| window == pattern)
        .map(|(place, _)| place)
        .collect();
    for place in places {
        bytes[place..place + 16].copy_from_slice(plain_id.as_bytes());
    }
    bytes
}

impl Reading {
    fn read(self, frame: Bytes) -> Result<String, Failure> {
        match self {
            Self::Produce(version) => read_produce(frame, version),
            Self::Metadata(version) => read_metadata(frame, version),
            Self::ApiVersions(version) => read_api_versions(frame, version),
            Self::InitProducerId(version) => {
                let said = decode_response::<InitProducerIdRequest>(frame, version)?;
                let given = if said.producer_id.0 >= 0 {
                    "an id"
                } else {
                    "none"
                };
                Ok(format!(
                    "error {} {given} epoch {}",
                    said.error_code, said.producer_epoch
                ))
            }
            Self::None | Self::Event | Self::Pause => Ok("an answer".to_owned()),
        }
    }
}

fn read_produce(frame: Bytes, version: i16) -> Result<String, Failure> {
    let said = decode_response::<ProduceRequest>(frame, version)?;
    let mut partitions = Vec::new();
    for topic in &said.responses {
        for partition in &topic.partition_responses {
            let append_time = partition.log_append_time_ms >= 0;
            let mut text = format!(
                "[{}-{} error {} offset {}{} start {}",
                topic.name.as_str(),
                partition.index,
                partition.error_code,
                partition.base_offset,
                if append_time { " append-time" } else { "" },
                partition.log_start_offset
            );
            for record in &partition.record_errors {
                let _ = write!(text, " record {}", record.batch_index);
            }
            text.push(']');
            partitions.push(text);
        }
    }
    // Kafka's order is that of a hash map.
    partitions.sort();
    Ok(format!(
        "{} partitions {}",
        partitions.len(),
        partitions.concat()
    ))
}

fn read_metadata(frame: Bytes, version: i16) -> Result<String, Failure> {
    let said = decode_response::<MetadataRequest>(frame, version)?;
    let mut topics: Vec<String> = Vec::new();
    for topic in &said.topics {
        let name = topic.name.as_ref().map_or("null", |name| name.0.as_str());
        let led = topic
            .partitions
            .iter()
            .filter(|p| p.leader_id.0 == 1)
            .count();
        let id = if topic.topic_id.is_nil() {
            "no id"
        } else {
            "id"
        };
        topics.push(format!(
            "[{name} error {} {id} led {led}]",
            topic.error_code
        ));
    }
    topics.sort();
    let text = topics.concat();
    Ok(format!(
        "error {} brokers {} {text}",
        said.error_code,
        said.brokers.len()
    ))
}

fn read_api_versions(frame: Bytes, version: i16) -> Result<String, Failure> {
    let said = decode_response::<ApiVersionsRequest>(frame, version)?;
    let mut text = format!("error {}", said.error_code);
    for api in said
        .api_keys
        .iter()
        .filter(|api| [0, 3, 18, 22].contains(&api.api_key))
    {
        let _ = write!(
            text,
            " [{} {}-{}]",
            api.api_key, api.min_version, api.max_version
        );
    }
    Ok(text)
}

/// A Produce request under construction: acks -1, version 9, until told otherwise.
#[derive(Debug, Clone)]
pub(super) struct Produce {
    version: i16,
    request: ProduceRequest,
}

impl Produce {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        let request = ProduceRequest::default()
            .with_acks(-1)
            .with_timeout_ms(5_000);
        Self {
            version: 9,
            request,
        }
    }

    /// A batch for a partition of `plain`.
    pub(super) fn batch(partition: i32, batch: &Batch) -> Self {
        Self::bytes(partition, batch.encode())
    }

    /// Any bytes for a partition of `plain`.
    pub(super) fn bytes(partition: i32, bytes: Bytes) -> Self {
        Self::new().and("plain", partition, Some(bytes))
    }

    /// One more partition, in an entry of its own.
    pub(super) fn and(mut self, topic: &str, partition: i32, records: Option<Bytes>) -> Self {
        let data = PartitionProduceData::default()
            .with_index(partition)
            .with_records(records);
        let topic = TopicProduceData::default()
            .with_name(TopicName(StrBytes::from_string(topic.to_owned())))
            .with_topic_id(PLAIN_ID)
            .with_partition_data(vec![data]);
        self.request.topic_data.push(topic);
        self
    }

    /// All partitions in the entry of the first.
    pub(super) fn in_one_entry(mut self) -> Self {
        let rest = self.request.topic_data.split_off(1);
        let first = &mut self.request.topic_data[0];
        first
            .partition_data
            .extend(rest.into_iter().flat_map(|topic| topic.partition_data));
        self
    }

    pub(super) fn version(mut self, version: i16) -> Self {
        self.version = version;
        self
    }

    pub(super) fn acks(mut self, acks: i16) -> Self {
        self.request.acks = acks;
        self
    }

    pub(super) fn timeout(mut self, timeout_ms: i32) -> Self {
        self.request.timeout_ms = timeout_ms;
        self
    }

    pub(super) fn transactional_id(mut self, id: &str) -> Self {
        let id = TransactionalId(StrBytes::from_string(id.to_owned()));
        self.request.transactional_id = Some(id);
        self
    }

    pub(super) fn topic_id(mut self, id: Uuid) -> Self {
        for topic in &mut self.request.topic_data {
            topic.topic_id = id;
        }
        self
    }

    pub(super) fn no_partitions(mut self) -> Self {
        for topic in &mut self.request.topic_data {
            topic.partition_data.clear();
        }
        self
    }

    pub(super) fn step(&self) -> Step {
        let reading = match self.request.acks {
            0 => Reading::None,
            _ => Reading::Produce(self.version),
        };
        Step {
            bytes: encode(&self.request, self.version),
            reading,
        }
    }
}

/// A request for these topics; for all if absent.
pub(super) fn metadata(version: i16, topics: Option<&[&str]>, auto_create: bool) -> Step {
    let topic = |name: &&str| {
        let name = TopicName(StrBytes::from_string((*name).to_owned()));
        MetadataRequestTopic::default().with_name(Some(name))
    };
    let topics = topics.map(|topics| topics.iter().map(topic).collect());
    let request = MetadataRequest::default()
        .with_topics(topics)
        .with_allow_auto_topic_creation(auto_create);
    Step {
        bytes: encode(&request, version),
        reading: Reading::Metadata(version),
    }
}

/// A request for a topic by its id.
pub(super) fn metadata_by_id(version: i16, id: Uuid) -> Step {
    let topic = MetadataRequestTopic::default()
        .with_name(None)
        .with_topic_id(id);
    let request = MetadataRequest::default()
        .with_topics(Some(vec![topic]))
        .with_allow_auto_topic_creation(false);
    Step {
        bytes: encode(&request, version),
        reading: Reading::Metadata(version),
    }
}

pub(super) fn api_versions(version: i16, name: &str, software_version: &str) -> Step {
    let text = |text: &str| StrBytes::from_string(text.to_owned());
    let mut request = ApiVersionsRequest::default();
    if version >= 3 {
        request = request
            .with_client_software_name(text(name))
            .with_client_software_version(text(software_version));
    }
    Step {
        bytes: encode(&request, version),
        reading: Reading::ApiVersions(version),
    }
}

/// For an idempotent producer, or a transactional one.
pub(super) fn init_producer_id(
    version: i16,
    transactional_id: Option<&str>,
    producer_id: i64,
    epoch: i16,
) -> Step {
    let id = |id: &str| TransactionalId(StrBytes::from_string(id.to_owned()));
    let mut request = InitProducerIdRequest::default()
        .with_transactional_id(transactional_id.map(id))
        .with_transaction_timeout_ms(60_000);
    if version >= 3 {
        request = request
            .with_producer_id(producer_id.into())
            .with_producer_epoch(epoch);
    }
    Step {
        bytes: encode(&request, version),
        reading: Reading::InitProducerId(version),
    }
}

/// Bytes that are no request; what follows is told without a look inside.
pub(super) fn raw(bytes: &[u8]) -> Step {
    Step {
        bytes: Bytes::copy_from_slice(bytes),
        reading: Reading::Event,
    }
}

/// Bytes after which nothing should follow yet.
pub(super) fn unfinished(bytes: &[u8]) -> Step {
    Step {
        bytes: Bytes::copy_from_slice(bytes),
        reading: Reading::Pause,
    }
}

impl Step {
    /// The same with another version in its header.
    pub(super) fn claiming(self, version: i16) -> Self {
        let mut bytes = self.bytes.to_vec();
        bytes[6..8].copy_from_slice(&version.to_be_bytes());
        Self {
            bytes: bytes.into(),
            ..self
        }
    }

    /// The same, answered as an ApiVersions request of this version.
    pub(super) fn answered_as(self, version: i16) -> Self {
        Self {
            reading: Reading::ApiVersions(version),
            ..self
        }
    }

    /// The same with another API in its header.
    pub(super) fn for_api(self, key: i16) -> Self {
        let mut bytes = self.bytes.to_vec();
        bytes[4..6].copy_from_slice(&key.to_be_bytes());
        Self {
            bytes: bytes.into(),
            reading: Reading::Event,
        }
    }

    /// The same, cut to so many bytes less, with the size in front right.
    pub(super) fn shortened(self, by: usize) -> Self {
        self.resized(|bytes| bytes.truncate(bytes.len() - by))
    }

    /// The same with bytes after its end, with the size in front right.
    pub(super) fn lengthened(self, by: &[u8]) -> Self {
        self.resized(|bytes| bytes.extend(by))
    }

    /// The same, watched for a moment only: a broker is expected to say nothing.
    pub(super) fn unanswered(self) -> Self {
        Self {
            reading: Reading::Pause,
            ..self
        }
    }

    /// The first bytes of it.
    pub(super) fn first(&self, count: usize) -> Bytes {
        self.bytes.slice(..count)
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// All but the first bytes of it.
    pub(super) fn after(self, count: usize) -> Self {
        Self {
            bytes: self.bytes.slice(count..),
            ..self
        }
    }

    fn resized(self, change: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut bytes = self.bytes.to_vec();
        change(&mut bytes);
        let size = i32::try_from(bytes.len() - 4).unwrap();
        bytes[..4].copy_from_slice(&size.to_be_bytes());
        Self {
            bytes: bytes.into(),
            ..self
        }
    }
}

/// A frame of any bytes.
pub(super) fn frame(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.put_i32(i32::try_from(body.len()).unwrap());
    bytes.put_slice(body);
    bytes
}

fn encode<R: kafka_protocol::protocol::Request>(request: &R, version: i16) -> Bytes {
    encode_request(request, version, 7).unwrap()
}
