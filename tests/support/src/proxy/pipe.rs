//! One direction of a connection: bytes are read, kept until they may pass, and written.
//!
//! Thread: a reader and a writer per pipe, which meet at its queue; whoever changes the conditions.
//! Locks: the queue's own, never held while a socket is used.
//! Invariant: bytes pass in order and unchanged; if some were thrown away, none passes after them.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// Requests.
    ToBroker,
    /// Answers.
    ToClient,
}

/// What holds for all pipes of a link in a direction.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Conditions {
    pub(super) delay: Duration,
    /// Each piece waits up to so much longer.
    pub(super) jitter: Duration,
    pub(super) is_silent: bool,
    pub(super) is_swallowing: bool,
}

/// Why the writer is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    /// Whoever sends has said that there is nothing more.
    Closed,
    /// This connection is to be reset.
    Reset,
    /// Nobody reads any more what this pipe brings.
    Unread,
    /// Somebody else has ended the connection.
    Dead,
}

/// How the reading side ended.
#[derive(Debug, Clone, Copy)]
enum End {
    Closed,
    Reset,
}

#[derive(Debug)]
struct State {
    /// With the time from which each piece may pass.
    queue: VecDeque<(Instant, Vec<u8>)>,
    queued_bytes: usize,
    end: Option<End>,
    conditions: Conditions,
    /// How many bytes may still pass before the connection is reset.
    budget: Option<usize>,
    has_hole: bool,
    is_dead: bool,
    latest: Instant,
    random: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Pipe {
    state: Mutex<State>,
    changed: Condvar,
}

impl Pipe {
    /// `seed` decides about the jitter.
    pub(super) fn new(conditions: Conditions, seed: u64) -> Self {
        Self {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                queued_bytes: 0,
                end: None,
                conditions,
                budget: None,
                has_hole: false,
                is_dead: false,
                latest: Instant::now(),
                random: seed,
            }),
            changed: Condvar::new(),
        }
    }

    pub(super) fn set_conditions(&self, conditions: Conditions) {
        self.lock().conditions = conditions;
        self.changed.notify_all();
    }

    /// The connection is reset when so many more bytes have passed.
    pub(super) fn reset_after(&self, bytes: usize) {
        self.lock().budget = Some(bytes);
        self.changed.notify_all();
    }

    /// Ends both threads, whatever is left.
    pub(super) fn kill(&self) {
        self.lock().is_dead = true;
        self.changed.notify_all();
    }

    /// The reader: takes in what comes until it ends.
    pub(super) fn read_all(&self, mut from: &TcpStream, mut saw: impl FnMut(&[u8])) {
        let mut buffer = vec![0; PIECE_BYTES];
        let end = loop {
            match from.read(&mut buffer) {
                Ok(0) => break End::Closed,
                Ok(length) => {
                    saw(&buffer[..length]);
                    if !self.push(&buffer[..length]) {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break End::Reset,
            }
        };
        self.lock().end = Some(end);
        self.changed.notify_all();
    }

    /// The writer: lets pass what may.
    pub(super) fn write_all(&self, to: &TcpStream) -> Finish {
        loop {
            let piece = match self.next() {
                Ok(piece) => piece,
                Err(finish) => return finish,
            };
            let mut rest = piece.as_slice();
            while !rest.is_empty() {
                match write_some(to, rest) {
                    Ok(length) => rest = &rest[length..],
                    Err(finish) => return finish,
                }
                if self.lock().is_dead {
                    return Finish::Dead;
                }
            }
        }
    }

    /// `false`: the connection is over.
    fn push(&self, bytes: &[u8]) -> bool {
        let mut state = self.lock();
        while state.queued_bytes > QUEUE_BYTES && !state.is_dead {
            state = self.wait(state, None);
        }
        let Conditions { delay, jitter, .. } = state.conditions;
        let extra = jitter.mul_f64(state.draw());
        // Never before the piece ahead of it: these are streams.
        state.latest = state.latest.max(Instant::now() + delay + extra);
        let latest = state.latest;
        state.queued_bytes += bytes.len();
        state.queue.push_back((latest, bytes.to_vec()));
        self.changed.notify_all();
        !state.is_dead
    }

    /// Waits for the next bytes that may pass.
    fn next(&self) -> Result<Vec<u8>, Finish> {
        let mut state = self.lock();
        loop {
            let Conditions {
                is_silent,
                is_swallowing,
                ..
            } = state.conditions;
            if state.is_dead {
                return Err(Finish::Dead);
            }
            if state.budget == Some(0) || (state.has_hole && !is_swallowing) {
                return Err(Finish::Reset);
            }
            let due = state.queue.front().map(|(due, _)| *due);
            let now = Instant::now();
            let wait = match due {
                _ if is_silent => None,
                Some(_) if is_swallowing || state.has_hole => {
                    state.has_hole = true;
                    state.pop();
                    self.changed.notify_all();
                    continue;
                }
                Some(due) if due > now => Some(due - now),
                Some(_) => {
                    let piece = state.take();
                    self.changed.notify_all();
                    return Ok(piece);
                }
                None => match state.end {
                    Some(End::Closed) => return Err(Finish::Closed),
                    Some(End::Reset) => return Err(Finish::Reset),
                    None => None,
                },
            };
            state = self.wait(state, wait);
        }
    }

    fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        limit: Option<Duration>,
    ) -> MutexGuard<'a, State> {
        let Some(limit) = limit else {
            let waited = self.changed.wait(state);
            return waited.unwrap_or_else(PoisonError::into_inner);
        };
        let waited = self.changed.wait_timeout(state, limit);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn pop(&mut self) -> Vec<u8> {
        let piece = self.queue.pop_front().map(|(_, piece)| piece);
        let piece = piece.unwrap_or_default();
        self.queued_bytes -= piece.len();
        piece
    }

    /// The first piece, or as much of it as may pass.
    fn take(&mut self) -> Vec<u8> {
        let mut piece = self.pop();
        if let Some(budget) = &mut self.budget {
            piece.truncate(*budget);
            *budget -= piece.len();
        }
        piece
    }

    /// A number from 0 to 1, of a xorshift generator.
    fn draw(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        f64::from(u32::try_from(self.random >> 32).unwrap_or(0)) / f64::from(u32::MAX)
    }
}

/// The stream has a write timeout, so that somebody who reads nothing holds no thread for ever.
fn write_some(mut to: &TcpStream, bytes: &[u8]) -> Result<usize, Finish> {
    match to.write(bytes) {
        Ok(0) => Err(Finish::Unread),
        Ok(length) => Ok(length),
        Err(error) => match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => Ok(0),
            _ => Err(Finish::Unread),
        },
    }
}

const PIECE_BYTES: usize = 16 * 1024;

/// About what two sockets hold; beyond it whoever sends has to wait.
const QUEUE_BYTES: usize = 4 * 1024 * 1024;
