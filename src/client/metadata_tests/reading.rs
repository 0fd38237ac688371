//! What readers of the picture see, and from which limits of age and backoff the next request
//! follows.

use super::*;

#[test]
fn picture_has_nodes_topics_and_counts_and_no_topic_that_failed() {
    let fixture = Fixture::started();
    let mut tickets: [MetadataTicket; 4] = Default::default();
    for (name, ticket) in ["a", "b", "invalid", "forbidden"].iter().zip(&mut tickets) {
        fixture.wait_for(name, ticket);
    }
    fixture.take(vec![
        topic("a", 1, &[(1, 1), (2, 1)]),
        topic("b", 2, &[(1, 1), (2, 1), (1, 1)]),
        failed("invalid", 17),
        failed("forbidden", 29),
    ]);
    let cluster = fixture.metadata.cluster();
    assert_eq!(cluster.cluster_id().map(|id| &**id), Some("cluster"));
    assert_eq!(cluster.nodes().len(), 2);
    let count = |name| cluster.topic(name).map(|topic| topic.partitions.len());
    assert_eq!((count("a"), count("b")), (Some(2), Some(3)));
    assert_eq!((count("invalid"), count("forbidden")), (None, None));
    assert!(cluster.partition("a", 2).is_none() && cluster.partition("c", 0).is_none());
}

/// It comes from a broker that has not heard of the newest election, and lacks its leader.
#[test]
fn leader_that_an_older_answer_has_no_node_for_is_none_and_its_epoch_stays() {
    let fixture = Fixture::using(vec![topic("t", 1, &[(1, 10)])]);
    let mut older = answer(vec![topic("t", 1, &[(2, 8)])]);
    older.brokers = vec![node(2)];
    let (ask, mut random) = (fixture.ask(), Random::seeded(1));
    fixture
        .metadata
        .update((&ask, LATEST), older, fixture.now(), &mut random);
    assert_eq!(fixture.leader("t", 0), Some((None, 10)));
    fixture.take(vec![topic("t", 1, &[(1, 10)])]);
    assert_eq!(
        fixture.leader("t", 0),
        Some((Some(1), 10)),
        "its node is back"
    );
}

#[test]
fn leader_hint_for_one_partition_leaves_the_others_alone() {
    let fixture = Fixture::using(vec![
        topic("t", 1, &[(1, 1), (1, 1)]),
        topic("u", 2, &[(1, 1)]),
    ]);
    let is_taken = fixture
        .metadata
        .update_leader("t", 1, hint(2, 3), &[node(1)]);
    assert!(is_taken);
    assert_eq!(fixture.leader("t", 0), Some((Some(1), 1)));
    assert_eq!(fixture.leader("t", 1), Some((Some(2), 3)));
    assert_eq!(fixture.leader("u", 0), Some((Some(1), 1)));
    assert_eq!(
        fixture
            .metadata
            .cluster()
            .topic("t")
            .unwrap()
            .partitions
            .len(),
        2
    );
}

/// Whoever holds a picture has all of it: counts, nodes and epochs of one answer.
#[test]
fn readers_see_whole_pictures_in_their_order_while_answers_come() {
    const ANSWERS: i32 = 300;
    let fixture = Fixture::using(vec![topic("a", 1, &[(1, 1)]), topic("b", 2, &[(1, 1)])]);
    let metadata = &fixture.metadata;
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(move || {
                let (mut last_version, mut last_epoch) = (0, 0);
                while last_epoch < ANSWERS {
                    let cluster = metadata.cluster();
                    let epoch = |name| cluster.partition(name, 0).map_or(-1, |it| it.leader_epoch);
                    assert_eq!(epoch("a"), epoch("b"), "of one answer");
                    assert!(cluster.version() >= last_version && epoch("a") >= last_epoch);
                    (last_version, last_epoch) = (cluster.version(), epoch("a"));
                    std::thread::yield_now();
                }
            });
        }
        for epoch in 2..=ANSWERS {
            fixture.take(vec![
                topic("a", 1, &[(1, epoch)]),
                topic("b", 2, &[(2, epoch)]),
            ]);
        }
    });
}

#[test]
fn answer_after_the_close_brings_no_wait_back() {
    let fixture = Fixture::started();
    let mut ticket = MetadataTicket::default();
    fixture.wait_for("t", &mut ticket);
    let ask = fixture.ask();
    fixture.metadata.close();
    assert_eq!(fixture.wakes(), 1);
    fixture.take_for(&ask, LATEST, vec![topic("t", 1, &[(1, 1)])]);
    assert_eq!(fixture.wakes(), 0, "it was told already");
    let error = error_of(fixture.wait_for("u", &mut MetadataTicket::default()));
    assert_eq!(error.kind(), ErrorKind::Closed);
}

/// Age makes a request due, a backoff holds it up: the later of the two counts.
#[test]
fn next_update_is_when_both_age_and_backoff_are_over() {
    for (max_age_ms, backoff_ms) in [(1000, 100), (100, 1000), (0, 0), (100, 0), (0, 100)] {
        let ms = Duration::from_millis;
        let mut fixture = Fixture::new();
        let config = MetadataConfig {
            max_age: ms(max_age_ms),
            max_idle: Duration::from_secs(60),
            retry_backoff: ms(backoff_ms),
            retry_backoff_max: ms(backoff_ms),
        };
        fixture.metadata = Metadata::new(config, vec![node(-1)], fixture.wakeup.clone());
        assert_eq!(fixture.wait(), Duration::ZERO, "nothing is known yet");
        fixture.take(Vec::new());
        let later = ms(max_age_ms.max(backoff_ms));
        assert_eq!(fixture.wait(), later, "{max_age_ms} {backoff_ms}");
        fixture.fail();
        let wait = fixture.wait();
        let (least, most) = (ms(backoff_ms * 8 / 10), ms(backoff_ms).max(ms(max_age_ms)));
        assert!(
            wait >= least && wait <= most,
            "{wait:?} {max_age_ms} {backoff_ms}"
        );
        fixture.metadata.request_update();
        let wait = fixture.wait();
        assert!(
            wait >= least && wait <= ms(backoff_ms),
            "a wish waits too: {wait:?}"
        );
        fixture.time.advance(most);
        assert_eq!(fixture.wait(), Duration::ZERO);
    }
}
