//! Each bug that can be planted in the Sender, the sequences and the batches is live: without it a
//! scenario goes right, with it wrong.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;
use crate::planted::{Plant, assert_live};
use crate::producer::DeliveryCallback;
use crate::producer::callback::in_callback;

/// Not idempotent, and one request in flight.
fn one_at_a_time() -> SenderConfig {
    SenderConfig {
        max_in_flight_per_connection: 1,
        ..plain()
    }
}

impl Bench {
    /// Sends a record of partition 0 and gives its request.
    fn sent(&mut self) -> (SendHandle, Request) {
        let handle = self.send(0);
        self.turn();
        (handle, self.take())
    }

    /// Past `delivery.timeout.ms`, and a turn.
    fn let_expire(&mut self) {
        self.advance(121_000);
        self.turn();
    }

    /// A record of partition 1 is acknowledged.
    fn get_partition_1_going(&mut self) {
        let _handle = self.send(1);
        self.turn();
        let request = self.take();
        self.acknowledge(request, 0);
        self.turn();
    }

    /// What the next request says of partition 1: epoch and sequence.
    fn stamp_of_partition_1(&mut self) -> (i16, i32) {
        self.next_attempt();
        let batches = on_wire(&self.take());
        let other = batches.iter().find(|batch| batch.partition == 1);
        other.map(|it| (it.epoch, it.sequence)).expect("it goes")
    }
}

/// The one batch of a request.
fn bytes(request: &Request) -> Vec<u8> {
    let parts = &produce(request).topics[0].partitions[0].records.parts;
    parts.concat()
}

fn carries(request: &Request, value: &[u8]) -> bool {
    bytes(request).windows(value.len()).any(|it| it == value)
}

#[test]
fn r02_first_of_two_batches_to_send_again_is_acknowledged_unsent() {
    assert_live(Plant::R02, || {
        let mut bench = Bench::idempotent(&[1]);
        let (lost, first) = bench.sent();
        let (_kept, second) = bench.sent();
        bench.disconnect(first, true);
        bench.disconnect(second, true);
        bench.turn();
        lost.try_get().is_some_and(|outcome| outcome.is_ok())
    });
}

#[test]
fn r06_new_partition_has_two_batches_in_flight() {
    assert_live(Plant::R06, || {
        let mut bench = Bench::idempotent(&[1, 1]);
        let _handles = [bench.send(1), bench.send(1)];
        bench.turn();
        let _first = bench.take();
        bench.turn();
        bench.client.take().is_some()
    });
}

#[test]
fn r07_sequences_begin_at_zero_after_the_topic_was_unknown() {
    // To the leader,
    assert_live(Plant::R07, || {
        let mut bench = Bench::idempotent(&[1]);
        let (_handle, request) = bench.sent();
        bench.refuse(request, 3);
        bench.turn();
        bench.next_attempt();
        stamp(&bench.take()) == (0, 0)
    });
    // or to whoever gave metadata.
    assert_live(Plant::R07, || {
        let mut bench = Bench::idempotent(&[1]);
        let nothing = MetadataResponse {
            brokers: vec![node(1)],
            ..MetadataResponse::default()
        };
        bench.shared.metadata.learn(nothing, bench.clock.now());
        bench.turn();
        bench.learn(TOPIC_ID, &[1], 1);
        bench.turn();
        let (_handle, request) = bench.sent();
        stamp(&request) == (0, 0)
    });
}

fn unproved_code_claims_that_nothing_was_written(code: i16) -> bool {
    let mut bench = Bench::idempotent(&[1]);
    let (handle, request) = bench.sent();
    bench.refuse(request, code);
    bench.turn();
    bench.let_expire();
    failed(&handle).1 == Persistence::NotWritten
}

#[test]
fn r14_timed_out_request_counts_as_not_written() {
    assert_live(Plant::R14, || {
        unproved_code_claims_that_nothing_was_written(7)
    });
}

