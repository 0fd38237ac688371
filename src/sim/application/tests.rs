//! The application itself: its calls are a prefix of more calls, and what it looks for it sees.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::faults::{FaultKind, FaultPlan};
use super::super::ledger::{End, Entry, RecordId, SharedLedger, Violation};
use super::super::payload::{Key, Mark, RecordSpec};
use super::super::run::{Report, run, tests::simple};
use super::super::scenario::{Ending, Habits, Scenario, ThreadPlan};
use super::calls::{Call, Moment, Then, Told, Way, draw};
use super::outcome::{Limits, Shared};
use super::topics::Topics;
use super::{closing, thread};
use crate::cluster::{NodeId, TopicPartition};
use crate::error::{Error, ErrorKind, Persistence};
use crate::producer::{DeliveryError, Receipt, RecordMetadata};
use crate::time::Time;

/// Everything there is, often.
fn busy() -> Habits {
    Habits {
        flush: 20,
        flush_timeout: 20,
        partitions_for: 20,
        renew_clone: 20,
        purge: 0,
        try_send: 200,
        send_when_ready: 200,
        serializers: 50,
        keyed: 500,
        explicit_partition: 300,
        explicit_timestamp: 300,
        headers: 300,
        null_value: 200,
        huge: 10,
        bad_record: 20,
        callback: 700,
        wait_for_handle: 100,
        keep_handle: 500,
    }
}

fn plan(calls: u32, habits: Habits) -> ThreadPlan {
    ThreadPlan {
        seed: 5,
        calls,
        pause_us: 300,
        burst: 20,
        largest_value: 2_000,
        huge_records: 10,
        deaf: false,
        habits,
    }
}

fn topics() -> Topics {
    Topics::new(&simple(1).cluster.topics)
}

fn calls(plan: &ThreadPlan) -> Vec<(Call, Duration)> {
    let topics = topics();
    let call = |number: u32| {
        let moment = Moment {
            id: number.into(),
            topics: &topics,
            wall_clock_ms: 1_700_000_000_000,
            huge_allowed: true,
        };
        draw(plan, number, moment)
    };
    (0..plan.calls).map(call).collect()
}

#[test]
fn fewer_calls_are_a_prefix_of_more() {
    let many = calls(&plan(2_000, busy()));
    let few = calls(&plan(500, busy()));
    assert_eq!(few, many[..500]);
}

#[test]
fn calls_of_a_busy_thread_are_of_every_kind() {
    let mut seen = BTreeSet::new();
    for (call, _) in calls(&plan(3_000, busy())) {
        let Call::Send(send) = &call else {
            seen.insert(
                format!("{call:?}")
                    .split([' ', '{'])
                    .next()
                    .map(str::to_owned),
            );
            continue;
        };
        let way = match send.way {
            Way::Send => "send",
            Way::TrySend => "try_send",
            Way::WhenReady { .. } => "send_when_ready",
        };
        let told = match send.told {
            Told::Not => "no callback",
            Told::Once => "closure",
            Told::Shared => "shared callback",
        };
        let then = match send.then {
            Then::Drop => "drops",
            Then::Keep => "keeps",
            Then::Wait { timeout: None, .. } => "waits",
            Then::Wait { .. } => "waits for a while",
        };
        let key = match send.spec.key {
            Key::Null => "no key",
            Key::Empty => "empty key",
            Key::Common(_) => "common key",
            Key::Own(_) => "own key",
        };
        let value = match send.spec.value_bytes {
            None => "null",
            Some(0) => "empty",
            Some(1..100_000) => "ordinary",
            Some(_) => "huge",
        };
        let mark = format!("{:?}", send.spec.mark);
        for it in [way, told, then, key, value, &mark] {
            seen.insert(Some(it.to_owned()));
        }
        if let Some(trouble) = send.serializers {
            seen.insert(Some(format!("{trouble:?}")));
        }
        if topics().is_impossible(send.spec.topic) {
            seen.insert(Some("impossible".to_owned()));
        }
    }
    assert_eq!(seen.len(), 3 + 3 + 3 + 4 + 4 + 4 + 4 + 5 + 1, "{seen:#?}");
}

/// One thread with these habits, in a calm world.
fn run_one(habits: Habits, change: impl FnOnce(&mut Scenario)) -> Report {
    let mut scenario = simple(3);
    scenario.threads = vec![plan(400, habits)];
    change(&mut scenario);
    run(&scenario, true)
}

#[test]
fn busy_thread_in_a_calm_world_breaks_no_promise() {
    let report = run_one(busy(), |scenario| {
        scenario.config.max_block_ms = 200;
        scenario.config.max_request_size = 300_000;
        scenario.threads[0].calls = 2_000;
    });
    assert_eq!(report.violations, []);
    let kinds = [
        "RecordTooLarge",
        "Serialization",
        "InvalidTopic",
        "InvalidArgument",
        "Timeout",
    ];
    for kind in kinds {
        assert!(report.trace.contains(kind), "{kind} was never told");
    }
}

