//! Each rule of `Sequences` by itself.

use std::collections::BTreeSet;

use super::sequences::MAX_UNRESOLVED;
use super::{Admission, Ending, Identity, SequenceVerdict, Sequences};
use crate::cluster::Uuid;
use crate::producer::batch_id::{BatchId, SlotId};
use crate::protocol::ErrorCode;
use crate::record::ProducerState;

pub(super) const TOPIC: Uuid = Uuid([1; 16]);
const OUT_OF_ORDER: ErrorCode = ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER;

pub(super) fn id(first_record: u64) -> BatchId {
    BatchId {
        slot: SlotId(0),
        first_record,
    }
}

pub(super) fn identity(producer_id: i64, epoch: i16) -> Identity {
    Identity { producer_id, epoch }
}

pub(super) fn with_identity() -> Sequences {
    let mut sequences = Sequences::default();
    sequences.on_identity(identity(7, 0));
    sequences
}

fn send(sequences: &mut Sequences, batch: u64) -> ProducerState {
    match sequences.admit(id(batch), TOPIC, 10) {
        Admission::Send(state) => state,
        other => panic!("{batch}: {other:?}"),
    }
}

fn state(epoch: i16, base_sequence: i32) -> ProducerState {
    ProducerState {
        producer_id: 7,
        epoch,
        base_sequence,
    }
}

/// The first batch is acknowledged, `count` more are on the wire.
fn flowing(count: u64) -> Sequences {
    let mut sequences = with_identity();
    let first = send(&mut sequences, 0);
    sequences.on_acked(id(0), first, 10, 0);
    for batch in 1..=count {
        assert_eq!(
            send(&mut sequences, batch * 10),
            state(0, i32::try_from(batch).expect("few") * 10)
        );
    }
    sequences
}

#[test]
fn admit_without_a_producer_id_waits_and_is_named_when_it_comes() {
    let mut sequences = Sequences::default();
    assert!(sequences.needs_identity());
    assert_eq!(sequences.admit(id(0), TOPIC, 1), Admission::Wait);
    let waited = sequences.on_identity(identity(7, 3));
    assert_eq!(waited, BTreeSet::from([SlotId(0)]));
    assert!(!sequences.needs_identity());
    assert_eq!(send(&mut sequences, 0), state(3, 0));
}

#[test]
fn fresh_partition_has_one_in_flight_until_the_first_acknowledgement() {
    let mut sequences = with_identity();
    let first = send(&mut sequences, 0);
    assert_eq!(sequences.admit(id(10), TOPIC, 10), Admission::Wait);
    sequences.on_put_back(id(0), false);
    assert_eq!(send(&mut sequences, 0), first, "a retry is the same");
    assert_eq!(sequences.admit(id(10), TOPIC, 10), Admission::Wait);
    sequences.on_acked(id(0), first, 10, 0);
    assert_eq!(send(&mut sequences, 10), state(0, 10));
    assert_eq!(send(&mut sequences, 20), state(0, 20));
}

#[test]
fn flowing_partition_has_at_most_five_unresolved() {
    let mut sequences = flowing(5);
    assert_eq!(sequences.unresolved(SlotId(0)), MAX_UNRESOLVED);
    assert_eq!(sequences.admit(id(60), TOPIC, 10), Admission::Wait);
    sequences.on_acked(id(10), state(0, 10), 10, 10);
    assert_eq!(send(&mut sequences, 60), state(0, 60));
}

#[test]
fn retry_goes_only_as_the_lowest_unresolved() {
    let mut sequences = flowing(2);
    sequences.on_put_back(id(20), false);
    assert_eq!(sequences.admit(id(20), TOPIC, 10), Admission::Wait);
    sequences.on_acked(id(10), state(0, 10), 10, 10);
    assert_eq!(send(&mut sequences, 20), state(0, 20));
}

