//! One thread of the application: its calls one after the other, and the one it is in.
//!
//! Thread: the one that simulates. Locks: the ledger's, for moments.
//! ```text
//! idle --its time has come--> a call is polled --ready--> (handle: drop, keep, or wait for it) --> idle
//!                                 \--pending: until its waker is called, or its time is over--^
//! ```

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;

use super::super::ledger::{Entry, RecordId, SharedLedger};
use super::super::payload::SimRecord;
use super::super::scenario::ThreadPlan;
use super::super::trace::{Happening, Trace};
use super::callbacks::{self, Listener};
use super::calls::{self, Call, Moment, SendCall, Then, Told, Trouble, Way};
use super::outcome::Shared;
use super::serializers::{Face, face};
use super::wait::Wait;
use crate::error::ErrorKind;
use crate::producer::{
    BlockedQuestion, BlockedSend, Callback, DeliveryCallback, FlushTicket, KafkaProducer,
    SendError, SendHandle,
};

type Field = Option<Bytes>;
type Sent = Result<SendHandle, SendError<'static, Field, Field>>;

/// A thread, as it stands.
#[derive(Debug)]
pub(super) struct Thread {
    pub(super) index: usize,
    pub(super) plan: ThreadPlan,
    made: u32,
    next_call: Duration,
    pause: Duration,
    doing: Doing,
    pub(super) wait: Wait,
    /// Its own clone, until it has ended.
    producer: Option<KafkaProducer>,
    listener: Arc<Listener>,
    /// Handles to look at later.
    kept: VecDeque<(RecordId, SendHandle)>,
    huge_made: u32,
    /// Of the call that it is in, and how that went: for the trace.
    record: Option<RecordId>,
    error: Option<ErrorKind>,
}

/// The call it is in.
enum Doing {
    Nothing,
    Send(Box<Sending<BlockedSend<Field, Field>>>),
    Ready(Sending<Pin<Box<dyn Future<Output = Sent> + Send>>>),
    Get {
        handle: SendHandle,
        id: RecordId,
        renews_waker: bool,
    },
    Flush {
        ticket: FlushTicket,
        /// What has to have its outcome when it returns.
        owed: Vec<RecordId>,
        /// Records from here on were not there when it began.
        before: RecordId,
    },
    Ask(BlockedQuestion),
}

/// A send that is under way.
struct Sending<S> {
    call: S,
    id: RecordId,
    then: Then,
    face: Option<Face>,
}

impl Thread {
    pub(super) fn new(
        index: usize,
        plan: ThreadPlan,
        producer: &KafkaProducer,
        listener: &Arc<Listener>,
    ) -> Self {
        Self {
            index,
            made: 0,
            next_call: Duration::from_micros(plan.pause_us),
            wait: Wait::new(plan.deaf),
            plan,
            pause: Duration::ZERO,
            doing: Doing::Nothing,
            producer: Some(producer.clone()),
            listener: Arc::clone(listener),
            kept: VecDeque::new(),
            huge_made: 0,
            record: None,
            error: None,
        }
    }