#[test]
fn r21_not_leader_counts_as_not_written() {
    assert_live(Plant::R21, || {
        unproved_code_claims_that_nothing_was_written(6)
    });
}

#[test]
fn r15_sequences_of_an_unknown_outcome_are_used_again() {
    assert_live(Plant::R15, || {
        let mut bench = Bench::idempotent(&[1]);
        let (_expires, request) = bench.sent();
        let used = stamp(&request);
        bench.let_expire();
        let (_next, request) = bench.sent();
        stamp(&request) == used
    });
}

#[test]
fn r17_gap_of_a_record_that_failed_is_retried_for_ever() {
    assert_live(Plant::R17, || {
        let mut bench = Bench::idempotent(&[1]);
        let (_failed, request) = bench.sent();
        bench.refuse(request, 10);
        bench.turn();
        let (_behind, request) = bench.sent();
        bench.refuse(request, 45);
        bench.turn();
        bench.next_attempt();
        stamp(&bench.take()) == (0, 2)
    });
}

#[test]
fn r23_gap_of_one_partition_restamps_an_unknown_batch_of_another() {
    assert_live(Plant::R23, || {
        let mut bench = Bench::idempotent(&[1, 1]);
        bench.get_partition_1_going();
        let _unknown = bench.send(1);
        bench.turn();
        let request = bench.take();
        bench.disconnect(request, true);
        bench.turn();
        let (_gap, request) = bench.sent();
        bench.refuse(request, 45);
        bench.turn();
        bench.stamp_of_partition_1() == (1, 0)
    });
}

#[test]
fn r24_new_epoch_takes_a_batch_without_an_answer_along() {
    // One behind it,
    assert_live(Plant::R24, || {
        let mut bench = Bench::idempotent(&[1]);
        let (_expires, _unanswered) = bench.sent();
        bench.advance(60_000);
        let (_behind, unanswered) = bench.sent();
        bench.advance(60_000);
        bench.turn();
        let _next = bench.send(0);
        bench.turn();
        let Some(next) = bench.client.take() else {
            return false;
        };
        bench.acknowledge(next, 9);
        bench.disconnect(unanswered, true);
        bench.turn();
        bench.next_attempt();
        stamp(&bench.take()) == (1, 1)
    });
    // or the very one that asks for it.
    assert_live(Plant::R24, || {
        let mut bench = Bench::idempotent(&[1]);
        let (_handle, request) = bench.sent();
        bench.disconnect(request, true);
        bench.turn();
        bench.next_attempt();
        let request = bench.take();
        bench.refuse(request, 45);
        bench.turn();
        bench.next_attempt();
        bench.client.take().is_some()
    });
}

#[test]
fn r28_partition_is_sent_to_two_leaders_at_once() {
    assert_live(Plant::R28, || {
        let mut bench = Bench::new(one_at_a_time(), &[1]);
        let _handles = [bench.send(0), bench.send(0)];
        bench.turn();
        let _first = bench.take();
        bench.learn(TOPIC_ID, &[2], 2);
        bench.turn();
        bench.client.take().is_some()
    });
}

#[test]
fn r29_batch_that_backs_off_is_overtaken() {
    assert_live(Plant::R29, || {
        let mut bench = Bench::new(one_at_a_time(), &[1]);
        let _handles = [
            bench.send_value(0, b"first", None),
            bench.send_value(0, b"second", None),
        ];
        bench.turn();
        let request = bench.take();
        bench.refuse(request, 19);
        bench.turn();
        bench.turn();
        let next = bench.client.take();
        next.is_some_and(|request| carries(&request, b"second"))
    });
}

#[test]
fn r30_batches_under_a_new_epoch_change_places() {
    assert_live(Plant::R30, || {
        let mut bench = Bench::idempotent(&[1]);
        let values: [&[u8]; 2] = [b"first", b"second"];
        let _handles = values.map(|value| bench.send_value(0, value, None));
        bench.turn();
        bench.turn();
        for _ in values {
            let request = bench.take();
            bench.refuse(request, 45);
        }
        bench.turn();
        bench.next_attempt();
        let next = bench.take();
        stamp(&next) == (1, 0) && carries(&next, b"second")
    });
}

