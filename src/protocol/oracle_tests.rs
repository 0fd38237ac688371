//! Our codec against one generated from Kafka's own schemas: every version of every API, byte for
//! byte where we write, field for field where we read; and bytes that nobody should have sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::{Encodable, StrBytes};
use proptest::prelude::*;

use super::messages::{
    ApiResponse, ApiVersionsRequest, InitProducerIdRequest, MetadataRequest, MetadataRequestTopic,
    PartitionProduceData, ProduceRequest, Records, Request, TopicProduceData, supported_versions,
};
use super::{ApiKey, FrameWriter, Reader, RequestHeader, decode_response_header};
use crate::cluster::Uuid;
use crate::random::Random;

const APIS: [ApiKey; 4] = [
    ApiKey::Produce,
    ApiKey::Metadata,
    ApiKey::ApiVersions,
    ApiKey::InitProducerId,
];

fn versions(api_key: ApiKey) -> std::ops::RangeInclusive<i16> {
    let range = supported_versions(api_key);
    range.min..=range.max
}

/// Draws values of all shapes, the edges often.
struct Draw(Random);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0.below(bound)
    }

    fn flag(&mut self) -> bool {
        self.below(2) == 0
    }

    fn i16(&mut self) -> i16 {
        [0, -1, 1, i16::MAX, i16::MIN, 87][self.below(6)]
    }

    fn i32(&mut self) -> i32 {
        [0, -1, 1, i32::MAX, i32::MIN, 70_000][self.below(6)]
    }

    fn i64(&mut self) -> i64 {
        [0, -1, 1, i64::MAX, i64::MIN, 1 << 40][self.below(6)]
    }

    fn text(&mut self) -> String {
        let length = [0, 1, 5, 130, 300][self.below(5)];
        (0..length)
            .map(|_| ['a', 'Z', '-', 'é', '中'][self.below(5)])
            .collect()
    }

    fn str_bytes(&mut self) -> StrBytes {
        StrBytes::from_string(self.text())
    }

    fn nullable(&mut self) -> Option<StrBytes> {
        self.flag().then(|| self.str_bytes())
    }

    fn uuid(&mut self) -> [u8; 16] {
        std::array::from_fn(|_| self.below(256) as u8)
    }

    /// Tagged fields of a newer version than ours, where there can be any.
    fn unknown_tags(&mut self, flexible: bool) -> BTreeMap<i32, Bytes> {
        let mut tags = BTreeMap::new();
        if flexible && self.flag() {
            tags.insert(100, Bytes::from_static(b"from the future"));
        }
        tags
    }

    fn bytes(&mut self) -> Bytes {
        let length = [0, 1, 61, 127, 128, 20_000][self.below(6)];
        Bytes::from(vec![self.below(256) as u8; length])
    }
}

/// The body that we write, without the frame's length.
fn ours(request: &impl Request, version: i16) -> Vec<u8> {
    let mut out = FrameWriter::default();
    request.encode(version, &mut out);
    let frame = out.into_parts().concat();
    let (length, body) = frame.split_at(4);
    assert_eq!(
        i32::from_be_bytes(length.try_into().expect("four bytes")) as usize,
        body.len()
    );
    body.to_vec()
}

fn theirs(message: &impl Encodable, version: i16) -> Vec<u8> {
    let mut out = BytesMut::new();
    message
        .encode(&mut out, version)
        .expect("the oracle can encode what was drawn");
    out.to_vec()
}

fn draw_produce(draw: &mut Draw) -> (ProduceRequest, theirs::ProduceRequest) {
    let mut our_request = ProduceRequest {
        transactional_id: draw.flag().then(|| Arc::from(draw.text())),
        acks: draw.i16(),
        timeout_ms: draw.i32(),
        topics: Vec::new(),
    };
    let mut their_request = theirs::ProduceRequest::default()
        .with_transactional_id(
            our_request
                .transactional_id
                .as_ref()
                .map(|id| theirs::TransactionalId(StrBytes::from_string(id.to_string()))),
        )
        .with_acks(our_request.acks)
        .with_timeout_ms(our_request.timeout_ms);
    for _ in 0..draw.below(4) {
        let (name, id) = (draw.text(), draw.uuid());
        let mut topic = TopicProduceData {
            name: name.as_str().into(),
            topic_id: Uuid(id),
            partitions: Vec::new(),
        };
        let mut their_topic = theirs::produce_request::TopicProduceData::default()
            .with_name(theirs::TopicName(StrBytes::from_string(name)))
            .with_topic_id(uuid::Uuid::from_bytes(id));
        for _ in 0..draw.below(4) {
            let (index, parts) = (draw.i32(), vec![draw.bytes(), draw.bytes()]);
            their_topic.partition_data.push(
                theirs::produce_request::PartitionProduceData::default()
                    .with_index(index)
                    .with_records(Some(parts.concat().into())),
            );
            topic.partitions.push(PartitionProduceData {
                index,
                records: Records { parts },
            });
        }
        our_request.topics.push(topic);
        their_request.topic_data.push(their_topic);
    }
    (our_request, their_request)
}

