//! Batches that were split: P7 of the whole, and what a lie about the whole is to its pieces.

use super::history::{History, Sent};
use crate::error::Persistence;

/// A batch of two that is answered MESSAGE_TOO_LARGE, and its pieces.
fn split(was_appended: bool) -> (History, Sent, [Sent; 2]) {
    let mut history = History::idempotent();
    let whole = history.send_new(2, 0, 0);
    if was_appended {
        let offset = history.append(&whole);
        history.event(&whole, (0, offset), false);
        history.told(&whole, (10, -1));
    } else {
        history.refused(&whole, 10);
    }
    history.passes(1);
    let first = history.send(1, &whole.ids()[..1], (0, 0));
    history.succeeds(&first);
    history.passes(1);
    let second = history.send(1, &whole.ids()[1..], (0, 1));
    (history, whole, [first, second])
}

#[test]
fn pieces_that_take_the_sequences_of_the_whole_are_right() {
    let (mut history, _, [_, second]) = split(false);
    history.succeeds(&second);
    history.passes_as_right();
}

#[test]
fn whole_that_is_sent_again_beside_its_pieces_breaks_p7() {
    let (mut history, whole, [_, second]) = split(false);
    history.succeeds(&second);
    history.resend(&whole, 1);
    let found = history.judged();
    let hit =
        |text: &str| (found.iter()).any(|one| one.property == "P7" && one.text.contains(text));
    assert!(hit("its records went in batch"), "{found:#?}");
}

/// Whoever is told that it was not appended cannot know.
#[test]
fn pieces_of_a_whole_that_was_appended_and_denied_are_not_judged() {
    let (mut history, _, [_, second]) = split(true);
    history.refused(&second, 10);
    history.ends_badly(second.ids(), Persistence::NotWritten);
    let found = history.judged();
    let is_of_records = |property: &str| matches!(property, "P1" | "P3");
    assert!(
        !found.iter().any(|one| is_of_records(one.property)),
        "{found:#?}"
    );
}
