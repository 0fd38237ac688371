//! A frozen broker: what the others' records wait, without and with a share of the memory per topic.
//!
//! ```text
//! cargo bench --bench frozen_broker
//! cargo bench --bench frozen_broker -- --test   # only that it runs
//! ```
//! Two embedded brokers on loopback, a topic on the first and three on the second, a thread for each
//! that sends 500 records of 1,000 bytes a second, whatever becomes of them, from 4 MB. In the second and
//! the third run the first broker reads and answers nothing from the first second on. A record's
//! latency is from the moment when it was to be sent to its callback, the wait inside `send` included;
//! one that `send` refuses counts with the time that took.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "a bench measures by the clock"
)]

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use kafka_producer::{
    DeliveryCallback, DeliveryError, KafkaProducer, ProducerConfig, ProducerRecord, RecordMetadata,
};
use kafka_test_support::{ClusterConfig, EmbeddedKafka, Fault, On};

/// The first is the one whose broker freezes.
const TOPICS: [&str; 4] = ["frozen", "a", "b", "c"];
const BETWEEN: Duration = Duration::from_millis(2);
const VALUE: [u8; 1_000] = [b'x'; 1_000];

/// Nanoseconds from when the record was to be sent.
struct Latencies {
    began: Instant,
    ns: Mutex<Vec<u64>>,
}

impl DeliveryCallback for Latencies {
    fn on_completion(&self, due_ns: u64, _: Result<&RecordMetadata, &DeliveryError>) {
        self.note(due_ns);
    }
}

impl Latencies {
    fn now_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn note(&self, due_ns: u64) {
        let took = self.now_ns().saturating_sub(due_ns);
        let mut all = self.ns.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(took);
    }
}

fn main() {
    let only_runs = std::env::args().any(|argument| argument == "--test");
    let seconds = if only_runs { 1 } else { 8 };
    let mut before = None;
    for (name, freezes, share) in [
        ("no broker frozen", false, 100),
        ("one frozen, no share", true, 100),
        ("one frozen, a share of 25 %", true, 25),
    ] {
        let mut ns = run(seconds, freezes, share);
        ns.sort_unstable();
        let at = |part: usize| ns.get(ns.len() * part / 1000).map_or(0.0, |ns| ms(*ns));
        let (p50, p99, most) = (at(500), at(990), at(999));
        let base = *before.get_or_insert(p99);
        println!(
            "{name:28} others' records {:6}  p50 {p50:9.2} ms  p99 {p99:9.2} ms ({:.2}x)  p99.9 {most:9.2} ms",
            ns.len(),
            p99 / base
        );
    }
}

#[allow(clippy::cast_precision_loss, reason = "for people")]
fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

/// The latencies of all topics but the first.
fn run(seconds: u64, freezes: bool, share: u8) -> Vec<u64> {
    let mut config = ClusterConfig::brokers(2).lean();
    for topic in TOPICS {
        config = config.topic(topic, 1);
    }
    let kafka = EmbeddedKafka::start(config);
    kafka.with(|cluster| {
        for topic in TOPICS {
            cluster.move_leader(topic, 0, if topic == "frozen" { 1 } else { 2 });
        }
    });
    let producer = KafkaProducer::new(
        ProducerConfig::new(kafka.bootstrap())
            .buffer_memory(4 << 20)
            .buffer_memory_share_per_topic(share)
            .max_block(Duration::from_secs(2)),
    )
    .expect("it starts");
    for topic in TOPICS {
        producer.partitions_for(topic).expect("it is known");
    }
    let began = Instant::now();
    let threads = TOPICS.map(|topic| {
        let producer = producer.clone();
        thread::spawn(move || send(&producer, topic, began, Duration::from_secs(seconds)))
    });
    thread::sleep(Duration::from_secs(seconds.min(1)));
    if freezes {
        kafka.with(|cluster| cluster.fault(Fault::swallow(On::any().node(1)).always()));
    }
    let sent = threads.map(|thread| thread.join().expect("it sends"));
    // What the frozen one has is given up.
    let _ = producer.close(Duration::from_millis(500));
    sent.into_iter()
        .skip(1)
        .flat_map(|sent| take(&sent))
        .collect()
}

fn take(sent: &Latencies) -> Vec<u64> {
    std::mem::take(&mut *sent.ns.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A record every so often, from the first second on counted.
fn send(producer: &KafkaProducer, topic: &str, began: Instant, lasts: Duration) -> Arc<Latencies> {
    let latencies = Arc::new(Latencies {
        began,
        ns: Mutex::new(Vec::new()),
    });
    let shared: Arc<dyn DeliveryCallback> = Arc::<Latencies>::clone(&latencies);
    let mut due = Duration::ZERO;
    let mut counts = false;
    while began.elapsed() < lasts {
        if !counts && due >= Duration::from_secs(1) {
            counts = true;
            take(&latencies);
        }
        thread::sleep(due.saturating_sub(began.elapsed()));
        let due_ns = u64::try_from(due.as_nanos()).unwrap_or(u64::MAX);
        let record = ProducerRecord::new(topic, &VALUE[..]);
        if producer.send_with(record, (&shared, due_ns)).is_err() {
            latencies.note(due_ns);
        }
        due += BETWEEN;
    }
    latencies
}
