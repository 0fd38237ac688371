//! Histories of records and batches: right ones pass, each lie is reported by its property.

use super::history::History;
use crate::error::{ErrorKind, Persistence};
use crate::sim::ledger::{BlockingCall, Violation};
use crate::sim::run::tests::simple;

#[test]
fn right_history_with_a_retry_and_a_new_epoch_passes() {
    let mut history = History::idempotent();
    let first = history.send_new(3, 0, 0);
    history.succeeds(&first);
    let second = history.send_new(2, 0, 3);
    let third = history.send_new(1, 0, 5);
    history.refused(&second, 19);
    history.refused(&third, 45);
    history.passes(100);
    let second = history.resend(&second, 1);
    history.succeeds(&second);
    let third = history.resend(&third, 1);
    history.refused(&third, 45);
    let third = history.send(1, third.ids(), (1, 0));
    history.succeeds(&third);
    history.passes_as_right();
}

#[test]
fn right_history_with_a_lost_answer_passes() {
    let mut history = History::idempotent();
    let first = history.send_new(2, 0, 0);
    let offset = history.append(&first);
    history.closes(1);
    history.set_up(2);
    let again = history.resend(&first, 2);
    history.event(&again, (0, offset), false);
    history.told(&again, (0, offset));
    history.ends_well(&again, Some(offset));
    history.passes_as_right();
}

#[test]
fn right_history_where_nobody_answers_passes_if_everything_was_sent() {
    let mut history = History::bare(0);
    let id = history.record(0);
    let sent = history.send_bare(1, &[id], 0);
    history.ends_well(&sent, None);
    history.passes_as_right();
}

#[test]
fn acknowledged_record_that_is_lost_breaks_p1() {
    let mut history = History::idempotent();
    let sent = history.send_new(2, 0, 0);
    history.succeeds(&sent);
    history.logs.0.get_mut(&(0, 0)).unwrap().records.pop();
    history.breaks("P1", "it is not there");
}

#[test]
fn acknowledged_record_that_is_there_twice_breaks_p1() {
    let mut history = History::idempotent();
    let sent = history.send_new(1, 0, 0);
    history.succeeds(&sent);
    let log = history.logs.0.get_mut(&(0, 0)).unwrap();
    let mut again = log.records[0].clone();
    again.offset = 1;
    log.records.push(again);
    let found = history.judged();
    assert!(
        found
            .iter()
            .any(|one| one.property == "P1" && one.text.contains("more than once"))
    );
}

#[test]
fn repetition_without_idempotence_is_allowed_only_after_an_unanswered_attempt() {
    for is_answered in [false, true] {
        let mut history = History::bare(1);
        let id = history.record(0);
        let sent = history.send_bare(1, &[id], 1);
        history.append(&sent);
        if is_answered {
            // The oracle sees the refusal of an attempt that was not appended: the copy is ours.
            history.event(&sent, (19, -1), false);
            history.told(&sent, (19, -1));
        } else {
            history.closes(1);
            history.set_up(2);
        }
        let link = if is_answered { 1 } else { 2 };
        let again = history.send_bare(link, &[id], 1);
        history.succeeds(&again);
        let found = history.judged();
        assert_eq!(
            found.iter().any(|one| one.text.contains("more than once")),
            is_answered,
            "{found:#?}"
        );
        assert_eq!(found.is_empty(), !is_answered, "{found:#?}");
    }
}

#[test]
fn offset_that_is_another_records_breaks_p1() {
    let mut history = History::idempotent();
    let sent = history.send_new(2, 0, 0);
    let offset = history.append(&sent);
    history.told(&sent, (0, offset));
    history.ends_well(&sent, Some(offset + 1));
    history.breaks("P1", "it is not there");
}

#[test]
fn other_bytes_break_p1() {
    let mut history = History::idempotent();
    let sent = history.send_new(2, 0, 0);
    history.succeeds(&sent);
    let log = history.logs.0.get_mut(&(0, 0)).unwrap();
    let mut value = log.records[1].value.take().unwrap().to_vec();
    value[15] ^= 0xdd;
    log.records[1].value = Some(value.into());
    history.breaks("P1", "value");
}

