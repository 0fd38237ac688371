//! The states by themselves: backoffs, timeouts, addresses, throttling.

use super::*;
use crate::time::Time;

const MS: Duration = Duration::from_millis(1);

fn states() -> (ClusterConnectionStates, Instant) {
    let states = ClusterConnectionStates::new(
        ExponentialBackoff::new(50 * MS, 1000 * MS),
        ExponentialBackoff::new(10_000 * MS, 30_000 * MS),
        Random::seeded(3),
    );
    (states, Time::mock().0.now())
}

fn node(id: i32, host: &str) -> Node {
    Node {
        id: NodeId(id),
        host: Arc::from(host),
        port: 9092,
        rack: None,
    }
}

fn ips(of: &[&str]) -> Vec<SocketAddr> {
    of.iter()
        .map(|ip| SocketAddr::new(ip.parse().unwrap(), 9092))
        .collect()
}

fn within(actual: Duration, expected_ms: u32) -> bool {
    actual >= expected_ms * MS * 8 / 10 && actual <= expected_ms * MS * 12 / 10
}

/// Begins, resolves and connects.
fn begin(states: &mut ClusterConnectionStates, node: &Node, now: Instant) -> Option<SocketAddr> {
    states.begin(node, now);
    if !states.has_address(node.id) {
        states.resolved(node.id, ips(&["10.0.0.1"]));
    }
    states.next_address(node.id)
}

#[test]
fn delay_of_an_unknown_node_is_zero_and_it_may_connect() {
    let (states, now) = states();
    assert!(states.can_connect(NodeId(1), now));
    assert_eq!(states.delay(NodeId(1), now), Duration::ZERO);
    assert!(!states.is_ready(NodeId(1), now));
    assert_eq!(states.last_attempt(NodeId(1)), None);
}

#[test]
fn way_to_ready_lets_nothing_connect_twice() {
    let (mut states, now) = states();
    let node = node(1, "a");
    begin(&mut states, &node, now);
    assert!(states.is_setting_up(node.id) && !states.can_connect(node.id, now));
    assert_eq!(states.delay(node.id, now), Duration::MAX);
    states.checking_api_versions(node.id, now);
    assert!(states.is_setting_up(node.id) && !states.is_ready(node.id, now));
    states.ready(node.id);
    assert!(states.is_ready(node.id, now) && !states.is_setting_up(node.id));
    assert!(!states.can_connect(node.id, now));
    assert_eq!(states.connected(), [node.id]);
    assert_eq!(states.next_setup_deadline(), None);
}

#[test]
fn backoff_grows_is_capped_and_ends_with_ready() {
    let (mut states, mut now) = states();
    let node = node(1, "a");
    for expected in [50, 100, 200, 400, 800, 1000, 1000] {
        begin(&mut states, &node, now);
        states.disconnected(node.id, now);
        let delay = states.delay(node.id, now);
        assert!(within(delay, expected), "{delay:?} {expected}");
        assert!(!states.can_connect(node.id, now + delay - MS / 1000));
        now += delay;
        assert!(states.can_connect(node.id, now));
    }
    begin(&mut states, &node, now);
    states.ready(node.id);
    states.disconnected(node.id, now);
    assert!(within(states.delay(node.id, now), 50));
}

#[test]
fn disconnected_twice_counts_once() {
    let (mut states, now) = states();
    let node = node(1, "a");
    begin(&mut states, &node, now);
    states.disconnected(node.id, now);
    let delay = states.delay(node.id, now);
    states.disconnected(node.id, now);
    states.disconnected(NodeId(5), now);
    assert_eq!(states.delay(node.id, now), delay);
}

