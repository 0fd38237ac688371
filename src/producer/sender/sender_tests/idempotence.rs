//! Producer ids, epochs and sequences as they show on the wire.

use super::*;

#[test]
fn producer_id_is_asked_for_when_something_is_queued_and_nothing_goes_before_it() {
    let mut bench = Bench::new(config(), &[1]);
    bench.turn();
    assert!(bench.client.take().is_none(), "nobody needs one yet");
    let handle = bench.send(0);
    bench.turn();
    let request = bench.take();
    assert!(matches!(request.body, ApiRequest::InitProducerId(_)));
    bench.turn();
    assert!(bench.client.take().is_none(), "one request at a time");
    bench.client.answer(request, identity(9, 3, 0));
    bench.turn();
    bench.turn();
    let request = bench.take();
    let batch = on_wire(&request)[0];
    assert_eq!((batch.producer_id, batch.epoch, batch.sequence), (9, 3, 0));
    bench.acknowledge(request, 0);
    bench.turn();
    assert_eq!(offset(&handle), Some(0));
}

#[test]
fn sequences_begin_where_they_are_told_to_and_at_zero_under_a_new_epoch() {
    let mut bench = Bench::new(config(), &[1, 1]);
    bench.sender.begin_sequences_at(i32::MAX);
    bench.give_identity(7, 0);
    let _handles = [bench.send(0), bench.send(1)];
    bench.turn();
    let request = bench.take();
    let sequences: Vec<i32> = on_wire(&request).iter().map(|it| it.sequence).collect();
    assert_eq!(sequences, [0, i32::MAX], "one had its first record");
    bench.refuse(request, 45);
    bench.turn();
    bench.next_attempt();
    let stamps: Vec<(i16, i32)> = on_wire(&bench.take())
        .iter()
        .map(|it| (it.epoch, it.sequence))
        .collect();
    assert_eq!(stamps, [(1, 0), (1, 0)]);
}

#[test]
fn producer_id_waits_for_a_node_without_spinning() {
    let mut bench = Bench::new(config(), &[1]);
    bench.client.set_least_loaded(None);
    let _handle = bench.send(0);
    bench.turn();
    assert!(bench.client.last_timeout() >= Duration::from_millis(100));
    bench.client.set_least_loaded(Some(node(2)));
    bench.client.make_unready(2, Duration::from_millis(50));
    bench.turn();
    assert_eq!(bench.client.last_timeout(), Duration::from_millis(50));
    bench.client.make_ready(2);
    bench.turn();
    assert_eq!(bench.take().node, NodeId(2));
}

#[test]
fn producer_id_that_is_not_given_is_asked_for_again_after_a_backoff() {
    let mut bench = Bench::new(config(), &[1]);
    let handle = bench.send(0);
    bench.turn();
    for attempt in 0..3 {
        let request = bench.take();
        match attempt {
            0 => bench.client.answer(request, identity(-1, -1, 14)),
            1 => bench.disconnect(request, true),
            _ => bench.time_out(request),
        }
        bench.turn();
        bench.turn();
        assert!(bench.client.take().is_none(), "it backs off");
        assert!(bench.client.last_timeout() >= Duration::from_millis(79));
        bench.next_attempt();
    }
    let request = bench.take();
    bench.client.answer(request, identity(7, 0, 0));
    bench.turn();
    bench.turn();
    let request = bench.take();
    bench.acknowledge(request, 0);
    bench.turn();
    assert_eq!(offset(&handle), Some(0));
}

#[test]
fn producer_id_or_epoch_below_zero_is_none_and_is_asked_for_again_after_a_backoff() {
    let mut bench = Bench::new(config(), &[1]);
    let handle = bench.send(0);
    bench.turn();
    for (producer_id, epoch) in [(-1, -1), (-1, 0), (7, -1)] {
        let request = bench.take();
        bench
            .client
            .answer(request, identity(producer_id, epoch, 0));
        bench.turn();
        bench.turn();
        assert!(
            bench.client.take().is_none(),
            "brokers would not recognise what is sent twice as {producer_id}/{epoch}"
        );
        assert!(bench.client.last_timeout() >= Duration::from_millis(79));
        bench.next_attempt();
    }
    let request = bench.take();
    bench.client.answer(request, identity(7, 0, 0));
    bench.turn();
    bench.turn();
    let request = bench.take();
    let batch = on_wire(&request)[0];
    assert_eq!((batch.producer_id, batch.epoch), (7, 0));
    bench.acknowledge(request, 0);
    bench.turn();
    assert_eq!(offset(&handle), Some(0));
}

