//! All kinds together.

use super::*;
use crate::sim::faults::{Parts, draw};
use crate::sim::run::run;

fn drawn(seed: u64) -> Scenario {
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
    scenario
}

#[test]
fn survey() {
    let mut shares = Vec::new();
    for seed in 0..200 {
        let scenario = drawn(seed);
        let began = std::time::SystemTime::now();
        let report = run(&scenario, true);
        let kinds: Vec<_> = scenario
            .faults
            .iter()
            .map(|plan| {
                let fired = report.fired.get(&plan.kind).copied().unwrap_or(0);
                format!("{}:{}={fired}", plan.kind.name(), plan.strength)
            })
            .collect();
        let acked = acknowledged(&report.trace);
        shares.push(acked * 100 / report.records.max(1));
        println!(
            "seed {seed} acked {acked}/{} polls {} wall {:?} violations {:?} {kinds:?}",
            report.records,
            report.polls,
            began.elapsed().unwrap(),
            report.violations,
        );
    }
    shares.sort_unstable();
    println!("shares {shares:?}");
}
