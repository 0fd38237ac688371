//! `buffer.memory`, in chunks: who takes one gets it at once or stands in a line, first come,
//! first served; a chunk comes back by itself when its last owner drops it.
//!
//! Java's counterpart: `BufferPool`. Thread: any. Locks: its own, a leaf; wakers are called outside.
//! Invariant: available + what is granted + what lives in `PooledBuffer`s and charges == total.
//! With a share per topic, who lacks quota waits in its topic's line first (`topic_share.rs`).
//! Nobody ever waits in here: a ticket is a place in the line, its waker says when to come back
//! (docs/DESIGN.md, "Blocking is a state machine plus a waiter").

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use super::topic_share::{ShareId, TopicShares};
use crate::planted::{Plant, planted};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering};

/// Hands out chunks and counts bytes.
#[derive(Debug)]
pub(crate) struct BufferPool {
    total: usize,
    chunk_size: usize,
    /// Bytes that batches of one topic may take.
    most_per_topic: usize,
    state: Mutex<State>,
    /// How many stand in the line, to be looked at without the lock (B66).
    waiting: AtomicUsize,
    /// How many stand in their topics' lines.
    waiting_for_share: AtomicUsize,
}

#[derive(Debug)]
struct State {
    available: usize,
    /// Chunks that came back, to be used again as they are (B56).
    free: Vec<Vec<u8>>,
    line: VecDeque<Waiter>,
    shares: TopicShares,
    /// What a ticket at the head was given, until its owner comes for it.
    granted: Vec<Grant>,
    next_ticket: u64,
    closed: bool,
}

#[derive(Debug)]
struct Grant {
    ticket: u64,
    bytes: usize,
    share: ShareId,
}

/// Somebody in a line.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) ticket: u64,
    pub(super) needed: usize,
    pub(super) share: ShareId,
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
    /// The same, and it is the topic that has its share already.
    BlockedByShare,
    /// Not ever: the pool as a whole is smaller.
    TooLarge,
    Closed,
}

/// One chunk of the pool; returns to it when dropped.
#[derive(Debug)]
pub(crate) struct PooledBuffer {
    memory: Vec<u8>,
    share: ShareId,
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
    #[cfg(any(test, fuzzing, interleave))]
    pub(crate) fn new(total: usize, chunk_size: usize) -> Self {
        Self::with_share(total, chunk_size, None)
    }

    /// `most_per_topic`: what batches of one topic may take; chunks are cut to that as well.
    pub(crate) fn with_share(
        total: usize,
        chunk_size: usize,
        most_per_topic: Option<usize>,
    ) -> Self {
        let most = most_per_topic.map_or(total, |most| most.min(total));
        Self {
            total,
            chunk_size: chunk_size.min(most).max(1),
            most_per_topic: most,
            state: Mutex::new(State {
                available: total,
                free: Vec::new(),
                line: VecDeque::new(),
                shares: TopicShares::new(most_per_topic),
                granted: Vec::new(),
                next_ticket: 0,
                closed: false,
            }),
            waiting: AtomicUsize::new(0),
            waiting_for_share: AtomicUsize::new(0),
        }
    }

    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// Bytes that batches of one topic may take.
    pub(crate) fn most_per_topic(&self) -> usize {
        self.most_per_topic
    }

    pub(crate) fn has_waiters(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }

    /// Whether anybody waits for its topic's share; without the lock.
    pub(crate) fn has_share_waiters(&self) -> bool {
        self.waiting_for_share.load(Ordering::Acquire) > 0
    }

    /// Whether somebody waits for this topic's share: no lock, unless somebody waits for one at all.
    pub(crate) fn has_waiters_of(&self, share: ShareId) -> bool {
        self.has_share_waiters() && self.state.lock().shares.has_waiters(share)
    }

    #[cfg(any(test, fuzzing, interleave))]
    pub(crate) fn available(&self) -> usize {
        self.state.lock().available
    }

