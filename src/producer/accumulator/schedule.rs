//! When which partition is looked at again: one ordered set of timers, at most one of a kind for
//! each partition. A timer that fires in vain costs one look.
//!
//! Java has no counterpart: it walks all partitions (docs/DESIGN.md, "Finding work"). Thread:
//! Sender. Locks: none.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::producer::batch_id::SlotId;

/// Why a partition is looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// Its batch may go: linger or backoff is over.
    Ready,
    /// Its oldest batch may have outlived `delivery.timeout.ms`.
    Expiry,
}

/// All timers of all partitions.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    due: BTreeSet<(Instant, SlotId, Timer)>,
    at: BTreeMap<(SlotId, Timer), Instant>,
}

impl Schedule {
    /// Sets the partition's timer of this kind, unless an earlier one stands: that one will look.
    pub(super) fn set(&mut self, slot: SlotId, timer: Timer, at: Instant) {
        match self.at.get(&(slot, timer)) {
            Some(earlier) if *earlier <= at => return,
            Some(later) => {
                self.due.remove(&(*later, slot, timer));
            }
            None => {}
        }
        self.at.insert((slot, timer), at);
        self.due.insert((at, slot, timer));
    }

    /// Takes out the next timer that has come due.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<(SlotId, Timer)> {
        let (at, slot, timer) = *self.due.first()?;
        if at > now {
            return None;
        }
        self.due.pop_first();
        self.at.remove(&(slot, timer));
        Some((slot, timer))
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.due.first().map(|(at, _, _)| *at)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.due.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::time::Time;

    #[test]
    fn earlier_timer_of_a_kind_stands_and_a_later_one_is_replaced() {
        let (mut schedule, now) = (Schedule::default(), Time::mock().0.now());
        let after = |ms| now + Duration::from_millis(ms);
        schedule.set(SlotId(1), Timer::Ready, after(20));
        schedule.set(SlotId(1), Timer::Ready, after(30));
        assert_eq!(schedule.next(), Some(after(20)));
        schedule.set(SlotId(1), Timer::Ready, after(10));
        schedule.set(SlotId(1), Timer::Expiry, after(15));
        assert_eq!(schedule.len(), 2, "one of each kind");
        assert_eq!(schedule.pop_due(after(9)), None);
        assert_eq!(schedule.pop_due(after(15)), Some((SlotId(1), Timer::Ready)));
        assert_eq!(
            schedule.pop_due(after(15)),
            Some((SlotId(1), Timer::Expiry))
        );
        assert_eq!((schedule.len(), schedule.next()), (0, None));
    }
}
