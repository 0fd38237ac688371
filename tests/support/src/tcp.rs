//! The cluster behind real sockets on 127.0.0.1.
//!
//! Threads: one that accepts per node, one that reads per connection, and one clock that wakes the
//! cluster when something is due. Locks: a connection's writer before the cluster, never the other
//! way round, so that bytes leave in the order in which the cluster gave them out.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::cluster::{Cluster, ConnId, ConnState};
use crate::config::ClusterConfig;

/// A running embedded cluster; dropping it stops every thread and closes every socket.
#[derive(Debug)]
pub struct EmbeddedKafka {
    shared: Arc<Shared>,
    listeners: Mutex<BTreeMap<i32, Listener>>,
    clock: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    cluster: Mutex<Cluster>,
    /// Wakes the clock thread early.
    earlier: Condvar,
    /// When the clock thread wakes by itself.
    planned_ms: AtomicI64,
    sockets: Mutex<BTreeMap<ConnId, Arc<Socket>>>,
    readers: Mutex<Vec<JoinHandle<()>>>,
    stopped: AtomicBool,
    started: Instant,
    started_ms: i64,
}

#[derive(Debug)]
struct Socket {
    stream: TcpStream,
    /// Held from the moment bytes are taken from the cluster until they are written.
    writer: Mutex<Vec<u8>>,
}

#[derive(Debug)]
struct Listener {
    port: u16,
    running: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

impl EmbeddedKafka {
    /// Starts the cluster on free ports of 127.0.0.1.
    ///
    /// # Panics
    ///
    /// If the system has no port or no thread left.
    pub fn start(config: ClusterConfig) -> Self {
        let cluster = Cluster::new(config);
        let nodes = cluster.nodes();
        let (started, started_ms) = clocks();
        let shared = Arc::new(Shared {
            cluster: Mutex::new(cluster),
            earlier: Condvar::new(),
            planned_ms: AtomicI64::new(i64::MAX),
            sockets: Mutex::new(BTreeMap::new()),
            readers: Mutex::new(Vec::new()),
            stopped: AtomicBool::new(false),
            started,
            started_ms,
        });
        let ticking = Arc::clone(&shared);
        let kafka = Self {
            clock: Some(spawn("embedded-kafka-clock", move || ticking.tick())),
            shared,
            listeners: Mutex::new(BTreeMap::new()),
        };
        for node in nodes {
            kafka.listen(node, 0);
        }
        kafka
    }

    /// `bootstrap.servers` of all nodes.
    pub fn bootstrap(&self) -> String {
        let listeners = lock(&self.listeners);
        let addresses: Vec<String> = listeners
            .values()
            .map(|listener| format!("127.0.0.1:{}", listener.port))
            .collect();
        addresses.join(",")
    }

    /// The port of a node; 0 if there is no such node.
    pub fn port(&self, node: i32) -> u16 {
        lock(&self.listeners)
            .get(&node)
            .map_or(0, |listener| listener.port)
    }

    /// Looks at the cluster or changes it; what it then has to say is sent at once. Nodes are
    /// stopped and started with the methods of this type, which close and open their ports too.
    /// Not to be called again from inside `f`.
    pub fn with<R>(&self, f: impl FnOnce(&mut Cluster) -> R) -> R {
        let mut cluster = lock(&self.shared.cluster);
        cluster.advance(self.shared.now_ms());
        let result = f(&mut cluster);
        let touched = self.shared.after(&cluster);
        drop(cluster);
        touched.into_iter().for_each(|id| self.shared.flush(id));
        result
    }

    /// Milliseconds since 1970 as the cluster counts them, for [`Cluster::schedule`].
    pub fn now_ms(&self) -> i64 {
        self.shared.now_ms()
    }

    /// Stops a node: its port refuses, its connections are closed, its leaders move.
    pub fn stop_broker(&self, node: i32) {
        if let Some(listener) = lock(&self.listeners).get_mut(&node) {
            listener.stop();
        }
        self.with(|cluster| cluster.stop_broker(node));
    }

    /// Starts a stopped node on the port it had.
    ///
    /// # Panics
    ///
    /// If somebody else took the port.
    pub fn start_broker(&self, node: i32) {
        let stopped = lock(&self.listeners)
            .get(&node)
            .filter(|listener| listener.running.is_none())
            .map(|listener| listener.port);
        if let Some(port) = stopped {
            self.with(|cluster| cluster.start_broker(node));
            self.listen(node, port);
        }
    }

    /// Adds a node and returns its id.
    pub fn add_broker(&self) -> i32 {
        let node = self.with(Cluster::add_broker);
        self.listen(node, 0);
        node
    }

    /// How many connections a node has accepted.
    pub fn connections_accepted(&self, node: i32) -> u64 {
        self.with(|cluster| cluster.connections_accepted(node))
    }

