//! `rig-driver`: measures this producer with the command line that every driver of the rig has.
//!
//! It uses the public API and default features only, with idempotence and retries on and a shared
//! callback that reads the offset of every record. One JSON object a run, on standard output.

mod args;
mod load;
mod measure;

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use kafka_producer::{
    DeliveryCallback, DeliveryError, Error, KafkaProducer, ProducerConfig, ProducerRecord,
    RecordMetadata,
};

use crate::args::{Args, Mode};
use crate::load::{Pacer, Plan, Ring};
use crate::measure::{Counters, Perf};

/// Serves every record of a run; the tag is when the record was sent, or 0.
struct Report(Counters);

impl DeliveryCallback for Report {
    fn on_completion(&self, tag: u64, result: Result<&RecordMetadata, &DeliveryError>) {
        if let Ok(metadata) = result {
            black_box(metadata.offset());
        }
        self.0.done(result.is_ok(), tag);
    }
}

fn main() -> ExitCode {
    let args = match Args::from_env() {
        Ok(args) => args,
        Err(wrong) => {
            eprintln!("rig-driver: {wrong}");
            return ExitCode::from(2);
        }
    };
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rig-driver: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Error> {
    let mut perf = Perf::open(args.perf);
    let ring = Ring::new(args);
    let producer = KafkaProducer::new(ProducerConfig::from_properties(properties(args))?)?;
    let report = Arc::new(Report(Counters::default()));
    let mut warmup = args.clone();
    warmup.records = args.warmup;
    warmup.threads = 1;
    if warmup.mode == Mode::Rate {
        warmup.mode = Mode::Throughput;
    }
    drive(&warmup, &ring, &producer, &report)?;
    report.0.reset();
    let window = perf.start();
    let sent = drive(args, &ring, &producer, &report)?;
    window.finish(&mut perf, args, sent, &report.0);
    Ok(())
}

/// The keys of Kafka that the command line stands for.
fn properties(args: &Args) -> Vec<(String, String)> {
    let mut properties: Vec<(String, String)> = [
        ("bootstrap.servers", args.bootstrap.clone()),
        ("acks", args.acks.clone()),
        ("linger.ms", (args.linger_ms as u64).to_string()),
        ("batch.size", args.batch_size.to_string()),
        ("compression.type", args.compression.clone()),
        (
            "max.in.flight.requests.per.connection",
            args.max_in_flight.to_string(),
        ),
        ("enable.idempotence", args.idempotence.to_string()),
        ("buffer.memory", args.buffer_memory.to_string()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    properties.retain(|(key, _)| args.extra.iter().all(|(extra, _)| extra != key));
    properties.extend(args.extra.iter().cloned());
    properties
}

/// Sends everything from as many threads as asked for and waits until all of it has an outcome.
fn drive(
    args: &Args,
    ring: &Ring,
    producer: &KafkaProducer,
    report: &Arc<Report>,
) -> Result<u64, Error> {
    let sent = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..args.threads)
            .map(|thread| {
                let sent = &sent;
                scope.spawn(move || {
                    let count = send_share(args, thread, ring, producer, report)?;
                    sent.fetch_add(count, Relaxed);
                    Ok::<(), Error>(())
                })
            })
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().expect("a sending thread panicked"))
    })?;
    producer.flush()?;
    let sent = sent.load(Relaxed);
    let patience = Instant::now() + Duration::from_secs(60);
    while report.0.seen() < sent && Instant::now() < patience {
        std::thread::sleep(Duration::from_micros(300));
    }
    Ok(sent)
}

fn send_share(
    args: &Args,
    thread: u64,
    ring: &Ring,
    producer: &KafkaProducer,
    report: &Arc<Report>,
) -> Result<u64, Error> {
    let plan = Plan::new(args, thread);
    let pacer = Pacer::new(args.rate);
    let callback: Arc<dyn DeliveryCallback> = Arc::clone(report) as _;
    let offset = thread * 7919;
    let mut index = 0;
    while !plan.stop(index) {
        if args.mode == Mode::Rate {
            pacer.wait(index);
        }
        let key = args.keyed.then(|| ring.key(offset + index));
        let record =
            ProducerRecord::new(args.topic.as_str(), ring.payload(offset + index)).key(key);
        let tag = plan.tag(index);
        let handle = producer
            .send_with(record, (&callback, tag))
            .map_err(|e| e.error().clone())?;
        if args.mode == Mode::Sync {
            black_box(handle.get().map_err(|e| e.error().clone())?.offset());
        }
        index += 1;
        if args.mode != Mode::Throughput && plan.late() {
            break;
        }
    }
    Ok(index)
}
