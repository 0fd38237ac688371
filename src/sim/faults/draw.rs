//! Which faults a seed has: a random part of the catalogue, each with a strength, a window and a
//! seed of its own (swarm testing: what is left out lets the rest go further).
//!
//! Thread: any. Locks: none.

use std::time::Duration;

use super::kinds::{FaultKind, Group};
use super::plan::{DrawTime as _, FULL_STRENGTH, FaultPlan};
use crate::random::Random;
use crate::sim::scenario::{ClusterPlan, ConfigPlan, ThreadPlan};
use crate::sim::streams::{Draw, derive, stream};

/// What the faults of a scenario are drawn for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts<'a> {
    pub(crate) cluster: &'a ClusterPlan,
    pub(crate) config: &'a ConfigPlan,
    pub(crate) threads: &'a [ThreadPlan],
    pub(crate) safety: Duration,
    /// The kinds to choose from.
    pub(crate) kinds: &'a [FaultKind],
}

/// The faults of a seed: none for 5 % of all, for 10 % one alone, everywhere, all the time.
pub(crate) fn draw(seed: u64, parts: &Parts<'_>) -> Vec<FaultPlan> {
    let mut random = stream(seed, "faults");
    let kinds: Vec<FaultKind> = parts
        .kinds
        .iter()
        .copied()
        .filter(|kind| parts.have_use_for(*kind))
        .collect();
    // Outcomes that are unknown, of which these lines promise something, need faults.
    let promises_of_unknown = parts.config.idempotence || parts.config.acks == 0;
    let (none, one) = if promises_of_unknown {
        (15, 60)
    } else {
        (65, 145)
    };
    if kinds.is_empty() || random.chance(none) {
        return Vec::new();
    }
    let lasting: Vec<FaultKind> = kinds
        .iter()
        .copied()
        // And alone, without a producer id, nothing would ever happen.
        .filter(|kind| !kind.ends_the_producer() && *kind != FaultKind::InitProducerIdHangs)
        .collect();
    if random.chance(one) && !lasting.is_empty() {
        let kind = *random.pick(&lasting);
        // Of what holds up all others, nothing can be said but what was before it.
        let is_later = kind.holds_up_others() && random.chance(700);
        return vec![FaultPlan {
            kind,
            seed: derive(seed, kind.name(), 0),
            strength: FULL_STRENGTH,
            from: if is_later {
                parts.active() / 8
            } else {
                Duration::ZERO
            },
            until: parts.safety,
        }];
    }
    // Few at most seeds, many at some.
    let share = u32::try_from(random.log_between(10, 300)).expect("small");
    let chosen = kinds.into_iter().filter(|kind| {
        let mut of_kind = stream(derive(seed, kind.name(), 1), "chosen");
        of_kind.chance(share)
    });
    let mut plans: Vec<FaultPlan> = chosen.map(|kind| parts.plan(seed, kind)).collect();
    for kind in parts.besides(&mut random) {
        if parts.kinds.contains(&kind) && parts.have_use_for(kind) {
            plans.retain(|plan| plan.kind != kind);
            plans.push(parts.strong_plan(seed, kind));
        }
    }
    plans
}

