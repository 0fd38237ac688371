//! Answers that no broker gives, as they arrive.

use kafka_protocol::messages::produce_response::TopicProduceResponse;
use kafka_protocol::messages::{
    ApiVersionsRequest, InitProducerIdRequest, MetadataRequest, MetadataResponse, ProduceRequest,
};
use kafka_protocol::protocol::Request;

use crate::tap::read_response_head;
use crate::{Api, ClusterConfig, ConnState, Effect, Fault, Lie, Moment, On};

use super::{Client, TestBatch, decode, to_partition};

fn client() -> Client {
    Client::new(ClusterConfig::brokers(1).topic("t", 2))
}

fn request() -> ProduceRequest {
    to_partition(0, TestBatch::of(1).encode())
}

fn init() -> InitProducerIdRequest {
    InitProducerIdRequest::default().with_transactional_id(None)
}

/// The answer to a request on which the effect strikes.
fn answer<R: Request>(client: &mut Client, effect: Effect, version: i16, body: &R) -> Vec<u8> {
    client.cluster.clear_faults();
    client
        .cluster
        .fault(Fault::new(On::any(), effect).labelled("it"));
    client.send(version, body);
    let (bytes, state) = client.take();
    assert_eq!(state, ConnState::Open);
    bytes
}

fn produce_answer(effect: Effect) -> Vec<u8> {
    answer(&mut client(), effect, 9, &request())
}

fn frame_is_whole(bytes: &[u8]) -> bool {
    let size = u32::from_be_bytes(bytes[..4].try_into().unwrap());
    usize::try_from(size).unwrap() == bytes.len() - 4
}

fn right() -> Vec<u8> {
    let mut client = client();
    client.send(9, &request());
    client.take().0
}

#[test]
fn answer_twice_is_two_whole_answers() {
    assert_eq!(produce_answer(Effect::Twice), [right(), right()].concat());
}

#[test]
fn answer_lost_or_overtaken_leaves_the_others() {
    for (effect, ids) in [
        (Effect::Lost, vec![2, 3]),
        (Effect::Overtaken, vec![2, 1, 3]),
    ] {
        let mut client = client();
        client.cluster.fault(Fault::new(On::any(), effect));
        for _ in 0..3 {
            client.send(9, &request());
        }
        let (bytes, state) = client.take();
        let whole = right().len();
        let seen: Vec<i32> = bytes
            .chunks(whole)
            .map(|answer| read_response_head(&answer[4..]).unwrap())
            .collect();
        assert_eq!((seen, state), (ids, ConnState::Open));
        assert_eq!(client.cluster.end_offset("t", 0), 3);
    }
}

#[test]
fn answer_nobody_asked_for_comes_before_the_right_one() {
    let bytes = produce_answer(Effect::Unasked);
    let (first, second) = bytes.split_at(bytes.len() / 2);
    assert!(frame_is_whole(first));
    assert_ne!(read_response_head(&first[4..]), Ok(1));
    assert_eq!(second, right());
    let silent = request().with_acks(0);
    let bytes = answer(&mut client(), Effect::Unasked, 9, &silent);
    assert!(frame_is_whole(&bytes));
}

#[test]
fn answer_size_is_wrong_as_told() {
    let right = right();
    for size in [-1, 0, 3, i32::MAX, i32::MIN] {
        let bytes = produce_answer(Effect::SizePrefix(size));
        assert_eq!(bytes[..4], size.to_be_bytes());
        assert_eq!(bytes[4..], right[4..]);
    }
    let size = i32::try_from(right.len() - 4).unwrap();
    for by in [-1, 1] {
        let bytes = produce_answer(Effect::SizeOffBy(by));
        assert_eq!(bytes[..4], (size + by).to_be_bytes());
    }
}

#[test]
fn answer_cut_short_leaves_the_connection_open_and_silent() {
    let mut client = client();
    let bytes = answer(&mut client, Effect::CutShort(9), 9, &request());
    assert_eq!(bytes, right()[..9]);
    client.send(9, &request());
    assert_eq!(client.take(), (Vec::new(), ConnState::Open));
    assert_eq!(client.cluster.end_offset("t", 0), 1);
}

