//! What a poll brought is the caller's, whatever becomes of the channels meanwhile.
//! Thread: one of each test, and its peers.

use super::*;

#[test]
fn frames_of_channels_closed_while_they_are_handled_stay_and_the_others_live_on() {
    let mut client = Client::new();
    let mut peers: Vec<TcpStream> = (1..=4).map(|node| client.connect(NodeId(node))).collect();
    for (node, peer) in (1..=4).zip(&mut peers) {
        peer.write_all(&framed(&[node; 100])).unwrap();
    }
    client.until(|all| all.receives.len() == 4);
    for at in 0..4 {
        let received = &client.all.receives[at];
        if received.node.0 <= 2 {
            client.selector.close(received.node);
        }
        let node = u8::try_from(received.node.0).unwrap();
        assert_eq!(received.frame[..], [node; 100]);
    }
    client.poll(Duration::from_millis(1));
    assert_eq!(client.all.receives.len(), 4, "nothing comes twice");
    assert!(client.all.disconnected.is_empty(), "closed by us");
    let ready = [1, 2, 3, 4].map(|node| client.selector.is_channel_ready(NodeId(node)));
    assert_eq!(ready, [false, false, true, true]);
    for peer in &mut peers[..2] {
        assert_eq!(peer.read(&mut [0; 1]).unwrap(), 0);
    }
}

#[test]
fn outcome_of_a_poll_has_nothing_of_the_poll_before() {
    let (mut client, mut peer) = Client::connected();
    client.send(1, [framed(b"request")]);
    peer.write_all(&framed(b"response")).unwrap();
    let (mut sent, mut received) = (0, 0);
    let mut out = PollOutcome::default();
    while sent == 0 || received == 0 {
        let now = client.time.now();
        client.selector.poll(LIMIT, now, &mut out).unwrap();
        assert!(client.time.now() - now < LIMIT);
        sent += out.completed_sends.len();
        received += out.receives.len();
    }
    assert_eq!((sent, received), (1, 1));
    let now = client.time.now();
    let short = Duration::from_millis(1);
    client.selector.poll(short, now, &mut out).unwrap();
    assert!(out.completed_sends.is_empty() && out.receives.is_empty());
}

#[test]
fn idle_connection_whose_peer_left_has_one_end_after_what_it_sent() {
    const IDLE: Duration = Duration::from_secs(60);
    let mut client = Client::with(SelectorConfig {
        connections_max_idle: Some(IDLE),
        ..SelectorConfig::default()
    });
    let (time, clock) = Time::mock();
    client.time = time;
    let mut peer = client.connect(NODE);
    for body in [b"1", b"2", b"3"] {
        peer.write_all(&framed(body)).unwrap();
    }
    drop(peer);
    clock.advance(IDLE * 2);
    client.until_disconnected();
    assert_eq!(client.frames(), [b"1", b"2", b"3"]);
    client.poll(Duration::from_millis(1));
    assert!(client.all.disconnected.is_empty(), "it has ended once");
}