impl Parts<'_> {
    fn have_use_for(&self, kind: FaultKind) -> bool {
        let config = self.config;
        let by_address = kind.group() == Group::Names && !config.bootstrap_by_name;
        !(kind.needs_brokers() && self.cluster.brokers < 2
            || kind.is_about_producer_ids() && !config.idempotence
            || by_address && kind == FaultKind::UnknownNames)
    }

    /// What the rare outcomes of the guarantee table need: data that is lost, answers that are, and
    /// with `acks=0` requests of which half was written and partitions without a leader.
    fn besides(&self, random: &mut Random) -> Vec<FaultKind> {
        let mut kinds = Vec::new();
        if random.chance(if self.config.idempotence { 600 } else { 300 }) {
            kinds.push(*random.pick(&[
                FaultKind::TopicRecreated,
                FaultKind::TopicRecreated,
                FaultKind::TopicRecreated,
                FaultKind::TopicDeleted,
                FaultKind::BrokerCrash,
            ]));
        }
        if self.config.acks == 0 && random.chance(970) {
            kinds.extend([
                FaultKind::NoLeader,
                FaultKind::FullSendBuffer,
                FaultKind::ResetOfAll,
            ]);
        }
        if self.config.idempotence && random.chance(950) {
            kinds.extend([
                FaultKind::SwallowedRequest,
                FaultKind::DelayedAnswer,
                FaultKind::LostAnswers,
            ]);
            if random.chance(700) {
                kinds.push(FaultKind::ClosedAfterAppend);
            }
            if random.chance(500) {
                kinds.push(FaultKind::BrokerPause);
            }
        }
        let waits_its_turn = !self.config.idempotence && self.config.max_in_flight == 1;
        if waits_its_turn && self.config.acks != 0 && random.chance(300) {
            // Who leads changes while something is on its way to the one before.
            kinds.extend([
                FaultKind::LeaderPingPong,
                FaultKind::LeaderMoves,
                FaultKind::DelayedAnswer,
            ]);
        }
        kinds
    }

    /// From early on to the end of all calls, on most nodes, so that it strikes nearly always.
    fn strong_plan(&self, seed: u64, kind: FaultKind) -> FaultPlan {
        let mut random = stream(derive(seed, kind.name(), 2), "strong plan");
        let active = u64::try_from(self.active().as_micros()).expect("short");
        // Some threads send a few times only; what nobody else has to wait for may begin at once.
        let from = if kind.holds_up_others() && self.config.acks != 0 {
            random.between(active / 10, active * 4 / 10)
        } else {
            random.between(0, active / 4)
        };
        let plan = FaultPlan {
            kind,
            seed: derive(seed, kind.name(), 3),
            strength: u32::try_from(random.between(700, 999)).expect("small"),
            from: Duration::from_micros(from),
            until: Duration::from_micros(active),
        };
        let strikes_most = |plan: &FaultPlan| {
            let nodes = plan.nodes();
            let struck = (1..=self.cluster.brokers).filter(|node| nodes.contains(*node));
            2 * struck.count() > usize::try_from(self.cluster.brokers).expect("small")
        };
        let others = (4..40).map(|number| FaultPlan {
            seed: derive(seed, kind.name(), number),
            ..plan.clone()
        });
        let strong = others.into_iter().find(strikes_most);
        if strikes_most(&plan) {
            plan
        } else {
            strong.unwrap_or(plan)
        }
    }

    /// About so long the threads make calls.
    fn active(&self) -> Duration {
        let of = |thread: &ThreadPlan| {
            Duration::from_micros(thread.pause_us.saturating_mul(u64::from(thread.calls)))
        };
        let longest = self.threads.iter().map(of).max().unwrap_or_default();
        longest.clamp(
            Duration::from_millis(10),
            self.safety.max(Duration::from_millis(10)),
        )
    }

    fn plan(&self, seed: u64, kind: FaultKind) -> FaultPlan {
        let mut random = stream(derive(seed, kind.name(), 2), "plan");
        let active = u64::try_from(self.active().as_micros()).expect("short");
        // Many from the start: the first connections, the first metadata, the first producer id.
        let from = if kind.ends_the_producer() {
            random.between(active * 7 / 10, active)
        } else if kind.holds_up_others() {
            // What waits for nobody can be seen until then.
            if random.chance(20) {
                0
            } else {
                random.between(active / 5, active * 9 / 10)
            }
        } else if random.chance(300) {
            0
        } else {
            random.between(0, active * 8 / 10)
        };
        let length = random.log_between(active / 20, active).max(1);
        FaultPlan {
            kind,
            seed: derive(seed, kind.name(), 3),
            strength: strength(&mut random),
            from: Duration::from_micros(from),
            until: Duration::from_micros(from + length),
        }
    }
}

/// Any, but full strength only where it is alone.
fn strength(random: &mut Random) -> u32 {
    if random.one_of(100) {
        FULL_STRENGTH - 1
    } else {
        u32::try_from(random.between(1, 700)).expect("small")
    }
}
