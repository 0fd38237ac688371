//! The cluster as a client sees it: bytes in, bytes out, on a clock of the test's own.

mod batches;
mod changes;
mod faults;
mod hostile;
mod metadata;
mod produce;
mod properties;
mod requests;
mod sequences;
mod sockets;
mod speed;
mod tap;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{ProduceRequest, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

use crate::{Cluster, ClusterConfig, ConnId, ConnState};

const NOW: i64 = 1_700_000_000_000;

/// A client with one connection to node 1.
struct Client {
    cluster: Cluster,
    connection: ConnId,
    correlation_id: i32,
    now_ms: i64,
}

impl Client {
    fn new(config: ClusterConfig) -> Self {
        let mut cluster = Cluster::new(config);
        let connection = cluster.connect(1, NOW).unwrap();
        Self {
            cluster,
            connection,
            correlation_id: 0,
            now_ms: NOW,
        }
    }

    /// One broker with the topic `t` of two partitions.
    fn simple() -> Self {
        Self::new(ClusterConfig::brokers(1).topic("t", 2))
    }

    fn reconnect(&mut self) {
        self.connection = self.cluster.connect(1, self.now_ms).unwrap();
    }

    fn send<R: Request>(&mut self, version: i16, body: &R) {
        self.correlation_id += 1;
        let bytes = frame(version, self.correlation_id, body);
        self.cluster.receive(self.connection, &bytes, self.now_ms);
    }

    fn take(&mut self) -> (Vec<u8>, ConnState) {
        let mut out = Vec::new();
        let state = self.cluster.output(self.connection, &mut out);
        (out, state)
    }

    /// The answer, which must be there and be the only one.
    fn answer<R: Request>(&mut self, version: i16) -> R::Response {
        let (bytes, state) = self.take();
        assert_eq!(state, ConnState::Open);
        decode::<R>(&bytes, version, self.correlation_id)
    }

    fn ask<R: Request>(&mut self, version: i16, body: &R) -> R::Response {
        self.send(version, body);
        self.answer::<R>(version)
    }

    /// Produces to partition 0 of `t` with acks=all.
    fn produce(&mut self, records: impl Into<Bytes>) -> PartitionProduceResponse {
        let request = to_partition(0, records);
        self.produce_request(12, &request)
    }

    fn produce_request(
        &mut self,
        version: i16,
        request: &ProduceRequest,
    ) -> PartitionProduceResponse {
        let response = self.ask(version, request);
        let [topic] = &response.responses[..] else {
            panic!("one topic was asked for: {response:?}");
        };
        topic.partition_responses[0].clone()
    }

    fn advance(&mut self, millis: i64) {
        self.now_ms += millis;
        self.cluster.advance(self.now_ms);
    }
}

fn to_partition(partition: i32, records: impl Into<Bytes>) -> ProduceRequest {
    ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(1000)
        .with_topic_data(vec![
            TopicProduceData::default()
                .with_name(StrBytes::from_static_str("t").into())
                .with_partition_data(vec![
                    PartitionProduceData::default()
                        .with_index(partition)
                        .with_records(Some(records.into())),
                ]),
        ])
}

fn frame<R: Request>(version: i16, correlation_id: i32, body: &R) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_static_str("tester")))
        .encode(&mut bytes, R::header_version(version))
        .unwrap();
    body.encode(&mut bytes, version).unwrap();
    with_size(&bytes)
}

fn with_size(body: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(body);
    bytes
}

fn decode<R: Request>(bytes: &[u8], version: i16, correlation_id: i32) -> R::Response {
    let mut rest = Bytes::copy_from_slice(bytes);
    assert_eq!(
        usize::try_from(rest.get_i32()).unwrap(),
        rest.len(),
        "one whole answer"
    );
    let header_version = <R::Response as HeaderVersion>::header_version(version);
    let header = ResponseHeader::decode(&mut rest, header_version).unwrap();
    assert_eq!(header.correlation_id, correlation_id);
    let response = R::Response::decode(&mut rest, version).unwrap();
    assert!(rest.is_empty(), "bytes after the answer");
    response
}

