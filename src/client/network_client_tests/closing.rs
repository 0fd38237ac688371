//! Connections that end from this side, and nodes that cannot be used for a while.

use super::*;
use crate::network::ChannelState;

fn disconnect(harness: &mut Harness, node: i32) {
    let now = harness.now();
    harness.client.disconnect(NodeId(node), now);
}

fn delay(harness: &Harness, node: i32) -> Duration {
    let (node, now) = (harness.node(node), harness.now());
    harness.client.poll_delay(&node, now)
}

fn within(actual: Duration, expected_ms: u64) -> bool {
    let expected = Duration::from_millis(expected_ms);
    actual >= expected.mul_f64(0.79) && actual <= expected.mul_f64(1.21)
}

#[test]
fn disconnect_from_this_side_answers_all_requests_at_the_next_poll_in_their_order() {
    let mut harness = Harness::up("10.0.0.9:9092");
    assert!(harness.connect(2));
    harness.produce(2, 9);
    for tag in [1, 2] {
        harness.produce(1, tag);
        harness.poll(Duration::ZERO);
    }
    disconnect(&mut harness, 1);
    assert!(!harness.client.selector.channels.contains_key(&NodeId(1)));
    assert!(harness.out.is_empty());
    harness.poll(Duration::ZERO);
    for response in &harness.out {
        let Outcome::Disconnected { maybe_written, .. } = response.outcome else {
            panic!("{response:?}");
        };
        assert!(maybe_written);
    }
    assert_eq!(harness.tags(), [1, 2]);
    harness.answer_produce(2, 0);
    harness.poll(Duration::ZERO);
    assert_eq!(harness.tags(), [9], "the other node is not touched");
    assert_eq!(harness.client.in_flight_request_count(), 0);
}

#[test]
fn disconnect_of_a_node_without_a_connection_does_not_begin_its_backoff_again() {
    let mut harness = Harness::up("10.0.0.9:9092");
    disconnect(&mut harness, 1);
    assert!(!harness.is_ready(1));
    let wait = delay(&harness, 1);
    assert!(within(wait, 50), "{wait:?}");
    harness.time.advance(wait);
    disconnect(&mut harness, 1);
    assert_eq!(delay(&harness, 1), Duration::ZERO);
    assert!(harness.connect(1));
}

#[test]
fn connecting_node_that_is_closed_can_be_connected_to_again_and_so_can_others() {
    let mut harness = Harness::up("10.0.0.9:9092");
    harness.selector().accepts = false;
    assert!(!harness.is_ready(2));
    harness.poll(Duration::ZERO);
    disconnect(&mut harness, 2);
    harness.poll(Duration::ZERO);
    assert!(harness.is_ready(1) && !harness.is_ready(2));
    harness.selector().accepts = true;
    harness.time.advance(Duration::from_millis(100));
    assert!(harness.connect(2));
}

#[test]
fn delay_of_a_node_is_zero_at_first_endless_while_it_connects_and_a_growing_backoff_after() {
    for (reconnect_max_ms, expected) in [(1000, [50, 100, 200]), (50, [50, 50, 50])] {
        let mut harness = Harness::up_with("10.0.0.9:9092", |config| {
            config.reconnect_backoff_max = Duration::from_millis(reconnect_max_ms);
        });
        assert_eq!(delay(&harness, 2), Duration::ZERO, "nothing was tried");
        assert_eq!(delay(&harness, 1), Duration::ZERO, "it is ready");
        harness.selector().accepts = false;
        for expected_ms in expected {
            assert!(!harness.is_ready(2));
            assert_eq!(delay(&harness, 2), Duration::MAX, "it connects");
            let selector = harness.selector();
            selector.end(NodeId(2), ChannelState::NotConnected, false);
            harness.poll(Duration::ZERO);
            let wait = delay(&harness, 2);
            assert!(within(wait, expected_ms), "{wait:?} {expected_ms}");
            harness.time.advance(wait);
            assert_eq!(delay(&harness, 2), Duration::ZERO);
        }
    }
}

#[test]
fn connection_lost_before_its_versions_are_known_is_backed_off_from_and_told_to_nobody() {
    let mut harness = Harness::up("10.0.0.9:9092");
    for (step, expected_ms) in [50, 100, 200, 400].into_iter().enumerate() {
        assert!(!harness.is_ready(2));
        harness.poll(Duration::ZERO);
        assert_eq!(harness.apis_at(2), [API_VERSIONS]);
        if step == 3 {
            disconnect(&mut harness, 2);
        } else {
            let selector = harness.selector();
            selector.end(NodeId(2), ChannelState::Connected, true);
        }
        harness.poll(Duration::ZERO);
        assert!(harness.out.is_empty(), "nobody asked for versions");
        let wait = delay(&harness, 2);
        assert!(within(wait, expected_ms), "{wait:?} {expected_ms}");
        harness.time.advance(wait);
    }
}

#[test]
fn request_that_is_overdue_asks_for_metadata() {
    let mut harness = Harness::up("10.0.0.9:9092");
    let now = harness.now();
    assert!(harness.metadata.time_to_next_update(now) > Duration::from_secs(200));
    harness.produce(1, 1);
    harness.poll(Duration::ZERO);
    harness.poll(Duration::from_secs(60));
    harness.poll(Duration::ZERO);
    let response = harness.response();
    assert!(matches!(response.outcome, Outcome::TimedOut { .. }));
    let now = harness.now();
    assert!(harness.metadata.time_to_next_update(now) <= Duration::from_millis(120));
}

