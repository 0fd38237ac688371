//! What an answer makes of the picture of the cluster.

use super::*;

#[test]
fn older_leader_epoch_is_not_taken() {
    let fixture = Fixture::using(vec![topic("t", 1, &[(1, 10), (2, 10)])]);
    fixture.take(vec![topic("t", 1, &[(2, 9), (1, 10)])]);
    assert_eq!(fixture.leader("t", 0), Some((Some(1), 10)), "older: kept");
    assert_eq!(fixture.leader("t", 1), Some((Some(1), 10)), "equal: taken");
    fixture.take(vec![topic("t", 1, &[(2, 11), (-1, -1)])]);
    assert_eq!(fixture.leader("t", 0), Some((Some(2), 11)));
    assert_eq!(
        fixture.leader("t", 1),
        Some((None, 10)),
        "leaderless, its epoch is remembered"
    );
    fixture.take(vec![topic("t", 1, &[(2, 11), (2, 9)])]);
    assert_eq!(fixture.leader("t", 1), Some((None, 10)));
}

#[test]
fn older_epoch_is_not_taken_after_the_topic_was_missing_for_a_while() {
    let fixture = Fixture::using(vec![topic("t", 1, &[(1, 10)])]);
    fixture.take(vec![failed("t", 3)]);
    assert_eq!(fixture.leader("t", 0), None);
    fixture.take(vec![topic("t", 1, &[(2, 9)])]);
    assert_eq!(fixture.leader("t", 0), Some((None, 10)));
    fixture.take(vec![topic("t", 1, &[(2, 10)])]);
    assert_eq!(fixture.leader("t", 0), Some((Some(2), 10)));
}

#[test]
fn topic_without_an_id_that_was_missing_begins_with_any_epoch() {
    let fixture = Fixture::using(vec![topic("t", 0, &[(1, 10)])]);
    fixture.take(vec![topic("t", 0, &[(2, 9)])]);
    assert_eq!(
        fixture.leader("t", 0),
        Some((Some(1), 10)),
        "it was never missing"
    );
    fixture.take(vec![failed("t", 3)]);
    fixture.take(vec![topic("t", 0, &[(2, 0)])]);
    assert_eq!(fixture.leader("t", 0), Some((Some(2), 0)));
}

#[test]
fn touch_during_a_request_is_not_met_by_its_answer() {
    let fixture = Fixture::started();
    fixture.wait_for("a", &mut MetadataTicket::default());
    let ask = fixture.ask();
    fixture.metadata.touch(&Arc::from("b"), fixture.now());
    fixture.take_for(&ask, LATEST, vec![topic("a", 1, &[(1, 1)])]);
    assert!(fixture.wait() <= Duration::from_millis(120));
    assert_eq!(fixture.asked(), ["b"]);
}

#[test]
fn re_created_topic_begins_with_any_epoch() {
    let fixture = Fixture::using(vec![topic("t", 1, &[(1, 10), (1, 10)])]);
    fixture.take(vec![topic("t", 9, &[(2, 0)])]);
    assert_eq!(fixture.leader("t", 0), Some((Some(2), 0)));
    assert_eq!(fixture.leader("t", 1), None);
    assert_eq!(
        fixture.metadata.cluster().topic("t").unwrap().id,
        Uuid([9; 16])
    );
}

#[test]
fn topic_id_that_is_missing_for_a_while_changes_nothing() {
    let fixture = Fixture::using(vec![topic("t", 1, &[(1, 10)])]);
    fixture.take(vec![topic("t", 0, &[(1, 10)])]);
    assert!(fixture.metadata.cluster().topic("t").unwrap().id.is_zero());
    fixture.take(vec![topic("t", 1, &[(2, 9)])]);
    assert_eq!(fixture.leader("t", 0), Some((Some(1), 10)));
}

