//! Ends between frames and in their middle, resets, closes.
//! Thread: one of each test, and its peers.

use super::*;

#[test]
fn end_between_frames_comes_after_the_frames() {
    let (mut client, mut peer) = Client::connected();
    peer.write_all(&[framed(b"a"), framed(b"b")].concat())
        .unwrap();
    drop(peer);
    let end = client.until_disconnected();
    assert_eq!(end.state, ChannelState::Connected);
    assert!(end.reason.contains("connection closed by the peer before"));
    assert_eq!(client.frames(), [b"a", b"b"]);
}

#[test]
fn end_in_the_middle_of_a_frame_tells_how_much_was_there() {
    let (mut client, mut peer) = Client::connected();
    peer.write_all(&framed(&[0; 100])[..10]).unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    let end = client.until_disconnected();
    assert!(end.reason.contains("(10 of 104 bytes)"), "{}", end.reason);
    assert!(client.all.receives.is_empty());
}

#[test]
fn reset_in_the_middle_of_a_frame_ends_the_channel() {
    let (mut client, mut peer) = Client::connected();
    peer.write_all(&framed(&[0; 100])[..10]).unwrap();
    client.poll(LIMIT);
    reset(peer);
    let end = client.until_disconnected();
    assert!(end.reason.ends_with("connection reset by the peer"));
    assert_eq!(end.state, ChannelState::Connected);
}

#[test]
fn reset_in_the_middle_of_a_send_says_that_it_had_begun() {
    let (mut client, peer) = Client::connected();
    client.send(1, [Bytes::from(vec![0; 64 << 20])]);
    reset(peer);
    let end = client.until_disconnected();
    assert!(end.send_begun);
    assert!(client.all.completed_sends.is_empty());
}

#[test]
fn close_reports_nothing_and_the_peer_sees_the_end() {
    let (mut client, mut peer) = Client::connected();
    client.send(1, [framed(b"x")]);
    client.selector.close(NODE);
    client.selector.close(NODE);
    client.poll(Duration::from_millis(1));
    assert!(client.all.disconnected.is_empty() && client.all.completed_sends.is_empty());
    let mut arrived = Vec::new();
    peer.read_to_end(&mut arrived).unwrap();
    assert_eq!(arrived[..], framed(b"x")[..]);
    let _again = client.connect(NODE);
}

#[test]
fn events_of_a_closed_channel_do_not_reach_its_successor() {
    let (mut client, _peer) = Client::connected();
    let old = client.selector.channels.token_of(NODE).unwrap();
    client.selector.close(NODE);
    let _peer = client.connect(NODE);
    let new = client.selector.channels.token_of(NODE).unwrap();
    assert_eq!(index_of(old), index_of(new), "the place is used again");
    assert!(client.selector.channels.get_mut(old).is_none());
    assert!(client.selector.channels.remove(old).is_none());
}

/// Counts in a process of its own, because tests run side by side in this one.
#[test]
fn close_and_drop_leave_no_descriptor() {
    const NAME: &str = "network::selector::tests::ending::close_and_drop_leave_no_descriptor";
    const CHILD: &str = "KAFKA_PRODUCER_TEST_DESCRIPTORS";
    if std::env::var_os(CHILD).is_none() {
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME, "--test-threads=1", "--nocapture"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stdout);
        let erred = String::from_utf8_lossy(&child.stderr);
        assert!(said.contains("1 passed"), "{said}\n{erred}");
        return;
    }
    if !std::path::Path::new("/proc/self/fd").exists() {
        return;
    }
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = open();
    let mut client = Client::new();
    let with_selector = open();
    let peers: Vec<TcpStream> = (1..=4).map(|node| client.connect(NodeId(node))).collect();
    assert_eq!(open(), with_selector + 8);
    client.selector.close(NODE);
    assert_eq!(open(), with_selector + 7);
    drop(peers);
    client.until(|all| all.disconnected.len() == 3);
    assert_eq!(open(), with_selector);
    let _peer = client.connect(NODE);
    drop(client);
    assert_eq!(open(), before + 1, "the peer's end is ours");
}