#[test]
fn sequence_wraps_to_zero_after_the_largest() {
    let mut sequences = with_identity();
    sequences.begin_at(SlotId(0), identity(7, 0), i32::MAX - 4);
    let first = send(&mut sequences, 0);
    assert_eq!(first.base_sequence, i32::MAX - 4);
    sequences.on_acked(id(0), first, 10, 0);
    assert_eq!(send(&mut sequences, 10).base_sequence, 5);
    sequences.begin_at(SlotId(0), identity(7, 0), i32::MAX - 9);
    let first = send(&mut sequences, 0);
    sequences.on_acked(id(0), first, 10, 0);
    assert_eq!(send(&mut sequences, 10).base_sequence, 0);
}

#[test]
fn out_of_order_behind_an_unresolved_batch_is_retried_unchanged() {
    let mut sequences = flowing(2);
    let verdict = sequences.on_refused(id(20), OUT_OF_ORDER, 0);
    assert_eq!(verdict, SequenceVerdict::RetryUnchanged);
    sequences.on_put_back(id(10), false);
    assert_eq!(send(&mut sequences, 10), state(0, 10));
    assert_eq!(sequences.admit(id(20), TOPIC, 10), Admission::Wait);
    sequences.on_acked(id(10), state(0, 10), 10, 10);
    assert_eq!(send(&mut sequences, 20), state(0, 20));
}

#[test]
fn out_of_order_that_was_sent_behind_one_that_ended_well_meanwhile_is_retried_unchanged() {
    let mut sequences = flowing(2);
    sequences.on_acked(id(10), state(0, 10), 10, 10);
    let verdict = sequences.on_refused(id(20), OUT_OF_ORDER, 0);
    assert_eq!(verdict, SequenceVerdict::RetryUnchanged);
}

#[test]
fn acknowledgement_at_the_last_offset_there_is_does_not_wrap_round() {
    let mut sequences = flowing(2);
    assert_eq!(sequences.on_acked(id(10), state(0, 10), 10, i64::MAX), None);
    let lost = sequences.on_acked(id(20), state(0, 20), 10, 7);
    assert_eq!(lost, Some(i64::MAX), "offsets went backwards");
}

#[test]
fn out_of_order_right_after_an_acknowledged_batch_is_data_loss_and_goes_on_under_a_new_epoch() {
    let mut sequences = flowing(1);
    let verdict = sequences.on_refused(id(10), OUT_OF_ORDER, 0);
    assert_eq!(verdict, SequenceVerdict::Restamp { lost: Some(9) });
    assert_eq!(send(&mut sequences, 10), state(1, 0));
    assert_eq!(
        sequences.admit(id(20), TOPIC, 10),
        Admission::Wait,
        "a new epoch begins with one"
    );
}

#[test]
fn unknown_producer_id_is_no_data_loss_and_goes_on_under_a_new_epoch() {
    let mut sequences = flowing(1);
    let verdict = sequences.on_refused(id(10), ErrorCode::UNKNOWN_PRODUCER_ID, -1);
    assert_eq!(verdict, SequenceVerdict::Restamp { lost: None });
    assert_eq!(send(&mut sequences, 10), state(1, 0));
}

#[test]
fn refusal_after_an_unanswered_attempt_ends_the_batch_unknown() {
    for code in [
        OUT_OF_ORDER,
        ErrorCode::UNKNOWN_PRODUCER_ID,
        ErrorCode::INVALID_PRODUCER_EPOCH,
    ] {
        let mut sequences = flowing(1);
        sequences.on_put_back(id(10), false);
        send(&mut sequences, 10);
        assert_eq!(
            sequences.on_refused(id(10), code, -1),
            SequenceVerdict::EndUnknown
        );
        assert_eq!(send(&mut sequences, 20), state(1, 0));
    }
}

#[test]
fn batch_that_ends_unknown_stops_stamping_until_nothing_is_unresolved() {
    let mut sequences = flowing(2);
    sequences.on_ended(id(10), Ending::Unknown);
    assert_eq!(sequences.admit(id(30), TOPIC, 10), Admission::Wait);
    let verdict = sequences.on_refused(id(20), OUT_OF_ORDER, 0);
    assert_eq!(verdict, SequenceVerdict::Restamp { lost: None });
    assert_eq!(send(&mut sequences, 20), state(1, 0));
    sequences.on_acked(id(20), state(1, 0), 10, 20);
    assert_eq!(send(&mut sequences, 30), state(1, 10));
}

