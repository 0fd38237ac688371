//! Settings at the ends of what is allowed, alone or together, in some seeds.
//!
//! Thread: any. Locks: none. What no record can get through is not among them: a `request.timeout.ms`
//! below the time of an answer, sizes below those of the records that are sent.

use super::super::scenario::ConfigPlan;
use super::super::streams::{Draw, stream};
use crate::random::Random;

/// From a stream of its own: without it everything else is as it was.
pub(super) fn draw(seed: u64, plan: &mut ConfigPlan) {
    let mut random = stream(seed, "extremes");
    if !random.chance(150) {
        return;
    }
    for _ in 0..=random.below(3) {
        draw_one(plan, &mut random);
    }
    plan.delivery_timeout_ms = plan
        .delivery_timeout_ms
        .max(plan.linger_ms + plan.request_timeout_ms);
    let memory_of_a_topic = plan.buffer_memory * plan.topic_share as usize / 100;
    plan.batch_size = plan.batch_size.min(memory_of_a_topic);
}

fn draw_one(plan: &mut ConfigPlan, random: &mut Random) {
    match random.below(14) {
        0 => plan.batch_size = random.below(2),
        1 => plan.linger_ms = 0,
        2 => plan.max_block_ms = random.below(2) as u64,
        3 => plan.buffer_memory = SMALL,
        4 => plan.max_request_size = SMALL,
        5 if plan.idempotence => plan.retries = 1,
        5 => plan.retries = 0,
        6 => plan.delivery_timeout_ms = plan.linger_ms + plan.request_timeout_ms,
        7 => plan.retry_backoff_ms = *random.pick(&[(0, 0), (1, 1), (1_000, 1_000)]),
        8 => plan.reconnect_backoff_ms = *random.pick(&[(0, 0), (1, 1), (1_000, 1_000)]),
        9 => plan.setup_timeout_ms = (1, 30_000),
        10 => plan.max_idle_ms = *random.pick(&[Some(0), Some(1), None]),
        11 => plan.metadata_max_age_ms = random.below(2) as u64,
        12 => plan.metadata_max_idle_ms = 5_000,
        _ => plan.rebootstrap_trigger_ms = Some(random.below(2) as u64),
    }
}

/// Without a pause between two requests a minute has more of them than anybody can wait for.
pub(super) fn are_hasty(plan: &ConfigPlan) -> bool {
    let (first, longest) = plan.retry_backoff_ms;
    longest <= 1 || (plan.metadata_max_age_ms <= 1 && first < 20)
}

/// A record or two.
const SMALL: usize = 600;
