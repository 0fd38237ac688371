//! Requests and their responses: order, versions, limits, timeouts, throttling.

use super::*;
use crate::error::ErrorKind;
use crate::network::ChannelState;
use crate::protocol::messages::ApiResponse;

#[test]
fn responses_come_back_in_order_with_tag_and_times() {
    let mut harness = Harness::up("10.0.0.9:9092");
    let start = harness.now();
    for tag in 0..3 {
        harness.produce(1, tag);
        harness.poll(Duration::ZERO);
    }
    assert_eq!(harness.client.in_flight_request_count(), 3);
    harness.time.advance(Duration::from_millis(10));
    for _ in 0..3 {
        harness.answer_produce(1, 0);
    }
    harness.poll(Duration::ZERO);
    assert_eq!(harness.client.in_flight_request_count(), 0);
    for response in &harness.out {
        assert_eq!(response.node, NodeId(1));
        assert_eq!(
            (response.created, response.received),
            (start, harness.time.now())
        );
        assert!(matches!(
            response.outcome,
            Outcome::Response(ApiResponse::Produce(_))
        ));
    }
    assert_eq!(harness.tags(), [0, 1, 2]);
}

#[test]
fn request_without_response_is_done_when_written() {
    let mut harness = Harness::up("10.0.0.9:9092");
    harness.selector().writes = false;
    harness.produce_with(1, 7, |request| request.expects_response = false);
    harness.poll(Duration::ZERO);
    assert!(harness.out.is_empty());
    assert!(!harness.is_ready(1), "it is still being written");
    harness.selector().writes = true;
    harness.poll(Duration::ZERO);
    assert!(matches!(harness.response().outcome, Outcome::Sent));
    assert_eq!(harness.client.in_flight_request_count(), 0);
}

#[test]
fn requests_in_flight_are_limited_over_all_apis() {
    let mut harness = Harness::up_with("10.0.0.9:9092", |config| config.max_in_flight = 2);
    harness.produce(1, 1);
    assert!(!harness.is_ready(1), "the first is on its way out");
    harness.poll(Duration::ZERO);
    harness.produce(1, 2);
    harness.poll(Duration::ZERO);
    assert!(!harness.is_ready(1));
    let (node, now) = (harness.node(1), harness.now());
    assert_eq!(harness.client.poll_delay(&node, now), Duration::MAX);
    // Metadata has to wait as well, and goes first as soon as there is room.
    harness.metadata.request_update();
    harness.time.advance(Duration::from_secs(1));
    harness.poll(Duration::ZERO);
    assert_eq!(harness.apis_at(1), [PRODUCE, PRODUCE]);
    harness.answer_produce(1, 0);
    harness.poll(Duration::ZERO);
    assert!(!harness.is_ready(1), "metadata is due");
    let asked = |harness: &Harness| {
        harness.apis_at(1).contains(&METADATA) || harness.apis_at(2).contains(&METADATA)
    };
    for _ in 0..5 {
        harness.poll(Duration::ZERO);
    }
    assert!(asked(&harness) || harness.client.selector.channels.contains_key(&NodeId(2)));
}

#[test]
fn request_to_a_node_that_is_not_ready_comes_back_unsent() {
    let mut harness = Harness::new("10.0.0.9:9092");
    harness.produce(1, 5);
    assert_eq!(harness.client.in_flight_request_count(), 1);
    harness.poll(Duration::from_secs(100));
    assert_eq!(
        *harness.client.selector.timeouts.last().unwrap(),
        Duration::ZERO
    );
    let Outcome::Disconnected {
        maybe_written,
        error,
    } = harness.response().outcome
    else {
        panic!("not disconnected");
    };
    assert!(
        !maybe_written && error.to_string().contains("not ready"),
        "{error}"
    );
}

#[test]
fn refused_requests_do_not_keep_the_network_from_its_turn() {
    let mut harness = Harness::new("10.0.0.9:9092");
    for tag in 0..5 {
        harness.produce(1, tag);
        harness.serve();
        harness.poll(Duration::ZERO);
    }
    assert!(!harness.metadata.cluster().is_bootstrap());
    assert_eq!(harness.tags(), [0, 1, 2, 3, 4]);
}

#[test]
fn version_is_the_highest_of_broker_ours_and_asker() {
    let mut harness = Harness::up("10.0.0.9:9092");
    harness.produce(1, 1);
    assert_eq!(harness.unanswered(1)[0].version, 12, "the broker's newest");
    harness.poll(Duration::ZERO);
    harness.produce_with(1, 2, |request| {
        request.versions = VersionRange { min: 3, max: 11 }
    });
    assert_eq!(harness.unanswered(1)[1].version, 11, "the asker's newest");
}

#[test]
fn version_the_broker_does_not_have_is_never_sent() {
    let mut harness = Harness::up("10.0.0.9:9092");
    harness.produce_with(1, 1, |request| {
        request.versions = VersionRange { min: 13, max: 13 }
    });
    assert!(harness.unanswered(1).is_empty());
    harness.poll(Duration::ZERO);
    let Outcome::UnsupportedVersion(error) = harness.response().outcome else {
        panic!("sent");
    };
    assert_eq!(error.kind(), ErrorKind::UnsupportedVersion);
    assert!(
        error.to_string().contains("Produce") && error.to_string().contains("3 to 12"),
        "{error}"
    );
    assert!(harness.is_ready(1), "the node is as good as before");
}