#[test]
fn setup_timeout_grows_with_failures_and_covers_every_stage() {
    let (mut states, mut now) = states();
    let node = node(1, "a");
    for expected in [10_000, 20_000, 30_000, 30_000] {
        states.begin(&node, now);
        let deadline = states.next_setup_deadline().unwrap();
        assert!(within(deadline - now, expected), "{expected}");
        assert!(states.overdue(deadline - MS).is_empty());
        let had = deadline - now;
        assert_eq!(states.overdue(deadline), [(node.id, had)], "resolving");
        states.resolved(node.id, ips(&["10.0.0.1"]));
        states.next_address(node.id);
        assert_eq!(states.overdue(deadline).len(), 1, "connecting");
        states.checking_api_versions(node.id, now + 5 * MS);
        assert!(states.overdue(deadline).is_empty(), "it begins anew");
        assert_eq!(states.overdue(deadline + 5 * MS).len(), 1, "checking");
        states.disconnected(node.id, deadline);
        assert!(states.overdue(deadline + 100_000 * MS).is_empty());
        now = deadline + 2_000 * MS;
    }
    begin(&mut states, &node, now);
    states.ready(node.id);
    states.disconnected(node.id, now);
    now += 100 * MS;
    states.begin(&node, now);
    assert!(within(states.next_setup_deadline().unwrap() - now, 10_000));
}

#[test]
fn addresses_are_used_one_after_the_other_the_first_family_first() {
    let (mut states, now) = states();
    let node = node(1, "a");
    states.begin(&node, now);
    states.resolved(node.id, ips(&["::1", "10.0.0.1", "::2"]));
    for expected in ["[::1]:9092", "[::2]:9092", "10.0.0.1:9092"] {
        assert!(states.has_address(node.id));
        let address = states.next_address(node.id).unwrap();
        assert_eq!(address.to_string(), expected);
        states.disconnected(node.id, now);
        states.begin(&node, now);
    }
    assert!(!states.has_address(node.id), "to be looked up again");
}

#[test]
fn address_tried_last_is_not_tried_again_first_if_there_are_others() {
    let (mut states, now) = states();
    let node = node(1, "a");
    for (answer, expected) in [
        (&["10.0.0.1"][..], "10.0.0.1:9092"),
        (&["10.0.0.1", "10.0.0.2"], "10.0.0.2:9092"),
    ] {
        states.begin(&node, now);
        states.resolved(node.id, ips(answer));
        assert_eq!(states.next_address(node.id).unwrap().to_string(), expected);
        states.ready(node.id);
        states.disconnected(node.id, now);
        assert!(
            !states.has_address(node.id),
            "lost: the name may mean another host now"
        );
    }
    states.begin(&node, now);
    states.resolved(node.id, ips(&["10.0.0.2"]));
    assert_eq!(
        states.next_address(node.id).unwrap().to_string(),
        "10.0.0.2:9092"
    );
}

#[test]
fn node_with_another_host_begins_anew() {
    let (mut states, mut now) = states();
    for _ in 0..4 {
        states.begin(&node(1, "a"), now);
        states.resolved(NodeId(1), ips(&["10.0.0.1", "10.0.0.2"]));
        states.next_address(NodeId(1));
        states.disconnected(NodeId(1), now);
        now += 2_000 * MS;
    }
    states.begin(&node(1, "b"), now);
    assert!(!states.has_address(NodeId(1)));
    assert!(states.address(NodeId(1)).starts_with("b:9092"));
    assert!(within(states.next_setup_deadline().unwrap() - now, 10_000));
    states.disconnected(NodeId(1), now);
    assert!(within(states.delay(NodeId(1), now), 50));
}

#[test]
fn throttle_never_moves_back_and_outlives_the_connection() {
    let (mut states, now) = states();
    let node = node(1, "a");
    begin(&mut states, &node, now);
    states.ready(node.id);
    states.throttle(node.id, now + 100 * MS);
    states.throttle(node.id, now + 50 * MS);
    assert!(!states.is_ready(node.id, now + 99 * MS));
    assert_eq!(states.delay(node.id, now + 40 * MS), 60 * MS);
    assert!(states.is_ready(node.id, now + 100 * MS));
    states.disconnected(node.id, now);
    begin(&mut states, &node, now);
    states.ready(node.id);
    assert!(!states.is_ready(node.id, now + 99 * MS));
}

