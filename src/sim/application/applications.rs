//! All threads of the application: what is due, healing, and the end.
//!
//! Thread: the one that simulates. Locks: the ledger's, for moments.

use std::sync::Arc;
use std::time::Duration;

use super::super::faults::ClientFaults;
use super::super::ledger::SharedLedger;
use super::super::scenario::Scenario;
use super::super::trace::Trace;
use super::callbacks::Listener;
use super::closing;
use super::outcome::{Limits, Shared, lock};
use super::thread::Thread;
use super::topics::Topics;
use crate::producer::{CallbackThread, CloseError, KafkaProducer};
use crate::time::MockTime;

/// All threads of the application.
#[derive(Debug)]
pub(crate) struct Applications {
    threads: Vec<Thread>,
    shared: Arc<Shared>,
    producer: Option<KafkaProducer>,
    knows_of_close: bool,
    /// What runs callbacks, if the Sender does not.
    callbacks: Option<CallbackThread>,
}

impl Applications {
    pub(crate) fn new(
        scenario: &Scenario,
        producer: KafkaProducer,
        ledger: SharedLedger,
        clock: Arc<MockTime>,
    ) -> Self {
        let limits = Limits::of(scenario);
        let topics = Topics::new(&scenario.cluster.topics);
        let shared = Arc::new(Shared::new((ledger, clock), topics, limits));
        *lock(&shared.producer) = Some(producer.clone());
        let listener = Arc::new(Listener(Arc::clone(&shared)));
        let plans = scenario.threads.iter().cloned().enumerate();
        let threads = plans
            .map(|(index, plan)| Thread::new(index, plan, &producer, &listener))
            .collect();
        Self {
            threads,
            shared,
            producer: Some(producer),
            knows_of_close: false,
            callbacks: None,
        }
    }

    /// Callbacks run on a thread of their own.
    pub(crate) fn set_callback_thread(&mut self, callbacks: CallbackThread) {
        *lock(&self.shared.callbacks_busy_until) = Some(Duration::ZERO);
        self.callbacks = Some(callbacks);
    }

    /// When the thread of the callbacks can run the next ones, if there are any.
    pub(crate) fn next_callbacks(&self) -> Option<Duration> {
        let waits = self
            .callbacks
            .as_ref()
            .is_some_and(CallbackThread::has_work);
        waits.then(|| lock(&self.shared.callbacks_busy_until).unwrap_or_default())
    }

    fn run_callbacks(&mut self, now: Duration) {
        while self.next_callbacks().is_some_and(|at| at <= now) {
            if let Some(callbacks) = &self.callbacks {
                callbacks.turn();
            }
        }
    }

    /// How its code misbehaves from now on.
    pub(crate) fn set_client_faults(&mut self, faults: ClientFaults) {
        *lock(&self.shared.faults) = Some(faults);
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
        threads.chain(self.next_callbacks()).min()
    }

    /// Each does what is due.
    pub(crate) fn run_due(&mut self, now: Duration, trace: &mut Trace) {
        self.run_callbacks(now);
        self.notice_close(now);
        for thread in &mut self.threads {
            thread.run(now, &self.shared, trace);
        }
    }

    /// Closed, by whomever: threads try a few times more, and give it up.
    fn notice_close(&mut self, now: Duration) {
        let is_closed = self.producer.as_ref().is_some_and(KafkaProducer::is_closed);
        if is_closed && !self.knows_of_close {
            self.knows_of_close = true;
            self.shared.ledger.lock().closed_at.get_or_insert(now);
            let threads = self.threads.iter_mut();
            threads.for_each(|thread| thread.stop_after(CALLS_AFTER_CLOSE));
        }
    }

    /// Whether all calls are made and have returned.
    pub(crate) fn are_done(&self) -> bool {
        self.threads.iter().all(Thread::is_done)
    }

    /// Heal: threads make no more calls of their own; what blocks goes on.
    pub(crate) fn stop(&mut self) {
        let threads = self.threads.iter_mut();
        threads.for_each(|thread| thread.stop_after(0));
    }

    /// Every clone is dropped, and with it the calls that threads are in.
    pub(crate) fn drop_producers(&mut self) {
        let now = self.shared.now();
        self.producer = None;
        drop(lock(&self.shared.producer).take());
        let threads = self.threads.iter_mut();
        threads.for_each(|thread| thread.abandon(now, &self.shared));
    }

    /// `close` has returned: what it gives back is compared with what was told.
    pub(crate) fn on_closed(&mut self, now: Duration, outcome: Result<(), CloseError>) {
        closing::look_at_given_back(outcome.err().as_ref(), now, &self.shared);
        if let Some(producer) = &self.producer {
            if producer.end_of_close().is_err() {
                let text = "closing again gives back what was given back already".to_owned();
                self.shared.violation("P5", text);
            }
        }
    }

    /// The Sender has ended, and whoever it woke has gone on: nobody waits, and everything has
    /// its outcome.
    pub(crate) fn finish(&mut self, now: Duration) {
        for thread in &mut self.threads {
            thread.finish(&self.shared);
        }
        self.shared.look_for_open_callbacks(now);
    }
}

/// Callbacks hold what they share, and that the producer, which holds the callbacks.
impl Drop for Applications {
    fn drop(&mut self) {
        let producer = lock(&self.shared.producer).take();
        drop(producer);
    }
}

/// A thread tries again so often before it sees that the producer is closed.
const CALLS_AFTER_CLOSE: u32 = 3;
