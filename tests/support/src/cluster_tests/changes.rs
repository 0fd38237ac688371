//! What can happen to a cluster beyond single requests, and that all of it can be healed.

use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{
    ApiVersionsRequest, InitProducerIdRequest, MetadataRequest, MetadataResponse, ProduceRequest,
};
use kafka_protocol::protocol::StrBytes;

use crate::{
    Change, ClusterConfig, ConnState, Effect, Fault, LeaderHints, Moment, On, TopicConfig,
};

use super::{Client, NOW, TestBatch, to_partition};

const T: &str = "t";

fn apply(client: &mut Client, change: Change) {
    client.cluster.apply(change);
}

fn batch() -> bytes::Bytes {
    TestBatch::of(1).encode()
}

fn code(client: &mut Client) -> i16 {
    client.produce(batch()).error_code
}

fn about_t(client: &mut Client) -> (MetadataResponse, MetadataResponseTopic) {
    let topic =
        MetadataRequestTopic::default().with_name(Some(StrBytes::from_static_str(T).into()));
    let request = MetadataRequest::default().with_topics(Some(vec![topic]));
    let response = client.ask(9, &request);
    let topic = response.topics[0].clone();
    (response, topic)
}

fn at_node(client: &mut Client, node: i32) {
    client.connection = client.cluster.connect(node, client.now_ms).unwrap();
}

#[test]
fn authorization_withdrawn_and_given_back_decides() {
    let mut client = Client::simple();
    assert_eq!(code(&mut client), 0);
    apply(&mut client, Change::SetAuthorized(T.to_owned(), false));
    assert_eq!(code(&mut client), 29);
    assert_eq!(about_t(&mut client).1.error_code, 29);
    apply(&mut client, Change::SetAuthorized(T.to_owned(), true));
    assert_eq!(code(&mut client), 0);
    assert_eq!(about_t(&mut client).1.error_code, 0);
}

#[test]
fn hidden_topic_is_unknown_to_one_node_and_takes_records() {
    let mut client = Client::new(ClusterConfig::brokers(2).topic(T, 1));
    let hide = |hidden| Change::HideTopic(T.to_owned(), Some(1), hidden);
    apply(&mut client, hide(true));
    let (_, topic) = about_t(&mut client);
    assert_eq!((topic.error_code, topic.partitions.len()), (3, 0));
    let all = MetadataRequest::default().with_topics(None);
    assert!(client.ask(9, &all).topics.is_empty());
    let id = client.cluster.topic_id(T).unwrap();
    let topic = MetadataRequestTopic::default()
        .with_name(None)
        .with_topic_id(id);
    let by_id = MetadataRequest::default().with_topics(Some(vec![topic]));
    let answered = client.ask(12, &by_id).topics[0].clone();
    assert_eq!((answered.error_code, answered.topic_id), (100, id));
    assert_eq!(code(&mut client), 0);
    at_node(&mut client, 2);
    assert_eq!(about_t(&mut client).1.error_code, 0);
    at_node(&mut client, 1);
    apply(&mut client, hide(false));
    assert_eq!(about_t(&mut client).1.error_code, 0);
}

#[test]
fn hidden_partition_and_broker_are_left_out_everywhere() {
    let mut client = Client::new(ClusterConfig::brokers(2).topic(T, 3));
    let partition = |hidden| Change::HidePartition(T.to_owned(), 1, None, hidden);
    let broker = |hidden| Change::HideBroker(2, None, hidden);
    apply(&mut client, partition(true));
    apply(&mut client, broker(true));
    for node in [1, 2] {
        at_node(&mut client, node);
        let (response, topic) = about_t(&mut client);
        let indexes: Vec<i32> = topic.partitions.iter().map(|p| p.partition_index).collect();
        assert_eq!(indexes, [2, 0]);
        let nodes: Vec<i32> = response.brokers.iter().map(|b| b.node_id.0).collect();
        assert_eq!(nodes, [1]);
    }
    apply(&mut client, partition(false));
    apply(&mut client, broker(false));
    let (response, topic) = about_t(&mut client);
    assert_eq!((response.brokers.len(), topic.partitions.len()), (2, 3));
}

#[test]
fn crash_loses_only_what_no_replica_has() {
    let mut client = Client::new(ClusterConfig::brokers(3).topic(T, 1));
    client.produce(TestBatch::sequenced(0, 0, 2).encode());
    let leader_only =
        |sequence| to_partition(0, TestBatch::sequenced(0, sequence, 1).encode()).with_acks(1);
    for sequence in 2..5 {
        let response = client.produce_request(9, &leader_only(sequence));
        assert_eq!(response.error_code, 0);
    }
    apply(&mut client, Change::CrashBroker { node: 1, lose: 2 });
    assert_eq!(client.take(), (Vec::new(), ConnState::Closed));
    assert_eq!(client.cluster.leader(T, 0), Some(2));
    assert_eq!(client.cluster.end_offset(T, 0), 3);
    at_node(&mut client, 2);
    let gap = client.produce_request(9, &leader_only(5));
    assert_eq!(gap.error_code, 45, "what was lost is not remembered");
    let again = client.produce_request(9, &leader_only(3));
    assert_eq!((again.error_code, again.base_offset), (0, 3));
    apply(&mut client, Change::CrashBroker { node: 2, lose: 99 });
    assert_eq!(client.cluster.end_offset(T, 0), 2, "acknowledged by all");
}

