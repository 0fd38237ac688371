//! Sending again, giving up, and the order of what is sent meanwhile.

use super::*;

#[test]
fn retriable_error_is_retried_after_the_backoff_with_the_same_bytes() {
    let mut bench = Bench::idempotent(&[1]);
    let handle = bench.send(0);
    bench.turn();
    let request = bench.take();
    let first = on_wire(&request);
    bench.refuse(request, 19);
    bench.turn();
    bench.turn();
    assert!(bench.client.take().is_none(), "it backs off");
    let timeout = bench.client.last_timeout();
    assert!(
        timeout >= Duration::from_millis(79) && timeout <= Duration::from_millis(121),
        "{timeout:?}"
    );
    bench.advance(121);
    bench.turn();
    let request = bench.take();
    assert_eq!(on_wire(&request), first);
    bench.acknowledge(request, 2);
    bench.turn();
    assert_eq!(offset(&handle), Some(2));
}

#[test]
fn retries_exhausted_fail_with_the_last_error_and_the_key() {
    let mut bench = Bench::new(
        SenderConfig {
            retries: 1,
            ..plain()
        },
        &[1],
    );
    let handle = bench.send(0);
    bench.turn();
    for _ in 0..2 {
        let request = bench.take();
        bench.refuse(request, 19);
        bench.turn();
        bench.next_attempt();
    }
    let error = done(&handle).expect_err("given up");
    assert_eq!(error.error().code(), Some(19));
    assert_eq!(error.persistence(), Persistence::NotWritten);
    let text = error.to_string();
    assert!(
        text.contains("2 attempts (retries)") && text.contains("topic-0"),
        "{text}"
    );
    assert!(bench.client.take().is_none());
}

#[test]
fn no_retries_means_one_attempt() {
    let mut bench = Bench::new(
        SenderConfig {
            retries: 0,
            ..plain()
        },
        &[1],
    );
    let handle = bench.send(0);
    bench.turn();
    let request = bench.take();
    bench.refuse(request, 7);
    bench.turn();
    assert_eq!(failed(&handle), (ErrorKind::Timeout, Persistence::Unknown));
}

#[test]
fn answer_after_an_unanswered_attempt_proves_nothing() {
    let mut bench = Bench::new(
        SenderConfig {
            retries: 1,
            ..plain()
        },
        &[1],
    );
    let handle = bench.send(0);
    bench.turn();
    let request = bench.take();
    bench.disconnect(request, true);
    bench.turn();
    bench.next_attempt();
    let request = bench.take();
    bench.refuse(request, 29);
    bench.turn();
    assert_eq!(
        failed(&handle),
        (ErrorKind::TopicAuthorization, Persistence::Unknown)
    );
}

#[test]
fn disconnect_before_any_byte_was_written_proves_that_nothing_was() {
    for (maybe_written, persistence) in [
        (false, Persistence::NotWritten),
        (true, Persistence::Unknown),
    ] {
        let mut bench = Bench::new(
            SenderConfig {
                retries: 0,
                ..plain()
            },
            &[1],
        );
        let handle = bench.send(0);
        bench.turn();
        let request = bench.take();
        bench.disconnect(request, maybe_written);
        bench.turn();
        assert_eq!(failed(&handle), (ErrorKind::Network, persistence));
        assert!(bench.shared.metadata.is_update_requested(bench.clock.now()));
    }
}

#[test]
fn request_that_times_out_is_sent_again_and_may_have_been_written() {
    let mut bench = Bench::new(
        SenderConfig {
            retries: 1,
            ..plain()
        },
        &[1],
    );
    let handle = bench.send(0);
    bench.turn();
    for _ in 0..2 {
        let request = bench.take();
        bench.time_out(request);
        bench.turn();
        bench.next_attempt();
    }
    assert_eq!(failed(&handle), (ErrorKind::Timeout, Persistence::Unknown));
}