fn draw_produce_response(draw: &mut Draw, version: i16) -> theirs::ProduceResponse {
    use kafka_protocol::messages::produce_response as produce;
    let flexible = version >= 9;
    let mut response = theirs::ProduceResponse::default()
        .with_throttle_time_ms(draw.i32())
        .with_unknown_tagged_fields(draw.unknown_tags(flexible));
    for _ in 0..draw.below(4) {
        let mut topic = produce::TopicProduceResponse::default()
            .with_unknown_tagged_fields(draw.unknown_tags(flexible));
        if version >= 13 {
            topic.topic_id = uuid::Uuid::from_bytes(draw.uuid());
        } else {
            topic.name = theirs::TopicName(draw.str_bytes());
        }
        for _ in 0..draw.below(4) {
            let mut partition = produce::PartitionProduceResponse::default()
                .with_index(draw.i32())
                .with_error_code(draw.i16())
                .with_base_offset(draw.i64())
                .with_log_append_time_ms(draw.i64())
                .with_unknown_tagged_fields(draw.unknown_tags(flexible));
            if version >= 5 {
                partition.log_start_offset = draw.i64();
            }
            if version >= 8 {
                partition.error_message = draw.nullable();
                for _ in 0..draw.below(3) {
                    partition.record_errors.push(
                        produce::BatchIndexAndErrorMessage::default()
                            .with_batch_index(draw.i32())
                            .with_batch_index_error_message(draw.nullable())
                            .with_unknown_tagged_fields(draw.unknown_tags(flexible)),
                    );
                }
            }
            if version >= 10 && draw.flag() {
                partition.current_leader = produce::LeaderIdAndEpoch::default()
                    .with_leader_id(theirs::BrokerId(7))
                    .with_leader_epoch(draw.i32());
            }
            topic.partition_responses.push(partition);
        }
        response.responses.push(topic);
    }
    if version >= 10 {
        for _ in 0..draw.below(3) {
            response.node_endpoints.push(
                produce::NodeEndpoint::default()
                    .with_node_id(theirs::BrokerId(draw.i32()))
                    .with_host(draw.str_bytes())
                    .with_port(9092)
                    .with_rack(draw.nullable()),
            );
        }
    }
    response
}

fn draw_metadata_response(draw: &mut Draw, version: i16) -> theirs::MetadataResponse {
    use kafka_protocol::messages::metadata_response as metadata;
    let flexible = version >= 9;
    let mut response = theirs::MetadataResponse::default()
        .with_controller_id(theirs::BrokerId(draw.i32()))
        .with_unknown_tagged_fields(draw.unknown_tags(flexible));
    if version >= 3 {
        response.throttle_time_ms = draw.i32();
    }
    if version >= 2 {
        response.cluster_id = draw.nullable();
    }
    if version >= 13 {
        response.error_code = draw.i16();
    }
    for id in 0..draw.below(4) {
        response.brokers.push(
            metadata::MetadataResponseBroker::default()
                .with_node_id(theirs::BrokerId(id as i32))
                .with_host(draw.str_bytes())
                .with_port(65_535)
                .with_rack(draw.nullable())
                .with_unknown_tagged_fields(draw.unknown_tags(flexible)),
        );
    }
    for _ in 0..draw.below(4) {
        let mut topic = metadata::MetadataResponseTopic::default()
            .with_error_code(draw.i16())
            .with_name(Some(theirs::TopicName(draw.str_bytes())))
            .with_is_internal(draw.flag())
            .with_unknown_tagged_fields(draw.unknown_tags(flexible));
        if version >= 10 {
            topic.topic_id = uuid::Uuid::from_bytes(draw.uuid());
        }
        for index in 0..draw.below(4) {
            let replicas = vec![theirs::BrokerId(1); draw.below(4)];
            let mut partition = metadata::MetadataResponsePartition::default()
                .with_error_code(draw.i16())
                .with_partition_index(index as i32)
                .with_leader_id(theirs::BrokerId(draw.i32()))
                .with_replica_nodes(replicas.clone())
                .with_isr_nodes(replicas)
                .with_unknown_tagged_fields(draw.unknown_tags(flexible));
            if version >= 7 {
                partition.leader_epoch = draw.i32();
            }
            if version >= 5 {
                partition.offline_replicas = vec![theirs::BrokerId(2); draw.below(3)];
            }
            topic.partitions.push(partition);
        }
        response.topics.push(topic);
    }
    response
}