#[test]
fn connections_to_several_nodes_that_hang_end_by_their_setup_timeout() {
    let mut harness = Harness::up("10.0.0.9:9092");
    disconnect(&mut harness, 1);
    harness.time.advance(Duration::from_millis(100));
    harness.selector().accepts = false;
    assert!(!harness.is_ready(1) && !harness.is_ready(2));
    harness.run(Duration::from_secs(7));
    let open = |harness: &Harness, id| harness.client.selector.channels.contains_key(&NodeId(id));
    assert!(
        open(&harness, 1) && open(&harness, 2),
        "not before it is over"
    );
    let begun = harness.client.selector.connects.len();
    harness.run(Duration::from_secs(6));
    let ended = [1, 2].map(|id| !open(&harness, id) || delay(&harness, id) > Duration::ZERO);
    assert_eq!(ended, [true, true]);
    assert!(harness.client.selector.connects.len() >= begun);
}

#[test]
fn channel_that_never_becomes_ready_ends_by_the_setup_timeout() {
    let mut harness = Harness::new("10.0.0.9:9092");
    harness.selector().is_channel_ready = false;
    harness.run(Duration::from_secs(7));
    assert!(harness.client.selector.channels.contains_key(&NodeId(-1)));
    assert_eq!(harness.client.selector.connects.len(), 1);
    harness.run(Duration::from_secs(6));
    assert!(
        harness.client.selector.connects.len() > 1,
        "it is tried again"
    );
    let complaint = harness.complaint();
    assert!(
        complaint.contains("socket.connection.setup.timeout.ms"),
        "{complaint}"
    );
}

#[test]
fn least_loaded_node_goes_round_all_that_were_lost_the_longest_ago_first() {
    let mut harness = Harness::with("10.0.0.7:1,10.0.0.8:1,10.0.0.9:1", |config| {
        config.reconnect_backoff = Duration::from_millis(1);
        config.reconnect_backoff_max = Duration::from_millis(1);
    });
    for round in 0..5 {
        let mut seen = BTreeSet::new();
        for _ in 0..3 {
            let now = harness.now();
            let node = harness
                .client
                .least_loaded_node(now)
                .expect("all may be tried");
            seen.insert(node.id);
            harness.client.ready(&node, now);
            disconnect(&mut harness, node.id.0);
            harness.time.advance(Duration::from_millis(10));
        }
        assert_eq!(seen.len(), 3, "round {round}");
    }
}

#[test]
fn least_loaded_node_is_not_one_that_throttles() {
    let mut harness = Harness::up("10.0.0.9:9092");
    harness.picture.brokers = vec![(1, 9092)];
    harness.metadata.request_update();
    harness.run(Duration::from_secs(2));
    harness.produce(1, 1);
    harness.poll(Duration::ZERO);
    harness.answer_produce(1, 100);
    harness.poll(Duration::ZERO);
    let now = harness.now();
    assert!(harness.client.least_loaded_node(now).is_none());
    harness.time.advance(Duration::from_millis(100));
    let now = harness.now();
    assert!(harness.client.least_loaded_node(now).is_some());
}

/// It answers, only not now: that no node can be asked is not the same as that none is left.
#[test]
fn nodes_that_are_busy_or_throttle_are_no_reason_to_begin_again() {
    let mut harness = Harness::up_with("10.0.0.9:9092", |config| {
        config.max_in_flight = 1;
        config.metadata_recovery = MetadataRecovery::Rebootstrap {
            trigger: Duration::from_secs(100),
        };
    });
    harness.picture.brokers = vec![(1, 9092)];
    harness.metadata.request_update();
    harness.run(Duration::from_secs(2));
    harness.produce(1, 1);
    harness.poll(Duration::ZERO);
    harness.metadata.request_update();
    harness.run(Duration::from_secs(5));
    assert!(!harness.metadata.cluster().is_bootstrap(), "busy");
    harness.answer_produce(1, 3000);
    harness.poll(Duration::ZERO);
    harness.run(Duration::from_secs(2));
    assert!(!harness.metadata.cluster().is_bootstrap(), "throttled");
    assert_eq!(harness.tags(), [1]);
}

#[test]
fn brokers_that_were_all_gone_for_an_hour_are_found_again_within_the_longest_backoff() {
    let rebootstrap = MetadataRecovery::Rebootstrap {
        trigger: Duration::from_secs(300),
    };
    for recovery in [MetadataRecovery::None, rebootstrap] {
        let mut harness = Harness::up_with("10.0.0.9:9092", |config| {
            config.metadata_recovery = recovery;
        });
        harness.produce(1, 1);
        harness.poll(Duration::ZERO);
        harness.selector().is_unreachable = true;
        let all: Vec<NodeId> = harness.client.selector.channels.keys().copied().collect();
        for node in all {
            harness.selector().end(node, ChannelState::Connected, true);
        }
        harness.run(Duration::from_secs(3600));
        assert_eq!(harness.tags(), [1], "its request has come back");
        let polls = harness.client.selector.timeouts.len();
        assert!(polls < 30_000, "{polls} polls in an hour");
        harness.selector().is_unreachable = false;
        harness.run(Duration::from_secs(3));
        assert!(!harness.metadata.cluster().is_bootstrap());
        assert!(harness.connect(1), "{recovery:?}");
    }
}
