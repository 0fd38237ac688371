//! The end: gracefully, by force, by a fatal error, by a panic; nothing is left hanging.

use super::*;

/// Batches in every state: on their way, to be sent again, never sent, still open.
fn in_every_state(bench: &mut Bench) -> [SendHandle; 4] {
    let on_the_way = bench.send(0);
    bench.turn();
    let _kept = bench.take();
    let to_be_sent_again = bench.send(1);
    bench.turn();
    let request = bench.take();
    bench.refuse(request, 19);
    bench.turn();
    bench.client.make_unready(2, Duration::MAX);
    let never_sent = bench.send(2);
    let open = bench.send(2);
    bench.turn();
    [on_the_way, to_be_sent_again, never_sent, open]
}

#[test]
fn graceful_close_ends_when_everything_has_its_outcome() {
    let mut bench = Bench::new(plain(), &[1]);
    let handles: Vec<SendHandle> = (0..5).map(|_| bench.send(0)).collect();
    bench.turn();
    bench.shared.begin_close();
    assert!(!bench.sender.is_done());
    bench.client.answer_by(|request| match request {
        ApiRequest::Produce(request) => Some(Outcome::Response(ApiResponse::Produce(response_to(
            request,
            |partition| partition.base_offset = 1,
        )))),
        _ => None,
    });
    let first = bench.take();
    bench.acknowledge(first, 0);
    bench.sender.run();
    assert!(handles.iter().all(|handle| offset(handle).is_some()));
    assert_eq!(bench.shared.accumulator.incomplete_batches(), 0);
}

#[test]
fn close_of_an_idle_sender_ends_at_once() {
    let bench = Bench::new(config(), &[1]);
    bench.shared.begin_close();
    bench.sender.run();
    assert_eq!(bench.client.polls(), 0);
}

#[test]
fn graceful_close_without_a_cluster_ends_by_the_delivery_timeout() {
    let mut bench = Bench::new(config(), &[1]);
    bench.client.set_least_loaded(None);
    let handle = bench.send(0);
    bench.turn();
    bench.shared.begin_close();
    let clock = Arc::clone(&bench.clock);
    bench
        .client
        .at_poll(move || clock.advance(Duration::from_secs(10)));
    bench.sender.run();
    assert_eq!(
        failed(&handle),
        (ErrorKind::Timeout, Persistence::NotWritten)
    );
}

#[test]
fn closing_sender_does_not_wait_once_the_last_batch_has_expired() {
    let mut bench = Bench::new(plain(), &[1]);
    bench.client.make_unready(1, Duration::MAX);
    let handle = bench.send(0);
    bench.turn();
    bench.shared.begin_close();
    bench.advance(120_000);
    bench.turn();
    assert!(handle.is_done());
    assert_eq!(bench.client.last_timeout(), Duration::ZERO);
    assert!(bench.sender.is_done());
}

#[test]
fn forced_close_ends_batches_in_every_state_with_what_is_known_of_each() {
    let mut bench = Bench::new(plain(), &[1, 1, 2]);
    let handles = in_every_state(&mut bench);
    bench.shared.begin_close();
    assert!(!bench.sender.is_done());
    bench.shared.force_close();
    assert!(bench.sender.is_done());
    let ends = handles.each_ref().map(failed);
    assert!(ends.iter().all(|(kind, _)| *kind == ErrorKind::Aborted));
    assert_eq!(
        ends.map(|(_, persistence)| persistence),
        [
            Persistence::Unknown,
            Persistence::NotWritten,
            Persistence::NotWritten,
            Persistence::NotWritten
        ]
    );
    assert_eq!(bench.shared.accumulator.incomplete_batches(), 0);
}

#[test]
fn fatal_error_ends_batches_in_every_state_and_close_ends_then() {
    let mut bench = Bench::new(plain(), &[1, 1, 2]);
    let handles = in_every_state(&mut bench);
    bench
        .shared
        .set_fatal(&Error::new(ErrorKind::ClusterAuthorization, "not allowed"));
    bench.turn();
    assert!(handles.iter().all(SendHandle::is_done));
    bench.shared.begin_close();
    assert!(bench.sender.is_done());
}

#[test]
fn panic_of_the_sender_ends_batches_in_every_state_and_refuses_later_ones() {
    let mut bench = Bench::new(plain(), &[1, 1, 2]);
    let handles = in_every_state(&mut bench);
    bench.client.at_poll(|| panic!("on purpose"));
    let shared = Arc::clone(&bench.shared);
    bench.sender.run();
    let ends = handles.each_ref().map(failed);
    assert!(ends.iter().all(|(kind, _)| *kind == ErrorKind::Internal));
    assert_eq!(ends[0].1, Persistence::Unknown);
    assert_eq!(ends[3].1, Persistence::NotWritten);
    let fatal = shared.fatal_error().expect("it is fatal");
    assert!(fatal.to_string().contains("on purpose"), "{fatal}");
    let append = append_null(&shared.accumulator);
    assert!(matches!(append, Append::Failed(_)), "{append:?}");
}

#[test]
fn panic_in_the_middle_of_sending_ends_what_was_just_taken_out() {
    let bench = Bench::new(plain(), &[1]);
    bench.client.answer_by(|_| panic!("on purpose"));
    let handles = [bench.send(0), bench.send(0)];
    bench.sender.run();
    assert!(
        handles
            .iter()
            .all(|handle| failed(handle).0 == ErrorKind::Internal)
    );
}

#[test]
fn first_fatal_error_stays() {
    let bench = Bench::new(plain(), &[1]);
    for text in ["first", "second"] {
        bench
            .shared
            .set_fatal(&Error::new(ErrorKind::Internal, text));
    }
    assert_eq!(
        bench.shared.fatal_error().expect("fatal").to_string(),
        "first"
    );
}

#[test]
fn record_sent_by_a_callback_of_a_forced_close_is_refused() {
    let mut bench = Bench::new(plain(), &[1]);
    let accumulator = Arc::clone(&bench.shared.accumulator);
    let callback = Callback::once(move |_| {
        let append = append_null(&accumulator);
        assert!(matches!(append, Append::Failed(_)));
    });
    let handle = bench.send_with(0, Some(callback));
    bench.shared.force_close();
    assert!(bench.sender.is_done());
    assert_eq!(failed(&handle).0, ErrorKind::Aborted);
    assert_eq!(bench.shared.accumulator.incomplete_batches(), 0);
}

#[test]
fn close_while_a_new_producer_id_is_needed_is_graceful_or_forced_all_the_same() {
    for forced in [false, true] {
        let mut bench = Bench::new(config(), &[1]);
        bench.give_identity(7, i16::MAX);
        let handle = bench.send(0);
        bench.turn();
        let request = bench.take();
        bench.refuse(request, 59);
        bench.turn();
        bench.next_attempt();
        bench.turn();
        let request = bench.take();
        assert!(matches!(request.body, ApiRequest::InitProducerId(_)));
        if forced {
            bench.shared.force_close();
            bench.sender.run();
            assert_eq!(
                failed(&handle),
                (ErrorKind::Aborted, Persistence::NotWritten)
            );
            continue;
        }
        bench.shared.begin_close();
        bench.client.answer(request, identity(8, 0, 0));
        bench.client.answer_by(|request| match request {
            ApiRequest::Produce(request) => Some(Outcome::Response(ApiResponse::Produce(
                response_to(request, |partition| partition.base_offset = 1),
            ))),
            _ => None,
        });
        bench.sender.run();
        assert_eq!(offset(&handle), Some(1));
    }
}
