//! Names of topics: those of the scenario, one that no cluster has, and some that none can have.
//!
//! Thread: the one that simulates. Locks: none.

use super::super::scenario::TopicPlan;

/// By number: the scenario's from 0 on, then the unknown one, then the impossible ones.
#[derive(Debug)]
pub(super) struct Topics {
    plans: Vec<TopicPlan>,
    impossible: Vec<String>,
}

impl Topics {
    pub(super) fn new(plans: &[TopicPlan]) -> Self {
        let impossible = ["", "..", "with space", "größe", &"x".repeat(250)];
        Self {
            plans: plans.to_vec(),
            impossible: impossible.map(str::to_owned).to_vec(),
        }
    }

    pub(super) fn plans(&self) -> &[TopicPlan] {
        &self.plans
    }

    pub(super) fn name(&self, topic: usize) -> &str {
        match topic.checked_sub(self.plans.len() + 1) {
            Some(impossible) => &self.impossible[impossible],
            None => self.plans.get(topic).map_or(UNKNOWN, |plan| &plan.name),
        }
    }

    pub(super) fn unknown(&self) -> usize {
        self.plans.len()
    }

    pub(super) fn impossible(&self, which: usize) -> usize {
        self.plans.len() + 1 + which % self.impossible.len()
    }

    pub(super) fn is_impossible(&self, topic: usize) -> bool {
        topic > self.plans.len()
    }

    /// Whether brokers put their own time into its records.
    pub(super) fn brokers_stamp(&self, topic: usize) -> bool {
        self.plans
            .get(topic)
            .is_some_and(|plan| plan.log_append_time)
    }
}

const UNKNOWN: &str = "nobody-has-this";
