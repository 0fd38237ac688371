//! How much memory a full producer really takes: 100 partitions, `buffer.memory` of 32 MB used up
//! with records of 10 bytes that have a shared callback, against a broker that answers nothing.
//!
//! ```text
//! cargo bench --bench memory
//! ```
//! The broker is a process of its own (this program again, with an argument). Linux only.

#![allow(clippy::expect_used, reason = "a bench may fail loudly")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use kafka_producer::{
    DeliveryCallback, DeliveryError, ErrorKind, KafkaProducer, ProducerConfig, ProducerRecord,
    RecordMetadata,
};
use kafka_test_support::{ClusterConfig, EmbeddedKafka, Fault, On};

const TOPIC: &str = "memory";
const PARTITIONS: i32 = 100;
const POOL: usize = 32 << 20;
const ALLOWED_BESIDES_KB: u64 = 10 * 1024;

struct Ignore;

impl DeliveryCallback for Ignore {
    fn on_completion(&self, _: u64, _: Result<&RecordMetadata, &DeliveryError>) {}
}

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == BROKER) {
        be_the_broker();
        return ExitCode::SUCCESS;
    }
    if !cfg!(target_os = "linux") {
        println!("memory: only measured on Linux");
        return ExitCode::SUCCESS;
    }
    let mut broker = start_broker();
    let outcome = measure(&broker.1);
    broker.0.kill().expect("the broker can be stopped");
    broker.0.wait().expect("the broker ends");
    outcome
}

/// Fills the pool and says what it took.
fn measure(bootstrap: &str) -> ExitCode {
    let config = ProducerConfig::from_properties([
        ("bootstrap.servers", bootstrap),
        ("buffer.memory", &POOL.to_string()),
        ("linger.ms", "5"),
    ])
    .expect("it is right");
    let producer = KafkaProducer::new(config).expect("it starts");
    let callback: Arc<dyn DeliveryCallback> = Arc::new(Ignore);
    // The one request that is answered: connections, metadata and producer id are there after it.
    let first = ProducerRecord::new(TOPIC, "first").partition(0);
    producer
        .send(first)
        .expect("it is accepted")
        .get()
        .expect("it is acknowledged");
    let idle_kb = resident_kb("VmHWM:");
    let mut records = 0;
    while let Some(partition) = send_until_full(&producer, &callback, records) {
        records += 1;
        assert!(partition < PARTITIONS);
    }
    let full_kb = resident_kb("VmHWM:");
    let besides_kb = (full_kb - idle_kb).saturating_sub(POOL as u64 / 1024);
    println!(
        "memory: partitions={PARTITIONS} records={records} idle_kb={idle_kb} full_kb={full_kb} \
         pool_kb={} besides_kb={besides_kb} allowed_kb={ALLOWED_BESIDES_KB}",
        POOL / 1024
    );
    // Nobody will ever answer: what is left ends now.
    let _ = producer.close(Duration::ZERO);
    if besides_kb <= ALLOWED_BESIDES_KB {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The partition of the record that was sent; `None` once there is no room.
fn send_until_full(
    producer: &KafkaProducer,
    callback: &Arc<dyn DeliveryCallback>,
    index: u64,
) -> Option<i32> {
    let partition = i32::try_from(index % PARTITIONS as u64).expect("it is small");
    let record = ProducerRecord::new(TOPIC, "ten bytes!").partition(partition);
    match producer.try_send_with(record, (callback, index)) {
        Ok(handle) => {
            drop(handle);
            Some(partition)
        }
        Err(error) if error.error().kind() == ErrorKind::BufferExhausted => None,
        Err(error) => panic!("{error}"),
    }
}

/// A line of `/proc/self/status`.
fn resident_kb(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .expect("it has that line")
}

const BROKER: &str = "--be-the-broker";

/// The process, and where it listens.
fn start_broker() -> (Child, String) {
    let me = std::env::current_exe().expect("this program has a name");
    let mut child = Command::new(me)
        .arg(BROKER)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program can be started again");
    let mut line = String::new();
    let said = child.stdout.take().expect("it was asked for");
    BufReader::new(said)
        .read_line(&mut line)
        .expect("the broker says where it listens");
    (child, line.trim().to_owned())
}

/// Answers the first Produce request and no other, until its standard input closes.
fn be_the_broker() {
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(1).topic(TOPIC, PARTITIONS));
    kafka.with(|cluster| cluster.fault(Fault::hold(On::produce()).after(1).always()));
    println!("{}", kafka.bootstrap());
    let mut rest = Vec::new();
    let _ = std::io::stdin().read_to_end(&mut rest);
}
