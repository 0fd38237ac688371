//! A broker that freezes: what the others' records wait, without and with a share of the memory for each
//! topic. `cargo test --lib sim::frozen -- --nocapture` prints the figures of docs/PERFORMANCE.md.
//!
//! Thread: the one that simulates. Locks: the world's, between the Sender's turns. One topic lies on the
//! first of two brokers, three on the second; a thread for each sends 500 records of 1,000 bytes a second
//! for twelve seconds, whatever becomes of them, from 2 MB. A record's latency is from when it was to be
//! sent to its callback, the wait inside `send` included; what was not sent at the end counts with that. Time is the simulated clock's, so that the figures
//! are the same on every machine.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;

use super::faults::{FaultKind, FaultPlan, Faults};
use super::oracle::Oracle;
use super::plain::Plain;
use super::probes::Probes;
use super::scenario::{Scenario, TopicPlan};
use super::setup::{addresses, cluster, producer_config};
use super::streams::stream;
use super::trace::Trace;
use super::world::World;
use crate::producer::{
    BlockedSend, Callback, KafkaProducer, ProducerRecord, SenderThread, SimulatedSurroundings,
};
use crate::time::{MockTime, Time};

/// The first lies on the broker that freezes.
const TOPICS: [&str; 4] = ["frozen", "a", "b", "c"];
const FROZEN_NODE: i32 = 1;
const BETWEEN: Duration = Duration::from_millis(2);
const WARM: Duration = Duration::from_secs(1);
const LASTS: Duration = Duration::from_secs(13);
const MEMORY: usize = 2 << 20;

type Latencies = Arc<Mutex<Vec<Duration>>>;
type Field = Option<Bytes>;

/// Whether a call that waits has been woken: polled at other times it would wake the Sender for nothing.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A thread of the application, of one topic.
struct Caller {
    topic: &'static str,
    due: Duration,
    in_send: Option<BlockedSend<Field, Field>>,
    woken: Arc<Woken>,
    latencies: Latencies,
}

impl Caller {
    /// Makes the calls that are due, until one has to wait.
    fn run(&mut self, producer: &KafkaProducer, clock: &Arc<MockTime>) {
        if self.in_send.is_some() && !self.woken.0.swap(false, Ordering::Relaxed) {
            return;
        }
        let waker = Waker::from(Arc::clone(&self.woken));
        while self.due <= clock.elapsed() {
            let mut call = self.in_send.take().unwrap_or_else(|| {
                let value: Field = Some(Bytes::from_static(&[b'x'; 1_000]));
                let record = ProducerRecord::new(self.topic, value).key(Field::None);
                let (latencies, clock, due) =
                    (Arc::clone(&self.latencies), Arc::clone(clock), self.due);
                let callback = Callback::once(move |_| note(&latencies, due, clock.elapsed()));
                producer.begin_send(record, Some(callback))
            });
            match call.poll(producer, &waker) {
                Poll::Pending => {
                    self.in_send = Some(call);
                    return;
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) => note(&self.latencies, self.due, clock.elapsed()),
            }
            self.due += BETWEEN;
        }
    }
}

/// Counted are records that were to be sent once the broker may be frozen.
fn note(latencies: &Latencies, due: Duration, now: Duration) {
    if due >= WARM {
        let mut all = latencies.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(now.saturating_sub(due));
    }
}

fn scenario(share: u32) -> Scenario {
    let mut scenario = Scenario::plain();
    scenario.config.buffer_memory = MEMORY;
    scenario.config.topic_share = share;
    scenario.cluster.brokers = 2;
    let topic = |name: &str| TopicPlan {
        name: name.to_owned(),
        ..TopicPlan::plain()
    };
    scenario.cluster.topics = TOPICS.map(topic).to_vec();
    // A network that is not the same at each moment.
    scenario.faults = vec![FaultPlan {
        kind: FaultKind::Latency,
        strength: 1,
        until: 2 * LASTS,
        ..FaultPlan::plain()
    }];
    scenario
}

