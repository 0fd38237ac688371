//! Each fault, alone and together, and what it leaves in the log.

use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{InitProducerIdRequest, MetadataRequest};
use kafka_protocol::protocol::StrBytes;

use crate::{Change, ClusterConfig, ConnState, Effect, Fault, Moment, On, TopicConfig, What};

use super::{Client, NOW, TestBatch, to_partition};

fn batch() -> bytes::Bytes {
    TestBatch::of(1).encode()
}

fn end(client: &Client) -> i64 {
    client.cluster.end_offset("t", 0)
}

#[test]
fn fault_error_strikes_as_often_as_told_and_appends_nothing() {
    let mut client = Client::simple();
    let on = On::produce().partition("t", 0);
    client.cluster.fault(Fault::error(on, 7).after(1).times(2));
    let codes: Vec<i16> = (0..4).map(|_| client.produce(batch()).error_code).collect();
    assert_eq!(codes, [0, 7, 7, 0]);
    assert_eq!(end(&client), 2);
}

#[test]
fn fault_error_of_another_partition_or_node_does_not_strike() {
    let mut client = Client::simple();
    let other = On::produce().partition("t", 1);
    client.cluster.fault(Fault::error(other, 7));
    let elsewhere = On::produce().node(2);
    client.cluster.fault(Fault::error(elsewhere, 7));
    assert_eq!(client.produce(batch()).error_code, 0);
    let request = to_partition(1, batch());
    assert_eq!(client.produce_request(9, &request).error_code, 7);
    assert_eq!(client.produce_request(9, &request).error_code, 0);
}

#[test]
fn fault_error_after_append_appends() {
    let mut client = Client::simple();
    let fault = Fault::error_after_append(On::produce(), 20);
    client.cluster.fault(fault);
    let response = client.produce(batch());
    assert_eq!((response.error_code, response.base_offset), (20, -1));
    assert_eq!(end(&client), 1);
}

#[test]
fn fault_disconnect_before_and_after_append() {
    let mut client = Client::simple();
    for (moment, appended) in [(Moment::BeforeAppend, 0), (Moment::AfterAppend, 1)] {
        let fault = Fault::disconnect(On::produce(), moment);
        client.cluster.fault(fault);
        client.send(9, &to_partition(0, batch()));
        assert_eq!(client.take(), (Vec::new(), ConnState::Closed));
        assert_eq!(end(&client), appended);
        client.reconnect();
    }
}

#[test]
fn fault_disconnect_in_mid_response_sends_a_part() {
    let mut client = Client::simple();
    let moment = Moment::MidResponse(7);
    client.cluster.fault(Fault::disconnect(On::any(), moment));
    client.send(9, &to_partition(0, batch()));
    let (bytes, state) = client.take();
    assert_eq!((bytes.len(), state), (7, ConnState::Closed));
    assert_eq!(end(&client), 1);
}

#[test]
fn fault_delay_keeps_the_order_of_a_connection() {
    let mut client = Client::simple();
    client.cluster.fault(Fault::delay(On::produce(), 100));
    client.send(9, &to_partition(0, batch()));
    client.send(9, &to_partition(0, batch()));
    assert!(client.take().0.is_empty());
    assert_eq!(end(&client), 1, "the second waits for the first");
    assert_eq!(client.cluster.next_event(), Some(NOW + 100));
    client.advance(99);
    assert!(client.take().0.is_empty());
    client.advance(1);
    assert_eq!(end(&client), 2);
    let (both, _) = client.take();
    let one = both.len() / 2;
    super::decode::<kafka_protocol::messages::ProduceRequest>(&both[..one], 9, 1);
    super::decode::<kafka_protocol::messages::ProduceRequest>(&both[one..], 9, 2);
}

#[test]
fn fault_hold_waits_for_release() {
    let mut client = Client::simple();
    client.cluster.fault(Fault::hold(On::produce()));
    client.send(9, &to_partition(0, batch()));
    client.advance(1_000_000);
    assert!(client.take().0.is_empty());
    client.cluster.release();
    let response = client.answer::<kafka_protocol::messages::ProduceRequest>(9);
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
}

