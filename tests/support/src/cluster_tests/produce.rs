//! Produce requests as a whole: acks, topics, leaders, versions.

use kafka_protocol::messages::ProduceRequest;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::{Change, ClusterConfig, ConnState, LeaderHints, TopicConfig};

use super::{Client, TestBatch, to_partition};

fn one_record(partition: i32) -> ProduceRequest {
    to_partition(partition, TestBatch::of(1).encode())
}

#[test]
fn produce_every_version_appends_and_answers() {
    let mut client = Client::simple();
    for version in 3..=13 {
        let mut request = one_record(0);
        if version >= 13 {
            let id = client.cluster.topic_id("t").unwrap();
            request.topic_data[0].name = StrBytes::default().into();
            request.topic_data[0].topic_id = id;
        }
        let response = client.produce_request(version, &request);
        assert_eq!(response.error_code, 0, "version {version}");
        assert_eq!(response.base_offset, i64::from(version - 3));
    }
}

#[test]
fn produce_acks_zero_is_silent_and_closes_on_error() {
    let mut client = Client::simple();
    client.send(9, &one_record(0).with_acks(0));
    assert_eq!(client.take(), (Vec::new(), ConnState::Open));
    assert_eq!(client.cluster.end_offset("t", 0), 1);
    client.send(9, &one_record(9).with_acks(0));
    assert_eq!(client.take(), (Vec::new(), ConnState::Closed));
}

#[test]
fn produce_acks_others_are_refused() {
    let mut client = Client::simple();
    for (acks, code) in [(1, 0), (-1, 0), (2, 21), (-2, 21)] {
        let response = client.produce_request(9, &one_record(0).with_acks(acks));
        assert_eq!(response.error_code, code, "acks {acks}");
    }
}

#[test]
fn produce_unknown_topic_partition_and_id_are_told_apart() {
    let mut client = Client::simple();
    assert_eq!(client.produce_request(9, &one_record(2)).error_code, 3);
    assert_eq!(client.produce_request(9, &one_record(-1)).error_code, 3);
    let mut request = one_record(0);
    request.topic_data[0].name = StrBytes::from_static_str("other").into();
    assert_eq!(client.produce_request(9, &request).error_code, 3);
    request.topic_data[0].name = StrBytes::default().into();
    request.topic_data[0].topic_id = Uuid::from_u64_pair(1, 2);
    assert_eq!(client.produce_request(13, &request).error_code, 100);
}

#[test]
fn produce_to_recreated_topic_by_its_old_id_is_unknown() {
    let mut client = Client::simple();
    let old = client.cluster.topic_id("t").unwrap();
    client.cluster.delete_topic("t");
    assert_eq!(client.produce_request(9, &one_record(0)).error_code, 3);
    client.cluster.create_topic("t", 1);
    assert_ne!(client.cluster.topic_id("t"), Some(old));
    let mut request = one_record(0);
    request.topic_data[0].name = StrBytes::default().into();
    request.topic_data[0].topic_id = old;
    assert_eq!(client.produce_request(13, &request).error_code, 100);
    assert_eq!(client.produce_request(9, &one_record(0)).base_offset, 0);
}

#[test]
fn produce_to_wrong_node_names_the_leader() {
    let mut client = Client::new(ClusterConfig::brokers(3).topic("t", 3));
    client.cluster.set_endpoint(2, "somewhere", 1234);
    let asked = client.ask(10, &one_record(1));
    let partition = &asked.responses[0].partition_responses[0];
    assert_eq!((partition.error_code, partition.base_offset), (6, -1));
    assert_eq!(partition.current_leader.leader_id.0, 2);
    assert_eq!(partition.current_leader.leader_epoch, 0);
    assert_eq!(asked.node_endpoints.len(), 1);
    assert_eq!(asked.node_endpoints[0].host.as_str(), "somewhere");
    assert_eq!(asked.node_endpoints[0].port, 1234);
    client.cluster.move_leader("t", 1, 1);
    assert_eq!(client.produce_request(10, &one_record(1)).error_code, 0);
    let older = client.produce_request(9, &one_record(2));
    assert_eq!(older.error_code, 6);
}

#[test]
fn produce_to_wrong_node_can_be_told_nothing_or_another_node() {
    let mut config = ClusterConfig::brokers(3).topic("t", 3);
    config.leader_hints = LeaderHints::Absent;
    let mut client = Client::new(config);
    let asked = client.ask(10, &one_record(1));
    let hint = &asked.responses[0].partition_responses[0].current_leader;
    assert_eq!((hint.leader_id.0, hint.leader_epoch), (-1, -1));
    assert!(asked.node_endpoints.is_empty());
    let wrong = Change::SetLeaderHints(LeaderHints::Wrong);
    client.cluster.apply(wrong);
    for (partition, named) in [(1, 3), (2, 1)] {
        let asked = client.ask(10, &one_record(partition));
        let hint = &asked.responses[0].partition_responses[0].current_leader;
        assert_eq!((hint.leader_id.0, hint.leader_epoch), (named, 0));
        assert_eq!(asked.node_endpoints[0].node_id.0, named);
    }
}

#[test]
fn produce_unauthorized_and_internal_topics_are_refused() {
    let topic = TopicConfig::new("t", 1).unauthorized();
    let mut client = Client::new(ClusterConfig::brokers(1).topic_with(topic));
    assert_eq!(client.produce_request(9, &one_record(0)).error_code, 29);
    client.cluster.create_topic("__consumer_offsets", 1);
    let mut request = one_record(0);
    request.topic_data[0].name = StrBytes::from_static_str("__consumer_offsets").into();
    assert_eq!(client.produce_request(9, &request).error_code, 17);
}