#[test]
fn answer_with_a_huge_list_keeps_its_head() {
    let mut client = client();
    let huge = [0x80, 0x80, 0x80, 0x80, 0x08];
    let max = i32::MAX.to_be_bytes();
    let bytes = answer(&mut client, Effect::HugeArray, 9, &request());
    assert!(frame_is_whole(&bytes));
    assert_eq!((bytes[8], &bytes[9..14]), (0, &huge[..]));
    let bytes = answer(&mut client, Effect::HugeArray, 8, &request());
    assert_eq!(bytes[8..12], max);
    let metadata = MetadataRequest::default();
    let bytes = answer(&mut client, Effect::HugeArray, 9, &metadata);
    assert_eq!(bytes[13..18], huge);
    let bytes = answer(&mut client, Effect::HugeArray, 2, &metadata);
    assert_eq!(bytes[8..12], max);
    let versions = ApiVersionsRequest::default();
    let bytes = answer(&mut client, Effect::HugeArray, 2, &versions);
    assert_eq!(bytes[10..14], max);
    let bytes = answer(&mut client, Effect::HugeArray, 2, &init());
    assert_eq!(bytes[25..30], huge);
    assert_eq!(client.cluster.strikes()["it"], 6);
    answer(&mut client, Effect::HugeArray, 1, &init());
    assert_eq!(client.cluster.strikes()["it"], 6, "there is no list");
}

#[test]
fn answer_of_rubbish_has_its_size_and_its_id() {
    let bytes = produce_answer(Effect::Rubbish(1 << 20));
    assert_eq!(bytes.len(), 4 + (1 << 20));
    assert!(frame_is_whole(&bytes));
    assert_eq!(read_response_head(&bytes[4..]), Ok(1));
    assert_eq!(bytes, produce_answer(Effect::Rubbish(1 << 20)));
    assert!(bytes.iter().any(|byte| *byte > 0x7f));
}

#[test]
fn answer_of_another_protocol_comes_as_it_is() {
    assert!(produce_answer(Effect::Http).starts_with(b"HTTP/1.1 400 "));
    assert!(produce_answer(Effect::TlsAlert).starts_with(&[0x15, 3, 3, 0]));
    let mut client = client();
    let closes = Fault::disconnect(On::any(), Moment::MidResponse(1000));
    client
        .cluster
        .fault(Fault::new(On::any(), Effect::TlsAlert));
    client.cluster.fault(closes);
    client.send(9, &request());
    let (bytes, state) = client.take();
    assert_eq!((bytes.len(), state), (7, ConnState::Closed));
}

fn metadata(lie: Lie) -> MetadataResponse {
    let mut client = client();
    for version in [0, 1, 8, 9, 13] {
        let all = MetadataRequest::default().with_topics((version == 0).then(Vec::new));
        let bytes = answer(&mut client, Effect::Lie(lie), version, &all);
        let seen = decode::<MetadataRequest>(&bytes, version, client.correlation_id);
        if version == 13 {
            assert_eq!(client.cluster.strikes()["it"], 5);
            return seen;
        }
    }
    unreachable!("the last version is 13");
}

#[test]
fn metadata_can_lie_about_brokers() {
    let seen = metadata(Lie::NegativeNodes);
    assert!(seen.brokers[0].node_id.0 < 0);
    let leader = seen.topics[0].partitions[0].leader_id;
    assert_eq!(leader, seen.brokers[0].node_id);
    let twice = metadata(Lie::BrokersTwice).brokers;
    assert_eq!(twice[0].node_id, twice[1].node_id);
    assert_ne!(twice[0].port, twice[1].port);
    assert!(metadata(Lie::NoBrokers).brokers.is_empty());
    assert!(metadata(Lie::EmptyHosts).brokers[0].host.is_empty());
    assert_eq!(metadata(Lie::ImpossiblePorts).brokers[0].port, 70_000);
}