#[test]
fn record_of_nobody_breaks_p1() {
    let mut history = History::idempotent();
    let sent = history.send_new(1, 0, 0);
    history.succeeds(&sent);
    let log = history.logs.0.get_mut(&(0, 0)).unwrap();
    let mut stray = log.records[0].clone();
    stray.value = Some(vec![0xdd; 20].into());
    log.records.push(stray);
    history.breaks("P1", "nobody sent");
}

#[test]
fn acknowledgement_of_what_was_never_sent_breaks_p1() {
    let mut history = History::bare(0);
    let sent_id = history.record(0);
    let sent = history.send_bare(1, &[sent_id], 0);
    history.ends_well(&sent, None);
    let id = history.record(0);
    let end = history.ledger.entries[0].callbacks[0].clone();
    history.ledger.entry(id).callbacks.push(end);
    history.breaks("P1", "never handed to a socket");
}

#[test]
fn timestamp_that_was_not_told_breaks_p1() {
    let mut history = History::idempotent();
    let sent = history.send_new(1, 0, 0);
    history.succeeds(&sent);
    history.logs.0.get_mut(&(0, 0)).unwrap().records[0].timestamp += 1;
    history.breaks("P1", "timestamp");
}

#[test]
fn records_of_a_thread_that_change_places_break_p2() {
    let mut history = History::idempotent();
    let first = history.send_new(1, 0, 0);
    history.succeeds(&first);
    let (earlier, later) = (history.record(0), history.record(0));
    let sent = history.send(1, &[later], (0, 1));
    history.succeeds(&sent);
    let sent = history.send(1, &[earlier], (0, 2));
    history.succeeds(&sent);
    history.breaks("P2", "behind its record");
}

#[test]
fn record_that_was_not_written_and_is_in_the_log_breaks_p3() {
    let mut history = History::idempotent();
    let sent = history.send_new(1, 0, 0);
    history.append(&sent);
    history.ends_badly(sent.ids(), Persistence::NotWritten);
    history.breaks("P3", "NotWritten");
}

#[test]
fn unknown_record_that_is_there_twice_breaks_p3() {
    let mut history = History::idempotent();
    let sent = history.send_new(1, 0, 0);
    history.append(&sent);
    history.append(&sent);
    history.ends_badly(sent.ids(), Persistence::Unknown);
    let found = history.judged();
    assert!(
        found
            .iter()
            .any(|one| one.property == "P3" && one.text.contains("2 times"))
    );
}

#[test]
fn refused_record_that_is_sent_breaks_p3() {
    let mut history = History::idempotent();
    let id = history.record(0);
    history.send(1, &[id], (0, 0));
    let entry = history.ledger.entry(id);
    entry.accepted_at = None;
    entry.refused = Some(ErrorKind::BufferExhausted);
    history.breaks("P3", "sent all the same");
}

#[test]
fn outcome_that_is_late_breaks_p4_but_for_the_time_in_which_nobody_could_run() {
    for (stalled, late) in [(true, false), (false, true)] {
        let mut history = History::idempotent();
        let id = history.record(0);
        let began = history.now;
        history.passes(120_000 + 5_000);
        if stalled {
            history
                .oracle
                .on_stall(began, began + std::time::Duration::from_millis(124_950));
        }
        history.ends_badly(&[id], Persistence::NotWritten);
        let found = history.judged();
        assert_eq!(
            found.iter().any(|one| one.property == "P4"),
            late,
            "{found:#?}"
        );
    }
}

#[test]
fn call_that_returns_late_or_never_breaks_p4() {
    for ended in [None, Some(2_000)] {
        let mut history = History::idempotent();
        let ms = std::time::Duration::from_millis;
        history.ledger.blocking_calls.push(BlockingCall {
            name: "send",
            began: ms(1_000),
            timeout: Some(ms(500)),
            ended: ended.map(ms),
            is_abandoned: false,
        });
        history.breaks("P4", "send of 500ms");
    }
}

