//! Sends 100,000 records and proves that they arrived.
//!
//! ```text
//! cargo run --release --example quickstart
//! cargo run --release --example quickstart -- --bootstrap-server localhost:9092 --topic quickstart
//! ```
//!
//! Without arguments it starts an embedded broker in this process. With them it does the same
//! against a running Kafka. One thread sends with a callback, another keeps the handles.

#![allow(
    clippy::disallowed_methods,
    reason = "an example has no seam for its clock"
)]

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kafka_producer::{
    DeliveryCallback, DeliveryError, Error, KafkaProducer, ProducerConfig, ProducerRecord,
    RecordMetadata, SendHandle,
};
use kafka_test_support::{ClusterConfig, EmbeddedKafka, log_reader};

const RECORDS: u64 = 100_000;
const PARTITIONS: i32 = 6;

fn main() -> ExitCode {
    match Options::from_args(std::env::args().skip(1)).and_then(|options| run(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(wrong) => {
            eprintln!("quickstart: {wrong}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> Result<bool, String> {
    let target = Target::start(options);
    let config = ProducerConfig::from_properties([
        ("bootstrap.servers", target.bootstrap()),
        ("client.id", "quickstart".to_owned()),
    ])
    .map_err(|e| e.to_string())?;
    let producer = KafkaProducer::new(config).map_err(|e| e.to_string())?;
    println!("sending {RECORDS} records to {}", target.describe());

    // A value that tells this run's records from those of others.
    let run_id = format!("{}-{:?}", std::process::id(), std::time::SystemTime::now());
    let tally = Arc::new(Tally::new());
    let started = Instant::now();
    std::thread::scope(|scope| {
        let with_callbacks =
            scope.spawn(|| send_with_callbacks(&producer, options, &tally, &run_id));
        let with_handles = scope.spawn(|| send_with_handles(&producer, options, &tally, &run_id));
        while !(with_callbacks.is_finished() && with_handles.is_finished()) {
            std::thread::sleep(Duration::from_millis(20));
            tally.show_progress();
        }
        let panicked = |_| "a sending thread panicked".to_owned();
        with_callbacks
            .join()
            .map_err(panicked)?
            .map_err(|e| e.to_string())?;
        with_handles
            .join()
            .map_err(panicked)?
            .map_err(|e| e.to_string())
    })?;
    producer.flush().map_err(|e| e.to_string())?;
    let took = started.elapsed();
    producer
        .close(Duration::from_secs(30))
        .map_err(|e| e.to_string())?;

    let result = tally.finish(took);
    let read_back = target.read_back(&result.offsets, &run_id)?;
    println!(
        "quickstart: acknowledged={} failed={} read_back={read_back}",
        result.acknowledged, result.failed
    );
    Ok(result.acknowledged == RECORDS && read_back == RECORDS)
}

/// One object serves all records of a thread; the tag is when the record was sent.
fn send_with_callbacks(
    producer: &KafkaProducer,
    options: &Options,
    tally: &Arc<Tally>,
    run_id: &str,
) -> Result<(), Error> {
    let callback: Arc<dyn DeliveryCallback> = Arc::clone(tally) as _;
    for number in 0..RECORDS / 2 {
        let record = ProducerRecord::new(options.topic.as_str(), run_id);
        producer
            .send_with(record, (&callback, tally.now()))
            .map_err(|e| e.error().clone())?;
        tally.sent(number);
    }
    Ok(())
}

/// A thousand records on their way at a time; the oldest is waited for before the next is sent.
fn send_with_handles(
    producer: &KafkaProducer,
    options: &Options,
    tally: &Tally,
    run_id: &str,
) -> Result<(), Error> {
    let mut on_their_way: VecDeque<(u64, SendHandle)> = VecDeque::new();
    for number in 0..RECORDS / 2 {
        let key = format!("key-{}", number % 1000);
        let record = ProducerRecord::new(options.topic.as_str(), run_id).key(key);
        let sent_at = tally.now();
        let handle = producer.send(record).map_err(|e| e.error().clone())?;
        on_their_way.push_back((sent_at, handle));
        tally.sent(number);
        if on_their_way.len() >= 1000 {
            if let Some((sent_at, handle)) = on_their_way.pop_front() {
                tally.on_completion(sent_at, handle.get().as_ref());
            }
        }
    }
    for (sent_at, handle) in on_their_way {
        tally.on_completion(sent_at, handle.get().as_ref());
    }
    Ok(())
}

/// Where the records go.
enum Target {
    Embedded(EmbeddedKafka, String),
    Running { bootstrap: String, topic: String },
}

impl Target {
    fn start(options: &Options) -> Self {
        match &options.bootstrap {
            Some(bootstrap) => Self::Running {
                bootstrap: bootstrap.clone(),
                topic: options.topic.clone(),
            },
            None => {
                let config = ClusterConfig::brokers(3).topic(&options.topic, PARTITIONS);
                Self::Embedded(EmbeddedKafka::start(config), options.topic.clone())
            }
        }
    }

    fn bootstrap(&self) -> String {
        match self {
            Self::Embedded(kafka, _) => kafka.bootstrap(),
            Self::Running { bootstrap, .. } => bootstrap.clone(),
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Embedded(_, topic) => format!("topic {topic} of an embedded cluster"),
            Self::Running { bootstrap, topic } => format!("topic {topic} at {bootstrap}"),
        }
    }

    /// How many records of this run lie in the log, as somebody else than the producer sees it.
    fn read_back(
        &self,
        offsets: &BTreeMap<i32, RangeInclusive<i64>>,
        run_id: &str,
    ) -> Result<u64, String> {
        let values: Vec<Option<bytes::Bytes>> = match self {
            Self::Embedded(kafka, topic) => offsets
                .keys()
                .flat_map(|partition| kafka.with(|cluster| cluster.log(topic, *partition)))
                .map(|record| record.value)
                .collect(),
            Self::Running { bootstrap, topic } => {
                let patience = Duration::from_secs(60);
                log_reader::read_log(bootstrap, topic, offsets, patience)?
                    .into_iter()
                    .map(|record| record.value)
                    .collect()
            }
        };
        let mine = |value: &Option<bytes::Bytes>| value.as_deref() == Some(run_id.as_bytes());
        Ok(values.iter().filter(|value| mine(value)).count() as u64)
    }
}

/// What has been sent, and what became of it.
struct Tally {
    started: Instant,
    sent: AtomicU64,
    shown: AtomicU64,
    outcomes: Mutex<Outcomes>,
}

#[derive(Default)]
struct Outcomes {
    acknowledged: u64,
    failed: u64,
    latencies_us: Vec<u64>,
    offsets: BTreeMap<i32, RangeInclusive<i64>>,
}

impl DeliveryCallback for Tally {
    fn on_completion(&self, tag: u64, result: Result<&RecordMetadata, &DeliveryError>) {
        let latency_us = self.now() - tag;
        let mut outcomes = self.outcomes.lock().expect("no thread panics with it");
        match result {
            Ok(metadata) => {
                outcomes.acknowledged += 1;
                outcomes.latencies_us.push(latency_us);
                if let Some(offset) = metadata.offset() {
                    let range = outcomes
                        .offsets
                        .entry(metadata.partition())
                        .or_insert(offset..=offset);
                    *range = offset.min(*range.start())..=offset.max(*range.end());
                }
            }
            Err(error) => {
                outcomes.failed += 1;
                if outcomes.failed == 1 {
                    eprintln!("first failure: {error}");
                }
            }
        }
    }
}

impl Tally {
    fn new() -> Self {
        Self {
            started: Instant::now(),
            sent: AtomicU64::new(0),
            shown: AtomicU64::new(0),
            outcomes: Mutex::default(),
        }
    }

    /// Microseconds since the start.
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn sent(&self, number: u64) {
        if number % 100 == 99 {
            self.sent.fetch_add(100, Ordering::Relaxed);
        }
    }

    fn show_progress(&self) {
        let tenth = self.sent.load(Ordering::Relaxed) * 10 / RECORDS;
        if self.shown.swap(tenth, Ordering::Relaxed) < tenth {
            println!("  {}0 % sent", tenth);
        }
    }

    fn finish(&self, took: Duration) -> Outcomes {
        let mut outcomes = std::mem::take(&mut *self.outcomes.lock().expect("all threads ended"));
        outcomes.latencies_us.sort_unstable();
        let at = |percent: usize| {
            let index = outcomes.latencies_us.len().saturating_sub(1) * percent / 100;
            outcomes.latencies_us.get(index).copied().unwrap_or(0) as f64 / 1000.0
        };
        println!(
            "{:.0} records per second; from send to acknowledgement p50 {:.2} ms, p99 {:.2} ms",
            outcomes.acknowledged as f64 / took.as_secs_f64(),
            at(50),
            at(99)
        );
        for (partition, offsets) in &outcomes.offsets {
            println!(
                "  partition {partition}: offsets {} to {}",
                offsets.start(),
                offsets.end()
            );
        }
        outcomes
    }
}

struct Options {
    bootstrap: Option<String>,
    topic: String,
}

impl Options {
    fn from_args(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            bootstrap: None,
            topic: "quickstart".to_owned(),
        };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} needs a value"));
            match arg.as_str() {
                "--bootstrap-server" => options.bootstrap = Some(value()?),
                "--topic" => options.topic = value()?,
                _ => {
                    return Err(format!(
                        "unknown argument {arg}: there are --bootstrap-server HOST:PORT and --topic NAME"
                    ));
                }
            }
        }
        Ok(options)
    }
}
