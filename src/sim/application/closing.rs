//! What `close` gives back is what failed since it began, with what was said of it.
//!
//! Thread: the one that simulates. Locks: the ledger's, for moments.

use std::time::Duration;

use kafka_test_support::{StoredHeader, StoredRecord};

use super::super::ledger::{End, Entry, RecordId};
use super::super::payload::identify;
use super::outcome::Shared;
use crate::producer::{CloseError, DeliveryError, UndeliveredRecord};

/// Each once, and none too few.
pub(super) fn look_at_given_back(error: Option<&CloseError>, now: Duration, shared: &Shared) {
    let mut count = 0;
    for failed in error.into_iter().flat_map(CloseError::undelivered) {
        count += 1;
        take_back(&failed, shared);
    }
    if error.is_some_and(|error| error.undelivered_count() != count) {
        let text = format!("close counts otherwise than {count} records: {error:?}");
        shared.violation("P5", text);
    }
    let mut ledger = shared.ledger.lock();
    let closed_at = ledger.closed_at;
    let is_missing = |entry: &&Entry| {
        let failed_at = entry.callbacks.first().map(|(at, _)| *at);
        // What shares a batch with a callback that closes was on its way out already.
        entry.failed_while_closing && entry.given_back.is_none() && failed_at > closed_at
    };
    if let Some(entry) = ledger.entries.iter().find(is_missing) {
        let text = format!(
            "record {} failed while closing, and close does not give it back",
            entry.spec.id
        );
        ledger.violation("P5", now, text);
    }
}

fn take_back(failed: &DeliveryError, shared: &Shared) {
    let undelivered = failed.record();
    let Some(id) = undelivered.as_ref().and_then(id_of) else {
        let text = format!("close gives back what nobody sent: {undelivered:?}");
        return shared.violation("P5", text);
    };
    shared.check_undelivered(id, undelivered.as_ref());
    let now = shared.now();
    let mut ledger = shared.ledger.lock();
    let entry = ledger.entry(id);
    let before = entry.given_back.replace(failed.persistence());
    let told = entry.end().map(|(_, end)| end.clone());
    let agrees = match told {
        Some(End::Failed {
            persistence, kind, ..
        }) => (persistence, kind) == (failed.persistence(), failed.kind()),
        Some(End::Acked { .. }) => false,
        None => !entry.wants_callback,
    };
    if before.is_some() {
        ledger.violation("P5", now, format!("close gives back record {id} twice"));
    }
    if !agrees {
        let text = format!("record {id}: told {told:?}, given back by close as {failed:?}");
        ledger.violation("P5", now, text);
    }
}

/// Which record it is: as from a log.
fn id_of(undelivered: &UndeliveredRecord) -> Option<RecordId> {
    let header = |header: &crate::record::Header| StoredHeader {
        key: header.key.clone(),
        value: header.value.clone(),
    };
    identify(&StoredRecord {
        offset: -1,
        timestamp: undelivered.timestamp_ms,
        key: undelivered.key.clone(),
        value: undelivered.value.clone(),
        headers: undelivered.headers.into_iter().map(header).collect(),
        producer_id: -1,
        producer_epoch: -1,
        sequence: -1,
    })
}
