//! Single requests that no right client writes, and polls that bring nothing.

use std::time::Duration;

use super::history::{History, NODE};
use crate::network::WireId;
use crate::sim::run::tests::simple;

#[test]
fn request_before_the_node_said_what_it_speaks_breaks_p1() {
    let mut history = History::idempotent();
    history.ask(7, 3, 1, &0_i32.to_be_bytes());
    history.breaks("P1", "before the node said");
}

#[test]
fn version_that_the_node_did_not_name_breaks_p1() {
    let mut history = History::idempotent();
    let body = [&0_i32.to_be_bytes()[..], &[1]].concat();
    history.ask(1, 3, 4, &body);
    history.breaks("P1", "did not name");
}

#[test]
fn request_that_cannot_be_read_breaks_p1() {
    let mut history = History::idempotent();
    history.ask(1, 3, 1, &[1, 2, 3]);
    history.breaks("P1", "cannot be read");
}

#[test]
fn checksum_that_is_wrong_breaks_p1() {
    let mut history = History::idempotent();
    let mut sent = history.send_new(1, 0, 0);
    history.refused(&sent, 2);
    sent.spoil_checksum();
    let again = history.resend(&sent, 1);
    history.refused(&again, 2);
    let ids = again.ids().to_vec();
    history.ends_badly(&ids, crate::error::Persistence::NotWritten);
    let found = history.judged();
    assert!(
        found
            .iter()
            .any(|one| one.property == "P1" && one.text.contains("checksum"))
    );
    assert!(
        found
            .iter()
            .any(|one| one.property == "P7" && one.text.contains("not the bytes"))
    );
}

#[test]
fn correlation_id_that_is_used_again_breaks_p11() {
    let mut history = History::idempotent();
    history.ask_as(1, (3, 1, 1), &0_i32.to_be_bytes());
    history.breaks("P11", "correlation id");
}

#[test]
fn request_after_the_close_breaks_p11() {
    let mut history = History::idempotent();
    history.closes(1);
    history.ask(1, 3, 1, &0_i32.to_be_bytes());
    history.breaks("P11", "after the connection");
}

#[test]
fn request_after_an_answer_to_nothing_breaks_p11() {
    let mut history = History::idempotent();
    history.answer(1, 99, &[0; 20]);
    history.ask(1, 3, 1, &0_i32.to_be_bytes());
    history.breaks("P11", "after the connection");
}

#[test]
fn next_question_about_versions_before_the_client_came_to_an_answer_to_nothing_is_right() {
    // Both answers were read at once; the first of them asks for another version.
    let mut history = History::idempotent();
    history.answer(1, 99, &[0; 20]);
    history.ask(1, 18, 0, &[]);
    history.closes(1);
    history.passes_as_right();
}

#[test]
fn question_about_versions_a_poll_after_an_answer_to_nothing_breaks_p11() {
    let mut history = History::idempotent();
    history.answer(1, 99, &[0; 20]);
    history.oracle.on_poll(history.now, Duration::ZERO, true);
    history.ask(1, 18, 0, &[]);
    history.breaks("P11", "after the connection");
}

#[test]
fn request_half_written_before_an_answer_to_nothing_may_be_finished_and_no_other() {
    let mut history = History::idempotent();
    history.oracle.on_part_of_request(WireId(1));
    history.answer(1, 99, &[0; 20]);
    history.ask(1, 3, 1, &0_i32.to_be_bytes());
    assert_eq!(history.oracle.take_violations(), []);
    history.ask(1, 3, 1, &0_i32.to_be_bytes());
    history.breaks("P11", "after the connection");
}

#[test]
fn answer_behind_one_that_cannot_be_one_is_not_heard() {
    for is_asked_for in [false, true] {
        let mut scenario = simple(1);
        (scenario.config.acks, scenario.config.idempotence) = (1, false);
        let mut history = History::of(&scenario);
        history.set_up(1);
        let asked = history.ask(1, 3, 1, &0_i32.to_be_bytes());
        let id = history.record(0);
        let sent = history.send_bare(1, &[id], 1);
        let offset = history.append(&sent);
        let stray = if is_asked_for { asked } else { 99 };
        history.answer(1, stray, &[0x7f; 20]);
        history.told(&sent, (0, offset));
        history.closes(1);
        history.set_up(2);
        let again = history.send_bare(2, &[id], 1);
        history.succeeds(&again);
        history.passes_as_right();
    }
}

