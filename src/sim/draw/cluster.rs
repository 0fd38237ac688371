//! Brokers and topics. Thread: any. Locks: none.

use super::super::guarantees::Line;
use super::super::scenario::{ClusterPlan, TopicPlan};
use super::super::streams::{Draw, derive, stream};
use super::{Mix, line};
use crate::random::Random;

pub(super) fn draw(seed: u64, of: Line, mix: Mix) -> ClusterPlan {
    let mut random = stream(seed, "cluster");
    let brokers = i32::try_from(random.between(1, 5)).expect("small");
    let topics = random.between(1, 5);
    // Where nobody is idempotent, it makes no difference, whatever it is.
    let small = |random: &mut Random| usize::from(random.chance(500));
    let (mut producer_window, mut forgets_after_ms) = (5, None);
    match of {
        Line::Idempotent => {}
        Line::IdempotentSmallWindow => producer_window = small(&mut random),
        Line::IdempotentForgets => {
            forgets_after_ms = Some(random.log_between(100, 20_000));
            if random.chance(150) {
                producer_window = small(&mut random);
            }
        }
        _ if random.chance(400) => producer_window = small(&mut random),
        _ => {}
    }
    let first_epoch = if line::is_idempotent(of) && random.chance(60) {
        i16::MAX - i16::try_from(random.log_between(0, 20)).expect("small")
    } else {
        0
    };
    ClusterPlan {
        seed: derive(seed, "cluster ids", 0),
        brokers,
        topics: (0..topics)
            .map(|number| topic(seed, number, brokers, mix))
            .collect(),
        versions: if random.chance(600) {
            0
        } else {
            random.below(VERSIONS)
        },
        producer_window,
        forgets_after_ms,
        refuses_unknown_first_sequence: random.chance(300),
        first_epoch,
    }
}

/// From a stream of its own, so that one less does not change the others.
fn topic(seed: u64, number: u64, brokers: i32, mix: Mix) -> TopicPlan {
    let mut random = Random::seeded(derive(seed, "topic", number));
    let small_messages = random.chance(match mix {
        Mix::Default | Mix::All => 120,
    });
    TopicPlan {
        name: format!("topic-{number}"),
        partitions: i32::try_from(random.log_between(1, 12)).expect("small"),
        log_append_time: random.chance(150),
        min_insync_replicas: if brokers >= 2 && random.chance(300) {
            2
        } else {
            1
        },
        max_message_bytes: if small_messages {
            usize::try_from(random.log_between(300, 100_000)).expect("small")
        } else {
            BROKERS_DEFAULT
        },
    }
}

/// Version profiles that are simulated.
const VERSIONS: usize = 4;

/// `message.max.bytes`: a batch of 1 MB and what surrounds it.
const BROKERS_DEFAULT: usize = 1024 * 1024 + 12;
