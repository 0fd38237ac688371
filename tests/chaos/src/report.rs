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
    /// That the producer noticed: acknowledged records that a broker has no more.
    pub(crate) data_losses: u64,
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
             not_written={not_written} refused={refused} batches={} data_losses={}",
            args.seed, self.rate, self.wire.batches, self.data_losses
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
            Mode::Proof => {
                check(self.verdict.is_clean(), "records are not as they were told");
                let alarms = self.data_losses;
                check(
                    alarms == 0,
                    "the producer tells of data losses that there were not",
                );
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Report {
        Report {
            verdict: Verdict {
                records: 400_000,
                acked: 399_999,
                unknown: 1,
                ..Verdict::default()
            },
            wire: Counts {
                batches: 9_000,
                retries: 3,
                disconnects: 2,
                leader_changes: 1,
                unreadable: Vec::new(),
            },
            faults: 10,
            data_losses: 0,
            rate: 6_000.0,
        }
    }

    fn failures(mode: Mode, change: impl FnOnce(&mut Report)) -> usize {
        let mut report = good();
        change(&mut report);
        let args = Args {
            mode,
            ..Args::default()
        };
        report.failures(&args).len()
    }

    #[test]
    fn last_line_is_as_scripts_expect_it() {
        assert_eq!(
            good().line(),
            "chaos: records=400000 faults=10 retries=3 disconnects=2 leader_changes=1 unknown=1 \
             lost=0 duplicate=0 reordered=0 misreported=0 late=0"
        );
    }

    #[test]
    fn run_that_hurt_and_harmed_nothing_is_good() {
        assert_eq!(failures(Mode::Proof, |_| {}), 0);
    }

    #[test]
    fn anything_bad_fails_the_run() {
        let bad: [fn(&mut Report); 6] = [
            |report| report.verdict.lost = 1,
            |report| report.verdict.duplicate = 1,
            |report| report.verdict.reordered = 1,
            |report| report.verdict.misreported = 1,
            |report| report.verdict.late = 1,
            |report| report.data_losses = 1,
        ];
        for (index, change) in bad.into_iter().enumerate() {
            assert_eq!(failures(Mode::Proof, change), 1, "{index}");
        }
    }

    #[test]
    fn run_that_hurt_nothing_fails() {
        let idle: [fn(&mut Report); 6] = [
            |report| report.wire.retries = 0,
            |report| report.wire.disconnects = 0,
            |report| report.wire.leader_changes = 0,
            |report| report.wire.unreadable.push("a request".to_owned()),
            |report| report.faults = 9,
            |report| report.rate = 100.0,
        ];
        for (index, change) in idle.into_iter().enumerate() {
            assert_eq!(failures(Mode::Proof, change), 1, "{index}");
        }
    }

    #[test]
    fn control_in_which_the_judge_sees_nothing_fails() {
        for mode in [Mode::IdempotenceOff, Mode::Unclean] {
            assert_eq!(failures(mode, |_| {}), 1, "{mode:?}");
        }
        let seen = |report: &mut Report| report.verdict.reordered = 1;
        assert_eq!(failures(Mode::IdempotenceOff, seen), 0);
        assert_eq!(failures(Mode::Unclean, |report| report.verdict.lost = 1), 0);
    }
}
