//! What goes out, and what its answers mean.

use std::sync::{Arc, Mutex};

use super::*;
use crate::protocol::messages::{LeaderHint, RecordError};

#[test]
fn acknowledged_batch_has_its_offset_and_own_timestamp() {
    let mut bench = Bench::new(plain(), &[1]);
    let handle = bench.send(0);
    bench.turn();
    let request = bench.take();
    assert!(request.expects_response);
    assert_eq!(request.node, NodeId(1));
    assert_eq!(
        (produce(&request).acks, produce(&request).timeout_ms),
        (-1, 30_000)
    );
    assert_eq!(stamp(&request), (-1, -1), "no identity without idempotence");
    assert!(!handle.is_done());
    bench.acknowledge(request, 41);
    bench.turn();
    let metadata = done(&handle).expect("acknowledged");
    assert_eq!((metadata.offset(), metadata.timestamp_ms()), (Some(41), 77));
}

#[test]
fn one_request_for_each_node_carries_all_its_partitions() {
    let mut bench = Bench::new(plain(), &[1, 2, 1]);
    let handles = [bench.send(2), bench.send(1), bench.send(0)];
    bench.turn();
    let mut requests = [bench.take(), bench.take()];
    assert!(bench.client.take().is_none());
    requests.sort_by_key(|request| request.node);
    let partitions = |request: &Request| -> Vec<i32> {
        on_wire(request)
            .iter()
            .map(|batch| batch.partition)
            .collect()
    };
    assert_eq!(partitions(&requests[0]), [0, 2]);
    assert_eq!(partitions(&requests[1]), [1]);
    for request in requests {
        bench.acknowledge(request, 5);
    }
    bench.turn();
    assert!(handles.iter().all(|handle| offset(handle) == Some(5)));
}

#[test]
fn topic_without_an_id_limits_the_version_to_the_last_with_names() {
    let mut bench = Bench::new(plain(), &[1]);
    let with_id = bench.send(0);
    bench.turn();
    let request = bench.take();
    assert_eq!(request.versions.max, i16::MAX);
    bench.acknowledge(request, 0);
    bench.turn();
    assert!(with_id.is_done());
    let mut bench = Bench::new(plain(), &[1]);
    bench.learn(Uuid::ZERO, &[1], 2);
    let without = bench.send(0);
    bench.turn();
    let request = bench.take();
    assert_eq!(request.versions.max, 12);
    assert_eq!(&*produce(&request).topics[0].name, TOPIC);
    bench.acknowledge(request, 3);
    bench.turn();
    assert_eq!(offset(&without), Some(3));
}

#[test]
fn without_acks_a_batch_is_done_once_written_and_has_no_offset() {
    let mut bench = Bench::new(SenderConfig { acks: 0, ..plain() }, &[1]);
    let handle = bench.send(0);
    bench.turn();
    let request = bench.take();
    assert!(!request.expects_response);
    bench.client.answer(request, Outcome::Sent);
    bench.turn();
    assert_eq!(offset(&handle), None);
}

#[test]
fn without_acks_a_batch_that_was_not_written_is_sent_again() {
    let mut bench = Bench::new(SenderConfig { acks: 0, ..plain() }, &[1]);
    let handle = bench.send(0);
    bench.turn();
    let request = bench.take();
    bench.disconnect(request, true);
    bench.turn();
    bench.next_attempt();
    let request = bench.take();
    bench.client.answer(request, Outcome::Sent);
    bench.turn();
    assert_eq!(offset(&handle), None);
}

#[test]
fn one_response_can_acknowledge_refuse_and_send_back() {
    let mut bench = Bench::new(plain(), &[1, 1, 1]);
    let handles = [bench.send(0), bench.send(1), bench.send(2)];
    bench.turn();
    let request = bench.take();
    bench.answer_each(request, |partition| match partition.index {
        0 => partition.base_offset = 9,
        1 => partition.error_code = 29,
        _ => partition.error_code = 19,
    });
    bench.turn();
    assert_eq!(offset(&handles[0]), Some(9));
    assert_eq!(
        failed(&handles[1]),
        (ErrorKind::TopicAuthorization, Persistence::NotWritten)
    );
    assert!(!handles[2].is_done());
    bench.next_attempt();
    let again = bench.take();
    assert_eq!(on_wire(&again)[0].partition, 2);
}