fn draw_api_versions_response(draw: &mut Draw, version: i16) -> theirs::ApiVersionsResponse {
    use kafka_protocol::messages::api_versions_response as api;
    let flexible = version >= 3;
    let mut response = theirs::ApiVersionsResponse::default()
        .with_error_code(draw.i16())
        .with_unknown_tagged_fields(draw.unknown_tags(flexible));
    if version >= 1 {
        response.throttle_time_ms = draw.i32();
    }
    for _ in 0..draw.below(5) {
        response.api_keys.push(
            api::ApiVersion::default()
                .with_api_key(draw.i16())
                .with_min_version(draw.i16())
                .with_max_version(draw.i16())
                .with_unknown_tagged_fields(draw.unknown_tags(flexible)),
        );
    }
    if flexible {
        response.finalized_features_epoch = draw.i64();
        for _ in 0..draw.below(3) {
            response.finalized_features.push(
                api::FinalizedFeatureKey::default()
                    .with_name(draw.str_bytes())
                    .with_max_version_level(draw.i16())
                    .with_min_version_level(draw.i16()),
            );
        }
        response
            .supported_features
            .push(api::SupportedFeatureKey::default());
    }
    response
}

/// The bytes of a drawn response of any API.
fn draw_response(api_key: ApiKey, draw: &mut Draw, version: i16) -> Vec<u8> {
    match api_key {
        ApiKey::Produce => theirs(&draw_produce_response(draw, version), version),
        ApiKey::Metadata => theirs(&draw_metadata_response(draw, version), version),
        ApiKey::ApiVersions => theirs(&draw_api_versions_response(draw, version), version),
        ApiKey::InitProducerId => theirs(
            &theirs::InitProducerIdResponse::default().with_error_code(draw.i16()),
            version,
        ),
    }
}

/// The same, for the fuzzer to begin with: always the same bytes for the same version.
pub(crate) fn seed_response(api_key: ApiKey, version: i16) -> Vec<u8> {
    let drawn = |seed| draw_response(api_key, &mut Draw(Random::seeded(seed)), version);
    (0..100)
        .map(drawn)
        .find(|bytes| (50..700).contains(&bytes.len()))
        .unwrap_or_else(|| drawn(0))
}

