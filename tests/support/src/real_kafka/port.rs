//! Loopback ports for brokers, and a lock between processes, both given back by the system.
//!
//! A broker must keep its port while it is down, so a port cannot be held by a listener on the
//! address that the broker binds. It is held by one on another address of the loopback network
//! (127.0.0.0/8 is all ours on Linux): a killed test leaves nothing behind.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use super::failure::Failure;

/// Below the ephemeral range, or an outgoing connection could take a stopped broker's port.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

const HOLDERS: Ipv4Addr = Ipv4Addr::new(127, 75, 71, 1);
const LOCKS: Ipv4Addr = Ipv4Addr::new(127, 75, 71, 2);

/// A port of 127.0.0.1 that no other test takes.
#[derive(Debug)]
pub(super) struct Port {
    number: u16,
    _held: TcpListener,
}

impl Port {
    pub(super) fn reserve() -> Result<Self, Failure> {
        // Where to begin must differ between processes that start together; the rest is a scan.
        let start = RandomState::new().hash_one(0_u8);
        for step in 0..u64::from(COUNT) {
            let offset = u16::try_from((start.wrapping_add(step)) % u64::from(COUNT));
            let number = FIRST + offset.expect("it is below COUNT");
            let Ok(held) = TcpListener::bind((HOLDERS, number)) else {
                continue;
            };
            if TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Ok(Self {
                    number,
                    _held: held,
                });
            }
        }
        Err(Failure::new("no free port on 127.0.0.1"))
    }

    pub(super) fn number(&self) -> u16 {
        self.number
    }
}

/// Held by at most one process; ends with it.
#[derive(Debug)]
pub(super) struct ProcessLock {
    _held: Option<TcpListener>,
}

impl ProcessLock {
    /// Goes on without the lock after `limit`: what it guards is moved into place atomically, the
    /// lock only saves doing it twice.
    pub(super) fn acquire(name: &str, limit: Duration) -> Self {
        let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        let port = FIRST + u16::try_from(hash % u32::from(COUNT)).expect("it is below COUNT");
        let deadline = Instant::now() + limit;
        loop {
            match TcpListener::bind((LOCKS, port)) {
                Ok(held) => return Self { _held: Some(held) },
                Err(_) if Instant::now() > deadline => return Self { _held: None },
                Err(_) => thread::sleep(Duration::from_millis(50)),
            }
        }
    }
}