#[test]
fn flush_that_returns_before_an_earlier_record_has_its_outcome_breaks_p4() {
    let mut history = History::idempotent();
    let sent = history.send_new(1, 0, 0);
    history.passes(1);
    history.ledger.blocking_calls.push(BlockingCall {
        name: "flush",
        began: history.now,
        timeout: None,
        ended: Some(history.now),
        is_abandoned: false,
    });
    history.passes(1);
    history.succeeds(&sent);
    history.breaks("P4", "flush");
}

#[test]
fn flush_that_is_dropped_before_it_returns_has_promised_nothing() {
    let mut history = History::idempotent();
    let sent = history.send_new(1, 0, 0);
    history.passes(1);
    history.ledger.blocking_calls.push(BlockingCall {
        name: "flush",
        began: history.now,
        timeout: None,
        ended: Some(history.now),
        is_abandoned: true,
    });
    history.passes(1);
    history.succeeds(&sent);
    assert_eq!(history.judged(), []);
}

#[test]
fn callback_twice_or_never_breaks_p5() {
    for times in [0, 2] {
        let mut history = History::idempotent();
        let sent = history.send_new(1, 0, 0);
        let offset = history.append(&sent);
        history.told(&sent, (0, offset));
        (0..times).for_each(|_| history.ends_well(&sent, Some(offset)));
        history.breaks(
            "P5",
            if times == 0 {
                "no outcome"
            } else {
                "one outcome too many"
            },
        );
    }
}

#[test]
fn handle_that_contradicts_its_callback_breaks_p5() {
    let mut history = History::idempotent();
    let sent = history.send_new(2, 0, 0);
    history.succeeds(&sent);
    let other = history.ledger.entries[1].callbacks[0].clone();
    history.ledger.entries[0].handle = Some(other);
    history.breaks("P5", "differently");
}

#[test]
fn memory_batches_or_connections_that_are_left_break_p6() {
    type Spoil = fn(&mut History);
    let spoils: [(&str, Spoil); 3] = [
        ("bytes are back", |history| {
            history.remains.available_memory -= 1
        }),
        ("batches have no end", |history| {
            history.remains.incomplete_batches = 1
        }),
        ("still open", |history| history.remains.open_links = 1),
    ];
    for (text, spoil) in spoils {
        let mut history = History::idempotent();
        spoil(&mut history);
        history.breaks("P6", text);
    }
}

#[test]
fn records_beyond_buffer_memory_at_once_break_p6_and_one_after_the_other_do_not() {
    let mut scenario = simple(1);
    // Two records.
    scenario.config.buffer_memory = 50;
    let sends = |counts: &[usize]| {
        let mut history = History::of(&scenario);
        history.set_up(1);
        let mut sequence = 0;
        for count in counts {
            let sent = history.send_new(*count, 0, sequence);
            history.passes(1);
            history.succeeds(&sent);
            sequence += i32::try_from(*count).unwrap();
        }
        history
    };
    sends(&[2, 2, 1, 2]).passes_as_right();
    sends(&[2, 3]).breaks("P6", "held at once");
}

#[test]
fn gap_of_sequences_breaks_p7() {
    let mut history = History::idempotent();
    let first = history.send_new(2, 0, 0);
    history.succeeds(&first);
    let second = history.send_new(1, 0, 3);
    history.succeeds(&second);
    history.breaks("P7", "a gap of 1 sequences");
}

#[test]
fn sequence_of_records_that_never_left_is_no_gap() {
    let mut history = History::idempotent();
    let first = history.send_new(2, 0, 0);
    history.succeeds(&first);
    let id = history.record(0);
    history.ends_badly(&[id], Persistence::Unknown);
    let second = history.send_new(1, 0, 3);
    history.succeeds(&second);
    history.passes_as_right();
}

#[test]
fn first_sequence_that_is_not_zero_breaks_p7() {
    let mut history = History::idempotent();
    let first = history.send_new(1, 0, 7);
    history.succeeds(&first);
    history.breaks("P7", "a gap of 7");
}

