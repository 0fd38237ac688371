//! One run, from a scenario to a report.
//!
//! Thread: the one that simulates. Locks: the world's, between the Sender's turns.
//! ```text
//! safety: faults, calls --threads done or time over--> heal --> probes --> close --> judged
//!            \---- ending: close early, drop -------------------------------^
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::application::Applications;
use super::coverage::Coverage;
use super::faults::{FaultKind, Faults};
use super::guarantees::Cell;
use super::ledger::{BlockingCall, SharedLedger, Violation};
use super::oracle::Oracle;
use super::panics;
use super::probes::Probes;
use super::scenario::{Ending, Scenario};
use super::setup::{addresses, cluster, producer_config};
use super::streams::stream;
use super::trace::{Trace, take_words};
use super::world::World;
use crate::producer::{KafkaProducer, SenderThread, SimulatedSurroundings};
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
            wire: Arc::<Mutex<World>>::clone(&world),
            lookups: Arc::<Mutex<World>>::clone(&world),
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
        if let Some(callbacks) = sender.callback_thread() {
            applications.set_callback_thread(callbacks);
        }
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
        let ended = sender.ended_batches();
        if catch_unwind(AssertUnwindSafe(|| sender.turn())).is_err() {
            self.broken("P11", format!("the Sender panicked: {}", panics::last()));
        }
        if self.sender.ended_batches() != ended {
            self.world().oracle.on_outcome();
        }
        if self.world().oracle.wants_to_stop() {
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
        self.until_all_is_told();
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
        self.until_all_is_told();
        self.end_call(call);
    }

    fn until_sender_is_done(&mut self, until: Duration) {
        while !self.is_over && !self.sender.is_done() && self.now() < until {
            self.turn_until(until);
        }
    }

    /// The thread of the callbacks, if there is one, runs what is left, however long that takes.
    fn until_all_is_told(&mut self) {
        if self.is_over {
            return;
        }
        loop {
            let mut world = lock(&self.world);
            let Some(at) = world.applications().next_callbacks() else {
                return;
            };
            let now = world.now();
            world.pass(at.max(now));
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
            is_abandoned: false,
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

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Above what any bound of the oracle allows.
const SLACK: Duration = Duration::from_secs(1);
/// A run that needs more is one that spins.
const MOST_TURNS: u64 = 5_000_000;

#[cfg(test)]
#[path = "run_tests.rs"]
pub(super) mod tests;
