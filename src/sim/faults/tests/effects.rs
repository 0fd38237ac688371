//! Each kind alone.

use super::*;
use crate::sim::run::run;

#[test]
fn survey() {
    let plain = run(&busy(7), true);
    for kind in FaultKind::ALL {
        let mut scenario = busy(7);
        scenario.faults = vec![alone(*kind, 7)];
        let began = std::time::SystemTime::now();
        let report = run(&scenario, true);
        println!(
            "{:<28} fired {:>6} differs {} acked {:>4}/{:>4} polls {:>7} violations {:?} wall {:?}",
            kind.name(),
            report.fired.get(kind).copied().unwrap_or(0),
            words(&report.trace) != words(&plain.trace),
            acknowledged(&report.trace),
            report.records,
            report.polls,
            report.violations,
            began.elapsed().unwrap(),
        );
    }
}

/// Without what the faults themselves say.
fn words(trace: &str) -> Vec<&str> {
    trace
        .lines()
        .filter(|line| !line.contains(" fault "))
        .collect()
}