#[test]
fn unknown_batch_under_another_identity_breaks_p7() {
    for identity in [(1, 0), (0, 2)] {
        let mut history = History::idempotent();
        let before = history.send_new(1, 0, 0);
        history.succeeds(&before);
        let sent = history.send_new(1, 0, 1);
        history.closes(1);
        history.set_up(2);
        let again = history.send(2, sent.ids(), identity);
        history.succeeds(&again);
        let found = history.judged();
        let hit = |text: &str| {
            found
                .iter()
                .any(|one| one.property == "P7" && one.text.contains(text))
        };
        assert!(hit("another identity"), "{found:#?}");
    }
}

#[test]
fn second_batch_under_an_identity_breaks_p7() {
    let mut history = History::idempotent();
    let first = history.send_new(1, 0, 0);
    history.closes(1);
    history.set_up(2);
    let id = history.record(0);
    history.ends_badly(first.ids(), Persistence::Unknown);
    let second = history.send(2, &[id], (0, 0));
    history.succeeds(&second);
    history.breaks("P7", "a second batch under this identity");
}

#[test]
fn sequence_of_a_batch_that_is_proved_not_written_is_used_again() {
    let mut history = History::idempotent();
    let first = history.send_new(1, 0, 0);
    history.refused(&first, 10);
    history.ends_badly(first.ids(), Persistence::NotWritten);
    let second = history.send_new(3, 0, 0);
    history.succeeds(&second);
    history.passes_as_right();
}

#[test]
fn epoch_that_falls_breaks_p7() {
    let mut history = History::idempotent();
    let first = history.send_new(1, 1, 0);
    history.succeeds(&first);
    let second = history.send_new(1, 0, 0);
    history.succeeds(&second);
    history.breaks("P7", "below");
}

#[test]
fn producer_id_of_nobody_breaks_p7() {
    let mut history = History::idempotent();
    let first = history.send_new(1, -3, 0);
    history.succeeds(&first);
    history.breaks("P7", "nobody gave out");
}

#[test]
fn producer_id_that_is_none_breaks_p7_though_somebody_gave_it_out() {
    let mut history = History::idempotent();
    history.given(-1, -1);
    let id = history.record(0);
    let sent = history.send_bare(1, &[id], -1);
    history.succeeds(&sent);
    let found = history.judged();
    let hit = |one: &Violation| one.property == "P7" && one.text.contains("nobody gave out");
    assert!(found.iter().any(hit), "{found:#?}");
}

#[test]
fn repetition_is_allowed_only_in_a_partition_that_has_forgotten_its_producers() {
    for (forgotten, is_allowed) in [(None, false), (Some(1), false), (Some(0), true)] {
        let mut history = History::idempotent();
        let sent = history.send_new(1, 0, 0);
        history.append(&sent);
        history.closes(1);
        history.set_up(2);
        if let Some(partition) = forgotten {
            history.forgets(partition);
        }
        let again = history.resend(&sent, 2);
        history.succeeds(&again);
        let found = history.judged();
        assert_eq!(found.is_empty(), is_allowed, "{forgotten:?} {found:#?}");
        let twice = |one: &Violation| one.property == "P1" && one.text.contains("more than once");
        assert_eq!(found.iter().any(twice), !is_allowed);
    }
}

#[test]
fn record_whose_outcome_nobody_asked_for_is_judged_by_its_partition_too() {
    for is_allowed in [false, true] {
        let mut history = History::idempotent();
        let sent = history.send_new(1, 0, 0);
        history.ledger.entry(sent.ids()[0]).wants_callback = false;
        history.append(&sent);
        history.closes(1);
        history.set_up(2);
        history.forgets(if is_allowed { 0 } else { 1 });
        let again = history.resend(&sent, 2);
        let offset = history.append(&again);
        history.told(&again, (0, offset));
        let found = history.judged();
        assert_eq!(found.is_empty(), is_allowed, "{found:#?}");
    }
}

#[test]
fn repetition_of_what_was_answered_breaks_p1_though_the_producer_was_forgotten() {
    let mut history = History::idempotent();
    let sent = history.send_new(1, 0, 0);
    history.succeeds(&sent);
    history.forgets(0);
    history.append(&sent);
    let found = history.judged();
    let twice = |one: &Violation| one.property == "P1" && one.text.contains("more than once");
    assert!(found.iter().any(twice), "{found:#?}");
}