#[test]
fn busy_thread_that_is_closed_or_dropped_in_the_middle_breaks_no_promise() {
    let at = Duration::from_millis(40);
    for timeout_ms in [0, 1, 3, 1_000] {
        let timeout = Duration::from_millis(timeout_ms);
        let report = run_one(busy(), |scenario| {
            scenario.ending = Ending::CloseEarly { at, timeout };
            scenario.config.linger_ms = 50;
        });
        assert_eq!(report.violations, [], "{timeout:?}");
    }
    let report = run_one(busy(), |scenario| scenario.ending = Ending::Drop { at });
    assert_eq!(report.violations, []);
}

#[test]
fn thread_whose_wakers_do_nothing_is_noticed_in_every_call_that_waits() {
    let habits = Habits {
        flush: 100,
        flush_timeout: 100,
        wait_for_handle: 300,
        ..Habits::default()
    };
    let report = run_one(habits, |scenario| {
        scenario.threads[0].deaf = true;
        scenario.config.linger_ms = 50;
        scenario.config.max_block_ms = 1_000;
        // The first flushes are looked after when this time is over.
        scenario.config.delivery_timeout_ms = 1_000;
        scenario.config.request_timeout_ms = 500;
    });
    let lost = |name: &str| {
        let is_it =
            |violation: &Violation| violation.property == "P9" && violation.text.starts_with(name);
        report.violations.iter().any(is_it)
    };
    for name in ["send,", "get,", "flush,"] {
        assert!(lost(name), "{name} {:#?}", report.violations);
    }
    assert!(report.violations.iter().all(|it| it.property == "P9"));

    let asks = Habits {
        partitions_for: 1_000,
        ..Habits::default()
    };
    let report = run_one(asks, |scenario| scenario.threads[0].deaf = true);
    let first = report.violations.first().expect("one call had to wait");
    assert!(first.text.starts_with("partitions_for,"), "{first:?}");
}

#[test]
fn send_that_was_given_room_and_never_woken_is_noticed() {
    let habits = Habits {
        callback: 1_000,
        ..Habits::default()
    };
    let scenario = |deaf| {
        move |scenario: &mut Scenario| {
            scenario.config.buffer_memory = 16_384;
            scenario.config.batch_size = 4_096;
            scenario.config.max_block_ms = 3_000;
            // The other one makes the topic known and fills the memory.
            let mut other = plan(400, habits);
            other.largest_value = 4_000;
            scenario.threads[0].largest_value = 4_000;
            scenario.threads[0].deaf = deaf;
            scenario.threads.push(other);
        }
    };
    assert_eq!(run_one(habits, scenario(false)).violations, []);
    let violations = run_one(habits, scenario(true)).violations;
    let given = |it: &&Violation| it.text.contains("it was given room");
    assert!(violations.iter().find(given).is_some(), "{violations:#?}");
}

#[test]
fn callback_that_misbehaves_in_every_way_harms_nothing() {
    let kinds = [
        FaultKind::CallbackSends,
        FaultKind::CallbackSleeps,
        FaultKind::CallbackPanics,
        FaultKind::CallbackFlushes,
        FaultKind::CallbackCloses,
        FaultKind::CallbackWaits,
    ];
    for kind in kinds {
        let report = run_one(busy(), |scenario| {
            scenario.threads[0].calls = 1_500;
            scenario.faults = vec![FaultPlan {
                kind,
                seed: 1,
                strength: 1_000,
                from: Duration::ZERO,
                until: Duration::from_secs(100),
            }];
        });
        assert_eq!(report.violations, [], "{kind:?}");
        let fired = report.fired.get(&kind).copied();
        assert!(fired.is_some_and(|fired| fired > 0), "{kind:?}");
    }
}

/// What two records share that were sent, and no producer.
fn shared() -> Shared {
    let (_, clock) = Time::mock();
    let limits = Limits {
        most_record: 1 << 20,
        surely_fits: 1 << 20,
        shares_suffice: false,
        delivery_timeout: Duration::from_secs(120),
        max_block: Duration::from_secs(60),
        callbacks_thread: 1,
    };
    let ledger = SharedLedger::default();
    for id in 0..2 {
        let spec = RecordSpec {
            id,
            topic: 0,
            partition: None,
            key: Key::Null,
            value_bytes: Some(10),
            headers: 0,
            timestamp_ms: None,
            mark: Mark::Value,
        };
        let mut entry = Entry::new(spec, 0, Duration::ZERO);
        entry.wants_callback = true;
        entry.accepted_at = Some(Duration::ZERO);
        ledger.lock().entries.push(entry);
    }
    Shared::new((ledger, clock), topics(), limits)
}

fn acked(offset: i64) -> RecordMetadata {
    let now = Time::mock().0.now();
    let mut receipt = Receipt::of_new_batch(now);
    receipt.begin_attempt(now);
    receipt.broker = Some(NodeId(1));
    (receipt.written, receipt.answered) = (Some(now), Some(now));
    RecordMetadata {
        topic: "t".into(),
        partition: 1,
        offset,
        timestamp_ms: 5,
        serialized_key_size: -1,
        serialized_value_size: 10,
        receipt,
    }
}

