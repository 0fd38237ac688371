//! Records that two threads send while a test does something to the cluster, and their outcomes.
//!
//! A record's value says which thread sent it and as which one, so the log can be compared with
//! what was sent, record by record. Every third record has no key.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use kafka_producer::{
    DeliveryCallback, DeliveryError, KafkaProducer, ProducerConfig, ProducerRecord, RecordMetadata,
};
use kafka_test_support::real_kafka::{ConsumedRecord, Failure, RealKafka};
use libtest_mimic::Failed;

use crate::{Outcome, ensure};

/// Longer than `delivery.timeout.ms` of every producer here: what is open by then hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(130);

/// Acknowledgements that prove that the stream flows again.
pub(crate) const SOME: u64 = 300;

const THREADS: u32 = 2;
const KEYS_PER_THREAD: u32 = 8;

/// While nothing is acknowledged, the backlog of all threads grows to this and no further.
const BACKLOG: u64 = 3_000;

/// Small batches, so that many are on their way at a time, and short pauses.
pub(crate) fn config(bootstrap: impl Into<String>) -> ProducerConfig {
    ProducerConfig::new(bootstrap)
        .set("batch.size", "400")
        .set("linger.ms", "1")
        .set("retry.backoff.ms", "20")
        .set("retry.backoff.max.ms", "200")
        .set("reconnect.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "200")
        .set("request.timeout.ms", "10000")
}

/// A record of a stream and its end.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) id: RecordId,
    /// How often [`Progress::mark`] had been called when it was sent.
    pub(crate) phase: u32,
    pub(crate) outcome: Result<RecordMetadata, DeliveryError>,
}

/// Which thread sent it, and as which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RecordId {
    pub(crate) thread: u32,
    pub(crate) number: u32,
}

impl RecordId {
    fn key(self) -> Option<String> {
        let Self { thread, number } = self;
        (number % 3 != 0).then(|| format!("{thread}-{}", number % KEYS_PER_THREAD))
    }

    fn value(self) -> String {
        format!("{}:{}:{}", self.thread, self.number, "x".repeat(60))
    }

    pub(crate) fn of(record: &ConsumedRecord) -> Option<Self> {
        let text = String::from_utf8(record.value.clone()?).ok()?;
        let mut parts = text.split(':');
        let id = Self {
            thread: parts.next()?.parse().ok()?,
            number: parts.next()?.parse().ok()?,
        };
        let key = record.key.clone().map(String::from_utf8);
        let is_whole = text == id.value() && key.transpose().ok()? == id.key();
        is_whole.then_some(id)
    }
}

/// What the callbacks have seen so far.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    phase: AtomicU32,
    is_over: AtomicBool,
    sent: AtomicU64,
    acknowledged: AtomicU64,
    failed: AtomicU64,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// The last record of a thread whose callback ran, per partition.
    last: BTreeMap<(u32, i32), u32>,
    per_partition: BTreeMap<i32, u64>,
    disorder: Option<String>,
    first_failure: Option<String>,
}

impl Progress {
    /// Records sent from now on are told from those sent before.
    pub(crate) fn mark(&self) {
        self.phase.fetch_add(1, Ordering::SeqCst);
    }

    /// Waits until so many more records are acknowledged.
    pub(crate) fn await_more(&self, records: u64) -> Outcome {
        let goal = self.acknowledged.load(Ordering::SeqCst) + records;
        self.wait(&format!("{records} more acknowledgements"), || {
            self.acknowledged.load(Ordering::SeqCst) >= goal
        })
    }

    /// Waits until so many more records of each of these partitions are acknowledged.
    pub(crate) fn await_more_in(&self, partitions: &[i32], records: u64) -> Outcome {
        let count = |partition| {
            let seen = self.seen.lock().unwrap();
            seen.per_partition.get(partition).copied().unwrap_or(0)
        };
        let goals: Vec<u64> = partitions.iter().map(|p| count(p) + records).collect();
        self.wait(&format!("{records} more in each of {partitions:?}"), || {
            partitions
                .iter()
                .zip(&goals)
                .all(|(p, goal)| count(p) >= *goal)
        })
    }

    fn backlog(&self) -> u64 {
        let done = self.acknowledged.load(Ordering::SeqCst) + self.failed.load(Ordering::SeqCst);
        self.sent.load(Ordering::SeqCst).saturating_sub(done)
    }

