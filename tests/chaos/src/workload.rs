//! Threads that send at a steady rate, and one beside each that waits for the handles' ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use kafka_producer::{DeliveryCallback, KafkaProducer, ProducerRecord, SendHandle};

use crate::args::Args;
use crate::ledger::Ledger;
use crate::payload::{Record, RecordId};
use crate::{PARTITIONS, TOPICS};

/// How many threads send.
pub(crate) const THREADS: u32 = 4;

/// A handle that has no outcome so long after its time has none at all.
const HANGS: Duration = Duration::from_secs(30);

/// From one purge to the next, and what a flush may take.
const VERBS: Duration = Duration::from_secs(3);

const PAUSE: Duration = Duration::from_millis(2);

/// An accepted record, and when it was accepted.
struct Accepted {
    id: RecordId,
    since: Instant,
    handle: SendHandle,
}

/// Starts the threads; they send until `is_over`, and end when every handle has ended.
pub(crate) fn start<'s>(
    scope: &'s Scope<'s, '_>,
    producer: &'s KafkaProducer,
    ledger: &'s Arc<Ledger>,
    is_over: &'s AtomicBool,
    args: &Args,
) {
    let rate = args.rate / f64::from(THREADS);
    if args.vary {
        spawn(scope, "verbs".to_owned(), move || {
            purge_and_flush(producer, is_over)
        });
    }
    for thread in 0..THREADS {
        let (sender, receiver) = channel();
        spawn(scope, format!("sender-{thread}"), move || {
            send(producer, ledger, (thread, rate), is_over, &sender);
        });
        spawn(scope, format!("handles-{thread}"), move || {
            await_ends(ledger, &receiver);
        });
    }
}

fn spawn<'s>(scope: &'s Scope<'s, '_>, name: String, run: impl FnOnce() + Send + 's) {
    let builder = thread::Builder::new().name(name);
    builder
        .spawn_scoped(scope, run)
        .expect("a machine that runs brokers has a thread more");
}

fn send(
    producer: &KafkaProducer,
    ledger: &Arc<Ledger>,
    (thread, rate): (u32, f64),
    is_over: &AtomicBool,
    handles: &Sender<Accepted>,
) {
    let callback: Arc<dyn DeliveryCallback> = Arc::clone(ledger) as _;
    let started = Instant::now();
    let mut number = 0;
    while !is_over.load(Ordering::SeqCst) {
        // What could not be sent in time is sent later: the average counts.
        let due = started.elapsed().as_secs_f64() * rate;
        while f64::from(number) < due && !is_over.load(Ordering::SeqCst) {
            let id = RecordId { thread, number };
            number += 1;
            let record = Record::new(id, PARTITIONS);
            ledger.sending(id, record.topic);
            let (topic, _) = TOPICS[usize::from(record.topic)];
            let value = record.value();
            let mut to_send = ProducerRecord::new(topic, value).key(record.key);
            if let Some(partition) = record.partition {
                to_send = to_send.partition(partition);
            }
            match producer.send_with(to_send, (&callback, id.tag())) {
                Ok(handle) => {
                    let since = ledger.accepted(id);
                    let accepted = Accepted { id, since, handle };
                    handles.send(accepted).expect("it takes all there are");
                }
                Err(error) => {
                    log::warn!("{id:?} was not accepted: {error}");
                    ledger.refused(id);
                }
            }
        }
        thread::sleep(PAUSE);
    }
}

/// What applications do now and then: they give up what is not sent yet, or wait for all that is.
fn purge_and_flush(producer: &KafkaProducer, is_over: &AtomicBool) {
    for (topic, _) in TOPICS.iter().cycle() {
        for _ in 0..VERBS.as_millis() / PAUSE.as_millis() {
            if is_over.load(Ordering::SeqCst) {
                return;
            }
            thread::sleep(PAUSE);
        }
        log::info!("{} records of {topic} purged", producer.purge(topic));
        // Under constant load it may take longer than it has.
        if let Err(error) = producer.flush_timeout(VERBS) {
            log::info!("{error}");
        }
    }
}

fn await_ends(ledger: &Ledger, accepted: &Receiver<Accepted>) {
    for Accepted {
        id,
        since,
        mut handle,
    } in accepted
    {
        let deadline = since + ledger.limit();
        let mut outcome = handle.get_timeout(deadline.saturating_duration_since(Instant::now()));
        if outcome.is_none() {
            log::error!("{id:?} has no outcome after {:?}", since.elapsed());
            ledger.late(id);
            outcome = handle.get_timeout(HANGS);
        }
        match outcome {
            Some(outcome) => ledger.handle_said(id, &outcome),
            None => log::error!("{id:?} hangs: no outcome after {:?}", since.elapsed()),
        }
    }
}
