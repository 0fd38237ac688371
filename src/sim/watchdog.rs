//! Seeds that do not end are told by their number.
//!
//! Thread: the one that adds up what workers report; a worker that simulates cannot be stopped, so
//! the process ends. Locks: none.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::time::Time;

/// What each worker is at, and since when.
#[derive(Debug)]
pub(super) struct Watchdog {
    longest: Duration,
    time: Time,
    running: BTreeMap<usize, (String, Instant)>,
}

impl Watchdog {
    /// A run that takes longer than that does not end.
    pub(super) fn new(longest: Duration) -> Self {
        Self {
            longest,
            time: Time::default(),
            running: BTreeMap::new(),
        }
    }

    /// A worker begins a run, `what` as people name it.
    pub(super) fn begins(&mut self, worker: usize, what: String) {
        self.running.insert(worker, (what, self.time.now()));
    }

    pub(super) fn ends(&mut self, worker: usize) {
        self.running.remove(&worker);
    }

    /// Ends the process over a run that does not end.
    pub(super) fn look(&self) {
        if let Some(what) = self.overdue(self.time.now()) {
            let longest = self.longest;
            eprintln!("{what} has not ended after {longest:?} of real time");
            std::process::exit(1);
        }
    }

    fn overdue(&self, now: Instant) -> Option<&str> {
        let mut running = self.running.values();
        let is_overdue = |began: Instant| now.saturating_duration_since(began) > self.longest;
        let late = running.find(|(_, began)| is_overdue(*began))?;
        Some(&late.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_that_takes_too_long_is_named_and_one_that_ended_is_not() {
        let longest = Duration::from_secs(120);
        let mut watchdog = Watchdog::new(longest);
        watchdog.begins(0, "SIM_SEED=7".to_owned());
        watchdog.begins(1, "SIM_SEED=8".to_owned());
        watchdog.ends(0);
        let now = watchdog.time.now();
        assert_eq!(watchdog.overdue(now), None);
        let late = now + longest + Duration::from_secs(1);
        assert_eq!(watchdog.overdue(late), Some("SIM_SEED=8"));
        watchdog.ends(1);
        assert_eq!(watchdog.overdue(late), None);
    }
}
