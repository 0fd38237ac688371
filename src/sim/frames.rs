//! Requests and answers as they pass the client's sockets, read with `kafka-protocol` and never with
//! the library's codec: for the trace in words, and for what error codes were seen.
//!
//! Thread: the one that simulates. Locks: none. Bytes that mean nothing are shown as such; judging
//! them is the oracle's business.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, InitProducerIdResponse, MetadataResponse, ProduceRequest,
    ProduceResponse, RequestHeader, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, HeaderVersion};

use crate::network::WireId;
use crate::protocol;

/// What the client asked on which connection, so that answers can be read.
#[derive(Debug, Default)]
pub(super) struct Conversations(BTreeMap<(WireId, i32), Head>);

/// The fields that every request begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    api: i16,
    version: i16,
    correlation_id: i32,
}

impl Head {
    fn read(frame: &[u8]) -> Option<Self> {
        let (api, rest) = frame.split_first_chunk()?;
        let (version, rest) = rest.split_first_chunk()?;
        let (correlation_id, _) = rest.split_first_chunk()?;
        Some(Self {
            api: i16::from_be_bytes(*api),
            version: i16::from_be_bytes(*version),
            correlation_id: i32::from_be_bytes(*correlation_id),
        })
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match ApiKey::try_from(self.api) {
            Ok(api) => write!(f, "{api:?}")?,
            Err(()) => write!(f, "api {}", self.api)?,
        }
        write!(f, " v{} c{}", self.version, self.correlation_id)
    }
}

impl Conversations {
    pub(super) fn asks(&mut self, link: WireId, frame: &[u8]) {
        if let Some(head) = Head::read(frame) {
            self.0.insert((link, head.correlation_id), head);
        }
    }

    pub(super) fn answered(&mut self, link: WireId, frame: &[u8]) -> Answer {
        let correlation_id = frame.first_chunk().map(|id| i32::from_be_bytes(*id));
        let head = correlation_id.and_then(|id| self.0.remove(&(link, id)));
        let bytes = frame.len();
        let body = head.and_then(|head| Body::read(head, frame));
        Answer { head, body, bytes }
    }

    pub(super) fn closes(&mut self, link: WireId) {
        let of_link: Vec<_> = self
            .0
            .range((link, i32::MIN)..=(link, i32::MAX))
            .map(|(key, _)| *key)
            .collect();
        for key in of_link {
            self.0.remove(&key);
        }
    }
}

/// An answer, as far as it can be understood.
#[derive(Debug)]
pub(super) struct Answer {
    head: Option<Head>,
    body: Option<Body>,
    bytes: usize,
}

#[derive(Debug)]
enum Body {
    Produce(ProduceResponse),
    Metadata(MetadataResponse),
    ApiVersions(ApiVersionsResponse),
    InitProducerId(InitProducerIdResponse),
}

impl Body {
    fn read(head: Head, frame: &[u8]) -> Option<Self> {
        let version = head.version;
        let sane = |key, version| claims_no_more_than_there_is(key, version, frame);
        match ApiKey::try_from(head.api).ok()? {
            ApiKey::Produce if sane(protocol::ApiKey::Produce, version) => {
                decode(version, frame).map(Self::Produce)
            }
            ApiKey::Metadata if sane(protocol::ApiKey::Metadata, version) => {
                decode(version, frame).map(Self::Metadata)
            }
            ApiKey::ApiVersions => {
                let key = protocol::ApiKey::ApiVersions;
                // A broker that does not know the version answers in the oldest.
                let versions = [version, 0].into_iter().filter(|v| sane(key, *v));
                let mut decoded = versions.filter_map(|version| decode(version, frame));
                decoded.next().map(Self::ApiVersions)
            }
            ApiKey::InitProducerId => decode(version, frame).map(Self::InitProducerId),
            _ => None,
        }
    }
}

/// `kafka-protocol` takes memory for as many elements as a list claims to have, which a hostile answer
/// makes 2^31. The library's decoder does not, and is asked first whether there are so many.
fn claims_no_more_than_there_is(key: protocol::ApiKey, version: i16, frame: &[u8]) -> bool {
    let mut reader = protocol::Reader::new(frame);
    protocol::decode_response_header(key, version, &mut reader).is_ok()
        && protocol::messages::ApiResponse::decode(key, version, &mut reader).is_ok()
}

fn decode<T: Decodable + HeaderVersion>(version: i16, frame: &[u8]) -> Option<T> {
    let mut rest = Bytes::copy_from_slice(frame);
    ResponseHeader::decode(&mut rest, T::header_version(version)).ok()?;
    let body = T::decode(&mut rest, version).ok()?;
    rest.is_empty().then_some(body)
}

