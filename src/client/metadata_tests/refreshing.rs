//! When metadata is asked for, about which topics, and what an answer settles.

use super::*;

#[test]
fn new_metadata_is_a_bootstrap_picture_and_due_at_once() {
    let fixture = Fixture::new();
    let cluster = fixture.metadata.cluster();
    assert!(cluster.is_bootstrap() && cluster.version() == 0);
    assert_eq!(fixture.wait(), Duration::ZERO);
    fixture.take(Vec::new());
    let cluster = fixture.metadata.cluster();
    assert!(!cluster.is_bootstrap() && cluster.version() == 1);
    assert_eq!(cluster.cluster_id().map(|id| &**id), Some("cluster"));
    assert_eq!(fixture.wait(), Duration::from_secs(300));
}

#[test]
fn known_topic_is_ready_without_waking_or_waiting() {
    let fixture = Fixture::using(vec![topic("t", 1, &[(1, 5), (2, 5)])]);
    fixture.wakeup.end_sleep();
    let mut ticket = MetadataTicket::default();
    for partition in [None, Some(0), Some(1)] {
        let state = fixture.wait_for_partition("t", partition, &mut ticket);
        assert!(matches!(state, TopicAwait::Ready(_)), "{partition:?}");
    }
    assert!(fixture.wakeup.begin_sleep(), "the Sender was not woken");
    assert_eq!(fixture.wait(), Duration::from_secs(300));
}

#[test]
fn new_topic_is_asked_for_at_once_alone_and_wakes_the_sender() {
    let fixture = Fixture::using(vec![topic("old", 1, &[(1, 5)])]);
    assert!(fixture.wait() > Duration::ZERO);
    fixture.wakeup.end_sleep();
    let mut ticket = MetadataTicket::default();
    assert!(is_pending(&fixture.wait_for("t", &mut ticket)));
    assert!(!fixture.wakeup.begin_sleep(), "the Sender is woken");
    assert_eq!(fixture.wait(), Duration::ZERO);
    assert_eq!(fixture.asked(), ["t"]);
    assert!(is_pending(&fixture.wait_for("t", &mut ticket)));
    assert_eq!(fixture.wakes(), 0);
    fixture.take(vec![topic("t", 2, &[(2, 1)])]);
    assert_eq!(fixture.wakes(), 1);
    assert!(matches!(
        fixture.wait_for("t", &mut ticket),
        TopicAwait::Ready(_)
    ));
    assert_eq!(fixture.leader("old", 0), Some((Some(1), 5)), "kept");
    assert!(
        fixture.wait() > Duration::from_secs(290),
        "a partial answer does not renew the age"
    );
}

#[test]
fn partial_answer_does_not_meet_a_topic_that_came_later() {
    let fixture = Fixture::started();
    let (mut first, mut second) = (MetadataTicket::default(), MetadataTicket::default());
    fixture.wait_for("a", &mut first);
    let ask = fixture.ask();
    fixture.wait_for("b", &mut second);
    fixture.take_for(&ask, LATEST, vec![topic("a", 1, &[(1, 1)])]);
    assert!(matches!(
        fixture.wait_for("a", &mut first),
        TopicAwait::Ready(_)
    ));
    assert!(is_pending(&fixture.wait_for("b", &mut second)));
    assert_eq!(fixture.asked(), ["b"]);
    assert!(fixture.wait() <= Duration::from_millis(120));
}

#[test]
fn full_answer_does_not_meet_a_wish_that_came_later() {
    let fixture = Fixture::started();
    fixture.metadata.request_update();
    let ask = fixture.ask();
    fixture.metadata.request_update();
    fixture.take_for(&ask, LATEST, Vec::new());
    assert!(fixture.wait() <= Duration::from_millis(300), "asked again");
    fixture.take(Vec::new());
    assert!(fixture.wait() > Duration::from_secs(200));
}