    /// Bytes that chunks for `bytes` take from the pool.
    pub(crate) fn chunked(&self, bytes: usize) -> usize {
        bytes.div_ceil(self.chunk_size).max(1) * self.chunk_size
    }

    /// One more chunk for an open batch of the topic: at once, or not at all (never past a line).
    pub(crate) fn try_chunk_for(self: &Arc<Self>, share: ShareId) -> Option<PooledBuffer> {
        let memory = {
            let mut state = self.state.lock();
            if !state.try_take(share, self.chunk_size) {
                return None;
            }
            state.free.pop()
        };
        Some(self.chunk(memory, share))
    }

    /// Counts `bytes` that live outside of chunks; at once, or not at all.
    pub(crate) fn try_charge_for(&self, share: ShareId, bytes: usize) -> bool {
        self.state.lock().try_take(share, bytes)
    }

    /// Gives back what `try_charge_for` counted.
    pub(crate) fn release_for(&self, share: ShareId, bytes: usize) {
        self.credit((share, bytes), None);
    }

    /// Takes bytes for free that are not (R04).
    #[cfg(feature = "planted")]
    pub(super) fn release_once_more(&self, bytes: usize) {
        self.state.lock().available += bytes;
    }

    /// Chunks for `bytes` of a topic, with `charge` bytes counted besides (unless the pool as a whole,
    /// or the topic's share, is too small for both). Without memory the ticket takes its place in a line
    /// if there is a waker to call; called again, for the same topic, it keeps the place.
    pub(crate) fn allocate_for(
        self: &Arc<Self>,
        share: ShareId,
        (bytes, charge): (usize, usize),
        ticket: &mut MemoryTicket,
        waker: Option<&Waker>,
    ) -> Allocation {
        let chunks = bytes.div_ceil(self.chunk_size).max(1);
        let chunk_bytes = chunks * self.chunk_size;
        if chunk_bytes > self.most_per_topic {
            return Allocation::TooLarge;
        }
        let charged = if chunk_bytes + charge > self.most_per_topic {
            0
        } else {
            charge
        };
        let needed = (share, chunk_bytes + charged);
        let mut memories = Vec::with_capacity(chunks);
        // Cloned before the lock is taken and dropped after it: wakers are the user's code.
        let (mut waker, mut woken) = (waker.cloned(), Vec::new());
        let claim = {
            let mut state = self.state.lock();
            if state.closed {
                return Allocation::Closed;
            }
            let claim = self.claim(&mut state, needed, (ticket, &mut waker), &mut woken);
            if let Claim::Taken = claim {
                memories.extend((0..chunks).map(|_| state.free.pop()));
            }
            claim
        };
        woken.into_iter().for_each(Waker::wake);
        match claim {
            Claim::Taken => {}
            Claim::LacksMemory => return Allocation::Blocked,
            Claim::LacksShare => return Allocation::BlockedByShare,
        }
        let chunks = memories
            .into_iter()
            .map(|memory| self.chunk(memory, share))
            .collect();
        Allocation::Chunks { chunks, charged }
    }