#[test]
fn crash_loses_what_was_appended_and_never_acknowledged() {
    for (fault, left) in [
        (Fault::error_after_append(On::produce(), 7), 0),
        (Fault::disconnect(On::produce(), Moment::AfterAppend), 0),
        (Fault::disconnect(On::produce(), Moment::MidResponse(4)), 1),
    ] {
        let mut client = Client::new(ClusterConfig::brokers(2).topic(T, 1));
        client.cluster.fault(fault.clone());
        client.send(9, &to_partition(0, batch()));
        assert_eq!(client.cluster.end_offset(T, 0), 1);
        apply(&mut client, Change::CrashBroker { node: 1, lose: 9 });
        assert_eq!(client.cluster.end_offset(T, 0), left, "{fault:?}");
    }
}

#[test]
fn crash_without_another_replica_loses_nothing() {
    let mut client = Client::simple();
    client.produce_request(9, &to_partition(0, batch()).with_acks(1));
    apply(&mut client, Change::CrashBroker { node: 1, lose: 9 });
    apply(&mut client, Change::StartBroker(1));
    assert_eq!(client.cluster.end_offset(T, 0), 1);
}

#[test]
fn crash_that_loses_nothing_leaves_what_is_known_of_producers() {
    let mut client = Client::new(ClusterConfig::brokers(2).topic(T, 1));
    client.produce(TestBatch::sequenced(0, 0, 1).encode());
    apply(&mut client, Change::DeleteRecords(T.to_owned(), 0, 1));
    apply(&mut client, Change::CrashBroker { node: 1, lose: 9 });
    at_node(&mut client, 2);
    let repeated = client.produce(TestBatch::sequenced(0, 0, 1).encode());
    assert_eq!((repeated.error_code, repeated.base_offset), (0, 0));
    assert_eq!(client.cluster.end_offset(T, 0), 1);
}

#[test]
fn isr_shrunk_refuses_acks_all_before_or_after_the_append() {
    let topic = TopicConfig::new(T, 1).min_insync_replicas(2);
    let mut client = Client::new(ClusterConfig::brokers(3).topic_with(topic));
    apply(&mut client, Change::ShrinkIsr(T.to_owned(), 0, 1));
    let response = client.produce(batch());
    assert_eq!((response.error_code, response.base_offset), (19, -1));
    assert_eq!(client.cluster.end_offset(T, 0), 0);
    assert_eq!(about_t(&mut client).1.partitions[0].isr_nodes, [1]);
    let leader_only = to_partition(0, batch()).with_acks(1);
    assert_eq!(client.produce_request(9, &leader_only).error_code, 0);
    let unnoticed = Change::ShrinkIsrAfterAppend(T.to_owned(), 0, 1);
    apply(&mut client, unnoticed);
    let sequenced = TestBatch::sequenced(0, 0, 1).encode();
    assert_eq!(client.produce(sequenced.clone()).error_code, 20);
    assert_eq!(client.cluster.end_offset(T, 0), 2);
    assert_eq!(client.produce(sequenced.clone()).error_code, 20);
    apply(&mut client, Change::ExpandIsr(T.to_owned(), 0));
    let repeated = client.produce(sequenced);
    assert_eq!((repeated.error_code, repeated.base_offset), (0, 1));
    assert_eq!(about_t(&mut client).1.partitions[0].isr_nodes.len(), 3);
}

#[test]
fn node_that_answers_all_with_one_code_does_nothing() {
    let mut client = Client::new(ClusterConfig::brokers(2).topic(T, 1));
    apply(&mut client, Change::AnswerAll(1, Some(15)));
    assert_eq!(code(&mut client), 15);
    assert_eq!(about_t(&mut client).1.error_code, 15);
    let init = InitProducerIdRequest::default().with_transactional_id(None);
    assert_eq!(client.ask(1, &init).error_code, 15);
    let versions = client.ask(2, &ApiVersionsRequest::default());
    assert_eq!(versions.error_code, 15);
    assert_eq!(client.cluster.end_offset(T, 0), 0);
    apply(&mut client, Change::AnswerAll(1, None));
    assert_eq!(code(&mut client), 0);
}

#[test]
fn endpoint_changed_is_told() {
    let mut client = Client::simple();
    let moved = Change::SetEndpoint(1, "elsewhere".to_owned(), 1234);
    client.cluster.schedule(NOW + 5, moved);
    client.advance(5);
    let (response, _) = about_t(&mut client);
    let broker = &response.brokers[0];
    assert_eq!((broker.host.as_str(), broker.port), ("elsewhere", 1234));
}

