//! The application's threads: each makes its calls one after the other, and a call that blocks holds
//! its thread up until its waker is called or its time is over.
//!
//! Thread: the one that simulates. Locks: the ledger's, for moments.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Wake, Waker};
use std::time::Duration;

use super::ledger::{End, Entry, SharedLedger};
use super::payload::RecordSpec;
use super::scenario::{Scenario, ThreadPlan};
use super::trace::Trace;
use crate::producer::{BlockedSend, Callback, KafkaProducer};
use bytes::Bytes;

/// All threads of the application.
#[derive(Debug)]
pub(crate) struct Applications {
    threads: Vec<Thread>,
    topics: Vec<String>,
    ledger: SharedLedger,
    producer: Option<KafkaProducer>,
    clock: Arc<crate::time::MockTime>,
}

#[derive(Debug)]
struct Thread {
    plan: ThreadPlan,
    made: u32,
    next_call: Duration,
    blocked: Option<BlockedSend<Option<Bytes>, Option<Bytes>>>,
    woken: Arc<Flag>,
    id: u64,
}

#[derive(Debug, Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Applications {
    pub(crate) fn new(
        scenario: &Scenario,
        producer: KafkaProducer,
        ledger: SharedLedger,
        clock: Arc<crate::time::MockTime>,
    ) -> Self {
        let thread = |plan: &ThreadPlan| Thread {
            plan: plan.clone(),
            made: 0,
            next_call: Duration::from_micros(plan.pause_us),
            blocked: None,
            woken: Arc::default(),
            id: 0,
        };
        Self {
            threads: scenario.threads.iter().map(thread).collect(),
            topics: scenario
                .cluster
                .topics
                .iter()
                .map(|topic| topic.name.clone())
                .collect(),
            ledger,
            producer: Some(producer),
            clock,
        }
    }

    /// When one of them has something to do by itself.
    pub(crate) fn next_event(&self) -> Option<Duration> {
        let of = |thread: &Thread| match &thread.blocked {
            Some(_) if thread.woken.0.load(Ordering::Relaxed) => Some(Duration::ZERO),
            Some(blocked) => Some(blocked.until().duration_since(self.clock.start())),
            None => (thread.made < thread.plan.calls).then_some(thread.next_call),
        };
        self.threads.iter().filter_map(of).min()
    }

    /// Each does what is due.
    pub(crate) fn run_due(&mut self, now: Duration, trace: &mut Trace) {
        let Some(producer) = &self.producer else {
            return;
        };
        for (index, thread) in self.threads.iter_mut().enumerate() {
            if thread.blocked.is_none()
                && thread.made < thread.plan.calls
                && thread.next_call <= now
            {
                thread.made += 1;
                thread.next_call = now + Duration::from_micros(thread.plan.pause_us);
                let mut ledger = self.ledger.lock();
                let id = ledger.entries.len() as u64;
                let spec = RecordSpec {
                    id,
                    topic: 0,
                    partition: None,
                    key: None,
                    value_bytes: Some(20),
                    headers: 0,
                    timestamp_ms: None,
                };
                let record = spec.record(&self.topics[0]);
                ledger.entries.push(Entry {
                    spec,
                    thread: index,
                    called_at: now,
                    accepted_at: None,
                    refused: None,
                    wants_callback: true,
                    callbacks: Vec::new(),
                    handle: None,
                });
                drop(ledger);
                let shared = self.ledger.clone();
                let clock = Arc::clone(&self.clock);
                let callback = Callback::once(move |result| {
                    let end = match result {
                        Ok(metadata) => End::Acked {
                            partition: metadata.partition(),
                            offset: metadata.offset(),
                            timestamp_ms: metadata.timestamp_ms(),
                        },
                        Err(error) => End::Failed {
                            partition: error.partition(),
                            persistence: error.persistence(),
                            kind: error.kind(),
                            text: error.to_string(),
                        },
                    };
                    let at = clock.elapsed();
                    shared.lock().entries[usize::try_from(id).expect("few")]
                        .callbacks
                        .push((at, end));
                });
                thread.id = id;
                thread.blocked = Some(producer.begin_send(record, Some(callback)));
                thread.woken.0.store(true, Ordering::Relaxed);
            }
            let Some(blocked) = &mut thread.blocked else {
                continue;
            };
            let is_over = blocked.until().duration_since(self.clock.start()) <= now;
            if !thread.woken.0.swap(false, Ordering::Relaxed) && !is_over {
                continue;
            }
            let waker = Waker::from(Arc::clone(&thread.woken));
            if let Poll::Ready(outcome) = blocked.poll(producer, &waker) {
                thread.blocked = None;
                let mut ledger = self.ledger.lock();
                let entry = &mut ledger.entries[usize::try_from(thread.id).expect("few")];
                match outcome {
                    Ok(_) => entry.accepted_at = Some(now),
                    Err(error) => entry.refused = Some(error.error().kind()),
                }
                trace.note(
                    now,
                    format_args!("thread {index}"),
                    format_args!("sent {}", thread.id),
                );
            }
        }
    }

    /// Whether all calls are made and have returned.
    pub(crate) fn are_done(&self) -> bool {
        self.threads
            .iter()
            .all(|thread| thread.blocked.is_none() && thread.made == thread.plan.calls)
    }

    /// Heal: threads make no more calls of their own; what blocks goes on.
    pub(crate) fn stop(&mut self) {
        for thread in &mut self.threads {
            thread.plan.calls = thread.made;
        }
    }
}
