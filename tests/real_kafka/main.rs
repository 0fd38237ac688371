//! Tests against real Apache Kafka, each version's brokers started once and shared.
//!
//! A trial is a line in a table: a name and a function that gets the [`Stage`]. Without `java`,
//! `javac` or `mvn` all trials are ignored, with the reason; under `CI=true` that is a failure.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "these are tests on real processes: they wait on the real clock, and panics are reports"
)]

mod brokers;
mod conformance;
mod errors;
mod failover;
mod growth;
mod library;
mod orphans;
mod quickstart;
mod stage;
mod stream;

use std::env;
use std::sync::Arc;

use kafka_test_support::real_kafka::{self, Failure, Version};
use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::stage::Stage;

/// What a trial ends with.
type Outcome = Result<(), Failed>;

/// A line of a table of trials.
struct Entry {
    name: &'static str,
    run: fn(&Stage) -> Outcome,
}

impl Entry {
    const fn new(name: &'static str, run: fn(&Stage) -> Outcome) -> Self {
        Self { name, run }
    }
}

/// A line of a table of trials that are run with each version.
struct VersionEntry {
    name: &'static str,
    run: fn(&Stage, Version) -> Outcome,
}

impl VersionEntry {
    const fn new(name: &'static str, run: fn(&Stage, Version) -> Outcome) -> Self {
        Self { name, run }
    }
}

fn main() {
    if env::var_os(orphans::HOLDER).is_some() {
        orphans::hold();
    }
    let mut arguments = Arguments::from_args();
    // Each trial keeps brokers and a JVM busy: more than two at a time only make each other late.
    arguments.test_threads = arguments.test_threads.or(Some(2));
    let stage = Arc::new(Stage::default());
    let mut trials = Vec::new();
    for version in Version::ALL {
        let tables = [
            brokers::EACH_VERSION,
            library::EACH_VERSION,
            growth::EACH_VERSION,
            errors::EACH_VERSION,
            quickstart::EACH_VERSION,
        ];
        for VersionEntry { name, run } in tables.into_iter().flatten() {
            let name = format!("{version}::{name}");
            trials.push(trial(name, &stage, move |stage| run(stage, version)));
        }
    }
    let tables = [
        brokers::TRIALS,
        orphans::TRIALS,
        conformance::TRIALS,
        library::TRIALS,
        growth::TRIALS,
        errors::TRIALS,
    ];
    for Entry { name, run } in tables.into_iter().flatten() {
        trials.push(trial((*name).to_owned(), &stage, run));
    }
    // Those that have to wait for each other, evenly among those that do not.
    let every = trials.len().div_ceil(failover::TRIALS.len());
    for (index, Entry { name, run }) in failover::TRIALS.iter().enumerate() {
        let at = index * (every + 1);
        trials.insert(at.min(trials.len()), trial((*name).to_owned(), &stage, run));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    // The exit of a process runs no destructors, and the brokers are to end in good order.
    drop(stage);
    conclusion.exit();
}

fn trial(
    name: String,
    stage: &Arc<Stage>,
    run: impl Fn(&Stage) -> Outcome + Send + 'static,
) -> Trial {
    let stage = Arc::clone(stage);
    Trial::ignorable_test(name, move || match real_kafka::available() {
        Ok(()) => run(&stage).map(|()| Completion::Completed),
        Err(reason) if is_ci() => Err(reason.into()),
        Err(reason) => Ok(Completion::ignored_with(reason)),
    })
}

fn is_ci() -> bool {
    env::var("CI").is_ok_and(|value| value == "true")
}

/// A check that reports instead of ending the thread.
fn ensure(is_so: bool, what: impl Fn() -> String) -> Result<(), Failure> {
    if is_so {
        Ok(())
    } else {
        Err(Failure::new(what()))
    }
}
