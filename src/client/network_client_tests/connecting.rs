//! Connections: begun, negotiated, refused, hanging; names and addresses.

use std::collections::VecDeque;
use std::net::IpAddr;

use super::*;
use crate::network::ChannelState;

fn addresses(of: &[&str]) -> Vec<IpAddr> {
    of.iter().map(|address| address.parse().unwrap()).collect()
}

fn script_host(harness: &Harness, host: &str, answers: &[&[&str]]) {
    let answers: VecDeque<_> = answers.iter().map(|answer| addresses(answer)).collect();
    let mut script = harness.script.lock().unwrap();
    script.hosts.insert(host.to_owned(), answers);
}

fn connected_to(harness: &Harness) -> Vec<String> {
    let connects = &harness.client.selector.connects;
    connects
        .iter()
        .map(|(_, address)| address.ip().to_string())
        .collect()
}

#[test]
fn bootstrap_connects_negotiates_and_asks_for_metadata() {
    let mut harness = Harness::new("10.0.0.9:9092");
    harness.poll(Duration::ZERO);
    assert_eq!(harness.apis_at(-1), [API_VERSIONS]);
    assert_eq!(harness.unanswered(-1)[0].version, 4);
    assert!(!harness.client.selector.valid.contains(&NodeId(-1)));
    harness.serve();
    harness.poll(Duration::ZERO);
    assert!(harness.client.selector.valid.contains(&NodeId(-1)));
    harness.poll(Duration::ZERO);
    assert_eq!(harness.apis_at(-1), [METADATA]);
    assert_eq!(harness.unanswered(-1)[0].version, 12);
    harness.settle();
    let cluster = harness.metadata.cluster();
    assert!(!cluster.is_bootstrap());
    assert_eq!(cluster.nodes().len(), 2);
    assert!(
        harness.out.is_empty(),
        "the client's own requests are its own"
    );
}

#[test]
fn ready_of_a_new_node_becomes_true_after_its_versions_are_known() {
    let mut harness = Harness::new("10.0.0.9:9092");
    harness.settle();
    assert!(!harness.is_ready(1));
    let (node, now) = (harness.node(1), harness.now());
    assert_eq!(harness.client.poll_delay(&node, now), Duration::MAX);
    harness.poll(Duration::ZERO);
    assert!(!harness.is_ready(1), "connected, but nothing known of it");
    assert_eq!(harness.apis_at(1), [API_VERSIONS]);
    harness.settle();
    assert!(harness.is_ready(1));
    assert_eq!(harness.client.poll_delay(&node, now), Duration::ZERO);
}

#[test]
fn channel_that_is_not_ready_yet_is_asked_for_its_versions_later() {
    let mut harness = Harness::new("10.0.0.9:9092");
    harness.selector().is_channel_ready = false;
    harness.settle();
    assert!(harness.unanswered(-1).is_empty());
    harness.selector().is_channel_ready = true;
    harness.poll(Duration::ZERO);
    assert_eq!(harness.apis_at(-1), [API_VERSIONS]);
}

#[test]
fn api_versions_refused_is_asked_again_in_the_version_the_broker_names() {
    let mut harness = Harness::new("10.0.0.9:9092");
    harness.poll(Duration::ZERO);
    let refusal = api_versions(0, 35, &[(18, 0, 2)]);
    harness.selector().answer(NodeId(-1), &refusal);
    harness.poll(Duration::ZERO);
    assert_eq!(harness.apis_at(-1), [API_VERSIONS]);
    assert_eq!(harness.unanswered(-1)[0].version, 2);
    harness.settle();
    assert!(!harness.metadata.cluster().is_bootstrap());
}

#[test]
fn api_versions_refused_without_a_version_is_asked_again_in_version_0() {
    for named in [&[][..], &[(18, 0, 4)], &[(18, 0, -5)]] {
        let mut harness = Harness::new("10.0.0.9:9092");
        harness.poll(Duration::ZERO);
        let refusal = api_versions(0, 35, named);
        harness.selector().answer(NodeId(-1), &refusal);
        harness.poll(Duration::ZERO);
        assert_eq!(harness.unanswered(-1)[0].version, 0);
        // Refused in version 0 too, there is nothing to try.
        let refusal = api_versions(0, 35, named);
        harness.selector().answer(NodeId(-1), &refusal);
        harness.poll(Duration::ZERO);
        assert!(!harness.client.selector.channels.contains_key(&NodeId(-1)));
        let complaint = harness.complaint();
        assert!(complaint.contains("UNSUPPORTED_VERSION"), "{complaint}");
    }
}

#[test]
fn api_versions_with_another_error_ends_the_connection() {
    let mut harness = Harness::new("10.0.0.9:9092");
    harness.poll(Duration::ZERO);
    let refusal = api_versions(4, 42, &[]);
    harness.selector().answer(NodeId(-1), &refusal);
    harness.poll(Duration::ZERO);
    assert!(harness.client.selector.channels.is_empty());
    let complaint = harness.complaint();
    assert!(
        complaint.contains("INVALID_REQUEST") && complaint.contains("10.0.0.9:9092"),
        "{complaint}"
    );
}

