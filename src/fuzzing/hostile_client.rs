//! The whole producer, without its thread, against brokers that do what the fuzzer's bytes say: honest
//! answers with odd values, answers with changed bytes, rubbish, ends and resets.
//!
//! What must hold: every record that was accepted is told its end once; none is called `NotWritten`
//! whose request was written and never answered; what cannot be an answer ends its connection; close
//! ends; memory comes back, and there was never more of it than a multiple of what arrived.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::Bytes;

use super::broker_answers::TOPIC;
use super::hostile_wire::{HostileWire, MARK};
use super::no_names::no_names;
use super::target::{self, Target};
use crate::error::Persistence;
use crate::network::SharedWire;
use crate::producer::{
    Acks, BlockedSend, KafkaProducer, Null, ProducerConfig, ProducerRecord, SenderThread,
    SimulatedSurroundings,
};
use crate::random::Random;
use crate::time::Time;
use crate::{Callback, ErrorKind};

pub(super) const HOSTILE_CLIENT: Target = target::new(
    ("hostile_client", MAX_LEN),
    run,
    |length| 1024 * 1024 + 256 * length,
    |length| 32 * 1024 + 512 * length,
);

const MAX_LEN: usize = 4 * 1024;
const MEMORY: usize = 64 * 1024;
const MOST_RECORDS: u32 = 200;

/// How a record ended, as often as it was told.
type Told = Arc<Mutex<BTreeMap<u32, Vec<Result<(), Persistence>>>>>;

type Blocked = BlockedSend<Null, Bytes>;

struct World {
    wire: Arc<Mutex<HostileWire>>,
    producer: KafkaProducer,
    sender: SenderThread,
    told: Told,
    accepted: Vec<u32>,
    blocked: Vec<(u32, Blocked)>,
    next_record: u32,
    has_acks: bool,
}

fn run(bytes: &[u8]) {
    play(bytes);
}

/// How many records were acknowledged.
pub(super) fn play(bytes: &[u8]) -> usize {
    let mut world = World::new(bytes);
    while !lock(&world.wire).is_over() {
        world.application();
        world.sender.turn();
    }
    world.end()
}

impl World {
    fn new(bytes: &[u8]) -> Self {
        let (time, clock) = Time::mock();
        let (choices, script) = bytes.split_at(bytes.len().min(2));
        let wire = Arc::new(Mutex::new(HostileWire::new(clock, script)));
        let config = config(choices);
        let shared: SharedWire = Arc::<Mutex<HostileWire>>::clone(&wire);
        let surroundings = SimulatedSurroundings {
            time,
            random: Random::seeded(3),
            wire: shared,
            lookups: no_names(),
        };
        let (producer, sender) =
            KafkaProducer::simulated(&config, surroundings).expect("the configuration is valid");
        Self {
            wire,
            producer,
            sender,
            told: Told::default(),
            accepted: Vec::new(),
            blocked: Vec::new(),
            next_record: 0,
            has_acks: config.get("acks") != Some("0"),
        }
    }

    /// What the application does between two turns of the Sender.
    fn application(&mut self) {
        let choice = lock(&self.wire).choose(8);
        match choice {
            0..=2 if self.next_record < MOST_RECORDS => self.send(choice),
            3 => self.producer.begin_close(),
            4 => drop(self.producer.begin_flush()),
            _ => {}
        }
        let blocked = std::mem::take(&mut self.blocked);
        for (number, send) in blocked {
            self.go_on(number, send);
        }
    }

    fn send(&mut self, size: usize) {
        let number = self.next_record;
        self.next_record += 1;
        let mut value = [MARK, &number.to_be_bytes()].concat();
        value.resize(MARK.len() + 4 + 200 * size * size * size, b'.');
        let mut record = ProducerRecord::new(TOPIC, Bytes::from(value));
        if number % 3 > 0 {
            record = record.partition(0);
        }
        let told = Arc::clone(&self.told);
        let callback = Callback::once(move |result| {
            let end = match result {
                Ok(_) => Ok(()),
                Err(error) => Err(error.persistence()),
            };
            lock(&told).entry(number).or_default().push(end);
        });
        let send = self.producer.begin_send(record, Some(callback));
        self.go_on(number, send);
    }

    fn go_on(&mut self, number: u32, mut send: Blocked) {
        match send.poll(&self.producer, Waker::noop()) {
            Poll::Ready(Ok(_)) => self.accepted.push(number),
            Poll::Ready(Err(error)) => {
                let kind = error.error().kind();
                assert!(kind != ErrorKind::Internal, "{}", error.error());
            }
            Poll::Pending => self.blocked.push((number, send)),
        }
    }

    /// Close, with nobody there: within the delivery timeout everything has its end.
    fn end(mut self) -> usize {
        self.blocked.clear();
        self.producer.begin_close();
        let mut turns = 0;
        while !self.sender.is_done() {
            self.sender.turn();
            turns += 1;
            assert!(turns < 2000, "close does not end");
        }
        let afterwards = self.sender.end();
        // What comes back is what failed since; it goes here.
        drop(self.producer.end_of_close());
        drop(self.producer);
        assert_eq!(afterwards.incomplete_batches(), 0);
        assert_eq!(afterwards.available_memory(), MEMORY, "memory is lost");
        let (told, wire) = (lock(&self.told), lock(&self.wire));
        assert_eq!(told.len(), self.accepted.len(), "told of others");
        for number in &self.accepted {
            let ends = told.get(number).map_or(&[][..], Vec::as_slice);
            let [end] = ends else {
                panic!("record {number} ended as {ends:?}");
            };
            let is_doubtful = self.has_acks && wire.doubtful.contains(number);
            assert!(
                !is_doubtful || *end != Err(Persistence::NotWritten),
                "record {number} was written and never answered, and is called NotWritten"
            );
        }
        told.values().filter(|ends| ends.contains(&Ok(()))).count()
    }
}

fn config(choices: &[u8]) -> ProducerConfig {
    let choice = |at: usize| choices.get(at).copied().unwrap_or(0);
    let ms = Duration::from_millis;
    let acks = match choice(0) % 4 {
        0 | 1 => Acks::All,
        2 => Acks::Leader,
        _ => Acks::None,
    };
    let batch_size = match choice(1) % 3 {
        0 => 16,
        1 => 1000,
        _ => 16384,
    };
    ProducerConfig::new("10.0.0.1:9092,10.0.0.2:9092")
        .client_id("fuzz")
        .acks(acks)
        .enable_idempotence(choice(0) % 4 == 0)
        .linger(ms(u64::from(choice(1) % 2) * 5))
        .batch_size(batch_size)
        .buffer_memory(MEMORY)
        .delivery_timeout(ms(20_000))
        .request_timeout(ms(5_000))
        .max_block(ms(8_000))
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
