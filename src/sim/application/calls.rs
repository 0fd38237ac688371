//! What a thread's next call is: a function of its plan and the number of the call alone, so that
//! fewer calls are a prefix of more.
//!
//! Thread: the one that simulates. Locks: none.

use std::time::Duration;

use super::super::ledger::RecordId;
use super::super::payload::{Key, Mark, RecordSpec};
use super::super::scenario::ThreadPlan;
use super::super::setup::MOST_AHEAD_MS;
use super::super::streams::{Draw, derive};
use super::topics::Topics;
use crate::random::Random;

/// One call of a thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Call {
    Send(SendCall),
    Flush {
        timeout: Option<Duration>,
    },
    PartitionsFor {
        topic: usize,
    },
    /// What is not sent yet is given up: of one topic, or of all.
    Purge {
        topic: Option<usize>,
    },
    /// Drops its clone of the producer for a new one.
    RenewClone,
}

/// A send: what, which way, and what is done about the outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SendCall {
    pub(super) spec: RecordSpec,
    pub(super) way: Way,
    pub(super) told: Told,
    pub(super) then: Then,
    pub(super) serializers: Option<Trouble>,
}

/// Which of the sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Send,
    TrySend,
    /// As a future, which is dropped if it is not ready by then.
    WhenReady {
        patience: Duration,
    },
}

/// By which sort of callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Not,
    Once,
    Shared,
}

/// What becomes of the handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Drop,
    Keep,
    Wait {
        timeout: Option<Duration>,
        /// By another waker than at first.
        renews_waker: bool,
    },
}

/// Serializers other than the default ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// They write instead of lending, and are fine.
    Writes,
    Fails {
        on_key: bool,
    },
    Panics {
        on_key: bool,
    },
}

/// What the draw of a record depends on, besides the plan.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment<'a> {
    pub(super) id: RecordId,
    pub(super) topics: &'a Topics,
    pub(super) wall_clock_ms: i64,
    /// There may be another huge record.
    pub(super) huge_allowed: bool,
}

/// The call, and the pause after it.
pub(super) fn draw(plan: &ThreadPlan, number: u32, moment: Moment<'_>) -> (Call, Duration) {
    let mut random = Random::seeded(derive(plan.seed, "call", number.into()));
    let pause = pause(plan, &mut random);
    let habits = &plan.habits;
    let call = if random.chance(habits.flush) {
        Call::Flush { timeout: None }
    } else if random.chance(habits.flush_timeout) {
        let timeout = Some(Duration::from_millis(random.log_between(0, 5_000)));
        Call::Flush { timeout }
    } else if random.chance(habits.partitions_for) {
        let topic = if random.chance(habits.bad_record) {
            moment.topics.unknown() + random.below(2)
        } else {
            random.below(moment.topics.plans().len())
        };
        Call::PartitionsFor { topic }
    } else if random.chance(habits.renew_clone) {
        Call::RenewClone
    } else if habits.purge > 0 && random.chance(habits.purge) {
        let topic = random.below(moment.topics.plans().len());
        let topic = random.chance(700).then_some(topic);
        Call::Purge { topic }
    } else {
        Call::Send(send(plan, &mut random, moment))
    };
    (call, pause)
}

/// Bursts without a pause (but for the time that a call takes), then a long one.
fn pause(plan: &ThreadPlan, random: &mut Random) -> Duration {
    let burst = plan.burst.max(1);
    if random.chance(1000 / burst) {
        let average = plan.pause_us.saturating_mul(burst.into());
        Duration::from_micros(random.between(1, (2 * average).max(1)))
    } else {
        CALL_TAKES
    }
}

fn send(plan: &ThreadPlan, random: &mut Random, moment: Moment<'_>) -> SendCall {
    let habits = &plan.habits;
    let spec = spec(plan, random, moment);
    let way = if random.chance(habits.try_send) {
        Way::TrySend
    } else if random.chance(habits.send_when_ready) {
        let patience = Duration::from_millis(random.log_between(0, 20_000));
        Way::WhenReady { patience }
    } else {
        Way::Send
    };
    let told = if !random.chance(habits.callback) {
        Told::Not
    } else if random.chance(500) {
        Told::Shared
    } else {
        Told::Once
    };
    let then = if random.chance(habits.wait_for_handle) {
        let bounded = random.chance(500);
        Then::Wait {
            timeout: bounded.then(|| Duration::from_millis(random.log_between(0, 10_000))),
            renews_waker: random.chance(300),
        }
    } else if random.chance(habits.keep_handle) {
        Then::Keep
    } else {
        Then::Drop
    };
    let serializers = random.chance(habits.serializers).then(|| {
        let on_key = random.chance(500);
        match random.below(4) {
            0 => Trouble::Fails { on_key },
            1 => Trouble::Panics { on_key },
            _ => Trouble::Writes,
        }
    });
    SendCall {
        spec,
        way,
        told,
        then,
        serializers,
    }
}

