//! What the batches of one topic may take of `buffer.memory`, and who waits for a part of it.
//!
//! Java has no counterpart: there a topic that cannot be sent takes all memory, and every `send` waits
//! for it. Thread: any. Locks: none of its own; it lives under the pool's. Pure: whoever holds the lock
//! moves waiters from here to the pool's line.
//! ```text
//! no quota --> the topic's line --quota is reserved--> the pool's line --memory--> granted
//! ```
//! Invariants: a topic holds no more than the limit; who stands in the pool's line holds its quota, so
//! that nobody waits there for one topic alone; each topic's line is first come, first served.

use std::collections::VecDeque;

use super::buffer_pool::Waiter;

/// A topic, as the pool knows it: the number that its bytes are counted under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct ShareId(pub(crate) u32);

/// Every topic's part.
#[derive(Debug)]
pub(super) struct TopicShares {
    /// Bytes that one topic may hold; `None`: as many as there are.
    limit: Option<usize>,
    /// By number; empty without a limit.
    topics: Vec<TopicShare>,
    /// How many wait, over all topics.
    waiting: usize,
}

#[derive(Debug, Default)]
struct TopicShare {
    /// In chunks, charges and grants, and reserved by who stands in the pool's line.
    held: usize,
    line: VecDeque<Waiter>,
}

impl TopicShares {
    pub(super) fn new(limit: Option<usize>) -> Self {
        Self {
            limit,
            topics: Vec::new(),
            waiting: 0,
        }
    }

    /// Counts `bytes` for the topic, unless they are too many or others of it wait for theirs.
    pub(super) fn try_hold(&mut self, id: ShareId, bytes: usize) -> bool {
        let Some(limit) = self.limit else {
            return true;
        };
        let topic = self.topic(id);
        let fits = topic.line.is_empty() && topic.held + bytes <= limit;
        if fits {
            topic.held += bytes;
        }
        fits
    }

    /// `bytes` of the topic are free again; whoever waits for them is to be moved on.
    pub(super) fn give_back(&mut self, id: ShareId, bytes: usize) {
        if self.limit.is_some() {
            let topic = self.topic(id);
            debug_assert!(topic.held >= bytes, "more came back than the topic held");
            topic.held -= bytes;
        }
    }

    /// The topic's own need changed from one amount to another that it may still hold.
    pub(super) fn try_change(&mut self, id: ShareId, before: usize, after: usize) -> bool {
        let Some(limit) = self.limit else {
            return true;
        };
        let topic = self.topic(id);
        let held = topic.held - before + after;
        if held <= limit {
            topic.held = held;
        }
        held <= limit
    }

    /// Takes a place in the topic's line.
    pub(super) fn push_back(&mut self, waiter: Waiter) {
        self.waiting += 1;
        self.topic(waiter.share).line.push_back(waiter);
    }

    /// The same, at its head: it was served once, and needs more now.
    pub(super) fn push_front(&mut self, waiter: Waiter) {
        self.waiting += 1;
        self.topic(waiter.share).line.push_front(waiter);
    }

    /// The next of the topic's line whose quota there is now; it is reserved.
    pub(super) fn pop_served(&mut self, id: ShareId) -> Option<Waiter> {
        let limit = self.limit?;
        let topic = self.topic(id);
        let head = topic.line.front()?;
        if topic.held + head.needed > limit {
            return None;
        }
        topic.held += head.needed;
        let served = topic.line.pop_front();
        self.waiting -= 1;
        served
    }

    /// Who holds that place in the topic's line.
    pub(super) fn find(&mut self, id: ShareId, ticket: u64) -> Option<&mut Waiter> {
        self.limit?;
        let mut line = self.topic(id).line.iter_mut();
        line.find(|waiter| waiter.ticket == ticket)
    }

    /// Takes somebody out of whatever topic's line it stands in.
    pub(super) fn remove(&mut self, ticket: u64) -> Option<Waiter> {
        let gone = self.topics.iter_mut().find_map(|topic| {
            let place = topic.line.iter().position(|it| it.ticket == ticket)?;
            topic.line.remove(place)
        });
        self.waiting -= usize::from(gone.is_some());
        gone
    }

    /// Whether anybody waits for the topic's quota.
    pub(super) fn has_waiters(&self, id: ShareId) -> bool {
        let topic = usize::try_from(id.0)
            .ok()
            .and_then(|at| self.topics.get(at));
        topic.is_some_and(|topic| !topic.line.is_empty())
    }

    /// Whether this one ought to have been served: it heads its line, and there is quota for it.
    #[cfg(any(test, fuzzing))]
    pub(super) fn is_forgotten(&self, ticket: u64) -> bool {
        let Some(limit) = self.limit else {
            return false;
        };
        self.topics.iter().any(|topic| {
            let head = topic.line.front().filter(|it| it.ticket == ticket);
            head.is_some_and(|head| topic.held + head.needed <= limit)
        })
    }

    /// How many wait, over all topics.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Everybody who waits, out of their lines.
    pub(super) fn take_all(&mut self) -> Vec<Waiter> {
        self.waiting = 0;
        let lines = self.topics.iter_mut();
        lines.flat_map(|topic| topic.line.drain(..)).collect()
    }

    fn topic(&mut self, id: ShareId) -> &mut TopicShare {
        let at = id.0 as usize;
        if at >= self.topics.len() {
            self.topics.resize_with(at + 1, TopicShare::default);
        }
        self.topics
            .get_mut(at)
            .expect("the table was made long enough")
    }
}

#[cfg(test)]
#[path = "topic_share_tests.rs"]
mod tests;
