//! Metadata over the network: when it is asked for and of whom, and beginning again.

use super::*;
use crate::cluster::Cluster;
use crate::network::ChannelState;

#[test]
fn poll_with_nothing_to_do_waits_for_the_next_refresh() {
    let mut harness = Harness::up("10.0.0.9:9092");
    harness.selector().timeouts.clear();
    harness.poll(Duration::MAX);
    let waited = harness.client.selector.timeouts[0];
    assert!(
        waited > Duration::from_secs(250) && waited <= Duration::from_secs(300),
        "{waited:?}"
    );
    harness.run(Duration::from_secs(3600));
    let polls = harness.client.selector.timeouts.len();
    assert!(polls < 100, "{polls} polls in an hour");
}

#[test]
fn poll_that_sends_the_metadata_request_does_not_keep_those_waiting_who_were_held_back_by_it() {
    let mut harness = Harness::up("10.0.0.9:9092");
    harness.metadata.request_update();
    harness.time.advance(Duration::from_secs(1));
    assert!(!harness.is_ready(1), "metadata goes first");
    harness.poll(Duration::from_secs(60));
    assert_eq!(
        harness.client.selector.timeouts.last(),
        Some(&Duration::ZERO)
    );
    assert_eq!(harness.apis_at(1), [METADATA]);
    assert!(harness.is_ready(1));
    harness.poll(Duration::from_secs(60));
    let next = harness.client.selector.timeouts.last();
    assert!(
        next > Some(&Duration::from_secs(20)),
        "only that one: {next:?}"
    );
}

#[test]
fn poll_in_every_state_of_a_connection_waits() {
    let mut harness = Harness::new("kafka:9092");
    harness.script.lock().unwrap().is_held = true;
    let wait = |harness: &mut Harness, what: &str| {
        harness.client.selector.timeouts.clear();
        for _ in 0..3 {
            harness.poll(Duration::from_millis(100));
        }
        let zero = harness
            .client
            .selector
            .timeouts
            .iter()
            .filter(|it| it.is_zero())
            .count();
        assert!(zero <= 1, "{what}: {:?}", harness.client.selector.timeouts);
    };
    wait(&mut harness, "resolving");
    let answers = std::iter::once(vec!["10.1.0.1".parse().unwrap()]).collect();
    harness
        .script
        .lock()
        .unwrap()
        .hosts
        .insert("kafka".to_owned(), answers);
    harness.script.lock().unwrap().is_held = false;
    harness.selector().accepts = false;
    wait(&mut harness, "connecting");
    harness.selector().accepts = true;
    wait(&mut harness, "checking");
    harness.serve();
    wait(&mut harness, "metadata in flight");
    assert_eq!(harness.apis_at(-1), [METADATA]);
    harness.settle();
    wait(&mut harness, "idle");
    harness
        .selector()
        .end(NodeId(-1), ChannelState::Connected, false);
    harness.selector().is_unreachable = true;
    harness.metadata.request_update();
    wait(&mut harness, "backing off");
}

#[test]
fn a_thousand_refreshes_under_load_open_no_new_connection() {
    let mut harness = Harness::up("10.0.0.9:9092");
    harness.settle();
    let connects = harness.client.selector.connects.len();
    let before = harness.metadata.cluster().version();
    for tag in 0..1001 {
        if harness.is_ready(1) {
            harness.produce(1, tag);
        }
        harness.metadata.request_update();
        harness.run(Duration::from_millis(1300));
        if harness.apis_at(1).first() == Some(&PRODUCE) {
            harness.answer_produce(1, 0);
        }
    }
    let refreshes = harness.metadata.cluster().version() - before;
    assert!(refreshes >= 1000, "{refreshes}");
    // Either node may be asked; each has one connection at most, and the bootstrap address none.
    let connects = harness.client.selector.connects.len() - connects;
    assert!(connects <= 1, "{connects}");
}