#[test]
fn epochs_of_old_brokers_are_not_trusted() {
    let fixture = Fixture::using(vec![topic("t", 0, &[(1, 10)])]);
    fixture.take_for(&fixture.ask(), 8, vec![topic("t", 0, &[(2, 3)])]);
    assert_eq!(fixture.leader("t", 0), Some((Some(2), -1)));
}

/// Their leaders have no epochs; that these stay as they were is no news for all that.
#[test]
fn old_brokers_are_asked_for_a_missing_topic_with_pauses_that_grow() {
    let fixture = Fixture::using(vec![topic("t", 0, &[(1, 10)])]);
    fixture.wait_for("missing", &mut MetadataTicket::default());
    for longest in [120, 240, 480] {
        let topics = vec![topic("t", 0, &[(1, 10)]), failed("missing", 3)];
        fixture.take_for(&fixture.ask(), 8, topics);
        let pause = fixture.wait();
        let shortest = Duration::from_millis(longest * 2 / 3);
        assert!(pause >= shortest && pause <= Duration::from_millis(longest));
    }
    fixture.take_for(&fixture.ask(), 8, vec![topic("t", 0, &[(2, 3)])]);
    assert_eq!(fixture.leader("t", 0), Some((Some(2), -1)), "that is news");
}

#[test]
fn passing_error_keeps_what_is_known() {
    let fixture = Fixture::using(vec![topic("t", 1, &[(1, 10)])]);
    fixture.take(vec![failed("t", 5)]);
    assert_eq!(fixture.leader("t", 0), Some((Some(1), 10)));
    assert!(fixture.wait() <= Duration::from_millis(120), "asked again");
}

#[test]
fn leader_that_is_no_node_is_none() {
    let fixture = Fixture::using(vec![topic("a", 1, &[(1, 1)]), topic("b", 2, &[(7, 1)])]);
    assert_eq!(fixture.leader("b", 0), Some((None, 1)));
    fixture.wait_for("c", &mut MetadataTicket::default());
    let mut response = answer(vec![topic("c", 3, &[(2, 1)])]);
    response.brokers = vec![node(2)];
    let ask = fixture.ask();
    let mut random = Random::seeded(1);
    fixture
        .metadata
        .update((&ask, LATEST), response, fixture.now(), &mut random);
    assert_eq!(fixture.leader("a", 0), Some((None, 1)), "kept topics too");
    assert_eq!(fixture.leader("c", 0), Some((Some(2), 1)));
}

#[test]
fn partition_numbers_that_cannot_be_are_left_out() {
    let fixture = Fixture::started();
    fixture.wait_for("t", &mut MetadataTicket::default());
    let mut odd = topic("t", 1, &[(1, 1), (1, 1), (1, 1)]);
    odd.partitions[1].index = i32::MAX;
    odd.partitions[2].index = -1;
    fixture.take(vec![odd]);
    assert_eq!(
        fixture
            .metadata
            .cluster()
            .topic("t")
            .unwrap()
            .partitions
            .len(),
        3
    );
    assert_eq!(fixture.leader("t", 0), Some((Some(1), 1)));
    assert_eq!(fixture.leader("t", 1), Some((None, -1)));
}

