//! The network of [`super::hostile_client`]: sockets whose other ends do what the fuzzer's bytes say,
//! below the real selector.
//!
//! Thread: the fuzzer's. Locks: its own, held by the caller. Every `select` takes one step of the
//! script; when that is over, connections end and nobody takes new ones, so that time passes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::broker_answers::SeenRequest;
use super::input::Input;
use crate::network::{Wakeup, Wire, WireEvent, WireId, WireInterest};
use crate::time::MockTime;

/// All connections, and the script.
#[derive(Debug)]
pub(super) struct HostileWire {
    clock: Arc<MockTime>,
    script: Vec<u8>,
    at: usize,
    links: BTreeMap<WireId, Link>,
    edges: BTreeSet<WireId>,
    next_id: u64,
    /// Records whose request was written whole and was certainly not answered.
    pub(super) doubtful: BTreeSet<u32>,
    /// Polls in a row, after the script, that brought nothing and did not wait.
    spins: u32,
}

#[derive(Debug)]
struct Link {
    state: State,
    registered: Option<(usize, WireInterest)>,
    inbox: VecDeque<u8>,
    has_ended: bool,
    /// Bytes that the next write takes; then the socket is full until it is told to go on.
    room: usize,
    /// Written, and not yet a whole frame.
    written: Vec<u8>,
    /// Requests that were written whole and not answered, with the records in them.
    requests: VecDeque<(SeenRequest, Vec<u32>)>,
    /// So far only whole answers were sent, each to the oldest request.
    is_clean: bool,
    /// What arrived cannot be an answer: polls until the client must have closed it.
    condemned: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Connecting,
    Connected,
    Failed,
}

