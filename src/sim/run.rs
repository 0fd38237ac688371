//! One run, from a scenario to a report.
//!
//! Thread: the one that simulates. Locks: the world's, between the Sender's turns.
//! ```text
//! safety: faults, calls --threads done or time over--> heal --> probes --> close --> judged
//!            \---- ending: close early, drop -------------------------------^
//! ```

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kafka_test_support::{Cluster, ClusterConfig, FirstSequence, TopicConfig, VersionProfile};

use super::application::Applications;
use super::coverage::Coverage;
use super::faults::{FaultKind, Faults};
use super::ledger::{SharedLedger, Violation};
use super::names::Names;
use super::network::Network;
use super::oracle::Oracle;
use super::scenario::{ClusterPlan, ConfigPlan, Scenario};
use super::streams::stream;
use super::trace::{Happening, Trace, take_words};
use super::world::World;
use crate::producer::{Acks, KafkaProducer, ProducerConfig, SenderThread, SimulatedSurroundings};
use crate::time::Time;

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) violations: Vec<Violation>,
    /// Of everything that happened.
    pub(crate) hash: u64,
    /// Of what the application was told alone: differs if a fault changed any outcome.
    pub(crate) outcome_hash: u64,
    pub(crate) records: u64,
    pub(crate) polls: u64,
    pub(crate) fired: BTreeMap<FaultKind, u64>,
    /// How much time passed in it.
    pub(crate) simulated: Duration,
    /// What it came by.
    pub(crate) coverage: Coverage,
    /// In words, if asked for.
    pub(crate) trace: String,
}

/// Runs it.
pub(crate) fn run(scenario: &Scenario, with_words: bool) -> Report {
    let _quiet = panics::Quiet::begin();
    let mut simulation = Simulation::new(scenario, with_words);
    simulation.safety_phase();
    simulation.liveness_phase();
    simulation.finish()
}

struct Simulation<'s> {
    scenario: &'s Scenario,
    world: Arc<Mutex<World>>,
    ledger: SharedLedger,
    sender: SenderThread,
    turns: u64,
    /// A panic of the product, or a judge who has seen enough: nothing more is asked of it.
    is_over: bool,
}

