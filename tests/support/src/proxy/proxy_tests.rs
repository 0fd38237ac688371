//! What the proxy does to the bytes between a client and a listener that stands for a broker.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::{Direction, FaultProxy, Nobody, Watcher};

/// Nothing here takes so long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long something that must not come is waited for.
const A_WHILE: Duration = Duration::from_millis(60);

/// A proxy with one link, and the listener that it leads to.
struct Between {
    proxy: FaultProxy,
    listener: TcpListener,
}

impl Between {
    fn new() -> Self {
        Self::watched(Arc::new(Nobody))
    }

    fn watched(watcher: Arc<dyn Watcher>) -> Self {
        let proxy = FaultProxy::start(1, watcher).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        proxy.lead(0, listener.local_addr().unwrap());
        Self { proxy, listener }
    }

    /// A connection's two ends, once the proxy counts it.
    fn connect(&self) -> (TcpStream, TcpStream) {
        let client = self.client();
        let (broker, _) = self.listener.accept().unwrap();
        broker.set_read_timeout(Some(PATIENCE)).unwrap();
        while self.proxy.connections(0) == 0 {
            thread::yield_now();
        }
        (client, broker)
    }

    fn client(&self) -> TcpStream {
        let client = TcpStream::connect((Ipv4Addr::LOCALHOST, self.proxy.ports()[0])).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client
    }
}

/// Not periodic in any length that matters here.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x1234_5678_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(next).collect()
}

fn read(mut from: &TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes).unwrap();
    bytes
}

/// All that comes before the end, and what sort of end it is; `None` is an orderly one.
fn read_to_end(mut from: &TcpStream) -> (Vec<u8>, Option<ErrorKind>) {
    let mut bytes = Vec::new();
    let end = from.read_to_end(&mut bytes).err();
    (bytes, end.map(|error| error.kind()))
}

fn comes_nothing(mut to: &TcpStream) -> bool {
    to.set_read_timeout(Some(A_WHILE)).unwrap();
    let read = to.read(&mut [0]);
    to.set_read_timeout(Some(PATIENCE)).unwrap();
    matches!(read, Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

#[test]
fn bytes_of_both_directions_pass_unchanged() {
    let between = Between::new();
    let (client, broker) = between.connect();
    let up = noise(3_000_000);
    let down: Vec<u8> = noise(2_000_001).into_iter().rev().collect();
    thread::scope(|scope| {
        for (mut from, bytes) in [(&client, &up), (&broker, &down)] {
            scope.spawn(move || {
                for piece in bytes.chunks(7_919) {
                    from.write_all(piece).unwrap();
                }
            });
        }
        let arrived = scope.spawn(|| read(&broker, up.len()));
        assert!(read(&client, down.len()) == down, "answers were changed");
        assert!(arrived.join().unwrap() == up, "requests were changed");
    });
}

#[test]
fn end_of_one_direction_passes_and_the_other_goes_on() {
    let between = Between::new();
    let (mut client, mut broker) = between.connect();
    client.write_all(b"question").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&broker), (b"question".to_vec(), None));
    broker.write_all(b"answer").unwrap();
    drop(broker);
    assert_eq!(read_to_end(&client), (b"answer".to_vec(), None));
}

#[test]
fn reset_comes_after_exactly_so_many_bytes() {
    for (direction, bytes) in [
        (Direction::ToBroker, 1),
        (Direction::ToBroker, 16_385),
        (Direction::ToClient, 40_000),
    ] {
        let between = Between::new();
        let (client, broker) = between.connect();
        assert_eq!(between.proxy.reset_after(0, direction, bytes), 1);
        let sent = noise(100_000);
        let (mut from, to) = match direction {
            Direction::ToBroker => (&client, &broker),
            Direction::ToClient => (&broker, &client),
        };
        thread::scope(|scope| {
            // The reset may come while it writes.
            scope.spawn(|| from.write_all(&sent));
            let (arrived, end) = read_to_end(to);
            assert!(arrived == sent[..bytes], "{} of {bytes}", arrived.len());
            assert_eq!(end, Some(ErrorKind::ConnectionReset));
        });
        let (_, end) = read_to_end(from);
        assert_eq!(end, Some(ErrorKind::ConnectionReset), "{direction:?}");
    }
}

#[test]
fn reset_after_no_bytes_comes_at_once() {
    let between = Between::new();
    let (client, broker) = between.connect();
    between.proxy.reset_after(0, Direction::ToClient, 0);
    assert_eq!(read_to_end(&client).1, Some(ErrorKind::ConnectionReset));
    assert_eq!(read_to_end(&broker).1, Some(ErrorKind::ConnectionReset));
    assert_eq!(between.proxy.connections(0), 0);
}

#[test]
fn silence_holds_one_direction_back_and_the_other_goes_on() {
    for direction in [Direction::ToBroker, Direction::ToClient] {
        let between = Between::new();
        let (client, broker) = between.connect();
        between.proxy.silence(0, direction, true);
        let ((mut silent, deaf), (mut heard, hears)) = match direction {
            Direction::ToBroker => ((&client, &broker), (&broker, &client)),
            Direction::ToClient => ((&broker, &client), (&client, &broker)),
        };
        silent.write_all(b"held back").unwrap();
        heard.write_all(b"passes").unwrap();
        assert_eq!(read(hears, 6), b"passes");
        assert!(comes_nothing(deaf), "{direction:?}");
        between.proxy.silence(0, direction, false);
        assert_eq!(read(deaf, 9), b"held back");
    }
}