#[test]
fn leader_hint_is_taken_if_newer_complete_and_known() {
    let fixture = Fixture::using(vec![topic("t", 1, &[(1, 10)])]);
    let version = fixture.metadata.cluster().version();
    let take = |leader_id, epoch, endpoints: &[Node]| {
        fixture
            .metadata
            .update_leader("t", 0, hint(leader_id, epoch), endpoints)
    };
    assert!(!take(2, 10, &[]), "not newer");
    assert!(!take(2, -1, &[]) && !take(-1, 11, &[]), "not complete");
    assert!(!take(3, 11, &[node(4)]), "where is it?");
    let update = |topic: &str, partition| {
        fixture
            .metadata
            .update_leader(topic, partition, hint(2, 11), &[])
    };
    assert!(!update("u", 0) && !update("t", 1) && !update("t", -1));
    assert_eq!(fixture.metadata.cluster().version(), version);
    assert!(take(2, 11, &[]));
    assert_eq!(fixture.leader("t", 0), Some((Some(2), 11)));
    assert!(take(3, 12, &[node(3)]));
    let cluster = fixture.metadata.cluster();
    assert_eq!(cluster.node(NodeId(3)), Some(&node(3)));
    assert_eq!((cluster.nodes().len(), cluster.version()), (3, version + 2));
    assert_eq!(cluster.topic("t").unwrap().id, Uuid([1; 16]));
    // Metadata that is older than the hint does not undo it.
    let mut response = answer(vec![topic("t", 1, &[(1, 11)])]);
    response.brokers.push(node(3));
    let ask = fixture.ask();
    let mut random = Random::seeded(1);
    fixture
        .metadata
        .update((&ask, LATEST), response, fixture.now(), &mut random);
    assert_eq!(fixture.leader("t", 0), Some((Some(3), 12)));
}

#[test]
fn rebootstrap_keeps_topics_and_trusts_epochs_of_known_ids_only() {
    let fixture = Fixture::using(vec![
        topic("with", 1, &[(1, 10)]),
        topic("without", 0, &[(1, 10)]),
    ]);
    let before = fixture.metadata.cluster().version();
    fixture.metadata.rebootstrap();
    let cluster = fixture.metadata.cluster();
    assert!(cluster.is_bootstrap() && cluster.version() > before);
    assert_eq!(
        cluster.nodes().map(|node| node.id).collect::<Vec<_>>(),
        [NodeId(-1)]
    );
    assert_eq!(fixture.leader("with", 0), Some((None, 10)));
    assert_eq!(fixture.wait(), Duration::ZERO);
    let version = cluster.version();
    fixture.metadata.rebootstrap();
    assert_eq!(
        fixture.metadata.cluster().version(),
        version,
        "it has begun again already"
    );
    assert_eq!(fixture.asked(), ["with", "without"]);
    fixture.take(vec![
        topic("with", 1, &[(2, 9)]),
        topic("without", 0, &[(2, 1)]),
    ]);
    assert_eq!(
        fixture.leader("with", 0),
        Some((None, 10)),
        "the same topic: an older answer"
    );
    assert_eq!(
        fixture.leader("without", 0),
        Some((Some(2), 1)),
        "cannot be told: taken"
    );
}

#[test]
fn version_grows_with_every_picture() {
    let fixture = Fixture::using(vec![topic("t", 1, &[(1, 1)])]);
    let mut last = fixture.metadata.cluster().version();
    for step in 0..6 {
        match step % 3 {
            0 => fixture.take(vec![topic("t", 1, &[(1, step + 2)])]),
            1 => assert!(
                fixture
                    .metadata
                    .update_leader("t", 0, hint(2, 100 + step), &[])
            ),
            _ => fixture.metadata.rebootstrap(),
        }
        let version = fixture.metadata.cluster().version();
        assert!(version > last, "{step}");
        last = version;
    }
}

#[test]
fn timed_out_without_any_broker_says_why() {
    let fixture = Fixture::new();
    let bare = fixture
        .metadata
        .timed_out("t", None, Duration::from_secs(1))
        .to_string();
    assert!(bare.contains("max.block.ms"), "{bare}");
    let why = Error::new(
        ErrorKind::Network,
        "could not resolve host--1:9092: no such host",
    );
    fixture.metadata.note_failure(why);
    let error = fixture
        .metadata
        .timed_out("t", None, Duration::from_secs(1));
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let text = error.to_string();
    for part in [
        "host--1:9092",
        "no such host",
        "bootstrap.servers",
        "1000 ms",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert!(std::error::Error::source(&error).is_some());
    fixture.take(Vec::new());
    let text = fixture
        .metadata
        .timed_out("t", None, Duration::from_secs(1))
        .to_string();
    assert!(
        !text.contains("no such host"),
        "a broker answered since: {text}"
    );
}
