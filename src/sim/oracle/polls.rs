//! P9: the Sender does not spin and does not sleep past a deadline; and when it could not run.
//!
//! Thread: the one that simulates. Locks: none.

use std::time::Duration;

use super::findings::Findings;
use crate::sim::guarantees::Property;

/// Counts polls.
#[derive(Debug, Default)]
pub(super) struct Polls {
    millisecond: u128,
    /// Without progress, in that millisecond.
    idle: u32,
    /// Without progress, one right after the other.
    row: u32,
    last: Duration,
    has_worked: bool,
    /// The last one brought nothing, and its turn is not over: when, and how long after the one before.
    in_doubt: Option<(Duration, Duration)>,
    stalled: Vec<(Duration, Duration)>,
    overslept: Vec<Overslept>,
    pub(super) is_spinning: bool,
}

/// A poll that a request was overdue in: excused as far as a callback held the Sender up between the
/// reckoning of how long to wait and the wait.
#[derive(Debug)]
struct Overslept {
    /// When the poll before was over, and when this one began.
    turn: (Duration, Duration),
    timeout: Duration,
    until: Duration,
    overdue: Duration,
}

/// Times in which the Sender could not run, in order, without overlap.
#[derive(Debug, Default)]
pub(super) struct Stalls(Vec<(Duration, Duration)>);

impl Polls {
    pub(super) fn on_stalled(&mut self, from: Duration, until: Duration) {
        self.stalled.push((from, until));
    }

    /// The Sender did something between two polls.
    pub(super) fn on_work(&mut self) {
        self.has_worked = true;
    }

    /// A batch ended in the turn of the last poll, or bytes were read. What no network is needed for is
    /// done after one that does not wait: that was no idle one, and the next one follows it at once.
    pub(super) fn on_progress(&mut self) {
        self.in_doubt = None;
        self.has_worked = true;
    }

    /// `overdue`: when the request that waits the longest has to be given up.
    pub(super) fn on_poll(
        &mut self,
        now: Duration,
        (timeout, progress): (Duration, bool),
        overdue: Option<Duration>,
        findings: &mut Findings,
    ) {
        let between = now.saturating_sub(std::mem::replace(&mut self.last, now));
        if let Some((at, between)) = self.in_doubt.take() {
            self.count(at, between, findings);
        }
        let worked = std::mem::take(&mut self.has_worked);
        if progress || worked {
            self.row = 0;
        } else {
            self.in_doubt = Some((now, between));
        }
        let since = now.saturating_sub(between);
        self.check_sleep((since, now), (timeout, progress), overdue);
    }

    /// One that brought nothing, and after which no batch ended.
    fn count(&mut self, at: Duration, between: Duration, findings: &mut Findings) {
        if at.as_millis() != self.millisecond {
            self.millisecond = at.as_millis();
            self.idle = 0;
        }
        self.idle += 1;
        if self.idle == MOST_IDLE + 1 {
            findings.broken(Property::P9, at, || {
                format!("{} polls without progress in one millisecond", self.idle)
            });
        }
        self.row = if between < A_MOMENT { self.row + 1 } else { 0 };
        if self.row >= SPINNING && !self.is_spinning {
            self.is_spinning = true;
            findings.broken(Property::P9, at, || {
                format!("{SPINNING} polls, one right after the other, bring nothing")
            });
        }
    }

    fn check_sleep(
        &mut self,
        (since, now): (Duration, Duration),
        (timeout, progress): (Duration, bool),
        overdue: Option<Duration>,
    ) {
        // A poll that nothing ended lasted as long as it was to.
        let began = now.saturating_sub(timeout);
        if progress {
            return;
        }
        if let Some(overdue) = overdue.filter(|at| began < *at && *at + ROUNDING < now) {
            self.overslept.push(Overslept {
                turn: (since, began),
                timeout,
                until: now,
                overdue,
            });
        }
    }

    /// P9 of polls that lasted too long, once it is known when callbacks took their time.
    pub(super) fn judge_sleeps(&mut self, stalls: &Stalls, findings: &mut Findings) {
        for Overslept {
            turn: (since, began),
            timeout,
            until,
            overdue,
        } in self.overslept.drain(..)
        {
            let held_up = began.saturating_sub(since) - stalls.runnable(since, began);
            if overdue + held_up + ROUNDING < until {
                findings.broken(Property::P9, until, || {
                    format!(
                        "a poll of {timeout:?} slept past {overdue:?}, when a request was overdue"
                    )
                });
            }
        }
    }

    /// With the times in which callbacks slept.
    pub(super) fn stalls_with(&self, user_code: &[(Duration, Duration)]) -> Stalls {
        let mut all: Vec<_> = self.stalled.iter().chain(user_code).copied().collect();
        all.sort_unstable();
        let mut merged: Vec<(Duration, Duration)> = Vec::new();
        for (from, until) in all {
            match merged.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(until),
                _ => merged.push((from, until)),
            }
        }
        Stalls(merged)
    }
}

impl Stalls {
    /// How much of that time the Sender could run.
    pub(super) fn runnable(&self, from: Duration, until: Duration) -> Duration {
        let mut left = until.saturating_sub(from);
        let first = self.0.partition_point(|(_, end)| *end <= from);
        for (begin, end) in self.0.iter().skip(first) {
            if *begin >= until {
                break;
            }
            left = left.saturating_sub(end.min(&until).saturating_sub(*begin.max(&from)));
        }
        left
    }
}

const MOST_IDLE: u32 = 10;
const SPINNING: u32 = 1000;
const A_MOMENT: Duration = Duration::from_micros(100);
/// Waits are whole milliseconds, rounded up.
const ROUNDING: Duration = Duration::from_millis(2);
