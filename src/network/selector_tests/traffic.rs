//! Sends and receives, whole and in pieces.
//! Thread: one of each test, and its peers.

use super::*;

#[test]
fn send_before_the_connect_ends_is_written_after_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = Client::new();
    let now = client.time.now();
    client
        .selector
        .connect(NODE, listener.local_addr().unwrap(), now)
        .unwrap();
    client.send(5, [framed(b"early")]);
    assert!(!client.selector.is_channel_ready(NODE));
    client.until(|all| all.completed_sends == [(NODE, 5)]);
    let mut arrived = [0; 9];
    listener
        .accept()
        .unwrap()
        .0
        .read_exact(&mut arrived)
        .unwrap();
    assert_eq!(arrived[..], framed(b"early")[..]);
    let changes = registrations();
    assert_eq!(changes.last(), Some(&Registration::Reregister(READ)));
    assert_eq!(changes.len(), 2);
}

#[test]
fn send_larger_than_the_socket_takes_switches_write_interest_on_and_off() {
    let (mut client, mut peer) = Client::connected();
    registrations();
    let parts: Vec<Bytes> = (0..3000_u32)
        .map(|part| Bytes::from(part.to_be_bytes().repeat(4 * 1024)))
        .collect();
    let expected = parts.concat();
    client.send(1, parts);
    assert_eq!(registrations(), [Registration::Reregister(READ_WRITE)]);
    client.poll(Duration::ZERO);
    assert!(client.all.completed_sends.is_empty());

    let len = expected.len();
    let reader = spawn(move || {
        let mut arrived = vec![0; len];
        for chunk in arrived.chunks_mut(100_000) {
            peer.read_exact(chunk).unwrap();
        }
        (arrived, peer)
    });
    client.until(|all| all.completed_sends == [(NODE, 1)]);
    assert_eq!(registrations(), [Registration::Reregister(READ)]);
    let (arrived, mut peer) = reader.join().unwrap();
    assert!(arrived == expected);

    client.send(2, [framed(b"small")]);
    client.poll(Duration::ZERO);
    assert_eq!(client.all.completed_sends, [(NODE, 1), (NODE, 2)]);
    assert_eq!(registrations(), []);
    peer.read_exact(&mut [0; 9]).unwrap();
}

#[test]
fn send_while_one_is_in_progress_ends_the_channel() {
    let (mut client, _peer) = Client::connected();
    client.send(1, [Bytes::from(vec![0; 64 << 20])]);
    client.send(2, [framed(b"too early")]);
    assert!(!client.selector.is_channel_ready(NODE));
    let end = client.until_disconnected();
    assert!(end.send_begun);
    assert!(end.reason.contains("while another was in progress"));
}

#[test]
fn send_without_a_channel_is_reported_by_the_next_poll() {
    let mut client = Client::new();
    client.send(1, [framed(b"a")]);
    client.send(2, [framed(b"b")]);
    client.poll(LIMIT);
    assert_eq!(client.all.disconnected.len(), 1);
    let end = client.until_disconnected();
    assert_eq!((end.node, end.state), (NODE, ChannelState::NotConnected));
    assert!(!end.send_begun);
}

#[test]
fn send_on_a_connection_that_was_reset_is_reported_with_what_arrived_before() {
    let (mut client, mut peer) = Client::connected();
    client.send(1, [framed(b"request")]);
    client.poll(Duration::ZERO);
    peer.read_exact(&mut [0; 11]).unwrap();
    peer.write_all(&framed(b"answer")).unwrap();
    reset(peer);
    // Fails in `send` itself, or in the poll, as the reset arrives.
    client.send(2, [framed(b"into the void")]);
    client.send(3, []);
    client.until_disconnected();
    assert_eq!(client.frames(), [b"answer"]);
}

#[test]
fn send_whose_completion_may_wait_does_not_shorten_a_poll() {
    let (mut client, _peer) = Client::connected();
    let wait = Duration::from_millis(20);
    for (id, may_wait) in [(1, false), (2, true)] {
        let mut send = Send::new([framed(b"request")]);
        if may_wait {
            send = send.completion_may_wait();
        }
        client.selector.send(NetworkSend {
            node: NODE,
            id,
            send,
        });
        let before = client.time.now();
        client.poll(if may_wait { wait } else { LIMIT });
        assert!(!may_wait || client.time.now() - before >= wait);
    }
    assert_eq!(client.all.completed_sends, [(NODE, 1), (NODE, 2)]);
}

#[test]
fn receive_of_many_frames_in_one_segment_costs_one_read() {
    let (mut client, mut peer) = Client::connected();
    let bodies: Vec<Vec<u8>> = (0..100_u8).map(|n| vec![n; usize::from(n)]).collect();
    let stream: Vec<u8> = bodies.iter().flat_map(|body| framed(body)).collect();
    peer.write_all(&stream).unwrap();
    calls::take();
    client.poll(LIMIT);
    assert_eq!(client.frames(), bodies);
    assert_eq!(calls::take().reads, 1);
}

#[test]
fn receive_of_single_bytes_gives_whole_frames_in_order() {
    let (mut client, mut peer) = Client::connected();
    let stream = [framed(b"first"), framed(b""), framed(b"second")].concat();
    for byte in stream {
        peer.write_all(&[byte]).unwrap();
        client.poll(LIMIT);
    }
    assert_eq!(client.frames(), [&b"first"[..], b"", b"second"]);
}

