//! Who waits for a topic, for how long, and how a wait ends.

use super::*;

#[test]
fn unknown_topic_is_waited_for_and_asked_for_again() {
    let fixture = Fixture::started();
    let mut ticket = MetadataTicket::default();
    fixture.wait_for("t", &mut ticket);
    for code in [3, 5, 3] {
        fixture.take(vec![failed("t", code)]);
        assert!(is_pending(&fixture.wait_for("t", &mut ticket)), "{code}");
        assert!(fixture.wait() <= Duration::from_millis(1200), "{code}");
        fixture.time.advance(fixture.wait());
        assert_eq!(fixture.asked(), ["t"]);
    }
    assert_eq!(fixture.wakes(), 0);
    let error = fixture
        .metadata
        .timed_out("t", None, Duration::from_secs(60));
    let text = error.to_string();
    for part in [
        "topic t",
        "60000 ms",
        "max.block.ms",
        "UNKNOWN_TOPIC_OR_PARTITION",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let source = std::error::Error::source(&error).unwrap();
    let source = source.downcast_ref::<Error>().unwrap();
    assert_eq!(source.kind(), ErrorKind::UnknownTopicOrPartition);
    fixture.take(vec![topic("t", 1, &[(1, 0)])]);
    assert!(matches!(
        fixture.wait_for("t", &mut ticket),
        TopicAwait::Ready(_)
    ));
}

#[test]
fn topic_without_partitions_is_not_there_yet() {
    let fixture = Fixture::started();
    let mut ticket = MetadataTicket::default();
    fixture.wait_for("t", &mut ticket);
    fixture.take(vec![topic("t", 1, &[])]);
    assert!(is_pending(&fixture.wait_for("t", &mut ticket)));
    assert!(
        fixture.wait() <= Duration::from_millis(120),
        "somebody waits"
    );
}

#[test]
fn unauthorized_topic_fails_every_waiter_of_it_and_nobody_else() {
    let fixture = Fixture::started();
    let mut tickets: [MetadataTicket; 3] = Default::default();
    let mut other = MetadataTicket::default();
    for ticket in &mut tickets {
        fixture.wait_for("t", ticket);
    }
    fixture.wait_for("other", &mut other);
    fixture.take(vec![failed("t", 29), failed("other", 3)]);
    assert_eq!(fixture.wakes(), 3);
    for ticket in &mut tickets {
        let error = error_of(fixture.wait_for("t", ticket));
        assert_eq!(error.kind(), ErrorKind::TopicAuthorization);
        assert!(error.to_string().contains("topic t"), "{error}");
    }
    assert!(is_pending(&fixture.wait_for("other", &mut other)));
    // Rights may have been given since: a later waiter asks for itself.
    let mut later = MetadataTicket::default();
    assert!(is_pending(&fixture.wait_for("t", &mut later)));
    fixture.take(vec![topic("t", 1, &[(1, 1)]), failed("other", 3)]);
    assert!(matches!(
        fixture.wait_for("t", &mut later),
        TopicAwait::Ready(_)
    ));
}

#[test]
fn invalid_topic_fails_the_waits_of_now_and_is_asked_for_again_by_later_ones() {
    let fixture = Fixture::started();
    let mut ticket = MetadataTicket::default();
    fixture.wait_for("t", &mut ticket);
    fixture.take(vec![failed("t", 17)]);
    assert_eq!(
        error_of(fixture.wait_for("t", &mut ticket)).kind(),
        ErrorKind::InvalidTopic
    );
    assert!(
        fixture.wait() > Duration::from_secs(1),
        "nothing is asked for it while nobody waits"
    );
    let mut later = MetadataTicket::default();
    assert!(is_pending(&fixture.wait_for("t", &mut later)));
    fixture.take(vec![topic("t", 1, &[(1, 1)])]);
    assert!(matches!(
        fixture.wait_for("t", &mut later),
        TopicAwait::Ready(_)
    ));
}

#[test]
fn partition_beyond_the_count_is_asked_for_until_it_is_there() {
    let fixture = Fixture::using(vec![topic("t", 1, &[(1, 5)])]);
    let mut ticket = MetadataTicket::default();
    assert!(is_pending(&fixture.wait_for_partition(
        "t",
        Some(1),
        &mut ticket
    )));
    for _ in 0..3 {
        fixture.time.advance(fixture.wait());
        assert!(fixture.wait().is_zero());
        fixture.take(vec![topic("t", 1, &[(1, 5)])]);
        assert!(fixture.wait() <= Duration::from_millis(1200));
    }
    let text = fixture
        .metadata
        .timed_out("t", Some(1), Duration::from_millis(77))
        .to_string();
    assert!(
        text.contains("partition 1 of topic t with 1 partitions"),
        "{text}"
    );
    assert!(text.contains("77 ms"), "{text}");
    fixture.take(vec![topic("t", 1, &[(1, 5), (2, 0)])]);
    assert_eq!(fixture.wakes(), 1);
    let state = fixture.wait_for_partition("t", Some(1), &mut ticket);
    assert!(matches!(state, TopicAwait::Ready(_)));
    drop(ticket);
    fixture.take(vec![topic("t", 1, &[(1, 5), (2, 0)])]);
    assert!(
        fixture.wait() > Duration::from_secs(200),
        "nobody waits any more"
    );
}

#[test]
fn ticket_leaves_no_entry_when_ready_or_dropped() {
    let fixture = Fixture::started();
    let count = || fixture.metadata.waiter_count();
    let (mut first, mut second) = (MetadataTicket::default(), MetadataTicket::default());
    fixture.wait_for("t", &mut first);
    fixture.wait_for("t", &mut second);
    assert_eq!(count(), 2);
    drop(first);
    assert_eq!(count(), 1);
    fixture.take(vec![topic("t", 1, &[(1, 1)])]);
    assert_eq!(fixture.wakes(), 1, "who left is not woken");
    fixture.wait_for("t", &mut second);
    assert_eq!(count(), 0);
}

#[test]
fn close_fails_waits_of_now_and_later() {
    let fixture = Fixture::started();
    let mut ticket = MetadataTicket::default();
    fixture.wait_for("t", &mut ticket);
    fixture.metadata.close();
    assert_eq!(fixture.wakes(), 1);
    assert_eq!(
        error_of(fixture.wait_for("t", &mut ticket)).kind(),
        ErrorKind::Closed
    );
    let mut later = MetadataTicket::default();
    assert_eq!(
        error_of(fixture.wait_for("u", &mut later)).kind(),
        ErrorKind::Closed
    );
}

#[test]
fn topic_that_is_not_used_is_forgotten_with_its_epochs() {
    let fixture = Fixture::using(vec![
        topic("idle", 1, &[(1, 9)]),
        topic("used", 2, &[(1, 9)]),
    ]);
    let used = Arc::clone(&fixture.metadata.cluster().topic("used").unwrap().name);
    fixture.time.advance(Duration::from_secs(59));
    fixture.metadata.touch(&used, fixture.now());
    fixture.time.advance(Duration::from_secs(1));
    fixture.take(vec![
        topic("idle", 1, &[(1, 9)]),
        topic("used", 2, &[(1, 9)]),
    ]);
    assert!(fixture.metadata.cluster().topic("idle").is_none());
    assert!(fixture.metadata.cluster().topic("used").is_some());
    // Used again it is asked for again, and an older epoch is as good as any.
    let mut ticket = MetadataTicket::default();
    assert!(is_pending(&fixture.wait_for("idle", &mut ticket)));
    assert_eq!(fixture.asked(), ["idle"]);
    fixture.take(vec![topic("idle", 1, &[(2, 3)])]);
    assert_eq!(fixture.leader("idle", 0), Some((Some(2), 3)));
}

#[test]
fn topic_with_records_that_wait_to_be_sent_is_not_forgotten_whenever_it_was_used_last() {
    let known = || vec![topic("queued", 1, &[(1, 9)]), topic("idle", 2, &[(1, 9)])];
    let fixture = Fixture::using(known());
    fixture
        .metadata
        .ask_before_forgetting(|topic| topic == "queued");
    fixture.time.advance(Duration::from_secs(61));
    fixture.take(known());
    assert!(fixture.metadata.cluster().topic("queued").is_some());
    assert!(fixture.metadata.cluster().topic("idle").is_none());
}

#[test]
fn topic_somebody_waits_for_does_not_expire() {
    let fixture = Fixture::started();
    let mut ticket = MetadataTicket::default();
    fixture.wait_for("t", &mut ticket);
    for _ in 0..5 {
        fixture.take(vec![failed("t", 3)]);
        fixture.time.advance(Duration::from_secs(50));
    }
    assert_eq!(fixture.asked(), ["t"]);
}

#[test]
fn touch_of_a_forgotten_topic_asks_for_it() {
    let fixture = Fixture::started();
    fixture.metadata.touch(&Arc::from("t"), fixture.now());
    assert_eq!(fixture.wait(), Duration::ZERO);
    assert_eq!(fixture.asked(), ["t"]);
}
