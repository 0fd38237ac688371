//! A whole run without faults, and the plain scenario that other tests start from. Thread: the one that
//! simulates. Locks: none.

use super::super::plain::Plain as _;
use super::super::scenario::{Habits, ThreadPlan};
use super::*;

/// Two threads with callbacks, three brokers, a topic of three partitions; nothing goes wrong.
pub(in crate::sim) fn simple(seed: u64) -> Scenario {
    let mut scenario = Scenario::plain();
    scenario.seed = seed;
    scenario.config.bootstrap_by_name = true;
    scenario.cluster.seed = seed;
    scenario.cluster.brokers = 3;
    scenario.cluster.topics[0].partitions = 3;
    scenario.threads = (0..2)
        .map(|seed| ThreadPlan {
            seed,
            calls: 1_000,
            pause_us: 300,
            habits: Habits {
                callback: 1_000,
                ..Habits::default()
            },
            ..ThreadPlan::plain()
        })
        .collect();
    scenario
}

#[test]
fn run_without_faults_acknowledges_everything_and_is_the_same_twice() {
    let report = run(&simple(1), true);
    assert_eq!(report.violations, []);
    assert_eq!(report.records, 2003, "three of them are probes");
    assert!(
        report.trace.contains("record 1999: Acked"),
        "{}",
        &report.trace[report.trace.len() - 2000..]
    );
    assert_eq!(report.hash, run(&simple(1), false).hash);
}
