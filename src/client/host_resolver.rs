//! Host names to addresses, on a thread of its own, so that a slow resolver stalls no connection
//! (Java: `HostResolver`, which is called on the I/O thread).
//!
//! Thread: Sender; the lookups run on `kafka-producer-resolver | {client_id}`, which is started by
//! the first name that is not an address. Locks: none; bounded channels both ways.
//! Invariants: every lookup that was begun has at most one answer, under its own ticket. A thread
//! that hangs is never joined: it is given up, and ends when its lookup returns. At most
//! [`MAX_THREADS`] exist, however many lookups hang.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use crate::network::Wakeup;

/// Turns host names into addresses; to be replaced where the system's resolver is not the one to ask.
///
/// It is called on a thread of its own and may block; a call that does not return by
/// `socket.connection.setup.timeout.ms` is given up.
pub trait Resolver: Send + Sync {
    /// Returns all addresses of a host, the best first.
    ///
    /// # Errors
    /// If there is none, or it cannot be found out.
    fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The operating system's resolver.
#[derive(Debug)]
struct SystemResolver;

impl Resolver for SystemResolver {
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the one place that resolves names, on a thread of its own"
    )]
    fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        std::net::ToSocketAddrs::to_socket_addrs(&(host, port)).map(Iterator::collect)
    }
}

/// Names one lookup; none is used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LookupTicket(u64);

/// What a lookup found, or why nothing.
pub(crate) type Addresses = io::Result<Vec<SocketAddr>>;

/// A lookup that was begun.
#[derive(Debug)]
pub(super) enum Lookup {
    /// The host is an address, or nothing can be looked up at all.
    Done(Addresses),
    /// `next_answer` will have it, unless the resolver hangs.
    Pending(LookupTicket),
}

/// The client's side of the resolver.
#[derive(Debug)]
pub(crate) struct HostResolver {
    next_ticket: u64,
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    Thread(ResolverThread),
    #[cfg(any(test, fuzzing))]
    Simulated(SharedLookups),
}

impl HostResolver {
    /// Asks the operating system, unless the user brings a [`Resolver`]. Starts no thread yet.
    pub(crate) fn new(
        resolver: Option<Arc<dyn Resolver>>,
        client_id: &str,
        wakeup: Wakeup,
    ) -> Self {
        Self::with(Inner::Thread(ResolverThread {
            resolver: resolver.unwrap_or_else(|| Arc::new(SystemResolver)),
            thread_name: format!("kafka-producer-resolver | {client_id}"),
            wakeup,
            alive: Arc::new(()),
            running: None,
            unanswered: VecDeque::new(),
        }))
    }

    fn with(inner: Inner) -> Self {
        Self {
            next_ticket: 0,
            inner,
        }
    }

    /// Begins to look a host up; an address is its own answer.
    pub(super) fn lookup(&mut self, host: &Arc<str>, port: u16) -> Lookup {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Lookup::Done(Ok(vec![SocketAddr::new(address, port)]));
        }
        let ticket = LookupTicket(self.next_ticket);
        self.next_ticket += 1;
        let question = Question {
            ticket,
            host: Arc::clone(host),
            port,
        };
        match &mut self.inner {
            Inner::Thread(thread) => match thread.ask(question) {
                Ok(()) => Lookup::Pending(ticket),
                Err(error) => Lookup::Done(Err(error)),
            },
            #[cfg(any(test, fuzzing))]
            Inner::Simulated(lookups) => {
                simulated::lock(lookups).ask(ticket, &question.host, port);
                Lookup::Pending(ticket)
            }
        }
    }

    /// The next answer that is there; never blocks. May belong to a lookup nobody waits for any more.
    pub(super) fn next_answer(&mut self) -> Option<(LookupTicket, Addresses)> {
        match &mut self.inner {
            Inner::Thread(thread) => thread.next_answer(),
            #[cfg(any(test, fuzzing))]
            Inner::Simulated(lookups) => simulated::lock(lookups).next_answer(),
        }
    }

    /// A lookup took too long. If it is the one that holds the thread up, the thread is given up,
    /// and those that wait behind it go to a fresh one.
    pub(super) fn give_up(&mut self, ticket: LookupTicket) {
        match &mut self.inner {
            Inner::Thread(thread) => thread.give_up(ticket),
            // A late answer finds nobody who waits for it.
            #[cfg(any(test, fuzzing))]
            Inner::Simulated(_) => {}
        }
    }
}

#[derive(Debug, Clone)]
struct Question {
    ticket: LookupTicket,
    host: Arc<str>,
    port: u16,
}

struct ResolverThread {
    resolver: Arc<dyn Resolver>,
    thread_name: String,
    wakeup: Wakeup,
    /// Every thread that has not ended yet holds a clone.
    alive: Arc<()>,
    /// Dropping the channels is what ends the thread, as soon as its lookup returns.
    running: Option<Channels>,
    /// In the order in which they were asked, which is that of the answers: the first one is being
    /// looked up.
    unanswered: VecDeque<Question>,
}

#[derive(Debug)]
struct Channels {
    questions: Sender<Question>,
    answers: Receiver<(LookupTicket, Addresses)>,
}

impl std::fmt::Debug for ResolverThread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResolverThread")
            .field("thread_name", &self.thread_name)
            .field("running", &self.running)
            .finish_non_exhaustive()
    }
}

