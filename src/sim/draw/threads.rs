//! What the application's threads do. Thread: any. Locks: none.

use std::time::Duration;

use super::super::scenario::{Habits, ThreadPlan};
use super::super::streams::{Draw, derive, stream};
use crate::random::Random;

/// 200 to 5,000 calls in all, over 1 to 6 threads.
pub(super) fn draw(seed: u64, is_wild: bool, safety: Duration) -> Vec<ThreadPlan> {
    let mut random = stream(seed, "threads");
    let threads = random.between(1, 6);
    let calls = random.log_between(LEAST_CALLS, MOST_CALLS);
    let shares: Vec<u64> = (0..threads).map(|_| random.between(1, 10)).collect();
    let all: u64 = shares.iter().sum();
    // 5 % of the seeds have a few that are huge.
    let mut huge = if random.chance(50) {
        random.between(1, 10)
    } else {
        0
    };
    let largest = random.log_between(16, LARGEST_VALUE);
    let mut plans = Vec::new();
    for (number, share) in (0..).zip(shares) {
        let mut own = Random::seeded(derive(seed, "thread", number));
        let of_huge = own.between(0, huge);
        huge -= of_huge;
        let calls = (calls * share / all).max(1);
        plans.push(thread(
            &mut own,
            calls,
            (largest, of_huge),
            (is_wild, safety),
        ));
    }
    if let Some(last) = plans.last_mut() {
        last.huge_records += u32::try_from(huge).expect("small");
    }
    plans
}

fn thread(
    random: &mut Random,
    calls: u64,
    (largest, huge): (u64, u64),
    (is_wild, safety): (bool, Duration),
) -> ThreadPlan {
    let small = |number: u64| u32::try_from(number).expect("small");
    // So long it is at work, if nothing holds it up.
    let active = safety * small(random.between(100, 850)) / 1000;
    let mut habits = habits(random, is_wild);
    let plan_seed = u64::try_from(random.below(usize::MAX)).expect("64 bits");
    // From a stream of its own, so that the other draws are as they were without it.
    let mut purges = Random::seeded(derive(plan_seed, "purge", 0));
    if purges.chance(150) {
        habits.purge = small(purges.log_between(1, 20));
    }
    if huge > 0 {
        // All of them come, as a rule.
        habits.huge = small((2_000 * huge / calls).clamp(1, 1_000));
    }
    ThreadPlan {
        seed: derive(0, "calls", plan_seed),
        calls: small(calls),
        pause_us: u64::try_from(active.as_micros()).expect("short") / calls,
        burst: small(random.log_between(1, 200)),
        largest_value: usize::try_from(random.log_between(largest.min(64), largest))
            .expect("small"),
        huge_records: small(huge),
        deaf: false,
        habits,
    }
}

/// Each thread has some of them only, and those as often as drawn.
fn habits(random: &mut Random, is_wild: bool) -> Habits {
    let mut some = |share: u32, most: u64| {
        if random.chance(share) {
            u32::try_from(random.log_between(1, most)).expect("small")
        } else {
            0
        }
    };
    Habits {
        flush: some(500, 30),
        flush_timeout: some(400, 20),
        partitions_for: some(400, 20),
        renew_clone: some(300, 50),
        purge: 0,
        try_send: some(400, 500),
        send_when_ready: some(400, 500),
        serializers: some(if is_wild { 400 } else { 200 }, 50),
        keyed: some(700, 1_000),
        explicit_partition: some(500, 800),
        explicit_timestamp: some(400, 300),
        headers: some(500, 800),
        null_value: some(500, 300),
        huge: 0,
        bad_record: some(if is_wild { 500 } else { 300 }, 15),
        callback: if some(800, 1) > 0 {
            1_000
        } else {
            some(700, 900)
        },
        wait_for_handle: some(500, 200),
        keep_handle: some(600, 600),
    }
}

const LEAST_CALLS: u64 = 200;
const MOST_CALLS: u64 = 5_000;
const LARGEST_VALUE: u64 = 8 * 1024;
