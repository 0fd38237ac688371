//! Metadata: versions, topics, names, creation on demand, stale nodes.

use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{MetadataRequest, MetadataResponse};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::{Change, ClusterConfig, Fault, On, TopicConfig};

use super::Client;

fn about(names: &[&'static str]) -> MetadataRequest {
    let topic = |name: &&'static str| {
        MetadataRequestTopic::default().with_name(Some(StrBytes::from_static_str(name).into()))
    };
    MetadataRequest::default()
        .with_topics(Some(names.iter().map(topic).collect()))
        .with_allow_auto_topic_creation(true)
}

fn by_id(id: Uuid) -> MetadataRequest {
    let topic = MetadataRequestTopic::default()
        .with_name(None)
        .with_topic_id(id);
    MetadataRequest::default().with_topics(Some(vec![topic]))
}

fn names(response: &MetadataResponse) -> Vec<&str> {
    let topics = response.topics.iter();
    topics
        .map(|topic| topic.name.as_ref().map_or("", |name| name.as_str()))
        .collect()
}

/// The leaders in the order of the partitions, which an answer need not have.
fn leaders(topic: &MetadataResponseTopic) -> Vec<i32> {
    let mut partitions = topic.partitions.clone();
    partitions.sort_by_key(|partition| partition.partition_index);
    partitions.iter().map(|p| p.leader_id.0).collect()
}

fn one(client: &mut Client, version: i16, request: &MetadataRequest) -> MetadataResponseTopic {
    let response = client.ask(version, request);
    assert_eq!(response.topics.len(), 1);
    response.topics[0].clone()
}

#[test]
fn metadata_every_version_tells_nodes_and_leaders() {
    let mut client = Client::new(ClusterConfig::brokers(3).topic("t", 4));
    for version in 0..=13 {
        let response = client.ask(version, &about(&["t"]));
        assert_eq!(response.brokers.len(), 3, "version {version}");
        let topic = &response.topics[0];
        assert_eq!(topic.error_code, 0);
        assert_eq!(topic.topic_id.is_nil(), version < 10);
        assert_eq!(leaders(topic), [1, 2, 3, 1]);
        assert!(topic.partitions.iter().all(|p| p.isr_nodes.len() == 3));
        let epoch = topic.partitions[0].leader_epoch;
        assert_eq!(epoch, if version < 7 { -1 } else { 0 });
        assert_eq!(response.cluster_id.is_some(), version >= 2);
        assert_eq!(response.controller_id.0, if version < 1 { -1 } else { 1 });
    }
}

#[test]
fn metadata_empty_means_all_in_version_zero_and_none_later() {
    let mut client = Client::new(ClusterConfig::brokers(1).topic("a", 1).topic("b", 1));
    assert_eq!(names(&client.ask(0, &about(&[]))), ["a", "b"]);
    assert!(client.ask(1, &about(&[])).topics.is_empty());
    let all = MetadataRequest::default().with_topics(None);
    assert_eq!(names(&client.ask(1, &all)), ["a", "b"]);
    assert_eq!(names(&client.ask(12, &all)), ["a", "b"]);
}

#[test]
fn metadata_forbidden_names_are_invalid() {
    let mut client = Client::simple();
    let long: &'static str = "x".repeat(250).leak();
    for name in ["", ".", "..", "a b", "ä", "a/b", long] {
        let topic = one(&mut client, 9, &about(&[name]));
        assert_eq!(topic.error_code, 17, "{name:?}");
    }
    let fits: &'static str = "x".repeat(249).leak();
    assert_eq!(one(&mut client, 9, &about(&[fits])).error_code, 3);
    assert_eq!(one(&mut client, 9, &about(&[fits])).error_code, 0);
}

#[test]
fn metadata_creates_topics_on_demand_only_when_both_sides_want() {
    let mut client = Client::simple();
    let without = about(&["new"]).with_allow_auto_topic_creation(false);
    assert_eq!(one(&mut client, 9, &without).error_code, 3);
    assert_eq!(one(&mut client, 9, &without).error_code, 3);
    assert_eq!(one(&mut client, 9, &about(&["new"])).error_code, 3);
    assert_eq!(one(&mut client, 9, &without).error_code, 0);
    let config = ClusterConfig::brokers(1).auto_create_topics(false);
    let mut client = Client::new(config);
    assert_eq!(one(&mut client, 9, &about(&["new"])).error_code, 3);
    assert_eq!(one(&mut client, 9, &about(&["new"])).error_code, 3);
}