/// A batch as a correct producer makes it, and knobs to spoil it.
#[derive(Debug, Clone)]
struct TestBatch {
    base_offset: i64,
    attributes: i16,
    magic: u8,
    last_offset_delta: Option<i32>,
    base_timestamp: i64,
    max_timestamp: Option<i64>,
    producer_id: i64,
    epoch: i16,
    base_sequence: i32,
    count: Option<i32>,
    /// Instead of the encoded records.
    body: Option<Vec<u8>>,
    records: Vec<TestRecord>,
    spoil_crc: bool,
}

#[derive(Debug, Clone)]
struct TestRecord {
    timestamp_delta: i64,
    offset_delta: i64,
    key: Option<&'static [u8]>,
    value: Option<&'static [u8]>,
    headers: Vec<(&'static str, Option<&'static [u8]>)>,
}

impl TestBatch {
    fn of(count: usize) -> Self {
        let record = |index| TestRecord {
            timestamp_delta: index,
            offset_delta: index,
            key: Some(b"key"),
            value: Some(b"value"),
            headers: Vec::new(),
        };
        Self {
            base_offset: 0,
            attributes: 0,
            magic: 2,
            last_offset_delta: None,
            base_timestamp: NOW,
            max_timestamp: None,
            producer_id: -1,
            epoch: -1,
            base_sequence: -1,
            count: None,
            body: None,
            records: (0..).take(count).map(record).collect(),
            spoil_crc: false,
        }
    }

    fn sequenced(epoch: i16, base_sequence: i32, count: usize) -> Self {
        Self {
            producer_id: 7,
            epoch,
            base_sequence,
            ..Self::of(count)
        }
    }

    fn encode(&self) -> Bytes {
        let count = i32::try_from(self.records.len()).unwrap();
        let newest = self.records.iter().map(|record| record.timestamp_delta);
        let newest = self.base_timestamp + newest.max().unwrap_or(0);
        let mut tail = Vec::new();
        tail.extend(self.attributes.to_be_bytes());
        tail.extend(self.last_offset_delta.unwrap_or(count - 1).to_be_bytes());
        tail.extend(self.base_timestamp.to_be_bytes());
        tail.extend(self.max_timestamp.unwrap_or(newest).to_be_bytes());
        tail.extend(self.producer_id.to_be_bytes());
        tail.extend(self.epoch.to_be_bytes());
        tail.extend(self.base_sequence.to_be_bytes());
        tail.extend(self.count.unwrap_or(count).to_be_bytes());
        match &self.body {
            Some(body) => tail.extend(body),
            None => tail.extend(encode_records(&self.records)),
        }
        let mut bytes = Vec::new();
        bytes.extend(self.base_offset.to_be_bytes());
        bytes.extend(i32::try_from(tail.len() + 9).unwrap().to_be_bytes());
        bytes.extend((-1_i32).to_be_bytes());
        bytes.push(self.magic);
        let crc = crc32c::crc32c(&tail) ^ u32::from(self.spoil_crc);
        bytes.extend(crc.to_be_bytes());
        bytes.extend(tail);
        bytes.into()
    }
}

fn encode_records(records: &[TestRecord]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for record in records {
        let mut body = vec![0];
        put_varint(&mut body, record.timestamp_delta);
        put_varint(&mut body, record.offset_delta);
        put_sized(&mut body, record.key);
        put_sized(&mut body, record.value);
        put_varint(&mut body, i64::try_from(record.headers.len()).unwrap());
        for (key, value) in &record.headers {
            put_sized(&mut body, Some(key.as_bytes()));
            put_sized(&mut body, *value);
        }
        put_varint(&mut bytes, i64::try_from(body.len()).unwrap());
        bytes.extend(body);
    }
    bytes
}

fn put_sized(to: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            put_varint(to, i64::try_from(bytes.len()).unwrap());
            to.extend(bytes);
        }
        None => put_varint(to, -1),
    }
}

fn put_varint(to: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        to.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
        rest >>= 7;
    }
    to.push(u8::try_from(rest).unwrap());
}