fn check_produce_response(seed: u64, version: i16) {
    let theirs_drawn = draw_produce_response(&mut Draw(Random::seeded(seed)), version);
    let bytes = theirs(&theirs_drawn, version);
    let mut input = Reader::new(&bytes);
    let decoded = ApiResponse::decode(ApiKey::Produce, version, &mut input);
    let Ok(ApiResponse::Produce(ours)) = decoded else {
        panic!("version {version}: {decoded:?}")
    };
    assert_eq!(input.remaining(), 0);
    assert_eq!(ours.throttle_time_ms, theirs_drawn.throttle_time_ms);
    assert_eq!(ours.topics.len(), theirs_drawn.responses.len());
    assert_eq!(ours.node_endpoints.len(), theirs_drawn.node_endpoints.len());
    for (ours, theirs) in ours.topics.iter().zip(&theirs_drawn.responses) {
        assert_eq!(*ours.name, *theirs.name.0);
        assert_eq!(ours.topic_id.0, *theirs.topic_id.as_bytes());
        assert_eq!(ours.partitions.len(), theirs.partition_responses.len());
        for (ours, theirs) in ours.partitions.iter().zip(&theirs.partition_responses) {
            assert_eq!(ours.index, theirs.index);
            assert_eq!(ours.error_code, theirs.error_code);
            assert_eq!(ours.base_offset, theirs.base_offset);
            assert_eq!(ours.log_append_time_ms, theirs.log_append_time_ms);
            assert_eq!(ours.log_start_offset, theirs.log_start_offset);
            assert_eq!(
                ours.error_message.as_deref(),
                theirs.error_message.as_deref()
            );
            let our_errors: Vec<_> = ours
                .record_errors
                .iter()
                .map(|e| (e.batch_index, e.message.as_deref()))
                .collect();
            let their_errors: Vec<_> = theirs
                .record_errors
                .iter()
                .map(|e| (e.batch_index, e.batch_index_error_message.as_deref()))
                .collect();
            assert_eq!(our_errors, their_errors);
            let hint = ours
                .current_leader
                .map(|hint| (hint.leader_id, hint.leader_epoch));
            let leader = &theirs.current_leader;
            let expected = (*leader != Default::default())
                .then_some((leader.leader_id.0, leader.leader_epoch));
            assert_eq!(hint, expected);
        }
    }
}

fn check_metadata_response(seed: u64, version: i16) {
    let theirs_drawn = draw_metadata_response(&mut Draw(Random::seeded(seed)), version);
    let bytes = theirs(&theirs_drawn, version);
    let mut input = Reader::new(&bytes);
    let decoded = ApiResponse::decode(ApiKey::Metadata, version, &mut input);
    let Ok(ApiResponse::Metadata(ours)) = decoded else {
        panic!("version {version}: {decoded:?}")
    };
    assert_eq!(input.remaining(), 0);
    assert_eq!(
        ours.cluster_id.as_deref(),
        theirs_drawn.cluster_id.as_deref()
    );
    assert_eq!(ours.controller_id, theirs_drawn.controller_id.0);
    assert_eq!(ours.error_code, theirs_drawn.error_code);
    assert_eq!(ours.throttle_time_ms, theirs_drawn.throttle_time_ms);
    for (ours, theirs) in ours.brokers.iter().zip(&theirs_drawn.brokers) {
        assert_eq!(
            (ours.id.0, &*ours.host, i32::from(ours.port)),
            (theirs.node_id.0, &*theirs.host, theirs.port)
        );
        assert_eq!(ours.rack.as_deref(), theirs.rack.as_deref());
    }
    assert_eq!(ours.topics.len(), theirs_drawn.topics.len());
    for (ours, theirs) in ours.topics.iter().zip(&theirs_drawn.topics) {
        assert_eq!(Some(&*ours.name), theirs.name.as_ref().map(|name| &*name.0));
        assert_eq!(ours.topic_id.0, *theirs.topic_id.as_bytes());
        assert_eq!(
            (ours.error_code, ours.is_internal),
            (theirs.error_code, theirs.is_internal)
        );
        assert_eq!(ours.partitions.len(), theirs.partitions.len());
        for (ours, theirs) in ours.partitions.iter().zip(&theirs.partitions) {
            assert_eq!(
                (
                    ours.error_code,
                    ours.index,
                    ours.leader_id,
                    ours.leader_epoch
                ),
                (
                    theirs.error_code,
                    theirs.partition_index,
                    theirs.leader_id.0,
                    theirs.leader_epoch
                )
            );
        }
    }
}

fn check_api_versions_response(seed: u64, version: i16) {
    let theirs_drawn = draw_api_versions_response(&mut Draw(Random::seeded(seed)), version);
    let bytes = theirs(&theirs_drawn, version);
    let mut input = Reader::new(&bytes);
    let decoded = ApiResponse::decode(ApiKey::ApiVersions, version, &mut input);
    let Ok(ApiResponse::ApiVersions(ours)) = decoded else {
        panic!("version {version}: {decoded:?}")
    };
    assert_eq!(input.remaining(), 0);
    assert_eq!(ours.error_code, theirs_drawn.error_code);
    assert_eq!(ours.throttle_time_ms, theirs_drawn.throttle_time_ms);
    assert_eq!(
        ours.finalized_features_epoch,
        theirs_drawn.finalized_features_epoch
    );
    let their_keys: Vec<_> = theirs_drawn
        .api_keys
        .iter()
        .map(|key| (key.api_key, key.min_version, key.max_version))
        .collect();
    assert_eq!(ours.api_keys, their_keys);
    for (ours, theirs) in ours
        .finalized_features
        .iter()
        .zip(&theirs_drawn.finalized_features)
    {
        assert_eq!(*ours.name, *theirs.name);
        assert_eq!(
            (ours.min_version_level, ours.max_version_level),
            (theirs.min_version_level, theirs.max_version_level)
        );
    }
}