#[test]
fn leader_moves_and_new_brokers_are_followed_without_touching_live_connections() {
    let mut harness = Harness::up("10.0.0.9:9092");
    harness.produce(1, 1);
    harness.poll(Duration::ZERO);
    harness.picture.brokers = vec![(1, 9092), (3, 9092)];
    harness.picture.topics = vec![("t", 0, vec![(3, 6), (1, 6)])];
    harness.metadata.request_update();
    for _ in 0..10 {
        harness.poll(Duration::from_millis(50));
        // Only metadata is answered: node 1 still owes a response to Produce.
        if harness.apis_at(1) == [PRODUCE, METADATA] {
            harness.answer_produce(1, 0);
        }
        harness.serve();
    }
    let cluster = harness.metadata.cluster();
    assert_eq!(cluster.partition("t", 0).unwrap().leader, Some(NodeId(3)));
    assert!(cluster.node(NodeId(2)).is_none());
    assert!(harness.is_ready(1));
    assert!(harness.connect(3));
    let to_node_1 = harness
        .client
        .selector
        .connects
        .iter()
        .filter(|it| it.0 == NodeId(1));
    assert_eq!(to_node_1.count(), 1);
}

#[test]
fn metadata_request_that_is_lost_is_sent_again_after_backoff() {
    let mut harness = Harness::up("10.0.0.9:9092");
    harness.metadata.request_update();
    harness.time.advance(Duration::from_secs(1));
    harness.poll(Duration::ZERO);
    assert_eq!(harness.apis_at(1), [METADATA]);
    harness
        .selector()
        .end(NodeId(1), ChannelState::Connected, true);
    harness.poll(Duration::ZERO);
    let now = harness.now();
    let wait = harness.metadata.time_to_next_update(now);
    assert!(
        wait >= Duration::from_millis(80) && wait <= Duration::from_millis(120),
        "{wait:?}"
    );
    let before = harness.metadata.cluster().version();
    harness.run(Duration::from_secs(1));
    assert!(harness.metadata.cluster().version() > before);
}

#[test]
fn metadata_request_without_answer_times_out_and_another_node_is_asked() {
    let mut harness = Harness::up("10.0.0.9:9092");
    harness.metadata.request_update();
    harness.time.advance(Duration::from_secs(1));
    harness.poll(Duration::ZERO);
    let before = harness.now();
    while harness.client.selector.channels.contains_key(&NodeId(1)) {
        harness.poll(Duration::MAX);
    }
    assert_eq!(harness.now() - before, Duration::from_secs(30));
    harness.run(Duration::from_secs(1));
    let now = harness.now();
    assert!(!harness.client.updater.is_update_due(now));
}

#[test]
fn metadata_without_brokers_counts_as_failed() {
    let mut harness = Harness::new("10.0.0.9:9092");
    harness.picture.brokers = Vec::new();
    harness.run(Duration::from_secs(10));
    assert!(harness.metadata.cluster().is_bootstrap());
    let requests = harness.client.selector.timeouts.len();
    assert!(requests < 100, "{requests} polls");
    assert!(harness.complaint().contains("names no broker"));
    harness.picture.brokers = vec![(-1, 5), (1, 0)];
    harness.run(Duration::from_secs(3));
    assert!(
        harness.metadata.cluster().is_bootstrap(),
        "nodes that cannot be"
    );
    harness.picture.brokers = vec![(1, 9092)];
    harness.run(Duration::from_secs(3));
    assert!(!harness.metadata.cluster().is_bootstrap());
}

/// Either may be the wrong one, and without a rebootstrap that would be for good.
#[test]
fn node_that_metadata_names_at_two_addresses_is_not_taken_for_known() {
    let mut harness = Harness::up("10.0.0.9:9092");
    let known = harness.metadata.cluster();
    let address = |cluster: &Cluster| cluster.node(NodeId(1)).map(|node| node.port);
    harness.picture.brokers = vec![(1, 9092), (1, 1)];
    harness.metadata.request_update();
    harness.run(Duration::from_secs(3));
    let now = harness.metadata.cluster();
    assert_eq!(address(&now), address(&known), "it kept what it knew");
    harness.picture.brokers = vec![(1, 9092), (1, 1), (2, 9092)];
    harness.run(Duration::from_secs(3));
    let now = harness.metadata.cluster();
    assert_eq!((address(&now), now.nodes().len()), (None, 1));
    harness.picture.brokers = vec![(1, 9092), (1, 9092), (2, 9092)];
    harness.metadata.request_update();
    harness.run(Duration::from_secs(3));
    let now = harness.metadata.cluster();
    assert_eq!(address(&now), Some(9092), "the same address twice is one");
}

