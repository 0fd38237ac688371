//! The application: threads that make calls, callbacks, and the end of it.
//!
//! A call that blocks holds its thread up until its waker is called or its time is over; what it
//! could have done without having been called is a lost wake-up (`wait.rs`).
//!
//! Thread: the one that simulates. Locks: the ledger's, for moments.
//! ```text
//! calls.rs: what call i is --> thread.rs: makes it, waits --> outcome.rs: writes down, compares
//!                              callbacks.rs: run in the Sender's turn --^
//! closing.rs: close, drop of the last clone, what is given back
//! ```

mod callbacks;
mod calls;
mod closing;
mod outcome;
mod serializers;
mod thread;
mod topics;
mod wait;

use std::sync::Arc;
use std::time::Duration;

use self::callbacks::Listener;
use self::closing::Life;
use self::outcome::{Limits, Shared, lock};
use self::thread::Thread;
use self::topics::Topics;
use super::faults::ClientFaults;
use super::ledger::SharedLedger;
use super::scenario::{Ending, Habits, Scenario, ThreadPlan};
use super::trace::Trace;
use crate::producer::KafkaProducer;
use crate::time::MockTime;

/// All threads of the application.
#[derive(Debug)]
pub(crate) struct Applications {
    /// The last one is the prober.
    threads: Vec<Thread>,
    shared: Arc<Shared>,
    producer: Option<KafkaProducer>,
    ending: Ending,
    life: Life,
}

impl Applications {
    pub(crate) fn new(
        scenario: &Scenario,
        producer: KafkaProducer,
        ledger: SharedLedger,
        clock: Arc<MockTime>,
    ) -> Self {
        let config = &scenario.config;
        let prober = scenario.threads.len();
        let limits = Limits {
            most_record: config.max_request_size.min(config.buffer_memory),
            delivery_timeout: Duration::from_millis(config.delivery_timeout_ms),
            max_block: Duration::from_millis(config.max_block_ms),
            keeps_order: config.idempotence || config.max_in_flight == 1,
            callbacks_thread: prober + 1,
        };
        let topics = Topics::new(&scenario.cluster.topics);
        let shared = Arc::new(Shared::new(&producer, (ledger, clock), topics, limits));
        let listener = Arc::new(Listener(Arc::clone(&shared)));
        let plans = scenario.threads.iter().cloned();
        let threads = plans
            .chain(std::iter::once(probing()))
            .enumerate()
            .map(|(index, plan)| Thread::new(index, plan, &producer, &listener))
            .collect();
        Self {
            threads,
            shared,
            producer: Some(producer),
            ending: scenario.ending,
            life: Life::default(),
        }
    }

    /// How its code misbehaves from now on.
    pub(crate) fn set_client_faults(&mut self, faults: ClientFaults) {
        *lock(&self.shared.faults) = faults;
    }

    /// Wakes everybody who waits, as it may happen at any time.
    pub(crate) fn wake_all(&mut self) {
        for thread in &self.threads {
            thread.wait.wake_spuriously();
        }
    }

    /// When one of them has something to do by itself.
    pub(crate) fn next_event(&self) -> Option<Duration> {
        let threads = self.threads.iter().filter_map(Thread::next_event);
        let ending = match self.ending {
            Ending::CloseEarly { at, .. } | Ending::Drop { at } => Some(at),
            Ending::Close => None,
        };
        threads.chain(ending).chain(self.life.next_event()).min()
    }

    /// Each does what is due.
    pub(crate) fn run_due(&mut self, now: Duration, trace: &mut Trace) {
        match self.ending {
            Ending::CloseEarly { at, timeout } if at <= now => {
                self.ending = Ending::Close;
                self.begin_close(now, timeout);
            }
            Ending::Drop { at } if at <= now => {
                self.ending = Ending::Close;
                self.drop_all();
            }
            _ => {}
        }
        self.notice_the_end(now);
        self.life.run(now, self.producer.as_ref());
        for thread in &mut self.threads {
            thread.run(now, &self.shared, trace);
        }
    }

    /// `close` was called in a callback, or the last clone is gone.
    fn notice_the_end(&mut self, now: Duration) {
        if self.life.is_closing() {
            return;
        }
        let is_closed = self.producer.as_ref().is_some_and(KafkaProducer::is_closed);
        let all_left = self.producer.is_none() && self.threads.iter().all(Thread::has_left);
        let limits = self.shared.limits;
        if is_closed {
            self.life.begin("close", now, Duration::ZERO, &self.shared);
        } else if all_left {
            let timeout = limits.delivery_timeout;
            self.life.begin("drop", now, timeout, &self.shared);
        } else {
            return;
        }
        for thread in &mut self.threads {
            thread.stop_after(CALLS_AFTER_CLOSE);
        }
    }

    /// `close(timeout)`, by a thread of its own; nothing if it was called already.
    pub(crate) fn begin_close(&mut self, now: Duration, timeout: Duration) {
        let Some(producer) = self.producer.as_ref().filter(|_| !self.life.is_closing()) else {
            return;
        };
        producer.begin_close();
        self.life.begin("close", now, timeout, &self.shared);
        self.life.limit(now.saturating_add(timeout));
        for thread in &mut self.threads {
            thread.stop_after(CALLS_AFTER_CLOSE);
        }
    }

    /// Every thread drops its clone as soon as it can; the last one gone closes.
    fn drop_all(&mut self) {
        if self.life.is_closing() {
            return;
        }
        self.producer = None;
        drop(lock(&self.shared.producer).take());
        for thread in &mut self.threads {
            thread.leave();
        }
    }

    /// Whether nothing is accepted any more: then the Sender ends by itself.
    pub(crate) fn is_closing(&self) -> bool {
        self.life.is_closing()
    }

    /// Whether all calls are made and have returned.
    pub(crate) fn are_done(&self) -> bool {
        self.threads.iter().all(Thread::is_done)
    }

    /// Heal: threads make no more calls of their own; what blocks goes on.
    pub(crate) fn stop(&mut self) {
        self.ending = Ending::Close;
        self.threads
            .iter_mut()
            .for_each(|thread| thread.stop_after(0));
    }

    /// A record for each of these partitions (topics by their index), by a thread of its own.
    pub(crate) fn probe(&mut self, now: Duration, partitions: Vec<(usize, i32)>) {
        if let Some(prober) = self.threads.last_mut() {
            prober.probe(now, partitions);
        }
    }

    /// The Sender has ended: whatever still waits returns, and everything has its outcome.
    pub(crate) fn producer_has_ended(&mut self, now: Duration, trace: &mut Trace) {
        for thread in &mut self.threads {
            thread.end(now, &self.shared, trace);
        }
        self.life.end(now, self.producer.as_ref(), &self.shared);
        self.producer = None;
        drop(lock(&self.shared.producer).take());
        let mut ledger = self.shared.ledger.lock();
        let is_open = |entry: &&super::ledger::Entry| {
            entry.accepted_at.is_some() && entry.wants_callback && entry.callbacks.is_empty()
        };
        if let Some(entry) = ledger.entries.iter().find(is_open) {
            let text = format!("callback of record {}: never called", entry.spec.id);
            ledger.violation("P5", now, text);
        }
    }
}

/// Makes no calls of its own.
fn probing() -> ThreadPlan {
    ThreadPlan {
        seed: 0,
        calls: 0,
        pause_us: 0,
        burst: 1,
        largest_value: 0,
        huge_records: 0,
        habits: Habits::default(),
    }
}

/// A thread tries again so often before it sees that the producer is closed.
const CALLS_AFTER_CLOSE: u32 = 3;

#[cfg(test)]
mod tests;
