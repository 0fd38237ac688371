//! `topic.recreation.policy=fail`: nothing that was accepted for a topic goes to its successor.
//!
//! Thread: the test's. Locks: none.

use super::*;

const AGAIN: Uuid = Uuid([2; 16]);

fn failing(idempotence: bool) -> SenderConfig {
    SenderConfig {
        idempotence,
        fail_recreated_topics: true,
        ..config()
    }
}

fn bench(idempotence: bool) -> Bench {
    let config = failing(idempotence);
    if idempotence {
        Bench::idempotent_with(config, &[1])
    } else {
        Bench::new(config, &[1])
    }
}

/// Sends a record, which has to go to the topic of now.
fn goes_to_the_new_topic(bench: &mut Bench) {
    let later = bench.send(0);
    bench.next_attempt();
    let request = bench.take();
    assert_eq!(produce(&request).topics[0].topic_id, AGAIN);
    bench.acknowledge(request, 0);
    bench.turn();
    assert_eq!(offset(&later), Some(0));
}

fn assert_left_behind(handle: &SendHandle, persistence: Persistence) {
    let error = done(handle).expect_err("it ends");
    assert_eq!(error.kind(), ErrorKind::UnknownTopicOrPartition);
    assert_eq!(error.persistence(), persistence);
    let text = error.to_string();
    for named in [
        TOPIC,
        &TOPIC_ID.to_string(),
        &AGAIN.to_string(),
        "topic.recreation.policy=fail",
    ] {
        assert!(text.contains(named), "{named}: {text}");
    }
}

#[test]
fn recreated_topic_under_fail_ends_what_was_never_sent_and_takes_what_comes_later() {
    for idempotence in [true, false] {
        let mut bench = bench(idempotence);
        bench.turn();
        bench.client.make_unready(1, Duration::MAX);
        let waiting = [bench.send(0), bench.send(0)];
        bench.turn();
        bench.learn(AGAIN, &[1], 1);
        bench.client.make_ready(1);
        bench.turn();
        for handle in &waiting {
            assert_left_behind(handle, Persistence::NotWritten);
        }
        goes_to_the_new_topic(&mut bench);
    }
}

#[test]
fn recreated_topic_under_fail_ends_what_waits_to_be_sent_again_by_what_is_known_of_it() {
    for (idempotence, refused) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut bench = bench(idempotence);
        let handle = bench.send(0);
        bench.turn();
        let request = bench.take();
        if refused {
            bench.refuse(request, 19);
        } else {
            bench.disconnect(request, true);
        }
        bench.turn();
        bench.learn(AGAIN, &[1], 1);
        bench.turn();
        let expected = if refused {
            Persistence::NotWritten
        } else {
            Persistence::Unknown
        };
        assert_left_behind(&handle, expected);
        goes_to_the_new_topic(&mut bench);
    }
}

#[test]
fn recreated_topic_under_fail_ends_what_comes_back_later_from_the_old_one() {
    for (idempotence, code) in [
        (true, 100),
        (true, 45),
        (true, 19),
        (false, 19),
        (false, 100),
    ] {
        let mut bench = bench(idempotence);
        let handle = bench.send(0);
        bench.turn();
        let request = bench.take();
        bench.learn(AGAIN, &[1], 1);
        bench.turn();
        assert!(!handle.is_done(), "it has no answer yet");
        bench.refuse(request, code);
        bench.turn();
        let expected = match code {
            100 => Persistence::Unknown,
            _ => Persistence::NotWritten,
        };
        assert_left_behind(&handle, expected);
        bench.turn();
        assert!(bench.client.take().is_none(), "{code}: it goes nowhere");
        goes_to_the_new_topic(&mut bench);
    }
}

#[test]
fn recreated_topic_under_fail_is_noticed_across_the_time_without_it() {
    let mut bench = bench(false);
    bench.turn();
    bench.client.make_unready(1, Duration::MAX);
    let waiting = bench.send(0);
    bench.turn();
    bench.learn_nothing_of_the_topic();
    bench.turn();
    assert!(!waiting.is_done(), "it may come back as it was");
    bench.learn(AGAIN, &[1], 1);
    bench.client.make_ready(1);
    bench.turn();
    assert_left_behind(&waiting, Persistence::NotWritten);
}

#[test]
fn acknowledgement_from_the_old_topic_counts_under_fail() {
    let mut bench = bench(true);
    let handle = bench.send(0);
    bench.turn();
    let request = bench.take();
    bench.learn(AGAIN, &[1], 1);
    bench.turn();
    bench.acknowledge(request, 1);
    bench.turn();
    assert_eq!(offset(&handle), Some(1));
    goes_to_the_new_topic(&mut bench);
}

#[test]
fn topic_that_moves_its_leader_under_fail_is_the_same_topic() {
    let mut bench = bench(true);
    let handle = bench.send(0);
    bench.turn();
    let request = bench.take();
    bench.refuse(request, 6);
    bench.learn(TOPIC_ID, &[2], 2);
    bench.turn();
    bench.next_attempt();
    let request = bench.take();
    bench.acknowledge(request, 1);
    bench.turn();
    assert_eq!(offset(&handle), Some(1));
}
