//! What the producer says of data that brokers lost: not where none did.
//!
//! Thread: the one that simulates. Locks: none.

use std::collections::BTreeSet;
use std::time::Duration;

use super::findings::Findings;
use super::logs::{Logs, Remains};
use super::terms::Terms;
use crate::sim::guarantees::{Line, Property};

pub(super) fn judge(terms: &Terms, logs: &Logs, remains: &Remains, findings: &mut Findings) {
    let is_sound = terms.lines == BTreeSet::from([Line::Idempotent])
        && !terms.sequences_suffer
        && logs
            .0
            .values()
            .all(|log| !log.has_lost && !log.has_forgotten);
    if is_sound && remains.data_losses > 0 {
        let losses = remains.data_losses;
        findings.broken(Property::P1, Duration::ZERO, || {
            format!("{losses} times a broker was said to have lost data, and none had")
        });
    }
}
