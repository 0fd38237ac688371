//! All kinds together, and the kinds that are drawn.

use super::*;
use crate::sim::draw::Mix;
use crate::sim::faults::{Parts, draw};
use crate::sim::run::{Report, run};
use crate::sim::streams::{Draw, stream};

/// A panic of what surrounds the product, which the run tells as one of the product's.
fn harness_panics(report: &Report) -> Vec<&str> {
    let texts = report
        .violations
        .iter()
        .map(|violation| violation.text.as_str());
    texts.filter(|text| text.contains("src/sim/")).collect()
}

#[test]
fn all_kinds_together_leave_the_world_standing() {
    for seed in 0..6 {
        let mut scenario = busy(seed);
        scenario.faults = FaultKind::ALL
            .iter()
            .map(|kind| FaultPlan {
                strength: u32::try_from(stream(seed, kind.name()).between(1, 999)).unwrap(),
                ..alone(*kind, seed)
            })
            .collect();
        let report = run(&scenario, false);
        assert_eq!(harness_panics(&report), [] as [&str; 0], "seed {seed}");
        assert!(report.fired.len() > 30, "{:?}", report.fired);
        assert_eq!(report.hash, run(&scenario, false).hash, "seed {seed}");
    }
}

#[test]
fn one_plan_less_leaves_the_others_as_they_are() {
    let scenario = Scenario::draw(3, Mix::Default);
    let parts = |kinds| Parts {
        cluster: &scenario.cluster,
        config: &scenario.config,
        threads: &scenario.threads,
        safety: scenario.safety,
        kinds,
    };
    let many = (0..200)
        .map(|seed| (seed, draw(seed, &parts(FaultKind::ALL))))
        .find(|(_, plans)| plans.len() > 5);
    let (seed, many) = many.unwrap();
    let kinds: Vec<FaultKind> = many[1..].iter().map(|plan| plan.kind).collect();
    let fewer = draw(seed, &parts(&kinds));
    assert_eq!(format!("{fewer:?}"), format!("{:?}", &many[1..]));
}

#[test]
fn draws_are_none_one_everywhere_or_some_as_often_as_they_should() {
    let (mut none, mut everywhere, mut seen) = (0, 0, BTreeSet::new());
    for seed in 0..2_000 {
        let scenario = busy(seed);
        let plans = draw(
            seed,
            &Parts {
                cluster: &scenario.cluster,
                config: &scenario.config,
                threads: &scenario.threads,
                safety: scenario.safety,
                kinds: FaultKind::ALL,
            },
        );
        seen.extend(plans.iter().map(|plan| plan.kind));
        match plans.as_slice() {
            [] => none += 1,
            [one] if one.is_everywhere() => everywhere += 1,
            many => assert!(many.iter().all(|plan| !plan.is_everywhere())),
        }
    }
    // These are idempotent; others have none, and one alone, twice as often.
    assert!((25..=110).contains(&none), "{none}");
    assert!((90..=200).contains(&everywhere), "{everywhere}");
    assert_eq!(seen.len(), FaultKind::ALL.len());
}

#[test]
fn most_seeds_have_most_of_their_records_acknowledged() {
    let mut shares: Vec<u64> = (0..SEEDS).map(acknowledged_share).collect();
    shares.sort_unstable();
    println!("per cent acknowledged, by seed: {shares:?}");
    let good = shares.iter().filter(|share| **share > 50).count();
    assert!(good * 10 > shares.len() * 8, "{shares:?}");
}

fn acknowledged_share(seed: u64) -> u64 {
    let mut scenario = busy(seed);
    scenario.faults = draw(
        seed,
        &Parts {
            cluster: &scenario.cluster,
            config: &scenario.config,
            threads: &scenario.threads,
            safety: scenario.safety,
            kinds: FaultKind::ALL,
        },
    );
    let report = run(&scenario, true);
    acknowledged(&report.trace) * 100 / report.records.max(1)
}

const SEEDS: u64 = 40;
