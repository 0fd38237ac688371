//! One run, from a scenario to a report.
//!
//! Thread: the one that simulates. Locks: the world's, between the Sender's turns.
//! ```text
//! safety: faults, calls --threads done or time over--> heal --> probes --> close --> judged
//!            \---- ending: close early, drop -------------------------------^
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kafka_test_support::{Cluster, ClusterConfig, FirstSequence, TopicConfig, VersionProfile};

use super::application::Applications;
use super::coverage::Coverage;
use super::faults::{FaultKind, Faults};
use super::guarantees::Cell;
use super::ledger::{BlockingCall, SharedLedger, Violation};
use super::names::Names;
use super::network::Network;
use super::oracle::Oracle;
use super::probes::Probes;
use super::scenario::{ClusterPlan, ConfigPlan, Ending, Scenario};
use super::streams::stream;
use super::trace::{Trace, take_words};
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
    /// Promises that could have been broken in it.
    pub(crate) cells: BTreeSet<Cell>,
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
    match scenario.ending {
        Ending::Close => {
            simulation.safety_phase(scenario.safety);
            simulation.liveness_phase();
            simulation.close(simulation.longest_close());
        }
        Ending::CloseEarly { at, timeout } => {
            simulation.safety_phase(at.min(scenario.safety));
            simulation.close(timeout);
        }
        Ending::Drop { at } => {
            simulation.safety_phase(at.min(scenario.safety));
            simulation.drop_producer();
        }
    }
    simulation.finish()
}

