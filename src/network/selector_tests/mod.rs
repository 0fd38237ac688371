//! The Selector against sockets on loopback. Thread: one of each test, and its peers.
//!
//! No test sleeps to let something happen: each polls until an event, or until a generous limit
//! after which it fails.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread::JoinHandle;

use bytes::Bytes;
use socket2::{Domain, SockRef, Socket, Type};

use super::super::Send;
use super::super::interest_ops::InterestOps;
use super::super::poller::Registrar;
use super::super::transport::calls::{self, Calls, Registration};
use super::*;
use crate::time::Time;

mod connecting;
mod ending;
mod handling;
#[cfg(feature = "planted")]
mod planted;
mod traffic;
mod waiting;

const NODE: NodeId = NodeId(1);
const LIMIT: Duration = Duration::from_secs(30);

/// A selector, its clock, and everything it reported so far.
struct Client {
    selector: Selector,
    time: Time,
    out: PollOutcome,
    all: PollOutcome,
}

impl Client {
    fn new() -> Self {
        Self::with(SelectorConfig {
            send_buffer_bytes: -1,
            receive_buffer_bytes: -1,
            ..SelectorConfig::default()
        })
    }

    fn with(config: SelectorConfig) -> Self {
        calls::take();
        calls::take_registrations();
        Self {
            selector: Selector::new(config).unwrap(),
            time: Time::default(),
            out: PollOutcome::default(),
            all: PollOutcome::default(),
        }
    }

    /// A client with one connection that is ready, and the peer's end of it.
    fn connected() -> (Self, TcpStream) {
        let mut client = Self::new();
        let peer = client.connect(NODE);
        (client, peer)
    }

    fn connect(&mut self, node: NodeId) -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        self.selector
            .connect(node, address, self.time.now())
            .unwrap();
        self.until(|all| all.connected.contains(&node));
        self.all.clear();
        listener.accept().unwrap().0
    }

    fn poll(&mut self, timeout: Duration) {
        let now = self.time.now();
        self.selector.poll(timeout, now, &mut self.out).unwrap();
        let elapsed = self.time.now() - now;
        assert!(elapsed < LIMIT, "what was to end the wait did not");
        self.all.connected.append(&mut self.out.connected);
        self.all.disconnected.append(&mut self.out.disconnected);
        self.all
            .completed_sends
            .append(&mut self.out.completed_sends);
        self.all.receives.append(&mut self.out.receives);
    }

    fn until(&mut self, condition: impl Fn(&PollOutcome) -> bool) {
        let deadline = self.time.now() + LIMIT;
        while !condition(&self.all) {
            let left = deadline.saturating_duration_since(self.time.now());
            assert!(!left.is_zero(), "nothing more came: {:?}", self.all);
            self.poll(left);
        }
    }

    fn until_disconnected(&mut self) -> Disconnected {
        self.until(|all| !all.disconnected.is_empty());
        assert_eq!(self.all.disconnected.len(), 1);
        assert!(!self.selector.is_channel_ready(NODE));
        self.all.disconnected.remove(0)
    }

    fn send(&mut self, id: u64, parts: impl IntoIterator<Item = Bytes>) {
        let send = Send::new(parts);
        self.selector.send(NetworkSend {
            node: NODE,
            id,
            send,
        });
    }

    fn frames(&self) -> Vec<&[u8]> {
        self.all.receives.iter().map(|it| &it.frame[..]).collect()
    }
}

fn framed(body: &[u8]) -> Bytes {
    let mut bytes = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(body);
    bytes.into()
}

fn spawn<T: std::marker::Send + 'static>(
    run: impl FnOnce() -> T + std::marker::Send + 'static,
) -> JoinHandle<T> {
    std::thread::Builder::new().spawn(run).unwrap()
}

/// Makes the end of the stream a reset instead of an end.
fn reset(stream: TcpStream) {
    SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(stream);
}

fn registrations() -> Vec<Registration> {
    calls::take_registrations()
        .into_iter()
        .map(|(_, change)| change)
        .collect()
}

const CONNECT: InterestOps = InterestOps::CONNECT;
const READ: InterestOps = InterestOps::READ;
const READ_WRITE: InterestOps = InterestOps::READ.with(InterestOps::WRITE);