#[test]
fn second_batch_before_the_first_acknowledgement_breaks_p7() {
    let mut history = History::idempotent();
    let first = history.send_new(1, 0, 0);
    let second = history.send_new(1, 0, 1);
    history.passes(1);
    history.succeeds(&first);
    history.succeeds(&second);
    history.breaks("P7", "before the first acknowledgement");
}

#[test]
fn sixth_unresolved_batch_breaks_p7() {
    for count in [5, 6] {
        let mut history = History::idempotent();
        let first = history.send_new(1, 0, 0);
        history.succeeds(&first);
        history.passes(1);
        let mut sent: Vec<_> = (1..5)
            .map(|sequence| history.send_new(1, 0, sequence))
            .collect();
        history.set_up(2);
        for sequence in 5..=count {
            let id = history.record(0);
            sent.push(history.send(2, &[id], (0, sequence)));
        }
        history.passes(1);
        sent.iter().for_each(|sent| history.succeeds(sent));
        if count == 5 {
            history.passes_as_right();
        } else {
            history.breaks("P7", "a sixth");
        }
    }
}

#[test]
fn second_unanswered_batch_of_a_muted_partition_breaks_p2() {
    let mut history = History::bare(1);
    history.set_up(2);
    let (one, two) = (history.record(0), history.record(0));
    let first = history.send_bare(1, &[one], 1);
    let second = history.send_bare(2, &[two], 1);
    history.passes(1);
    history.succeeds(&first);
    history.succeeds(&second);
    history.breaks("P2", "should be muted");
}

#[test]
fn probe_that_nobody_acknowledges_breaks_p10() {
    let mut history = History::idempotent();
    let id = history.record(2);
    history.ledger.entry(id).is_probe = true;
    history.passes(60_000);
    history.ends_badly(&[id], Persistence::NotWritten);
    history.breaks("P10", "no probe of t-2");
}

#[test]
fn loss_told_where_no_broker_lost_anything_breaks_p1() {
    let mut history = History::idempotent();
    history.remains.data_losses = 1;
    history.breaks("P1", "was said to have lost data");
}

/// A log that ends earlier takes records at offsets that it had acknowledged.
fn offsets_given_out_again(is_idempotent: bool) -> History {
    let mut history = if is_idempotent {
        History::idempotent()
    } else {
        History::bare(-1)
    };
    for (sequence, offset) in [(0, 0), (1, 1), (2, 0)] {
        let id = history.record(1);
        history.passes(10);
        let sent = if is_idempotent {
            history.send(1, &[id], (0, sequence))
        } else {
            history.send_bare(1, &[id], -1)
        };
        history.event(&sent, (0, offset), true);
        history.told(&sent, (0, offset));
        history.ends_well(&sent, Some(offset));
        history.passes(10);
    }
    history.logs.0.get_mut(&(0, 1)).unwrap().has_lost = true;
    history
}

#[test]
fn loss_that_was_shown_and_not_told_breaks_p1() {
    for is_idempotent in [true, false] {
        let history = offsets_given_out_again(is_idempotent);
        history.breaks("P1", "1 partitions gave out offsets");
    }
}

#[test]
fn loss_that_was_shown_and_told_is_right() {
    for is_idempotent in [true, false] {
        let mut history = offsets_given_out_again(is_idempotent);
        history.remains.data_losses = 1;
        history.passes_as_right();
    }
}

#[test]
fn loss_told_without_idempotence_where_none_was_breaks_p1() {
    let mut history = History::bare(-1);
    history.remains.data_losses = 1;
    history.breaks("P1", "was said to have lost data");
}

#[test]
fn batch_that_waited_before_its_partition_had_trouble_breaks_p12() {
    let mut history = History::idempotent();
    let first = history.record(0);
    history.passes(300);
    let sent = history.send(1, &[first], (0, 0));
    history.succeeds(&sent);
    history.passes(10);
    let second = history.record(0);
    let sent = history.send(1, &[second], (0, 1));
    history.refused(&sent, 10);
    history.ends_badly(&[second], Persistence::NotWritten);
    history.breaks("P12", "idle connection");
}
