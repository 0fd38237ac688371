//! One record for each partition, once everything is healed: all of them have to be acknowledged soon.
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
    producer: KafkaProducer,
    ledger: SharedLedger,
}

#[derive(Debug)]
struct Probe {
    id: usize,
    state: State,
    woken: Arc<Flag>,
}

#[derive(Debug)]
enum State {
    Sending(Box<BlockedSend<Option<Bytes>, Option<Bytes>>>),
    Waiting(SendHandle),
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
                let mut ledger = ledger.lock();
                let id = ledger.entries.len();
                let spec = RecordSpec {
                    id: u64::try_from(id).expect("64 bits"),
                    topic,
                    partition: Some(partition),
                    key: Key::Null,
                    value_bytes: Some(16),
                    headers: 0,
                    timestamp_ms: None,
                    mark: Mark::Value,
                };
                let record = spec.record(&plan.name);
                let mut entry = Entry::new(spec, PROBER, now);
                entry.is_probe = true;
                ledger.entries.push(entry);
                drop(ledger);
                let woken = Arc::new(Flag(AtomicBool::new(true)));
                let state = State::Sending(Box::new(producer.begin_send(record, None)));
                probes.push(Probe { id, state, woken });
            }
        }
        Self(Some(Begun {
            probes,
            producer,
            ledger,
        }))
    }

    /// Goes on with those that were woken.
    pub(super) fn run_due(&mut self, now: Duration) {
        let Some(Begun {
            probes,
            producer,
            ledger,
        }) = &mut self.0
        else {
            return;
        };
        for probe in probes {
            if probe.woken.0.swap(false, Ordering::Relaxed) {
                probe.go_on(producer, ledger, now);
            }
        }
    }

    pub(super) fn has_woken(&self) -> bool {
        self.any(|probe| probe.woken.0.load(Ordering::Relaxed))
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
                    self.state = State::Done;
                }
            }
        }
        if let State::Waiting(handle) = &mut self.state {
            let mut context = std::task::Context::from_waker(&waker);
            if let Poll::Ready(outcome) = std::pin::Pin::new(handle).poll(&mut context) {
                let end = End::of(outcome.as_ref());
                ledger.lock().entries[self.id].handle = Some((now, end));
                self.state = State::Done;
            }
        }
    }
}

/// The thread of probes, in the ledger.
pub(super) const PROBER: usize = usize::MAX;
