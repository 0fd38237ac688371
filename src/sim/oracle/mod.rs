//! The judge: told of every request and answer as it passes, and of everything at the end.
//!
//! Thread: the one that simulates. Locks: none.

use std::time::Duration;

use kafka_test_support::{Cluster, Event};

use super::ledger::{Ledger, Violation};
use super::scenario::Scenario;
use crate::network::WireId;
use crate::producer::Afterwards;

/// Watches one run.
#[derive(Debug)]
pub(crate) struct Oracle {
    pub(crate) violations: Vec<Violation>,
}

impl Oracle {
    pub(crate) fn new(_scenario: &Scenario) -> Self {
        Self {
            violations: Vec::new(),
        }
    }

    /// The client handed a whole request (without its size) to the socket of a node.
    pub(crate) fn on_request(&mut self, _now: Duration, _node: i32, _id: WireId, _frame: &[u8]) {}

    /// The client has read a whole answer (without its size).
    pub(crate) fn on_answer(&mut self, _now: Duration, _node: i32, _id: WireId, _frame: &[u8]) {}

    /// The connection is gone, closed by the client or broken under it.
    pub(crate) fn on_closed(&mut self, _now: Duration, _id: WireId) {}

    /// What the brokers saw since the last time.
    pub(crate) fn on_cluster(&mut self, _now: Duration, _events: &[Event]) {}

    /// One poll of the Sender: how long it was to wait, how long it waited, whether anything came of it.
    pub(crate) fn on_poll(&mut self, _now: Duration, _timeout: Duration, _progress: bool) {}

    /// The run is over: the logs, what was told, and what is left of the producer.
    pub(crate) fn finish(
        &mut self,
        _cluster: &Cluster,
        _ledger: &Ledger,
        _afterwards: &Afterwards,
    ) {
    }
}