#[test]
fn response_in_another_order_with_strangers_and_without_a_partition_is_taken_as_it_is() {
    let mut bench = Bench::new(plain(), &[1, 1]);
    let handles = [bench.send(0), bench.send(1)];
    bench.turn();
    let request = bench.take();
    let mut response = response_to(produce(&request), |partition| partition.base_offset = 4);
    let missing = response.topics[0].partitions.remove(0);
    assert_eq!(missing.index, 0);
    let stranger = PartitionProduceResponse {
        index: 99,
        ..PartitionProduceResponse::default()
    };
    response.topics[0].partitions.insert(0, stranger);
    response.topics.insert(
        0,
        TopicProduceResponse {
            topic_id: Uuid([9; 16]),
            partitions: vec![PartitionProduceResponse::default()],
            ..TopicProduceResponse::default()
        },
    );
    let outcome = Outcome::Response(ApiResponse::Produce(response));
    bench.client.answer(request, outcome);
    bench.turn();
    assert_eq!(offset(&handles[1]), Some(4));
    assert!(!handles[0].is_done(), "it is sent again");
    bench.next_attempt();
    assert_eq!(on_wire(&bench.take())[0].partition, 0);
}

#[test]
fn response_of_another_api_is_no_answer() {
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
    bench.client.answer(request, identity(1, 1, 0));
    bench.turn();
    assert_eq!(failed(&handle), (ErrorKind::Protocol, Persistence::Unknown));
}

#[test]
fn record_errors_name_the_guilty_and_the_rest_fail_because_of_them() {
    let mut bench = Bench::new(plain(), &[1]);
    let handle = bench.send(0);
    bench.turn();
    let request = bench.take();
    bench.answer_each(request, |partition| {
        partition.error_code = 87;
        partition.error_message = Some("one is bad".into());
        let error = |batch_index| RecordError {
            batch_index,
            message: Some("too old".into()),
        };
        partition.record_errors = vec![error(0), error(0), error(7), error(-1)];
    });
    bench.turn();
    let error = done(&handle).expect_err("rejected");
    assert_eq!(error.kind(), ErrorKind::InvalidRecord);
    assert_eq!(error.persistence(), Persistence::NotWritten);
    let text = error.to_string();
    assert!(
        text.contains("too old") && text.contains("topic-0") && text.contains("one is bad"),
        "{text}"
    );
}

#[test]
fn unsupported_version_is_tried_again_until_the_batch_expires_and_then_named() {
    for (config, idempotence) in [(plain(), false), (config(), true)] {
        let mut bench = if idempotence {
            Bench::idempotent_with(config, &[1])
        } else {
            Bench::new(config, &[1])
        };
        let handle = bench.send(0);
        bench.turn();
        for _ in 0..2 {
            let request = bench.take();
            let error = Error::new(ErrorKind::UnsupportedVersion, "too old");
            let outcome = Outcome::UnsupportedVersion(error);
            bench.client.answer(request, outcome);
            bench.turn();
            assert!(bench.client.take().is_none(), "it waits for a backoff");
            bench.next_attempt();
        }
        let request = bench.take();
        let error = Error::new(ErrorKind::UnsupportedVersion, "too old");
        let outcome = Outcome::UnsupportedVersion(error);
        bench.client.answer(request, outcome);
        bench.turn();
        bench.advance(500_000);
        bench.turn();
        assert_eq!(
            failed(&handle),
            (ErrorKind::UnsupportedVersion, Persistence::NotWritten)
        );
        assert!(bench.shared.fatal_error().is_none());
        let later = bench.send(0);
        bench.turn();
        let request = bench.take();
        bench.acknowledge(request, 1);
        bench.turn();
        assert_eq!(offset(&later), Some(1));
    }
}