#[test]
fn success_of_a_successor_closes_the_hole() {
    let mut sequences = flowing(2);
    sequences.on_ended(id(10), Ending::Unknown);
    sequences.on_acked(id(20), state(0, 20), 10, 20);
    assert_eq!(send(&mut sequences, 30), state(0, 30));
}

#[test]
fn success_of_a_predecessor_does_not_close_the_hole() {
    let mut sequences = flowing(2);
    sequences.on_ended(id(20), Ending::Unknown);
    sequences.on_acked(id(10), state(0, 10), 10, 10);
    assert_eq!(send(&mut sequences, 30), state(1, 0));
}

#[test]
fn out_of_order_behind_a_hole_and_an_unresolved_batch_is_retried_unchanged() {
    let mut sequences = flowing(3);
    sequences.on_ended(id(10), Ending::Unknown);
    assert_eq!(
        sequences.on_refused(id(30), OUT_OF_ORDER, 0),
        SequenceVerdict::RetryUnchanged
    );
    sequences.on_acked(id(20), state(0, 20), 10, 20);
    assert_eq!(send(&mut sequences, 30), state(0, 30));
}

#[test]
fn late_success_of_the_hole_itself_closes_it() {
    let mut sequences = flowing(2);
    sequences.on_ended(id(10), Ending::Unknown);
    sequences.on_acked(id(10), state(0, 10), 10, 10);
    assert_eq!(send(&mut sequences, 30), state(0, 30));
}

#[test]
fn late_success_under_an_older_epoch_changes_nothing() {
    let mut sequences = flowing(1);
    sequences.on_ended(id(10), Ending::Unknown);
    assert_eq!(send(&mut sequences, 20), state(1, 0));
    sequences.on_acked(id(10), state(0, 10), 10, 10);
    assert_eq!(sequences.admit(id(30), TOPIC, 10), Admission::Wait);
}

#[test]
fn last_batch_that_ends_not_written_gives_its_sequences_back() {
    let mut sequences = flowing(2);
    sequences.on_ended(id(20), Ending::NotWritten);
    assert_eq!(send(&mut sequences, 30), state(0, 20));
}

#[test]
fn batch_in_the_middle_that_ends_not_written_makes_a_hole() {
    let mut sequences = flowing(2);
    sequences.on_ended(id(10), Ending::NotWritten);
    assert_eq!(sequences.admit(id(30), TOPIC, 10), Admission::Wait);
    sequences.on_refused(id(20), OUT_OF_ORDER, 0);
    assert_eq!(send(&mut sequences, 20), state(1, 0));
}

#[test]
fn batch_refused_by_sequence_for_the_last_time_does_not_pass_its_sequence_on() {
    let mut sequences = flowing(1);
    sequences.on_ended(id(10), Ending::RefusedBySequence);
    assert_eq!(send(&mut sequences, 20), state(1, 0));
}

#[test]
fn stamped_batch_behind_one_to_be_stamped_again_goes_first() {
    let mut sequences = flowing(2);
    sequences.on_put_back(id(20), false);
    sequences.on_refused(id(10), OUT_OF_ORDER, 0);
    assert_eq!(sequences.admit(id(10), TOPIC, 10), Admission::TryNext);
    assert_eq!(send(&mut sequences, 20), state(0, 20));
    assert_eq!(sequences.admit(id(10), TOPIC, 10), Admission::Wait);
    let verdict = sequences.on_refused(id(20), OUT_OF_ORDER, 0);
    assert_eq!(verdict, SequenceVerdict::EndUnknown);
    assert_eq!(send(&mut sequences, 10), state(1, 0));
}