fn batch_to_send_again_comes_after_the_next(config: SenderConfig) -> bool {
    let mut bench = if config.idempotence {
        Bench::idempotent_with(config, &[1])
    } else {
        Bench::new(config, &[1])
    };
    let _first = bench.send_value(0, b"first", None);
    bench.turn();
    let request = bench.take();
    bench.client.make_unready(1, Duration::from_secs(1));
    let _second = bench.send_value(0, b"second", None);
    bench.refuse(request, 19);
    bench.turn();
    bench.client.make_ready(1);
    bench.next_attempt();
    carries(&bench.take(), b"second")
}

#[test]
fn r32_batch_to_send_again_is_behind_newer_ones() {
    assert_live(Plant::R32, || {
        batch_to_send_again_comes_after_the_next(one_at_a_time())
    });
}

#[test]
fn retry_order_is_wrong_with_idempotence_too() {
    for config in [one_at_a_time(), config()] {
        assert_live(Plant::RetryOrder, || {
            batch_to_send_again_comes_after_the_next(config.clone())
        });
    }
}

#[test]
fn r35_new_epoch_of_one_partition_meets_old_sequences_of_another() {
    assert_live(Plant::R35, || {
        let mut bench = Bench::idempotent(&[1, 1]);
        bench.get_partition_1_going();
        let (_gap, request) = bench.sent();
        bench.refuse(request, 45);
        bench.turn();
        let _other = bench.send(1);
        bench.stamp_of_partition_1() == (1, 1)
    });
}

#[test]
fn r36_answer_to_a_batch_that_has_expired_panics() {
    assert_live(Plant::R36, || {
        let mut bench = Bench::idempotent(&[1]);
        let (_handle, request) = bench.sent();
        bench.let_expire();
        bench.acknowledge(request, 1);
        catch_unwind(AssertUnwindSafe(|| bench.turn())).is_err()
    });
}

#[test]
fn r37_sequence_after_the_last_one_is_negative() {
    assert_live(Plant::R37, || {
        let mut bench = Bench::new(config(), &[1]);
        bench.sender.begin_sequences_at(i32::MAX);
        bench.give_identity(7, 0);
        let (_handle, request) = bench.sent();
        stamp(&request).1 < 0
    });
}

#[test]
fn r38_epoch_after_the_last_one_is_negative() {
    assert_live(Plant::R38, || {
        let mut bench = Bench::new(config(), &[1]);
        bench.give_identity(7, i16::MAX);
        let (_handle, request) = bench.sent();
        bench.refuse(request, 59);
        bench.turn();
        bench.next_attempt();
        let request = bench.client.take();
        request.is_some_and(|request| stamp(&request).0 < 0)
    });
}

#[test]
fn r39_state_that_the_broker_forgot_is_fatal() {
    assert_live(Plant::R39, || {
        let mut bench = Bench::idempotent(&[1]);
        let (_handle, request) = bench.sent();
        bench.refuse(request, 59);
        bench.turn();
        bench.shared.fatal_error().is_some()
    });
}

#[test]
fn adopted_anyway_sends_to_the_new_topic_what_was_on_its_way_to_the_old_one() {
    assert_live(Plant::AdoptedAnyway, || {
        let config = SenderConfig {
            fail_recreated_topics: true,
            ..plain()
        };
        let mut bench = Bench::new(config, &[1]);
        let (_handle, request) = bench.sent();
        bench.learn(Uuid([2; 16]), &[1], 1);
        bench.turn();
        bench.refuse(request, 19);
        bench.turn();
        bench.next_attempt();
        bench.client.take().is_some()
    });
}

