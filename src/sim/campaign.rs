//! Many seeds on all cores, and what they come to.
//!
//! Thread: workers, one run each at a time; the caller adds up what they report. Locks: none; what
//! workers share is a counter and a channel.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use super::attempt::attempt;
use super::coverage::Coverage;
use super::draw::Mix;
use super::faults::FaultKind;
use super::ledger::Violation;
use super::run::Report;
use super::scenario::Scenario;
use super::streams::derive;
use super::watchdog::Watchdog;
use crate::planted::Plant;
use crate::time::Time;

/// Which seeds, and how.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) from: u64,
    pub(crate) seeds: u64,
    /// What `PENDING.md` lists is drawn too.
    pub(crate) all: bool,
    pub(crate) threads: usize,
    /// Seeds that fail, after which no more are begun.
    pub(crate) most_failures: usize,
    /// How long one seed may take before it counts as one that does not end.
    pub(crate) longest_seed: Duration,
    /// What workers have planted.
    pub(crate) plant: Option<Plant>,
}

impl Order {
    /// Plants for the calling thread what is to be planted, until the guard is dropped.
    #[cfg(feature = "planted")]
    pub(super) fn set_planted(&self) -> crate::planted::PlantedGuard {
        crate::planted::set_planted(self.plant)
    }

    /// Nothing can be.
    #[cfg(not(feature = "planted"))]
    pub(super) fn set_planted(&self) -> impl Sized + use<> {
        debug_assert_eq!(self.plant, None, "the feature planted is missing");
    }
}

/// What one seed came to.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) report: Report,
    pub(super) took: Duration,
}

/// What all of them came to.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) seeds: u64,
    pub(crate) records: u64,
    pub(crate) polls: u64,
    pub(crate) twice: u64,
    pub(crate) simulated: Duration,
    pub(crate) coverage: Coverage,
    pub(crate) fired: BTreeMap<FaultKind, Fired>,
    /// How long each seed took.
    pub(crate) took: Vec<(Duration, u64)>,
    pub(crate) failures: BTreeMap<u64, Vec<Violation>>,
}

/// How often a kind of fault had an effect.
#[derive(Debug, Default)]
pub(crate) struct Fired {
    pub(crate) times: u64,
    pub(crate) in_seeds: u64,
    /// Some of these seeds, and their hashes: of the outcome and of the whole.
    pub(crate) some: BTreeMap<u64, (u64, u64)>,
}

/// So many seeds are kept of each kind.
const SOME: usize = 200;

enum Message {
    Begins(usize, u64),
    Done(usize, Box<Outcome>, bool),
}

/// Runs them all. A seed that does not end is told by its number, and ends the process: its thread
/// cannot be stopped.
pub(crate) fn campaign(order: &Order, mut progress: impl FnMut(&Tally)) -> Tally {
    let next = AtomicU64::new(0);
    let stop_at = AtomicU64::new(order.seeds);
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        for worker in 0..order.threads.max(1) {
            let (sender, next, stop_at) = (sender.clone(), &next, &stop_at);
            thread::Builder::new()
                .name(format!("sim-{worker}"))
                .spawn_scoped(scope, move || work(worker, order, (next, stop_at), &sender))
                .expect("a thread can be started");
        }
        drop(sender);
        add_up(order, &receiver, |tally| {
            if tally.failures.len() >= order.most_failures {
                stop_at.store(0, Ordering::Relaxed);
            }
            progress(tally);
        })
    })
}

fn work(
    worker: usize,
    order: &Order,
    (next, stop_at): (&AtomicU64, &AtomicU64),
    sender: &Sender<Message>,
) {
    let time = Time::default();
    let _plant = order.set_planted();
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        if index >= stop_at.load(Ordering::Relaxed) {
            return;
        }
        let seed = order.from.wrapping_add(index);
        // Nobody listens any more: the campaign is over.
        if sender.send(Message::Begins(worker, seed)).is_err() {
            return;
        }
        let began = time.now();
        let scenario = draw(seed, order.all);
        let mut report = attempt(&scenario, false);
        let took = time.now() - began;
        let twice = derive(seed, "twice", 0) % 100 == 0;
        if twice {
            compare(&mut report, &attempt(&scenario, false));
        }
        let outcome = Box::new(Outcome { report, took });
        if sender.send(Message::Done(worker, outcome, twice)).is_err() {
            return;
        }
    }
}

/// The property that a run violates that is not the same twice.
pub(super) const DETERMINISM: &str = "determinism";

/// A second run of the same scenario has to be the same.
pub(super) fn compare(first: &mut Report, second: &Report) {
    if first.hash != second.hash {
        first.violations.push(Violation {
            property: DETERMINISM,
            at: first.simulated,
            text: format!(
                "a second run had hash {:016x} instead of {:016x}",
                second.hash, first.hash
            ),
        });
    }
}

/// The scenario of a seed.
pub(crate) fn draw(seed: u64, all: bool) -> Scenario {
    Scenario::draw(seed, if all { Mix::All } else { Mix::Default })
}

/// So often somebody looks at the clock.
pub(super) const EVERY: Duration = Duration::from_secs(1);

/// Until the last worker is gone.
fn add_up(order: &Order, receiver: &Receiver<Message>, mut seen: impl FnMut(&Tally)) -> Tally {
    let mut watchdog = Watchdog::new(order.longest_seed);
    let mut tally = Tally::default();
    loop {
        match receiver.recv_timeout(EVERY) {
            Ok(Message::Begins(worker, seed)) => {
                watchdog.begins(worker, format!("SIM_SEED={seed}"));
            }
            Ok(Message::Done(worker, outcome, twice)) => {
                watchdog.ends(worker);
                tally.twice += u64::from(twice);
                tally.add(*outcome);
                seen(&tally);
            }
            Err(RecvTimeoutError::Timeout) => seen(&tally),
            Err(RecvTimeoutError::Disconnected) => return tally,
        }
        watchdog.look();
    }
}

