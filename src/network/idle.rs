//! Which connection has been idle for too long (`connections.max.idle.ms`; Java:
//! `Selector.IdleExpiryManager`).
//!
//! Thread: Sender. Locks: none. Unlike Java's ordered map, a use is one store: the oldest is looked
//! for only when it may have expired. What happens during a wait is stamped when the next one
//! begins, because the time during it is not known here; that errs on the later side. Whoever waits, for
//! the connect or for an answer, is not idle: that has timeouts of its own, which may be longer.

use std::time::{Duration, Instant};

/// When each channel, by its index, was last used.
#[derive(Debug)]
pub(super) struct IdleExpiry {
    /// `None`: never.
    max_idle: Option<Duration>,
    last_used: Vec<Option<Instant>>,
    used_since: Vec<usize>,
    /// What each channel waits for: the connect, answers.
    awaited: Vec<usize>,
    /// Nothing can expire before.
    next_check: Option<Instant>,
}

impl IdleExpiry {
    pub(super) fn new(max_idle: Option<Duration>) -> Self {
        Self {
            max_idle,
            last_used: Vec::new(),
            used_since: Vec::new(),
            awaited: Vec::new(),
            next_check: None,
        }
    }

    pub(super) fn opened(&mut self, index: usize, now: Instant) {
        let Some(max_idle) = self.max_idle else {
            return;
        };
        if index >= self.last_used.len() {
            self.last_used.resize(index + 1, None);
            self.awaited.resize(index + 1, 0);
        }
        self.set(index, Some(now));
        if self.next_check.is_none() {
            self.next_check = now.checked_add(max_idle);
        }
    }

    pub(super) fn closed(&mut self, index: usize) {
        self.set(index, None);
        if let Some(awaited) = self.awaited.get_mut(index) {
            *awaited = 0;
        }
        self.used_since.retain(|used| *used != index);
    }

    /// The channel was used; when, the next `begin_poll` says.
    pub(super) fn used(&mut self, index: usize) {
        if self.max_idle.is_some() {
            self.used_since.push(index);
        }
    }

    /// It waits for one thing more.
    pub(super) fn awaits(&mut self, index: usize) {
        if let Some(awaited) = self.awaited.get_mut(index) {
            *awaited += 1;
        }
    }

    /// So many things that it waited for have come.
    pub(super) fn has_come(&mut self, index: usize, count: usize) {
        if let Some(awaited) = self.awaited.get_mut(index) {
            *awaited = awaited.saturating_sub(count);
        }
    }

    /// Stamps what was used since the last call.
    pub(super) fn begin_poll(&mut self, now: Instant) {
        while let Some(index) = self.used_since.pop() {
            self.set(index, Some(now));
            if let (None, Some(max_idle)) = (self.next_check, self.max_idle) {
                self.next_check = now.checked_add(max_idle);
            }
        }
    }

    fn is_waiting(&self, index: usize) -> bool {
        self.awaited.get(index).is_some_and(|awaited| *awaited > 0)
    }

    /// `timeout`, or less if a connection may expire before.
    pub(super) fn limit(&self, timeout: Duration, now: Instant) -> Duration {
        self.next_check.map_or(timeout, |check| {
            timeout.min(check.saturating_duration_since(now))
        })
    }

    /// The channel that has been idle for longest, if that is too long. One per call, as in Java.
    pub(super) fn expired(&mut self, now: Instant) -> Option<usize> {
        let max_idle = self.max_idle?;
        if self.next_check? > now {
            return None;
        }
        let oldest = self
            .last_used
            .iter()
            .enumerate()
            .filter(|(index, _)| !self.used_since.contains(index) && !self.is_waiting(*index))
            .filter_map(|(index, used)| Some(((*used)?, index)))
            .min();
        let expiry = oldest.and_then(|(used, index)| Some((used.checked_add(max_idle)?, index)));
        match expiry {
            Some((expiry, index)) if expiry <= now => Some(index),
            Some((expiry, _)) => {
                self.next_check = Some(expiry);
                None
            }
            None => {
                // All wait or were used just now, which the next poll stamps, or there are none.
                self.next_check = None;
                None
            }
        }
    }

