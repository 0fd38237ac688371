//! Connections that are made, refused, hang, or are there already.
//! Thread: one of each test, and its peers.

use super::*;

#[test]
fn connect_then_one_request_registers_twice_and_costs_one_call_each() {
    let (mut client, mut peer) = Client::connected();
    assert_eq!(
        registrations(),
        [
            Registration::Register(CONNECT),
            Registration::Reregister(READ)
        ]
    );
    peer.write_all(&framed(b"response")).unwrap();
    calls::take();
    client.send(7, [framed(b"request"), Bytes::from_static(b"more")]);
    client.poll(LIMIT);
    let expected = Calls {
        selects: 1,
        reads: 1,
        writes: 1,
    };
    assert_eq!(calls::take(), expected);
    assert_eq!(client.all.completed_sends, [(NODE, 7)]);
    assert_eq!(client.frames(), [b"response"]);
    assert_eq!(registrations(), [], "a socket with room is not asked about");
}

#[test]
fn connect_sets_the_options_of_its_sockets() {
    let mut client = Client::with(SelectorConfig {
        send_buffer_bytes: 50_000,
        receive_buffer_bytes: 60_000,
        ..SelectorConfig::default()
    });
    let _peer = client.connect(NODE);
    let token = client.selector.channels.token_of(NODE).unwrap();
    let channel = client.selector.channels.get_mut(token).unwrap();
    let Transport::Plain(stream) = channel.transport() else {
        panic!("a real socket");
    };
    let socket = SockRef::from(stream);
    assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
    // Linux doubles what is asked for.
    assert!((50_000..=100_000).contains(&socket.send_buffer_size().unwrap()));
    assert!((60_000..=120_000).contains(&socket.recv_buffer_size().unwrap()));
}

#[test]
fn connect_refused_is_reported_as_not_connected() {
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let mut client = Client::new();
    client
        .selector
        .connect(NODE, address, client.time.now())
        .unwrap();
    client.send(1, [framed(b"early")]);
    let end = client.until_disconnected();
    assert_eq!(end.state, ChannelState::NotConnected);
    assert_eq!(end.reason, format!("{address}: connection refused"));
    assert!(!end.send_begun);
    assert!(client.all.connected.is_empty());
}

#[test]
fn connect_that_hangs_ends_polls_on_time_and_can_be_closed() {
    // A listener that accepts nothing and whose queue is full drops what knocks.
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener
        .bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into())
        .unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let _in_queue = TcpStream::connect(address).unwrap();
    let mut client = Client::new();
    for node in 1..=3 {
        let now = client.time.now();
        client.selector.connect(NodeId(node), address, now).unwrap();
    }
    let before = client.time.now();
    client.poll(Duration::from_millis(50));
    assert!(client.time.now() - before >= Duration::from_millis(50));
    assert!(client.all.connected.is_empty() && client.all.disconnected.is_empty());
    assert!(!client.selector.is_channel_ready(NODE));
    for node in 1..=3 {
        client.selector.close(NodeId(node));
    }
    client.poll(Duration::from_millis(1));
    assert!(client.all.disconnected.is_empty());
}

#[test]
fn connect_twice_is_refused_until_the_first_end_is_reported() {
    let (mut client, peer) = Client::connected();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let now = client.time.now();
    let again = client.selector.connect(NODE, address, now).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AlreadyExists);
    assert!(client.selector.is_channel_ready(NODE), "the first lives on");

    client.send(1, [framed(b"one")]);
    client.poll(Duration::ZERO);
    reset(peer);
    client.until_disconnected();
    client.send(2, [framed(b"to nobody")]);
    let early = client.selector.connect(NODE, address, now).unwrap_err();
    assert_eq!(early.kind(), ErrorKind::AlreadyExists);
    client.until_disconnected();
    client.selector.connect(NODE, address, now).unwrap();
    client.until(|all| all.connected == [NODE]);
}

#[test]
fn connect_that_fails_at_once_leaves_nothing_behind() {
    let mut client = Client::new();
    let now = client.time.now();
    // TCP refuses to speak to the broadcast address.
    let result = client
        .selector
        .connect(NODE, "255.255.255.255:1".parse().unwrap(), now);
    assert!(result.is_err());
    client.send(1, [framed(b"x")]);
    assert_eq!(
        client.until_disconnected().state,
        ChannelState::NotConnected
    );
    let _peer = client.connect(NODE);
}

/// A socket that connected before the selector heard of it, as some systems do on loopback.
fn connected_at_once() -> (Transport, SocketAddr, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nonblocking(true).unwrap();
    let transport = Transport::Plain(mio::net::TcpStream::from_std(stream));
    (transport, address, listener.accept().unwrap().0)
}

#[test]
fn connect_that_ends_at_once_is_reported_without_an_event() {
    let mut client = Client::new();
    let (transport, address, _peer) = connected_at_once();
    let now = client.time.now();
    client
        .selector
        .adopt(NODE, address, (transport, true), now)
        .unwrap();
    assert!(!client.selector.is_channel_ready(NODE));
    client.poll(LIMIT);
    assert_eq!(client.all.connected, [NODE]);
    assert!(client.selector.is_channel_ready(NODE));

    client.selector.close(NODE);
    let (transport, address, _peer) = connected_at_once();
    client
        .selector
        .adopt(NODE, address, (transport, true), now)
        .unwrap();
    client.selector.close(NODE);
    client.poll(Duration::from_millis(1));
    assert_eq!(client.all.connected, [NODE], "closed before it was told");
}

#[test]
fn connect_whose_registration_fails_leaves_nothing_behind() {
    let mut client = Client::new();
    let (mut transport, address, mut peer) = connected_at_once();
    // mio refuses a socket that belongs to another poll (checked in debug builds only).
    let other = mio::Poll::new().unwrap();
    transport
        .register(Registrar::System(other.registry()), Token(0), CONNECT)
        .unwrap();
    if cfg!(debug_assertions) {
        let now = client.time.now();
        let result = client.selector.adopt(NODE, address, (transport, true), now);
        assert!(result.is_err());
        assert_eq!(peer.read(&mut [0; 1]).unwrap(), 0, "the socket is closed");
        client.poll(Duration::from_millis(1));
        assert!(client.all.connected.is_empty());
        let _peer = client.connect(NODE);
    }
}

#[test]
fn connect_and_end_in_one_poll_is_an_end_only() {
    let (mut client, _peer) = Client::connected();
    let token = client.selector.channels.token_of(NODE).unwrap();
    let mut out = PollOutcome::default();
    out.connected.extend([NodeId(7), NODE]);
    client.selector.end(token, &mut out);
    assert_eq!(out.connected, [NodeId(7)]);
    assert_eq!(out.disconnected.len(), 1);
}

#[test]
fn connect_to_a_peer_that_resets_before_the_first_poll_is_an_end_only() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = Client::new();
    let now = client.time.now();
    client
        .selector
        .connect(NODE, listener.local_addr().unwrap(), now)
        .unwrap();
    reset(listener.accept().unwrap().0);
    client.until_disconnected();
    assert!(client.all.connected.is_empty());
}