#[test]
fn topic_id_that_was_unknown_proves_nothing_under_the_same_id() {
    let mut bench = Bench::idempotent(&[1]);
    let handle = bench.send(0);
    bench.turn();
    let request = bench.take();
    let before = stamp(&request);
    bench.refuse(request, 100);
    bench.turn();
    bench.next_attempt();
    let request = bench.take();
    assert_eq!(stamp(&request), before);
    bench.refuse(request, 45);
    bench.turn();
    bench.next_attempt();
    assert!(bench.client.take().is_none(), "not under a new epoch");
    assert_eq!(
        failed(&handle),
        (ErrorKind::OutOfOrderSequence, Persistence::Unknown)
    );
}

#[test]
fn topic_id_that_was_unknown_lets_the_batch_go_to_the_topics_successor() {
    let mut bench = Bench::idempotent(&[1]);
    let handle = bench.send(0);
    bench.turn();
    let request = bench.take();
    bench.refuse(request, 100);
    bench.turn();
    bench.learn(Uuid([9; 16]), &[1], 1);
    bench.next_attempt();
    let request = bench.take();
    assert_eq!(stamp(&request), (1, 0));
    bench.acknowledge(request, 0);
    bench.turn();
    assert_eq!(offset(&handle), Some(0));
}

#[test]
fn producer_id_that_is_not_authorized_fails_what_waits_and_is_asked_for_again() {
    let mut bench = Bench::new(config(), &[1]);
    let handle = bench.send(0);
    bench.turn();
    let request = bench.take();
    bench.client.answer(request, identity(-1, -1, 31));
    bench.turn();
    assert_eq!(
        failed(&handle),
        (ErrorKind::ClusterAuthorization, Persistence::NotWritten)
    );
    assert!(bench.shared.fatal_error().is_none());
    bench.advance(2000);
    let handle = bench.send(0);
    bench.turn();
    let request = bench.take();
    bench.client.answer(request, identity(7, 0, 0));
    bench.turn();
    bench.turn();
    let request = bench.take();
    bench.acknowledge(request, 0);
    bench.turn();
    assert_eq!(offset(&handle), Some(0));
}

#[test]
fn producer_id_that_cannot_be_had_is_fatal_and_ends_what_comes_later_too() {
    let mut bench = Bench::new(config(), &[1]);
    let handle = bench.send(0);
    bench.turn();
    let request = bench.take();
    bench.client.answer(request, identity(-1, -1, 42));
    bench.turn();
    bench.turn();
    assert!(bench.shared.fatal_error().is_some());
    assert_eq!(failed(&handle).1, Persistence::NotWritten);
    assert!(
        bench.client.last_timeout() > Duration::from_secs(1),
        "no spin"
    );
    let later = bench.send(0);
    bench.turn();
    assert_eq!(failed(&later).1, Persistence::NotWritten);
    bench.advance(500_000);
    bench.turn();
    bench.turn();
    assert!(
        bench.client.last_timeout() > Duration::from_secs(1),
        "no spin"
    );
}

/// What a node says that has no InitProducerId, or says so.
fn no_version() -> Outcome {
    Outcome::UnsupportedVersion(Error::new(ErrorKind::UnsupportedVersion, "none"))
}

#[test]
fn producer_id_that_a_node_has_no_version_for_is_asked_for_again() {
    let mut bench = Bench::new(config(), &[1]);
    let handle = bench.send(0);
    bench.turn();
    let request = bench.take();
    bench.client.answer(request, no_version());
    bench.turn();
    assert!(bench.shared.fatal_error().is_none());
    bench.next_attempt();
    let request = bench.take();
    bench.client.answer(request, identity(7, 0, 0));
    bench.turn();
    bench.turn();
    let request = bench.take();
    bench.acknowledge(request, 0);
    bench.turn();
    assert_eq!(offset(&handle), Some(0));
}