#[test]
fn silent_loss_tells_nobody_of_offsets_that_go_backwards() {
    assert_live(Plant::SilentLoss, || {
        let mut bench = Bench::new(plain(), &[1]);
        for base_offset in [5, 3] {
            let (_handle, request) = bench.sent();
            bench.acknowledge(request, base_offset);
            bench.turn();
        }
        bench.shared.data_losses() == 0
    });
}

#[test]
fn r40_gap_after_an_unknown_outcome_is_fatal() {
    assert_live(Plant::R40, || {
        let mut bench = Bench::idempotent(&[1]);
        let (_expires, _unanswered) = bench.sent();
        bench.let_expire();
        let (_next, request) = bench.sent();
        bench.refuse(request, 45);
        bench.turn();
        bench.shared.fatal_error().is_some()
    });
}

#[test]
fn r41_batch_to_send_again_has_other_bytes() {
    assert_live(Plant::R41, || {
        let mut bench = Bench::idempotent(&[1]);
        let (_handle, request) = bench.sent();
        let before = bytes(&request);
        bench.disconnect(request, true);
        bench.turn();
        bench.next_attempt();
        bytes(&bench.take()) != before
    });
}

#[test]
fn r53_callback_is_not_known_for_one() {
    assert_live(Plant::R53, || {
        let mut bench = Bench::new(plain(), &[1]);
        let knew = Arc::new(AtomicBool::new(false));
        let inside = Arc::clone(&knew);
        let callback = Callback::once(move |_| inside.store(in_callback(), Ordering::Relaxed));
        let _handle = bench.send_with(0, Some(callback));
        bench.turn();
        let request = bench.take();
        bench.acknowledge(request, 0);
        bench.turn();
        !knew.load(Ordering::Relaxed)
    });
}

#[test]
fn r54_forced_close_waits_for_a_producer_id() {
    assert_live(Plant::R54, || {
        let mut bench = Bench::new(config(), &[1]);
        let _handle = bench.send(0);
        bench.turn();
        bench.shared.force_close();
        !bench.sender.is_done()
    });
}

#[test]
fn r57_batch_of_a_topic_made_again_never_ends() {
    assert_live(Plant::R57, || {
        let mut bench = Bench::idempotent(&[1]);
        let (handle, request) = bench.sent();
        bench.learn(Uuid([2; 16]), &[1], 1);
        bench.acknowledge(request, 1);
        bench.turn();
        bench.let_expire();
        !handle.is_done()
    });
}

#[test]
fn r59_loop_does_not_sleep_once_the_first_expiry_has_passed() {
    assert_live(Plant::R59, || {
        let mut bench = Bench::new(plain(), &[1]);
        let (_handle, request) = bench.sent();
        bench.acknowledge(request, 0);
        bench.turn();
        bench.let_expire();
        bench.client.last_timeout().is_zero()
    });
}

#[test]
fn r63_partition_that_is_unmuted_is_not_looked_at() {
    assert_live(Plant::R63, || {
        let mut bench = Bench::new(one_at_a_time(), &[1]);
        let _handles = [bench.send(0), bench.send(0)];
        bench.turn();
        let request = bench.take();
        bench.acknowledge(request, 0);
        bench.turn();
        bench.turn();
        bench.client.take().is_none()
    });
}

#[test]
fn r65_topic_made_again_gets_nothing() {
    assert_live(Plant::R65, || {
        let mut bench = Bench::idempotent(&[1]);
        bench.learn(Uuid([2; 16]), &[1], 1);
        let _handle = bench.send(0);
        bench.turn();
        bench.client.take().is_none()
    });
}

#[test]
fn r69_lost_connection_does_not_ask_for_metadata() {
    assert_live(Plant::R69, || {
        let mut bench = Bench::new(plain(), &[1]);
        let (_handle, request) = bench.sent();
        bench.disconnect(request, true);
        bench.turn();
        !bench.shared.metadata.is_update_requested(bench.clock.now())
    });
}

