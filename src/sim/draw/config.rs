//! The producer's configuration. Thread: any. Locks: none.

use super::super::guarantees::Line;
use super::super::scenario::ConfigPlan;
use super::super::streams::{Draw, stream};
use super::{Contradiction, extremes};
use crate::random::Random;

/// Valid whatever is drawn: the contradictions are beside it.
pub(super) fn draw(seed: u64, of: Line, is_wild: bool) -> ConfigPlan {
    let mut random = stream(seed, "config");
    let mut plan = if is_wild {
        wild(&mut random, of)
    } else {
        usual(&mut random, of)
    };
    make_tight(&mut plan, of, &mut random);
    if plan.idempotence && random.chance(120) {
        let before = random.log_between(0, 300);
        plan.first_sequence = i32::MAX - i32::try_from(before).expect("small");
    }
    draw_share(&mut plan, seed);
    plan.callback_thread = stream(seed, "callback thread").chance(150);
    plan.bootstrap_servers = 1 + random.below(3);
    plan.bootstrap_by_name = random.chance(700);
    plan.contradictions = Contradiction::draw(&mut random);
    plan.fails_recreated = stream(seed, "topic.recreation.policy").chance(400);
    extremes::draw(seed, &mut plan);
    if plan.memory_of_a_topic() < 2 * plan.batch_size.max(LEAST_MEMORY) {
        // An extreme took the room that a share needs.
        plan.topic_share = 100;
    }
    plan
}

/// `acks`, `enable.idempotence` and `max.in.flight.requests.per.connection` of a line.
fn promises(random: &mut Random, of: Line) -> (i16, bool, u32) {
    let many = |random: &mut Random| u32::try_from(random.between(2, 5)).expect("small");
    match of {
        Line::Acks0 | Line::LosesData => {
            let in_flight = if random.chance(250) { many(random) } else { 1 };
            (0, false, in_flight)
        }
        Line::Acks1 => (1, false, 1),
        Line::Acks1Pipelined => (1, false, many(random)),
        Line::All => (-1, false, 1),
        Line::AllPipelined => (-1, false, many(random)),
        Line::Idempotent
        | Line::IdempotentSmallWindow
        | Line::IdempotentForgets
        | Line::IdempotentLosesData => (-1, true, *random.pick(&[5, 5, 5, 1, 2, 3, 4])),
    }
}

/// Where an outcome is to be unknown often: whatever went out and is not answered in time is given
/// up before it can be tried again. And with `acks=0`, nothing waits long for a leader.
fn make_tight(plan: &mut ConfigPlan, of: Line, random: &mut Random) {
    let share = match of {
        Line::Idempotent | Line::IdempotentSmallWindow => 750,
        Line::Acks0 => 980,
        Line::IdempotentForgets => 300,
        _ => 0,
    };
    if random.chance(share) {
        plan.request_timeout_ms = plan.request_timeout_ms.min(random.log_between(60, 600));
        plan.delivery_timeout_ms = plan.linger_ms + plan.request_timeout_ms;
    } else if share > 0 && plan.idempotence && random.chance(500) {
        plan.retries = u32::try_from(random.between(1, 3)).expect("small");
    }
}

/// A share for each topic in some runs, of a memory that is then small enough to be used up. From a
/// stream of its own, so that the other draws are as they were without it.
fn draw_share(plan: &mut ConfigPlan, seed: u64) {
    let mut random = stream(seed, "share of a topic");
    if !random.chance(150) {
        return;
    }
    let percent = *random.pick(&[50, 33, 25, 20, 10]);
    // Of two batches a topic may get nothing, for a reason of its own: P10 is judged of the others.
    let batches = if random.chance(200) {
        2 * plan.batch_size.max(LEAST_MEMORY)
    } else {
        42 * (plan.batch_size + LEAST_MEMORY)
    };
    let least = batches * 100 / percent + 100;
    if random.chance(700) {
        plan.buffer_memory = plan.buffer_memory.min(size(&mut random, least, 8 * least));
    }
    plan.buffer_memory = plan.buffer_memory.max(least);
    plan.topic_share = u32::try_from(percent).expect("small");
}