fn world(scenario: &Scenario, clock: &Arc<MockTime>) -> Arc<Mutex<World>> {
    let (network, names) = addresses(&scenario.cluster);
    let mut cluster = cluster(&scenario.cluster);
    for topic in TOPICS {
        let node = if topic == TOPICS[0] { FROZEN_NODE } else { 2 };
        cluster.move_leader(topic, 0, node);
    }
    Arc::new(Mutex::new(World {
        clock: Arc::clone(clock),
        cluster,
        network,
        names,
        faults: Faults::new(scenario),
        applications: None,
        probes: Probes::default(),
        horizon: None,
        oracle: Oracle::new(scenario),
        trace: Trace::new(false),
        wakeup: None,
        polls: 0,
    }))
}

/// The latencies of the topics whose broker does not freeze, in order.
fn run(freezes: bool, share: u32) -> Vec<Duration> {
    let scenario = scenario(share);
    let (time, clock) = Time::mock();
    let world = world(&scenario, &clock);
    let surroundings = SimulatedSurroundings {
        time,
        random: stream(1, "producer"),
        wire: Arc::<Mutex<World>>::clone(&world),
        lookups: Arc::<Mutex<World>>::clone(&world),
    };
    let config = producer_config(&scenario.config);
    let (producer, mut sender) = KafkaProducer::simulated(&config, surroundings).unwrap();
    let mut callers = TOPICS.map(|topic| Caller {
        topic,
        due: Duration::ZERO,
        in_send: None,
        woken: Arc::default(),
        latencies: Latencies::default(),
    });
    let mut is_frozen = false;
    while clock.elapsed() < LASTS {
        let now = clock.elapsed();
        if freezes && !is_frozen && now >= WARM {
            is_frozen = true;
            world.lock().unwrap().pause(FROZEN_NODE);
        }
        callers.iter_mut().for_each(|it| it.run(&producer, &clock));
        turn(&world, &mut sender, now + BETWEEN);
    }
    let others = || callers.iter().skip(1);
    for caller in others().filter(|it| it.in_send.is_some()) {
        let mut due = caller.due;
        while due <= clock.elapsed() {
            note(&caller.latencies, due, clock.elapsed());
            due += BETWEEN;
        }
    }
    let all = others().map(|it| std::mem::take(&mut *it.latencies.lock().unwrap()));
    let mut all: Vec<Duration> = all.flatten().collect();
    all.sort_unstable();
    all
}

fn turn(world: &Arc<Mutex<World>>, sender: &mut SenderThread, until: Duration) {
    world.lock().unwrap().horizon = Some(until);
    sender.turn();
}

fn at(all: &[Duration], thousandths: usize) -> Duration {
    all[(all.len() * thousandths / 1000).min(all.len() - 1)]
}

#[test]
fn frozen_broker_with_a_share_per_topic_does_not_slow_the_others() {
    let runs = [
        ("no broker frozen", run(false, 100)),
        ("one frozen, no share", run(true, 100)),
        ("one frozen, a share of 25 %", run(true, 25)),
    ];
    let before = at(&runs[0].1, 990);
    println!("the others' records, {} KB of memory:", MEMORY / 1024);
    for (name, all) in &runs {
        let p99 = at(all, 990);
        println!(
            "{name:28} {:6} records  p50 {:>10.2?}  p99 {p99:>10.2?} ({:.2}x)  p99.9 {:>10.2?}",
            all.len(),
            at(all, 500),
            p99.as_secs_f64() / before.as_secs_f64(),
            at(all, 999),
        );
    }
    let p99 = |number: usize| at(&runs[number].1, 990);
    assert!(p99(1) > 100 * before, "without a share they all wait");
    assert!(p99(2) <= 2 * before, "{:?} against {before:?}", p99(2));
}