#[test]
fn r79_repetition_gives_all_records_the_largest_timestamp() {
    assert_live(Plant::R79, || {
        let mut bench = Bench::with_batches_of(1024, plain(), &[1]);
        let older = bench.send(0);
        bench.timestamp_ms = 99;
        let _newer = bench.send(0);
        bench.turn();
        let request = bench.take();
        bench.disconnect(request, true);
        bench.turn();
        bench.next_attempt();
        let request = bench.take();
        bench.answer_each(request, |partition| partition.log_append_time_ms = 99);
        bench.turn();
        done(&older).expect("it was acknowledged").timestamp_ms() == 99
    });
}

/// Eight records in one batch, too large for the topic; gives the request of the first half.
fn halved(bench: &mut Bench, is_heard: bool) -> (Vec<SendHandle>, Request) {
    let callback = || is_heard.then(|| Callback::once(|_| {}));
    let send = |_| bench.send_with(0, callback());
    let handles = (0..8).map(send).collect();
    bench.turn();
    let request = bench.take();
    bench.refuse(request, 10);
    bench.turn();
    bench.turn();
    (handles, bench.take())
}

#[test]
fn r03_flush_ends_when_a_batch_is_split() {
    assert_live(Plant::R03, || {
        let mut bench = Bench::with_batches_of(1024, plain(), &[1]);
        let handle = bench.send(0);
        let mut flush = bench.shared.accumulator.begin_flush();
        let (handles, _first) = halved(&mut bench, true);
        let is_over = flush.poll(std::task::Waker::noop());
        is_over && !handles[0].is_done() && !handle.is_done()
    });
}

#[test]
fn r04_split_batch_gives_back_what_its_pieces_count_for() {
    assert_live(Plant::R04, || {
        let mut bench = Bench::with_batches_of(1024, plain(), &[1]);
        let _handle = bench.send_with(0, Some(Callback::once(|_| {})));
        let while_open = bench.shared.accumulator.available_memory();
        let halves = halved(&mut bench, true);
        let in_pieces = bench.shared.accumulator.available_memory();
        drop(halves);
        in_pieces > while_open
    });
}

#[test]
fn piece_order_sends_the_second_half_first() {
    assert_live(Plant::PieceOrder, || {
        let mut bench = Bench::with_batches_of(1024, plain(), &[1]);
        // Callbacks would wait for those of the first half all the same.
        let (handles, first) = halved(&mut bench, false);
        bench.acknowledge(first, 0);
        bench.turn();
        handles[7].is_done() && !handles[0].is_done()
    });
}

#[derive(Default)]
struct Calls(AtomicUsize);

impl DeliveryCallback for Calls {
    fn on_completion(&self, _tag: u64, _result: Result<&RecordMetadata, &DeliveryError>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn completed_twice_calls_a_shared_callback_twice() {
    assert_live(Plant::CompletedTwice, || {
        let mut bench = Bench::new(plain(), &[1]);
        let calls = Arc::new(Calls::default());
        let shared = Arc::clone(&calls) as Arc<dyn DeliveryCallback>;
        let _handle = bench.send_with(0, Some(Callback::shared(shared, 1)));
        bench.turn();
        let request = bench.take();
        bench.acknowledge(request, 0);
        bench.turn();
        calls.0.load(Ordering::Relaxed) == 2
    });
}

#[test]
fn released_early_memory_is_free_before_the_outcome() {
    assert_live(Plant::ReleasedEarly, || {
        let mut bench = Bench::with_batches_of(1024, plain(), &[1]);
        let _handle = bench.send(0);
        let while_open = bench.shared.accumulator.available_memory();
        bench.turn();
        let on_its_way = bench.shared.accumulator.available_memory();
        let request = bench.take();
        bench.acknowledge(request, 0);
        bench.turn();
        assert_eq!(bench.shared.accumulator.available_memory(), 1 << 20);
        on_its_way > while_open
    });
}
