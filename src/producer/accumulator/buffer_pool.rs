//! `buffer.memory`, in chunks: who takes one gets it at once or stands in a line, first come,
//! first served; a chunk comes back by itself when its last owner drops it.
//!
//! Java's counterpart: `BufferPool`. Thread: any. Locks: its own, a leaf; wakers are called outside.
//! Invariant: available + what is granted + what lives in `PooledBuffer`s and charges == total.
//! Nobody ever waits in here: a ticket is a place in the line, its waker says when to come back
//! (docs/DESIGN.md, "Blocking is a state machine plus a waiter").

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use crate::planted::{Plant, planted};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering};

/// Hands out chunks and counts bytes.
#[derive(Debug)]
pub(crate) struct BufferPool {
    total: usize,
    chunk_size: usize,
    state: Mutex<State>,
    /// How many stand in the line, to be looked at without the lock (B66).
    waiting: AtomicUsize,
}

#[derive(Debug)]
struct State {
    available: usize,
    /// Chunks that came back, to be used again as they are (B56).
    free: Vec<Vec<u8>>,
    line: VecDeque<Waiter>,
    /// What a ticket at the head was given, until its owner comes for it.
    granted: Vec<(u64, usize)>,
    next_ticket: u64,
    closed: bool,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    needed: usize,
    waker: Waker,
}

/// How an attempt to get memory ended.
#[derive(Debug)]
pub(crate) enum Allocation {
    /// The chunks, and what was counted besides.
    Chunks {
        chunks: Vec<PooledBuffer>,
        charged: usize,
    },
    /// Not now; with a waker the ticket has its place in the line.
    Blocked,
    /// Not ever: the pool as a whole is smaller.
    TooLarge,
    Closed,
}

/// One chunk of the pool; returns to it when dropped.
#[derive(Debug)]
pub(crate) struct PooledBuffer {
    memory: Vec<u8>,
    /// What comes back with it; nothing if it was released early.
    #[cfg(feature = "planted")]
    counts: usize,
    pool: Arc<BufferPool>,
}

/// A place in the line, and what came of it; gives both back when dropped.
#[derive(Debug, Default)]
pub(crate) struct MemoryTicket {
    place: Option<(u64, Arc<BufferPool>)>,
}

impl BufferPool {
    /// `chunk_size` is cut to what there is in all.
    pub(crate) fn new(total: usize, chunk_size: usize) -> Self {
        Self {
            total,
            chunk_size: chunk_size.min(total).max(1),
            state: Mutex::new(State {
                available: total,
                free: Vec::new(),
                line: VecDeque::new(),
                granted: Vec::new(),
                next_ticket: 0,
                closed: false,
            }),
            waiting: AtomicUsize::new(0),
        }
    }

    pub(crate) fn total(&self) -> usize {
        self.total
    }

    pub(crate) fn has_waiters(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }

    #[cfg(any(test, fuzzing, interleave))]
    pub(crate) fn available(&self) -> usize {
        self.state.lock().available
    }

    /// Bytes that chunks for `bytes` take from the pool.
    pub(crate) fn chunked(&self, bytes: usize) -> usize {
        bytes.div_ceil(self.chunk_size).max(1) * self.chunk_size
    }

    /// One more chunk for a batch that is open: at once, or not at all (never past the line).
    pub(crate) fn try_chunk(self: &Arc<Self>) -> Option<PooledBuffer> {
        let memory = {
            let mut state = self.state.lock();
            if !state.line.is_empty() || state.available < self.chunk_size || state.closed {
                return None;
            }
            state.available -= self.chunk_size;
            state.free.pop()
        };
        Some(self.chunk(memory))
    }

    /// Counts `bytes` that live outside of chunks; at once, or not at all.
    pub(crate) fn try_charge(&self, bytes: usize) -> bool {
        let mut state = self.state.lock();
        let fits = state.line.is_empty() && state.available >= bytes && !state.closed;
        if fits {
            state.available -= bytes;
        }
        fits
    }

    /// Gives back what `try_charge` counted.
    pub(crate) fn release(&self, bytes: usize) {
        self.credit(bytes, None);
    }