struct Simulation<'s> {
    scenario: &'s Scenario,
    world: Arc<Mutex<World>>,
    ledger: SharedLedger,
    /// None once the application has dropped it.
    producer: Option<KafkaProducer>,
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
            probes: Probes::default(),
            horizon: None,
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
        let (producer, mut sender) = KafkaProducer::simulated(&config, surroundings)
            .expect("scenarios draw configurations that are valid");
        sender.begin_sequences_at(scenario.config.first_sequence);
        let mut applications = Applications::new(scenario, producer.clone(), ledger.clone(), clock);
        let mut held = lock(&world);
        applications.set_client_faults(held.faults.client.clone());
        held.applications = Some(applications);
        drop(held);
        Self {
            scenario,
            world,
            ledger,
            producer: Some(producer),
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

    /// A turn that waits no longer than until then.
    fn turn_until(&mut self, until: Duration) {
        self.world().horizon = Some(until);
        self.turn();
        self.world().horizon = None;
    }

    fn broken(&mut self, property: &'static str, text: String) {
        let now = self.now();
        self.ledger.lock().violation(property, now, text);
        self.is_over = true;
    }

    /// Faults and calls, until the calls are made or the time is over.
    fn safety_phase(&mut self, until: Duration) {
        while !self.is_over {
            {
                let world = self.world();
                if world.applications().are_done() || world.now() >= until {
                    return;
                }
            }
            self.turn_until(until);
        }
    }

    /// Everything is repaired: what waits goes on, and each partition takes another record, soon.
    fn liveness_phase(&mut self) {
        let began = {
            let mut world = self.world();
            world.heal();
            world.applications_mut().stop();
            world.now()
        };
        let probes = match &self.producer {
            Some(producer) if !self.is_over && !producer.is_closed() => {
                Probes::begin(self.scenario, producer.clone(), self.ledger.clone(), began)
            }
            _ => return,
        };
        self.world().probes = probes;
        // They bring what is wrong to light by then, at the latest.
        let until = began + self.longest_close();
        while !self.is_over {
            {
                let world = self.world();
                let done = world.probes.are_done() && world.applications().are_done();
                if done || world.now() >= until {
                    return;
                }
            }
            self.turn_until(until);
        }
    }

    /// So long nothing can take: a record may be appended when `max.block.ms` is nearly over.
    fn longest_close(&self) -> Duration {
        let config = &self.scenario.config;
        Duration::from_millis(config.delivery_timeout_ms + config.max_block_ms) + SLACK
    }

    /// `close(timeout)`, with whatever goes wrong meanwhile.
    fn close(&mut self, timeout: Duration) {
        let Some(producer) = self.producer.clone() else {
            return;
        };
        let began = self.now();
        let call = self.begin_call("close", began, Some(timeout));
        producer.begin_close();
        self.until_sender_is_done(began + timeout);
        if !self.is_over && !self.sender.is_done() {
            producer.force_close();
            self.until_sender_is_done(began + timeout + SLACK);
        }
        self.end_call(call);
        let now = self.now();
        let outcome = producer.end_of_close();
        self.world().applications_mut().on_closed(now, outcome);
        self.let_threads_return();
    }

    /// The last clone is dropped: what was accepted still goes out, for at most `delivery.timeout.ms`.
    fn drop_producer(&mut self) {
        let began = self.now();
        let limit = Duration::from_millis(self.scenario.config.delivery_timeout_ms);
        let call = self.begin_call("drop", began, Some(limit));
        self.world().applications_mut().drop_producers();
        self.world().probes = Probes::default();
        self.producer = None;
        self.until_sender_is_done(began + limit + SLACK);
        self.end_call(call);
    }

    fn until_sender_is_done(&mut self, until: Duration) {
        while !self.is_over && !self.sender.is_done() && self.now() < until {
            self.turn_until(until);
        }
    }

    /// Calls that are in progress when the producer is closed return at once.
    fn let_threads_return(&mut self) {
        let mut world = self.world();
        let now = world.now();
        world.applications_mut().stop();
        world.pass(now + Duration::from_millis(1));
    }

    fn begin_call(&self, name: &'static str, began: Duration, timeout: Option<Duration>) -> usize {
        let mut ledger = self.ledger.lock();
        ledger.closed_at.get_or_insert(began);
        ledger.blocking_calls.push(BlockingCall {
            name,
            began,
            timeout,
            ended: None,
        });
        ledger.blocking_calls.len() - 1
    }

    fn end_call(&self, call: usize) {
        let now = self.now();
        if !self.is_over && (self.world().now() <= now) {
            self.ledger.lock().blocking_calls[call].ended = Some(now);
        }
    }

    fn finish(mut self) -> Report {
        if !self.is_over && !self.sender.is_done() {
            self.broken("P4", "the Sender thread did not end".to_owned());
        }
        let Self {
            scenario,
            world,
            ledger,
            producer,
            sender,
            ..
        } = self;
        let is_over = self.is_over;
        let afterwards = catch_unwind(AssertUnwindSafe(|| sender.end())).ok();
        {
            let mut world = lock(&world);
            world.probes = Probes::default();
            let now = world.now();
            let mut applications = world.applications.take();
            drop(world);
            if let (Some(applications), false) = (&mut applications, is_over) {
                applications.finish(now);
            }
            drop(applications);
        }
        drop(producer);
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
        violations.append(&mut world.oracle.take_violations());
        world.trace.told(&ledger, now);
        Report {
            seed: scenario.seed,
            violations,
            hash: world.trace.hash(),
            outcome_hash: ledger.outcome_hash(),
            records: u64::try_from(ledger.entries.len()).expect("64 bits"),
            polls: world.polls,
            fired: world.fired(),
            cells: world.oracle.cells(),
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
/// Above what any bound of the oracle allows.
const SLACK: Duration = Duration::from_secs(1);
/// A run that needs more is one that spins.
const MOST_TURNS: u64 = 5_000_000;

#[cfg(test)]
pub(super) mod tests {
    use super::super::scenario::{Habits, ThreadPlan, TopicPlan};
    use super::*;

    pub(in crate::sim) fn simple(seed: u64) -> Scenario {
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
                    deaf: false,
                    habits: Habits {
                        callback: 1000,
                        ..Habits::default()
                    },
                })
                .collect(),
            faults: Vec::new(),
            safety: Duration::from_secs(60),
            ending: Ending::Close,
        }
    }

    #[test]
    fn run_without_faults_acknowledges_everything_and_is_the_same_twice() {
        let report = run(&simple(1), true);
        assert_eq!(report.violations, []);
        assert_eq!(report.records, 2003, "three of them are probes");
        assert!(
            report.trace.contains("record 1999: Acked"),
            "{}",
            &report.trace[report.trace.len() - 2000..]
        );
        assert_eq!(report.hash, run(&simple(1), false).hash);
    }

    /// For looking at many: `SEEDS=from..to`.
    #[test]
    #[ignore = "a tool"]
    fn explore() {
        let range = std::env::var("SEEDS").unwrap_or_else(|_| "0..20".to_owned());
        let (from, to) = range.split_once("..").expect("a range");
        let words = std::env::var("WORDS").is_ok();
        let (from, to): (u64, u64) = (from.parse().unwrap(), to.parse().unwrap());
        for seed in from..to {
            let mut scenario = Scenario::draw(seed, crate::sim::draw::Mix::Default);
            if std::env::var("CALM").is_ok() {
                scenario.faults.clear();
            }
            let clock = Time::default();
            let began = clock.now();
            let report = run(&scenario, words);
            let shown: Vec<_> = report.violations.iter().take(4).collect();
            let took = clock.now() - began;
            println!(
                "{seed}: records={} polls={} simulated={:?} took={took:?} violations={} {shown:#?}",
                report.records,
                report.polls,
                report.simulated,
                report.violations.len()
            );
            if words {
                println!("{scenario:#?}\n{}", report.trace);
            }
        }
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