    /// Whether `needed` bytes are the ticket's now. The record may have become smaller or larger
    /// since the ticket took its place: what that leaves is for those behind it.
    fn claim(
        self: &Arc<Self>,
        state: &mut State,
        (share, needed): (ShareId, usize),
        (ticket, waker): (&mut MemoryTicket, &mut Option<Waker>),
        woken: &mut Vec<Waker>,
    ) -> Claim {
        if let Some((id, _)) = ticket.place {
            if let Some(grant) = state.take_grant(id) {
                ticket.place = None;
                let is_enough = grant.bytes >= needed;
                let back = grant.bytes - if is_enough { needed } else { 0 };
                if back > 0 {
                    state.give_back(share, back);
                    self.serve(state, share, woken);
                }
                if is_enough {
                    return Claim::Taken;
                }
            } else if let Some(as_before) = state.renew(id, (share, needed), waker) {
                if !as_before {
                    self.serve(state, share, woken);
                    if state.take_grant(id).is_some() {
                        ticket.place = None;
                        return Claim::Taken;
                    }
                }
                return state.lack(share, id);
            }
        }
        let has_share = state.shares.try_hold(share, needed);
        if has_share && state.line.is_empty() && state.available >= needed {
            state.available -= needed;
            ticket.place = None;
            return Claim::Taken;
        }
        if let Some(waker) = waker.take() {
            let id = state.next_ticket;
            state.next_ticket += 1;
            let waiter = Waiter {
                ticket: id,
                needed,
                share,
                waker,
            };
            if has_share {
                state.line.push_back(waiter);
            } else {
                state.shares.push_back(waiter);
            }
            self.count_waiters(state);
            ticket.place = Some((id, Arc::clone(self)));
        } else if has_share {
            // Nobody of the topic waits, or there would have been no quota.
            state.shares.give_back(share, needed);
        }
        if has_share {
            Claim::LacksMemory
        } else {
            Claim::LacksShare
        }
    }

    fn chunk(self: &Arc<Self>, memory: Option<Vec<u8>>, share: ShareId) -> PooledBuffer {
        let memory = memory.unwrap_or_else(|| Vec::with_capacity(self.chunk_size));
        PooledBuffer {
            memory,
            share,
            #[cfg(feature = "planted")]
            counts: self.chunk_size,
            pool: Arc::clone(self),
        }
    }

    /// Bytes of a topic come back; whoever heads a line is served as long as they last.
    fn credit(&self, (share, bytes): (ShareId, usize), memory: Option<Vec<u8>>) {
        let mut woken = Vec::new();
        {
            let mut state = self.state.lock();
            state.give_back(share, bytes);
            // Memory comes back while a panic unwinds, too, and a second one would end the process.
            debug_assert!(
                state.available <= self.total || planted(Plant::R04) || std::thread::panicking(),
                "more came back than went out"
            );
            state.free.extend(memory);
            self.serve(&mut state, share, &mut woken);
        }
        woken.into_iter().for_each(Waker::wake);
    }

    /// Whom the topic has quota for goes to the end of the pool's line; whoever heads that is given
    /// its memory.
    fn serve(&self, state: &mut State, share: ShareId, woken: &mut Vec<Waker>) {
        while let Some(waiter) = state.shares.pop_served(share) {
            state.line.push_back(waiter);
        }
        while state
            .line
            .front()
            .is_some_and(|head| head.needed <= state.available)
        {
            let Some(head) = state.line.pop_front() else {
                break;
            };
            state.available -= head.needed;
            state.granted.push(Grant {
                ticket: head.ticket,
                bytes: head.needed,
                share: head.share,
            });
            woken.push(head.waker);
        }
        self.count_waiters(state);
    }

    fn count_waiters(&self, state: &State) {
        self.waiting.store(state.line.len(), Ordering::Release);
        let for_share = state.shares.waiting();
        self.waiting_for_share.store(for_share, Ordering::Release);
    }

    /// Everybody in a line is woken and told; chunks still come back.
    pub(crate) fn close(&self) {
        let (line, of_topics) = {
            let mut state = self.state.lock();
            state.closed = true;
            let line = std::mem::take(&mut state.line);
            for waiter in &line {
                state.shares.give_back(waiter.share, waiter.needed);
            }
            let of_topics = state.shares.take_all();
            self.count_waiters(&state);
            (line, of_topics)
        };
        let all = line.into_iter().chain(of_topics);
        all.for_each(|waiter| waiter.waker.wake());
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
            let share = if let Some(gone) = &gone {
                state.shares.give_back(gone.share, gone.needed);
                Some(gone.share)
            } else if let Some(grant) = state.take_grant(ticket) {
                state.give_back(grant.share, grant.bytes);
                Some(grant.share)
            } else {
                None
            };
            let gone = gone.or_else(|| state.shares.remove(ticket));
            let share = share.or_else(|| gone.as_ref().map(|gone| gone.share));
            if let Some(share) = share {
                self.serve(&mut state, share, &mut woken);
            }
            gone
        };
        woken.into_iter().for_each(Waker::wake);
    }
}