#[test]
fn broker_without_a_metadata_version_of_ours_fails_the_waits_of_now() {
    let mut harness = Harness::new("10.0.0.9:9092");
    harness.versions = vec![(0, 3, 9), (3, 0, 0), (18, 0, 3)];
    let mut ticket = MetadataTicket::default();
    assert!(matches!(
        harness.await_topic("t", &mut ticket),
        TopicAwait::Pending
    ));
    harness.settle();
    let TopicAwait::Failed(error) = harness.await_topic("t", &mut ticket) else {
        panic!("it still waits");
    };
    assert_eq!(error.kind(), ErrorKind::UnsupportedVersion);
    assert!(error.to_string().contains("Metadata"), "{error}");
    harness.run(Duration::from_secs(10));
    assert!(harness.client.selector.timeouts.len() < 200);
}

#[test]
fn throttled_or_busy_nodes_do_not_make_metadata_spin() {
    let mut harness = Harness::up_with("10.0.0.9:9092", |config| config.max_in_flight = 1);
    harness.picture.brokers = vec![(1, 9092)];
    harness.metadata.request_update();
    harness.run(Duration::from_secs(2));
    harness.produce(1, 1);
    harness.poll(Duration::ZERO);
    harness.metadata.request_update();
    harness.run(Duration::from_secs(10));
    harness.answer_produce(1, 3000);
    harness.run(Duration::from_secs(10));
    assert_eq!(harness.tags(), [1]);
    let now = harness.now();
    assert!(
        !harness.client.updater.is_update_due(now),
        "it was asked after the throttle"
    );
}

fn recovering(config: &mut NetworkClientConfig) {
    config.metadata_recovery = MetadataRecovery::Rebootstrap {
        trigger: Duration::from_secs(10),
    };
}

#[test]
fn rebootstrap_when_no_known_broker_is_left() {
    let mut harness = Harness::up_with("10.0.0.9:9092", |config| {
        recovering(config);
        config.reconnect_backoff = Duration::from_secs(5);
        config.reconnect_backoff_max = Duration::from_secs(5);
    });
    let before = harness.metadata.cluster().version();
    harness.picture.brokers = vec![(7, 9092)];
    harness.picture.topics = vec![("t", 0, vec![(7, 9), (7, 9)])];
    // Nodes 1 and 2 are gone for good.
    let mut begun_anew = None;
    for _ in 0..50 {
        let nodes: Vec<NodeId> = harness.client.selector.channels.keys().copied().collect();
        for node in nodes.into_iter().filter(|node| [1, 2].contains(&node.0)) {
            harness
                .selector()
                .end(node, ChannelState::NotConnected, false);
        }
        harness.serve();
        harness.poll(Duration::from_millis(20));
        if harness.metadata.cluster().is_bootstrap() && begun_anew.is_none() {
            begun_anew = Some(harness.now());
            let trigger = harness.client.updater.rebootstrap_at();
            let least = harness.now() + Duration::from_millis(9_980);
            assert!(trigger >= Some(least), "it counts from here");
        }
    }
    assert!(begun_anew.is_some());
    let cluster = harness.metadata.cluster();
    assert!(cluster.version() > before);
    assert_eq!(cluster.partition("t", 0).unwrap().leader, Some(NodeId(7)));
}

#[test]
fn recovery_none_stays_with_the_brokers_it_knows() {
    let mut harness = Harness::up("10.0.0.9:9092");
    harness.selector().is_unreachable = true;
    harness
        .selector()
        .end(NodeId(1), ChannelState::Connected, false);
    harness.run(Duration::from_secs(400));
    assert!(!harness.metadata.cluster().is_bootstrap());
}

