//! What a run says at its end, and whether it showed what it had to.

use std::process::ExitCode;

use crate::args::Args;
use crate::judge::Verdict;
use crate::schedule::{Mode, Planned, Schedule};
use crate::wire::Counts;

/// A run that sends less shows nothing, whatever else it shows.
const LEAST_RATE: f64 = 500.0;

/// A run of a minute has to have ten faults; a longer or shorter one as many in proportion.
const SECONDS_PER_FAULT: u64 = 6;

/// Everything that was counted.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) verdict: Verdict,
    pub(crate) wire: Counts,
    /// That struck.
    pub(crate) faults: u64,
    /// Acknowledged records a second.
    pub(crate) rate: f64,
}

impl Report {
    /// Prints all of it; the last line is for scripts.
    pub(crate) fn print(&self, args: &Args) -> ExitCode {
        for example in &self.verdict.examples {
            println!("  {example}");
        }
        for why in self.wire.unreadable.iter().take(10) {
            println!("  a request that cannot be read: {why}");
        }
        let Verdict {
            acked,
            not_written,
            refused,
            ..
        } = self.verdict;
        println!(
            "chaos: seed {}, {:.0} records a second acknowledged; acked={acked} \
             not_written={not_written} refused={refused} batches={}",
            args.seed, self.rate, self.wire.batches
        );
        let failures = self.failures(args);
        for failure in &failures {
            eprintln!("chaos: {failure}");
        }
        println!("{}", self.line());
        if failures.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    fn line(&self) -> String {
        let Verdict {
            records,
            unknown,
            lost,
            duplicate,
            reordered,
            misreported,
            late,
            ..
        } = self.verdict;
        format!(
            "chaos: records={records} faults={} retries={} disconnects={} leader_changes={} \
             unknown={unknown} lost={lost} duplicate={duplicate} reordered={reordered} \
             misreported={misreported} late={late}",
            self.faults, self.wire.retries, self.wire.disconnects, self.wire.leader_changes
        )
    }

    /// Why the run did not show what it had to.
    fn failures(&self, args: &Args) -> Vec<String> {
        let mut failures = Vec::new();
        let mut check = |is_so: bool, text: &str| {
            if !is_so {
                failures.push(text.to_owned());
            }
        };
        let Verdict {
            lost,
            duplicate,
            reordered,
            ..
        } = self.verdict;
        match args.mode {
            Mode::Proof => check(self.verdict.is_clean(), "records are not as they were told"),
            Mode::IdempotenceOff => check(
                duplicate + reordered > 0,
                "the judge saw neither duplicates nor disorder, which this control has to bring",
            ),
            Mode::Unclean => check(lost > 0, "the judge saw no loss, which this control brings"),
        }
        // A chaos that hurts nothing shows nothing.
        check(self.wire.retries > 0, "nothing was sent again");
        check(self.wire.disconnects > 0, "no connection ended");
        check(self.wire.leader_changes > 0, "no leader changed");
        check(
            self.wire.unreadable.is_empty(),
            "there were requests that cannot be read",
        );
        check(
            self.rate >= LEAST_RATE,
            "too few records were acknowledged a second",
        );
        let enough = args.length.as_secs() / SECONDS_PER_FAULT;
        let counted = args.mode == Mode::Unclean || self.faults >= enough;
        check(counted, "too few faults struck");
        failures
    }
}

/// All lanes in one, by time.
pub(crate) fn in_order(schedule: &Schedule) -> Vec<Planned> {
    let mut planned: Vec<Planned> = schedule.lanes.iter().flatten().copied().collect();
    planned.sort_by_key(|planned| planned.at);
    planned
}
