//! Whole runs: without faults, and tools to look at many. Thread: the one that simulates. Locks: none.

use super::super::scenario::{ClusterPlan, ConfigPlan, Habits, ThreadPlan, TopicPlan};
use super::*;

pub(in crate::sim) fn simple(seed: u64) -> Scenario {
    Scenario {
        seed,
        config: ConfigPlan {
            acks: -1,
            idempotence: true,
            max_in_flight: 5,
            linger_ms: 5,
            batch_size: 16384,
            buffer_memory: 1 << 20,
            max_request_size: 1 << 20,
            delivery_timeout_ms: 120_000,
            request_timeout_ms: 30_000,
            max_block_ms: 60_000,
            retries: i32::MAX as u32,
            retry_backoff_ms: (100, 1000),
            reconnect_backoff_ms: (50, 1000),
            setup_timeout_ms: (10_000, 30_000),
            max_idle_ms: Some(540_000),
            metadata_max_age_ms: 300_000,
            metadata_max_idle_ms: 300_000,
            rebootstrap_trigger_ms: None,
            ignore_keys: false,
            first_sequence: 0,
            contradictions: Vec::new(),
            bootstrap_servers: 1,
            bootstrap_by_name: true,
        },
        cluster: ClusterPlan {
            seed,
            brokers: 3,
            topics: vec![TopicPlan {
                name: "t".to_owned(),
                partitions: 3,
                log_append_time: false,
                min_insync_replicas: 1,
                max_message_bytes: 1 << 20,
            }],
            versions: 0,
            producer_window: 5,
            forgets_after_ms: None,
            refuses_unknown_first_sequence: false,
            first_epoch: 0,
        },
        threads: (0..2)
            .map(|seed| ThreadPlan {
                seed,
                calls: 1000,
                pause_us: 300,
                burst: 1,
                largest_value: 100,
                huge_records: 0,
                deaf: false,
                habits: Habits {
                    callback: 1000,
                    ..Habits::default()
                },
            })
            .collect(),
        faults: Vec::new(),
        safety: Duration::from_secs(60),
        ending: Ending::Close,
    }
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

/// For looking at many: `SEEDS=from..to`.
#[test]
#[ignore = "a tool"]
fn explore() {
    let range = std::env::var("SEEDS").unwrap_or_else(|_| "0..20".to_owned());
    let (from, to) = range.split_once("..").expect("a range");
    let words = std::env::var("WORDS").is_ok();
    let (from, to): (u64, u64) = (from.parse().unwrap(), to.parse().unwrap());
    for seed in from..to {
        let mut scenario = Scenario::draw(seed, crate::sim::draw::Mix::Default);
        if std::env::var("CALM").is_ok() {
            scenario.faults.clear();
        }
        let clock = Time::default();
        let began = clock.now();
        let report = run(&scenario, words);
        let shown: Vec<_> = report.violations.iter().take(4).collect();
        let took = clock.now() - began;
        println!(
            "{seed}: records={} polls={} simulated={:?} took={took:?} violations={} {shown:#?}",
            report.records,
            report.polls,
            report.simulated,
            report.violations.len()
        );
        if words {
            println!("{scenario:#?}\n{}", report.trace);
        }
    }
}

#[test]
fn run_of_many_seeds_keeps_every_promise() {
    use super::super::draw::Mix;
    let from: u64 = std::env::var("SIM_FROM").map_or(0, |from| from.parse().unwrap());
    let seeds: u64 = std::env::var("SIM_SEEDS").map_or(10, |seeds| seeds.parse().unwrap());
    for seed in from..from + seeds {
        let scenario = Scenario::draw(seed, Mix::Default);
        let started = Time::default().now();
        let report = run(&scenario, false);
        let took = Time::default().now() - started;
        println!(
            "{seed}: {took:?} simulated {:?} records {} polls {} {:?}",
            report.simulated,
            report.records,
            report.polls,
            report.violations.iter().take(3).collect::<Vec<_>>()
        );
    }
}