impl HostileWire {
    pub(super) fn new(clock: Arc<MockTime>, script: &[u8]) -> Self {
        Self {
            clock,
            script: script.to_vec(),
            at: 0,
            links: BTreeMap::new(),
            edges: BTreeSet::new(),
            next_id: 0,
            doubtful: BTreeSet::new(),
            spins: 0,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.at >= self.script.len()
    }

    /// One choice of the script.
    pub(super) fn choose(&mut self, bound: usize) -> usize {
        self.read_script(|input| input.below(bound))
    }

    fn read_script<R>(&mut self, read: impl FnOnce(&mut Input<'_>) -> R) -> R {
        let mut input = Input::new(self.script.get(self.at..).unwrap_or_default());
        let result = read(&mut input);
        let left = input.rest().len();
        self.at = self.script.len() - left;
        result
    }

    fn step(&mut self) {
        let ids: Vec<WireId> = self.links.keys().copied().collect();
        let choice = self.choose(16);
        let Some(id) = ids.get(self.choose(ids.len())).copied() else {
            return;
        };
        match choice {
            0..=2 => self.connect_all(),
            3..=7 => self.answer(id, 0),
            8 => self.answer(id, 1),
            9 => self.body_of_script(id),
            10 => self.raw(id),
            11 => self.certain_rubbish(id),
            12 => self.end(id, false),
            13 => self.end(id, true),
            14 => {
                let room = self.read_script(|input| input.one_of(&[0, 1, 7, 100]));
                // A socket that has just connected is empty.
                self.with(id, |link| {
                    if link.state == State::Connected {
                        link.room = room;
                    }
                });
            }
            _ => self.with(id, |link| link.room = usize::MAX),
        }
    }

    fn with(&mut self, id: WireId, change: impl FnOnce(&mut Link)) {
        if let Some(link) = self.links.get_mut(&id) {
            change(link);
            self.edges.insert(id);
        }
    }

    fn connect_all(&mut self) {
        for (id, link) in &mut self.links {
            if link.state == State::Connecting {
                link.state = State::Connected;
                self.edges.insert(*id);
            }
        }
    }

    fn oldest(&self, id: WireId) -> Option<SeenRequest> {
        let link = self.links.get(&id)?;
        if link.condemned.is_some() || link.has_ended {
            return None;
        }
        link.requests.front().map(|(request, _)| *request)
    }

    /// An answer as brokers write them, with some bytes of it changed.
    fn answer(&mut self, id: WireId, changes: usize) {
        let Some(request) = self.oldest(id) else {
            return;
        };
        let body = self.read_script(|input| request.body(input));
        let mut frame = request.frame(request.correlation_id, &body);
        for _ in 0..changes {
            let (place, by) = (self.choose(256), self.choose(256));
            let length = frame.len();
            if let Some(byte) = frame.get_mut(place % length.max(1)) {
                *byte ^= u8::try_from(by).unwrap_or(0);
            }
        }
        self.deliver(id, &frame, changes == 0);
    }

    /// An answer whose body is the script's.
    fn body_of_script(&mut self, id: WireId) {
        let Some(request) = self.oldest(id) else {
            return;
        };
        let length = self.choose(256);
        let body = self.read_script(|input| input.take(length).to_vec());
        let frame = request.frame(request.correlation_id, &body);
        self.deliver(id, &frame, true);
    }

    fn raw(&mut self, id: WireId) {
        let length = self.choose(256);
        let bytes = self.read_script(|input| input.take(length).to_vec());
        self.deliver(id, &bytes, false);
    }

    /// What cannot be an answer, whatever was asked: the client has to close the connection.
    fn certain_rubbish(&mut self, id: WireId) {
        let choice = self.choose(5);
        let oldest = self.oldest(id);
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let can = link.state == State::Connected && link.is_clean && !link.has_ended;
        if !can || link.condemned.is_some() {
            return;
        }
        let bytes = match (choice, oldest) {
            (0, _) => vec![0x7F, 0xFF, 0xFF, 0xFF],
            (1, _) => vec![0xFF, 0xFF, 0xFF, 0xFE],
            (2, _) => b"HTTP/1.1 400 Bad Request".to_vec(),
            (3, Some(request)) => request.frame(request.correlation_id.wrapping_add(1), &[0; 40]),
            _ => vec![0, 0, 0, 2, 1, 2],
        };
        link.condemned = Some(0);
        for (_, records) in link.requests.drain(..) {
            self.doubtful.extend(records);
        }
        link.inbox.extend(bytes);
        self.edges.insert(id);
    }

    /// Bytes arrive. `is_answer`: they are one whole frame to the oldest request.
    fn deliver(&mut self, id: WireId, bytes: &[u8], is_answer: bool) {
        self.with(id, |link| {
            if link.state == State::Connected && !link.has_ended {
                link.inbox.extend(bytes);
                link.is_clean &= is_answer;
                link.requests.pop_front();
            }
        });
    }

    /// The peer ends the connection, with what it had sent still to be read or not.
    fn end(&mut self, id: WireId, reset: bool) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        if reset || link.state == State::Connecting {
            link.state = State::Failed;
            link.inbox.clear();
        }
        link.has_ended = true;
        if link.is_clean {
            for (_, records) in link.requests.drain(..) {
                self.doubtful.extend(records);
            }
        }
        self.edges.insert(id);
    }

    /// The script is over: nobody is there any more.
    fn end_all(&mut self) {
        let ids: Vec<WireId> = self.links.keys().copied().collect();
        for id in ids {
            let is_over = self.links.get(&id).is_some_and(|link| link.has_ended);
            if !is_over {
                self.end(id, true);
            }
        }
    }

    /// Connections that should be closed by now.
    fn check_condemned(&mut self) {
        for (id, link) in &mut self.links {
            if let Some(polls) = &mut link.condemned {
                *polls += 1;
                assert!(*polls < 4, "{id:?}: rubbish did not end the connection");
            }
        }
    }

    fn take_edges(&mut self, events: &mut Vec<WireEvent>) {
        for id in std::mem::take(&mut self.edges) {
            let Some(link) = self.links.get(&id) else {
                continue;
            };
            let Some((token, interest)) = link.registered else {
                continue;
            };
            let event = WireEvent {
                token,
                is_readable: interest.read && link.is_readable(),
                is_writable: interest.write && link.is_writable(),
                has_ended: link.has_ended,
            };
            if event.is_readable || event.is_writable || event.has_ended {
                events.push(event);
            }
        }
    }
}

impl Link {
    fn is_readable(&self) -> bool {
        !self.inbox.is_empty() || self.has_ended
    }

    fn is_writable(&self) -> bool {
        self.state != State::Connecting && self.room > 0
    }

