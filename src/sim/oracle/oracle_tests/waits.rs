//! P12: which waits beside an idle connection are right; P10: which probes say nothing; P7: where
//! a partition's sequences begin, and when they are used again.

use super::history::{History, NODE};
use crate::error::{ErrorKind, Persistence};
use crate::sim::run::tests::simple;

#[test]
fn batch_that_waits_beside_an_idle_connection_breaks_p12() {
    let mut history = History::idempotent();
    let id = history.record(0);
    history.passes(300);
    let sent = history.send(1, &[id], (0, 0));
    history.succeeds(&sent);
    history.breaks("P12", "idle connection");
}

/// Its node had refused a batch of another partition, which is nothing to this one.
#[test]
fn batch_that_waits_for_the_trouble_of_another_partition_breaks_p12() {
    let mut history = History::idempotent();
    let other = history.record(1);
    let sent = history.send(1, &[other], (0, 0));
    history.refused(&sent, 10);
    history.ends_badly(&[other], Persistence::NotWritten);
    let id = history.record(0);
    history.passes(300);
    let sent = history.send(1, &[id], (0, 0));
    history.succeeds(&sent);
    history.breaks("P12", "idle connection");
}

/// Its node had asked for a pause.
#[test]
fn batch_that_waits_for_the_throttle_of_its_node_is_right() {
    let mut history = History::idempotent();
    history.throttles(1, 300);
    let id = history.record(0);
    history.passes(300);
    let sent = history.send(1, &[id], (0, 0));
    history.succeeds(&sent);
    history.passes_as_right();
}

/// Nobody led it while the topic had an error.
#[test]
fn batch_that_waits_for_a_leader_that_is_named_again_is_right() {
    let mut history = History::idempotent();
    history.told_of_topic(1, 3);
    let id = history.record(0);
    history.passes(300);
    history.told_of_topic(1, 0);
    let sent = history.send(1, &[id], (0, 0));
    history.succeeds(&sent);
    history.passes_as_right();
}

#[test]
fn batch_that_waits_on_after_its_leader_is_named_again_breaks_p12() {
    let mut history = History::idempotent();
    history.told_of_topic(1, 3);
    let id = history.record(0);
    history.told_of_topic(1, 0);
    history.passes(300);
    let sent = history.send(1, &[id], (0, 0));
    history.succeeds(&sent);
    history.breaks("P12", "idle connection");
}

/// What comes later excuses nothing.
#[test]
fn batch_that_waited_before_its_leader_was_lost_breaks_p12() {
    let mut history = History::idempotent();
    let id = history.record(0);
    history.passes(300);
    let sent = history.send(1, &[id], (0, 0));
    history.succeeds(&sent);
    history.passes(1);
    history.told_of_topic(1, 3);
    history.told_of_topic(1, 0);
    history.breaks("P12", "idle connection");
}

/// A probe that ended before the bound, and one that the closed producer refused.
fn probes_of(delivery_timeout_ms: u64) -> History {
    let mut scenario = simple(1);
    scenario.config.delivery_timeout_ms = delivery_timeout_ms;
    let mut history = History::of(&scenario);
    history.set_up(1);
    let (expired, refused) = (history.record(2), history.record(2));
    history.passes(delivery_timeout_ms);
    history.ends_badly(&[expired], Persistence::NotWritten);
    let entry = history.ledger.entry(refused);
    entry.accepted_at = None;
    entry.refused = Some(ErrorKind::Closed);
    for id in [expired, refused] {
        history.ledger.entry(id).is_probe = true;
    }
    history
}

#[test]
fn probe_that_expired_early_before_a_close_says_nothing() {
    probes_of(1_000).passes_as_right();
}

#[test]
fn probe_that_expired_beyond_the_bound_before_a_close_breaks_p10() {
    probes_of(120_000).breaks("P10", "no probe of t-2");
}

/// Of the first epoch nothing ever left; the next begins with 0.
fn first_seen_in_the_second_epoch(sequence: i32) -> History {
    let mut scenario = simple(1);
    scenario.config.first_sequence = i32::MAX - 3;
    let mut history = History::of(&scenario);
    history.set_up(1);
    let sent = history.send_new(1, 1, sequence);
    history.succeeds(&sent);
    history
}

