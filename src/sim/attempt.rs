//! A run whose panics are violations like others.
//!
//! Thread: any; the one that calls is the one that simulates. Locks: none.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{self, AssertUnwindSafe};
use std::time::Duration;

use super::coverage::Coverage;
use super::ledger::Violation;
use super::panics;
use super::run::{Report, run};
use super::scenario::Scenario;
use super::trace::take_words;

/// Runs it. A panic that comes out of the run, so of the simulator rather than of the producer, is a
/// violation of `panic`.
pub(crate) fn attempt(scenario: &Scenario, with_words: bool) -> Report {
    take_words();
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| run(scenario, with_words)));
    outcome.unwrap_or_else(|_| panicked(scenario, panics::last()))
}

fn panicked(scenario: &Scenario, text: String) -> Report {
    let violation = Violation {
        property: "panic",
        at: Duration::ZERO,
        text,
    };
    Report {
        seed: scenario.seed,
        violations: vec![violation],
        hash: 0,
        outcome_hash: 0,
        records: 0,
        polls: 0,
        fired: BTreeMap::new(),
        cells: BTreeSet::new(),
        simulated: Duration::ZERO,
        coverage: Coverage::default(),
        trace: take_words(),
    }
}

/// What has to be the same for two failures to be one: the property, and where it panicked, if so.
pub(super) fn signature(violation: &Violation) -> String {
    let place = violation.text.split_once("panicked at ");
    let place = place.and_then(|(_, rest)| rest.split_once(": "));
    match place {
        Some((place, _)) => format!("{} at {place}", violation.property),
        None => violation.property.to_owned(),
    }
}