#[test]
fn batch_whose_node_is_not_ready_expires_unsent() {
    let mut bench = Bench::new(plain(), &[1]);
    bench.client.make_unready(1, Duration::MAX);
    let handle = bench.send(0);
    bench.turn();
    bench.advance(119_999);
    bench.turn();
    assert!(!handle.is_done());
    bench.advance(1);
    bench.turn();
    assert_eq!(
        failed(&handle),
        (ErrorKind::Timeout, Persistence::NotWritten)
    );
    let text = done(&handle).expect_err("expired").to_string();
    assert!(
        text.contains("never sent") && text.contains("delivery.timeout.ms"),
        "{text}"
    );
}

#[test]
fn batch_in_flight_expires_unknown_and_its_late_answer_changes_nothing() {
    let mut bench = Bench::idempotent(&[1]);
    let handle = bench.send(0);
    bench.turn();
    let request = bench.take();
    assert_eq!(bench.client.last_timeout(), Duration::from_secs(120));
    bench.advance(120_000);
    bench.turn();
    assert_eq!(failed(&handle), (ErrorKind::Timeout, Persistence::Unknown));
    bench.acknowledge(request, 1);
    bench.turn();
    assert_eq!(failed(&handle), (ErrorKind::Timeout, Persistence::Unknown));
    let next = bench.send(0);
    bench.turn();
    let request = bench.take();
    assert_eq!(
        stamp(&request),
        (0, 2),
        "the late answer closed the hole, no epoch is spent"
    );
    bench.acknowledge(request, 2);
    bench.turn();
    assert_eq!(offset(&next), Some(2));
}

#[test]
fn batch_that_waits_to_be_sent_again_expires_by_what_is_known_of_its_attempts() {
    for (code, persistence) in [(19, Persistence::NotWritten), (7, Persistence::Unknown)] {
        let mut bench = Bench::idempotent(&[1]);
        let handle = bench.send(0);
        bench.turn();
        let request = bench.take();
        bench.refuse(request, code);
        bench.turn();
        bench.client.make_unready(1, Duration::MAX);
        bench.advance(120_000);
        bench.turn();
        assert_eq!(failed(&handle), (ErrorKind::Timeout, persistence));
        let error = done(&handle).expect_err("expired");
        let last = crate::protocol::ErrorCode(code).name();
        assert!(error.to_string().contains(last), "{error}");
        assert!(std::error::Error::source(error.error()).is_some());
    }
}

#[test]
fn retriable_answer_after_the_deadline_fails_with_what_the_broker_said() {
    let mut bench = Bench::new(plain(), &[1]);
    let handle = bench.send(0);
    bench.turn();
    let request = bench.take();
    bench.refuse(request, 19);
    let clock = Arc::clone(&bench.clock);
    bench
        .client
        .at_poll(move || clock.advance(Duration::from_secs(120)));
    bench.turn();
    let error = done(&handle).expect_err("too late");
    assert_eq!(error.error().code(), Some(19));
    assert!(error.to_string().contains("delivery.timeout.ms"), "{error}");
}

#[test]
fn expiry_ends_batches_in_the_order_of_sending() {
    let mut bench = Bench::idempotent(&[1]);
    let seen: Arc<std::sync::Mutex<Vec<i32>>> = Arc::default();
    let mut requests = Vec::new();
    for number in 0..3 {
        let seen = Arc::clone(&seen);
        let callback = Callback::once(move |_| seen.lock().expect("no panic").push(number));
        drop(bench.send_with(0, Some(callback)));
        bench.turn();
        requests.push(bench.take());
    }
    // The first goes back to its queue, the others are on their way.
    bench.refuse(requests.remove(0), 19);
    bench.turn();
    bench.client.make_unready(1, Duration::MAX);
    bench.advance(120_000);
    bench.turn();
    assert_eq!(*seen.lock().expect("no panic"), [0, 1, 2]);
}

