//! A client's connection and the one to the broker that continues it.
//!
//! Thread: four of its own, a reader and a writer for each direction. Locks: none.
//! Invariant: the sockets close when the last of the four is done, by a reset if one was wanted.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use super::fault_proxy::Watcher;
use super::pipe::{Conditions, Direction, Finish, Pipe};

/// How long a write may wait before it looks whether the connection is still wanted.
const WRITE: Duration = Duration::from_millis(50);

/// See the module.
pub(super) struct Connection {
    number: u64,
    link: usize,
    client: TcpStream,
    broker: TcpStream,
    to_broker: Pipe,
    to_client: Pipe,
    threads: AtomicUsize,
    is_ended: AtomicBool,
    watcher: Arc<dyn Watcher>,
}

impl Connection {
    pub(super) fn new(
        (number, link): (u64, usize),
        (client, broker): (TcpStream, TcpStream),
        conditions: [Conditions; 2],
        watcher: Arc<dyn Watcher>,
    ) -> io::Result<Self> {
        for stream in [&client, &broker] {
            stream.set_nodelay(true)?;
            stream.set_write_timeout(Some(WRITE))?;
        }
        let [to_broker, to_client] = conditions;
        // Any two seeds that differ and are not zero.
        let seed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Ok(Self {
            number,
            link,
            client,
            broker,
            to_broker: Pipe::new(to_broker, seed),
            to_client: Pipe::new(to_client, !seed),
            threads: AtomicUsize::new(4),
            is_ended: AtomicBool::new(false),
            watcher,
        })
    }

    /// Starts the threads; `gone` runs when the last of them is done.
    pub(super) fn start(self: &Arc<Self>, gone: impl Fn(u64) + Clone + Send + 'static) {
        for direction in [Direction::ToBroker, Direction::ToClient] {
            for work in [Self::read, Self::write] {
                let connection = Arc::clone(self);
                let gone = gone.clone();
                let run = move || {
                    work(&connection, direction);
                    if connection.threads.fetch_sub(1, Ordering::SeqCst) == 1 {
                        gone(connection.number);
                    }
                };
                thread::Builder::new()
                    .name(format!("proxy-{}-{}", self.link, self.number))
                    .spawn(run)
                    .expect("a machine that runs brokers has four threads more");
            }
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn pipe(&self, direction: Direction) -> &Pipe {
        match direction {
            Direction::ToBroker => &self.to_broker,
            Direction::ToClient => &self.to_client,
        }
    }

    /// Whether neither side has ended it yet.
    pub(super) fn is_alive(&self) -> bool {
        !self.is_ended.load(Ordering::SeqCst)
    }

    /// Both sides get a reset.
    pub(super) fn reset(&self) {
        self.ended();
        // First, or a writer would take the end of its reader for an orderly one.
        self.to_broker.kill();
        self.to_client.kill();
        for stream in [&self.client, &self.broker] {
            // A failure means that it is closed already.
            let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
            // Wakes its reader without a word to the other side.
            let _ = stream.shutdown(Shutdown::Read);
        }
    }

    fn read(&self, direction: Direction) {
        let (from, _) = self.ends(direction);
        let saw = |bytes: &[u8]| self.watcher.sent(self.number, self.link, direction, bytes);
        self.pipe(direction).read_all(from, saw);
        self.ended();
    }

    fn write(&self, direction: Direction) {
        let (from, to) = self.ends(direction);
        match self.pipe(direction).write_all(to) {
            Finish::Closed => {
                let _ = to.shutdown(Shutdown::Write);
            }
            Finish::Reset => self.reset(),
            Finish::Unread => {
                // Its reader takes nothing more; what goes the other way still goes.
                let _ = from.shutdown(Shutdown::Read);
                self.pipe(direction).kill();
                self.ended();
            }
            Finish::Dead => {}
        }
    }

    fn ends(&self, direction: Direction) -> (&TcpStream, &TcpStream) {
        match direction {
            Direction::ToBroker => (&self.client, &self.broker),
            Direction::ToClient => (&self.broker, &self.client),
        }
    }

    fn ended(&self) {
        if !self.is_ended.swap(true, Ordering::SeqCst) {
            self.watcher.ended(self.number, self.link);
        }
    }
}