#[test]
fn topic_made_again_has_a_lower_leader_epoch_and_another_id() {
    let mut client = Client::new(ClusterConfig::brokers(2).topic(T, 1));
    client.cluster.move_leader(T, 0, 2);
    client.cluster.move_leader(T, 0, 1);
    let id = client.cluster.topic_id(T);
    assert_eq!(about_t(&mut client).1.partitions[0].leader_epoch, 2);
    client.cluster.delete_topic(T);
    client.cluster.create_topic(T, 1);
    assert_eq!(about_t(&mut client).1.partitions[0].leader_epoch, 0);
    assert_ne!(client.cluster.topic_id(T), id);
}

/// All that can be wrong at once.
fn spoil(client: &mut Client) {
    let topic = || T.to_owned();
    let changes = [
        Change::SetAuthorized(topic(), false),
        Change::HideTopic(topic(), None, true),
        Change::HidePartition(topic(), 0, Some(1), true),
        Change::HideBroker(1, None, true),
        Change::ShrinkIsr(topic(), 0, 0),
        Change::FreezeMetadata(1),
        Change::SetLeaderHints(LeaderHints::Wrong),
        Change::AnswerAll(1, Some(-1)),
        Change::RefuseConnections(1, true),
        Change::Fault(Fault::error(On::any(), -1).always()),
        Change::MoveLeader(topic(), 0, None),
        Change::StopBroker(2),
        Change::CrashBroker { node: 3, lose: 1 },
    ];
    for change in changes {
        client.cluster.apply(change);
    }
    let later = Change::StopBroker(1);
    client.cluster.schedule(NOW + 1_000_000, later);
}

#[test]
fn healed_cluster_is_as_good_as_new() {
    let secret = TopicConfig::new("secret", 1).unauthorized();
    let config = ClusterConfig::brokers(3).topic(T, 3).topic_with(secret);
    let mut client = Client::new(config);
    spoil(&mut client);
    apply(&mut client, Change::HealEverything);
    client.reconnect();
    assert_eq!(client.cluster.next_event(), None);
    let (response, topic) = about_t(&mut client);
    assert_eq!((response.brokers.len(), topic.error_code), (3, 0));
    assert_eq!(topic.partitions.len(), 3);
    for partition in &topic.partitions {
        assert_eq!(partition.isr_nodes.len(), 3);
        at_node(&mut client, partition.leader_id.0);
        let request = to_partition(partition.partition_index, batch());
        assert_eq!(client.produce_request(9, &request).error_code, 0);
    }
    let mut elsewhere = to_partition(0, batch());
    elsewhere.topic_data[0].name = StrBytes::from_static_str("secret").into();
    assert_eq!(client.produce_request(9, &elsewhere).error_code, 29);
}

#[test]
fn healed_connections_answer_what_waits_and_silent_ones_end() {
    for fault in [
        Fault::hold(On::produce()),
        Fault::delay(On::produce(), 1_000_000),
        Fault::throttle(On::produce(), 1_000_000),
    ] {
        let mut client = Client::simple();
        client.cluster.fault(fault.always());
        let throttle = Fault::throttle(On::produce(), 1_000_000);
        client.cluster.fault(throttle);
        client.send(9, &to_partition(0, batch()));
        client.send(9, &to_partition(0, batch()));
        apply(&mut client, Change::HealEverything);
        assert_eq!(client.cluster.end_offset(T, 0), 2);
        client.take();
        assert_eq!(code(&mut client), 0);
        assert_eq!(client.cluster.next_event(), None);
    }
    let mut client = Client::simple();
    let overtaken = Fault::new(On::produce(), Effect::Overtaken);
    client.cluster.fault(overtaken);
    client.send(9, &to_partition(0, batch()));
    assert!(client.take().0.is_empty());
    apply(&mut client, Change::HealEverything);
    assert_eq!(client.cluster.with_output().count(), 1);
    client.answer::<ProduceRequest>(9);
    client.cluster.fault(Fault::swallow(On::produce()));
    client.send(9, &to_partition(0, batch()));
    apply(&mut client, Change::HealEverything);
    assert_eq!(client.take(), (Vec::new(), ConnState::Closed));
}

#[test]
fn healed_by_a_request_keeps_the_order_of_answers() {
    let mut client = Client::simple();
    let heals = Fault::then(On::produce(), Change::HealEverything);
    client.cluster.fault(heals);
    let first = super::frame(9, 1, &to_partition(0, batch()));
    let second = super::frame(9, 2, &to_partition(0, batch()));
    let both = [first, second].concat();
    client.cluster.receive(client.connection, &both, NOW);
    let (answers, _) = client.take();
    let (first, second) = answers.split_at(answers.len() / 2);
    super::decode::<ProduceRequest>(first, 9, 1);
    super::decode::<ProduceRequest>(second, 9, 2);
}