#[test]
fn metadata_can_lie_about_topics() {
    let partitions = |lie| metadata(lie).topics[0].partitions.clone();
    assert!(
        partitions(Lie::UnknownLeaders)
            .iter()
            .all(|p| p.leader_id.0 == 1000)
    );
    let twice: Vec<i32> = partitions(Lie::PartitionsTwice)
        .iter()
        .map(|p| p.partition_index)
        .collect();
    assert_eq!(twice, [1, 0, 1, 0]);
    assert!(
        partitions(Lie::NegativePartitions)
            .iter()
            .all(|p| p.partition_index < 0)
    );
    assert!(partitions(Lie::NoPartitions).is_empty());
    let more = partitions(Lie::PartitionUnasked);
    assert_eq!((more.len(), more[2].partition_index), (3, 1000));
    assert_eq!(metadata(Lie::TopicUnasked).topics.len(), 2);
}

#[test]
fn produce_can_lie() {
    let topics = |lie, version| -> Vec<TopicProduceResponse> {
        let mut client = client();
        let mut request = request();
        if version >= 13 {
            request.topic_data[0].name = kafka_protocol::protocol::StrBytes::default().into();
            request.topic_data[0].topic_id = client.cluster.topic_id("t").unwrap();
        }
        let bytes = answer(&mut client, Effect::Lie(lie), version, &request);
        assert_eq!(client.cluster.end_offset("t", 0), 1);
        decode::<ProduceRequest>(&bytes, version, 1).responses
    };
    for version in [3, 8, 9, 13] {
        let partitions = |lie| topics(lie, version)[0].partition_responses.clone();
        let twice = partitions(Lie::PartitionsTwice);
        assert_eq!((twice[0].index, twice[1].index), (0, 0));
        assert_eq!((twice[0].error_code, twice[1].error_code), (0, 6));
        assert_eq!(partitions(Lie::NegativePartitions)[0].index, -1);
        assert!(partitions(Lie::NoPartitions).is_empty());
        assert_eq!(partitions(Lie::PartitionUnasked)[1].index, 1000);
        let offsets = partitions(Lie::NegativeOffsets)[0].clone();
        assert_eq!((offsets.error_code, offsets.base_offset), (0, i64::MIN));
        assert_eq!(topics(Lie::TopicUnasked, version).len(), 2);
    }
}

#[test]
fn api_versions_can_lie() {
    let ranges = |lie| -> Vec<(i16, i16, i16)> {
        let mut client = client();
        let bytes = answer(
            &mut client,
            Effect::Lie(lie),
            2,
            &ApiVersionsRequest::default(),
        );
        let seen = decode::<ApiVersionsRequest>(&bytes, 2, 1);
        let ranges = seen.api_keys.iter();
        ranges
            .map(|api| (api.api_key, api.min_version, api.max_version))
            .collect()
    };
    assert!(
        ranges(Lie::MinAboveMax)
            .iter()
            .all(|(_, min, max)| min > max)
    );
    assert!(
        ranges(Lie::NegativeVersions)
            .iter()
            .all(|(_, min, max)| *min < 0 && *max < 0)
    );
    let keys = |lie| -> Vec<i16> { ranges(lie).iter().map(|(key, ..)| *key).collect() };
    assert_eq!(keys(Lie::WithoutApi(Api::Produce)), [3, 18, 22]);
    assert_eq!(keys(Lie::WithoutApi(Api::Metadata)), [0, 18, 22]);
    assert!(keys(Lie::NoApis).is_empty());
    assert_eq!(keys(Lie::ApisTwice).len(), 8);
}

#[test]
fn init_producer_id_can_lie_and_other_lies_leave_it_alone() {
    let mut client = client();
    let bytes = answer(&mut client, Effect::Lie(Lie::NoProducer), 1, &init());
    let seen = decode::<InitProducerIdRequest>(&bytes, 1, 1);
    assert_eq!(
        (seen.error_code, seen.producer_id.0, seen.producer_epoch),
        (0, -1, -1)
    );
    let bytes = answer(&mut client, Effect::Lie(Lie::NoBrokers), 1, &init());
    let seen = decode::<InitProducerIdRequest>(&bytes, 1, 2);
    assert!(seen.producer_id.0 >= 0);
    assert_eq!(client.cluster.strikes()["it"], 1);
}