#[test]
fn produce_with_too_few_replicas_is_refused_for_acks_all_only() {
    let topic = TopicConfig::new("t", 1).min_insync_replicas(2);
    let mut client = Client::new(ClusterConfig::brokers(3).topic_with(topic));
    assert_eq!(client.produce_request(9, &one_record(0)).error_code, 0);
    client.cluster.stop_broker(2);
    client.cluster.stop_broker(3);
    assert_eq!(client.produce_request(9, &one_record(0)).error_code, 19);
    let response = client.produce_request(9, &one_record(0).with_acks(1));
    assert_eq!(response.error_code, 0);
    client.cluster.start_broker(3);
    assert_eq!(client.produce_request(9, &one_record(0)).error_code, 0);
}

#[test]
fn produce_zstd_needs_version_seven() {
    let zstd = TestBatch {
        attributes: 4,
        ..TestBatch::of(1)
    };
    let mut client = Client::simple();
    let request = to_partition(0, zstd.encode());
    assert_eq!(client.produce_request(6, &request).error_code, 76);
    assert_eq!(client.produce_request(7, &request).error_code, 0);
}

#[test]
fn produce_transactional_without_id_is_unauthorized() {
    let transactional = TestBatch {
        attributes: 0b1_0000,
        ..TestBatch::sequenced(0, 0, 1)
    };
    let request = to_partition(0, transactional.encode());
    let mut client = Client::simple();
    assert_eq!(client.produce_request(9, &request).error_code, 53);
    let id = StrBytes::from_static_str("tx");
    let request = request.with_transactional_id(Some(id.into()));
    assert_eq!(client.produce_request(9, &request).error_code, 47);
}

#[test]
fn produce_without_topics_or_partitions_is_answered() {
    let mut client = Client::simple();
    let empty = ProduceRequest::default().with_acks(1);
    assert!(client.ask(9, &empty).responses.is_empty());
    let mut request = one_record(0);
    request.topic_data[0].partition_data.clear();
    assert!(client.ask(9, &request).responses.is_empty());
}

#[test]
fn produce_null_records_close_and_exactly_kafka_never_answers() {
    let mut request = one_record(0);
    request.topic_data[0].partition_data[0].records = None;
    let mut client = Client::simple();
    client.send(9, &request);
    assert_eq!(client.take(), (Vec::new(), ConnState::Closed));
    let config = ClusterConfig::brokers(1).topic("t", 1).exactly_kafka();
    let mut client = Client::new(config);
    client.send(9, &request);
    client.send(9, &one_record(0));
    assert_eq!(client.take(), (Vec::new(), ConnState::Open));
    assert_eq!(client.cluster.end_offset("t", 0), 0);
}

#[test]
fn produce_same_partition_twice_closes_and_exactly_kafka_takes_the_last() {
    let mut twice = one_record(0);
    let mut again = twice.topic_data[0].partition_data[0].clone();
    again.records = Some(TestBatch::of(3).encode());
    twice.topic_data[0].partition_data.push(again);
    let mut client = Client::simple();
    client.send(9, &twice);
    assert_eq!(client.take().1, ConnState::Closed);
    let config = ClusterConfig::brokers(1).topic("t", 1).exactly_kafka();
    let mut client = Client::new(config);
    let response = client.ask(9, &twice);
    assert_eq!(response.responses[0].partition_responses.len(), 1);
    assert_eq!(client.cluster.end_offset("t", 0), 3);
}

#[test]
fn produce_impossible_batch_in_one_partition_refuses_the_whole_request() {
    let mut request = one_record(0);
    let mut spoiled = request.topic_data[0].partition_data[0].clone();
    spoiled.index = 1;
    let magic = TestBatch {
        magic: 3,
        ..TestBatch::of(1)
    };
    spoiled.records = Some(magic.encode());
    request.topic_data[0].partition_data.push(spoiled);
    let codes = |request: &ProduceRequest, version| -> Vec<i16> {
        let mut client = Client::simple();
        let response = client.ask(version, request);
        let partitions = response.responses[0].partition_responses.iter();
        partitions
            .rev()
            .map(|partition| partition.error_code)
            .collect()
    };
    assert_eq!(codes(&request, 12), [2, 2]);
    let codec = TestBatch {
        attributes: 7,
        ..TestBatch::of(1)
    };
    request.topic_data[0].partition_data[1].records = Some(codec.encode());
    assert_eq!(codes(&request, 12), [0, -1]);
    assert_eq!(codes(&request, 6), [-1, -1]);
    let crc = TestBatch {
        spoil_crc: true,
        ..TestBatch::of(1)
    };
    request.topic_data[0].partition_data[1].records = Some(crc.encode());
    assert_eq!(codes(&request, 12), [0, 2]);
}

#[test]
fn retention_deletes_the_oldest_batches() {
    let mut config = ClusterConfig::brokers(1).topic("t", 1);
    config.retention_bytes = Some(300);
    let mut client = Client::new(config);
    for _ in 0..10 {
        client.produce(TestBatch::of(1).encode());
    }
    let log = client.cluster.log("t", 0);
    assert!(log.len() < 5, "{} records are left", log.len());
    assert_eq!(log.last().unwrap().offset, 9);
    let start = client.produce(TestBatch::of(1).encode()).log_start_offset;
    assert!(start > 0);
    let change = Change::DeleteRecords("t".to_owned(), 0, 10);
    client.cluster.apply(change);
    assert_eq!(client.cluster.log("t", 0)[0].offset, 10);
}