    /// When it has something to do by itself.
    pub(super) fn next_event(&self) -> Option<Duration> {
        match self.doing {
            Doing::Nothing => self.has_calls().then_some(self.next_call),
            _ => self.wait.next_event(),
        }
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self.doing, Doing::Nothing) && !self.has_calls()
    }

    fn has_calls(&self) -> bool {
        self.producer.is_some() && self.made < self.plan.calls
    }

    /// Makes at most so many calls more.
    pub(super) fn stop_after(&mut self, calls: u32) {
        self.plan.calls = self.plan.calls.min(self.made + calls);
    }

    /// Drops its clone of the producer, and the call that it is in.
    pub(super) fn abandon(&mut self, now: Duration, shared: &Shared) {
        self.stop_after(0);
        self.doing = Doing::Nothing;
        self.wait.abandoned(now, &shared.ledger);
        self.producer = None;
    }

    /// Does what is due.
    pub(super) fn run(&mut self, now: Duration, shared: &Arc<Shared>, trace: &mut Trace) {
        loop {
            if matches!(self.doing, Doing::Nothing) {
                if !self.has_calls() || self.next_call > now {
                    return;
                }
                self.begin_call(now, shared);
            } else {
                self.look_for_lost_wake_up(now, shared);
                if !self.wait.is_due(now) || !self.go_on(now, shared, trace) {
                    return;
                }
                if matches!(self.doing, Doing::Nothing) {
                    self.wait.ended(now, &shared.ledger);
                    self.next_call = now + self.pause;
                }
            }
        }
    }

    /// A handle tells whether it is done without touching its waiter.
    fn look_for_lost_wake_up(&self, now: Duration, shared: &Shared) {
        if let Doing::Get { handle, id, .. } = &self.doing {
            if handle.is_done() && !self.wait.is_due(now) {
                let what = format!("record {id} has its outcome");
                self.wait.lost(&what, now, &shared.ledger);
                self.wait.wake_spuriously();
            }
        }
    }

    fn begin_call(&mut self, now: Duration, shared: &Arc<Shared>) {
        self.look_at_kept(false, shared);
        let moment = Moment {
            id: shared.ledger.lock().next_id(),
            topics: &shared.topics,
            wall_clock_ms: shared.clock.wall_clock_ms(),
            huge_allowed: self.huge_made < self.plan.huge_records,
        };
        let (call, pause) = calls::draw(&self.plan, self.made, moment);
        self.made += 1;
        self.record = None;
        self.pause = pause;
        let Some(producer) = &self.producer else {
            return;
        };
        match call {
            Call::RenewClone => {
                self.producer = Some(producer.clone());
                self.next_call = now + self.pause;
            }
            Call::Purge { topic } => {
                let count = match topic {
                    Some(topic) => producer.purge(shared.topics.name(topic)),
                    None => producer.purge_all(),
                };
                shared.ledger.lock().purged += count;
                self.next_call = now + self.pause;
            }
            Call::PartitionsFor { topic } => {
                self.doing = Doing::Ask(producer.begin_partitions_for(shared.topics.name(topic)));
                self.wait
                    .begin("partitions_for", now, Some(shared.limits.max_block));
            }
            Call::Flush { timeout } => {
                self.doing = begin_flush(producer, shared);
                self.wait.begin("flush", now, timeout);
            }
            Call::Send(call) => self.begin_send(call, now, shared),
        }
    }

    fn begin_send(&mut self, call: SendCall, now: Duration, shared: &Arc<Shared>) {
        let Some(producer) = &self.producer else {
            return;
        };
        let id = call.spec.id;
        let fails = shared
            .faults()
            .is_some_and(|faults| faults.fails_to_serialize(now));
        let record = call.spec.record(shared.topics.name(call.spec.topic));
        if call.spec.value_bytes.is_some_and(|bytes| bytes >= HUGE) {
            self.huge_made += 1;
        }
        let trouble = if fails {
            Some(Trouble::Fails { on_key: false })
        } else {
            call.serializers
        };
        let mut entry = Entry::new(call.spec, self.index, now);
        entry.wants_callback = call.told != Told::Not;
        shared.ledger.lock().entries.push(entry);
        self.record = Some(id);
        let face = trouble.map(|trouble| face(producer, trouble));
        let then = call.then;
        let callback = match call.told {
            Told::Not => None,
            Told::Once => Some(callbacks::once(shared, id)),
            Told::Shared => {
                let listener: Arc<dyn DeliveryCallback> = Arc::<Listener>::clone(&self.listener);
                Some(Callback::shared(listener, id))
            }
        };
        match call.way {
            Way::TrySend => {
                let sent = try_send(producer, face.as_ref(), record, callback);
                self.wait.begin("try_send", now, None);
                self.sent(sent, (id, then), now, shared);
                if matches!(self.doing, Doing::Nothing) {
                    self.next_call = now + self.pause;
                }
            }
            Way::Send => {
                let call = producer.begin_send(record, callback);
                self.doing = Doing::Send(Box::new(Sending {
                    call,
                    id,
                    then,
                    face,
                }));
                self.wait.begin("send", now, Some(shared.limits.max_block));
            }
            Way::WhenReady { patience } => {
                let own = producer.clone();
                let call: Pin<Box<dyn Future<Output = Sent> + Send>> =
                    Box::pin(async move { own.send_when_ready(record, callback).await });
                let face = None;
                self.doing = Doing::Ready(Sending {
                    call,
                    id,
                    then,
                    face,
                });
                self.wait.begin("send_when_ready", now, Some(patience));
            }
        }
    }

    /// Polls the call it is in. False: it has to wait.
    fn go_on(&mut self, now: Duration, shared: &Arc<Shared>, trace: &mut Trace) -> bool {
        let called = self.wait.take_call();
        let doing = std::mem::replace(&mut self.doing, Doing::Nothing);
        let name = self.wait.name();
        self.doing = match doing {
            Doing::Nothing => Doing::Nothing,
            Doing::Send(sending) => self.go_on_sending(sending, called, now, shared),
            Doing::Ready(sending) => self.go_on_awaiting(sending, now, shared),
            Doing::Get {
                handle,
                id,
                renews_waker,
            } => self.go_on_getting((handle, id, renews_waker), called, now, shared),
            Doing::Flush {
                ticket,
                owed,
                before,
            } => self.go_on_flushing((ticket, owed, before), called, now, shared),
            Doing::Ask(question) => self.go_on_asking(question, called, now, shared),
        };
        let is_same_call = self.wait.name() == name;
        if is_same_call && !matches!(self.doing, Doing::Nothing) {
            self.wait
                .goes_on(now, shared.limits.delivery_timeout, &shared.ledger);
            return false;
        }
        let happening = Happening::Returns {
            thread: self.index,
            call: name,
            record: self.record,
            error: self.error.take(),
        };
        trace.event(now, happening);
        true
    }

    fn go_on_sending(
        &mut self,
        mut sending: Box<Sending<BlockedSend<Field, Field>>>,
        called: bool,
        now: Duration,
        shared: &Arc<Shared>,
    ) -> Doing {
        let Some(producer) = &self.producer else {
            return Doing::Nothing;
        };
        let had_room = sending.call.has_been_given_room();
        let waited_for_topic = sending.call.waits_for_topic();
        let waker = self.wait.waker();
        let polled = match &sending.face {
            Some(face) => sending.call.poll(face, &waker),
            None => sending.call.poll(producer, &waker),
        };
        let Poll::Ready(outcome) = polled else {
            return Doing::Send(sending);
        };
        if !called && had_room {
            self.wait.lost("it was given room", now, &shared.ledger);
        } else if !called && waited_for_topic && outcome.is_ok() {
            self.wait.lost("its topic is known", now, &shared.ledger);
        }
        self.sent(outcome, (sending.id, sending.then), now, shared);
        std::mem::replace(&mut self.doing, Doing::Nothing)
    }

    fn go_on_awaiting(
        &mut self,
        mut sending: Sending<Pin<Box<dyn Future<Output = Sent> + Send>>>,
        now: Duration,
        shared: &Arc<Shared>,
    ) -> Doing {
        let waker = self.wait.waker();
        match sending.call.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(outcome) => {
                self.sent(outcome, (sending.id, sending.then), now, shared);
                std::mem::replace(&mut self.doing, Doing::Nothing)
            }
            // The future is dropped, and the record with it.
            Poll::Pending if self.wait.is_over(now) => Doing::Nothing,
            Poll::Pending => Doing::Ready(sending),
        }
    }

    /// A send has returned.
    fn sent(
        &mut self,
        outcome: Sent,
        (id, then): (RecordId, Then),
        now: Duration,
        shared: &Arc<Shared>,
    ) {
        let handle = match outcome {
            Ok(handle) => handle,
            Err(refused) => {
                let kind = refused.kind();
                self.error = Some(kind);
                shared.note_lack_of_room(id, refused.error());
                shared.note_refusal(id, kind, &refused.into_record());
                return;
            }
        };
        shared.note_acceptance(id);
        if shared
            .faults()
            .is_some_and(|faults| faults.drops_handle(now))
        {
            return;
        }
        match then {
            Then::Drop => {}
            Then::Keep => {
                self.kept.push_back((id, handle));
                if self.kept.len() > MOST_KEPT {
                    self.kept.pop_front();
                }
            }
            Then::Wait {
                timeout,
                renews_waker,
            } => {
                self.wait.ended(now, &shared.ledger);
                self.doing = Doing::Get {
                    handle,
                    id,
                    renews_waker,
                };
                let name = if timeout.is_some() {
                    "get_timeout"
                } else {
                    "get"
                };
                self.wait.begin(name, now, timeout);
            }
        }
    }

    fn go_on_getting(
        &mut self,
        (mut handle, id, renews_waker): (SendHandle, RecordId, bool),
        called: bool,
        now: Duration,
        shared: &Arc<Shared>,
    ) -> Doing {
        let waker = self.wait.waker();
        let mut polled = Pin::new(&mut handle).poll(&mut Context::from_waker(&waker));
        if renews_waker && polled.is_pending() {
            let waker = self.wait.renew_waker();
            polled = Pin::new(&mut handle).poll(&mut Context::from_waker(&waker));
        }
        match polled {
            Poll::Ready(outcome) => {
                if !called {
                    let what = format!("record {id} has its outcome");
                    self.wait.lost(&what, now, &shared.ledger);
                }
                shared.note_handle(id, &outcome);
                self.error = outcome.err().map(|error| error.kind());
                Doing::Nothing
            }
            Poll::Pending if self.wait.gives_up(now) => Doing::Nothing,
            Poll::Pending => Doing::Get {
                handle,
                id,
                renews_waker: false,
            },
        }
    }

    fn go_on_flushing(
        &mut self,
        (mut ticket, owed, before): (FlushTicket, Vec<RecordId>, RecordId),
        called: bool,
        now: Duration,
        shared: &Arc<Shared>,
    ) -> Doing {
        if ticket.poll(&self.wait.waker()) {
            if !called {
                self.wait
                    .lost("everything has its outcome", now, &shared.ledger);
            }
            flushed(&owed, now, &shared.ledger);
            let open = |(id, handle): &&(RecordId, SendHandle)| *id < before && !handle.is_done();
            if let Some((id, _)) = self.kept.iter().find(open) {
                let text = format!("flush returned although the handle of record {id} is not done");
                shared.violation("P4", text);
            }
            Doing::Nothing
        } else if self.wait.gives_up(now) {
            Doing::Nothing
        } else {
            Doing::Flush {
                ticket,
                owed,
                before,
            }
        }
    }

    fn go_on_asking(
        &mut self,
        mut question: BlockedQuestion,
        called: bool,
        now: Duration,
        shared: &Arc<Shared>,
    ) -> Doing {
        let Some(producer) = &self.producer else {
            return Doing::Nothing;
        };
        match question.poll(producer, &self.wait.waker()) {
            Poll::Ready(outcome) => {
                if !called && outcome.is_ok() {
                    self.wait.lost("the topic is known", now, &shared.ledger);
                }
                self.error = outcome.err().map(|error| error.kind());
                Doing::Nothing
            }
            Poll::Pending => Doing::Ask(question),
        }
    }

    /// Looks at handles that were kept; at the end all of them have to be done.
    pub(super) fn look_at_kept(&mut self, at_the_end: bool, shared: &Shared) {
        let many = if at_the_end { self.kept.len() } else { 1 };
        for _ in 0..many {
            let Some((id, handle)) = self.kept.pop_front() else {
                return;
            };
            match handle.try_get() {
                Some(outcome) => shared.note_handle(id, &outcome),
                None if at_the_end => {
                    let text = format!("the producer has ended, the handle of record {id} has not");
                    shared.violation("P5", text);
                }
                None if handle.is_done() => {
                    let text = format!("record {id}: its handle is done without an outcome");
                    shared.violation("P5", text);
                }
                None => self.kept.push_front((id, handle)),
            }
        }
    }

    /// The producer is gone: it is in no call any more, and all handles are done.
    pub(super) fn finish(&mut self, shared: &Shared) {
        if !matches!(self.doing, Doing::Nothing) {
            let name = self.wait.name();
            let text = format!("{name} goes on although the producer has ended");
            shared.violation("P4", text);
        }
        self.look_at_kept(true, shared);
    }
}

