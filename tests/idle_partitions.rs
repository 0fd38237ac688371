//! Partitions without data cost nothing: a producer that sends to one partition does not pay for
//! the other 9,999 of its topic. Measured in CPU time of the network thread; Linux only.

#![cfg(target_os = "linux")]

use std::fs;

use kafka_producer::{KafkaProducer, ProducerConfig, ProducerRecord};
use kafka_test_support::{ClusterConfig, EmbeddedKafka};

const TOPIC: &str = "idle";
const TURNS: usize = 400;
const CLIENT_ID: &str = "idle";

struct Run {
    _kafka: EmbeddedKafka,
    producer: KafkaProducer,
    thread: String,
}

impl Run {
    fn start(partitions: i32) -> Self {
        let cluster = ClusterConfig::brokers(1).topic(TOPIC, partitions).lean();
        let kafka = EmbeddedKafka::start(cluster);
        let bootstrap = kafka.bootstrap();
        let client_id = format!("{CLIENT_ID}{partitions}");
        let pairs = [
            ("bootstrap.servers", bootstrap.as_str()),
            ("linger.ms", "0"),
            ("client.id", client_id.as_str()),
        ];
        let before = network_threads();
        let config = ProducerConfig::from_properties(pairs).expect("it is right");
        let producer = KafkaProducer::new(config).expect("it starts");
        let run = Self {
            _kafka: kafka,
            producer,
            thread: String::new(),
        };
        run.turns(20);
        let mut mine = network_threads();
        mine.retain(|thread| !before.contains(thread));
        assert_eq!(mine.len(), 1, "one network thread a producer");
        Self {
            thread: mine.remove(0),
            ..run
        }
    }

    /// Sends one record at a time, so that each costs the Sender at least one turn.
    fn turns(&self, count: usize) {
        for _ in 0..count {
            let record = ProducerRecord::new(TOPIC, "value").partition(0);
            let handle = self.producer.send(record).expect("it is accepted");
            handle.get().expect("it is acknowledged");
        }
    }

    /// Nanoseconds of CPU time that the network thread took for them.
    fn cost(&self) -> u64 {
        let before = cpu_time_ns(&self.thread);
        self.turns(TURNS);
        cpu_time_ns(&self.thread) - before
    }
}

/// Threads of this process that are a producer's.
fn network_threads() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux has it");
    tasks
        .filter_map(|task| Some(task.ok()?.path().to_string_lossy().into_owned()))
        // The kernel cuts names to 15 bytes.
        .filter(|task| {
            fs::read_to_string(format!("{task}/comm"))
                .is_ok_and(|name| name.trim() == "kafka-producer-")
        })
        .collect()
}

fn cpu_time_ns(task: &str) -> u64 {
    let text = fs::read_to_string(format!("{task}/schedstat")).expect("the thread lives");
    let first = text
        .split_whitespace()
        .next()
        .expect("it has three numbers");
    first.parse().expect("it is a number")
}

#[test]
fn idle_partitions_ten_thousand_of_them_cost_the_sender_nothing_measurable() {
    let (few, many) = (Run::start(1), Run::start(10_000));
    // The best of some interleaved rounds: whatever else the machine does only adds.
    let costs = (0..7).map(|_| (few.cost(), many.cost()));
    let (one, ten_thousand) = costs.fold((u64::MAX, u64::MAX), |best, cost| {
        (best.0.min(cost.0), best.1.min(cost.1))
    });
    // Looking at 10,000 partitions in a turn takes longer than such a turn as a whole.
    assert!(
        ten_thousand <= one + one / 2,
        "CPU time of {TURNS} sends: {one} ns with 1 partition, {ten_thousand} ns with 10,000"
    );
    println!("CPU time of {TURNS} sends: {one} ns with 1 partition, {ten_thousand} ns with 10,000");
}