#[test]
fn fault_swallow_never_answers_again_on_that_connection() {
    let mut client = Client::simple();
    client.cluster.fault(Fault::swallow(On::produce()));
    client.send(9, &to_partition(0, batch()));
    client.send(9, &to_partition(0, batch()));
    client.advance(1_000_000);
    client.cluster.release();
    assert_eq!(client.take(), (Vec::new(), ConnState::Open));
    assert_eq!(end(&client), 0);
    client.reconnect();
    assert_eq!(client.produce(batch()).error_code, 0);
}

#[test]
fn fault_throttle_is_told_and_mutes() {
    let mut client = Client::simple();
    client.cluster.fault(Fault::throttle(On::produce(), 50));
    let first = client.ask(9, &to_partition(0, batch()));
    assert_eq!(first.throttle_time_ms, 50);
    client.send(9, &to_partition(0, batch()));
    assert!(client.take().0.is_empty());
    client.advance(50);
    let second = client.answer::<kafka_protocol::messages::ProduceRequest>(9);
    assert_eq!(second.throttle_time_ms, 0);
}

#[test]
fn fault_garbage_and_wrong_correlation_id_reach_the_client() {
    let mut client = Client::simple();
    let garbage = Effect::Garbage(vec![1, 2, 3]);
    client.cluster.fault(Fault::new(On::any(), garbage));
    client.send(9, &to_partition(0, batch()));
    assert_eq!(client.take().0, [0, 0, 0, 3, 1, 2, 3]);
    let wrong = Fault::new(On::any(), Effect::WrongCorrelationId);
    client.cluster.fault(wrong);
    client.send(9, &to_partition(0, batch()));
    let (bytes, _) = client.take();
    assert_ne!(bytes[4..8], client.correlation_id.to_be_bytes());
    assert_eq!(client.produce(batch()).error_code, 0);
}

#[test]
fn fault_errors_of_metadata_strike_the_topic_and_of_init_the_whole() {
    let mut client = Client::simple();
    let on = On::metadata().topic("t");
    client.cluster.fault(Fault::error(on, 5));
    let named = |name| {
        MetadataRequestTopic::default().with_name(Some(StrBytes::from_static_str(name).into()))
    };
    let request = MetadataRequest::default().with_topics(Some(vec![named("t"), named("u")]));
    let response = client.ask(9, &request);
    assert_eq!(response.topics[0].error_code, 5);
    assert_eq!(response.topics[1].error_code, 3);
    assert_eq!(client.ask(9, &request).topics[0].error_code, 0);
    let fault = Fault::error(On::init_producer_id(), 14);
    client.cluster.fault(fault);
    let init = InitProducerIdRequest::default().with_transactional_id(None);
    let response = client.ask(1, &init);
    assert_eq!((response.error_code, response.producer_id.0), (14, -1));
    assert_eq!(client.ask(1, &init).error_code, 0);
}

#[test]
fn fault_then_changes_the_cluster_after_its_request() {
    let mut client = Client::new(ClusterConfig::brokers(2).topic("t", 1));
    let moved = Change::MoveLeader("t".to_owned(), 0, Some(2));
    let fault = Fault::then(On::produce(), moved).after(1);
    client.cluster.fault(fault);
    let codes: Vec<i16> = (0..3).map(|_| client.produce(batch()).error_code).collect();
    assert_eq!(codes, [0, 0, 6]);
    let stops = Fault::then(On::any(), Change::StopBroker(1));
    client.cluster.fault(stops);
    client.send(9, &to_partition(0, batch()));
    assert_eq!(client.take(), (Vec::new(), ConnState::Closed));
}

#[test]
fn closed_connections_can_be_made_anew() {
    let mut client = Client::simple();
    client.cluster.fault(Fault::hold(On::produce()));
    client.send(9, &to_partition(0, batch()));
    client.cluster.apply(Change::CloseConnections(1));
    client.cluster.release();
    client.cluster.disconnect(client.connection, NOW);
    let closed = |event: &&crate::Event| event.what == What::Closed;
    assert_eq!(client.cluster.history().filter(closed).count(), 1);
    assert_eq!(client.take(), (Vec::new(), ConnState::Closed));
    client.reconnect();
    assert_eq!(client.produce(batch()).base_offset, 1);
}

