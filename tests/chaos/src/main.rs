//! `cargo xtask chaos`: the producer as a program, against three brokers of Apache Kafka that are
//! killed, frozen, bounced and cut off by a seeded schedule, judged by Kafka's own consumer.
//!
//! Every record is accounted for: what its handle and its callback said, and when, against what lies
//! in the logs. The last line is for scripts; the exit code says whether the run showed what it had
//! to: nothing bad, although there was enough that could have gone wrong.
#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "this is a test on real processes: it runs on the real clock, and panics are reports"
)]

mod args;
mod conductor;
mod judge;
mod ledger;
mod log_file;
mod payload;
mod producer;
mod report;
mod schedule;
mod wire;
mod workload;

use std::env;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kafka_producer::KafkaProducer;
use kafka_test_support::proxy::{FaultProxy, Watcher};
use kafka_test_support::real_kafka::{self, ClusterOptions, Failure, NewTopic, RealKafka, Version};

use crate::args::{Args, USAGE};
use crate::conductor::Conductor;
use crate::judge::{Judge, Read, Verdict};
use crate::ledger::{Entry, Ledger};
use crate::report::Report;
use crate::schedule::{Mode, NODES, Schedule};
use crate::wire::Wire;

/// Topics, and how many partitions each begins with.
const TOPICS: &[(&str, i32)] = &[("chaos-a", 8), ("chaos-b", 4)];

/// The same numbers alone.
const PARTITIONS: &[i32] = &[8, 4];

/// The workload goes on for so long when all is healed.
const SETTLE: Duration = Duration::from_secs(5);

/// For the judge to read a topic, on a machine that has more to do.
const READ: Duration = Duration::from_secs(300);

fn main() -> ExitCode {
    let args = match Args::parse(env::args().skip(1)) {
        Ok(args) => args,
        Err(wrong) => {
            eprintln!("chaos: {wrong}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&args) {
        Ok(report) => report.print(&args),
        Err(failure) => {
            eprintln!("chaos: the run could not be carried out: {failure}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> Result<Report, Failure> {
    real_kafka::available()?;
    let schedule = Schedule::draw(args.seed, args.length, args.mode);
    println!(
        "chaos: seed {}, {} faults drawn:",
        args.seed,
        schedule.len()
    );
    for planned in report::in_order(&schedule) {
        println!("  {:7.2} s  {}", planned.at.as_secs_f64(), planned.fault);
    }
    let wire = Arc::new(Wire::default());
    let watcher: Arc<dyn Watcher> = Arc::clone(&wire) as _;
    let proxy = FaultProxy::start(usize::try_from(NODES).unwrap_or(0), watcher)?;
    let kafka = RealKafka::start(&options(&proxy, args.mode))?;
    conductor::lead(&kafka, &proxy)?;
    create_topics(&kafka, args)?;
    let started = Instant::now();
    let log = env::temp_dir().join("producer.log");
    log_file::install(&log, started)?;
    println!(
        "chaos: brokers are up, the producer's log is {}",
        log.display()
    );

    let ports = proxy.ports();
    let addresses: Vec<String> = ports
        .iter()
        .map(|port| format!("127.0.0.1:{port}"))
        .collect();
    let config = producer::config(&addresses.join(","), args);
    let producer = KafkaProducer::new(config).map_err(|error| Failure::new(error.to_string()))?;
    let limit = args.delivery_timeout + Duration::from_secs(1);
    let ledger = Arc::new(Ledger::new(workload::THREADS, limit));
    let conductor = Conductor::new(&kafka, &proxy, started);
    let is_over = AtomicBool::new(false);
    let (faults, sending) = thread::scope(|scope| {
        workload::start(scope, &producer, &ledger, &is_over, args);
        let faults = conductor.run(&schedule, started + args.length);
        thread::sleep(SETTLE);
        is_over.store(true, Ordering::SeqCst);
        (faults, started.elapsed())
    });
    let faults = faults?;
    println!(
        "{:7.2} s  every handle has ended",
        started.elapsed().as_secs_f64()
    );
    let wire = wire.finish();
    let close = producer.close(limit);
    let data_losses = producer.data_losses();
    drop(producer);
    let ledger = Arc::into_inner(ledger).ok_or_else(|| Failure::new("somebody has the ledger"))?;
    let rate = ledger.acked() as f64 / sending.as_secs_f64();
    let (entries, mut contradictions) = ledger.into_parts();
    contradictions.extend(close.err().map(|error| format!("close: {error}")));
    let verdict = judge(&kafka, &entries, &contradictions)?;
    log::logger().flush();
    Ok(Report {
        verdict,
        wire,
        faults,
        data_losses,
        rate,
    })
}

fn options(proxy: &FaultProxy, mode: Mode) -> ClusterOptions {
    let options = ClusterOptions::new(Version::V4_3_1)
        .brokers(u8::try_from(NODES).unwrap_or(0))
        .advertised(&proxy.ports());
    match mode {
        Mode::Proof | Mode::IdempotenceOff => options,
        Mode::Unclean => options
            .property("unclean.leader.election.enable", "true")
            .property("min.insync.replicas", "1"),
    }
}

/// Replicas on all three nodes, of which two have to have a record; where losses are wanted, on two.
fn create_topics(kafka: &RealKafka, args: &Args) -> Result<(), Failure> {
    let mode = args.mode;
    for (name, partitions) in TOPICS {
        let nodes = |partition: i32| {
            let replicas = if mode == Mode::Unclean { 2 } else { NODES };
            (0..replicas)
                .map(|replica| (partition + replica) % NODES + 1)
                .collect::<Vec<i32>>()
        };
        let assignment: Vec<Vec<i32>> = (0..*partitions).map(nodes).collect();
        let assignment: Vec<&[i32]> = assignment.iter().map(Vec::as_slice).collect();
        let mut topic = NewTopic::assigned(name, &assignment);
        if mode != Mode::Unclean {
            topic = topic.config("min.insync.replicas", "2");
        }
        kafka.create_topic(&topic)?;
    }
    if let Some(bytes) = producer::largest_batch(args) {
        let (topic, _) = TOPICS[TOPICS.len() - 1];
        println!("chaos: {topic} takes batches of {bytes} bytes at most");
        kafka.set_topic_config(topic, "max.message.bytes", &bytes.to_string())?;
    }
    Ok(())
}

/// Kafka's own consumer reads all of each topic.
fn judge(
    kafka: &RealKafka,
    entries: &[Vec<Entry>],
    contradictions: &[String],
) -> Result<Verdict, Failure> {
    let mut judge = Judge::new(entries, PARTITIONS);
    for (topic, (name, _)) in (0..).zip(TOPICS) {
        kafka.for_each_record(name, READ, |record| {
            judge.on_read(&Read {
                topic,
                partition: record.partition,
                offset: record.offset,
                key: record.key.as_deref(),
                // A null value is none of ours.
                value: record.value.as_deref().unwrap_or_default(),
            });
        })?;
    }
    Ok(judge.finish(contradictions))
}
