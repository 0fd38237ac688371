//! What a campaign tells people.
//!
//! Thread: any. Locks: none.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::campaign::{Difference, Order, Tally};
use super::draw::Mix;
use super::faults::FaultKind;
use super::ledger::Violation;
use super::pending;

/// While it runs.
pub(super) fn progress(tally: &Tally, order: &Order, since: Duration) -> String {
    let rate = per_second(tally.seeds, since);
    format!(
        "  {}/{} seeds, {rate:.1}/s, {} violations",
        tally.seeds,
        order.seeds,
        tally.violations()
    )
}

/// A seed that failed, and how to see it again.
pub(super) fn failure(seed: u64, found: &[Violation]) -> String {
    format!("SIM_SEED={seed}\n{}", violations(found))
}

pub(super) fn violations(violations: &[Violation]) -> String {
    let mut text = String::new();
    for (shown, violation) in violations.iter().enumerate() {
        if shown == MOST_SHOWN {
            let _ = writeln!(text, "  and {} more", violations.len() - shown);
            break;
        }
        let at = violation.at.as_micros();
        let (ms, us) = (at / 1000, at % 1000);
        let _ = writeln!(
            text,
            "  {} violated at {ms}.{us:03} ms: {}",
            violation.property, violation.text
        );
    }
    text
}

const MOST_SHOWN: usize = 10;

pub(super) fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

/// What each kind of fault did.
pub(super) fn faults(tally: &Tally, differences: &BTreeMap<FaultKind, Difference>) -> String {
    let mut text = format!(
        "{:<30} {:>10} {:>8}   without it, another outcome / another run, of seeds tried\n",
        "fault", "fired", "in seeds"
    );
    for kind in FaultKind::ALL {
        let (times, in_seeds) = tally
            .fired
            .get(kind)
            .map_or((0, 0), |fired| (fired.times, fired.in_seeds));
        let _ = write!(text, "{:<30} {times:>10} {in_seeds:>8}", kind.name());
        if let Some(difference) = differences.get(kind) {
            let _ = write!(
                text,
                "   {} / {} of {}",
                difference.outcome, difference.anything, difference.tried
            );
            if kind.is_hidden_from_the_application() {
                text.push_str(" (brokers alone see it: another run counts)");
            }
        }
        text.push('\n');
    }
    text
}

/// How fast it went.
pub(super) fn speed(tally: &Tally, since: Duration, threads: usize) -> String {
    let mut took = tally.took.clone();
    took.sort_unstable();
    let at = |percent: usize| {
        let index = (took.len() * percent / 100).min(took.len().saturating_sub(1));
        took.get(index)
            .map_or(0.0, |(took, _)| took.as_secs_f64() * 1000.0)
    };
    let mut text = format!(
        "seeds per second: {:.1} on {threads} threads; milliseconds a seed: p10 {:.1} p50 {:.1} p90 {:.1} p99 {:.1}\nslowest:",
        per_second(tally.seeds, since),
        at(10),
        at(50),
        at(90),
        at(99)
    );
    for (took, seed) in took.iter().rev().take(5) {
        let _ = write!(text, " SIM_SEED={seed} {:.1} s,", took.as_secs_f64());
    }
    text.pop();
    let _ = writeln!(
        text,
        "\nsimulated: {:.1} hours, {} polls; {} seeds were run twice",
        tally.simulated.as_secs_f64() / 3600.0,
        tally.polls,
        tally.twice
    );
    text
}

/// The head of the table of plants.
#[cfg(feature = "planted")]
pub(super) fn plants_head(starts: &[u64]) -> String {
    let mut text = format!("{:<16}", "plant");
    for start in starts {
        let _ = write!(text, " {:>18}", format!("seeds from {start}"));
    }
    text.push_str("  property, bug");
    text
}

/// One line of it.
#[cfg(feature = "planted")]
pub(super) fn plant((plant, finds): &super::plants::Row) -> String {
    let mut text = format!("{:<16}", plant.to_string());
    let mut properties: Vec<&str> = Vec::new();
    for find in finds {
        match find {
            Some(find) => {
                let shown = format!("{} ({})", find.needed, find.seed);
                let _ = write!(text, " {shown:>18}");
                if !properties.contains(&find.property) {
                    properties.push(find.property);
                }
            }
            None => text.push_str("          not found"),
        }
    }
    let _ = write!(text, "  {}: {}", properties.join(", "), plant.story());
    text
}

/// For scripts.
pub(super) fn last_line(tally: &Tally, order: &Order, since: Duration) -> String {
    format!(
        "sim: seeds={} violations={} records={} faults={} kinds={}/{} seconds={:.0}",
        tally.seeds,
        tally.violations(),
        tally.records,
        tally.faults(),
        tally.fired.len(),
        pending::kinds(if order.all { Mix::All } else { Mix::Default }).len(),
        since.as_secs_f64().ceil()
    )
}

#[expect(clippy::cast_precision_loss, reason = "few")]
fn per_second(count: u64, since: Duration) -> f64 {
    count as f64 / since.as_secs_f64().max(0.001)
}
