//! When a poll waits, for how long, and what ends it: nothing to do, idle connections, wake-ups.
//! Thread: one of each test, and its peers.

use super::*;

/// Polls that have nothing to do, and checks that each waited.
fn assert_polls_wait(client: &mut Client, timeout: Duration) {
    const POLLS: u32 = 10;
    // What is under way may arrive first.
    client.poll(Duration::from_millis(5));
    client.poll(Duration::from_millis(5));
    calls::take();
    let before = client.time.now();
    for _ in 0..POLLS {
        client.poll(timeout);
    }
    let elapsed = client.time.now() - before;
    assert!(elapsed >= timeout * POLLS, "{POLLS} polls in {elapsed:?}");
    let expected = Calls {
        selects: u64::from(POLLS),
        ..Calls::default()
    };
    assert_eq!(calls::take(), expected);
}

#[test]
fn poll_with_nothing_to_do_waits_in_every_state() {
    let (mut client, mut peer) = Client::connected();
    let wait = Duration::from_millis(3);
    assert_polls_wait(&mut client, wait);
    // Below a millisecond, too.
    assert_polls_wait(&mut client, Duration::from_micros(200));
    // In the middle of a frame.
    peer.write_all(&framed(&[0; 100])[..50]).unwrap();
    client.poll(LIMIT);
    assert_polls_wait(&mut client, wait);
    // With a send that the socket does not take.
    client.send(1, [Bytes::from(vec![0; 64 << 20])]);
    assert_polls_wait(&mut client, wait);
    // With frames coming in meanwhile.
    peer.write_all(&framed(&[0; 100])[50..]).unwrap();
    client.until(|all| all.receives.len() == 1);
    assert_polls_wait(&mut client, wait);
    // After the end.
    drop(peer);
    client.until_disconnected();
    assert_polls_wait(&mut client, wait);
}

#[test]
fn poll_closes_one_idle_connection_at_a_time_the_longest_unused_first() {
    const IDLE: Duration = Duration::from_secs(60);
    let mut client = Client::with(SelectorConfig {
        connections_max_idle: Some(IDLE),
        ..SelectorConfig::default()
    });
    let (time, clock) = Time::mock();
    client.time = time;
    let mut peers: Vec<TcpStream> = (1..=4).map(|node| client.connect(NodeId(node))).collect();
    client.poll(Duration::ZERO);
    clock.advance(IDLE / 2);
    // A response is use, and so is a request.
    peers[0].write_all(&framed(b"x")).unwrap();
    client.until(|all| all.receives.len() == 1);
    clock.advance(IDLE / 4);
    client.poll(Duration::ZERO);
    client.selector.send(NetworkSend {
        node: NodeId(3),
        id: 1,
        send: Send::new([framed(b"x")]),
    });
    clock.advance(IDLE / 8);
    client.poll(Duration::ZERO);
    assert!(client.all.disconnected.is_empty());

    clock.advance(IDLE / 8);
    for expected in [2, 4] {
        client.poll(Duration::ZERO);
        if expected == 2 {
            assert_eq!(client.all.disconnected.len(), 1, "one per poll");
        }
    }
    let ends: Vec<i32> = client.all.disconnected.iter().map(|it| it.node.0).collect();
    assert_eq!(ends, [2, 4]);
    for end in &client.all.disconnected {
        assert_eq!(end.state, ChannelState::Expired);
        assert!(end.reason.contains("60000 ms"), "{}", end.reason);
    }
    assert_eq!(
        peers[1].read(&mut [0; 1]).unwrap(),
        0,
        "the socket is closed"
    );
    assert!(client.selector.is_channel_ready(NODE));
    assert!(client.selector.is_channel_ready(NodeId(3)));
}

#[test]
fn poll_ends_when_a_connection_expires() {
    let mut client = Client::with(SelectorConfig {
        connections_max_idle: Some(Duration::from_millis(30)),
        ..SelectorConfig::default()
    });
    let _peer = client.connect(NODE);
    let end = client.until_disconnected();
    assert_eq!(end.state, ChannelState::Expired);
}

#[test]
fn poll_delivers_what_an_expiring_connection_received() {
    const IDLE: Duration = Duration::from_secs(60);
    let mut client = Client::with(SelectorConfig {
        connections_max_idle: Some(IDLE),
        ..SelectorConfig::default()
    });
    let (time, clock) = Time::mock();
    client.time = time;
    let mut peer = client.connect(NODE);
    clock.advance(IDLE * 2);
    peer.write_all(&framed(b"late")).unwrap();
    client.poll(Duration::ZERO);
    client.poll(Duration::ZERO);
    assert_eq!(client.frames(), [b"late"]);
    assert!(client.all.disconnected.is_empty(), "it was used");
}

#[test]
fn wake_while_asleep_ends_the_poll_with_one_write() {
    let mut client = Client::new();
    let wakeup = client.selector.wakeup();
    let waker = spawn(move || {
        while !wakeup.is_asleep() {
            std::thread::yield_now();
        }
        for _ in 0..1000 {
            wakeup.wake();
        }
    });
    let before = client.time.now();
    client.poll(LIMIT);
    assert!(client.time.now() - before < LIMIT);
    waker.join().unwrap();
    // Who called after the poll had ended left a note; it ends one more poll, and then it is quiet.
    assert_eq!(client.selector.wakeup().writes(), 1);
    client.poll(Duration::from_millis(1));
    assert_polls_wait(&mut client, Duration::from_millis(2));
}

#[test]
fn wake_while_running_costs_no_write_and_ends_the_next_poll_only() {
    let mut client = Client::new();
    for _ in 0..1000 {
        client.selector.wakeup().wake();
    }
    let before = client.time.now();
    client.poll(LIMIT);
    assert!(client.time.now() - before < LIMIT);
    assert_eq!(client.selector.wakeup().writes(), 0);
    let wait = Duration::from_millis(10);
    let before = client.time.now();
    client.poll(wait);
    assert!(client.time.now() - before >= wait);
}

#[test]
fn wake_from_two_threads_is_never_lost() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    const ROUNDS: u64 = 20_000;
    let mut client = Client::new();
    let (asked, seen) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    // Each asks, wakes, and waits until it was heard: one lost wake-up and nobody moves again.
    let wakers: Vec<JoinHandle<()>> = (0..2)
        .map(|_| {
            let (asked, seen) = (Arc::clone(&asked), Arc::clone(&seen));
            let wakeup = client.selector.wakeup();
            spawn(move || {
                for _ in 0..ROUNDS {
                    let ticket = asked.fetch_add(1, Ordering::Relaxed) + 1;
                    wakeup.wake();
                    while seen.load(Ordering::Relaxed) < ticket {
                        std::hint::spin_loop();
                        std::thread::yield_now();
                    }
                }
            })
        })
        .collect();
    loop {
        let now = asked.load(Ordering::Relaxed);
        seen.store(now, Ordering::Relaxed);
        if now == 2 * ROUNDS {
            break;
        }
        let before = client.time.now();
        client.poll(LIMIT);
        assert!(client.time.now() - before < LIMIT, "a wake-up was lost");
    }
    for waker in wakers {
        waker.join().unwrap();
    }
    assert!(client.selector.wakeup().writes() <= 2 * ROUNDS);
}
