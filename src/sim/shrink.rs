//! From a scenario that fails to the smallest one that still fails the same way.
//!
//! Thread: any. Locks: none.
//! Parts are taken away by delta debugging (half of them, a quarter, one by one); then numbers are
//! made smaller and everything is set to what it is in a plain scenario, value by value. All of it
//! is repeated until nothing more goes, or the budget is used up.

use std::time::{Duration, Instant};

use super::plain::Plain;
use super::scenario::{Ending, Scenario};
use super::text::{self, Values};
use crate::time::Time;

/// How much may be tried.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    pub(crate) runs: u32,
    pub(crate) time: Duration,
}

impl Budget {
    pub(crate) const USUAL: Self = Self {
        runs: 2_000,
        time: Duration::from_secs(60),
    };
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Shrunk {
    pub(crate) scenario: Scenario,
    pub(crate) runs: u32,
}

/// The smallest scenario found for which `still_fails`.
pub(crate) fn shrink(
    scenario: &Scenario,
    budget: Budget,
    still_fails: impl FnMut(&Scenario) -> bool,
) -> Shrunk {
    let time = Time::default();
    let mut shrinker = Shrinker {
        best: scenario.clone(),
        runs: 0,
        budget,
        until: time.now() + budget.time,
        time,
        still_fails,
    };
    while shrinker.round() {}
    Shrunk {
        scenario: shrinker.best,
        runs: shrinker.runs,
    }
}

struct Shrinker<F> {
    best: Scenario,
    runs: u32,
    budget: Budget,
    until: Instant,
    time: Time,
    still_fails: F,
}

impl<F: FnMut(&Scenario) -> bool> Shrinker<F> {
    fn has_more(&self) -> bool {
        self.runs < self.budget.runs && self.time.now() < self.until
    }

    /// Whether the smaller one fails too; then it is the one to go on with.
    fn takes(&mut self, smaller: Scenario) -> bool {
        if !self.has_more() {
            return false;
        }
        self.runs += 1;
        let fails = (self.still_fails)(&smaller);
        if fails {
            self.best = smaller;
        }
        fails
    }

    /// Everything once. False: nothing could be taken away, or the budget is used up.
    fn round(&mut self) -> bool {
        let mut any = self.remove(|scenario| &mut scenario.faults, 0);
        any |= self.remove(|scenario| &mut scenario.config.contradictions, 0);
        any |= self.remove(|scenario| &mut scenario.threads, 1);
        any |= self.fewer_calls();
        any |= self.remove(|scenario| &mut scenario.cluster.topics, 1);
        any |= self.plain_ending();
        any |= self.plain_values();
        any |= self.smaller_numbers();
        any && self.has_more()
    }

    /// Delta debugging over the items of one list.
    fn remove<T>(&mut self, of: impl Fn(&mut Scenario) -> &mut Vec<T>, least: usize) -> bool {
        let mut any = false;
        let count = |best: &mut Scenario| of(best).len();
        let mut piece = count(&mut self.best);
        while piece > 0 {
            let mut at = 0;
            while at < count(&mut self.best) {
                let mut smaller = self.best.clone();
                let items = of(&mut smaller);
                let end = items.len().min(at + piece);
                if items.len() - (end - at) < least {
                    break;
                }
                items.drain(at..end);
                if self.takes(smaller) {
                    any = true;
                } else {
                    at += piece;
                }
            }
            piece /= 2;
        }
        any
    }

    /// A thread that makes fewer calls makes the first of them.
    fn fewer_calls(&mut self) -> bool {
        let mut any = false;
        for thread in 0..self.best.threads.len() {
            let mut less = self.best.threads[thread].calls;
            while less > 0 {
                let mut smaller = self.best.clone();
                let calls = &mut smaller.threads[thread].calls;
                less = less.min(*calls);
                *calls -= less;
                if less > 0 && self.takes(smaller) {
                    any = true;
                } else {
                    less /= 2;
                }
            }
        }
        any
    }

    fn plain_ending(&mut self) -> bool {
        let mut smaller = self.best.clone();
        smaller.ending = Ending::Close;
        self.best.ending != Ending::Close && self.takes(smaller)
    }

    /// Each value as in a plain scenario: first all of a part together, then one by one.
    fn plain_values(&mut self) -> bool {
        let mut any = false;
        for part in PARTS {
            any |= self.set_plain(|name| name.starts_with(part));
        }
        let names = text::values(&self.best).into_iter().map(|(name, _)| name);
        for name in names.collect::<Vec<_>>() {
            any |= self.set_plain(|other| other == name);
        }
        any
    }

    fn set_plain(&mut self, chosen: impl Fn(&str) -> bool) -> bool {
        let plain = plain_like(&self.best);
        let mut values = text::values(&self.best);
        let mut changed = false;
        for (name, value) in &mut values {
            if chosen(name) && !is_kept(name) {
                let to = plain.iter().find(|(other, _)| other == name);
                let is_new =
                    |to: &str| to != value && !(is_smaller_better(name) && is_less(value, to));
                if let Some((_, to)) = to.filter(|(_, to)| is_new(to)) {
                    value.clone_from(to);
                    changed = true;
                }
            }
        }
        changed && text::from_values(&values).is_ok_and(|smaller| self.takes(smaller))
    }