#[test]
fn metadata_by_id_knows_only_living_ids() {
    let mut client = Client::simple();
    let id = client.cluster.topic_id("t").unwrap();
    let topic = one(&mut client, 12, &by_id(id));
    assert_eq!((topic.error_code, topic.topic_id), (0, id));
    assert_eq!(topic.name.unwrap().as_str(), "t");
    client.cluster.delete_topic("t");
    let topic = one(&mut client, 12, &by_id(id));
    assert_eq!((topic.error_code, topic.name), (100, None));
    let early = by_id(id);
    let mut named = early;
    named.topics.as_mut().unwrap()[0].name = Some(StrBytes::from_static_str("t").into());
    assert_eq!(one(&mut client, 11, &named).error_code, 42);
    let neither = by_id(Uuid::nil());
    assert_eq!(one(&mut client, 12, &neither).error_code, -1);
}

#[test]
fn metadata_unauthorized_topic_is_refused_and_not_listed() {
    let topic = TopicConfig::new("secret", 1).unauthorized();
    let config = ClusterConfig::brokers(1).topic("t", 1).topic_with(topic);
    let mut client = Client::new(config);
    let topic = one(&mut client, 12, &about(&["secret"]));
    assert_eq!((topic.error_code, topic.topic_id.is_nil()), (29, true));
    let all = MetadataRequest::default().with_topics(None);
    assert_eq!(names(&client.ask(12, &all)), ["t"]);
}

#[test]
fn metadata_follows_stopped_nodes_moved_leaders_and_new_partitions() {
    let mut client = Client::new(ClusterConfig::brokers(3).topic("t", 2));
    client.cluster.stop_broker(2);
    let response = client.ask(9, &about(&["t"]));
    assert_eq!(response.brokers.len(), 2);
    assert_eq!(leaders(&response.topics[0]), [1, 3]);
    let mut partitions = response.topics[0].partitions.iter();
    let moved = partitions.find(|p| p.partition_index == 1).unwrap();
    assert_eq!((moved.leader_epoch, moved.offline_replicas.len()), (1, 1));
    client.cluster.start_broker(2);
    client.cluster.set_partitions("t", 3);
    client.cluster.move_leader("t", 0, 3);
    let response = client.ask(9, &about(&["t"]));
    assert_eq!(leaders(&response.topics[0]), [3, 3, 3]);
    client
        .cluster
        .apply(Change::MoveLeader("t".to_owned(), 0, None));
    let topic = one(&mut client, 9, &about(&["t"]));
    assert_eq!(leaders(&topic), [-1, 3, 3]);
    let mut partitions = topic.partitions.iter();
    let leaderless = partitions.find(|p| p.partition_index == 0).unwrap();
    assert_eq!(leaderless.error_code, 5);
}

#[test]
fn metadata_frozen_node_tells_the_past_until_thawed() {
    let mut client = Client::new(ClusterConfig::brokers(2).topic("t", 1));
    client.cluster.apply(Change::FreezeMetadata(1));
    client.cluster.move_leader("t", 0, 2);
    client.cluster.create_topic("later", 1);
    let topic = one(&mut client, 9, &about(&["t"]));
    assert_eq!(topic.partitions[0].leader_id.0, 1);
    assert_eq!(one(&mut client, 9, &about(&["later"])).error_code, 3);
    client.cluster.apply(Change::ThawMetadata(1));
    let topic = one(&mut client, 9, &about(&["t"]));
    assert_eq!(topic.partitions[0].leader_id.0, 2);
    assert_eq!(one(&mut client, 9, &about(&["later"])).error_code, 0);
}

#[test]
fn metadata_can_ask_to_begin_anew_where_the_version_has_a_word_for_it() {
    let mut client = Client::simple();
    let begin_anew = Fault::error(On::metadata(), 129).always();
    client.cluster.fault(begin_anew.labelled("anew"));
    let response = client.ask(13, &about(&["t"]));
    assert_eq!(response.error_code, 129);
    assert!(response.brokers.is_empty() && response.topics.is_empty());
    let older = client.ask(12, &about(&["t"]));
    assert_eq!((older.error_code, older.topics[0].error_code), (0, 129));
    assert_eq!(client.cluster.strikes()["anew"], 2);
}