#[test]
fn epoch_used_up_asks_for_another_producer_id_and_others_go_on() {
    let mut sequences = with_identity();
    sequences.begin_at(SlotId(0), identity(7, i16::MAX), 40);
    send(&mut sequences, 0);
    sequences.on_ended(id(0), Ending::Unknown);
    assert_eq!(sequences.admit(id(10), TOPIC, 10), Admission::Wait);
    assert!(sequences.needs_identity());
    sequences.begin_at(SlotId(1), identity(7, 4), 90);
    let other = BatchId {
        slot: SlotId(1),
        first_record: 0,
    };
    assert_eq!(
        sequences.admit(other, TOPIC, 1),
        Admission::Send(state(4, 90))
    );
    assert_eq!(
        sequences.on_identity(identity(8, 0)),
        BTreeSet::from([SlotId(0)])
    );
    let state = send(&mut sequences, 10);
    assert_eq!(
        (state.producer_id, state.epoch, state.base_sequence),
        (8, 0, 0)
    );
    assert!(!sequences.needs_identity());
}

#[test]
fn recreated_topic_begins_anew_and_what_may_be_in_the_old_one_ends() {
    let again = Uuid([2; 16]);
    let mut sequences = flowing(3);
    assert_eq!(sequences.admit(id(40), again, 10), Admission::Wait);
    sequences.on_put_back(id(10), false);
    sequences.on_put_back(id(20), true);
    sequences.on_acked(id(30), state(0, 30), 10, 30);
    assert_eq!(sequences.admit(id(10), again, 10), Admission::EndUnknown);
    assert_eq!(
        sequences.admit(id(20), again, 10),
        Admission::Send(state(1, 0))
    );
    assert_eq!(sequences.admit(id(40), again, 10), Admission::Wait);
    let lost = sequences.on_acked(id(20), state(1, 0), 10, 0);
    assert_eq!(lost, None, "offsets begin anew with the topic");
}

#[test]
fn offsets_that_go_backwards_are_data_loss() {
    let mut sequences = flowing(2);
    assert_eq!(sequences.on_acked(id(10), state(0, 10), 10, 10), None);
    assert_eq!(sequences.on_acked(id(20), state(0, 20), 10, 19), Some(19));
    let mut sequences = flowing(1);
    assert_eq!(sequences.on_acked(id(10), state(0, 10), 10, -1), None);
}

#[test]
fn out_of_order_after_records_that_retention_deleted_is_no_data_loss() {
    let mut sequences = flowing(1);
    let verdict = sequences.on_refused(id(10), OUT_OF_ORDER, 10);
    assert_eq!(verdict, SequenceVerdict::Restamp { lost: None });
    let mut sequences = flowing(1);
    let verdict = sequences.on_refused(id(10), OUT_OF_ORDER, 9);
    assert_eq!(verdict, SequenceVerdict::Restamp { lost: Some(9) });
    assert_eq!(send(&mut sequences, 10), state(1, 0));
    let lost = sequences.on_acked(id(10), state(1, 0), 10, 0);
    assert_eq!(lost, None, "it was told already");
}

#[test]
fn producer_id_that_is_used_up_serves_those_that_have_not_used_it() {
    let mut sequences = with_identity();
    sequences.begin_at(SlotId(0), identity(7, i16::MAX), 40);
    send(&mut sequences, 0);
    sequences.on_ended(id(0), Ending::Unknown);
    assert_eq!(sequences.admit(id(10), TOPIC, 10), Admission::Wait);
    assert_eq!(sequences.on_identity(identity(7, 3)), BTreeSet::new());
    assert!(sequences.needs_identity(), "it is the one that is used up");
    let other = BatchId {
        slot: SlotId(1),
        first_record: 0,
    };
    let admission = sequences.admit(other, TOPIC, 1);
    assert_eq!(admission, Admission::Send(state(3, 0)));
    assert_eq!(
        sequences.on_identity(identity(8, 0)),
        BTreeSet::from([SlotId(0)])
    );
    assert!(!sequences.needs_identity());
}
