//! P12: which waits beside an idle connection are right.

use super::history::History;

#[test]
fn batch_that_waits_beside_an_idle_connection_breaks_p12() {
    let mut history = History::idempotent();
    let id = history.record(0);
    history.passes(300);
    let sent = history.send(1, &[id], (0, 0));
    history.succeeds(&sent);
    history.breaks("P12", "idle connection");
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