    fn wait(&self, what: &str, is_so: impl Fn() -> bool) -> Outcome {
        let deadline = Instant::now() + PATIENCE;
        while !is_so() {
            if Instant::now() > deadline {
                let seen = self.seen.lock().unwrap();
                return Err(format!("no {what} within {PATIENCE:?}: {seen:?}").into());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl DeliveryCallback for Progress {
    fn on_completion(&self, tag: u64, result: Result<&RecordMetadata, &DeliveryError>) {
        let [thread, number] =
            [tag >> 32, tag & u64::from(u32::MAX)].map(|half| u32::try_from(half).expect("a half"));
        let partition = match result {
            Ok(metadata) => metadata.partition(),
            Err(error) => error.partition(),
        };
        let mut seen = self.seen.lock().unwrap();
        let before = seen.last.insert((thread, partition), number);
        if before.is_some_and(|before| before >= number) && seen.disorder.is_none() {
            let text = format!("{thread}:{number} in {partition} called back after {before:?}");
            seen.disorder = Some(text);
        }
        match result {
            Ok(_) => {
                *seen.per_partition.entry(partition).or_default() += 1;
                self.acknowledged.fetch_add(1, Ordering::SeqCst);
            }
            Err(error) => {
                let first = || format!("{error}");
                seen.first_failure.get_or_insert_with(first);
                self.failed.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}

/// Sends until `event` is over and the stream has flowed on a while after it; gives each record's
/// outcome, in each thread's order of sending.
pub(crate) fn while_sending(
    producer: &KafkaProducer,
    topic: &str,
    event: impl FnOnce(&Progress) -> Outcome,
) -> Result<Vec<Sent>, Failed> {
    let progress = Arc::new(Progress::default());
    let (happened, sent) = thread::scope(|scope| {
        let senders: Vec<_> = (0..THREADS)
            .map(|thread| {
                let progress = Arc::clone(&progress);
                scope.spawn(move || send(producer, topic, thread, &progress))
            })
            .collect();
        let happened = progress
            .await_more(SOME)
            .and_then(|()| event(&progress))
            .and_then(|()| progress.await_more(SOME));
        progress.is_over.store(true, Ordering::SeqCst);
        let sent: Result<Vec<_>, Failed> = senders
            .into_iter()
            .map(|sender| sender.join().expect("it does not panic"))
            .collect();
        (happened, sent)
    });
    let sent: Vec<Sent> = sent?.into_iter().flatten().collect();
    happened?;
    let seen = progress.seen.lock().unwrap();
    if let Some(disorder) = &seen.disorder {
        return Err(disorder.into());
    }
    let ok = sent.iter().filter(|sent| sent.outcome.is_ok()).count();
    let called = progress.acknowledged.load(Ordering::SeqCst);
    ensure(u64::try_from(ok) == Ok(called), || {
        format!("{called} records acknowledged by callback, {ok} by handle")
    })?;
    Ok(sent)
}

fn send(
    producer: &KafkaProducer,
    topic: &str,
    thread: u32,
    progress: &Arc<Progress>,
) -> Result<Vec<Sent>, Failed> {
    let callback: Arc<dyn DeliveryCallback> = Arc::clone(progress) as _;
    let mut handles = Vec::new();
    let mut number = 0;
    while !progress.is_over.load(Ordering::SeqCst) {
        // In bursts, so that several batches of a partition are on their way together.
        for _ in 0..30 {
            let id = RecordId { thread, number };
            let phase = progress.phase.load(Ordering::SeqCst);
            let record = ProducerRecord::new(topic, id.value()).key(id.key());
            let tag = u64::from(thread) << 32 | u64::from(number);
            let handle = producer
                .send_with(record, (&callback, tag))
                .map_err(|error| format!("{id:?} was not accepted: {error}"))?;
            handles.push((id, phase, handle));
            progress.sent.fetch_add(1, Ordering::SeqCst);
            number += 1;
        }
        // Bounded, as every record has its outcome in time.
        while progress.backlog() > BACKLOG && !progress.is_over.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(5));
        }
        thread::sleep(Duration::from_millis(10));
    }
    producer.flush_timeout(PATIENCE)?;
    let outcomes = handles.into_iter().map(|(id, phase, mut handle)| {
        let outcome = handle.get_timeout(PATIENCE);
        let outcome = outcome.ok_or_else(|| format!("{id:?} has no outcome"))?;
        Ok(Sent { id, phase, outcome })
    });
    outcomes.collect()
}

/// The log holds each record once, where its handle says, and in the order of sending.
pub(crate) fn exactly_once(kafka: &RealKafka, topic: &str, sent: &[Sent]) -> Outcome {
    if let Some(failed) = sent.iter().find(|sent| sent.outcome.is_err()) {
        let count = sent.iter().filter(|sent| sent.outcome.is_err()).count();
        return Err(format!("{count} records failed, the first: {failed:?}").into());
    }
    let read = kafka.read_topic(topic)?;
    in_order(&read)?;
    let mut places = places(&read)?;
    for Sent { id, outcome, .. } in sent {
        let said = outcome.as_ref().expect("none failed");
        let read = places
            .remove(id)
            .ok_or_else(|| format!("{id:?} is lost; it was acknowledged as {said:?}"))?;
        let is_there = (said.partition(), said.offset(), said.timestamp_ms())
            == (read.partition, Some(read.offset), read.timestamp);
        ensure(is_there, || {
            format!("{id:?}: {read:?} was told as {said:?}")
        })?;
    }
    ensure(places.is_empty(), || {
        format!("never sent: {:?}", places.keys().collect::<Vec<_>>())
    })?;
    Ok(())
}

/// Each record's only place; an error if one lies there twice, or was not made here.
pub(crate) fn places(
    read: &[ConsumedRecord],
) -> Result<BTreeMap<RecordId, &ConsumedRecord>, Failure> {
    let mut places = BTreeMap::new();
    for record in read {
        let id = RecordId::of(record)
            .ok_or_else(|| Failure::new(format!("not a record of the stream: {record:?}")))?;
        if let Some(first) = places.insert(id, record) {
            let places = [place(first), place(record)];
            return Err(Failure::new(format!("{id:?} lies at {places:?}")));
        }
    }
    Ok(places)
}

/// In each partition, what a thread sent first lies first: so too what it sent with one key.
pub(crate) fn in_order(read: &[ConsumedRecord]) -> Result<(), Failure> {
    let mut last: BTreeMap<(i32, u32), u32> = BTreeMap::new();
    for record in read {
        let Some(id) = RecordId::of(record) else {
            continue;
        };
        if let Some(before) = last.insert((record.partition, id.thread), id.number) {
            ensure(before < id.number, || {
                let place = place(record);
                format!("{id:?} at {place} lies after number {before} of its thread")
            })?;
        }
    }
    Ok(())
}

fn place(record: &ConsumedRecord) -> String {
    format!("{}@{}", record.partition, record.offset)
}