impl ResolverThread {
    fn ask(&mut self, question: Question) -> io::Result<()> {
        if self.running.is_none() {
            self.running = Some(self.start()?);
        }
        let Some(channels) = &self.running else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        match channels.questions.try_send(question.clone()) {
            Ok(()) => {
                self.unanswered.push_back(question);
                Ok(())
            }
            Err(TrySendError::Full(_)) => {
                let text = format!("{MAX_LOOKUPS} lookups are waiting for the resolver");
                Err(io::Error::new(io::ErrorKind::WouldBlock, text))
            }
            // It ended by itself: the resolver panicked. The next lookup starts another.
            Err(TrySendError::Disconnected(_)) => {
                self.running = None;
                self.unanswered.clear();
                Err(io::Error::other("the resolver panicked"))
            }
        }
    }

    fn start(&self) -> io::Result<Channels> {
        if Arc::strong_count(&self.alive) > MAX_THREADS {
            let text = format!("{MAX_THREADS} earlier lookups hang in the resolver");
            return Err(io::Error::new(io::ErrorKind::WouldBlock, text));
        }
        let (questions, to_answer) = bounded::<Question>(MAX_LOOKUPS);
        let (answer, answers) = bounded(MAX_LOOKUPS);
        let (resolver, wakeup) = (Arc::clone(&self.resolver), self.wakeup.clone());
        let alive = Arc::clone(&self.alive);
        thread::Builder::new()
            .name(self.thread_name.clone())
            .spawn(move || {
                let _alive = alive;
                for Question { ticket, host, port } in to_answer {
                    let addresses = resolver.resolve(&host, port);
                    if answer.send((ticket, addresses)).is_err() {
                        return;
                    }
                    wakeup.wake();
                }
            })?;
        Ok(Channels { questions, answers })
    }

    fn next_answer(&mut self) -> Option<(LookupTicket, Addresses)> {
        let answer = self.running.as_ref()?.answers.try_recv().ok()?;
        self.unanswered
            .retain(|question| question.ticket != answer.0);
        Some(answer)
    }

    fn give_up(&mut self, ticket: LookupTicket) {
        let holds_up = self.unanswered.front().map(|question| question.ticket);
        if holds_up != Some(ticket) {
            return;
        }
        self.running = None;
        let behind = std::mem::take(&mut self.unanswered);
        for question in behind.into_iter().skip(1) {
            if self.ask(question).is_err() {
                // No thread: they time out, each by itself.
                return;
            }
        }
    }
}

/// More than there are nodes in a cluster; what comes on top fails at once and is tried again.
const MAX_LOOKUPS: usize = 1024;
const MAX_THREADS: usize = 4;

/// The arm for tests: names are looked up by whoever simulates, in the time that is simulated.
#[cfg(any(test, fuzzing))]
pub(crate) mod simulated {
    use std::fmt::Debug;
    use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

    use super::{Addresses, HostResolver, Inner, LookupTicket};

    /// What stands in for the resolver's thread.
    pub(crate) trait Lookups: Debug + Send {
        /// A question; its answer, if there ever is one, comes by `next_answer`.
        fn ask(&mut self, ticket: LookupTicket, host: &str, port: u16);

        /// The next answer that is there.
        fn next_answer(&mut self) -> Option<(LookupTicket, Addresses)>;
    }

    /// Held by the resolver and by who simulates.
    pub(crate) type SharedLookups = Arc<Mutex<dyn Lookups>>;

    impl HostResolver {
        pub(crate) fn simulated(lookups: SharedLookups) -> Self {
            Self::with(Inner::Simulated(lookups))
        }
    }

    pub(super) fn lock(lookups: &SharedLookups) -> MutexGuard<'_, dyn Lookups + 'static> {
        lookups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(any(test, fuzzing))]
use self::simulated::SharedLookups;

/// Answers from a table, at once or when told.
#[cfg(test)]
pub(super) mod scripted {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use super::simulated::Lookups;
    use super::*;

    /// What the test holds; both sides share it.
    pub(in crate::client) type Script = Arc<Mutex<Answers>>;

    #[derive(Debug, Default)]
    pub(in crate::client) struct Answers {
        /// Answers of a host, the next first; the last one stays.
        pub(in crate::client) hosts: BTreeMap<String, VecDeque<Vec<IpAddr>>>,
        /// While true, questions wait.
        pub(in crate::client) is_held: bool,
        pub(in crate::client) asked: Vec<String>,
        waiting: VecDeque<(LookupTicket, String, u16)>,
    }

    impl HostResolver {
        pub(in crate::client) fn scripted() -> (Self, Script) {
            let script = Script::default();
            let lookups: SharedLookups = Arc::<Mutex<Answers>>::clone(&script);
            (Self::simulated(lookups), script)
        }
    }

    impl Lookups for Answers {
        fn ask(&mut self, ticket: LookupTicket, host: &str, port: u16) {
            self.asked.push(host.to_owned());
            self.waiting.push_back((ticket, host.to_owned(), port));
        }

        fn next_answer(&mut self) -> Option<(LookupTicket, Addresses)> {
            if self.is_held {
                return None;
            }
            let (ticket, host, port) = self.waiting.pop_front()?;
            let found = self.hosts.get_mut(&host).and_then(|of_host| {
                if of_host.len() > 1 {
                    of_host.pop_front()
                } else {
                    of_host.front().cloned()
                }
            });
            let addresses = match found {
                Some(found) => Ok(found
                    .into_iter()
                    .map(|ip| SocketAddr::new(ip, port))
                    .collect()),
                None => Err(io::Error::new(io::ErrorKind::NotFound, "no such host")),
            };
            Some((ticket, addresses))
        }
    }
}

#[cfg(test)]
#[path = "host_resolver_tests.rs"]
mod tests;