#[test]
fn client_software_name_and_version_are_what_brokers_take() {
    for text in [env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")] {
        let is_inner = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        assert!(text.chars().all(is_inner), "{text}");
        assert!(text.starts_with(|c: char| c.is_ascii_alphanumeric()));
        assert!(text.ends_with(|c: char| c.is_ascii_alphanumeric()));
    }
}

#[test]
fn connect_that_hangs_ends_by_the_setup_timeout_and_names_host_and_key() {
    let mut harness = Harness::new("10.0.0.9:9092");
    harness.selector().accepts = false;
    harness.run(Duration::from_secs(8));
    assert_eq!(harness.client.selector.connects.len(), 1);
    harness.run(Duration::from_secs(5));
    assert!(
        harness.client.selector.connects.len() >= 2,
        "it is tried again"
    );
    let complaint = harness.complaint();
    for part in [
        "10.0.0.9:9092",
        "socket.connection.setup.timeout.ms",
        "bootstrap.servers",
        "max.block.ms",
        "60000 ms",
    ] {
        assert!(complaint.contains(part), "{complaint}");
    }
}

#[test]
fn peer_that_accepts_and_never_answers_ends_by_the_setup_timeout_and_others_are_tried() {
    let mut harness = Harness::new("10.0.0.8:9092,10.0.0.9:9092");
    harness.poll(Duration::ZERO);
    let silent = harness.client.selector.connects[0].0;
    let before = harness.now();
    while harness.client.selector.connects.len() < 2 {
        assert!(harness.apis_at(silent.0).len() <= 1);
        harness.poll(Duration::from_secs(60));
    }
    let waited = harness.now() - before;
    assert!(waited <= Duration::from_secs(13), "{waited:?}");
    assert!(harness.complaint().contains("did not answer within"));
    assert_ne!(harness.client.selector.connects[1].0, silent);
    harness.settle();
    assert!(!harness.metadata.cluster().is_bootstrap());
}

#[test]
fn connect_that_fails_at_once_backs_off_and_does_not_spin() {
    let mut harness = Harness::new("10.0.0.8:9092,10.0.0.9:9092");
    harness.selector().is_unreachable = true;
    harness.run(Duration::from_secs(60));
    let connects = harness.client.selector.connects.len();
    assert!((60..200).contains(&connects), "{connects}");
    let polls = harness.client.selector.timeouts.len();
    assert!(
        polls < 3 * connects,
        "{polls} polls for {connects} connects"
    );
    assert!(harness.complaint().contains("no route"));
}

#[test]
fn backoff_grows_with_failures_and_begins_anew_after_ready() {
    let mut harness = Harness::up("10.0.0.9:9092");
    let delays: Vec<u128> = (0..6)
        .map(|_| {
            let node = harness.node(1);
            if !harness.is_ready(1) {
                assert!(harness.client.selector.channels.contains_key(&node.id));
            }
            harness
                .selector()
                .end(node.id, ChannelState::NotConnected, false);
            harness.poll(Duration::ZERO);
            let delay = harness.client.poll_delay(&node, harness.time.now());
            assert!(!harness.is_ready(1), "no connect before its backoff");
            assert!(!harness.client.selector.channels.contains_key(&node.id));
            harness.time.advance(delay);
            delay.as_millis()
        })
        .collect();
    for (delay, expected) in delays.iter().zip([50, 100, 200, 400, 800, 1000]) {
        assert!(
            (expected * 8 / 10..=expected * 12 / 10).contains(delay),
            "{delays:?}"
        );
    }
    assert!(harness.connect(1));
    harness
        .selector()
        .end(NodeId(1), ChannelState::Connected, false);
    harness.poll(Duration::ZERO);
    let delay = harness
        .client
        .poll_delay(&harness.node(1), harness.time.now());
    assert!(delay <= Duration::from_millis(60), "{delay:?}");
}

#[test]
fn name_is_looked_up_and_the_connect_waits_for_the_answer() {
    let mut harness = Harness::new("kafka:9092");
    script_host(&harness, "kafka", &[&["10.1.0.1"]]);
    harness.script.lock().unwrap().is_held = true;
    harness.settle();
    assert!(harness.client.selector.connects.is_empty());
    harness.script.lock().unwrap().is_held = false;
    harness.settle();
    assert_eq!(connected_to(&harness), ["10.1.0.1"]);
    assert_eq!(harness.script.lock().unwrap().asked, ["kafka"]);
    assert!(!harness.metadata.cluster().is_bootstrap());
}