    /// Takes whole requests out of what was written.
    fn take_requests(&mut self) {
        while let Some((size, rest)) = self.written.split_first_chunk::<4>() {
            let size = usize::try_from(u32::from_be_bytes(*size)).unwrap_or(usize::MAX);
            let Some(frame) = rest.get(..size) else {
                return;
            };
            let request = SeenRequest::of(frame).expect("a request has a header");
            self.requests.push_back((request, records_in(frame)));
            self.written.drain(..4 + size);
        }
    }
}

impl Wire for HostileWire {
    fn connect(&mut self, address: SocketAddr) -> io::Result<(WireId, bool)> {
        if address.port() == 1 {
            return Err(ErrorKind::AddrNotAvailable.into());
        }
        let id = WireId(self.next_id);
        self.next_id += 1;
        let link = Link {
            state: State::Connecting,
            registered: None,
            inbox: VecDeque::new(),
            has_ended: false,
            room: usize::MAX,
            written: Vec::new(),
            requests: VecDeque::new(),
            is_clean: true,
            condemned: None,
        };
        self.links.insert(id, link);
        Ok((id, false))
    }

    fn finish_connect(&mut self, id: WireId) -> io::Result<bool> {
        match self.links.get(&id).map(|link| link.state) {
            Some(State::Connected) => Ok(true),
            Some(State::Connecting) => Ok(false),
            Some(State::Failed) | None => Err(ErrorKind::ConnectionRefused.into()),
        }
    }

    fn read(&mut self, id: WireId, into: &mut [u8]) -> io::Result<usize> {
        let link = self.links.get_mut(&id).ok_or(ErrorKind::NotConnected)?;
        if link.inbox.is_empty() {
            return match link.state {
                State::Failed => Err(ErrorKind::ConnectionReset.into()),
                _ if link.has_ended => Ok(0),
                _ => Err(ErrorKind::WouldBlock.into()),
            };
        }
        let count = into.len().min(link.inbox.len());
        for (to, from) in into.iter_mut().zip(link.inbox.drain(..count)) {
            *to = from;
        }
        Ok(count)
    }

    fn write(&mut self, id: WireId, from: &[IoSlice<'_>]) -> io::Result<usize> {
        let link = self.links.get_mut(&id).ok_or(ErrorKind::NotConnected)?;
        match link.state {
            State::Connecting => return Err(ErrorKind::WouldBlock.into()),
            State::Failed => return Err(ErrorKind::BrokenPipe.into()),
            State::Connected => {}
        }
        assert!(
            link.condemned.is_none_or(|polls| polls < 2),
            "written to rubbish"
        );
        if link.room == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        let before = link.written.len();
        for slice in from {
            let count = slice.len().min(link.room);
            link.written.extend(slice.iter().take(count));
            if link.room != usize::MAX {
                link.room -= count;
            }
        }
        let count = link.written.len() - before;
        link.take_requests();
        if link.has_ended || link.condemned.is_some() {
            // It arrives where nobody answers any more.
            for (_, records) in link.requests.drain(..) {
                if link.is_clean {
                    self.doubtful.extend(records);
                }
            }
        }
        Ok(count)
    }

    fn register(&mut self, id: WireId, token: usize, interest: WireInterest) {
        if let Some(link) = self.links.get_mut(&id) {
            link.registered = Some((token, interest));
            self.edges.insert(id);
        }
    }

    fn close(&mut self, id: WireId) {
        if let Some(link) = self.links.remove(&id) {
            if link.is_clean {
                for (_, records) in link.requests {
                    self.doubtful.extend(records);
                }
            }
        }
        self.edges.remove(&id);
    }

    fn short_read_empties(&self) -> bool {
        true
    }

    fn select(&mut self, timeout: Duration, wakeup: &Wakeup, events: &mut Vec<WireEvent>) {
        self.check_condemned();
        let is_over = self.is_over();
        if is_over {
            self.end_all();
        } else {
            self.step();
        }
        self.take_edges(events);
        let is_idle = events.is_empty() && !wakeup.is_called();
        if is_idle && (is_over || self.choose(2) == 0) {
            self.clock.advance(timeout.min(LONGEST_WAIT));
        }
        let spins = is_idle && is_over && timeout.is_zero();
        self.spins = if spins { self.spins + 1 } else { 0 };
        assert!(self.spins < 8, "it spins");
    }
}

/// The numbers of the records in a request.
fn records_in(frame: &[u8]) -> Vec<u32> {
    frame
        .windows(MARK.len() + 4)
        .filter_map(|window| window.strip_prefix(MARK)?.first_chunk().copied())
        .map(u32::from_be_bytes)
        .collect()
}

/// What every record's value begins with, before its number.
pub(super) const MARK: &[u8] = b"\xF0record";

/// A wait that only an event would end is cut short.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
