//! The reader in between, against requests that `kafka-protocol` wrote.

use bytes::Bytes;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    ApiVersionsRequest, InitProducerIdRequest, MetadataRequest, ProduceRequest,
};
use kafka_protocol::protocol::{Request, StrBytes};
use uuid::Uuid;

use crate::Api;
use crate::tap::{SeenBody, SeenTopic, read_request, read_response_head};

use super::{TestBatch, frame, to_partition};

const ID: Uuid = Uuid::from_u128(0xabc);

/// A request without its size.
fn body<R: Request>(version: i16, request: &R) -> Vec<u8> {
    frame(version, 77, request)[4..].to_vec()
}

fn produce(version: i16, records: Bytes) -> ProduceRequest {
    let mut request = to_partition(3, records);
    if version >= 13 {
        request.topic_data[0].name = StrBytes::default().into();
        request.topic_data[0].topic_id = ID;
    }
    request
}

fn named(name: &'static str) -> MetadataRequestTopic {
    MetadataRequestTopic::default().with_name(Some(StrBytes::from_static_str(name).into()))
}

fn by_id() -> MetadataRequestTopic {
    MetadataRequestTopic::default()
        .with_name(None)
        .with_topic_id(ID)
}

fn init(version: i16) -> InitProducerIdRequest {
    let init = InitProducerIdRequest::default().with_transactional_id(None);
    if version < 3 {
        return init;
    }
    init.with_producer_id(9.into()).with_producer_epoch(4)
}

fn software(version: i16) -> ApiVersionsRequest {
    if version < 3 {
        return ApiVersionsRequest::default();
    }
    ApiVersionsRequest::default()
        .with_client_software_name(StrBytes::from_static_str("a"))
        .with_client_software_version(StrBytes::from_static_str("b"))
}

/// One of each API and version.
fn all() -> Vec<Vec<u8>> {
    let records = TestBatch::sequenced(2, 5, 3).encode();
    let topics = MetadataRequest::default().with_topics(Some(vec![named("t")]));
    let produces = (3..=13).map(|v| body(v, &produce(v, records.clone())));
    let metadata = (0..=13).map(|v| body(v, &topics));
    let api_versions = (0..=4).map(|v| body(v, &software(v)));
    let inits = (0..=5).map(|v| body(v, &init(v)));
    let small = metadata.chain(api_versions).chain(inits);
    produces.chain(small).collect()
}

#[test]
fn tap_reads_produce_of_every_version() {
    let records = TestBatch::sequenced(2, 5, 3).encode();
    for version in 3..=13 {
        let seen = read_request(&body(version, &produce(version, records.clone()))).unwrap();
        assert_eq!((seen.api, seen.version), (Api::Produce, version));
        assert_eq!(seen.correlation_id, 77);
        assert_eq!(seen.client_id.as_deref(), Some("tester"));
        let SeenBody::Produce(produce) = seen.body else {
            panic!("{seen:?}");
        };
        assert_eq!((produce.acks, produce.timeout_ms), (-1, 1000));
        assert_eq!(produce.transactional_id, None);
        let [batch] = &produce.batches[..] else {
            panic!("{produce:?}");
        };
        let topic = if version >= 13 {
            SeenTopic::Id(ID)
        } else {
            SeenTopic::Name("t".to_owned())
        };
        assert_eq!((&batch.topic, batch.partition), (&topic, 3));
        assert_eq!((batch.producer_id, batch.producer_epoch), (7, 2));
        assert_eq!((batch.base_sequence, batch.count), (5, 3));
        assert_eq!(batch.crc.to_be_bytes(), records[17..21]);
        assert_eq!((batch.bytes, batch.attributes), (records.len(), 0));
        assert!(batch.crc_is_right);
    }
}

#[test]
fn tap_sees_a_wrong_checksum() {
    let spoiled = TestBatch {
        spoil_crc: true,
        ..TestBatch::of(1)
    };
    let seen = read_request(&body(9, &produce(9, spoiled.encode()))).unwrap();
    let SeenBody::Produce(produce) = seen.body else {
        panic!("{seen:?}");
    };
    assert!(!produce.batches[0].crc_is_right);
}