#[test]
fn name_that_does_not_resolve_is_named_with_why_and_key() {
    let mut harness = Harness::new("kafka.example:9092");
    for _ in 0..500 {
        harness.poll(Duration::from_millis(10));
    }
    let asked = harness.script.lock().unwrap().asked.len();
    assert!((5..20).contains(&asked), "{asked}");
    let complaint = harness.complaint();
    for part in [
        "could not resolve kafka.example:9092",
        "no such host",
        "bootstrap.servers",
        "max.block.ms",
    ] {
        assert!(complaint.contains(part), "{complaint}");
    }
}

#[test]
fn resolver_that_hangs_ends_by_the_setup_timeout() {
    let mut harness = Harness::new("kafka.example:9092");
    harness.script.lock().unwrap().is_held = true;
    harness.run(Duration::from_secs(15));
    let complaint = harness.complaint();
    assert!(
        complaint.contains("could not resolve kafka.example:9092"),
        "{complaint}"
    );
    assert!(
        complaint.contains("socket.connection.setup.timeout.ms"),
        "{complaint}"
    );
    // A late answer is nobody's any more, and the next lookup's is taken.
    script_host(&harness, "kafka.example", &[&["10.1.0.1"]]);
    harness.script.lock().unwrap().is_held = false;
    harness.run(Duration::from_secs(5));
    assert!(!harness.metadata.cluster().is_bootstrap());
}

#[test]
fn all_addresses_of_a_name_are_tried_before_it_is_looked_up_again() {
    let mut harness = Harness::new("kafka:9092");
    script_host(
        &harness,
        "kafka",
        &[
            &["10.1.0.1", "fe80::1", "10.1.0.2"],
            &["10.1.0.2", "10.1.0.3"],
        ],
    );
    harness.selector().accepts = false;
    for _ in 0..5 {
        harness.run(Duration::from_secs(1));
        let is_connecting = harness.client.selector.channels.contains_key(&NodeId(-1));
        if is_connecting {
            harness
                .selector()
                .end(NodeId(-1), ChannelState::NotConnected, false);
        }
    }
    // The first one's family first; after the second lookup not again the one that failed last.
    assert_eq!(
        connected_to(&harness),
        ["10.1.0.1", "10.1.0.2", "fe80::1", "10.1.0.2", "10.1.0.3"]
    );
    assert_eq!(harness.script.lock().unwrap().asked.len(), 2);
}

#[test]
fn connection_that_was_lost_is_looked_up_again() {
    let mut harness = Harness::new("kafka:9092");
    script_host(
        &harness,
        "kafka",
        &[&["10.1.0.1", "10.1.0.2"], &["10.1.0.7"]],
    );
    harness.settle();
    harness
        .selector()
        .end(NodeId(-1), ChannelState::Connected, false);
    harness.poll(Duration::ZERO);
    let node = Node {
        id: NodeId(-1),
        host: Arc::from("kafka"),
        port: 9092,
        rack: None,
    };
    harness.time.advance(Duration::from_millis(100));
    let now = harness.now();
    harness.client.ready(&node, now);
    harness.settle();
    assert_eq!(connected_to(&harness).last().unwrap(), "10.1.0.7");
}

#[test]
fn node_that_moved_is_connected_to_at_its_new_address() {
    let mut harness = Harness::up("10.0.0.9:9092");
    harness.picture.brokers = vec![(1, 9999), (2, 9092)];
    harness.metadata.request_update();
    harness.run(Duration::from_secs(2));
    assert!(harness.is_ready(1), "the live connection is not touched");
    harness
        .selector()
        .end(NodeId(1), ChannelState::Connected, false);
    harness.run(Duration::from_millis(200));
    assert!(harness.connect(1));
    let (node, address) = *harness.client.selector.connects.last().unwrap();
    assert_eq!((node, address.port()), (NodeId(1), 9999));
}

#[test]
fn only_one_connection_at_a_time_is_begun_for_metadata() {
    let mut harness = Harness::new("10.0.0.7:1,10.0.0.8:1,10.0.0.9:1");
    harness.selector().accepts = false;
    harness.run(Duration::from_secs(5));
    assert_eq!(harness.client.selector.connects.len(), 1);
}

#[test]
fn bootstrap_goes_round_until_one_broker_lives() {
    let mut harness = Harness::new("10.0.0.7:1,10.0.0.8:1,10.0.0.9:1");
    harness.selector().accepts = false;
    let living = NodeId(-2);
    for _ in 0..10 {
        harness.run(Duration::from_millis(300));
        let connecting: Vec<NodeId> = harness.client.selector.channels.keys().copied().collect();
        if connecting == [living] {
            harness.selector().accepts = true;
            harness.settle();
            assert!(!harness.metadata.cluster().is_bootstrap());
            return;
        }
        for node in connecting {
            harness
                .selector()
                .end(node, ChannelState::NotConnected, false);
        }
    }
    panic!(
        "the living broker was not tried: {:?}",
        harness.client.selector.connects
    );
}
