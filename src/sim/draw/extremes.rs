//! Settings at the ends of what is allowed, alone or together, in some seeds.
//!
//! Thread: any. Locks: none. What no record can get through is not among them: a `request.timeout.ms`
//! below the time of an answer, sizes below those of the records that are sent
//! (`tests/config_extremes.rs` has these).

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
}

fn draw_one(plan: &mut ConfigPlan, random: &mut Random) {
    match random.below(15) {
        0 => plan.batch_size = random.below(2),
        1 => plan.linger_ms = 0,
        2 => plan.max_request_size = SMALL,
        3 if plan.idempotence => plan.retries = 1,
        3 => plan.retries = 0,
        4 => plan.delivery_timeout_ms = plan.linger_ms + plan.request_timeout_ms,
        5 => plan.retry_backoff_ms = *random.pick(&[(20, 20), (1_000, 1_000)]),
        6 => plan.reconnect_backoff_ms = *random.pick(&[(1, 1), (1_000, 1_000)]),
        7 => plan.setup_timeout_ms = (1, 30_000),
        8 => {
            plan.metadata_max_age_ms = random.below(2) as u64;
            let (first, longest) = plan.retry_backoff_ms;
            plan.retry_backoff_ms = (first.max(20), longest.max(20));
        }
        9 => plan.metadata_max_idle_ms = 5_000,
        10 => plan.rebootstrap_trigger_ms = Some(random.below(2) as u64),
        11 => {
            // Who does not wait for memory gets none where others need it.
            plan.max_block_ms = 0;
            plan.buffer_memory = plan.buffer_memory.max(ROOMY);
        }
        12 => plan.max_idle_ms = Some(random.below(2) as u64),
        13 => plan.retry_backoff_ms = (0, 0),
        // With 0, an address that is dead for long makes runs of minutes.
        _ => plan.reconnect_backoff_ms = (1, 1),
    }
}

/// Room for a batch of each partition, and then some.
const ROOMY: usize = 4 << 20;

/// A record or two.
const SMALL: usize = 600;
