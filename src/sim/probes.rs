//! Records for each partition, once everything is healed: one of them has to be acknowledged soon.
//! One that fails, because of its neighbours in a batch, because `retries` are few, because of what
//! went wrong before, is followed by another, as an application would do.
//!
//! Thread: the one that simulates. Locks: the ledger's, for moments.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;

use super::ledger::{End, Entry, SharedLedger};
use super::payload::{Key, Mark, RecordSpec};
use super::scenario::Scenario;
use crate::producer::{BlockedSend, KafkaProducer, SendHandle};

/// All probes of a run; none before it is healed.
#[derive(Debug, Default)]
pub(super) struct Probes(Option<Begun>);

#[derive(Debug)]
struct Begun {
    probes: Vec<Probe>,
    topics: Vec<String>,
    producer: KafkaProducer,
    ledger: SharedLedger,
}

#[derive(Debug)]
struct Probe {
    id: usize,
    topic: usize,
    partition: i32,
    state: State,
    woken: Arc<Flag>,
    /// So many of the partition have failed.
    failures: u32,
}

#[derive(Debug)]
enum State {
    Sending(Box<BlockedSend<Option<Bytes>, Option<Bytes>>>),
    Waiting(SendHandle),
    /// The next record goes then.
    Pausing(Duration),
    Done,
}

#[derive(Debug, Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Probes {
    /// One for each partition that the scenario made; those that were added since are others' business.
    pub(super) fn begin(
        scenario: &Scenario,
        producer: KafkaProducer,
        ledger: SharedLedger,
        now: Duration,
    ) -> Self {
        let mut probes = Vec::new();
        for (topic, plan) in scenario.cluster.topics.iter().enumerate() {
            for partition in 0..plan.partitions {
                probes.push(Probe {
                    id: 0,
                    topic,
                    partition,
                    state: State::Pausing(now),
                    woken: Arc::default(),
                    failures: 0,
                });
            }
        }
        let topics = scenario.cluster.topics.iter();
        let mut begun = Begun {
            probes,
            topics: topics.map(|plan| plan.name.clone()).collect(),
            producer,
            ledger,
        };
        for probe in &mut begun.probes {
            probe.begin((&begun.topics, &begun.producer, &begun.ledger), now);
        }
        Self(Some(begun))
    }

    /// Goes on with those that were woken.
    pub(super) fn run_due(&mut self, now: Duration) {
        let Some(Begun {
            probes,
            topics,
            producer,
            ledger,
        }) = &mut self.0
        else {
            return;
        };
        for probe in probes {
            if matches!(probe.state, State::Pausing(until) if until <= now) {
                probe.begin((topics, producer, ledger), now);
            }
            if probe.woken.0.swap(false, Ordering::Relaxed) {
                probe.go_on(producer, ledger, now);
            }
        }
    }

    pub(super) fn next_event(&self) -> Option<Duration> {
        let probes = self.0.iter().flat_map(|begun| &begun.probes);
        probes.filter_map(Probe::next_event).min()
    }

    pub(super) fn are_done(&self) -> bool {
        !self.any(|probe| !matches!(probe.state, State::Done))
    }

    fn any(&self, is_such: impl Fn(&Probe) -> bool) -> bool {
        let begun = self.0.as_ref();
        begun.is_some_and(|begun| begun.probes.iter().any(is_such))
    }
}

impl Probe {
    fn next_event(&self) -> Option<Duration> {
        match self.state {
            _ if self.woken.0.load(Ordering::Relaxed) => Some(Duration::ZERO),
            State::Pausing(until) => Some(until),
            State::Sending(_) | State::Waiting(_) | State::Done => None,
        }
    }

    /// The next record of its partition.
    fn begin(
        &mut self,
        (topics, producer, ledger): (&[String], &KafkaProducer, &SharedLedger),
        now: Duration,
    ) {
        let mut ledger = ledger.lock();
        self.id = ledger.entries.len();
        let spec = RecordSpec {
            id: u64::try_from(self.id).expect("64 bits"),
            topic: self.topic,
            partition: Some(self.partition),
            key: Key::Null,
            value_bytes: Some(16),
            headers: 0,
            timestamp_ms: None,
            mark: Mark::Value,
        };
        let record = spec.record(&topics[self.topic]);
        let mut entry = Entry::new(spec, PROBER, now);
        entry.is_probe = true;
        ledger.entries.push(entry);
        drop(ledger);
        self.woken = Arc::new(Flag(AtomicBool::new(true)));
        self.state = State::Sending(Box::new(producer.begin_send(record, None)));
    }

    fn failed(&mut self, producer: &KafkaProducer, now: Duration) {
        self.failures += 1;
        self.state = if self.failures >= MOST_FAILURES || producer.is_closed() {
            State::Done
        } else {
            State::Pausing(now + FIRST_PAUSE * (1 << (self.failures - 1)))
        };
    }

    fn go_on(&mut self, producer: &KafkaProducer, ledger: &SharedLedger, now: Duration) {
        let waker = Waker::from(Arc::clone(&self.woken));
        if let State::Sending(sending) = &mut self.state {
            match sending.poll(producer, &waker) {
                Poll::Pending => return,
                Poll::Ready(Ok(handle)) => {
                    ledger.lock().entries[self.id].accepted_at = Some(now);
                    self.state = State::Waiting(handle);
                }
                Poll::Ready(Err(error)) => {
                    ledger.lock().entries[self.id].refused = Some(error.error().kind());
                    self.failed(producer, now);
                }
            }
        }
        if let State::Waiting(handle) = &mut self.state {
            let mut context = std::task::Context::from_waker(&waker);
            if let Poll::Ready(outcome) = std::pin::Pin::new(handle).poll(&mut context) {
                let end = End::of(outcome.as_ref());
                ledger.lock().entries[self.id].handle = Some((now, end));
                match outcome {
                    Ok(_) => self.state = State::Done,
                    Err(_) => self.failed(producer, now),
                }
            }
        }
    }
}

/// Pauses double, so that this many take a minute.
const MOST_FAILURES: u32 = 11;
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The thread of probes, in the ledger.
pub(super) const PROBER: usize = usize::MAX;
