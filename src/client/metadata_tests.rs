//! Metadata without a network: what is asked, when, what answers change, who is woken.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use super::*;
use crate::client::{Metadata, MetadataTicket, TopicAwait};
use crate::cluster::Uuid;
use crate::network::Wakeup;
use crate::protocol::messages::MetadataPartition;
use crate::time::{MockTime, Time};

const LATEST: i16 = 13;

#[derive(Debug, Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

struct Fixture {
    metadata: Metadata,
    wakeup: Wakeup,
    time: Arc<MockTime>,
    random: Mutex<Random>,
    woken: Arc<Woken>,
}

fn node(id: i32) -> Node {
    Node {
        id: NodeId(id),
        host: Arc::from(format!("host-{id}")),
        port: 9092,
        rack: None,
    }
}

fn topic(name: &str, id: u8, partitions: &[(i32, i32)]) -> MetadataTopic {
    let partitions = (0..).zip(partitions);
    MetadataTopic {
        error_code: 0,
        name: name.into(),
        topic_id: Uuid([id; 16]),
        is_internal: false,
        partitions: partitions
            .map(|(index, &(leader_id, leader_epoch))| MetadataPartition {
                error_code: if leader_id < 0 { 5 } else { 0 },
                index,
                leader_id,
                leader_epoch,
            })
            .collect(),
    }
}

fn failed(name: &str, error_code: i16) -> MetadataTopic {
    MetadataTopic {
        error_code,
        name: name.into(),
        ..MetadataTopic::default()
    }
}

fn answer(topics: Vec<MetadataTopic>) -> MetadataResponse {
    MetadataResponse {
        brokers: vec![node(1), node(2)],
        cluster_id: Some("cluster".into()),
        topics,
        ..MetadataResponse::default()
    }
}

impl Fixture {
    fn new() -> Self {
        let (_, time) = Time::mock();
        let wakeup = Wakeup::new(None);
        let config = MetadataConfig {
            max_age: Duration::from_secs(300),
            max_idle: Duration::from_secs(60),
            retry_backoff: Duration::from_millis(100),
            retry_backoff_max: Duration::from_secs(1),
        };
        Self {
            metadata: Metadata::new(config, vec![node(-1)], wakeup.clone()),
            wakeup,
            time,
            random: Mutex::new(Random::seeded(5)),
            woken: Arc::default(),
        }
    }

    /// With an answer that knows nothing but the nodes.
    fn started() -> Self {
        let fixture = Self::new();
        fixture.take(Vec::new());
        fixture
    }

    /// Somebody uses these topics.
    fn using(topics: Vec<MetadataTopic>) -> Self {
        let fixture = Self::started();
        for topic in &topics {
            fixture.wait_for(&topic.name, &mut MetadataTicket::default());
        }
        fixture.take(topics);
        fixture
    }

    fn now(&self) -> Instant {
        self.time.now()
    }

    fn ask(&self) -> MetadataAsk {
        self.metadata.ask(self.now())
    }

    fn asked(&self) -> Vec<String> {
        let ask = self.ask();
        ask.topics.iter().map(ToString::to_string).collect()
    }

    fn take(&self, topics: Vec<MetadataTopic>) {
        self.take_for(&self.ask(), LATEST, topics);
    }

    fn take_for(&self, ask: &MetadataAsk, version: i16, topics: Vec<MetadataTopic>) {
        let mut random = self.random.lock().unwrap();
        self.metadata
            .update((ask, version), answer(topics), self.now(), &mut random);
    }

    fn fail(&self) {
        let mut random = self.random.lock().unwrap();
        self.metadata.update_failed(self.now(), &mut random);
    }

    fn wait(&self) -> Duration {
        self.metadata.time_to_next_update(self.now())
    }

    fn wait_for(&self, topic: &str, ticket: &mut MetadataTicket) -> TopicAwait {
        self.wait_for_partition(topic, None, ticket)
    }

    fn wait_for_partition(
        &self,
        topic: &str,
        partition: Option<i32>,
        ticket: &mut MetadataTicket,
    ) -> TopicAwait {
        let waker = Waker::from(Arc::clone(&self.woken));
        self.metadata
            .await_topic(topic, partition, ticket, &waker, self.now())
    }

    fn wakes(&self) -> usize {
        self.woken.0.swap(0, Ordering::SeqCst)
    }

    fn leader(&self, topic: &str, partition: i32) -> Option<(Option<i32>, i32)> {
        let info = self.metadata.cluster().partition(topic, partition)?;
        Some((info.leader.map(|leader| leader.0), info.leader_epoch))
    }
}

fn is_pending(state: &TopicAwait) -> bool {
    matches!(state, TopicAwait::Pending)
}

fn error_of(state: TopicAwait) -> Error {
    match state {
        TopicAwait::Failed(error) => error,
        other => panic!("{other:?}"),
    }
}

fn hint(leader_id: i32, leader_epoch: i32) -> LeaderHint {
    LeaderHint {
        leader_id,
        leader_epoch,
    }
}

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
fn invalid_topic_fails_at_once_from_then_on() {
    let fixture = Fixture::started();
    let mut ticket = MetadataTicket::default();
    fixture.wait_for("t", &mut ticket);
    fixture.take(vec![failed("t", 17)]);
    assert_eq!(
        error_of(fixture.wait_for("t", &mut ticket)).kind(),
        ErrorKind::InvalidTopic
    );
    let mut later = MetadataTicket::default();
    assert_eq!(
        error_of(fixture.wait_for("t", &mut later)).kind(),
        ErrorKind::InvalidTopic
    );
    assert!(
        fixture.wait() > Duration::from_secs(1),
        "nothing is asked for it"
    );
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
