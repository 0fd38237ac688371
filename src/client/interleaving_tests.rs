//! The metadata monitor: waits for topics against answers, close, and waits that are given up.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use super::{Metadata, MetadataConfig, MetadataTicket, TopicAwait};
use crate::cluster::{Node, NodeId, Uuid};
use crate::error::ErrorKind;
use crate::interleaving::{EXHAUSTIVE, Model, Poller, Thread, spawn, wait_until};
use crate::protocol::messages::{MetadataPartition, MetadataResponse, MetadataTopic};
use crate::random::Random;
use crate::time::{MockTime, Time};

pub(crate) const MODELS: &[Model] = &[
    Model {
        name: "metadata",
        property: "whoever waits for a topic gets it: the Sender is woken to ask, and the answer \
                   wakes who waits, although others give up",
        run: every_wait_for_a_topic_ends_with_the_topic,
        preemptions: Some(2),
        percent: 50,
    },
    Model {
        name: "metadata_close",
        property: "closing ends every wait for a topic, with the topic or with Closed, and no \
                   waiter is left",
        run: close_ends_every_wait,
        preemptions: Some(2),
        percent: 50,
    },
];

fn node() -> Node {
    Node {
        id: NodeId(1),
        host: "localhost".into(),
        port: 9092,
        rack: None,
    }
}

/// What a broker says when it is asked for these.
fn answer(topics: &[Arc<str>]) -> MetadataResponse {
    let topic = |name: &Arc<str>| MetadataTopic {
        name: (**name).into(),
        topic_id: Uuid([1; 16]),
        partitions: vec![MetadataPartition {
            leader_id: 1,
            ..MetadataPartition::default()
        }],
        ..MetadataTopic::default()
    };
    MetadataResponse {
        brokers: vec![node()],
        topics: topics.iter().map(topic).collect(),
        ..MetadataResponse::default()
    }
}

struct Bench {
    metadata: Arc<Metadata>,
    clock: Arc<MockTime>,
    poller: Poller,
}

impl Bench {
    /// Knows the nodes and no topic.
    fn new() -> Self {
        let (_, clock) = Time::mock();
        let poller = Poller::new(Arc::clone(&clock));
        let config = MetadataConfig {
            max_age: Duration::from_secs(300),
            max_idle: Duration::from_secs(300),
            retry_backoff: Duration::ZERO,
            retry_backoff_max: Duration::ZERO,
        };
        let metadata = Arc::new(Metadata::new(config, vec![node()], poller.wakeup()));
        let bench = Self {
            metadata,
            clock,
            poller,
        };
        bench.take_answer();
        bench
    }

    fn take_answer(&self) {
        let now = self.clock.now();
        let ask = self.metadata.ask(now);
        let response = answer(&ask.topics);
        self.metadata
            .update((&ask, 12), response, now, &mut Random::seeded(1));
    }

    /// A thread that waits for the topic; whether it got it and was not told of the close.
    fn waits_for(&self, topic: &'static str) -> Thread<bool> {
        let (metadata, now, busy) = (
            Arc::clone(&self.metadata),
            self.clock.now(),
            self.poller.busy(),
        );
        spawn(move || {
            let _busy = busy;
            let mut ticket = MetadataTicket::default();
            let mut got = false;
            wait_until(|waker| {
                match metadata.await_topic(topic, Some(0), &mut ticket, waker, now) {
                    TopicAwait::Ready(cluster) => {
                        got = true;
                        assert!(cluster.topic(topic).is_some());
                        true
                    }
                    TopicAwait::Pending => false,
                    TopicAwait::Failed(error) => {
                        assert_eq!(error.kind(), ErrorKind::Closed);
                        true
                    }
                }
            });
            got
        })
    }

    /// A thread whose `max.block.ms` is over at once.
    fn gives_up(&self, topic: &'static str) -> Thread<bool> {
        let (metadata, now, busy) = (
            Arc::clone(&self.metadata),
            self.clock.now(),
            self.poller.busy(),
        );
        spawn(move || {
            let _busy = busy;
            let mut ticket = MetadataTicket::default();
            let noop = Waker::noop();
            let first = metadata.await_topic(topic, Some(0), &mut ticket, noop, now);
            matches!(first, TopicAwait::Ready(_))
        })
    }

    /// The Sender's part: asks when something is due, sleeps when nothing is.
    fn serve(&mut self) {
        while !self.poller.is_alone() {
            let wait = self.metadata.time_to_next_update(self.clock.now());
            if wait.is_zero() {
                self.take_answer();
            } else {
                self.poller.sleep(Some(wait));
            }
        }
    }
}

fn every_wait_for_a_topic_ends_with_the_topic() {
    let mut bench = Bench::new();
    let mut patient = vec![bench.waits_for("one")];
    let impatient = bench.gives_up("one");
    if !EXHAUSTIVE {
        patient.push(bench.waits_for("two"));
        patient.push(bench.waits_for("one"));
    }
    bench.serve();
    assert!(patient.into_iter().all(|thread| thread.join()));
    impatient.join();
    assert_eq!(bench.metadata.waiter_count(), 0);
}

fn close_ends_every_wait() {
    let mut bench = Bench::new();
    let mut waiting = vec![bench.waits_for("one")];
    if !EXHAUSTIVE {
        waiting.push(bench.waits_for("two"));
        waiting.push(bench.gives_up("two"));
    }
    let closes = {
        let (metadata, busy) = (Arc::clone(&bench.metadata), bench.poller.busy());
        spawn(move || {
            let _busy = busy;
            metadata.close();
        })
    };
    bench.serve();
    closes.join();
    waiting.into_iter().for_each(|thread| {
        thread.join();
    });
    let late = bench.waits_for("three");
    assert!(!late.join(), "it is closed");
    assert_eq!(bench.metadata.waiter_count(), 0);
}