#[test]
fn append_time_of_the_broker_is_believed_unless_a_repetition_may_have_brought_it() {
    for (attempts, answered, expected) in [
        (1, -1, [77, 99]),
        (1, 99, [99, 99]),
        (1, 500, [500, 500]),
        (2, 99, [77, 99]),
        (2, 500, [500, 500]),
    ] {
        let mut bench = Bench::with_batches_of(1024, plain(), &[1]);
        let first = bench.send(0);
        bench.timestamp_ms = 99;
        let second = bench.send(0);
        bench.turn();
        for _ in 1..attempts {
            let request = bench.take();
            bench.time_out(request);
            bench.turn();
            bench.next_attempt();
        }
        let request = bench.take();
        bench.answer_each(request, |partition| partition.log_append_time_ms = answered);
        bench.turn();
        let timestamp = |handle| done(handle).expect("acknowledged").timestamp_ms();
        assert_eq!([timestamp(&first), timestamp(&second)], expected);
    }
}

#[test]
fn leader_hint_is_taken_and_the_batch_goes_there_at_once() {
    let mut bench = Bench::new(plain(), &[1]);
    let handle = bench.send(0);
    bench.turn();
    let request = bench.take();
    bench.answer_each(request, |partition| {
        partition.error_code = 6;
        partition.current_leader = Some(LeaderHint {
            leader_id: 2,
            leader_epoch: 8,
        });
    });
    bench.turn();
    assert!(bench.shared.metadata.is_update_requested(bench.clock.now()));
    bench.turn();
    let request = bench.take();
    assert_eq!(request.node, NodeId(2), "without waiting for the backoff");
    bench.acknowledge(request, 3);
    bench.turn();
    assert_eq!(offset(&handle), Some(3));
}

#[test]
fn callbacks_run_in_the_order_of_sending_with_the_outcome_of_each() {
    let mut bench = Bench::idempotent(&[1]);
    let seen: Arc<Mutex<Vec<(i32, bool)>>> = Arc::default();
    for number in 0..4 {
        let seen = Arc::clone(&seen);
        let callback = Callback::once(move |result| {
            seen.lock()
                .expect("no panic")
                .push((number, result.is_ok()));
        });
        drop(bench.send_with(0, Some(callback)));
        bench.turn();
    }
    let requests: Vec<Request> = (0..4).map(|_| bench.take()).collect();
    for (place, request) in requests.into_iter().enumerate() {
        if place == 3 {
            bench.refuse(request, 29);
        } else {
            bench.acknowledge(request, 100 + i64::try_from(place).expect("few"));
        }
    }
    bench.turn();
    assert_eq!(
        *seen.lock().expect("no panic"),
        [(0, true), (1, true), (2, true), (3, false)]
    );
}

#[test]
fn callback_that_sends_finds_no_lock_held() {
    let mut bench = Bench::new(plain(), &[1]);
    let accumulator = Arc::clone(&bench.shared.accumulator);
    let again = Callback::once(move |_| {
        let append = append_null(&accumulator);
        assert!(matches!(append, Append::Appended { .. }));
    });
    drop(bench.send_with(0, Some(again)));
    bench.turn();
    let request = bench.take();
    bench.acknowledge(request, 0);
    bench.turn();
    bench.turn();
    assert_eq!(on_wire(&bench.take())[0].records, 1);
}

#[test]
fn answer_that_arrived_during_a_long_callback_counts_before_anything_expires() {
    let mut bench = Bench::new(plain(), &[1, 2]);
    let clock = Arc::clone(&bench.clock);
    let slow = Callback::once(move |_| clock.advance(Duration::from_secs(121)));
    let (first, second) = (bench.send_with(0, Some(slow)), bench.send(1));
    bench.turn();
    let (one, other) = (bench.take(), bench.take());
    bench.acknowledge(one, 5);
    bench.turn();
    assert_eq!(offset(&first), Some(5));
    // Its time is over, but the answer lies in the socket.
    bench.acknowledge(other, 7);
    bench.turn();
    assert_eq!(offset(&second), Some(7));
}
