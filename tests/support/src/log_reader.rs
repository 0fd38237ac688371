//! Reads a topic back over the wire, from any broker that speaks Kafka's protocol.
//!
//! A few blocking calls of Metadata and Fetch through `kafka-protocol`, so that what the producer
//! under test wrote is proven by code that shares nothing with it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    BrokerId, FetchRequest, MetadataRequest, MetadataResponse, RequestHeader, ResponseHeader,
    TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use kafka_protocol::records::RecordBatchDecoder;

/// A record as it lies in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedRecord {
    /// The partition it lies in.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// The key, or null.
    pub key: Option<Bytes>,
    /// The value, or null.
    pub value: Option<Bytes>,
}

/// Reads the given offsets of each partition, or fails after `patience`.
///
/// # Errors
/// What could not be reached, read or understood, in words.
pub fn read_log(
    bootstrap: &str,
    topic: &str,
    offsets: &BTreeMap<i32, RangeInclusive<i64>>,
    patience: Duration,
) -> Result<Vec<FetchedRecord>, String> {
    let until = Instant::now() + patience;
    let mut records = Vec::new();
    let mut connections = BTreeMap::new();
    for (&partition, range) in offsets {
        let mut next = *range.start();
        while next <= *range.end() {
            if Instant::now() > until {
                return Err(format!(
                    "{topic}-{partition}: only read up to {next} of {range:?} in {patience:?}"
                ));
            }
            let leader = leader(bootstrap, topic, partition)?;
            if !connections.contains_key(&leader) {
                connections.insert(leader.clone(), Connection::open(&leader)?);
            }
            let Some(connection) = connections.get_mut(&leader) else {
                continue;
            };
            let mut fetched = fetch(connection, topic, partition, next)?;
            fetched.retain(|record| record.offset >= next && record.offset <= *range.end());
            match fetched.last() {
                Some(last) => next = last.offset + 1,
                None => continue,
            }
            records.append(&mut fetched);
        }
    }
    Ok(records)
}

/// Where the leader of a partition listens.
fn leader(bootstrap: &str, topic: &str, partition: i32) -> Result<String, String> {
    let first = bootstrap.split(',').next().unwrap_or(bootstrap);
    let mut connection = Connection::open(first)?;
    let name = TopicName(StrBytes::from_string(topic.to_owned()));
    let wanted = MetadataRequestTopic::default().with_name(Some(name));
    let request = MetadataRequest::default()
        .with_topics(Some(vec![wanted]))
        .with_allow_auto_topic_creation(false);
    let response: MetadataResponse = connection.call(&request, METADATA_VERSION)?;
    let leader = response
        .topics
        .iter()
        .flat_map(|topic| &topic.partitions)
        .find(|known| known.partition_index == partition)
        .ok_or_else(|| format!("{topic}-{partition} is not known to {first}"))?
        .leader_id;
    response
        .brokers
        .iter()
        .find(|broker| broker.node_id == leader)
        .map(|broker| format!("{}:{}", &*broker.host, broker.port))
        .ok_or_else(|| format!("{topic}-{partition} has no leader"))
}

fn fetch(
    connection: &mut Connection,
    topic: &str,
    partition: i32,
    offset: i64,
) -> Result<Vec<FetchedRecord>, String> {
    let wanted = FetchPartition::default()
        .with_partition(partition)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(FETCH_BYTES);
    let topic = FetchTopic::default()
        .with_topic(TopicName(StrBytes::from_string(topic.to_owned())))
        .with_partitions(vec![wanted]);
    let request = FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(500)
        .with_min_bytes(1)
        .with_max_bytes(FETCH_BYTES)
        .with_topics(vec![topic]);
    let response = connection.call(&request, FETCH_VERSION)?;
    let mut records = Vec::new();
    for fetched in response.responses.into_iter().flat_map(|t| t.partitions) {
        if fetched.error_code != 0 {
            return Err(format!("fetch: error code {}", fetched.error_code));
        }
        let mut bytes = fetched.records.unwrap_or_default();
        // A fetch may end in the middle of a batch, which then is not one.
        while let Ok(set) = RecordBatchDecoder::decode(&mut bytes) {
            records.extend(set.records.into_iter().map(|record| FetchedRecord {
                partition,
                offset: record.offset,
                timestamp_ms: record.timestamp,
                key: record.key,
                value: record.value,
            }));
        }
    }
    Ok(records)
}

struct Connection {
    stream: TcpStream,
    peer: String,
    next_correlation_id: i32,
}

impl Connection {
    fn open(peer: &str) -> Result<Self, String> {
        let failed = |e: std::io::Error| format!("{peer}: {e}");
        let stream = TcpStream::connect(peer).map_err(failed)?;
        stream
            .set_read_timeout(Some(CALL_TIMEOUT))
            .map_err(failed)?;
        stream
            .set_write_timeout(Some(CALL_TIMEOUT))
            .map_err(failed)?;
        Ok(Self {
            stream,
            peer: peer.to_owned(),
            next_correlation_id: 0,
        })
    }

    fn call<R: Request>(&mut self, request: &R, version: i16) -> Result<R::Response, String> {
        let correlation_id = self.next_correlation_id;
        self.next_correlation_id += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(correlation_id)
            .with_client_id(Some(StrBytes::from_static_str("log-reader")));
        let mut body = BytesMut::new();
        let peer = self.peer.clone();
        let wrong = |e| format!("{peer}: {e:#}");
        header
            .encode(&mut body, R::header_version(version))
            .map_err(wrong)?;
        request.encode(&mut body, version).map_err(wrong)?;
        let mut frame = BytesMut::with_capacity(body.len() + 4);
        frame.put_i32(i32::try_from(body.len()).map_err(|e| e.to_string())?);
        frame.put_slice(&body);
        let mut answer = self.exchange(&frame).map_err(|e| wrong(e.into()))?;
        let header = ResponseHeader::decode(&mut answer, R::Response::header_version(version))
            .map_err(wrong)?;
        if header.correlation_id != correlation_id {
            return Err(format!(
                "{peer}: answered another request than the one asked"
            ));
        }
        R::Response::decode(&mut answer, version).map_err(wrong)
    }

    fn exchange(&mut self, frame: &[u8]) -> std::io::Result<Bytes> {
        self.stream.write_all(frame)?;
        let mut size = [0; 4];
        self.stream.read_exact(&mut size)?;
        let mut answer = Vec::new();
        let wanted = u64::from(u32::from_be_bytes(size));
        let read = (&mut self.stream).take(wanted).read_to_end(&mut answer)?;
        if read as u64 == wanted {
            Ok(answer.into())
        } else {
            Err(std::io::ErrorKind::UnexpectedEof.into())
        }
    }
}

/// What every broker from 2.1 on speaks, without topic ids.
const FETCH_VERSION: i16 = 4;
const METADATA_VERSION: i16 = 4;
const FETCH_BYTES: i32 = 8 * 1024 * 1024;
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
