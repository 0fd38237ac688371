//! Metadata without a network: what is asked, when, what answers change, who is woken.

mod pictures;
#[cfg(feature = "planted")]
mod planted;
mod reading;
mod refreshing;
mod waiting;

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
        Self::with_backoff((Duration::from_millis(100), Duration::from_secs(1)))
    }

    fn with_backoff((retry_backoff, retry_backoff_max): (Duration, Duration)) -> Self {
        let (_, time) = Time::mock();
        let wakeup = Wakeup::new(None);
        let config = MetadataConfig {
            max_age: Duration::from_secs(300),
            max_idle: Duration::from_secs(60),
            retry_backoff,
            retry_backoff_max,
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