#[test]
fn tap_reads_metadata_of_every_version() {
    let names = vec![named("t"), named("u")];
    for version in 0..=13 {
        let mut request = MetadataRequest::default().with_topics(Some(names.clone()));
        if version >= 4 {
            request.allow_auto_topic_creation = false;
        }
        let seen = read_request(&body(version, &request)).unwrap();
        let expected = SeenBody::Metadata {
            topics: Some(vec![
                SeenTopic::Name("t".to_owned()),
                SeenTopic::Name("u".to_owned()),
            ]),
            allow_auto_topic_creation: version < 4,
        };
        assert_eq!(seen.body, expected, "version {version}");
        let everything = if version == 0 { Some(Vec::new()) } else { None };
        let request = MetadataRequest::default().with_topics(everything);
        let seen = read_request(&body(version, &request)).unwrap();
        let all = matches!(seen.body, SeenBody::Metadata { topics: None, .. });
        assert!(all, "version {version}");
    }
    let request = MetadataRequest::default().with_topics(Some(vec![by_id()]));
    let seen = read_request(&body(12, &request)).unwrap();
    let SeenBody::Metadata { topics, .. } = seen.body else {
        panic!("{seen:?}");
    };
    assert_eq!(topics, Some(vec![SeenTopic::Id(ID)]));
    let none = MetadataRequest::default().with_topics(Some(Vec::new()));
    let seen = read_request(&body(9, &none)).unwrap();
    let SeenBody::Metadata { topics, .. } = seen.body else {
        panic!("{seen:?}");
    };
    assert_eq!(topics, Some(Vec::new()));
}

#[test]
fn tap_reads_the_small_requests_of_every_version() {
    for version in 0..=4 {
        let seen = read_request(&body(version, &software(version))).unwrap();
        let software = (version >= 3).then(|| ("a".to_owned(), "b".to_owned()));
        assert_eq!(seen.body, SeenBody::ApiVersions { software });
    }
    for version in 0..=5 {
        let seen = read_request(&body(version, &init(version))).unwrap();
        let (producer_id, producer_epoch) = if version >= 3 { (9, 4) } else { (-1, -1) };
        let expected = SeenBody::InitProducerId {
            transactional_id: None,
            producer_id,
            producer_epoch,
        };
        assert_eq!(seen.body, expected);
    }
}

#[test]
fn tap_refuses_every_request_cut_short_or_with_a_tail() {
    for request in all() {
        read_request(&request).unwrap();
        for length in 0..request.len() {
            let cut = read_request(&request[..length]);
            assert!(cut.is_err(), "{length} bytes of {request:?}");
        }
        let longer = [&request[..], &[0]].concat();
        let why = read_request(&longer).unwrap_err();
        assert!(why.contains("1 bytes after"), "{why}");
    }
}

#[test]
fn tap_refuses_unknown_apis_and_versions() {
    for (key, version) in [(1, 0), (0, 2), (0, 14), (3, -1), (3, 14), (18, 5), (22, 6)] {
        let mut request = body(9, &MetadataRequest::default());
        request[..2].copy_from_slice(&i16::to_be_bytes(key));
        request[2..4].copy_from_slice(&i16::to_be_bytes(version));
        let why = read_request(&request).unwrap_err();
        let head = why.contains("has no version") || why.contains("unknown api");
        assert!(head, "{key} v{version}: {why}");
    }
}

#[test]
fn tap_refuses_batches_that_do_not_fit_their_bytes() {
    let good = TestBatch::of(2);
    let spoiled = [
        TestBatch {
            magic: 1,
            ..good.clone()
        },
        TestBatch {
            base_offset: 1,
            ..good.clone()
        },
        TestBatch {
            count: Some(0),
            last_offset_delta: Some(-1),
            ..good.clone()
        },
        TestBatch {
            count: Some(3),
            ..good.clone()
        },
    ];
    for batch in spoiled {
        let request = produce(9, batch.encode());
        assert!(read_request(&body(9, &request)).is_err(), "{batch:?}");
    }
    let one = good.encode();
    let twice = [&one[..], &one[..]].concat();
    for records in [one.slice(..one.len() - 1), one.slice(..60), twice.into()] {
        let length = records.len();
        let request = produce(9, records);
        assert!(read_request(&body(9, &request)).is_err(), "{length} bytes");
    }
    let mut null = produce(9, one);
    null.topic_data[0].partition_data[0].records = None;
    assert!(read_request(&body(9, &null)).is_err(), "null records");
}

#[test]
fn tap_refuses_tags_and_lengths_with_more_than_one_form() {
    let plain = body(4, &software(4));
    let mut tagged = plain.clone();
    *tagged.last_mut().unwrap() = 1;
    tagged.extend([0, 0]);
    assert!(read_request(&tagged).unwrap_err().contains("tagged"));
    let end = plain.len() - 3;
    let long = [&plain[..end], &[0x82, 0x00], &plain[end + 1..]].concat();
    assert!(read_request(&long).unwrap_err().contains("too many"));
    let endless = [&plain[..end], &[0xff; 6]].concat();
    assert!(read_request(&endless).unwrap_err().contains("not end"));
    let mut text = plain;
    text[end + 1] = 0xff;
    assert!(read_request(&text).is_err());
}

#[test]
fn tap_reads_the_head_of_an_answer() {
    assert_eq!(read_response_head(&[0, 0, 1, 2, 9]), Ok(258));
    assert!(read_response_head(&[0, 0, 1]).is_err());
}
