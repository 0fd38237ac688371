//! What is not sent yet is given up when told to: which, how, and in which order.

use std::sync::Mutex;

use super::*;

fn note(told: &Arc<Mutex<Vec<&'static str>>>, name: &'static str) -> Callback<'static> {
    let told = Arc::clone(told);
    Callback::once(move |_| told.lock().unwrap().push(name))
}

#[test]
fn purge_gives_up_what_was_never_sent_and_leaves_what_was() {
    let mut bench = Bench::idempotent(&[1]);
    let sent = bench.send(0);
    bench.turn();
    let request = bench.take();
    bench.refuse(request, 6);
    bench.turn();
    let (one, two) = (bench.send(0), bench.send(0));
    assert_eq!(bench.shared.accumulator.purge(Some("another")), 0);
    assert_eq!(bench.shared.accumulator.purge(Some(TOPIC)), 2);
    assert!(!one.is_done(), "the network thread tells");
    bench.turn();
    for handle in [&one, &two] {
        assert_eq!(failed(handle), (ErrorKind::Purged, Persistence::NotWritten));
        let error = done(handle).expect_err("it was purged");
        let record = error.record().expect("it comes back");
        assert_eq!(record.value.as_deref(), Some(&b"value"[..]));
        assert!(error.to_string().contains("topic-0"), "{error}");
    }
    assert!(!sent.is_done(), "it may be written");
    bench.next_attempt();
    let request = bench.take();
    let (_, sequence) = stamp(&request);
    bench.acknowledge(request, 5);
    bench.turn();
    assert_eq!(offset(&sent), Some(5));
    let next = bench.send(0);
    bench.turn();
    let request = bench.take();
    assert_eq!(
        stamp(&request).1,
        sequence + 1,
        "what was purged had no sequence"
    );
    bench.acknowledge(request, 6);
    bench.turn();
    assert_eq!(offset(&next), Some(6));
    assert_eq!(bench.shared.accumulator.purge(None), 0, "nothing is left");
}

#[test]
fn purge_of_a_batch_on_its_way_waits_with_the_callbacks_of_those_behind_it() {
    let mut bench = Bench::new(plain(), &[1]);
    let told = Arc::new(Mutex::new(Vec::new()));
    let _sent = bench.send_with(0, Some(note(&told, "sent")));
    bench.turn();
    let request = bench.take();
    let _purged = bench.send_with(0, Some(note(&told, "purged")));
    assert_eq!(bench.shared.accumulator.purge(None), 1);
    bench.turn();
    assert!(
        told.lock().unwrap().is_empty(),
        "the earlier one is not told yet"
    );
    bench.acknowledge(request, 0);
    bench.turn();
    assert_eq!(*told.lock().unwrap(), ["sent", "purged"]);
}

#[test]
fn purge_inside_a_callback_does_not_wait() {
    let one_at_a_time = SenderConfig {
        max_in_flight_per_connection: 1,
        ..plain()
    };
    let mut bench = Bench::new(one_at_a_time, &[1]);
    let shared = Arc::clone(&bench.shared);
    let count = Arc::new(Mutex::new(None));
    let counted = Arc::clone(&count);
    let callback = Callback::once(move |_: Result<&RecordMetadata, &DeliveryError>| {
        *counted.lock().unwrap() = Some(shared.accumulator.purge(None));
    });
    let _first = bench.send_with(0, Some(callback));
    bench.turn();
    let request = bench.take();
    let behind = bench.send(0);
    bench.acknowledge(request, 0);
    bench.turn();
    assert_eq!(*count.lock().unwrap(), Some(1));
    bench.turn();
    assert_eq!(failed(&behind).0, ErrorKind::Purged);
}

#[test]
fn purge_of_a_topic_without_a_leader_ends_the_asking_and_the_flush() {
    let mut bench = Bench::new(plain(), &[0]);
    let handle = bench.send(0);
    bench.turn();
    let mut flush = bench.shared.accumulator.begin_flush();
    assert!(!flush.poll(std::task::Waker::noop()));
    assert_eq!(bench.shared.accumulator.purge(Some(TOPIC)), 1);
    assert!(!flush.poll(std::task::Waker::noop()), "it is not told yet");
    bench.turn();
    assert_eq!(failed(&handle).0, ErrorKind::Purged);
    assert!(flush.poll(std::task::Waker::noop()));
    bench.turn();
    let waits = bench.client.last_timeout();
    assert!(
        waits > Duration::from_secs(60),
        "nobody asks any more: {waits:?}"
    );
}

#[test]
fn purge_gives_memory_back_to_who_waits_for_it() {
    let mut bench = Bench::new(plain(), &[0]);
    let before = bench.shared.accumulator.available_memory();
    let handles: Vec<SendHandle> = (0..10).map(|_| bench.send(0)).collect();
    assert_eq!(bench.shared.accumulator.purge(None), 10);
    bench.turn();
    drop(handles);
    assert_eq!(bench.shared.accumulator.available_memory(), before);
}

#[test]
fn purge_while_closing_is_part_of_what_close_gives_back() {
    let mut bench = Bench::new(plain(), &[0]);
    let handle = bench.send(0);
    bench.shared.begin_close();
    assert_eq!(bench.shared.accumulator.purge(None), 1);
    assert!(!bench.sender.is_done(), "one is still to be told");
    bench.turn();
    assert!(bench.sender.is_done());
    assert_eq!(failed(&handle).0, ErrorKind::Purged);
    let undelivered = bench.shared.take_undelivered();
    assert_eq!(undelivered.len(), 1);
}

#[test]
fn purge_before_a_close_by_force_ends_everything_once() {
    let mut bench = Bench::new(plain(), &[0]);
    let (one, two) = (bench.send(0), bench.send(0));
    assert_eq!(bench.shared.accumulator.purge(None), 2);
    let three = bench.send(0);
    bench.shared.force_close();
    assert!(bench.sender.is_done());
    for handle in [&one, &two, &three] {
        assert_eq!(failed(handle).1, Persistence::NotWritten);
    }
    assert_eq!(bench.shared.accumulator.incomplete_batches(), 0);
}