/// As somebody may run it.
fn usual(random: &mut Random, of: Line) -> ConfigPlan {
    let (acks, idempotence, max_in_flight) = promises(random, of);
    let request_timeout_ms = *random.pick(&[30_000, 30_000, 10_000, 5_000, 2_000, 500]);
    let linger_ms = *random.pick(&[5, 5, 5, 0, 1, 10, 20, 50]);
    let delivery = *random.pick(&[120_000, 120_000, 60_000, 30_000, 5_000, 1_000]);
    ConfigPlan {
        acks,
        idempotence,
        max_in_flight,
        linger_ms,
        batch_size: *random.pick(&[16_384, 16_384, 16_384, 32_768, 65_536, 4_096]),
        buffer_memory: *random.pick(&[32 << 20, 32 << 20, 4 << 20, 1 << 20, 1 << 18]),
        topic_share: 100,
        max_request_size: 1 << 20,
        delivery_timeout_ms: delivery.max(linger_ms + request_timeout_ms),
        request_timeout_ms,
        max_block_ms: *random.pick(&[60_000, 60_000, 10_000, 2_000]),
        retries: MOST_RETRIES,
        retry_backoff_ms: *random.pick(&[(100, 1_000), (100, 1_000), (20, 200)]),
        reconnect_backoff_ms: *random.pick(&[(50, 1_000), (50, 1_000), (10, 100)]),
        setup_timeout_ms: *random.pick(&[(10_000, 30_000), (10_000, 30_000), (1_000, 3_000)]),
        max_idle_ms: *random.pick(&[Some(540_000), Some(540_000), Some(10_000), None]),
        metadata_max_age_ms: *random.pick(&[300_000, 300_000, 30_000, 5_000]),
        metadata_max_idle_ms: *random.pick(&[300_000, 5_000, 30_000, 5_000]),
        rebootstrap_trigger_ms: *random.pick(&[Some(300_000), Some(300_000), Some(30_000)]),
        ignore_keys: random.chance(50),
        fails_recreated: false,
        callback_thread: false,
        first_sequence: 0,
        contradictions: Vec::new(),
        bootstrap_servers: 1,
        bootstrap_by_name: true,
    }
}

/// Anything that is allowed.
fn wild(random: &mut Random, of: Line) -> ConfigPlan {
    let (acks, idempotence, max_in_flight) = promises(random, of);
    let request_timeout_ms = random.log_between(20, 30_000);
    let linger_ms = *random.pick(&[0, 0, 1, 5, 20, 50]);
    let batch_size = match random.below(8) {
        0 => 0,
        1..4 => 16_384,
        _ => size(random, 1, 65_536),
    };
    let two_batches = 2 * batch_size.max(LEAST_MEMORY);
    let retries = match random.below(6) {
        0..3 => MOST_RETRIES,
        3 if !idempotence => 0,
        _ => u32::try_from(random.between(1, 6)).expect("small"),
    };
    let range = |random: &mut Random, least, most| {
        let first = random.log_between(least, most);
        (first, random.log_between(first, most))
    };
    ConfigPlan {
        acks,
        idempotence,
        max_in_flight,
        linger_ms,
        batch_size,
        buffer_memory: size(random, two_batches, 32 << 20),
        topic_share: 100,
        max_request_size: match random.below(8) {
            0..3 => 1 << 20,
            // Of about one batch.
            3..5 => batch_size.max(LEAST_MEMORY) + random.below(600),
            _ => size(random, 2_000, 1 << 17),
        },
        delivery_timeout_ms: random.log_between(linger_ms + request_timeout_ms, 120_000),
        request_timeout_ms,
        max_block_ms: random.log_between(20, 60_000),
        retries,
        retry_backoff_ms: range(random, 1, 1_000),
        reconnect_backoff_ms: range(random, 1, 1_000),
        setup_timeout_ms: range(random, 20, 30_000),
        max_idle_ms: random.chance(850).then(|| random.log_between(20, 540_000)),
        metadata_max_age_ms: random.log_between(50, 300_000),
        metadata_max_idle_ms: random.log_between(5_000, 300_000),
        rebootstrap_trigger_ms: random.chance(600).then(|| random.log_between(50, 300_000)),
        ignore_keys: random.chance(150),
        fails_recreated: false,
        callback_thread: false,
        first_sequence: 0,
        contradictions: Vec::new(),
        bootstrap_servers: 1,
        bootstrap_by_name: true,
    }
}

fn size(random: &mut Random, least: usize, most: usize) -> usize {
    let wide = |size: usize| u64::try_from(size).expect("64 bits");
    usize::try_from(random.log_between(wide(least), wide(most))).expect("it is below the most")
}

/// Java's default.
const MOST_RETRIES: u32 = 0x7fff_ffff;

/// What two of make the smallest `buffer.memory`.
const LEAST_MEMORY: usize = 2_048;