proptest! {
    #[test]
    fn produce_request_is_theirs_byte_for_byte(seed: u64) {
        let (request, expected) = draw_produce(&mut Draw(Random::seeded(seed)));
        for version in versions(ApiKey::Produce) {
            let mut expected = expected.clone();
            for topic in &mut expected.topic_data {
                if version >= 13 { topic.name = Default::default() } else { topic.topic_id = Default::default() }
            }
            prop_assert_eq!(ours(&request, version), theirs(&expected, version), "version {}", version);
        }
    }

    #[test]
    fn metadata_request_is_theirs_byte_for_byte(seed: u64) {
        let mut draw = Draw(Random::seeded(seed));
        let names: Vec<String> = (0..draw.below(4)).map(|_| draw.text()).collect();
        let request = MetadataRequest {
            topics: names.iter().map(|name| MetadataRequestTopic { name: name.as_str().into() }).collect(),
            allow_auto_topic_creation: draw.flag(),
        };
        for version in versions(ApiKey::Metadata) {
            let topics = names.iter().map(|name| {
                theirs::metadata_request::MetadataRequestTopic::default()
                    .with_name(Some(theirs::TopicName(StrBytes::from_string(name.clone()))))
            });
            let expected = theirs::MetadataRequest::default()
                .with_topics(Some(topics.collect()))
                .with_allow_auto_topic_creation(version < 4 || request.allow_auto_topic_creation);
            prop_assert_eq!(ours(&request, version), theirs(&expected, version), "version {}", version);
        }
    }

    #[test]
    fn init_producer_id_request_is_theirs_byte_for_byte(seed: u64) {
        let mut draw = Draw(Random::seeded(seed));
        let request = InitProducerIdRequest {
            transactional_id: draw.flag().then(|| Arc::from(draw.text())),
            transaction_timeout_ms: draw.i32(),
            producer_id: draw.i64(),
            producer_epoch: draw.i16(),
        };
        for version in versions(ApiKey::InitProducerId) {
            let id = request.transactional_id.as_ref().map(|id| theirs::TransactionalId(StrBytes::from_string(id.to_string())));
            let mut expected = theirs::InitProducerIdRequest::default()
                .with_transactional_id(id)
                .with_transaction_timeout_ms(request.transaction_timeout_ms);
            if version >= 3 {
                expected = expected
                    .with_producer_id(theirs::ProducerId(request.producer_id))
                    .with_producer_epoch(request.producer_epoch);
            }
            prop_assert_eq!(ours(&request, version), theirs(&expected, version), "version {}", version);
        }
    }

    #[test]
    fn responses_read_as_they_were_written(seed: u64) {
        versions(ApiKey::Produce).for_each(|version| check_produce_response(seed, version));
        versions(ApiKey::Metadata).for_each(|version| check_metadata_response(seed, version));
        versions(ApiKey::ApiVersions).for_each(|version| check_api_versions_response(seed, version));
    }

    #[test]
    fn responses_cut_or_changed_end_in_a_value_or_an_error(seed: u64) {
        let mut draw = Draw(Random::seeded(seed));
        for api_key in APIS {
            for version in versions(api_key) {
                let mut bytes = draw_response(api_key, &mut draw, version);
                if !bytes.is_empty() {
                    let at = draw.below(bytes.len());
                    let _ = ApiResponse::decode(api_key, version, &mut Reader::new(&bytes[..at]));
                    bytes[at] = draw.below(256) as u8;
                }
                let _ = ApiResponse::decode(api_key, version, &mut Reader::new(&bytes));
            }
        }
    }

    #[test]
    fn responses_of_noise_end_in_a_value_or_an_error(noise in proptest::collection::vec(any::<u8>(), 0..300)) {
        for api_key in APIS {
            for version in versions(api_key) {
                let _ = ApiResponse::decode(api_key, version, &mut Reader::new(&noise));
                let _ = decode_response_header(api_key, version, &mut Reader::new(&noise));
            }
        }
    }
}