#[test]
fn versions_that_a_node_lacks_are_asked_for_again_over_another_connection() {
    let mut harness = Harness::with("10.0.0.9:9092", |_| {});
    harness.versions.retain(|(key, _, _)| *key != 0);
    let mut ticket = MetadataTicket::default();
    harness.await_topic("t", &mut ticket);
    harness.settle();
    assert!(harness.connect(1));
    harness.versions = VERSIONS.to_vec();
    harness.produce(1, 1);
    harness.poll(Duration::ZERO);
    let Outcome::UnsupportedVersion(_) = harness.response().outcome else {
        panic!("sent");
    };
    assert!(!harness.is_ready(1), "the next connection tells anew");
    harness.run(Duration::from_secs(2));
    assert!(harness.connect(1));
    harness.produce(1, 2);
    assert_eq!(harness.apis_at(1), [0]);
}

#[test]
fn correlation_ids_leave_out_those_of_sasl() {
    let mut harness = Harness::up("10.0.0.9:9092");
    harness.client.next_correlation_id = i32::MAX - 9;
    let mut ids = Vec::new();
    for tag in 0..4 {
        harness.produce(1, tag);
        harness.poll(Duration::ZERO);
        ids.push(harness.unanswered(1)[0].correlation_id);
        harness.answer_produce(1, 0);
        harness.poll(Duration::ZERO);
    }
    assert_eq!(ids, [i32::MAX - 9, i32::MAX - 8, i32::MIN, i32::MIN + 1]);
    assert_eq!(harness.tags(), [0, 1, 2, 3]);
    for id in [0, 1, -1, i32::MIN, i32::MAX] {
        assert_eq!(correlation_id_of(send_id(id)), id);
    }
}

#[test]
fn request_overdue_ends_the_connection_and_all_its_requests() {
    let mut harness = Harness::up("10.0.0.9:9092");
    for (tag, seconds) in [(1, 30), (2, 10), (3, 30)] {
        harness.produce_with(1, tag, |request| {
            request.timeout = Duration::from_secs(seconds)
        });
        harness.poll(Duration::ZERO);
    }
    let start = harness.now();
    harness.poll(Duration::from_secs(600));
    assert_eq!(
        harness.now() - start,
        Duration::from_secs(10),
        "the poll ends in time"
    );
    assert!(!harness.client.selector.channels.contains_key(&NodeId(1)));
    for response in &harness.out {
        let Outcome::TimedOut { error } = &response.outcome else {
            panic!("{response:?}");
        };
        let text = error.to_string();
        for part in ["Produce", "10.0.0.1:9092", "10000 ms", "request.timeout.ms"] {
            assert!(text.contains(part), "{text}");
        }
    }
    assert_eq!(harness.tags(), [1, 2, 3]);
}

#[test]
fn throttled_node_is_left_alone_read_and_given_more_time() {
    let mut harness = Harness::up("10.0.0.9:9092");
    harness.produce(1, 1);
    harness.poll(Duration::ZERO);
    harness.produce_with(1, 2, |request| request.timeout = Duration::from_secs(3));
    harness.poll(Duration::ZERO);
    harness.answer_produce(1, 5000);
    harness.poll(Duration::ZERO);
    assert_eq!(harness.tags(), [1]);
    assert!(!harness.is_ready(1));
    let node = harness.node(1);
    let delay = harness.client.poll_delay(&node, harness.time.now());
    assert_eq!(delay, Duration::from_secs(5));
    // The other request's time is longer by as much (B126).
    harness.run(Duration::from_secs(4));
    harness.answer_produce(1, 100);
    harness.poll(Duration::ZERO);
    assert_eq!(harness.tags(), [2], "responses are still read");
    assert!(
        !harness.is_ready(1),
        "a shorter throttle does not move the end back"
    );
    harness.time.advance(Duration::from_secs(1));
    assert!(harness.is_ready(1));
}

#[test]
fn throttle_of_a_version_before_kip_219_is_the_brokers_own_business() {
    let mut harness = Harness::new("10.0.0.9:9092");
    harness.versions = vec![(0, 3, 5), (3, 1, 5), (18, 0, 1)];
    harness.settle();
    assert!(harness.connect(1));
    harness.produce(1, 1);
    harness.poll(Duration::ZERO);
    harness.answer_produce(1, 5000);
    harness.poll(Duration::ZERO);
    assert!(harness.is_ready(1));
}

#[test]
fn least_loaded_node_is_the_ready_one_with_the_fewest_requests() {
    let mut harness = Harness::up("10.0.0.9:9092");
    let now = harness.now();
    for _ in 0..10 {
        assert_eq!(harness.client.least_loaded_node(now).unwrap().id, NodeId(1));
    }
    assert!(harness.connect(2));
    harness.produce(1, 1);
    harness.poll(Duration::ZERO);
    for _ in 0..10 {
        assert_eq!(harness.client.least_loaded_node(now).unwrap().id, NodeId(2));
    }
    harness.answer_produce(1, 0);
    harness.poll(Duration::ZERO);
    let seen: BTreeSet<NodeId> = (0..50)
        .filter_map(|_| harness.client.least_loaded_node(now))
        .map(|node| node.id)
        .collect();
    assert_eq!(seen.len(), 2, "either, if both are idle");
    let connects = harness.client.selector.connects.len();
    harness
        .selector()
        .end(NodeId(1), ChannelState::Connected, false);
    harness
        .selector()
        .end(NodeId(2), ChannelState::Connected, false);
    harness.poll(Duration::ZERO);
    assert!(
        harness.client.least_loaded_node(now).is_none(),
        "both back off"
    );
    assert_eq!(harness.client.selector.connects.len(), connects);
}