    fn set(&mut self, index: usize, to: Option<Instant>) {
        if let Some(used) = self.last_used.get_mut(index) {
            *used = to;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Time;

    const IDLE: Duration = Duration::from_secs(10);

    fn at(seconds: u64) -> impl Fn(Instant) -> Instant {
        move |start| start + Duration::from_secs(seconds)
    }

    #[test]
    fn expired_gives_the_longest_unused_first_and_one_per_call() {
        let start = Time::default().now();
        let mut idle = IdleExpiry::new(Some(IDLE));
        idle.opened(0, start);
        idle.opened(1, start);
        idle.opened(2, start);
        idle.used(0);
        idle.begin_poll(at(3)(start));
        idle.used(1);
        idle.begin_poll(at(1)(start));
        assert_eq!(idle.expired(at(9)(start)), None);
        let mut order = Vec::new();
        while let Some(index) = idle.expired(at(30)(start)) {
            order.push(index);
            idle.closed(index);
        }
        assert_eq!(order, [2, 1, 0]);
        assert_eq!(idle.limit(IDLE * 9, at(30)(start)), IDLE * 9);
    }

    #[test]
    fn expired_at_the_exact_time_and_not_before() {
        let start = Time::default().now();
        let mut idle = IdleExpiry::new(Some(IDLE));
        idle.opened(4, start);
        assert_eq!(idle.limit(IDLE * 9, start), IDLE);
        assert_eq!(idle.expired(start + IDLE - Duration::from_nanos(1)), None);
        assert_eq!(idle.expired(start + IDLE), Some(4));
    }

    #[test]
    fn used_during_a_wait_counts_from_the_end_of_it() {
        let start = Time::default().now();
        let mut idle = IdleExpiry::new(Some(IDLE));
        idle.opened(0, start);
        // A poll that began at 0 was woken at 9 by this channel; the next begins at 9.
        idle.used(0);
        idle.begin_poll(at(9)(start));
        assert_eq!(idle.expired(at(10)(start)), None);
        assert_eq!(idle.limit(IDLE * 9, at(10)(start)), Duration::from_secs(9));
        assert_eq!(idle.expired(at(19)(start)), Some(0));
    }

    #[test]
    fn used_in_the_poll_that_would_expire_it_protects() {
        let start = Time::default().now();
        let mut idle = IdleExpiry::new(Some(IDLE));
        idle.opened(0, start);
        idle.begin_poll(start + IDLE);
        idle.used(0);
        assert_eq!(idle.expired(start + IDLE), None);
        idle.begin_poll(start + IDLE);
        assert_eq!(idle.limit(IDLE * 9, start + IDLE), IDLE);
    }

    #[test]
    fn who_waits_for_an_answer_is_not_idle_however_short_the_time() {
        for max_idle in [Duration::ZERO, Duration::from_millis(1)] {
            let start = Time::default().now();
            let mut idle = IdleExpiry::new(Some(max_idle));
            idle.opened(0, start);
            idle.awaits(0);
            idle.awaits(0);
            assert_eq!(idle.expired(at(9)(start)), None);
            assert_eq!(idle.limit(IDLE, at(9)(start)), IDLE, "it has no timer");
            idle.used(0);
            idle.has_come(0, 1);
            assert_eq!(idle.expired(at(9)(start)), None, "another one is due");
            idle.used(0);
            idle.has_come(0, 5);
            idle.begin_poll(at(9)(start));
            assert_eq!(idle.limit(IDLE, at(9)(start)), max_idle);
            assert_eq!(idle.expired(at(9)(start) + max_idle), Some(0));
        }
    }

    #[test]
    fn expired_without_a_limit_is_never() {
        let start = Time::default().now();
        let mut idle = IdleExpiry::new(None);
        idle.opened(0, start);
        assert_eq!(idle.expired(at(1_000_000)(start)), None);
        assert_eq!(idle.limit(IDLE, start), IDLE);
    }

    #[test]
    fn opened_at_an_index_that_was_closed_begins_anew() {
        let start = Time::default().now();
        let mut idle = IdleExpiry::new(Some(IDLE));
        idle.opened(0, start);
        idle.used(0);
        idle.closed(0);
        idle.opened(0, at(5)(start));
        idle.begin_poll(at(6)(start));
        assert_eq!(idle.expired(at(10)(start)), None);
        assert_eq!(idle.expired(at(15)(start)), Some(0));
    }
}