    /// Chunks for `bytes`, with `charge` bytes counted besides (unless the pool as a whole is too
    /// small for both). Without memory the ticket takes its place in the line if there is a waker
    /// to call; called again, it keeps the place.
    pub(crate) fn allocate(
        self: &Arc<Self>,
        bytes: usize,
        charge: usize,
        ticket: &mut MemoryTicket,
        waker: Option<&Waker>,
    ) -> Allocation {
        let chunks = bytes.div_ceil(self.chunk_size).max(1);
        let chunk_bytes = chunks * self.chunk_size;
        if chunk_bytes > self.total {
            return Allocation::TooLarge;
        }
        let charged = if chunk_bytes + charge > self.total {
            0
        } else {
            charge
        };
        let needed = chunk_bytes + charged;
        let mut memories = Vec::with_capacity(chunks);
        // Cloned before the lock is taken and dropped after it: wakers are the user's code.
        let (mut waker, mut woken) = (waker.cloned(), Vec::new());
        let is_claimed = {
            let mut state = self.state.lock();
            if state.closed {
                return Allocation::Closed;
            }
            let is_claimed = self.claim(&mut state, needed, (ticket, &mut waker), &mut woken);
            if is_claimed {
                memories.extend((0..chunks).map(|_| state.free.pop()));
            }
            is_claimed
        };
        woken.into_iter().for_each(Waker::wake);
        if !is_claimed {
            return Allocation::Blocked;
        }
        let chunks = memories
            .into_iter()
            .map(|memory| self.chunk(memory))
            .collect();
        Allocation::Chunks { chunks, charged }
    }

    /// Whether `needed` bytes are the ticket's now. The record may have become smaller or larger
    /// since the ticket took its place: what that leaves is for those behind it.
    fn claim(
        self: &Arc<Self>,
        state: &mut State,
        needed: usize,
        (ticket, waker): (&mut MemoryTicket, &mut Option<Waker>),
        woken: &mut Vec<Waker>,
    ) -> bool {
        if let Some((id, _)) = ticket.place {
            if let Some(at) = state.granted.iter().position(|(granted, _)| *granted == id) {
                let (_, bytes) = state.granted.swap_remove(at);
                ticket.place = None;
                let is_enough = bytes >= needed;
                state.available += bytes - if is_enough { needed } else { 0 };
                if bytes != needed {
                    self.serve(state, woken);
                }
                if is_enough {
                    return true;
                }
            } else if let Some(waiter) = state.line.iter_mut().find(|waiter| waiter.ticket == id) {
                let is_as_before = waiter.needed == needed;
                waiter.needed = needed;
                if let Some(waker) = waker {
                    std::mem::swap(&mut waiter.waker, waker);
                }
                if is_as_before {
                    return false;
                }
                self.serve(state, woken);
                let granted = state.granted.iter().position(|(granted, _)| *granted == id);
                if let Some(at) = granted {
                    state.granted.swap_remove(at);
                    ticket.place = None;
                }
                return granted.is_some();
            }
        }
        if state.line.is_empty() && state.available >= needed {
            state.available -= needed;
            ticket.place = None;
            return true;
        }
        if let Some(waker) = waker.take() {
            let id = state.next_ticket;
            state.next_ticket += 1;
            state.line.push_back(Waiter {
                ticket: id,
                needed,
                waker,
            });
            self.waiting.store(state.line.len(), Ordering::Release);
            ticket.place = Some((id, Arc::clone(self)));
        }
        false
    }

    fn chunk(self: &Arc<Self>, memory: Option<Vec<u8>>) -> PooledBuffer {
        let memory = memory.unwrap_or_else(|| Vec::with_capacity(self.chunk_size));
        PooledBuffer {
            memory,
            #[cfg(feature = "planted")]
            counts: self.chunk_size,
            pool: Arc::clone(self),
        }
    }

    /// Bytes come back; whoever heads the line is served as long as it lasts.
    fn credit(&self, bytes: usize, memory: Option<Vec<u8>>) {
        let mut woken = Vec::new();
        {
            let mut state = self.state.lock();
            state.available += bytes;
            // Memory comes back while a panic unwinds, too, and a second one would end the process.
            debug_assert!(
                state.available <= self.total || std::thread::panicking(),
                "more came back than went out"
            );
            state.free.extend(memory);
            self.serve(&mut state, &mut woken);
        }
        woken.into_iter().for_each(Waker::wake);
    }