#[test]
fn answer_of_an_impossible_size_whose_connection_goes_on_breaks_p11() {
    for size in [-1, i32::MAX, 100 * 1024 * 1024 + 1] {
        let mut history = History::idempotent();
        history.oracle.on_claimed_size(history.now, WireId(1), size);
        history.oracle.on_poll(history.now, Duration::ZERO, true);
        history.breaks("P11", "claims to have");
    }
}

#[test]
fn answer_of_an_impossible_size_that_ends_its_connection_is_right_and_so_is_a_large_one() {
    let mut history = History::idempotent();
    history
        .oracle
        .on_claimed_size(history.now, WireId(1), 100 * 1024 * 1024);
    history.oracle.on_poll(history.now, Duration::ZERO, true);
    history.oracle.on_claimed_size(history.now, WireId(1), -1);
    history.closes(1);
    history.oracle.on_poll(history.now, Duration::ZERO, true);
    history.passes_as_right();
}

#[test]
fn sixth_request_in_flight_breaks_p2() {
    let mut history = History::idempotent();
    for _ in 0..5 {
        history.ask(1, 3, 1, &0_i32.to_be_bytes());
    }
    assert_eq!(history.oracle.take_violations(), []);
    history.ask(1, 3, 1, &0_i32.to_be_bytes());
    history.breaks("P2", "max.in.flight");
}

#[test]
fn produce_to_a_node_that_nobody_named_breaks_p10() {
    let mut history = History::idempotent();
    let sent = history.send_new(1, 0, 0);
    history.succeeds(&sent);
    history.set_up_at(NODE + 1, 9);
    history.passes(1);
    let id = history.record(0);
    history.node = NODE + 1;
    let sent = history.send(9, &[id], (0, 1));
    history.succeeds(&sent);
    history.breaks("P10", "never named as its leader");
}

#[test]
fn connects_without_a_backoff_break_p9() {
    let mut history = History::idempotent();
    for link in 20..30 {
        history.oracle.on_connect(history.now, 3, WireId(link));
    }
    history.breaks("P9", "connects to node 3");
}

#[test]
fn polls_that_bring_nothing_break_p9_and_end_the_run() {
    let mut history = History::idempotent();
    for _ in 0..1_100 {
        history.now += Duration::from_micros(1);
        history.oracle.on_poll(history.now, Duration::ZERO, false);
    }
    assert!(history.oracle.wants_to_stop());
    history.breaks("P9", "polls");
}

#[test]
fn polls_that_bring_something_are_no_spinning() {
    let mut history = History::idempotent();
    for _ in 0..5_000 {
        history.now += Duration::from_micros(1);
        history.oracle.on_poll(history.now, Duration::ZERO, true);
    }
    assert!(!history.oracle.wants_to_stop());
    history.passes_as_right();
}

#[test]
fn polls_between_which_batches_end_without_an_answer_are_no_spinning() {
    // So they do where a node speaks no version that is needed: one batch of each partition a turn.
    let mut history = History::idempotent();
    for _ in 0..5_000 {
        history.now += Duration::from_micros(1);
        history.oracle.on_poll(history.now, Duration::ZERO, true);
        history.now += Duration::from_micros(1);
        history.oracle.on_poll(history.now, Duration::ZERO, false);
        history.oracle.on_outcome();
    }
    assert!(!history.oracle.wants_to_stop());
    history.passes_as_right();
}

#[test]
fn polls_after_which_the_client_goes_on_reading_are_no_spinning() {
    let mut history = History::idempotent();
    for _ in 0..5_000 {
        history.now += Duration::from_micros(1);
        history.oracle.on_poll(history.now, Duration::ZERO, false);
        history.oracle.on_read();
    }
    assert!(!history.oracle.wants_to_stop());
    history.passes_as_right();
}

#[test]
fn poll_that_sleeps_past_an_overdue_request_breaks_p9() {
    let mut history = History::idempotent();
    history.ask(1, 3, 1, &0_i32.to_be_bytes());
    history.passes(40_000);
    history
        .oracle
        .on_poll(history.now, Duration::from_secs(39), false);
    history.breaks("P9", "slept past");
}

#[test]
fn poll_that_a_callback_held_up_before_it_began_does_not_break_p9() {
    let mut history = History::idempotent();
    history.ask(1, 3, 1, &0_i32.to_be_bytes());
    let since = history.now;
    history.passes(40_000);
    let held_up = (since, since + Duration::from_secs(11));
    history.ledger.user_code.push(held_up);
    history
        .oracle
        .on_poll(history.now, Duration::from_secs(29), false);
    let found = history.judged();
    assert!(found.iter().all(|it| it.property != "P9"), "{found:?}");
}