#[test]
fn silence_holds_for_connections_that_come_later() {
    let between = Between::new();
    between.proxy.silence(0, Direction::ToBroker, true);
    let (mut client, broker) = between.connect();
    client.write_all(b"x").unwrap();
    assert!(comes_nothing(&broker));
    between.proxy.heal(0);
    assert_eq!(read(&broker, 1), b"x");
}

/// As packets do that lay in a queue somewhere.
#[test]
fn request_held_back_arrives_although_its_client_has_gone() {
    let between = Between::new();
    let (mut client, broker) = between.connect();
    between.proxy.silence(0, Direction::ToBroker, true);
    client.write_all(b"late").unwrap();
    drop(client);
    assert!(comes_nothing(&broker));
    between.proxy.silence(0, Direction::ToBroker, false);
    assert_eq!(read_to_end(&broker), (b"late".to_vec(), None));
}

#[test]
fn latency_delays_each_direction_and_keeps_the_order() {
    let between = Between::new();
    let (mut client, mut broker) = between.connect();
    let latency = Duration::from_millis(30);
    between.proxy.delay(0, latency, Duration::from_millis(20));
    let bytes = noise(100);
    let started = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| {
            // One by one, so that jitter has pieces to mix up.
            for byte in bytes.chunks(1) {
                client.write_all(byte).unwrap();
            }
        });
        assert_eq!(read(&broker, bytes.len()), bytes);
    });
    assert!(started.elapsed() >= latency);
    broker.write_all(b"x").unwrap();
    assert_eq!(read(&client, 1), b"x");
    assert!(started.elapsed() >= 2 * latency);
    between.proxy.heal(0);
    client.write_all(b"at once").unwrap();
    assert_eq!(read(&broker, 7), b"at once");
}

#[test]
fn swallowed_answer_never_arrives_and_costs_the_connection() {
    let watched = Arc::new(Watched::default());
    let between = Between::watched(watched.clone());
    let (mut client, mut broker) = between.connect();
    between.proxy.swallow_answers(0, true);
    client.write_all(b"request").unwrap();
    assert_eq!(read(&broker, 7), b"request");
    broker.write_all(b"answer").unwrap();
    assert!(comes_nothing(&client));
    between.proxy.swallow_answers(0, false);
    // Another answer would follow a hole.
    let _ = broker.write_all(b"another");
    assert_eq!(
        read_to_end(&client),
        (Vec::new(), Some(ErrorKind::ConnectionReset))
    );
    assert_eq!(watched.ends.lock().unwrap().as_slice(), [0]);
}

#[test]
fn swallowing_spares_connections_that_were_not_answered() {
    let between = Between::new();
    let (client, mut broker) = between.connect();
    between.proxy.swallow_answers(0, true);
    between.proxy.swallow_answers(0, false);
    broker.write_all(b"answer").unwrap();
    assert_eq!(read(&client, 6), b"answer");
}

#[test]
fn link_to_a_dead_broker_ends_the_connection() {
    let Between { proxy, listener } = Between::new();
    drop(listener);
    let client = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.ports()[0])).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(read_to_end(&client).1, Some(ErrorKind::ConnectionReset));
}

#[test]
fn watcher_sees_what_was_sent_whatever_becomes_of_it() {
    let watched = Arc::new(Watched::default());
    let between = Between::watched(watched.clone());
    let (mut client, _broker) = between.connect();
    between.proxy.silence(0, Direction::ToBroker, true);
    client.write_all(b"unheard").unwrap();
    let mut seen = Vec::new();
    while seen.len() < 7 {
        seen.extend(watched.bytes.next(PATIENCE));
    }
    assert_eq!(seen, b"unheard");
    drop(between);
    assert_eq!(read_to_end(&client).1, Some(ErrorKind::ConnectionReset));
}

struct Watched {
    bytes: Stream,
    ends: Mutex<Vec<u64>>,
}

struct Stream(Sender<Vec<u8>>, Mutex<Receiver<Vec<u8>>>);

impl Stream {
    fn next(&self, limit: Duration) -> Vec<u8> {
        self.1.lock().unwrap().recv_timeout(limit).unwrap()
    }
}

impl Default for Watched {
    fn default() -> Self {
        let (sender, receiver) = channel();
        Self {
            bytes: Stream(sender, Mutex::new(receiver)),
            ends: Mutex::default(),
        }
    }
}

impl Watcher for Watched {
    fn sent(&self, _: u64, _: usize, direction: Direction, bytes: &[u8]) {
        if direction == Direction::ToBroker {
            self.bytes.0.send(bytes.to_vec()).unwrap();
        }
    }

    fn ended(&self, connection: u64, _: usize) {
        self.ends.lock().unwrap().push(connection);
    }
}
