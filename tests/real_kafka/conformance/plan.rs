//! The list of cases; each gets a partition of its own of the topic `plain`, so that the offsets of
//! one do not depend on the others.

use super::batch::Batch;
use super::case::{Case, Produce, Step};
use super::{format_cases, request_cases};

#[derive(Debug, Default)]
pub(super) struct Plan {
    cases: Vec<Case>,
}

impl Plan {
    /// All cases.
    pub(super) fn cases() -> Vec<Case> {
        let mut plan = Self::default();
        format_cases::plan(&mut plan);
        request_cases::plan(&mut plan);
        plan.cases
    }

    /// A case whose requests may use the partition given to it.
    pub(super) fn case(&mut self, name: &str, steps: impl FnOnce(i32) -> Vec<Step>) {
        let partition = i32::try_from(self.cases.len()).unwrap();
        self.cases.push(Case {
            name: name.to_owned(),
            steps: steps(partition),
        });
    }

    /// A case of one batch, and a good one after it: it shows what the first left in the log.
    pub(super) fn batch(&mut self, name: &str, batch: &Batch) {
        self.case(name, |p| {
            vec![
                Produce::batch(p, batch).step(),
                Produce::batch(p, &Batch::of(1)).step(),
            ]
        });
    }
}