#[test]
fn every_truncation_of_a_response_is_an_error() {
    for api_key in APIS {
        for version in versions(api_key) {
            let mut draw = Draw(Random::seeded(11));
            let bytes = draw_response(api_key, &mut draw, version);
            for length in 0..bytes.len() {
                let decoded =
                    ApiResponse::decode(api_key, version, &mut Reader::new(&bytes[..length]));
                assert!(
                    decoded.is_err(),
                    "{api_key:?} version {version} of {length} bytes: {decoded:?}"
                );
            }
        }
    }
}

#[test]
fn init_producer_id_response_reads_as_it_was_written() {
    for version in versions(ApiKey::InitProducerId) {
        let theirs_drawn = theirs::InitProducerIdResponse::default()
            .with_throttle_time_ms(3)
            .with_error_code(51)
            .with_producer_id(theirs::ProducerId(1 << 40))
            .with_producer_epoch(7);
        let bytes = theirs(&theirs_drawn, version);
        let decoded =
            ApiResponse::decode(ApiKey::InitProducerId, version, &mut Reader::new(&bytes));
        let Ok(ApiResponse::InitProducerId(ours)) = decoded else {
            panic!("{decoded:?}")
        };
        assert_eq!(
            (
                ours.throttle_time_ms,
                ours.error_code,
                ours.producer_id,
                ours.producer_epoch
            ),
            (3, 51, 1 << 40, 7)
        );
    }
}

#[test]
fn api_versions_request_is_theirs_byte_for_byte() {
    let request = ApiVersionsRequest {
        client_software_name: "kafka-producer".into(),
        client_software_version: "0.1.0".into(),
    };
    for version in versions(ApiKey::ApiVersions) {
        let mut expected = theirs::ApiVersionsRequest::default();
        if version >= 3 {
            expected = expected
                .with_client_software_name(StrBytes::from_static_str("kafka-producer"))
                .with_client_software_version(StrBytes::from_static_str("0.1.0"));
        }
        assert_eq!(
            ours(&request, version),
            theirs(&expected, version),
            "version {version}"
        );
    }
}

#[test]
fn headers_are_theirs_in_every_version() {
    for api_key in APIS {
        for version in versions(api_key) {
            let their_key = theirs::ApiKey::try_from(api_key.code()).expect("they know it");
            let header = RequestHeader {
                api_key,
                version,
                correlation_id: 77,
                client_id: "me",
            };
            let mut out = FrameWriter::default();
            header.encode(&mut out);
            let expected = theirs::RequestHeader::default()
                .with_request_api_key(api_key.code())
                .with_request_api_version(version)
                .with_correlation_id(77)
                .with_client_id(Some(StrBytes::from_static_str("me")));
            let expected = theirs(&expected, their_key.request_header_version(version));
            assert_eq!(
                out.into_parts().concat()[4..],
                expected,
                "{api_key:?} {version}"
            );
            let response = theirs::ResponseHeader::default().with_correlation_id(-5);
            let bytes = theirs(&response, their_key.response_header_version(version));
            let mut input = Reader::new(&bytes);
            assert_eq!(decode_response_header(api_key, version, &mut input), Ok(-5));
            assert_eq!(input.remaining(), 0, "{api_key:?} {version}");
        }
    }
}

#[test]
fn claims_of_two_billion_elements_allocate_nothing() {
    for api_key in APIS {
        for version in versions(api_key) {
            let mut claim = vec![0_u8; 4];
            claim.extend([0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F]);
            let _ = ApiResponse::decode(api_key, version, &mut Reader::new(&claim));
        }
    }
}

#[test]
fn produce_response_of_topics_without_partitions_is_read() {
    use kafka_protocol::messages::produce_response as produce;
    for version in versions(ApiKey::Produce).filter(|version| *version < 13) {
        let topic = produce::TopicProduceResponse::default();
        let response = theirs::ProduceResponse::default().with_responses(vec![topic; 20]);
        let bytes = theirs(&response, version);
        let decoded = ApiResponse::decode(ApiKey::Produce, version, &mut Reader::new(&bytes));
        assert!(decoded.is_ok(), "version {version}: {decoded:?}");
    }
}