fn broken(shared: &Shared) -> Vec<&'static str> {
    let ledger = shared.ledger.lock();
    let violations = ledger.violations.iter();
    violations.map(|violation| violation.property).collect()
}

#[test]
fn callback_called_once_in_order_is_fine_and_twice_or_late_is_not() {
    let fine = shared();
    fine.note_callback(0, Ok(&acked(7)));
    fine.note_callback(1, Ok(&acked(8)));
    assert!(broken(&fine).is_empty());
    fine.note_callback(1, Ok(&acked(8)));
    assert_eq!(broken(&fine), ["P5"]);

    let late = shared();
    late.note_callback(1, Ok(&acked(8)));
    late.note_callback(0, Ok(&acked(7)));
    assert_eq!(broken(&late), ["P5"]);

    let refused = shared();
    refused.ledger.lock().entry(0).refused = Some(ErrorKind::Timeout);
    refused.note_callback(0, Ok(&acked(7)));
    assert_eq!(broken(&refused), ["P5"]);
}

#[test]
fn handle_that_says_otherwise_than_its_callback_is_noticed() {
    let agrees = shared();
    agrees.note_callback(0, Ok(&acked(7)));
    agrees.note_handle(0, &Ok(acked(7)));
    assert!(broken(&agrees).is_empty());
    agrees.note_handle(0, &Ok(acked(8)));
    assert_eq!(broken(&agrees), ["P5"]);
    agrees.note_handle(1, &Ok(acked(8)));
    assert_eq!(broken(&agrees), ["P5", "P5"], "its callback has not run");
}

#[test]
fn acknowledgement_of_something_else_is_noticed() {
    for change in [
        (|it| it.topic = "other".into()) as fn(&mut RecordMetadata),
        |it| it.serialized_key_size = 0,
        |it| it.serialized_value_size = 9,
    ] {
        let (shared, mut metadata) = (shared(), acked(7));
        change(&mut metadata);
        shared.note_callback(0, Ok(&metadata));
        assert_eq!(broken(&shared), ["P1"], "{metadata:?}");
    }
}

#[test]
fn failure_without_its_record_is_noticed() {
    let shared = shared();
    let error = Error::new(ErrorKind::Timeout, "late").with_persistence(Persistence::Unknown);
    let place = TopicPartition {
        topic: "t".into(),
        partition: 0,
    };
    let error = DeliveryError::without_record(place, error);
    shared.note_callback(0, Err(&error));
    assert_eq!(broken(&shared), ["P5"], "it gives no record back");
}

#[test]
fn refused_record_that_comes_back_changed_is_noticed() {
    let shared = shared();
    let spec = shared.ledger.lock().entry(0).spec.clone();
    shared.note_refusal(0, ErrorKind::Timeout, &spec.record("t"));
    assert!(broken(&shared).is_empty());
    shared.note_refusal(0, ErrorKind::Timeout, &spec.record("t").partition(1));
    assert_eq!(broken(&shared), ["P5"]);
    shared.note_refusal(0, ErrorKind::RecordTooLarge, &spec.record("t"));
    assert_eq!(broken(&shared), ["P5", "P5"], "it is not too large");
}

#[test]
fn record_that_cannot_go_is_not_accepted() {
    let shared = shared();
    shared.note_acceptance(0);
    assert!(broken(&shared).is_empty());
    shared.ledger.lock().entry(0).spec.value_bytes = Some(2 << 20);
    shared.note_acceptance(0);
    assert_eq!(broken(&shared), ["P5"]);
    shared.ledger.lock().closed_at = Some(Duration::ZERO);
    shared.note_acceptance(1);
    assert_eq!(
        broken(&shared),
        ["P5", "P5"],
        "nothing is accepted after close"
    );
}

#[test]
fn flush_that_returns_before_a_callback_has_run_is_noticed() {
    let shared = shared();
    let owed: [RecordId; 2] = [0, 1];
    shared.note_callback(0, Ok(&acked(7)));
    thread::flushed(&owed[..1], Duration::ZERO, &shared.ledger);
    assert!(broken(&shared).is_empty());
    thread::flushed(&owed, Duration::ZERO, &shared.ledger);
    assert_eq!(broken(&shared), ["P4"]);
}

#[test]
fn close_that_gives_back_too_little_is_noticed() {
    let shared = shared();
    {
        let mut ledger = shared.ledger.lock();
        ledger.closed_at = Some(Duration::ZERO);
        let entry = ledger.entry(0);
        entry.failed_while_closing = true;
        let end = End::Failed {
            partition: 0,
            persistence: Persistence::Unknown,
            kind: ErrorKind::Aborted,
            text: "closed".into(),
        };
        entry.callbacks.push((Duration::from_millis(1), end));
    }
    closing::look_at_given_back(None, Duration::from_millis(1), &shared);
    assert_eq!(broken(&shared), ["P5"]);
}