#[test]
fn rebootstrap_after_the_trigger_closes_all_connections() {
    let mut harness = Harness::up_with("10.0.0.9:9092", recovering);
    harness.produce_with(1, 1, |request| request.timeout = Duration::from_secs(500));
    harness.poll(Duration::ZERO);
    // The metadata request waits behind the one that is not answered.
    harness.metadata.request_update();
    let before = harness.now();
    while !harness.metadata.cluster().is_bootstrap() {
        harness.poll(Duration::MAX);
        assert!(harness.now() - before < Duration::from_secs(30));
    }
    assert!(harness.metadata.cluster().is_bootstrap());
    let cluster = harness.metadata.cluster();
    let topic = cluster
        .topic("t")
        .expect("what is known stays, without leaders");
    assert!(topic.partitions.iter().all(|it| it.leader.is_none()));
    let Outcome::Disconnected { error, .. } = harness.response().outcome else {
        panic!("still open");
    };
    assert!(
        error
            .to_string()
            .contains("metadata.recovery.rebootstrap.trigger.ms"),
        "{error}"
    );
    harness.run(Duration::from_secs(3));
    let leader = harness.metadata.cluster().partition("t", 0).unwrap().leader;
    assert_eq!(leader, Some(NodeId(1)));
}

#[test]
fn rebootstrap_when_a_broker_asks_for_it() {
    let mut harness = Harness::new("10.0.0.9:9092");
    recovering(&mut harness.client.config);
    harness.client.updater = MetadataUpdater::new(
        Arc::clone(&harness.metadata),
        harness.client.config.metadata_recovery,
        harness.client.config.request_timeout,
    );
    harness.versions = vec![(0, 3, 13), (3, 0, 13), (18, 0, 4)];
    harness.settle();
    assert!(harness.connect(1));
    harness.picture.error_code = 129;
    harness.metadata.request_update();
    harness.time.advance(Duration::from_secs(1));
    harness.poll(Duration::ZERO);
    harness.serve();
    harness.poll(Duration::ZERO);
    assert!(harness.metadata.cluster().is_bootstrap());
    assert!(harness.client.selector.channels.is_empty());
    harness.picture.error_code = 0;
    harness.run(Duration::from_secs(2));
    assert!(!harness.metadata.cluster().is_bootstrap());
}

#[test]
fn rebootstrap_that_just_began_is_given_the_time_for_an_answer_however_short_the_trigger() {
    let mut harness = Harness::up_with("10.0.0.9:9092", |config| {
        config.metadata_recovery = MetadataRecovery::Rebootstrap {
            trigger: Duration::ZERO,
        };
    });
    harness.metadata.request_update();
    harness.time.advance(Duration::from_secs(1));
    harness.poll(Duration::ZERO);
    assert!(
        !harness.metadata.cluster().is_bootstrap(),
        "it was just asked"
    );
    harness.time.advance(Duration::from_secs(1));
    harness.poll(Duration::ZERO);
    assert!(harness.metadata.cluster().is_bootstrap());
    let since = harness.now();
    harness.run(Duration::from_secs(2));
    assert!(!harness.metadata.cluster().is_bootstrap());
    assert!(harness.now() - since < Duration::from_secs(10));
}

#[test]
fn recovery_none_that_is_sent_away_counts_it_as_a_failure_and_stays() {
    let mut harness = Harness::new("10.0.0.9:9092");
    harness.versions = vec![(0, 3, 13), (3, 0, 13), (18, 0, 4)];
    harness.settle();
    harness.picture.error_code = 129;
    harness.metadata.request_update();
    harness.time.advance(Duration::from_secs(1));
    harness.run(Duration::from_secs(3));
    assert!(!harness.metadata.cluster().is_bootstrap());
    let error = harness.metadata.timed_out("unknown", None, Duration::ZERO);
    assert!(
        error.to_string().contains("REBOOTSTRAP_REQUIRED"),
        "{error}"
    );
    harness.picture.error_code = 0;
    harness.run(Duration::from_secs(3));
    let now = harness.now();
    assert!(!harness.client.updater.is_update_due(now));
}

#[test]
fn rebootstrap_trigger_does_not_run_while_metadata_is_not_due() {
    let mut harness = Harness::up_with("10.0.0.9:9092", recovering);
    harness.run(Duration::from_secs(60));
    assert!(!harness.metadata.cluster().is_bootstrap());
    assert_eq!(harness.client.updater.rebootstrap_at(), None);
}