impl<'s> Simulation<'s> {
    fn new(scenario: &'s Scenario, with_words: bool) -> Self {
        let (time, clock) = Time::mock();
        let cluster = cluster(&scenario.cluster);
        let (network, mut names) = addresses(&scenario.cluster);
        names.go_wrong(&scenario.faults);
        let ledger = SharedLedger::default();
        let world = Arc::new(Mutex::new(World {
            clock: Arc::clone(&clock),
            cluster,
            network,
            names,
            faults: Faults::new(scenario),
            applications: None,
            oracle: Oracle::new(scenario),
            trace: Trace::new(with_words),
            wakeup: None,
            polls: 0,
        }));
        let surroundings = SimulatedSurroundings {
            time,
            random: stream(scenario.seed, "producer"),
            wire: world.clone(),
            lookups: world.clone(),
        };
        let config = producer_config(&scenario.config);
        for contradiction in &scenario.config.contradictions {
            if let Err(text) = contradiction.check(config.clone()) {
                ledger.lock().violation("P11", Duration::ZERO, text);
            }
        }
        let (producer, sender) = KafkaProducer::simulated(&config, surroundings)
            .expect("scenarios draw configurations that are valid");
        let mut applications = Applications::new(scenario, producer, ledger.clone(), clock);
        let mut held = lock(&world);
        applications.set_client_faults(held.faults.client.clone());
        held.applications = Some(applications);
        drop(held);
        Self {
            scenario,
            world,
            ledger,
            sender,
            turns: 0,
            is_over: false,
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    fn now(&self) -> Duration {
        self.world().now()
    }

    /// One turn of the Sender thread, or the time in which it gets no processor.
    fn turn(&mut self) {
        {
            let mut world = lock(&self.world);
            let now = world.now();
            if let Some(until) = world.faults.sender_is_stalled_until(now) {
                world.pass(until);
                world.oracle.on_stall(now, until);
            }
        }
        self.turns += 1;
        let sender = &mut self.sender;
        if catch_unwind(AssertUnwindSafe(|| sender.turn())).is_err() {
            self.broken("P11", format!("the Sender panicked: {}", panics::last()));
        } else if self.world().oracle.wants_to_stop() {
            self.is_over = true;
        } else if self.turns > MOST_TURNS {
            self.broken("P9", format!("{MOST_TURNS} turns were not enough"));
        }
    }

    fn broken(&mut self, property: &'static str, text: String) {
        let now = self.now();
        self.ledger.lock().violation(property, now, text);
        self.is_over = true;
    }

    /// Faults and calls, until the calls are made, the time is over or the producer has ended.
    fn safety_phase(&mut self) {
        while !self.is_over {
            self.turn();
            let (is_closing, is_done) = {
                let world = self.world();
                let applications = world.applications();
                let is_late = world.now() >= self.scenario.safety;
                (
                    applications.is_closing(),
                    applications.are_done() || is_late,
                )
            };
            if is_done || (is_closing && self.sender.is_done()) {
                return;
            }
        }
    }

    /// Everything is repaired: what waits goes on, each partition takes another record soon, and
    /// then `close` brings all the rest to an end.
    fn liveness_phase(&mut self) {
        let partitions = self.partitions();
        let end = {
            let mut world = self.world();
            world.heal();
            let now = world.now();
            world.trace.event(now, Happening::Phase("healed"));
            world.oracle.on_healed(now);
            let applications = world.applications_mut();
            applications.stop();
            if !applications.is_closing() {
                applications.probe(now, partitions);
            }
            now + self.patience()
        };
        while !self.is_over && !self.has_ended() {
            self.turn();
            let mut world = self.world();
            let now = world.now();
            if world.applications().are_done() {
                let patience = self.patience();
                world.applications_mut().begin_close(now, patience);
            }
            drop(world);
            if now > end {
                self.broken("P4", "the producer did not end".to_owned());
            }
        }
    }

    fn has_ended(&mut self) -> bool {
        let is_closing = self.world().applications().is_closing();
        is_closing && self.sender.is_done()
    }

    /// More than all that may take its time, one after the other.
    fn patience(&self) -> Duration {
        let config = &self.scenario.config;
        Duration::from_millis(2 * config.delivery_timeout_ms + config.max_block_ms) + PATIENCE
    }

    /// Of all topics, by their index.
    fn partitions(&self) -> Vec<(usize, i32)> {
        let topics = self.scenario.cluster.topics.iter().enumerate();
        topics
            .flat_map(|(topic, plan)| (0..plan.partitions).map(move |partition| (topic, partition)))
            .collect()
    }

    fn finish(self) -> Report {
        if !self.is_over {
            let mut world = lock(&self.world);
            let now = world.now();
            let World {
                applications,
                trace,
                ..
            } = &mut *world;
            if let Some(mut applications) = applications.take() {
                applications.producer_has_ended(now, trace);
            }
        }
        let Self {
            scenario,
            world,
            ledger,
            sender,
            is_over,
            ..
        } = self;
        let afterwards = catch_unwind(AssertUnwindSafe(|| sender.end())).ok();
        // What a run that was broken off leaves behind may be in any state.
        let applications = lock(&world).applications.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(applications)));
        let mut world = lock(&world);
        let now = world.now();
        let mut ledger = ledger.lock();
        if let (Some(afterwards), false) = (&afterwards, is_over) {
            let open_links = world.network.open_links();
            let World {
                oracle, cluster, ..
            } = &mut *world;
            oracle.finish(cluster, &ledger, afterwards, open_links);
        }
        let mut violations = std::mem::take(&mut ledger.violations);
        violations.append(&mut world.oracle.violations);
        world.trace.told(&ledger, now);
        Report {
            seed: scenario.seed,
            violations,
            hash: world.trace.hash(),
            outcome_hash: ledger.outcome_hash(),
            records: u64::try_from(ledger.entries.len()).expect("64 bits"),
            polls: world.polls,
            fired: world.fired(),
            simulated: now,
            coverage: std::mem::take(&mut world.trace.coverage),
            trace: take_words(),
        }
    }
}

/// Panics of simulated code are told by the violation that they are, not on standard error.
pub(super) mod panics {
    use std::cell::{Cell, RefCell};
    use std::sync::Once;