/// What came of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    Taken,
    LacksMemory,
    LacksShare,
}

impl State {
    /// Takes bytes for a topic; at once, or not at all.
    fn try_take(&mut self, share: ShareId, bytes: usize) -> bool {
        let fits = self.line.is_empty()
            && self.available >= bytes
            && !self.closed
            && self.shares.try_hold(share, bytes);
        if fits {
            self.available -= bytes;
        }
        fits
    }

    fn give_back(&mut self, share: ShareId, bytes: usize) {
        self.available += bytes;
        self.shares.give_back(share, bytes);
    }

    fn take_grant(&mut self, ticket: u64) -> Option<Grant> {
        let at = self.granted.iter().position(|it| it.ticket == ticket)?;
        Some(self.granted.swap_remove(at))
    }

    /// Somebody who stands in a line says what it needs now, and by whom it is to be called. `None`: it
    /// stands in none; else whether its need is as before.
    fn renew(
        &mut self,
        ticket: u64,
        (share, needed): (ShareId, usize),
        waker: &mut Option<Waker>,
    ) -> Option<bool> {
        let at = self.line.iter().position(|it| it.ticket == ticket);
        let waiter = match at.and_then(|at| self.line.get_mut(at)) {
            Some(waiter) => waiter,
            None => self.shares.find(share, ticket)?,
        };
        let before = std::mem::replace(&mut waiter.needed, needed);
        if let Some(waker) = waker {
            std::mem::swap(&mut waiter.waker, waker);
        }
        if let Some(at) = at.filter(|_| before != needed) {
            if !self.shares.try_change(share, before, needed) {
                // More than its topic has left: it waits for that first, as the next one.
                self.shares.give_back(share, before);
                if let Some(waiter) = self.line.remove(at) {
                    self.shares.push_front(waiter);
                }
            }
        }
        Some(before == needed)
    }

    /// What somebody who stands in a line waits for.
    fn lack(&mut self, share: ShareId, ticket: u64) -> Claim {
        if self.shares.find(share, ticket).is_some() {
            Claim::LacksShare
        } else {
            Claim::LacksMemory
        }
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
            let is_granted = state.granted.iter().any(|it| it.ticket == *ticket);
            let head = state.line.front();
            let has_room =
                head.is_some_and(|head| head.ticket == *ticket && head.needed <= state.available);
            is_granted || has_room || state.shares.is_forgotten(*ticket)
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
        self.pool
            .release_for(self.share, std::mem::take(&mut self.counts));
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
        self.pool.credit((self.share, counts), Some(memory));
    }
}

/// For tests that know of one topic alone.
#[cfg(any(test, interleave))]
impl BufferPool {
    pub(crate) fn try_chunk(self: &Arc<Self>) -> Option<PooledBuffer> {
        self.try_chunk_for(ShareId::default())
    }

    pub(crate) fn try_charge(&self, bytes: usize) -> bool {
        self.try_charge_for(ShareId::default(), bytes)
    }

    pub(crate) fn release(&self, bytes: usize) {
        self.release_for(ShareId::default(), bytes);
    }

    pub(crate) fn allocate(
        self: &Arc<Self>,
        bytes: usize,
        charge: usize,
        ticket: &mut MemoryTicket,
        waker: Option<&Waker>,
    ) -> Allocation {
        self.allocate_for(ShareId::default(), (bytes, charge), ticket, waker)
    }
}

#[cfg(interleave)]
#[path = "buffer_pool_interleaving_tests.rs"]
pub(super) mod interleaving_tests;

#[cfg(test)]
#[path = "buffer_pool_tests.rs"]
mod tests;
