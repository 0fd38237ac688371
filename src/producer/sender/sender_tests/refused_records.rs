//! Batches with records that the broker does not take (KIP-467): these fail, the others go again.

use super::splitting::{Told, numbers, offsets, value};
use super::*;

#[test]
fn records_to_blame_fail_each_for_its_reason_and_the_others_are_sent_again() {
    for config in [plain(), config()] {
        for code in [87, 32] {
            let mut bench = Bench::of_batches(config.clone());
            let (handles, request) = bench.batch(0..8);
            bench.refuse_records(request, code, &[3, 0, 4, 7]);
            for culprit in [0, 3, 4, 7] {
                let error = done(&handles[culprit]).expect_err("at once");
                assert_eq!(error.persistence(), Persistence::NotWritten);
                assert_eq!(error.kind(), ErrorKind::InvalidRecord);
                let text = error.to_string();
                assert!(text.contains(&format!("reason {culprit}")), "{text}");
                let back = error.record().expect("it is given back").value;
                let number = u32::try_from(culprit).expect("small");
                assert_eq!(back.as_deref(), Some(value(number).as_slice()));
            }
            assert!(!handles[1].is_done());
            assert_eq!(bench.let_through(40), [1, 2, 5, 6]);
            let innocent = [1, 2, 5, 6].map(|it| offset(&handles[it]));
            assert_eq!(innocent, [40, 41, 42, 43].map(Some));
            assert_eq!(bench.shared.accumulator.incomplete_batches(), 0);
        }
    }
}

#[test]
fn single_record_to_blame_has_the_code_of_the_answer() {
    let mut bench = Bench::of_batches(plain());
    let (handles, request) = bench.batch(0..3);
    bench.refuse_records(request, 32, &[1]);
    let guilty = done(&handles[1]).expect_err("refused");
    assert_eq!(guilty.error().code(), Some(32));
}

#[test]
fn rest_of_a_refused_batch_waits_for_successors_in_flight_and_has_a_new_epoch() {
    let mut bench = Bench::of_batches(config());
    let (_one, first) = bench.batch(0..3);
    let (_two, second) = bench.batch(3..5);
    bench.refuse_records(first, 87, &[1]);
    bench.turn();
    assert!(bench.client.take().is_none());
    bench.refuse(second, 45);
    bench.turn();
    bench.turn();
    let next = bench.take();
    assert_eq!((stamp(&next), numbers(&next)), ((1, 0), vec![0]));
    bench.acknowledge(next, 10);
    bench.turn();
    bench.advance(2000);
    assert_eq!(bench.let_through(11), [2, 3, 4]);
}

#[test]
fn rest_of_a_refused_batch_may_be_refused_and_split_again() {
    let mut bench = Bench::of_batches(config());
    let (mut handles, request) = bench.batch(0..9);
    bench.refuse_records(request, 87, &[4]);
    bench.turn();
    let first = bench.take();
    assert_eq!(numbers(&first), [0, 1, 2, 3]);
    let second = bench.take_next();
    assert_eq!(numbers(&second), [5, 6, 7, 8]);
    bench.acknowledge(first, 1);
    bench.refuse_records(second, 87, &[2]);
    assert!(failed(&handles[7]).0 == ErrorKind::InvalidRecord);
    bench.turn();
    let third = bench.take();
    assert_eq!(numbers(&third), [5, 6]);
    bench.refuse(third, 10);
    bench.turn();
    let fourth = bench.take();
    assert_eq!(numbers(&fourth), [8]);
    bench.refuse(fourth, 45);
    bench.turn();
    let fifth = bench.take_next();
    assert_eq!((stamp(&fifth), numbers(&fifth)), ((1, 0), vec![5]));
    bench.acknowledge(fifth, 5);
    bench.turn();
    bench.advance(2000);
    assert_eq!(bench.let_through(6), [6, 8]);
    assert_eq!(
        offsets(&[handles.remove(8), handles.remove(6), handles.remove(5)]),
        [7, 6, 5]
    );
}

#[test]
fn refused_batch_fails_as_a_whole_if_all_or_none_of_its_records_are_to_blame() {
    for culprits in [&[0, 1, 2][..], &[], &[7, -1]] {
        let mut bench = Bench::of_batches(config());
        let (handles, request) = bench.batch(0..3);
        bench.refuse_records(request, 87, culprits);
        for handle in &handles {
            let end = (ErrorKind::InvalidRecord, Persistence::NotWritten);
            assert_eq!(failed(handle), end);
        }
        bench.turn();
        assert!(bench.client.take().is_none());
    }
}

#[test]
fn refused_batch_with_an_unanswered_attempt_ends_unknown_as_a_whole() {
    let mut bench = Bench::of_batches(config());
    let (handles, request) = bench.batch(0..3);
    bench.disconnect(request, true);
    bench.turn();
    bench.next_attempt();
    let again = bench.take();
    bench.refuse_records(again, 87, &[1]);
    for handle in &handles {
        let end = (ErrorKind::InvalidRecord, Persistence::Unknown);
        assert_eq!(failed(handle), end);
    }
    let text = |at: usize| done(&handles[at]).expect_err("unknown").to_string();
    assert!(text(1).contains("reason 1"), "{}", text(1));
    assert!(text(0).contains("because of other records"), "{}", text(0));
    bench.turn();
    assert!(bench.client.take().is_none(), "nothing goes again");
}

#[test]
fn callbacks_of_records_to_blame_wait_for_those_of_earlier_ones() {
    let mut bench = Bench::of_batches(plain());
    let told = Told::default();
    for number in 0..4 {
        drop(bench.send_heard(number, &told));
    }
    bench.turn();
    let request = bench.take();
    bench.refuse_records(request, 87, &[0, 2]);
    assert_eq!(*told.lock().expect("no panic"), [(0, -1)]);
    assert_eq!(bench.let_through(9), [1, 3]);
    let told = std::mem::take(&mut *told.lock().expect("no panic"));
    assert_eq!(told, [(0, -1), (1, 9), (2, -1), (3, 10)]);
}

#[test]
fn order_without_sequences_is_kept_by_one_request_in_flight() {
    let config = SenderConfig {
        max_in_flight_per_connection: 1,
        ..plain()
    };
    let mut bench = Bench::of_batches(config);
    let (_one, first) = bench.batch(0..6);
    let _later: Vec<SendHandle> = (6..8)
        .map(|number| bench.send_value(0, &value(number), None))
        .collect();
    bench.turn();
    assert!(bench.client.take().is_none(), "one at a time");
    let piece = bench.too_large(first);
    assert_eq!(numbers(&piece), [0, 1, 2]);
    bench.turn();
    assert!(bench.client.take().is_none(), "one at a time");
    bench.refuse_records(piece, 87, &[1]);
    assert_eq!(bench.let_through(0), [0, 2, 3, 4, 5, 6, 7]);
}