fn spec(plan: &ThreadPlan, random: &mut Random, moment: Moment<'_>) -> RecordSpec {
    let habits = &plan.habits;
    let topic = random.below(moment.topics.plans().len());
    let partitions = moment.topics.plans()[topic].partitions;
    let key = if !random.chance(habits.keyed) {
        Key::Null
    } else {
        match random.below(20) {
            0 => Key::Empty,
            1..5 => Key::Own(small(random.log_between(8, 200))),
            _ => Key::Common(u32::try_from(random.below(40)).expect("small")),
        }
    };
    let largest = u64::try_from(plan.largest_value).expect("64 bits");
    let mut value_bytes = Some(small(random.log_between(0, largest)));
    if random.chance(habits.null_value) {
        value_bytes = None;
    }
    if random.chance(habits.huge) && moment.huge_allowed {
        value_bytes = Some(small(random.log_between(LEAST_HUGE, MOST_HUGE)));
    }
    let partition = random.chance(habits.explicit_partition).then(|| {
        i32::try_from(random.below(usize::try_from(partitions).expect("positive"))).expect("small")
    });
    let timestamp_ms = random
        .chance(habits.explicit_timestamp)
        .then(|| timestamp(random, moment.wall_clock_ms));
    let headers = if random.chance(habits.headers) {
        u32::try_from(random.log_between(1, 8)).expect("small")
    } else {
        0
    };
    let spec = RecordSpec {
        id: moment.id,
        topic,
        partition,
        key,
        value_bytes,
        headers,
        timestamp_ms,
        mark: Mark::Value,
    };
    let stamped = moment.topics.brokers_stamp(topic);
    let mut spec = spec.settle(stamped, random.chance(500));
    // Not from the thread's own stream: its other draws stay as they are.
    if spec.mark != Mark::Timestamp && derive(spec.id, "too far ahead", 0) % TOO_FAR_AHEAD == 0 {
        spec.timestamp_ms = Some(moment.wall_clock_ms + 3 * MOST_AHEAD_MS);
    }
    if random.chance(habits.bad_record) {
        spoil(&mut spec, partitions, random, moment.topics);
    }
    spec
}

/// Of just now, as a rule; long ago; or so far ahead that a broker may not take it.
fn timestamp(random: &mut Random, now_ms: i64) -> i64 {
    let signed = |number: u64| i64::try_from(number).expect("small");
    match random.below(12) {
        0 => signed(random.log_between(0, 1_000_000)),
        1 => now_ms + signed(random.log_between(1, 3_000_000)),
        2 if random.chance(100) => now_ms + signed(random.log_between(3_600_000, 1 << 40)),
        3..5 => now_ms - signed(random.log_between(1, 1 << 36)),
        _ => now_ms - signed(random.log_between(1, 10_000)),
    }
}

/// Makes it one that cannot go.
fn spoil(spec: &mut RecordSpec, partitions: i32, random: &mut Random, topics: &Topics) {
    match random.below(6) {
        0 => spec.partition = Some(-1),
        1 => spec.partition = Some(partitions + i32::try_from(random.below(3)).expect("small")),
        2 => spec.timestamp_ms = Some(-1),
        3 => spec.topic = topics.unknown(),
        _ => spec.topic = topics.impossible(random.below(5)),
    }
}

fn small(number: u64) -> usize {
    usize::try_from(number).expect("64 bits")
}

/// One record of so many has a timestamp that brokers refuse, and ends `NotWritten` for it.
const TOO_FAR_AHEAD: u64 = 70;
/// What a call costs at least.
const CALL_TAKES: Duration = Duration::from_micros(2);
const LEAST_HUGE: u64 = 100_000;
const MOST_HUGE: u64 = 1_600_000;