    /// Partitions, brokers, durations, sizes: by halves, then by one.
    fn smaller_numbers(&mut self) -> bool {
        let mut any = false;
        let names = text::values(&self.best).into_iter().map(|(name, _)| name);
        for name in names.collect::<Vec<_>>() {
            if is_smaller_better(&name) {
                any |= self.halve(&name);
            }
        }
        any
    }

    fn halve(&mut self, name: &str) -> bool {
        let mut any = false;
        let mut divisor = 2;
        while divisor <= 16 {
            let mut values = text::values(&self.best);
            let Some((_, value)) = values.iter_mut().find(|(other, _)| other == name) else {
                return any;
            };
            let Some(smaller) = less(value, divisor) else {
                return any;
            };
            *value = smaller;
            if text::from_values(&values).is_ok_and(|smaller| self.takes(smaller)) {
                any = true;
            } else {
                divisor *= 2;
            }
        }
        any
    }
}

const PARTS: &[&str] = &["config.", "cluster.", "threads."];

/// A plain scenario with as many threads, topics and faults.
fn plain_like(scenario: &Scenario) -> Values {
    let mut plain = Scenario::plain();
    plain.threads = scenario.threads.iter().map(|_| Plain::plain()).collect();
    plain.faults = scenario.faults.iter().map(|_| Plain::plain()).collect();
    let topics = &scenario.cluster.topics;
    plain.cluster.topics = topics.iter().map(|_| Plain::plain()).collect();
    text::values(&plain)
}

/// Seeds say what happens, and lists were shortened before; what a fault is and when, is no matter
/// of taste either.
fn is_kept(name: &str) -> bool {
    let field = name.rsplit('.').next().unwrap_or(name);
    ["seed", "count", "calls", "name"].contains(&field)
        || name.starts_with("faults.")
        || name.starts_with("ending.")
        || name == "safety"
}

fn is_smaller_better(name: &str) -> bool {
    let field = name.rsplit('.').next().unwrap_or(name);
    let named = [
        "brokers",
        "partitions",
        "strength",
        "until",
        "safety",
        "at",
        "timeout",
        "largest_value",
        "huge_records",
        "pause_us",
    ];
    named.contains(&field)
}

/// Whole units of a number.
fn number(value: &str) -> Option<(u64, &'static str)> {
    let (number, unit) = match value.strip_suffix("ms") {
        Some(number) => (number.split('.').next()?, "ms"),
        None => (value, ""),
    };
    Some((number.parse().ok()?, unit))
}

fn is_less(value: &str, than: &str) -> bool {
    number(value) < number(than)
}

/// A number that is one part in `divisor` smaller, at least 1.
fn less(value: &str, divisor: u64) -> Option<String> {
    let (number, unit) = number(value)?;
    let step = number / divisor;
    (step > 0).then(|| format!("{}{unit}", number - step))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::faults::FaultPlan;

    fn large() -> Scenario {
        let mut scenario = Scenario::plain();
        scenario.threads = (0..5).map(|_| Plain::plain()).collect();
        for (seed, thread) in (100..).zip(&mut scenario.threads) {
            thread.seed = seed;
            thread.calls = 1000;
        }
        scenario.cluster.brokers = 5;
        scenario.cluster.topics[0].partitions = 12;
        scenario.config.linger_ms = 33;
        scenario.config.acks = 1;
        scenario.faults = (0..9)
            .map(|seed| FaultPlan {
                seed,
                ..Plain::plain()
            })
            .collect();
        scenario
    }

    #[test]
    fn failure_of_one_fault_and_one_thread_is_left_alone() {
        let culprit = |scenario: &Scenario| {
            let mut threads = scenario.threads.iter();
            scenario.faults.iter().any(|fault| fault.seed == 7)
                && threads.any(|thread| thread.seed == 103 && thread.calls >= 37)
                && scenario.cluster.topics[0].partitions >= 3
                && scenario.config.acks == 1
        };
        let shrunk = shrink(&large(), Budget::USUAL, culprit);
        let left = shrunk.scenario;
        assert_eq!(left.faults.len(), 1);
        assert_eq!((left.threads.len(), left.threads[0].calls), (1, 37));
        assert_eq!(left.cluster.topics[0].partitions, 3);
        assert_eq!(left.cluster.brokers, 1);
        assert_eq!((left.config.acks, left.config.linger_ms), (1, 5));
        assert!(shrunk.runs < 300, "{} runs", shrunk.runs);
    }

    #[test]
    fn failure_that_needs_two_distant_faults_keeps_both() {
        let culprit = |scenario: &Scenario| {
            let has = |seed| scenario.faults.iter().any(|fault| fault.seed == seed);
            has(0) && has(8)
        };
        let left = shrink(&large(), Budget::USUAL, culprit).scenario;
        let seeds: Vec<u64> = left.faults.iter().map(|fault| fault.seed).collect();
        assert_eq!(seeds, [0, 8]);
    }

    #[test]
    fn failure_of_everything_ends_with_nothing_left() {
        let shrunk = shrink(&large(), Budget::USUAL, |_| true);
        assert_eq!(shrunk.scenario.threads[0].calls, 0);
        assert!(shrunk.runs < 100, "{} runs", shrunk.runs);
    }

    #[test]
    fn budget_of_runs_is_kept() {
        let budget = Budget {
            runs: 17,
            ..Budget::USUAL
        };
        let mut runs = 0;
        let shrunk = shrink(&large(), budget, |scenario| {
            runs += 1;
            scenario.threads[0].calls > 0
        });
        assert_eq!((runs, shrunk.runs), (17, 17));
    }
}
