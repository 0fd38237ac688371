//! The producer without sockets: the real Sender over a client that answers by itself, handles,
//! and closing.

mod client;
mod closing;
mod handles;
mod wakers;
mod whole;

use crate::interleaving::Model;

pub(crate) use super::accumulator::interleaving_tests as accumulator;

pub(crate) const MODELS: &[Model] = &[
    Model {
        name: "result",
        property: "an outcome is given once and the same to all: whoever blocks on a handle, polls \
                   it with ever another waker or drops it; callbacks come first, no waiter is left",
        run: handles::outcome_reaches_every_handle_once,
        preemptions: Some(3),
        percent: 100,
    },
    Model {
        name: "pieces",
        property: "the same while the batch is split, and one piece ends before the other: each handle \
                   has the outcome of its own piece",
        run: handles::outcome_of_a_piece_reaches_its_handles_once,
        preemptions: Some(2),
        percent: 50,
    },
    Model {
        name: "wakers",
        property: "no lock is held while a waker is called, replaced or dropped: it may own what \
                   waits in the same line",
        run: wakers::waker_may_own_what_waits_in_the_same_line,
        preemptions: None,
        percent: 5,
    },
    Model {
        name: "close",
        property: "close lets everything accepted be delivered, the thread ends after it, and \
                   nothing is accepted once close returned",
        run: closing::close_delivers_what_was_accepted,
        preemptions: Some(1),
        percent: 20,
    },
    Model {
        name: "force_close",
        property: "closing by force ends every record at once, delivered or aborted, exactly once",
        run: closing::force_ends_what_was_accepted,
        preemptions: None,
        percent: 20,
    },
    Model {
        name: "whole",
        property: "three threads send, flush, wait for memory and for outcomes, and the last one \
                   closes: each record has one offset, in order, and all memory comes back",
        run: whole::every_record_is_delivered_once_and_in_order,
        preemptions: None,
        percent: 20,
    },
];
