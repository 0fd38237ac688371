//! A whole run without faults, and the plain scenario that other tests start from. Thread: the one that
//! simulates. Locks: none.

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
            topic_share: 100,
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
            callback_thread: false,
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
