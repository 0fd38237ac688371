//! Every kind does something, alone and together with all others.

mod effects;
mod swarm;

use std::collections::BTreeSet;
use std::time::Duration;

use super::kinds::FaultKind;
use super::plan::{FULL_STRENGTH, FaultPlan};
use crate::sim::run::run;
use crate::sim::run::tests::simple;
use crate::sim::scenario::Scenario;
use crate::sim::streams::derive;

/// Twenty seconds of sending, in which connections, metadata and requests come and go.
fn busy(seed: u64) -> Scenario {
    let mut scenario = simple(seed);
    for thread in &mut scenario.threads {
        thread.calls = 60;
        thread.pause_us = 330_000;
        thread.habits.callback = 700;
        thread.habits.wait_for_handle = 100;
        thread.habits.keep_handle = 300;
    }
    scenario.config.request_timeout_ms = 3_000;
    scenario.config.metadata_max_age_ms = 2_000;
    scenario.config.delivery_timeout_ms = 60_000;
    scenario.config.max_block_ms = 10_000;
    scenario.config.max_idle_ms = Some(900);
    scenario.cluster.refuses_unknown_first_sequence = true;
    scenario.cluster.brokers = 2;
    scenario.cluster.topics[0].partitions = 1;
    scenario
}

/// A kind alone, everywhere, all the time.
fn alone(kind: FaultKind, seed: u64) -> FaultPlan {
    FaultPlan {
        kind,
        seed: derive(seed, kind.name(), 0),
        strength: FULL_STRENGTH,
        from: Duration::ZERO,
        until: Duration::from_secs(60),
    }
}

/// How many records of a run, told in words, were acknowledged.
fn acknowledged(words: &str) -> u64 {
    let told = words.lines().filter_map(|line| {
        let (_, told) = line.split_once("record ")?;
        let (id, end) = told.split_once(": ")?;
        end.starts_with("Acked").then(|| id.parse::<u64>().unwrap())
    });
    u64::try_from(told.collect::<BTreeSet<_>>().len()).unwrap()
}

/// Nodes move all the time, and one of `bootstrap.servers` is all that is known at first.
fn moving(kind: FaultKind, by_name: bool) -> Scenario {
    let mut scenario = busy(3);
    scenario.config.bootstrap_by_name = by_name;
    // Probes have eight seconds then.
    scenario.config.setup_timeout_ms = (1_000, 3_000);
    scenario.faults = vec![alone(kind, 3)];
    scenario
}

#[test]
fn cluster_that_moved_is_reached_once_it_is_healed() {
    for kind in [FaultKind::AddressesChange, FaultKind::NodeReaddressed] {
        for by_name in [false, true] {
            let report = run(&moving(kind, by_name), false);
            assert!(report.fired[&kind] > 1, "{kind:?}");
            assert_eq!(report.violations, [], "{kind:?}, by name: {by_name}");
        }
    }
}

#[cfg(feature = "planted")]
#[test]
fn client_that_looks_no_name_up_again_is_found_out_although_the_world_heals() {
    use crate::planted::{Plant, set_planted};
    let _planted = set_planted(Some(Plant::R70));
    let report = run(&moving(FaultKind::AddressesChange, true), false);
    assert!(report.violations.iter().any(|it| it.property == "P10"));
}