    fn serve(&self, state: &mut State, woken: &mut Vec<Waker>) {
        while state
            .line
            .front()
            .is_some_and(|head| head.needed <= state.available)
        {
            let Some(head) = state.line.pop_front() else {
                break;
            };
            state.available -= head.needed;
            state.granted.push((head.ticket, head.needed));
            woken.push(head.waker);
        }
        self.waiting.store(state.line.len(), Ordering::Release);
    }

    /// Everybody in the line is woken and told; chunks still come back.
    pub(crate) fn close(&self) {
        let line = {
            let mut state = self.state.lock();
            state.closed = true;
            self.waiting.store(0, Ordering::Release);
            std::mem::take(&mut state.line)
        };
        line.into_iter().for_each(|waiter| waiter.waker.wake());
    }

    #[cold]
    fn leave(&self, ticket: u64) {
        if planted(Plant::R62) {
            // franz-go 1.17.1: nobody told the line.
            return;
        }
        let mut woken = Vec::new();
        let _gone = {
            let mut state = self.state.lock();
            let at = state.line.iter().position(|waiter| waiter.ticket == ticket);
            let gone = at.and_then(|at| state.line.remove(at));
            if let Some(at) = state
                .granted
                .iter()
                .position(|(granted, _)| *granted == ticket)
            {
                let (_, bytes) = state.granted.swap_remove(at);
                state.available += bytes;
            }
            self.serve(&mut state, &mut woken);
            gone
        };
        woken.into_iter().for_each(Waker::wake);
    }
}

impl MemoryTicket {
    /// Gives back the place in the line, or what came of it.
    #[inline]
    pub(crate) fn release(&mut self) {
        if self.place.is_some() {
            self.leave();
        }
    }

    /// Whether its owner has been called, or ought to have been: it was given room, or heads the
    /// line while there is enough.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn may_go_on(&self) -> bool {
        self.place.as_ref().is_some_and(|(ticket, pool)| {
            let state = pool.state.lock();
            let is_granted = state.granted.iter().any(|(granted, _)| granted == ticket);
            let head = state.line.front();
            let has_room =
                head.is_some_and(|head| head.ticket == *ticket && head.needed <= state.available);
            is_granted || has_room
        })
    }

    #[cold]
    fn leave(&mut self) {
        if let Some((ticket, pool)) = self.place.take() {
            pool.leave(ticket);
        }
    }
}

impl Drop for MemoryTicket {
    #[inline]
    fn drop(&mut self) {
        self.release();
    }
}

impl AsRef<[u8]> for PooledBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.memory
    }
}

impl AsMut<Vec<u8>> for PooledBuffer {
    fn as_mut(&mut self) -> &mut Vec<u8> {
        &mut self.memory
    }
}

impl PooledBuffer {
    /// The mistake that `Plant::ReleasedEarly` stands for; without plants, nothing.
    pub(super) fn release_early(&mut self) {
        #[cfg(feature = "planted")]
        self.pool.release(std::mem::take(&mut self.counts));
    }
}

impl Drop for PooledBuffer {
    fn drop(&mut self) {
        let mut memory = std::mem::take(&mut self.memory);
        #[cfg(feature = "planted")]
        crate::planted::note_returned(&memory);
        // Stale bytes must never be taken for fresh ones: tests poison what is free.
        if cfg!(any(test, fuzzing)) {
            memory.iter_mut().for_each(|byte| *byte = 0xDD);
        }
        memory.clear();
        #[cfg(feature = "planted")]
        let counts = self.counts;
        #[cfg(not(feature = "planted"))]
        let counts = self.pool.chunk_size;
        self.pool.credit(counts, Some(memory));
    }
}

#[cfg(interleave)]
#[path = "buffer_pool_interleaving_tests.rs"]
pub(super) mod interleaving_tests;

#[cfg(test)]
#[path = "buffer_pool_tests.rs"]
mod tests;