#[test]
fn one_request_in_flight_without_idempotence_keeps_a_partitions_order_over_a_leader_move() {
    let one = SenderConfig {
        max_in_flight_per_connection: 1,
        ..plain()
    };
    let mut bench = Bench::new(one, &[1]);
    let handles = [bench.send(0), bench.send(0)];
    bench.turn();
    let first = bench.take();
    bench.learn(TOPIC_ID, &[2], 2);
    bench.turn();
    assert!(
        bench.client.take().is_none(),
        "the new leader gets nothing before the old one answered"
    );
    bench.refuse(first, 6);
    bench.turn();
    bench.turn();
    let again = bench.take();
    assert_eq!(again.node, NodeId(2));
    bench.turn();
    assert!(bench.client.take().is_none());
    bench.acknowledge(again, 0);
    bench.turn();
    bench.turn();
    let second = bench.take();
    bench.acknowledge(second, 1);
    bench.turn();
    assert_eq!(handles.map(|handle| offset(&handle)), [Some(0), Some(1)]);
}

#[test]
fn muted_partition_stays_muted_when_its_batch_expires_until_the_request_ends() {
    let one = SenderConfig {
        max_in_flight_per_connection: 1,
        ..plain()
    };
    let mut bench = Bench::new(one, &[1]);
    let first = bench.send(0);
    bench.turn();
    let request = bench.take();
    bench.advance(119_000);
    let second = bench.send(0);
    bench.advance(1_000);
    bench.turn();
    assert!(first.is_done());
    assert!(bench.client.take().is_none());
    bench.time_out(request);
    bench.turn();
    bench.turn();
    let request = bench.take();
    bench.acknowledge(request, 1);
    bench.turn();
    assert_eq!(offset(&second), Some(1));
}

#[test]
fn several_requests_in_flight_without_idempotence_are_sent_at_once() {
    let mut bench = Bench::new(plain(), &[1]);
    let _handles = [bench.send(0), bench.send(0), bench.send(0)];
    for _ in 0..3 {
        bench.turn();
    }
    assert_eq!((0..3).filter_map(|_| bench.client.take()).count(), 3);
}

#[test]
fn memory_of_an_expired_batch_stays_taken_while_a_socket_may_read_it() {
    let mut bench = Bench::new(plain(), &[1]);
    let before = bench.shared.accumulator.available_memory();
    let handle = bench.send(0);
    bench.turn();
    let request = bench.take();
    bench.advance(120_000);
    bench.turn();
    assert!(handle.is_done());
    drop(handle);
    assert!(bench.shared.accumulator.available_memory() < before);
    drop(request);
    assert_eq!(bench.shared.accumulator.available_memory(), before);
}

#[test]
fn batches_of_several_partitions_expire_together() {
    let mut bench = Bench::new(plain(), &[1, 2, 0]);
    let handles = [bench.send(0), bench.send(1), bench.send(2)];
    bench.client.make_unready(2, Duration::MAX);
    bench.turn();
    let _unanswered = bench.take();
    bench.advance(120_000);
    bench.turn();
    assert_eq!(
        handles.each_ref().map(|handle| failed(handle).1),
        [
            Persistence::Unknown,
            Persistence::NotWritten,
            Persistence::NotWritten
        ]
    );
}

#[test]
fn callback_of_an_expired_batch_can_send_and_that_goes_out() {
    let mut bench = Bench::new(plain(), &[1]);
    bench.client.make_unready(1, Duration::MAX);
    let accumulator = Arc::clone(&bench.shared.accumulator);
    let callback = Callback::once(move |_| {
        let append = append_null(&accumulator);
        assert!(matches!(append, Append::Appended { .. }));
    });
    let handle = bench.send_with(0, Some(callback));
    bench.turn();
    bench.advance(120_000);
    bench.client.make_ready(1);
    bench.turn();
    assert_eq!(failed(&handle).0, ErrorKind::Timeout);
    let request = bench.take();
    bench.acknowledge(request, 0);
    bench.turn();
    assert_eq!(bench.shared.accumulator.incomplete_batches(), 0);
}
