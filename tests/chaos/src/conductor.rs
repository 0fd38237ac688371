//! Does what the schedule says to a running cluster and to the proxy in front of it.
//!
//! Thread: one per lane. Locks: one for the count of what struck and for what is down.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use kafka_test_support::proxy::FaultProxy;
use kafka_test_support::real_kafka::{Failure, RealKafka};

use crate::TOPICS;
use crate::schedule::{Fault, NODES, Planned, Schedule};

/// What a change of leaders may take while brokers are down.
const CHANGE: Duration = Duration::from_secs(4);

/// Beyond it a topic has enough.
const PARTITIONS: usize = 24;

/// What happened.
#[derive(Debug, Default)]
struct State {
    struck: u64,
    missed: u64,
    down: Vec<i32>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Conductor<'a> {
    kafka: &'a RealKafka,
    proxy: &'a FaultProxy,
    started: Instant,
    state: Mutex<State>,
}

impl<'a> Conductor<'a> {
    pub(crate) fn new(kafka: &'a RealKafka, proxy: &'a FaultProxy, started: Instant) -> Self {
        Self {
            kafka,
            proxy,
            started,
            state: Mutex::default(),
        }
    }

    /// Carries the schedule out until `end` at the latest; gives how many faults struck.
    ///
    /// # Errors
    ///
    /// If a broker does not come back.
    pub(crate) fn run(&self, schedule: &Schedule, end: Instant) -> Result<u64, Failure> {
        thread::scope(|scope| {
            let lanes = schedule.lanes.iter();
            let lanes: Vec<_> = lanes
                .map(|lane| scope.spawn(move || self.lane(lane, end)))
                .collect();
            let outcomes = lanes.into_iter().map(|lane| match lane.join() {
                Ok(outcome) => outcome,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            outcomes.collect::<Result<Vec<()>, _>>()
        })?;
        for link in 0..self.proxy.ports().len() {
            self.proxy.heal(link);
        }
        let State { struck, missed, .. } = *self.lock();
        self.say(&format!(
            "all healed: {struck} faults struck, {missed} did not"
        ));
        Ok(struck)
    }

    fn lane(&self, lane: &[Planned], end: Instant) -> Result<(), Failure> {
        for Planned { at, fault } in lane {
            // Brokers may take longer than planned; then the rest is late, and the end stays.
            thread::sleep((self.started + *at).saturating_duration_since(Instant::now()));
            if Instant::now() + fault.time() > end + SLACK {
                self.say(&format!("no time left: {fault}"));
                continue;
            }
            self.say(&format!("{fault}"));
            let struck = self.strike(fault)?;
            let mut state = self.lock();
            match struck {
                true => state.struck += 1,
                false => state.missed += 1,
            }
        }
        Ok(())
    }

    /// Whether it changed anything.
    fn strike(&self, fault: &Fault) -> Result<bool, Failure> {
        match *fault {
            Fault::Kill { node, down } => {
                self.with_down(&[node], || {
                    self.kafka.kill_node(node)?;
                    thread::sleep(down);
                    self.kafka.start_node(node)
                })?;
                Ok(true)
            }
            Fault::Bounce { node, down } => {
                self.with_down(&[node], || {
                    // One that had to be killed after a time is a fault as well.
                    if let Err(error) = self.kafka.stop_node(node) {
                        self.say(&format!("bounce: {}", first_line(&error)));
                    }
                    thread::sleep(down);
                    self.kafka.start_node(node)
                })?;
                Ok(true)
            }
            Fault::Freeze { node, time } => {
                self.with_down(&[node], || {
                    self.kafka.pause_node(node)?;
                    thread::sleep(time);
                    self.kafka.resume_node(node)
                })?;
                Ok(true)
            }
            Fault::Unclean {
                first,
                second,
                apart,
            } => {
                self.with_down(&[first, second], || {
                    self.kafka.kill_node(first)?;
                    thread::sleep(apart);
                    self.kafka.kill_node(second)?;
                    self.kafka.start_node(first)?;
                    thread::sleep(apart);
                    self.kafka.start_node(second)
                })?;
                Ok(true)
            }
            _ => Ok(self.disturb(fault) || self.administrate(fault)),
        }
    }

    /// Faults of the network; one of a broker that nobody is connected to changes nothing.
    fn disturb(&self, fault: &Fault) -> bool {
        let proxy = self.proxy;
        match *fault {
            Fault::Latency {
                node,
                latency,
                jitter,
                time,
            } => self.for_a_time(node, time, |link, begins| {
                let (latency, jitter) = if begins {
                    (latency, jitter)
                } else {
                    Default::default()
                };
                proxy.delay(link, latency, jitter);
            }),
            Fault::Swallow { node, time } => self.for_a_time(node, time, |link, begins| {
                proxy.swallow_answers(link, begins);
            }),
            Fault::Silence {
                node,
                direction,
                time,
            } => self.for_a_time(node, time, |link, begins| {
                proxy.silence(link, direction, begins);
            }),
            Fault::Reset {
                node,
                direction,
                bytes,
            } => proxy.reset_after(link(node), direction, bytes) > 0,
            _ => false,
        }
    }

    fn for_a_time(&self, node: i32, time: Duration, set: impl Fn(usize, bool)) -> bool {
        let link = link(node);
        let is_connected = self.proxy.connections(link) > 0;
        set(link, true);
        thread::sleep(time);
        set(link, false);
        is_connected
    }

    /// Changes by the admin client; some are refused while brokers are down.
    fn administrate(&self, fault: &Fault) -> bool {
        let changed = match *fault {
            Fault::MoveLeaders { count, pick } => self.move_leaders(count, pick),
            Fault::ElectPreferred { topic } => self.elect(TOPICS[topic].0),
            Fault::AddPartition { topic } => self.add_partition(TOPICS[topic].0),
            _ => Ok(false),
        };
        changed.unwrap_or_else(|error| {
            self.say(&format!("did not strike: {}", first_line(&error)));
            false
        })
    }

    fn move_leaders(&self, count: u8, pick: u64) -> Result<bool, Failure> {
        let mut random = fastrand::Rng::with_seed(pick);
        let mut moved = false;
        for _ in 0..count {
            let (topic, partitions) = TOPICS[random.usize(0..TOPICS.len())];
            let partition = random.i32(0..partitions);
            let to = random.i32(1..=NODES);
            if self.lock().down.contains(&to) {
                continue;
            }
            self.kafka
                .move_leader_within(topic, partition, to, CHANGE)?;
            moved = true;
        }
        Ok(moved)
    }

    fn elect(&self, topic: &str) -> Result<bool, Failure> {
        let partitions = self.kafka.describe_topic(topic)?.partitions;
        let mut elected = false;
        for (partition, info) in (0..).zip(&partitions) {
            let preferred = info.replicas.first().copied().unwrap_or(info.leader);
            if preferred != info.leader && !self.lock().down.contains(&preferred) {
                self.kafka
                    .elect_preferred_leader_within(topic, partition, CHANGE)?;
                elected = true;
            }
        }
        Ok(elected)
    }

    fn add_partition(&self, topic: &str) -> Result<bool, Failure> {
        let total = self.kafka.describe_topic(topic)?.partitions.len() + 1;
        if total > PARTITIONS {
            return Ok(false);
        }
        self.kafka.create_partitions(topic, total)?;
        Ok(true)
    }

    fn with_down<T>(
        &self,
        nodes: &[i32],
        act: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.lock().down = nodes.to_vec();
        let outcome = act();
        self.lock().down.clear();
        outcome
    }

    fn say(&self, what: &str) {
        println!("{:7.2} s  {what}", self.started.elapsed().as_secs_f64());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the proxy's links lead, by the nodes' order.
pub(crate) fn lead(kafka: &RealKafka, proxy: &FaultProxy) -> Result<(), Failure> {
    for node in kafka.node_ids() {
        let address = kafka.client_address(node)?;
        let parsed: Result<SocketAddr, _> = address.parse();
        proxy.lead(
            link(node),
            parsed.map_err(|e| Failure::new(format!("{e}")))?,
        );
    }
    Ok(())
}

fn link(node: i32) -> usize {
    usize::try_from(node - 1).expect("ids begin at 1")
}

fn first_line(error: &Failure) -> String {
    error
        .to_string()
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// By how much a lane that is late may overrun the end.
const SLACK: Duration = Duration::from_secs(3);