    fn listen(&self, node: i32, port: u16) {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("a port of 127.0.0.1 is free");
        let address = listener.local_addr();
        let port = address.expect("a bound listener has an address").port();
        self.with(|cluster| cluster.set_endpoint(node, "127.0.0.1", port));
        let running = Arc::new(AtomicBool::new(true));
        let (on, shared) = (Arc::clone(&running), Arc::clone(&self.shared));
        let name = format!("embedded-kafka-{node}");
        let thread = spawn(&name, move || accept(&shared, &listener, node, &on));
        let running = Some((running, thread));
        lock(&self.listeners).insert(node, Listener { port, running });
    }
}

impl Drop for EmbeddedKafka {
    fn drop(&mut self) {
        for listener in lock(&self.listeners).values_mut() {
            listener.stop();
        }
        {
            // Under the lock, so that the clock thread cannot miss it between look and wait.
            let _cluster = lock(&self.shared.cluster);
            self.shared.stopped.store(true, Ordering::SeqCst);
            self.shared.earlier.notify_all();
        }
        for socket in lock(&self.shared.sockets).values() {
            let _ = socket.stream.shutdown(Shutdown::Both);
        }
        let readers = std::mem::take(&mut *lock(&self.shared.readers));
        for thread in readers.into_iter().chain(self.clock.take()) {
            let _ = thread.join();
        }
    }
}

impl Listener {
    /// Wakes the thread that accepts by a connection of its own, and waits for its end.
    fn stop(&mut self) {
        if let Some((running, thread)) = self.running.take() {
            running.store(false, Ordering::SeqCst);
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
            let _ = TcpStream::connect_timeout(&address, Duration::from_secs(5));
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn now_ms(&self) -> i64 {
        let elapsed = self.started.elapsed().as_millis();
        self.started_ms + i64::try_from(elapsed).expect("a test does not run that long")
    }

    /// The connections to flush; wakes the clock if something is due earlier than it thinks.
    fn after(&self, cluster: &Cluster) -> Vec<ConnId> {
        let next = cluster.next_event().unwrap_or(i64::MAX);
        if next < self.planned_ms.load(Ordering::SeqCst) {
            self.earlier.notify_all();
        }
        cluster.with_output().collect()
    }

    fn tick(&self) {
        let mut cluster = lock(&self.cluster);
        while !self.stopped.load(Ordering::SeqCst) {
            let now_ms = self.now_ms();
            let next = cluster.advance(now_ms);
            let touched: Vec<ConnId> = cluster.with_output().collect();
            if !touched.is_empty() {
                drop(cluster);
                touched.into_iter().for_each(|id| self.flush(id));
                cluster = lock(&self.cluster);
                continue;
            }
            self.planned_ms
                .store(next.unwrap_or(i64::MAX), Ordering::SeqCst);
            let wait = next.map_or(60_000, |next| (next - now_ms).clamp(1, 60_000));
            let wait = Duration::from_millis(wait.unsigned_abs());
            let woken = self.earlier.wait_timeout(cluster, wait);
            cluster = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Sends what the cluster has for a connection, and closes it if the cluster did.
    fn flush(&self, id: ConnId) {
        let Some(socket) = lock(&self.sockets).get(&id).cloned() else {
            return;
        };
        let mut bytes = lock(&socket.writer);
        let state = lock(&self.cluster).output(id, &mut bytes);
        self.send(id, &socket, &mut bytes, state);
    }

    fn send(&self, id: ConnId, socket: &Socket, bytes: &mut Vec<u8>, state: ConnState) {
        let mut stream = &socket.stream;
        let sent = stream.write_all(bytes);
        bytes.clear();
        if state == ConnState::Closed || sent.is_err() {
            let _ = socket.stream.shutdown(Shutdown::Both);
            lock(&self.sockets).remove(&id);
        }
    }

    fn read(&self, id: ConnId, socket: &Socket) {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let mut stream = &socket.stream;
            let count = match stream.read(&mut buffer) {
                Ok(count) if count > 0 => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Ok(_) | Err(_) => break,
            };
            let mut out = lock(&socket.writer);
            let mut cluster = lock(&self.cluster);
            cluster.receive(id, &buffer[..count], self.now_ms());
            let state = cluster.output(id, &mut out);
            let others = self.after(&cluster);
            drop(cluster);
            self.send(id, socket, &mut out, state);
            drop(out);
            others.into_iter().for_each(|id| self.flush(id));
        }
        let mut cluster = lock(&self.cluster);
        cluster.disconnect(id, self.now_ms());
        let others = self.after(&cluster);
        drop(cluster);
        lock(&self.sockets).remove(&id);
        others.into_iter().for_each(|id| self.flush(id));
    }
}

const READ_BYTES: usize = 128 * 1024;
/// A client that does not read its answers for so long is given up.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

fn accept(shared: &Arc<Shared>, listener: &TcpListener, node: i32, running: &AtomicBool) {
    loop {
        let accepted = listener.accept();
        if !running.load(Ordering::SeqCst) {
            return;
        }
        let Ok((stream, _)) = accepted else { continue };
        let _ = stream.set_nodelay(true);
        let _ = stream.set_write_timeout(Some(WRITE_TIMEOUT));
        let id = lock(&shared.cluster).connect(node, shared.now_ms());
        // A node that refuses has closed the socket by dropping it.
        let Some(id) = id else { continue };
        let socket = Arc::new(Socket {
            stream,
            writer: Mutex::new(Vec::new()),
        });
        lock(&shared.sockets).insert(id, Arc::clone(&socket));
        // The cluster may have stopped the node in between: then the end waits to be seen.
        shared.flush(id);
        let reading = Arc::clone(shared);
        let reader = spawn("embedded-kafka-reader", move || reading.read(id, &socket));
        let mut readers = lock(&shared.readers);
        readers.retain(|reader| !reader.is_finished());
        readers.push(reader);
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    let builder = Builder::new().name(name.to_owned());
    builder.spawn(run).expect("the system has a thread left")
}

/// A panic in a test must not become a second one here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[allow(
    clippy::disallowed_methods,
    reason = "the one place of the embedded cluster that reads clocks"
)]
fn clocks() -> (Instant, i64) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = since.map_or(0, |since| since.as_millis());
    let millis = i64::try_from(millis).expect("milliseconds since 1970 fit");
    (Instant::now(), millis)
}
