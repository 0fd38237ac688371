//! The links of a proxy: where they lead, what is done to them, who is connected.
//!
//! Thread: one per link accepts. Locks: one per link, for its conditions and connections; the
//! pipes' are taken under it, never the other way round.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::SockRef;

use super::connection::Connection;
use super::pipe::{Conditions, Direction};

/// For a broker on this machine, which accepts at once or not at all.
const CONNECT: Duration = Duration::from_secs(2);

/// Sees what both sides send, before anything happens to it. Called on the proxy's threads.
pub trait Watcher: Send + Sync {
    /// Bytes of a connection; those of a direction come in order.
    fn sent(&self, connection: u64, link: usize, direction: Direction, bytes: &[u8]);

    /// A side has ended the connection, or the proxy has reset it. Once for each connection; bytes
    /// of the other side may still come.
    fn ended(&self, connection: u64, link: usize);
}

/// Watches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nobody;

impl Watcher for Nobody {
    fn sent(&self, _: u64, _: usize, _: Direction, _: &[u8]) {}

    fn ended(&self, _: u64, _: usize) {}
}

/// Ports that lead to brokers; all that it holds open ends with it.
pub struct FaultProxy {
    links: Vec<Arc<Link>>,
    acceptors: Vec<JoinHandle<()>>,
}

struct Link {
    index: usize,
    port: u16,
    state: Mutex<State>,
    is_over: AtomicBool,
    numbers: Arc<AtomicU64>,
    watcher: Arc<dyn Watcher>,
}

#[derive(Default)]
struct State {
    leads_to: Option<SocketAddr>,
    /// For [`Direction::ToBroker`] and [`Direction::ToClient`].
    conditions: [Conditions; 2],
    connections: Vec<Arc<Connection>>,
}

impl FaultProxy {
    /// Opens so many ports of 127.0.0.1, which lead nowhere yet.
    ///
    /// # Errors
    ///
    /// If there is no free port.
    pub fn start(links: usize, watcher: Arc<dyn Watcher>) -> io::Result<Self> {
        let numbers = Arc::new(AtomicU64::new(0));
        let mut proxy = Self {
            links: Vec::new(),
            acceptors: Vec::new(),
        };
        for index in 0..links {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let link = Arc::new(Link {
                index,
                port: listener.local_addr()?.port(),
                state: Mutex::default(),
                is_over: AtomicBool::new(false),
                numbers: Arc::clone(&numbers),
                watcher: Arc::clone(&watcher),
            });
            proxy.links.push(Arc::clone(&link));
            let acceptor = thread::Builder::new()
                .name(format!("proxy-{index}"))
                .spawn(move || link.accept(&listener))?;
            proxy.acceptors.push(acceptor);
        }
        Ok(proxy)
    }

    /// The ports that clients connect to, one per link.
    pub fn ports(&self) -> Vec<u16> {
        self.links.iter().map(|link| link.port).collect()
    }

    /// Where connections of a link go from now on.
    ///
    /// # Panics
    ///
    /// If there is no such link; so in all that follows.
    pub fn lead(&self, link: usize, to: SocketAddr) {
        self.links[link].lock().leads_to = Some(to);
    }

    /// How many connections of the link neither side has ended.
    pub fn connections(&self, link: usize) -> usize {
        let state = self.links[link].lock();
        state.connections.iter().filter(|c| c.is_alive()).count()
    }

    /// Bytes of both directions come `latency` later, and each piece up to `jitter` later still.
    pub fn delay(&self, link: usize, latency: Duration, jitter: Duration) {
        for direction in BOTH {
            self.links[link].change(direction, |conditions| {
                conditions.delay = latency;
                conditions.jitter = jitter;
            });
        }
    }

    /// Holds the bytes of one direction back, or lets them go on, those held back first.
    pub fn silence(&self, link: usize, direction: Direction, is_silent: bool) {
        self.links[link].change(direction, |conditions| conditions.is_silent = is_silent);
    }

    /// Throws away what brokers answer, or stops it: then connections whose answers have a hole
    /// are reset.
    pub fn swallow_answers(&self, link: usize, is_swallowing: bool) {
        self.links[link].change(Direction::ToClient, |conditions| {
            conditions.is_swallowing = is_swallowing;
        });
    }

    /// Resets each of the link's connections when exactly so many more bytes have passed in the
    /// direction; says how many connections there are.
    pub fn reset_after(&self, link: usize, direction: Direction, bytes: usize) -> usize {
        let state = self.links[link].lock();
        let alive = state.connections.iter().filter(|c| c.is_alive());
        alive
            .map(|connection| connection.pipe(direction).reset_after(bytes))
            .count()
    }

    /// Lets everything of the link pass at once again.
    pub fn heal(&self, link: usize) {
        for direction in BOTH {
            self.links[link].change(direction, |conditions| *conditions = Conditions::default());
        }
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        for link in &self.links {
            link.is_over.store(true, Ordering::SeqCst);
            // Wakes the one that accepts; if nobody does, there is nobody to wake.
            let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, link.port));
        }
        for acceptor in self.acceptors.drain(..) {
            // If it has panicked, that was told.
            let _ = acceptor.join();
        }
        for link in &self.links {
            let connections = link.lock().connections.clone();
            for connection in connections {
                connection.reset();
            }
        }
    }
}

impl fmt::Debug for FaultProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultProxy")
            .field("ports", &self.ports())
            .finish_non_exhaustive()
    }
}

impl Link {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            if self.is_over.load(Ordering::SeqCst) {
                return;
            }
            // Whoever gave up before it was accepted is nobody's concern.
            let Ok(client) = client else { continue };
            if let Err((client, _)) = self.connect(client) {
                // As when nobody listens there; a port that refuses could not be held.
                let _ = SockRef::from(&client).set_linger(Some(Duration::ZERO));
            }
        }
    }

    fn connect(self: &Arc<Self>, client: TcpStream) -> Result<(), (TcpStream, io::Error)> {
        let leads_to = self.lock().leads_to;
        let broker = leads_to
            .ok_or_else(|| io::ErrorKind::ConnectionRefused.into())
            .and_then(|address| TcpStream::connect_timeout(&address, CONNECT));
        let broker = match broker {
            Ok(broker) => broker,
            Err(error) => return Err((client, error)),
        };
        let number = self.numbers.fetch_add(1, Ordering::SeqCst);
        // Under the lock, or a change of conditions could miss it.
        let mut state = self.lock();
        let connection = Connection::new(
            (number, self.index),
            (client, broker),
            state.conditions,
            Arc::clone(&self.watcher),
        );
        // It fails only for a socket that is gone.
        let Ok(connection) = connection.map(Arc::new) else {
            return Ok(());
        };
        state.connections.push(Arc::clone(&connection));
        drop(state);
        let link = Arc::clone(self);
        connection.start(move |number| link.forget(number));
        Ok(())
    }

    fn forget(&self, number: u64) {
        let mut state = self.lock();
        state.connections.retain(|c| c.number() != number);
    }

    fn change(&self, direction: Direction, change: impl FnOnce(&mut Conditions)) {
        let mut state = self.lock();
        let index = match direction {
            Direction::ToBroker => 0,
            Direction::ToClient => 1,
        };
        change(&mut state.conditions[index]);
        let conditions = state.conditions[index];
        for connection in &state.connections {
            connection.pipe(direction).set_conditions(conditions);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const BOTH: [Direction; 2] = [Direction::ToBroker, Direction::ToClient];
