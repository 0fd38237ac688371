//! One run, from a scenario to a report.
//!
//! Thread: the one that simulates. Locks: the world's, between the Sender's turns.
//! ```text
//! safety: faults, calls --threads done or time over--> heal --> probes --> close --> judged
//!            \---- ending: close early, drop -------------------------------^
//! ```

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kafka_test_support::{Cluster, ClusterConfig, TopicConfig};

use super::application::Applications;
use super::faults::{FaultKind, Faults};
use super::ledger::{SharedLedger, Violation};
use super::names::Names;
use super::network::Network;
use super::oracle::Oracle;
use super::scenario::{ClusterPlan, ConfigPlan, Ending, Scenario};
use super::streams::stream;
use super::trace::Trace;
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
    /// In words, if asked for.
    pub(crate) trace: String,
}

/// Runs it.
pub(crate) fn run(scenario: &Scenario, with_words: bool) -> Report {
    let mut simulation = Simulation::new(scenario, with_words);
    simulation.safety_phase();
    simulation.liveness_phase();
    simulation.finish()
}

struct Simulation<'s> {
    scenario: &'s Scenario,
    world: Arc<Mutex<World>>,
    ledger: SharedLedger,
    producer: KafkaProducer,
    sender: SenderThread,
}

impl<'s> Simulation<'s> {
    fn new(scenario: &'s Scenario, with_words: bool) -> Self {
        let (time, clock) = Time::mock();
        let cluster = cluster(&scenario.cluster);
        let (network, names) = addresses(&scenario.cluster);
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
        let (producer, sender) = KafkaProducer::simulated(&config, surroundings)
            .expect("scenarios draw configurations that are valid");
        let ledger = SharedLedger::default();
        let applications = Applications::new(scenario, producer.clone(), ledger.clone(), clock);
        lock(&world).applications = Some(applications);
        Self {
            scenario,
            world,
            ledger,
            producer,
            sender,
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    /// One turn of the Sender thread, or the time in which it gets no processor.
    fn turn(&mut self) {
        {
            let mut world = lock(&self.world);
            let now = world.now();
            if let Some(until) = world.faults.sender_is_stalled_until(now) {
                world.pass(until);
            }
        }
        self.sender.turn();
    }

    fn safety_phase(&mut self) {
        loop {
            self.turn();
            let world = self.world();
            let applications = world.applications.as_ref().expect("there from the start");
            if applications.are_done() || world.now() >= self.scenario.safety {
                return;
            }
        }
    }

    fn liveness_phase(&mut self) {
        {
            let mut world = self.world();
            world.heal();
            let applications = world.applications.as_mut().expect("there from the start");
            applications.stop();
        }
        self.producer.begin_close();
        let end = self.world().now() + Duration::from_secs(600);
        while !self.sender.is_done() {
            self.turn();
            let now = self.world().now();
            if now > end {
                let text = "close did not end".to_owned();
                self.ledger.lock().violation("P4", now, text);
                self.producer.force_close();
            }
        }
    }

    fn finish(self) -> Report {
        let afterwards = self.sender.end();
        drop(self.producer);
        let mut world = lock(&self.world);
        world.applications = None;
        let now = world.now();
        let ledger = self.ledger.lock();
        let World {
            oracle, cluster, ..
        } = &mut *world;
        oracle.finish(cluster, &ledger, &afterwards);
        let mut violations = ledger.violations.clone();
        violations.append(&mut oracle.violations);
        for entry in &ledger.entries {
            let id = entry.spec.id;
            world.trace.note(
                now,
                format_args!("-"),
                format_args!("{id}: {:?}", entry.callbacks),
            );
        }
        Report {
            seed: self.scenario.seed,
            violations,
            hash: world.trace.hash(),
            outcome_hash: 0,
            records: u64::try_from(ledger.entries.len()).expect("64 bits"),
            polls: world.polls,
            fired: world.faults.fired(),
            trace: std::mem::replace(&mut world.trace, Trace::new(false)).into_words(),
        }
    }
}

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

fn cluster(plan: &ClusterPlan) -> Cluster {
    let mut config = ClusterConfig::brokers(plan.brokers)
        .seed(plan.seed)
        .auto_create_topics(false);
    config.producer_window = plan.producer_window;
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

fn host_of(node: i32) -> String {
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

const PORT: u16 = 9092;

#[cfg(test)]
mod tests {
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
                    largest_value: 100,
                    huge_records: 0,
                    habits: Habits::default(),
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
        assert_eq!(report.records, 2000);
        assert!(
            report.trace.contains("1999: [("),
            "{}",
            &report.trace[report.trace.len() - 2000..]
        );
        assert_eq!(report.hash, run(&simple(1), false).hash);
    }
}