#[test]
fn full_answer_replaces_and_partial_answer_keeps() {
    let fixture = Fixture::using(vec![topic("a", 1, &[(1, 1)]), topic("b", 2, &[(2, 1)])]);
    fixture.metadata.request_update();
    assert_eq!(fixture.asked(), ["a", "b"]);
    fixture.take(vec![topic("a", 1, &[(2, 2)])]);
    assert_eq!(fixture.leader("a", 0), Some((Some(2), 2)));
    assert_eq!(fixture.leader("b", 0), None);
}

#[test]
fn topic_of_nobody_is_not_taken() {
    let fixture = Fixture::started();
    fixture.take(vec![topic("stranger", 1, &[(1, 1)])]);
    assert!(fixture.metadata.cluster().topic("stranger").is_none());
}

#[test]
fn request_that_failed_backs_off_further_each_time() {
    let fixture = Fixture::started();
    fixture.metadata.request_update();
    for expected in [100, 200, 400, 800, 1000, 1000] {
        fixture.fail();
        let wait = fixture.wait().as_millis();
        assert!(
            (expected * 8 / 10..=expected * 12 / 10).contains(&wait),
            "{wait} {expected}"
        );
        fixture.time.advance(fixture.wait());
        assert_eq!(fixture.wait(), Duration::ZERO);
    }
    fixture.take(Vec::new());
    fixture.metadata.request_update();
    assert!(fixture.wait() <= Duration::from_millis(120));
}

#[test]
fn answers_without_news_back_off_like_failures_and_news_end_that() {
    let fixture = Fixture::using(vec![topic("t", 1, &[(1, 5)])]);
    let mut waits = Vec::new();
    for _ in 0..5 {
        fixture.metadata.request_update();
        fixture.time.advance(fixture.wait());
        fixture.take(vec![topic("t", 1, &[(1, 5)])]);
        fixture.metadata.request_update();
        waits.push(fixture.wait().as_millis());
    }
    for (wait, expected) in waits.iter().zip([100, 200, 400, 800, 1000]) {
        assert!(
            (expected * 8 / 10..=expected * 12 / 10).contains(wait),
            "{waits:?}"
        );
    }
    fixture.time.advance(Duration::from_secs(2));
    fixture.take(vec![topic("t", 1, &[(2, 6)])]);
    fixture.metadata.request_update();
    assert!(
        fixture.wait() <= Duration::from_millis(120),
        "a newer epoch is news"
    );
}

#[test]
fn answers_without_news_are_apart_although_there_is_no_backoff() {
    let fixture = Fixture::with_backoff((Duration::ZERO, Duration::ZERO));
    for _ in 0..3 {
        fixture.take(Vec::new());
        fixture.metadata.request_update();
    }
    assert_eq!(fixture.wait(), Duration::from_millis(10));
}

#[test]
fn new_topic_does_not_wait_for_the_backoff_of_others() {
    let fixture = Fixture::started();
    fixture.metadata.request_update();
    for _ in 0..5 {
        fixture.fail();
    }
    assert!(fixture.wait() > Duration::ZERO);
    let mut ticket = MetadataTicket::default();
    fixture.wait_for("new", &mut ticket);
    assert_eq!(fixture.wait(), Duration::ZERO);
    fixture.fail();
    let mut another = MetadataTicket::default();
    fixture.wait_for("new", &mut another);
    assert!(fixture.wait() > Duration::ZERO, "but for its own");
}

#[test]
fn age_makes_a_full_request_due() {
    let fixture = Fixture::using(vec![topic("a", 1, &[(1, 1)])]);
    let keeps = Arc::clone(&fixture.metadata.cluster().topic("a").unwrap().name);
    fixture.time.advance(Duration::from_secs(299));
    fixture.metadata.touch(&keeps, fixture.now());
    assert!(fixture.wait() <= Duration::from_secs(1) && !fixture.wait().is_zero());
    fixture.time.advance(Duration::from_secs(1));
    assert_eq!(fixture.wait(), Duration::ZERO);
    let mut ticket = MetadataTicket::default();
    fixture.wait_for("new", &mut ticket);
    assert_eq!(fixture.asked(), ["a", "new"], "old enough for a full one");
}
