//! The judge itself: told of everything as it passes, and of what is left at the end.
//!
//! Thread: the one that simulates. Locks: none.

use std::collections::BTreeSet;
use std::time::Duration;

use kafka_test_support::{Cluster, Event};

use super::attempts::Attempts;
use super::findings::Findings;
use super::logs::{Logs, Remains};
use super::polls::Polls;
use super::terms::Terms;
use super::wire_watch::WireWatch;
use super::{bounds, isolation, losses, records, recreation, sequences, splits};
use crate::network::WireId;
use crate::producer::Afterwards;
use crate::sim::guarantees::{Cell, Line};
use crate::sim::ledger::{Ledger, Violation};
use crate::sim::scenario::Scenario;

/// Watches one run.
#[derive(Debug)]
pub(crate) struct Oracle {
    terms: Terms,
    findings: Findings,
    wire: WireWatch,
    attempts: Attempts,
    polls: Polls,
}

impl Oracle {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let terms = Terms::of(scenario);
        Self {
            wire: WireWatch::default(),
            attempts: Attempts::new(&terms),
            polls: Polls::default(),
            findings: Findings::default(),
            terms,
        }
    }

    /// A connect began.
    pub(crate) fn on_connect(&mut self, now: Duration, node: i32, id: WireId) {
        self.polls.on_work();
        self.wire
            .on_connect((now, node, id), &self.terms, &mut self.findings);
    }

    /// The client handed a whole request (without its size) to the socket of a node.
    pub(crate) fn on_request(&mut self, now: Duration, node: i32, id: WireId, frame: &[u8]) {
        self.polls.on_work();
        let Self {
            terms,
            findings,
            wire,
            attempts,
            ..
        } = self;
        let seen = wire.on_request((now, node, id), frame, (terms, attempts), findings);
        if let Some(seen) = seen {
            attempts.on_produce((now, node, id), &seen, (frame, &wire.ids), findings);
        }
    }

    /// The client has read a whole answer (without its size).
    pub(crate) fn on_answer(&mut self, now: Duration, node: i32, id: WireId, frame: &[u8]) {
        let sides = (&self.terms, &mut self.attempts);
        self.wire
            .on_answer((now, node, id), frame, sides, &mut self.findings);
    }

    /// The connection is gone, closed by the client.
    pub(crate) fn on_closed(&mut self, now: Duration, id: WireId) {
        for correlation_id in self.wire.on_closed(now, id) {
            self.attempts.on_lost(now, correlation_id);
        }
    }

    /// What the brokers saw since the last time.
    pub(crate) fn on_cluster(&mut self, _now: Duration, events: &[Event]) {
        self.attempts.on_events(events);
    }

    /// A batch ended, whether anything was heard from a broker or not.
    pub(crate) fn on_outcome(&mut self) {
        self.polls.on_progress();
    }

    /// The client read bytes. Where a short read does not mean that nothing is left, it comes back
    /// for the rest without an event.
    pub(crate) fn on_read(&mut self) {
        self.polls.on_progress();
    }

    /// The client knows how long the next answer claims to be.
    pub(crate) fn on_claimed_size(&mut self, now: Duration, id: WireId, size: i32) {
        self.wire.on_claimed_size(now, id, size);
    }

    /// The client wrote a part of a request; the socket is full.
    pub(crate) fn on_part_of_request(&mut self, id: WireId) {
        self.wire.on_part_of_request(id);
    }

    /// The Sender got no processor.
    pub(crate) fn on_stall(&mut self, from: Duration, until: Duration) {
        self.polls.on_stalled(from, until);
    }

    /// One poll of the Sender: how long it was to wait, whether anything came of it.
    pub(crate) fn on_poll(&mut self, now: Duration, timeout: Duration, progress: bool) {
        self.wire.on_poll(&mut self.findings);
        let overdue = self.wire.oldest_expiry(&self.terms);
        self.polls
            .on_poll(now, (timeout, progress), overdue, &mut self.findings);
    }

    /// The Sender polls and polls, and no time passes: the run has to end.
    pub(crate) fn wants_to_stop(&self) -> bool {
        self.polls.is_spinning
    }

    /// The run is over: the logs, what was told, and what is left of the producer.
    pub(crate) fn finish(
        &mut self,
        cluster: &Cluster,
        ledger: &Ledger,
        afterwards: &Afterwards,
        open_links: usize,
    ) {
        let logs = Logs::read(cluster, &self.terms, &self.attempts);
        let remains = Remains::of(afterwards, open_links);
        self.judge(&logs, ledger, &remains);
    }

    pub(super) fn judge(&mut self, logs: &Logs, ledger: &Ledger, remains: &Remains) {
        let stalls = self.polls.stalls_with(&ledger.user_code);
        self.polls.judge_sleeps(&stalls, &mut self.findings);
        // Who waits for callbacks on a thread of their own waits for what they do; the Sender does not.
        let user_code = ledger.user_code.iter();
        let busy = user_code.chain(&ledger.callback_thread_busy).copied();
        let told_late = self.polls.stalls_with(&busy.collect::<Vec<_>>());
        let Self {
            terms,
            findings,
            attempts,
            wire,
            ..
        } = self;
        sequences::judge((terms, attempts), wire, ledger, findings);
        records::judge((terms, attempts), logs, ledger, findings);
        splits::judge(terms, attempts, ledger, findings);
        bounds::judge((terms, wire, &told_late), ledger, remains, findings);
        losses::judge((terms, attempts), logs, (ledger, remains), findings);
        recreation::judge((terms, attempts), &wire.read_ids, ledger, findings);
        isolation::judge((terms, attempts, &stalls), wire, ledger, findings);
        findings.judged_all(terms, ledger);
        if logs.0.values().any(|log| log.has_lost) {
            findings.judged_with(Line::of_lost_data(terms.idempotence));
        }
        if terms.idempotence && logs.0.values().any(|log| log.has_forgotten) {
            findings.judged_with(Line::IdempotentForgets);
        }
    }

    /// What was found, so far.
    pub(crate) fn take_violations(&mut self) -> Vec<Violation> {
        self.findings.take()
    }

    /// The promises that could have been broken in this run.
    pub(crate) fn cells(&self) -> BTreeSet<Cell> {
        self.findings.cells.clone()
    }
}
