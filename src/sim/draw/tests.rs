//! What is drawn is valid, covers what it is to cover, and is the same each time.

use super::super::guarantees::Line;
use super::super::scenario::Habits;
use super::*;
use crate::producer::Acks;

fn drawn(seeds: u64) -> impl Iterator<Item = Scenario> {
    (0..seeds).map(|seed| Scenario::draw(seed, Mix::Default))
}

type Row<'a> = (&'static str, &'a dyn Fn(&Scenario) -> bool);
type Habit = (&'static str, fn(&Habits) -> u32);

/// How many of them it is true for.
fn count(scenarios: &[Scenario], is: impl Fn(&Scenario) -> bool) -> usize {
    scenarios.iter().filter(|scenario| is(scenario)).count()
}

#[test]
fn draw_of_a_seed_is_the_same_each_time_and_another_for_another_seed() {
    let text = |seed| format!("{:?}", Scenario::draw(seed, Mix::Default));
    assert_eq!(text(7), text(7));
    assert_ne!(text(7), text(8));
}

#[test]
fn drawn_numbers_are_within_their_ranges() {
    for scenario in drawn(2_000) {
        let threads = &scenario.threads;
        assert!((1..=6).contains(&threads.len()));
        let calls: u32 = threads.iter().map(|thread| thread.calls).sum();
        assert!((190..=5_000).contains(&calls), "{calls}");
        let huge: u32 = threads.iter().map(|thread| thread.huge_records).sum();
        assert!(huge <= 10);
        for thread in threads {
            assert!(thread.largest_value <= 8 * 1024);
            let active = u64::from(thread.calls) * thread.pause_us;
            assert!(u128::from(active) <= scenario.safety.as_micros());
        }
        let (cluster, config) = (&scenario.cluster, &scenario.config);
        assert!((1..=5).contains(&cluster.brokers));
        assert!((1..=5).contains(&cluster.topics.len()));
        for topic in &cluster.topics {
            assert!((1..=12).contains(&topic.partitions));
            assert!(i32::try_from(topic.min_insync_replicas).expect("small") <= cluster.brokers);
        }
        assert!(config.batch_size <= 65_536 && config.linger_ms <= 50);
        assert!(config.buffer_memory >= 2 * config.batch_size.max(1_024));
        assert!(config.buffer_memory <= 32 << 20);
        assert!((1..=5).contains(&config.max_in_flight));
        assert!(config.delivery_timeout_ms >= config.linger_ms + config.request_timeout_ms);
        assert!(!config.idempotence || (config.acks == -1 && config.retries > 0));
        let seconds = scenario.safety.as_secs();
        assert!((1..=120).contains(&seconds), "{seconds}");
    }
}

#[test]
fn drawn_scenarios_cover_every_row_of_the_guarantee_table() {
    let all: Vec<_> = drawn(2_000).collect();
    for line in Line::ALL {
        let is_about = |s: &Scenario| Line::of(&s.config, &s.cluster).contains(&line);
        let loses = matches!(line, Line::LosesData | Line::IdempotentLosesData);
        let hits = count(&all, is_about);
        assert!(hits >= 160 || loses, "{line:?}: {hits}");
    }
    // A twentieth, and a little less than that for the play of chance.
    let enough = 85;
    let rows: [Row<'_>; 10] = [
        ("idempotent, near production", &|s| {
            s.config.idempotence && s.config.max_block_ms >= 2_000
        }),
        ("idempotent, broker remembers five", &|s| {
            s.config.idempotence
                && s.cluster.producer_window == 5
                && s.cluster.forgets_after_ms.is_none()
        }),
        ("idempotent, broker remembers one", &|s| {
            s.config.idempotence && s.cluster.producer_window == 1
        }),
        ("idempotent, broker remembers none", &|s| {
            s.config.idempotence && s.cluster.producer_window == 0
        }),
        ("idempotent, broker forgets", &|s| {
            s.config.idempotence && s.cluster.forgets_after_ms.is_some()
        }),
        ("acks=0, one in flight", &|s| {
            s.config.acks == 0 && s.config.max_in_flight == 1
        }),
        ("acks=1, one in flight", &|s| {
            s.config.acks == 1 && s.config.max_in_flight == 1
        }),
        ("acks=all, not idempotent, one in flight", &|s| {
            s.config.acks == -1 && !s.config.idempotence && s.config.max_in_flight == 1
        }),
        ("closed or dropped early", &|s| s.ending != Ending::Close),
        ("a contradiction", &|s| !s.config.contradictions.is_empty()),
    ];
    for (name, row) in rows {
        let hits = count(&all, row);
        assert!(hits >= enough, "{name}: {hits}");
    }
}

#[test]
fn drawn_faults_are_none_now_and_then_alone_at_times_and_lose_data_often() {
    let all: Vec<_> = drawn(2_000).collect();
    let none = count(&all, |s| s.faults.is_empty());
    assert!((70..150).contains(&none), "{none}");
    let everywhere = |s: &Scenario| s.faults.len() == 1 && s.faults[0].strength == 1_000;
    let alone = count(&all, everywhere);
    assert!((150..260).contains(&alone), "{alone}");
    let loses = count(&all, |s| {
        s.faults.iter().any(|fault| {
            matches!(
                fault.kind,
                FaultKind::TopicRecreated | FaultKind::TopicDeleted | FaultKind::BrokerCrash
            )
        })
    });
    assert!(loses >= 600, "{loses}");
}

#[test]
fn drawn_scenarios_cover_the_rare_ones_too() {
    let all: Vec<_> = drawn(2_000).collect();
    let rare: [Row<'_>; 16] = [
        ("huge records", &|s| {
            s.threads.iter().any(|t| t.huge_records > 0)
        }),
        ("batch.size=0", &|s| s.config.batch_size == 0),
        ("two batches", &|s| {
            s.config.buffer_memory < 4 * s.config.batch_size.max(1_024)
        }),
        ("32 MB", &|s| s.config.buffer_memory == 32 << 20),
        ("retries=0", &|s| s.config.retries == 0),
        ("tiny delivery timeout", &|s| {
            s.config.delivery_timeout_ms < 200
        }),
        ("tiny request timeout", &|s| {
            s.config.request_timeout_ms < 100
        }),
        ("tiny max.block.ms", &|s| s.config.max_block_ms < 100),
        ("never idle", &|s| s.config.max_idle_ms.is_none()),
        ("soon idle", &|s| {
            s.config.max_idle_ms.is_some_and(|ms| ms < 200)
        }),
        ("young metadata", &|s| s.config.metadata_max_age_ms < 200),
        ("sequences near the end", &|s| {
            s.config.first_sequence > i32::MAX - 400
        }),
        ("epochs near the end", &|s| {
            s.cluster.first_epoch > i16::MAX - 30
        }),
        ("small messages", &|s| {
            s.cluster
                .topics
                .iter()
                .any(|t| t.max_message_bytes < 250_000)
        }),
        ("stamped by brokers", &|s| {
            s.cluster.topics.iter().any(|t| t.log_append_time)
        }),
        ("first sequences refused", &|s| {
            s.cluster.refuses_unknown_first_sequence
        }),
    ];
    for (name, is) in rare {
        let hits = count(&all, is);
        assert!(hits >= 15, "{name}: {hits}");
    }
}

#[test]
fn drawn_threads_have_every_habit_now_and_then() {
    let all: Vec<_> = drawn(2_000).collect();
    let has =
        |habit: fn(&Habits) -> u32| count(&all, |s| s.threads.iter().any(|t| habit(&t.habits) > 0));
    let habits: [Habit; 17] = [
        ("flush", |h| h.flush),
        ("flush_timeout", |h| h.flush_timeout),
        ("partitions_for", |h| h.partitions_for),
        ("renew_clone", |h| h.renew_clone),
        ("try_send", |h| h.try_send),
        ("send_when_ready", |h| h.send_when_ready),
        ("serializers", |h| h.serializers),
        ("keyed", |h| h.keyed),
        ("explicit_partition", |h| h.explicit_partition),
        ("explicit_timestamp", |h| h.explicit_timestamp),
        ("headers", |h| h.headers),
        ("null_value", |h| h.null_value),
        ("huge", |h| h.huge),
        ("bad_record", |h| h.bad_record),
        ("callback", |h| h.callback),
        ("wait_for_handle", |h| h.wait_for_handle),
        ("keep_handle", |h| h.keep_handle),
    ];
    for (name, habit) in habits {
        let hits = has(habit);
        assert!((50..2_000).contains(&hits), "{name}: {hits}");
    }
}

#[test]
fn threads_of_a_scenario_draw_from_seeds_of_their_own() {
    // So a thread that a shrinker takes away shifts nothing in the calls of the others.
    for scenario in drawn(200) {
        let seeds = scenario.threads.iter().map(|thread| thread.seed);
        let distinct: std::collections::BTreeSet<_> = seeds.collect();
        assert_eq!(distinct.len(), scenario.threads.len());
    }
}

#[test]
fn contradiction_of_every_kind_is_refused_by_name() {
    let right = || crate::producer::ProducerConfig::new("a:1").acks(Acks::All);
    let mut random = stream(1, "contradictions");
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..500 {
        for contradiction in Contradiction::draw(&mut random) {
            assert_eq!(contradiction.check(right()), Ok(()));
            let text = format!("{contradiction:?}");
            seen.insert(text.split([' ', '(']).next().map(str::to_owned));
        }
    }
    assert_eq!(seen.len(), 6, "{seen:?}");
}
