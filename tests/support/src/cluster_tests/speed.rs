//! How fast the cluster is when nothing but memory lies between it and a client.

use std::time::{Duration, Instant};

use crate::{Cluster, ClusterConfig, Fault, On, tap};

use super::{NOW, TestBatch, frame, to_partition};

const CHUNK: i32 = 10_000;

/// One batch of one record of a hundred bytes.
fn one_record(sequence: i32) -> Vec<u8> {
    let mut batch = TestBatch::sequenced(0, sequence, 1);
    for record in &mut batch.records {
        record.key = None;
        record.value = Some(&[7; 100]);
    }
    frame(12, sequence, &to_partition(0, batch.encode()))
}

/// Takes and answers requests that were encoded before, one by one.
fn produce_requests(config: ClusterConfig, requests: i32) -> (Cluster, Duration) {
    let mut cluster = Cluster::new(config.topic("t", 1));
    // Faults that stand and do not strike, as in most of a simulation.
    for partition in 1..10 {
        let elsewhere = On::produce().partition("t", partition);
        cluster.fault(Fault::error(elsewhere, 7));
    }
    let connection = cluster.connect(1, NOW).unwrap();
    let mut out = Vec::new();
    let mut spent = Duration::ZERO;
    for chunk in 0..requests / CHUNK {
        let sequences = chunk * CHUNK..(chunk + 1) * CHUNK;
        let frames: Vec<Vec<u8>> = sequences.map(one_record).collect();
        let started = clock();
        for frame in &frames {
            cluster.receive(connection, frame, NOW);
            cluster.output(connection, &mut out);
            out.clear();
        }
        spent += started.elapsed();
    }
    (cluster, spent)
}

#[allow(clippy::disallowed_methods, reason = "it measures")]
fn clock() -> Instant {
    Instant::now()
}

/// `cargo test --release -p kafka-producer-test-support -- --ignored --nocapture speed_in_memory`
#[test]
#[ignore = "prints figures and checks nothing"]
fn speed_in_memory_of_small_batches() {
    const REQUESTS: i32 = 400_000;
    for (name, config) in [
        ("with a history", ClusterConfig::brokers(1)),
        ("lean", ClusterConfig::brokers(1).lean()),
    ] {
        let (cluster, spent) = produce_requests(config, REQUESTS);
        assert_eq!(cluster.end_offset("t", 0), i64::from(REQUESTS));
        let rate = f64::from(REQUESTS) / spent.as_secs_f64();
        println!("{name}: {rate:.0} requests/s");
    }
}

/// `cargo test --release -p kafka-producer-test-support -- --ignored --nocapture speed_of_the_tap`
#[test]
#[ignore = "prints figures and checks nothing"]
fn speed_of_the_tap() {
    let frames: Vec<Vec<u8>> = (0..CHUNK).map(one_record).collect();
    let started = clock();
    for frame in &frames {
        tap::read_request(&frame[4..]).unwrap();
    }
    let rate = f64::from(CHUNK) / started.elapsed().as_secs_f64();
    println!("the tap: {rate:.0} requests/s");
}