#[test]
fn receive_larger_than_one_poll_reads_goes_on_without_waiting() {
    let (mut client, mut peer) = Client::connected();
    let mut other = client.connect(NodeId(2));
    client.selector.mark_valid(NODE);
    let body = vec![3; 20 << 20];
    let frame = framed(&body);
    let writer = spawn(move || {
        peer.write_all(&frame).unwrap();
        peer
    });
    other.write_all(&framed(b"small")).unwrap();
    client.until(|all| all.receives.len() == 2);
    assert_eq!(client.all.receives[0].node, NodeId(2), "not held up");
    assert!(client.all.receives[1].frame == body);
    writer.join().unwrap();
}

#[test]
fn receive_before_the_first_valid_response_is_limited_more() {
    for (is_valid, expected) in [(false, 0), (true, 1)] {
        let (mut client, mut peer) = Client::connected();
        if is_valid {
            client.selector.mark_valid(NODE);
        }
        let writer = spawn(move || {
            // The other side may have given up by now.
            let _ = peer.write_all(&framed(&vec![0; 600 * 1024]));
            peer
        });
        client.until(|all| !all.receives.is_empty() || !all.disconnected.is_empty());
        assert_eq!(client.all.receives.len(), expected);
        assert_eq!(client.all.disconnected.len(), 1 - expected);
        writer.join().unwrap();
    }
}

#[test]
fn receive_from_a_peer_of_another_protocol_is_garbage_and_says_which() {
    for (bytes, expected) in [
        (&b"\x15\x03\x03\x00\x02\x02\x46"[..], "speaks TLS"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "speaks HTTP"),
        (b"\xff\xff\xff\xff", "frame of -1 bytes"),
        (b"\x7f\xff\xff\xff", "frame of 2147483647 bytes"),
    ] {
        let (mut client, mut peer) = Client::connected();
        let stream = [&framed(b"whole")[..], bytes].concat();
        peer.write_all(&stream).unwrap();
        let end = client.until_disconnected();
        assert_eq!(end.state, ChannelState::Garbage);
        assert!(end.reason.contains(expected), "{}", end.reason);
        assert_eq!(client.frames(), [b"whole"], "it came before");
    }
}

#[test]
fn many_nodes_and_requests_are_answered_in_order() {
    const NODES: i32 = 5;
    const REQUESTS: u32 = 200;
    let mut client = Client::new();
    let echoes: Vec<JoinHandle<()>> = (0..NODES)
        .map(|node| {
            let mut peer = client.connect(NodeId(node));
            spawn(move || {
                let mut buffer = [0; 8];
                while peer.read_exact(&mut buffer).is_ok() {
                    peer.write_all(&buffer).unwrap();
                }
            })
        })
        .collect();
    let request = |selector: &mut Selector, node: NodeId, n: u32| {
        selector.send(NetworkSend {
            node,
            id: u64::from(n),
            send: Send::new([framed(&n.to_be_bytes())]),
        });
    };
    let mut answered = [0; NODES as usize];
    for node in 0..NODES {
        request(&mut client.selector, NodeId(node), 0);
    }
    while answered.iter().any(|count| *count < REQUESTS) {
        let before = client.all.receives.len();
        client.until(|all| all.receives.len() > before);
        for received in client.all.receives.split_off(before) {
            let count = &mut answered[usize::try_from(received.node.0).unwrap()];
            assert_eq!(received.frame[..], count.to_be_bytes());
            *count += 1;
            if *count < REQUESTS {
                request(&mut client.selector, received.node, *count);
            }
        }
    }
    assert!(client.all.disconnected.is_empty());
    drop(client);
    for echo in echoes {
        echo.join().unwrap();
    }
}

#[test]
fn send_of_no_bytes_completes() {
    let (mut client, _peer) = Client::connected();
    client.send(1, []);
    client.poll(LIMIT);
    assert_eq!(client.all.completed_sends, [(NODE, 1)]);
}

#[test]
fn send_and_receive_of_large_messages_go_on_together() {
    const MESSAGES: u8 = 10;
    let (mut client, mut peer) = Client::connected();
    client.selector.mark_valid(NODE);
    // Larger than what the sockets hold, so that the peer writes and reads in turn.
    let echo = spawn(move || {
        let mut buffer = vec![0; (4 << 20) + 4];
        for _ in 0..MESSAGES {
            peer.read_exact(&mut buffer).unwrap();
            peer.write_all(&buffer).unwrap();
        }
        peer
    });
    for n in 0..MESSAGES {
        let body = vec![n; 4 << 20];
        client.send(u64::from(n), [framed(&body)]);
        client.until(|all| all.receives.len() == 1);
        assert!(client.all.receives[0].frame == body);
        client.all.receives.clear();
        assert_eq!(client.all.completed_sends.len(), usize::from(n) + 1);
    }
    echo.join().unwrap();
}

#[test]
fn receive_of_more_than_a_turn_reads_lets_the_others_have_theirs() {
    let (mut client, mut peer) = Client::connected();
    let mut other = client.connect(NodeId(2));
    client.selector.scratch = vec![0; 16].into_boxed_slice();
    peer.write_all(&framed(&[1; 1000])).unwrap();
    client.poll(LIMIT);
    assert!(client.all.receives.is_empty());
    other.write_all(&framed(b"small")).unwrap();
    // Nothing tells of the rest again, so it is remembered and no poll waits.
    let mut order = Vec::new();
    while order.len() < 2 {
        calls::take();
        client.poll(LIMIT);
        assert!(calls::take().reads <= 18);
        order.extend(client.all.receives.drain(..).map(|it| it.node.0));
    }
    assert_eq!(order, [2, 1]);
}