fn begin_flush(producer: &KafkaProducer, shared: &Shared) -> Doing {
    let ledger = shared.ledger.lock();
    let is_owed = |entry: &&Entry| {
        entry.accepted_at.is_some() && entry.wants_callback && entry.callbacks.is_empty()
    };
    let owed = ledger.entries.iter().filter(is_owed);
    let (owed, before) = (owed.map(|entry| entry.spec.id).collect(), ledger.next_id());
    drop(ledger);
    Doing::Flush {
        ticket: producer.begin_flush(),
        owed,
        before,
    }
}

/// Everything accepted before a flush has its outcome when it returns, and its callback has run.
pub(super) fn flushed(owed: &[RecordId], now: Duration, ledger: &SharedLedger) {
    let mut ledger = ledger.lock();
    let is_open = |id: &&RecordId| {
        let at = super::super::ledger::index(**id);
        ledger.entries[at].callbacks.is_empty()
    };
    if let Some(id) = owed.iter().find(is_open) {
        let text = format!("flush returned before the callback of record {id} ran");
        ledger.violation("P4", now, text);
    }
}

fn try_send(
    producer: &KafkaProducer,
    face: Option<&Face>,
    record: SimRecord,
    callback: Option<Callback<'static>>,
) -> Sent {
    match (face, callback) {
        (Some(face), Some(callback)) => face.try_send_with(record, callback),
        (Some(face), None) => face.try_send(record),
        (None, Some(callback)) => producer.try_send_with(record, callback),
        (None, None) => producer.try_send(record),
    }
}

impl fmt::Debug for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Send(_) => "Send",
            Self::Ready(_) => "Ready",
            Self::Get { .. } => "Get",
            Self::Flush { .. } => "Flush",
            Self::Ask(_) => "Ask",
        })
    }
}

/// Handles that a thread keeps: a failed one keeps its batch's memory.
const MOST_KEPT: usize = 16;
const HUGE: usize = 100_000;