impl Answer {
    /// Every error code in it, 0 too, and the key of its API.
    pub(super) fn codes(&self) -> Vec<(i16, i16)> {
        let Some(head) = self.head else {
            return Vec::new();
        };
        let codes: Vec<i16> = match &self.body {
            None => Vec::new(),
            Some(Body::Produce(answer)) => answer
                .responses
                .iter()
                .flat_map(|topic| &topic.partition_responses)
                .map(|partition| partition.error_code)
                .collect(),
            Some(Body::Metadata(answer)) => answer
                .topics
                .iter()
                .flat_map(|topic| {
                    let partitions = topic.partitions.iter().map(|it| it.error_code);
                    partitions.chain([topic.error_code])
                })
                .collect(),
            Some(Body::ApiVersions(answer)) => vec![answer.error_code],
            Some(Body::InitProducerId(answer)) => vec![answer.error_code],
        };
        codes.into_iter().map(|code| (head.api, code)).collect()
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(head) = self.head else {
            return write!(f, "what was not asked, {} bytes", self.bytes);
        };
        write!(f, "{head}")?;
        match &self.body {
            None => write!(f, " with {} bytes that mean nothing", self.bytes),
            Some(Body::Produce(answer)) => write_produced(answer, f),
            Some(Body::Metadata(answer)) => write_metadata(answer, f),
            Some(Body::ApiVersions(answer)) => write!(f, " code={}", answer.error_code),
            Some(Body::InitProducerId(answer)) => write!(
                f,
                " code={} id={}/{}",
                answer.error_code, answer.producer_id.0, answer.producer_epoch
            ),
        }
    }
}

/// A topic by its name, or by as much of its id as tells it from others.
struct TopicWords<'a>(&'a TopicName, uuid::Uuid);

impl fmt::Display for TopicWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            let id = self.1.simple().to_string();
            write!(f, "{}..", &id[..6])
        } else {
            f.write_str(self.0)
        }
    }
}

fn write_produced(answer: &ProduceResponse, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for topic in &answer.responses {
        let name = TopicWords(&topic.name, topic.topic_id);
        for partition in &topic.partition_responses {
            write!(f, " [{name}-{} ", partition.index)?;
            match partition.error_code {
                0 => write!(f, "offset={}", partition.base_offset)?,
                code => write!(f, "code={code}")?,
            }
            let leader = partition.current_leader.leader_id.0;
            if leader >= 0 {
                let epoch = partition.current_leader.leader_epoch;
                write!(f, " leader={leader} epoch={epoch}")?;
            }
            f.write_str("]")?;
        }
    }
    if answer.throttle_time_ms > 0 {
        write!(f, " throttled {} ms", answer.throttle_time_ms)?;
    }
    Ok(())
}

fn write_metadata(answer: &MetadataResponse, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(" nodes=[")?;
    for (index, broker) in answer.brokers.iter().enumerate() {
        let comma = if index > 0 { " " } else { "" };
        write!(f, "{comma}{}", broker.node_id.0)?;
    }
    f.write_str("]")?;
    for topic in &answer.topics {
        let nameless = TopicName::default();
        let name = topic.name.as_ref().unwrap_or(&nameless);
        write!(f, " [{}", TopicWords(name, topic.topic_id))?;
        if topic.error_code != 0 {
            write!(f, " code={}", topic.error_code)?;
        }
        for partition in &topic.partitions {
            let (index, leader) = (partition.partition_index, partition.leader_id.0);
            write!(f, " {index}@{leader}/{}", partition.leader_epoch)?;
            if partition.error_code != 0 {
                write!(f, " code={}", partition.error_code)?;
            }
        }
        f.write_str("]")?;
    }
    Ok(())
}

/// A request in words.
pub(super) struct RequestWords<'a>(pub(super) &'a [u8]);

impl fmt::Display for RequestWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(head) = Head::read(self.0) else {
            return write!(f, "{} bytes that mean nothing", self.0.len());
        };
        write!(f, "{head}")?;
        if ApiKey::try_from(head.api) != Ok(ApiKey::Produce) {
            return Ok(());
        }
        let mut rest = Bytes::copy_from_slice(self.0);
        let body = RequestHeader::decode(&mut rest, ProduceRequest::header_version(head.version))
            .and_then(|_| ProduceRequest::decode(&mut rest, head.version));
        let Ok(produce) = body else {
            return write!(f, " with {} bytes that mean nothing", self.0.len());
        };
        write!(f, " acks={}", produce.acks)?;
        for topic in &produce.topic_data {
            let name = TopicWords(&topic.name, topic.topic_id);
            for partition in &topic.partition_data {
                write!(f, " [{name}-{}", partition.index)?;
                let batch = partition.records.as_deref().unwrap_or_default();
                write_batch(batch, f)?;
                f.write_str("]")?;
            }
        }
        Ok(())
    }
}

/// The head of a batch, from where the format has its fields.
fn write_batch(batch: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let long = |at: usize| Some(i64::from_be_bytes(*batch.get(at..)?.first_chunk()?));
    let int = |at: usize| Some(i32::from_be_bytes(*batch.get(at..)?.first_chunk()?));
    let short = |at: usize| Some(i16::from_be_bytes(*batch.get(at..)?.first_chunk()?));
    let head = || Some((long(43)?, short(51)?, int(53)?, int(57)?));
    match head() {
        Some((-1, _, _, count)) => write!(f, " {count} records")?,
        Some((id, epoch, sequence, count)) => {
            write!(f, " id={id}/{epoch} seq={sequence}+{count}")?;
        }
        None => f.write_str(" no batch")?,
    }
    write!(f, " {} B", batch.len())
}
