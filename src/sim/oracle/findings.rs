//! What the oracle found wrong, and what it looked at.
//!
//! Thread: the one that simulates. Locks: none.

use std::collections::BTreeSet;
use std::time::Duration;

use super::terms::Terms;
use crate::sim::guarantees::{Cell, Line, Promise, Property, weakest};
use crate::sim::ledger::{Ledger, Violation};

/// Broken promises, and cells of the table that were judged.
#[derive(Debug, Default)]
pub(super) struct Findings {
    violations: Vec<Violation>,
    pub(super) cells: BTreeSet<Cell>,
    /// Beyond the first few, one run says nothing new.
    more: u64,
}

impl Findings {
    /// The text is made only if it is kept.
    pub(super) fn broken(
        &mut self,
        property: Property,
        at: Duration,
        text: impl FnOnce() -> String,
    ) {
        let name = property.name();
        let same = self
            .violations
            .iter()
            .filter(|other| other.property == name);
        if same.count() >= MOST_OF_A_PROPERTY {
            self.more += 1;
            return;
        }
        self.violations.push(Violation {
            property: name,
            at,
            text: text(),
        });
    }

    /// A promise was looked at where it held or did not: where all these lines hold, it is that of the
    /// weakest.
    pub(super) fn judged(&mut self, lines: &BTreeSet<Line>, property: Property) {
        if weakest(lines, property) == Promise::Nothing {
            return;
        }
        for line in lines {
            if line.promise(property).0 > Promise::Nothing
                && !self.cells.contains(&(*line, property))
            {
                self.cells.insert((*line, property));
            }
        }
    }

    /// What is promised of the run as a whole holds with a partition that lost data, or forgot its
    /// producers, in it, too.
    pub(super) fn judged_with(&mut self, line: Line) {
        for property in WHOLE_RUN {
            let was_judged = self.cells.iter().any(|cell| cell.1 == property);
            if was_judged && line.promise(property).0 > Promise::Nothing {
                self.cells.insert((line, property));
            }
        }
    }

    /// Those that every run is a case of.
    pub(super) fn judged_all(&mut self, terms: &Terms, ledger: &Ledger) {
        for property in [Property::P6, Property::P9, Property::P11] {
            self.judged(&terms.lines, property);
        }
        if ledger
            .entries
            .iter()
            .any(|entry| !entry.callbacks.is_empty())
        {
            self.judged(&terms.lines, Property::P13);
        }
    }

    pub(super) fn take(&mut self) -> Vec<Violation> {
        if self.more > 0 {
            if let Some(last) = self.violations.last_mut() {
                last.text
                    .push_str(&format!(" (and {} more like these)", self.more));
            }
            self.more = 0;
        }
        std::mem::take(&mut self.violations)
    }
}

/// Properties of a run rather than of a record or a log.
const WHOLE_RUN: [Property; 9] = [
    Property::P4,
    Property::P5,
    Property::P6,
    Property::P7,
    Property::P9,
    Property::P10,
    Property::P11,
    Property::P12,
    Property::P13,
];
const MOST_OF_A_PROPERTY: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promise_does_not_count_where_another_line_that_holds_makes_none() {
        let mut findings = Findings::default();
        let both = BTreeSet::from([Line::IdempotentSmallWindow, Line::IdempotentForgets]);
        findings.judged(&both, Property::P3Unknown);
        assert!(findings.cells.is_empty());
        findings.judged(&both, Property::P1);
        assert_eq!(findings.cells.len(), 2);
    }

    #[test]
    fn property_of_the_run_counts_for_lost_data_and_one_of_a_record_does_not() {
        let mut findings = Findings::default();
        let lines = BTreeSet::from([Line::Idempotent]);
        for property in [Property::P3Unknown, Property::P4] {
            findings.judged(&lines, property);
        }
        findings.judged_with(Line::IdempotentLosesData);
        let of_lost: Vec<_> = findings
            .cells
            .iter()
            .filter(|cell| cell.0 != Line::Idempotent)
            .collect();
        assert_eq!(of_lost, [&(Line::IdempotentLosesData, Property::P4)]);
    }
}
