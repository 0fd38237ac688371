//! Which batches are outstanding, and who waits for those of before.
//!
//! Java's counterpart: `IncompleteBatches`. Thread: any. Locks: its own, a leaf; wakers are called outside.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;

use crate::planted::{Plant, planted};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering};

/// Counts batches from their first record to the end of their last callback.
#[derive(Debug, Default)]
pub(crate) struct Outstanding {
    state: Mutex<State>,
    /// Flushes in progress: everything is sendable at once (B79).
    flushes: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// How many pieces of each number are left: one, or more once a batch is split.
    left: BTreeMap<u64, u32>,
    waiters: Vec<(u64, u64, Waker)>,
    next_waiter: u64,
}

/// Held by a batch for as long as it is outstanding.
#[derive(Debug)]
pub(crate) struct FlushToken {
    number: u64,
    outstanding: Arc<Outstanding>,
}

/// One flush: done when every batch begun before it is gone.
#[derive(Debug)]
pub(crate) struct FlushTicket {
    boundary: u64,
    waiter: Option<u64>,
    outstanding: Arc<Outstanding>,
}

impl Outstanding {
    pub(crate) fn begin(self: &Arc<Self>) -> FlushToken {
        let mut state = self.state.lock();
        let number = state.next;
        state.next += 1;
        state.left.insert(number, 1);
        FlushToken {
            number,
            outstanding: Arc::clone(self),
        }
    }

    pub(crate) fn begin_flush(self: &Arc<Self>) -> FlushTicket {
        self.flushes.fetch_add(1, Ordering::AcqRel);
        let boundary = self.state.lock().next;
        FlushTicket {
            boundary,
            waiter: None,
            outstanding: Arc::clone(self),
        }
    }

    pub(crate) fn flush_in_progress(&self) -> bool {
        self.flushes.load(Ordering::Acquire) > 0
    }

    /// Batches that are outstanding.
    pub(crate) fn count(&self) -> usize {
        self.state.lock().left.len()
    }

    /// Batches that are not outstanding any more.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn ended(&self) -> u64 {
        let state = self.state.lock();
        state.next - u64::try_from(state.left.len()).unwrap_or(state.next)
    }

    fn end(&self, number: u64) {
        let woken: Vec<(u64, u64, Waker)>;
        {
            let mut state = self.state.lock();
            if let Some(left) = state.left.get_mut(&number) {
                *left -= 1;
                if *left > 0 {
                    return;
                }
                state.left.remove(&number);
            }
            if state.waiters.is_empty() {
                return;
            }
            let oldest = state
                .left
                .first_key_value()
                .map_or(u64::MAX, |(number, _)| *number);
            let waiters = std::mem::take(&mut state.waiters).into_iter();
            (state.waiters, woken) = waiters.partition(|(boundary, _, _)| oldest < *boundary);
        }
        woken.into_iter().for_each(|(_, _, waker)| waker.wake());
    }
}

impl FlushToken {
    /// One more for the same number: it is outstanding until all of them are dropped.
    pub(super) fn split(&self) -> Self {
        if planted(Plant::R03) {
            // KAFKA-9312: what was split counted as done, and its pieces as begun just now.
            return self.outstanding.begin();
        }
        let mut state = self.outstanding.state.lock();
        *state.left.entry(self.number).or_insert(0) += 1;
        drop(state);
        Self {
            number: self.number,
            outstanding: Arc::clone(&self.outstanding),
        }
    }
}

impl Drop for FlushToken {
    fn drop(&mut self) {
        self.outstanding.end(self.number);
    }
}

impl FlushTicket {
    /// Whether it is done; if not, the waker will be called.
    pub(crate) fn poll(&mut self, waker: &Waker) -> bool {
        // Cloned before the lock is taken and dropped after it: wakers are the user's code.
        let mut waker = waker.clone();
        let mut state = self.outstanding.state.lock();
        let oldest = state
            .left
            .first_key_value()
            .map_or(u64::MAX, |(number, _)| *number);
        if oldest >= self.boundary {
            return true;
        }
        let id = self.waiter.unwrap_or(state.next_waiter);
        if let Some((_, _, known)) = state.waiters.iter_mut().find(|(_, other, _)| *other == id) {
            std::mem::swap(known, &mut waker);
        } else {
            state.waiters.push((self.boundary, id, waker));
            state.next_waiter = state.next_waiter.max(id + 1);
        }
        self.waiter = Some(id);
        false
    }
}

impl Drop for FlushTicket {
    fn drop(&mut self) {
        if let Some(id) = self.waiter {
            let mut state = self.outstanding.state.lock();
            let at = state.waiters.iter().position(|(_, other, _)| *other == id);
            let gone = at.map(|at| state.waiters.remove(at));
            drop(state);
            drop(gone);
        }
        self.outstanding.flushes.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(interleave)]
#[path = "flush_interleaving_tests.rs"]
pub(super) mod interleaving_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flush_covers_what_began_before_it_and_nothing_after() {
        let outstanding = Arc::new(Outstanding::default());
        let before = outstanding.begin();
        let mut flush = outstanding.begin_flush();
        let after = outstanding.begin();
        assert!(!flush.poll(Waker::noop()));
        drop(before);
        assert!(flush.poll(Waker::noop()));
        drop(after);
        assert_eq!(outstanding.count(), 0);
    }

    #[test]
    fn flush_waits_for_every_piece_of_what_was_split_before_or_after_it_began() {
        let outstanding = Arc::new(Outstanding::default());
        let whole = outstanding.begin();
        let first = whole.split();
        let mut flush = outstanding.begin_flush();
        let second = whole.split();
        drop(whole);
        assert!(!flush.poll(Waker::noop()));
        drop(second);
        assert!(!flush.poll(Waker::noop()), "one piece is left");
        drop(first);
        assert!(flush.poll(Waker::noop()));
        assert_eq!(outstanding.count(), 0);
    }

    #[test]
    fn flush_is_in_progress_until_its_ticket_is_dropped() {
        let outstanding = Arc::new(Outstanding::default());
        let (one, two) = (outstanding.begin_flush(), outstanding.begin_flush());
        drop(one);
        assert!(outstanding.flush_in_progress());
        drop(two);
        assert!(!outstanding.flush_in_progress());
    }

    #[test]
    fn flush_dropped_early_leaves_no_waiter() {
        let outstanding = Arc::new(Outstanding::default());
        let batch = outstanding.begin();
        let mut flush = outstanding.begin_flush();
        assert!(!flush.poll(Waker::noop()));
        drop(flush);
        assert!(outstanding.state.lock().waiters.is_empty());
        drop(batch);
    }
}
