//! How long a turn waits: never not at all without progress, never past a timer.

use super::*;

fn long(timeout: Duration) -> bool {
    timeout > Duration::from_secs(10)
}

#[test]
fn idle_sender_waits_long() {
    let mut bench = Bench::new(config(), &[1]);
    bench.turn();
    assert!(long(bench.client.last_timeout()));
}

#[test]
fn node_that_is_not_ready_is_waited_for_as_long_as_it_says_and_the_others_go_on() {
    let mut bench = Bench::new(plain(), &[1, 2]);
    bench.client.make_unready(1, Duration::from_millis(40));
    let _handles = [bench.send(0), bench.send(1)];
    bench.turn();
    assert_eq!(bench.take().node, NodeId(2));
    assert_eq!(bench.client.last_timeout(), Duration::from_millis(40));
    bench.client.make_unready(1, Duration::ZERO);
    bench.turn();
    assert!(
        bench.client.last_timeout() >= Duration::from_millis(1),
        "a node that says no and zero is not asked in a loop"
    );
}

#[test]
fn partition_without_a_leader_asks_for_metadata_at_a_pace() {
    let mut bench = Bench::new(plain(), &[0]);
    let _handle = bench.send(0);
    bench.turn();
    assert!(bench.shared.metadata.is_update_requested(bench.clock.now()));
    assert_eq!(bench.client.last_timeout(), Duration::from_millis(100));
    bench.learn(TOPIC_ID, &[0], 1);
    bench.advance(40);
    bench.turn();
    assert!(
        !bench.shared.metadata.is_update_requested(bench.clock.now()),
        "not again before the pause is over"
    );
    assert_eq!(bench.client.last_timeout(), Duration::from_millis(60));
    bench.advance(60);
    bench.turn();
    assert!(bench.shared.metadata.is_update_requested(bench.clock.now()));
}

#[test]
fn blocked_partition_does_not_spin_and_is_not_forgotten() {
    let mut bench = Bench::idempotent(&[1]);
    let _handles: Vec<SendHandle> = (0..7).map(|_| bench.send(0)).collect();
    for _ in 0..8 {
        bench.turn();
    }
    assert!(long(bench.client.last_timeout()), "two wait for five");
    let requests: Vec<Request> = std::iter::from_fn(|| bench.client.take()).collect();
    assert_eq!(requests.len(), 5);
    for (offset, request) in (1..).zip(requests) {
        bench.acknowledge(request, offset);
        bench.turn();
    }
    bench.turn();
    assert_eq!(std::iter::from_fn(|| bench.client.take()).count(), 2);
}

#[test]
fn blocked_partition_goes_on_after_whatever_end_of_the_batch_it_waits_for() {
    for end in ["refused", "expired", "answered late"] {
        let mut bench = Bench::new(config(), &[1]);
        let first = bench.send(0);
        bench.turn();
        let request = bench.take();
        bench.client.answer(request, identity(7, 0, 0));
        bench.turn();
        bench.turn();
        let request = bench.take();
        bench.advance(60_000);
        let second = bench.send(0);
        bench.turn();
        assert!(bench.client.take().is_none(), "the first one is alone");
        if end == "refused" {
            bench.refuse(request, 29);
        } else {
            bench.advance(60_000);
            if end == "answered late" {
                bench.turn();
                bench.acknowledge(request, 0);
            }
        }
        bench.turn();
        bench.turn();
        assert!(first.is_done());
        let request = bench.client.take().expect(end);
        bench.acknowledge(request, 1);
        bench.turn();
        assert_eq!(offset(&second), Some(1), "{end}");
    }
}

#[test]
fn missing_producer_id_does_not_spin_while_it_is_asked_for() {
    let mut bench = Bench::new(config(), &[1, 2]);
    let _handles = [bench.send(0), bench.send(1)];
    bench.turn();
    let _swallowed = bench.take();
    bench.turn();
    assert!(long(bench.client.last_timeout()));
    bench.advance(10);
    bench.turn();
    assert!(long(bench.client.last_timeout()));
}

#[test]
fn more_for_a_node_that_takes_more_is_sent_without_waiting() {
    let mut bench = Bench::new(plain(), &[1]);
    let _handles = [bench.send(0), bench.send(0)];
    bench.turn();
    assert_eq!(bench.client.last_timeout(), Duration::ZERO);
    bench.turn();
    assert!(long(bench.client.last_timeout()));
    assert_eq!(std::iter::from_fn(|| bench.client.take()).count(), 2);
}

#[test]
fn wait_ends_when_a_batch_in_flight_expires() {
    let mut bench = Bench::new(plain(), &[1]);
    let _handle = bench.send(0);
    bench.turn();
    bench.advance(119_990);
    bench.turn();
    assert_eq!(bench.client.last_timeout(), Duration::from_millis(10));
}

#[test]
fn nodes_take_turns_in_being_asked_first() {
    let mut bench = Bench::new(plain(), &[1, 2, 3]);
    let mut first = Vec::new();
    for _ in 0..3 {
        let _handles = [bench.send(0), bench.send(1), bench.send(2)];
        bench.client.asked_ready();
        bench.turn();
        first.push(bench.client.asked_ready()[0]);
    }
    first.sort_unstable();
    assert_eq!(first, [1, 2, 3]);
}

#[test]
fn request_is_no_larger_than_allowed_and_the_rest_follows() {
    let small = SenderConfig {
        max_request_size: 200,
        ..plain()
    };
    let mut bench = Bench::new(small, &[1, 1, 1, 1]);
    let _handles: Vec<SendHandle> = (0..4).map(|partition| bench.send(partition)).collect();
    bench.turn();
    bench.turn();
    let sizes: Vec<usize> = std::iter::from_fn(|| bench.client.take())
        .map(|request| on_wire(&request).len())
        .collect();
    assert_eq!(sizes, [2, 2]);
}

#[test]
fn wait_after_a_long_callback_ends_when_the_next_batch_expires() {
    let mut bench = Bench::new(plain(), &[1, 2]);
    let clock = Arc::clone(&bench.clock);
    let slow = Callback::once(move |_| clock.advance(Duration::from_secs(50)));
    drop(bench.send_with(0, Some(slow)));
    bench.turn();
    bench.advance(60_000);
    drop(bench.send(1));
    bench.turn();
    bench.advance(60_000);
    bench.turn(); // The first expires, at 120 s, and its callback takes until 170 s.
    assert!(bench.client.last_timeout() <= Duration::from_secs(10));
}