#[test]
fn faults_combine_and_end() {
    let mut client = Client::simple();
    let on = On::produce().topic("t");
    client.cluster.fault(Fault::delay(On::any(), 10).always());
    let error = Fault::error_after_append(on, 7).always();
    client.cluster.fault(error);
    client.send(9, &to_partition(0, batch()));
    client.advance(10);
    let response = client.answer::<kafka_protocol::messages::ProduceRequest>(9);
    assert_eq!(response.responses[0].partition_responses[0].error_code, 7);
    client.cluster.clear_faults();
    assert_eq!(client.produce(batch()).error_code, 0);
    assert_eq!(end(&client), 2);
}

#[test]
fn refused_connections_and_stopped_nodes_take_nobody() {
    let mut client = Client::new(ClusterConfig::brokers(2).topic("t", 1));
    client.cluster.apply(Change::RefuseConnections(1, true));
    assert_eq!(client.cluster.connect(1, NOW), None);
    assert!(client.cluster.connect(2, NOW).is_some());
    client.cluster.apply(Change::RefuseConnections(1, false));
    assert!(client.cluster.connect(1, NOW).is_some());
    assert_eq!(client.cluster.connections_accepted(1), 2);
    client.cluster.stop_broker(1);
    assert_eq!(client.take(), (Vec::new(), ConnState::Closed));
    assert_eq!(client.cluster.connect(1, NOW), None);
    assert_eq!(client.cluster.leader("t", 0), Some(2));
    client.cluster.start_broker(1);
    client.reconnect();
    assert_eq!(client.produce(batch()).error_code, 6);
}

#[test]
fn scheduled_changes_come_at_their_time_and_in_order() {
    let mut client = Client::new(ClusterConfig::brokers(2).topic("t", 1));
    let cluster = &mut client.cluster;
    let again = TopicConfig::new("t", 3);
    cluster.schedule(NOW + 30, Change::CreateTopic(again));
    cluster.schedule(NOW + 20, Change::DeleteTopic("t".to_owned()));
    let moved = Change::MoveLeader("t".to_owned(), 0, Some(2));
    cluster.schedule(NOW + 10, moved);
    assert_eq!(cluster.advance(NOW + 9), Some(NOW + 10));
    assert_eq!(cluster.leader("t", 0), Some(1));
    assert_eq!(cluster.advance(NOW + 10), Some(NOW + 20));
    assert_eq!(cluster.leader("t", 0), Some(2));
    assert_eq!(cluster.advance(NOW + 100), None);
    assert_eq!(cluster.partitions("t"), 3);
}

#[test]
fn labelled_faults_count_the_requests_they_had_an_effect_on() {
    let mut client = Client::simple();
    let on = On::produce().partition("t", 0);
    let error = Fault::error(on, 7).times(2).labelled("code");
    client.cluster.fault(error.after(1));
    for _ in 0..4 {
        client.produce(batch());
    }
    client
        .cluster
        .fault(Fault::delay(On::any(), 0).always().labelled("late"));
    client
        .cluster
        .fault(Fault::swallow(On::produce()).labelled("silence"));
    client.send(9, &to_partition(0, batch()));
    client.reconnect();
    client.produce(batch());
    let counted: Vec<_> = client.cluster.strikes().clone().into_iter().collect();
    assert_eq!(counted, [("code", 2), ("late", 1), ("silence", 1)]);
}

#[test]
fn labelled_faults_that_another_forestalls_are_not_counted() {
    let mut client = Client::simple();
    let garbage = Effect::Garbage(vec![1]);
    let moment = Moment::BeforeAppend;
    client.cluster.fault(Fault::disconnect(On::any(), moment));
    client
        .cluster
        .fault(Fault::new(On::any(), garbage).labelled("garbage"));
    client
        .cluster
        .fault(Fault::error(On::any(), 7).labelled("code"));
    client
        .cluster
        .fault(Fault::new(On::any(), Effect::WrongCorrelationId).labelled("id"));
    client.send(9, &to_partition(0, batch()));
    assert_eq!(client.take(), (Vec::new(), ConnState::Closed));
    assert!(client.cluster.strikes().is_empty());
}

#[test]
fn labelled_faults_in_an_answer_that_is_not_sent_are_not_counted() {
    let mut client = Client::simple();
    let id = Fault::new(On::any(), Effect::WrongCorrelationId);
    client.cluster.fault(id.labelled("id"));
    let silent = to_partition(0, batch()).with_acks(0);
    client.send(9, &silent);
    assert_eq!(client.take(), (Vec::new(), ConnState::Open));
    assert!(client.cluster.strikes().is_empty());
}