#[test]
fn producer_id_that_no_node_has_a_version_for_ends_what_waited_its_time_and_nothing_else() {
    let mut bench = Bench::new(config(), &[1]);
    let handle = bench.send(0);
    bench.turn();
    let request = bench.take();
    bench.client.answer(request, no_version());
    bench.turn();
    bench.advance(500_000);
    let later = bench.send(0);
    bench.turn();
    assert_eq!(
        failed(&handle),
        (ErrorKind::UnsupportedVersion, Persistence::NotWritten)
    );
    let request = bench.take();
    bench.client.answer(request, identity(7, 0, 0));
    bench.turn();
    bench.turn();
    let request = bench.take();
    bench.acknowledge(request, 0);
    bench.turn();
    assert_eq!(offset(&later), Some(0));
}

#[test]
fn first_batch_goes_alone_then_up_to_five_and_all_are_remembered() {
    let mut bench = Bench::new(config(), &[1]);
    let handles: Vec<SendHandle> = (0..8).map(|_| bench.send(0)).collect();
    bench.turn();
    let request = bench.take();
    bench.client.answer(request, identity(7, 0, 0));
    for _ in 0..4 {
        bench.turn();
    }
    let first = bench.take();
    assert!(
        bench.client.take().is_none(),
        "one in flight until the first acknowledgement"
    );
    bench.acknowledge(first, 0);
    for _ in 0..10 {
        bench.turn();
    }
    let five: Vec<Request> = std::iter::from_fn(|| bench.client.take()).collect();
    let stamps: Vec<(i16, i32)> = five.iter().map(stamp).collect();
    assert_eq!(stamps, [(0, 1), (0, 2), (0, 3), (0, 4), (0, 5)]);
    for (offset, request) in (1..).zip(five) {
        bench.acknowledge(request, offset);
    }
    for _ in 0..4 {
        bench.turn();
    }
    for (offset, request) in (6..).zip(std::iter::from_fn(|| bench.client.take())) {
        bench.acknowledge(request, offset);
    }
    bench.turn();
    let offsets: Vec<i64> = handles.iter().filter_map(offset).collect();
    assert_eq!(offsets, [0, 1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn five_are_counted_over_all_connections() {
    let mut bench = Bench::idempotent(&[1]);
    let _handles: Vec<SendHandle> = (0..8).map(|_| bench.send(0)).collect();
    for _ in 0..3 {
        bench.turn();
    }
    bench.learn(TOPIC_ID, &[2], 2);
    for _ in 0..10 {
        bench.turn();
    }
    let nodes: Vec<i32> = std::iter::from_fn(|| bench.client.take())
        .map(|request| request.node.0)
        .collect();
    assert_eq!(nodes, [1, 1, 1, 2, 2]);
}

#[test]
fn waiting_partition_does_not_hold_up_others_of_its_node() {
    let mut bench = Bench::new(config(), &[1, 1]);
    let _waits = bench.send(0);
    bench.turn();
    let request = bench.take();
    bench.client.answer(request, identity(7, 0, 0));
    bench.turn();
    bench.turn();
    let _first = bench.take();
    let _second = bench.send(0);
    let _other = bench.send(1);
    bench.turn();
    assert_eq!(on_wire(&bench.take())[0].partition, 1);
}

#[test]
fn retries_go_in_order_one_at_a_time_and_later_batches_wait() {
    let mut bench = Bench::idempotent(&[1]);
    let mut handles: Vec<SendHandle> = (0..3).map(|_| bench.send(0)).collect();
    for _ in 0..3 {
        bench.turn();
    }
    let requests: Vec<Request> = (0..3).map(|_| bench.take()).collect();
    for (place, request) in requests.into_iter().enumerate() {
        bench.refuse(request, if place == 0 { 6 } else { 45 });
    }
    bench.turn();
    handles.push(bench.send(0));
    for expected in 1..=3 {
        bench.next_attempt();
        let request = bench.take();
        assert_eq!(stamp(&request), (0, expected));
        assert!(bench.client.take().is_none());
        bench.acknowledge(request, i64::from(expected));
        bench.turn();
    }
    bench.turn();
    let request = bench.take();
    assert_eq!(stamp(&request), (0, 4));
    bench.acknowledge(request, 4);
    bench.turn();
    let offsets: Vec<i64> = handles.iter().filter_map(offset).collect();
    assert_eq!(offsets, [1, 2, 3, 4]);
    assert_eq!(bench.shared.data_losses(), 0);
}

#[test]
fn later_batch_acknowledged_first_is_done_first() {
    let mut bench = Bench::idempotent(&[1]);
    let handles = [bench.send(0), bench.send(0)];
    bench.turn();
    bench.turn();
    let (first, second) = (bench.take(), bench.take());
    bench.acknowledge(second, 2);
    bench.turn();
    assert!(handles[1].is_done() && !handles[0].is_done());
    bench.acknowledge(first, 1);
    bench.turn();
    assert_eq!(offset(&handles[0]), Some(1));
    assert_eq!(bench.shared.data_losses(), 0);
}

#[test]
fn repetition_that_the_broker_knows_is_success_without_an_offset() {
    let mut bench = Bench::idempotent(&[1]);
    let handle = bench.send(0);
    bench.turn();
    let request = bench.take();
    bench.disconnect(request, true);
    bench.turn();
    bench.next_attempt();
    let request = bench.take();
    bench.refuse(request, 46);
    bench.turn();
    assert_eq!(offset(&handle), None);
    let _next = bench.send(0);
    bench.turn();
    assert_eq!(stamp(&bench.take()), (0, 2));
}

#[test]
fn out_of_order_after_an_acknowledged_batch_is_reported_and_goes_on_under_a_new_epoch() {
    let mut bench = Bench::idempotent(&[1]);
    let handle = bench.send(0);
    bench.turn();
    let request = bench.take();
    bench.refuse(request, 45);
    bench.turn();
    assert_eq!(bench.shared.data_losses(), 1);
    bench.next_attempt();
    let request = bench.take();
    assert_eq!(stamp(&request), (1, 0));
    bench.acknowledge(request, 1);
    bench.turn();
    assert_eq!(offset(&handle), Some(1));
}

#[test]
fn unknown_producer_id_and_old_epoch_go_on_under_a_new_epoch_of_that_partition_alone() {
    for code in [59, 47] {
        let mut bench = Bench::idempotent(&[1, 1]);
        let other = bench.send(1);
        bench.turn();
        let request = bench.take();
        bench.acknowledge(request, 0);
        bench.turn();
        let handle = bench.send(0);
        bench.turn();
        let request = bench.take();
        bench.refuse(request, code);
        bench.turn();
        bench.next_attempt();
        let request = bench.take();
        assert_eq!(stamp(&request), (1, 0), "{code}");
        bench.acknowledge(request, 1);
        bench.turn();
        assert_eq!(offset(&handle), Some(1));
        let _next = bench.send(1);
        bench.turn();
        assert_eq!(stamp(&bench.take()), (0, 1), "the other partition goes on");
        assert_eq!(bench.shared.data_losses(), 0);
        assert!(other.is_done());
    }
}

#[test]
fn out_of_order_after_an_unanswered_attempt_ends_the_batch_unknown() {
    let mut bench = Bench::idempotent(&[1]);
    let handle = bench.send(0);
    bench.turn();
    let request = bench.take();
    bench.time_out(request);
    bench.turn();
    bench.next_attempt();
    let request = bench.take();
    bench.refuse(request, 45);
    bench.turn();
    assert_eq!(
        failed(&handle),
        (ErrorKind::OutOfOrderSequence, Persistence::Unknown)
    );
    let _next = bench.send(0);
    bench.turn();
    assert_eq!(stamp(&bench.take()), (1, 0));
}

#[test]
fn expired_batch_of_unknown_outcome_holds_back_new_ones_until_its_successors_are_resolved() {
    let mut bench = Bench::idempotent(&[1]);
    let lost = bench.send(0);
    bench.turn();
    let _swallowed = bench.take();
    bench.advance(60_000);
    let successor = bench.send(0);
    bench.turn();
    let behind = bench.take();
    bench.advance(60_000);
    let later = bench.send(0);
    bench.turn();
    assert_eq!(failed(&lost), (ErrorKind::Timeout, Persistence::Unknown));
    bench.turn();
    assert!(bench.client.take().is_none(), "stamping has stopped");
    bench.refuse(behind, 45);
    bench.turn();
    bench.next_attempt();
    let request = bench.take();
    assert_eq!(stamp(&request), (1, 0));
    bench.acknowledge(request, 5);
    bench.turn();
    bench.turn();
    let request = bench.take();
    assert_eq!(stamp(&request), (1, 1));
    bench.acknowledge(request, 6);
    bench.turn();
    assert_eq!(
        [offset(&successor), offset(&later)],
        [Some(5), Some(6)],
        "in order"
    );
}

#[test]
fn rejected_batch_gives_its_sequences_to_the_next() {
    let mut bench = Bench::idempotent(&[1]);
    let handle = bench.send(0);
    bench.turn();
    let request = bench.take();
    bench.refuse(request, 10);
    bench.turn();
    assert_eq!(
        failed(&handle),
        (ErrorKind::RecordTooLarge, Persistence::NotWritten)
    );
    let _next = bench.send(0);
    bench.turn();
    assert_eq!(stamp(&bench.take()), (0, 1));
}

#[test]
fn rejected_batch_with_a_successor_on_its_way_sends_that_under_a_new_epoch() {
    let mut bench = Bench::idempotent(&[1]);
    let handles = [bench.send(0), bench.send(0)];
    bench.turn();
    bench.turn();
    let (first, second) = (bench.take(), bench.take());
    bench.refuse(first, 10);
    bench.refuse(second, 45);
    bench.turn();
    bench.next_attempt();
    let request = bench.take();
    assert_eq!(stamp(&request), (1, 0));
    bench.acknowledge(request, 1);
    bench.turn();
    assert_eq!(failed(&handles[0]).1, Persistence::NotWritten);
    assert_eq!(offset(&handles[1]), Some(1));
    assert_eq!(bench.shared.data_losses(), 0);
}

#[test]
fn epoch_used_up_gets_a_new_producer_id_and_the_batch_goes_on() {
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
    bench.client.answer(request, identity(8, 0, 0));
    bench.turn();
    bench.turn();
    let request = bench.take();
    let batch = on_wire(&request)[0];
    assert_eq!((batch.producer_id, batch.epoch, batch.sequence), (8, 0, 0));
    bench.acknowledge(request, 1);
    bench.turn();
    assert_eq!(offset(&handle), Some(1));
}

#[test]
fn recreated_topic_ends_what_the_old_one_may_have_and_takes_the_rest() {
    let mut bench = Bench::idempotent(&[1]);
    let handles: Vec<SendHandle> = (0..3).map(|_| bench.send(0)).collect();
    bench.turn();
    bench.turn();
    let (first, second) = (bench.take(), bench.take());
    bench.client.make_unready(1, Duration::MAX);
    bench.disconnect(first, true);
    bench.refuse(second, 19);
    bench.turn();
    bench.learn(Uuid([2; 16]), &[2], 5);
    for _ in 0..3 {
        bench.next_attempt();
    }
    assert_eq!(
        failed(&handles[0]),
        (ErrorKind::UnknownTopicOrPartition, Persistence::Unknown)
    );
    let request = bench.take();
    assert_eq!(produce(&request).topics[0].topic_id, Uuid([2; 16]));
    assert_eq!(stamp(&request), (1, 0));
    assert!(
        bench.client.take().is_none(),
        "a new partition begins with one"
    );
    bench.acknowledge(request, 0);
    bench.turn();
    bench.turn();
    let request = bench.take();
    assert_eq!(stamp(&request), (1, 1));
    bench.acknowledge(request, 1);
    bench.turn();
    assert_eq!(
        [offset(&handles[1]), offset(&handles[2])],
        [Some(0), Some(1)]
    );
}

#[test]
fn response_by_the_id_of_the_request_is_understood_after_the_topic_was_recreated() {
    let mut bench = Bench::idempotent(&[1]);
    let handle = bench.send(0);
    bench.turn();
    let request = bench.take();
    bench.learn(Uuid([2; 16]), &[1], 5);
    bench.acknowledge(request, 1);
    bench.turn();
    assert_eq!(offset(&handle), Some(1));
}

#[test]
fn cluster_authorization_lost_is_fatal_and_ends_everything() {
    let mut bench = Bench::idempotent(&[1, 2]);
    let handles = [bench.send(0), bench.send(1)];
    bench.turn();
    let mut requests = [bench.take(), bench.take()];
    requests.sort_by_key(|request| request.node);
    let [first, unanswered] = requests;
    bench.refuse(first, 31);
    bench.turn();
    bench.turn();
    bench.acknowledge(unanswered, 4);
    bench.turn();
    assert_eq!(
        failed(&handles[0]),
        (ErrorKind::ClusterAuthorization, Persistence::NotWritten)
    );
    assert_eq!(failed(&handles[1]).1, Persistence::Unknown);
    let fatal = bench.shared.fatal_error().expect("it is fatal");
    assert_eq!(fatal.kind(), ErrorKind::ClusterAuthorization);
}