    thread_local! {
        static IS_SIMULATING: Cell<bool> = const { Cell::new(false) };
        static LAST: RefCell<String> = const { RefCell::new(String::new()) };
    }

    /// While it lives, this thread simulates.
    pub(super) struct Quiet(());

    impl Quiet {
        pub(super) fn begin() -> Self {
            static HOOK: Once = Once::new();
            HOOK.call_once(|| {
                let usual = std::panic::take_hook();
                std::panic::set_hook(Box::new(move |panic| {
                    if IS_SIMULATING.get() {
                        LAST.set(panic.to_string());
                    } else {
                        usual(panic);
                    }
                }));
            });
            IS_SIMULATING.set(true);
            Self(())
        }
    }

    impl Drop for Quiet {
        fn drop(&mut self) {
            IS_SIMULATING.set(false);
        }
    }

    /// What the last one said.
    pub(in crate::sim) fn last() -> String {
        LAST.take().replace('\n', " ")
    }
}

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

fn cluster(plan: &ClusterPlan) -> Cluster {
    let mut config = ClusterConfig::brokers(plan.brokers)
        .seed(plan.seed)
        .auto_create_topics(false);
    config.versions = VERSIONS[plan.versions % VERSIONS.len()];
    config.producer_window = plan.producer_window;
    config.first_producer_epoch = plan.first_epoch;
    if let Some(after) = plan.forgets_after_ms {
        config.producer_id_expiration_ms = i64::try_from(after).expect("short");
    }
    if plan.refuses_unknown_first_sequence {
        config.first_sequence = Some(FirstSequence::ZeroInNewLog);
    }
    for topic in &plan.topics {
        let mut topic_config = TopicConfig::new(&topic.name, topic.partitions)
            .max_message_bytes(topic.max_message_bytes)
            .min_insync_replicas(topic.min_insync_replicas);
        topic_config.log_append_time = topic.log_append_time;
        config = config.topic_with(topic_config);
    }
    let mut cluster = Cluster::new(config);
    for node in cluster.nodes() {
        cluster.set_endpoint(node, &host_of(node), PORT);
    }
    cluster
}

pub(super) fn host_of(node: i32) -> String {
    format!("broker-{node}.sim")
}

fn address_of(node: i32) -> IpAddr {
    let last = u8::try_from(node).expect("few nodes");
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
}

fn addresses(plan: &ClusterPlan) -> (Network, Names) {
    let (mut network, mut names) = (Network::default(), Names::default());
    for node in 1..=plan.brokers {
        let address = address_of(node);
        names.hosts.insert(host_of(node), vec![address]);
        network
            .listeners
            .insert(SocketAddr::new(address, PORT), node);
    }
    (network, names)
}

fn producer_config(plan: &ConfigPlan) -> ProducerConfig {
    let ms = Duration::from_millis;
    let servers: Vec<String> = (1..=plan.bootstrap_servers)
        .map(|node| {
            let node = i32::try_from(node).expect("few");
            if plan.bootstrap_by_name {
                format!("{}:{PORT}", host_of(node))
            } else {
                format!("{}:{PORT}", address_of(node))
            }
        })
        .collect();
    let acks = match plan.acks {
        0 => Acks::None,
        1 => Acks::Leader,
        _ => Acks::All,
    };
    let config = ProducerConfig::new(servers.join(","))
        .client_id("sim")
        .acks(acks)
        .enable_idempotence(plan.idempotence)
        .max_in_flight_requests_per_connection(plan.max_in_flight)
        .linger(ms(plan.linger_ms))
        .batch_size(plan.batch_size)
        .buffer_memory(plan.buffer_memory)
        .max_request_size(plan.max_request_size)
        .delivery_timeout(ms(plan.delivery_timeout_ms))
        .request_timeout(ms(plan.request_timeout_ms))
        .max_block(ms(plan.max_block_ms))
        .retries(plan.retries)
        .retry_backoff(ms(plan.retry_backoff_ms.0), ms(plan.retry_backoff_ms.1))
        .reconnect_backoff(
            ms(plan.reconnect_backoff_ms.0),
            ms(plan.reconnect_backoff_ms.1),
        )
        .socket_connection_setup_timeout(ms(plan.setup_timeout_ms.0), ms(plan.setup_timeout_ms.1))
        .connections_max_idle(plan.max_idle_ms.map(ms))
        .metadata_max_age(ms(plan.metadata_max_age_ms))
        .metadata_max_idle(ms(plan.metadata_max_idle_ms))
        .partitioner_ignore_keys(plan.ignore_keys);
    match plan.rebootstrap_trigger_ms {
        Some(trigger) => config
            .metadata_rebootstrap(true)
            .metadata_rebootstrap_trigger(ms(trigger)),
        None => config.metadata_rebootstrap(false),
    }
}