impl Tally {
    fn add(&mut self, outcome: Outcome) {
        let Outcome { report, took } = outcome;
        self.seeds += 1;
        self.records += report.records;
        self.polls += report.polls;
        self.simulated += report.simulated;
        self.coverage.add(&report.coverage);
        self.coverage.cells(&report.cells);
        self.took.push((took, report.seed));
        for (kind, times) in &report.fired {
            let fired = self.fired.entry(*kind).or_default();
            fired.times += times;
            fired.in_seeds += 1;
            // The lowest ones, whoever came first: the sample does not depend on the machine.
            fired
                .some
                .insert(report.seed, (report.outcome_hash, report.hash));
            if fired.some.len() > SOME {
                fired.some.pop_last();
            }
        }
        if !report.violations.is_empty() {
            self.failures.insert(report.seed, report.violations);
        }
    }

    pub(crate) fn violations(&self) -> usize {
        self.failures.values().map(Vec::len).sum()
    }

    /// How often faults had an effect.
    pub(crate) fn faults(&self) -> u64 {
        self.fired.values().map(|fired| fired.times).sum()
    }
}

/// What a kind of fault changes: of seeds in which it fired, how many have another outcome without it.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Difference {
    pub(crate) tried: u64,
    pub(crate) outcome: u64,
    pub(crate) anything: u64,
}

/// Runs seeds again, without one kind each time, until each kind has made a difference `enough`
/// times, or the time is over.
pub(crate) fn differences(
    order: &Order,
    tally: &Tally,
    (enough, time): (u64, Duration),
) -> BTreeMap<FaultKind, Difference> {
    let clock = Time::default();
    let until = clock.now() + time;
    let kinds: Vec<_> = tally.fired.iter().collect();
    let next = AtomicU64::new(0);
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        for worker in 0..order.threads.max(1) {
            let (sender, kinds, next, clock) = (sender.clone(), &kinds, &next, clock.clone());
            let job = move || {
                let _plant = order.set_planted();
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let kind = usize::try_from(index).ok().and_then(|at| kinds.get(at));
                    let Some((kind, fired)) = kind else { return };
                    let is_over = || clock.now() >= until;
                    let found = difference(order, (**kind, fired), enough, is_over);
                    let _ = sender.send((**kind, found));
                }
            };
            thread::Builder::new()
                .name(format!("sim-{worker}"))
                .spawn_scoped(scope, job)
                .expect("a thread can be started");
        }
        drop(sender);
        receiver.iter().collect()
    })
}

fn difference(
    order: &Order,
    (kind, fired): (FaultKind, &Fired),
    enough: u64,
    is_over: impl Fn() -> bool,
) -> Difference {
    let mut found = Difference::default();
    for (seed, (outcome_hash, hash)) in &fired.some {
        let seen = if kind.is_hidden_from_the_application() {
            found.anything
        } else {
            found.outcome
        };
        if seen >= enough || is_over() {
            break;
        }
        let mut scenario = draw(*seed, order.all);
        scenario.faults.retain(|fault| fault.kind != kind);
        let report = attempt(&scenario, false);
        found.tried += 1;
        found.outcome += u64::from(report.outcome_hash != *outcome_hash);
        found.anything += u64::from(report.hash != *hash);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(from: u64, seeds: u64) -> Order {
        Order {
            from,
            seeds,
            all: false,
            threads: 2,
            most_failures: 1,
            longest_seed: Duration::from_secs(100),
            plant: None,
        }
    }

    #[test]
    fn seed_run_twice_and_on_two_threads_at_once_has_one_hash() {
        let alone: Vec<u64> = (0..4).map(hash).collect();
        thread::scope(|scope| {
            let at_once: Vec<_> = (0..2)
                .map(|_| scope.spawn(|| (0..4).map(hash).collect::<Vec<_>>()))
                .collect();
            for thread in at_once {
                assert_eq!(thread.join().unwrap(), alone);
            }
        });
        assert_ne!(alone[0], alone[1]);
    }

    fn hash(seed: u64) -> u64 {
        attempt(&draw(seed, false), false).hash
    }

    #[test]
    fn campaign_runs_each_seed_once() {
        let tally = campaign(&order(5, 7), |_| {});
        let mut seeds: Vec<u64> = tally.took.iter().map(|(_, seed)| *seed).collect();
        seeds.sort_unstable();
        assert_eq!(seeds, [5, 6, 7, 8, 9, 10, 11]);
        assert_eq!(tally.seeds, 7);
    }

    #[cfg(feature = "planted")]
    #[test]
    fn campaign_with_a_plant_has_it_on_every_worker() {
        let planted = Order {
            plant: Some(Plant::CompletedTwice),
            most_failures: 100,
            ..order(0, 6)
        };
        let tally = campaign(&planted, |_| {});
        assert!(tally.failures.len() >= 3, "{:?}", tally.failures.keys());
        assert!(campaign(&order(0, 6), |_| {}).failures.is_empty());
    }

    #[test]
    fn second_run_that_is_not_the_same_is_a_violation() {
        let mut first = attempt(&draw(1, false), false);
        let other = attempt(&draw(2, false), false);
        compare(&mut first, &other);
        assert_eq!(first.violations[0].property, DETERMINISM);
    }
}