#[test]
fn second_epoch_begins_with_zero_though_the_first_was_never_seen() {
    first_seen_in_the_second_epoch(0).passes_as_right();
}

#[test]
fn second_epoch_that_begins_elsewhere_breaks_p7() {
    first_seen_in_the_second_epoch(3).breaks("P7", "a gap of 3");
}

/// A probe that is acknowledged 100 s after its call; before it a node asked for a pause of 50 s.
fn probe_after_a_throttle(at: i32) -> History {
    let mut history = History::idempotent();
    history.set_up_at(at, 2);
    history.throttles(2, 50_000);
    history.node = NODE;
    let probe = history.record(2);
    history.ledger.entry(probe).is_probe = true;
    history.passes(100_000);
    history.ledger.entry(probe).accepted_at = Some(history.now);
    let sent = history.send(1, &[probe], (0, 0));
    history.succeeds(&sent);
    history
}

#[test]
fn probe_of_a_throttled_leader_has_its_time_from_the_end_of_the_throttle() {
    probe_after_a_throttle(NODE).passes_as_right();
}

#[test]
fn probe_beside_the_throttle_of_another_node_breaks_p10() {
    probe_after_a_throttle(NODE + 1).breaks("P10", "no probe of t-2");
}

/// A probe that is acknowledged 100 s after its call, beside a send that began before it.
fn probe_behind(refused: Option<ErrorKind>) -> History {
    let mut history = History::idempotent();
    history.set_up(1);
    let waits = history.record(0);
    let entry = history.ledger.entry(waits);
    entry.accepted_at = None;
    entry.refused = refused;
    let probe = history.record(2);
    history.ledger.entry(probe).is_probe = true;
    history.passes(100_000);
    history.ledger.entry(probe).accepted_at = Some(history.now);
    let sent = history.send(1, &[probe], (0, 0));
    history.succeeds(&sent);
    history
}

#[test]
fn probe_behind_a_send_that_never_got_its_memory_has_its_time_from_then() {
    probe_behind(Some(ErrorKind::BufferExhausted)).passes_as_right();
}

#[test]
fn probe_that_took_too_long_beside_another_refusal_breaks_p10() {
    probe_behind(Some(ErrorKind::RecordTooLarge)).breaks("P10", "no probe of t-2");
}

/// Of the second batch's first attempt only a part was written, so that it is seen behind the third;
/// that one ends, and a fourth gets its sequence.
fn sequence_used_again(is_proved: bool) -> History {
    let mut history = History::idempotent();
    let first = history.send_new(1, 0, 0);
    history.succeeds(&first);
    history.passes(1);
    let id = history.record(0);
    let third = history.send_new(1, 0, 2);
    history.set_up(2);
    let second = history.send(2, &[id], (0, 1));
    if is_proved {
        history.refused(&third, 45);
        history.ends_badly(third.ids(), Persistence::NotWritten);
    } else {
        history.closes(1);
        history.ends_badly(third.ids(), Persistence::Unknown);
    }
    let id = history.record(0);
    let fourth = history.send(2, &[id], (0, 2));
    history.passes(1);
    history.succeeds(&second);
    history.succeeds(&fourth);
    history
}

#[test]
fn sequence_is_used_again_although_one_before_it_was_seen_later() {
    sequence_used_again(true).passes_as_right();
}

#[test]
fn sequence_of_a_batch_that_may_be_written_is_not_used_again() {
    sequence_used_again(false).breaks("P7", "a second batch under this identity");
}

/// Probes that got no memory within the bound.
fn probes_without_memory(max_block_ms: u64) -> History {
    let mut scenario = simple(1);
    scenario.config.max_block_ms = max_block_ms;
    let mut history = History::of(&scenario);
    history.set_up(1);
    let probe = history.record(2);
    let entry = history.ledger.entry(probe);
    entry.accepted_at = None;
    entry.refused = Some(ErrorKind::BufferExhausted);
    entry.is_probe = true;
    history
}

#[test]
fn probe_that_does_not_stand_in_the_line_for_memory_says_nothing() {
    probes_without_memory(0).passes_as_right();
}

#[test]
fn probe_that_stood_in_the_line_for_memory_in_vain_breaks_p10() {
    probes_without_memory(20).breaks("P10", "no probe of t-2");
}