pub(super) const PORT: u16 = 9092;
/// Whose brokers there are, the newest first.
const VERSIONS: [VersionProfile; 4] = [
    VersionProfile::KAFKA_43,
    VersionProfile::KAFKA_39,
    VersionProfile::KAFKA_28,
    VersionProfile::KAFKA_21,
];
/// Beyond what the configuration allows; that is judged by the oracle, this ends the run.
const PATIENCE: Duration = Duration::from_secs(60);
/// A run that needs more is one that spins.
const MOST_TURNS: u64 = 5_000_000;

#[cfg(test)]
pub(super) mod tests {
    use super::super::scenario::{Habits, ThreadPlan, TopicPlan};
    use super::*;

    pub(crate) fn simple(seed: u64) -> Scenario {
        Scenario {
            seed,
            config: ConfigPlan {
                acks: -1,
                idempotence: true,
                max_in_flight: 5,
                linger_ms: 5,
                batch_size: 16384,
                buffer_memory: 1 << 20,
                max_request_size: 1 << 20,
                delivery_timeout_ms: 120_000,
                request_timeout_ms: 30_000,
                max_block_ms: 60_000,
                retries: i32::MAX as u32,
                retry_backoff_ms: (100, 1000),
                reconnect_backoff_ms: (50, 1000),
                setup_timeout_ms: (10_000, 30_000),
                max_idle_ms: Some(540_000),
                metadata_max_age_ms: 300_000,
                metadata_max_idle_ms: 300_000,
                rebootstrap_trigger_ms: None,
                ignore_keys: false,
                first_sequence: 0,
                contradictions: Vec::new(),
                bootstrap_servers: 1,
                bootstrap_by_name: true,
            },
            cluster: ClusterPlan {
                seed,
                brokers: 3,
                topics: vec![TopicPlan {
                    name: "t".to_owned(),
                    partitions: 3,
                    log_append_time: false,
                    min_insync_replicas: 1,
                    max_message_bytes: 1 << 20,
                }],
                versions: 0,
                producer_window: 5,
                forgets_after_ms: None,
                refuses_unknown_first_sequence: false,
                first_epoch: 0,
            },
            threads: (0..2)
                .map(|seed| ThreadPlan {
                    seed,
                    calls: 1000,
                    pause_us: 300,
                    burst: 1,
                    largest_value: 100,
                    huge_records: 0,
                    habits: Habits::default(),
                })
                .collect(),
            faults: Vec::new(),
            safety: Duration::from_secs(60),
            ending: super::super::scenario::Ending::Close,
        }
    }

    #[test]
    fn run_without_faults_acknowledges_everything_and_is_the_same_twice() {
        let report = run(&simple(1), false);
        assert_eq!(report.violations, []);
        assert_eq!(report.records, 2000 + 3, "and a probe for each partition");
        assert_eq!(report.hash, run(&simple(1), false).hash);
    }

    #[test]
    fn run_of_many_seeds_keeps_every_promise() {
        use super::super::draw::Mix;
        let from: u64 = std::env::var("SIM_FROM").map_or(0, |from| from.parse().unwrap());
        let seeds: u64 = std::env::var("SIM_SEEDS").map_or(10, |seeds| seeds.parse().unwrap());
        for seed in from..from + seeds {
            let scenario = Scenario::draw(seed, Mix::Default);
            let started = Time::default().now();
            let report = run(&scenario, false);
            let took = Time::default().now() - started;
            println!(
                "{seed}: {took:?} simulated {:?} records {} polls {} {:?}",
                report.simulated,
                report.records,
                report.polls,
                report.violations.iter().take(3).collect::<Vec<_>>()
            );
        }
    }
}