#[test]
fn forget_keeps_nodes_that_have_a_connection() {
    let (mut states, now) = states();
    for id in [1, 2, 3] {
        begin(&mut states, &node(id, "a"), now);
    }
    states.disconnected(NodeId(2), now);
    states.disconnected(NodeId(3), now);
    states.forget(|node| node == NodeId(3));
    assert_eq!(states.connected(), [NodeId(1)]);
    assert_eq!(states.last_attempt(NodeId(2)), None);
    assert_eq!(states.last_attempt(NodeId(3)), Some(now));
}

#[test]
fn nodes_have_states_of_their_own() {
    let (mut states, now) = states();
    let (first, second) = (node(1, "a"), node(2, "b"));
    begin(&mut states, &second, now);
    assert!(states.can_connect(first.id, now) && !states.can_connect(second.id, now));
    states.ready(second.id);
    begin(&mut states, &first, now);
    assert!(states.is_ready(second.id, now) && !states.is_ready(first.id, now));
    states.ready(first.id);
    assert_eq!(states.connected(), [first.id, second.id]);
    states.disconnected(second.id, now);
    assert!(states.is_ready(first.id, now) && !states.is_ready(second.id, now));
    let over = now + states.delay(second.id, now);
    states.disconnected(first.id, over);
    assert!(states.can_connect(second.id, over) && !states.can_connect(first.id, over));
    assert!(states.connected().is_empty());
}

#[test]
fn forgotten_node_begins_without_a_backoff() {
    let (mut states, now) = states();
    let node = node(1, "a");
    begin(&mut states, &node, now);
    states.disconnected(node.id, now);
    assert!(!states.can_connect(node.id, now));
    states.forget(|_| false);
    assert!(states.can_connect(node.id, now));
    assert_eq!(states.delay(node.id, now), Duration::ZERO);
    begin(&mut states, &node, now);
    states.disconnected(node.id, now);
    assert!(within(states.delay(node.id, now), 50));
}

#[test]
fn backoff_grows_although_connections_get_as_far_as_their_versions() {
    let (mut states, mut now) = states();
    let node = node(1, "a");
    for expected in [50, 100, 200, 400, 800, 1000, 1000] {
        begin(&mut states, &node, now);
        states.checking_api_versions(node.id, now);
        states.disconnected(node.id, now);
        let delay = states.delay(node.id, now);
        assert!(within(delay, expected), "{delay:?} {expected}");
        now += delay;
    }
}

#[test]
fn overdue_names_every_node_whose_setup_took_too_long_and_no_other() {
    let (mut states, now) = states();
    begin(&mut states, &node(1, "a"), now);
    begin(&mut states, &node(2, "b"), now);
    assert!(states.overdue(now).is_empty());
    begin(&mut states, &node(3, "c"), now + 6_000 * MS);
    let overdue = |states: &ClusterConnectionStates, at: u32| -> Vec<i32> {
        let overdue = states.overdue(now + at * MS);
        overdue.into_iter().map(|(node, _)| node.0).collect()
    };
    assert_eq!(overdue(&states, 12_001), [1, 2]);
    states.disconnected(NodeId(1), now + 12_001 * MS);
    states.disconnected(NodeId(2), now + 12_001 * MS);
    assert_eq!(overdue(&states, 18_001), [3]);
    states.ready(NodeId(3));
    assert!(overdue(&states, 100_000).is_empty());
    assert_eq!(states.next_setup_deadline(), None);
}

#[cfg(feature = "planted")]
#[test]
fn r70_address_is_kept_when_its_connection_is_lost() {
    crate::planted::assert_live(Plant::R70, || {
        let (mut states, now) = states();
        let node = node(1, "a");
        begin(&mut states, &node, now);
        states.ready(node.id);
        states.disconnected(node.id, now);
        states.has_address(node.id)
    });
}

#[cfg(feature = "planted")]
#[test]
fn r71_connection_is_set_up_for_ever() {
    crate::planted::assert_live(Plant::R71, || {
        let (mut states, now) = states();
        begin(&mut states, &node(1, "a"), now);
        states.overdue(now + 3_600_000 * MS).is_empty()
    });
}
