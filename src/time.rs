//! The clock: the only file that reads one, so that tests and the simulator can bring their own.
//!
//! Counterpart of Java's `Time`. Deadlines are monotonic (`Instant`); the wall clock only stamps records.
//! Thread: any. Locks: none in production.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where the time comes from; a plain call in production, a shared counter in tests.
#[derive(Debug, Clone, Default)]
pub(crate) struct Time(Inner);

#[derive(Debug, Clone, Default)]
enum Inner {
    #[default]
    System,
    #[cfg(any(test, fuzzing, interleave))]
    Mock(std::sync::Arc<MockTime>),
}

impl Time {
    /// The monotonic clock.
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the clock"
    )]
    pub(crate) fn now(&self) -> Instant {
        match &self.0 {
            Inner::System => Instant::now(),
            #[cfg(any(test, fuzzing, interleave))]
            Inner::Mock(mock) => mock.now(),
        }
    }

    /// Milliseconds since 1970 by the wall clock: the timestamp of a record.
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the clock"
    )]
    pub(crate) fn wall_clock_ms(&self) -> i64 {
        match &self.0 {
            Inner::System => millisecond_of(SystemTime::now()),
            #[cfg(any(test, fuzzing, interleave))]
            Inner::Mock(mock) => mock.wall_clock_ms(),
        }
    }

    /// A clock that stands still until it is told to move.
    #[cfg(any(test, fuzzing, interleave))]
    pub(crate) fn mock() -> (Self, std::sync::Arc<MockTime>) {
        let mock = std::sync::Arc::new(MockTime::new());
        (Self(Inner::Mock(std::sync::Arc::clone(&mock))), mock)
    }
}

/// One millisecond of the wall clock: from when until when, and which it is.
type Millisecond = (SystemTime, SystemTime, i64);

thread_local! {
    /// The one that this thread saw last: thousands of records fall into the same, and to compare
    /// is cheaper than to divide.
    static MILLISECOND: Cell<Millisecond> = const { Cell::new((UNIX_EPOCH, UNIX_EPOCH, 0)) };
}

#[inline]
fn millisecond_of(now: SystemTime) -> i64 {
    let (from, until, number) = MILLISECOND.get();
    if from <= now && now < until {
        return number;
    }
    let millisecond = find_millisecond(now);
    MILLISECOND.set(millisecond);
    millisecond.2
}

#[cold]
fn find_millisecond(now: SystemTime) -> Millisecond {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let number = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    let from = UNIX_EPOCH + Duration::from_millis(number);
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    (from, from + Duration::from_millis(1), number)
}

/// `now + after`, or the farthest instant that can be told where the sum overflows.
pub(crate) fn deadline(now: Instant, after: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 30);
    now.checked_add(after).unwrap_or_else(|| now + FAR)
}

/// A clock for tests: moves only by [`MockTime::advance`].
#[cfg(any(test, fuzzing, interleave))]
#[derive(Debug)]
pub(crate) struct MockTime {
    start: Instant,
    elapsed: std::sync::Mutex<Duration>,
    wall_start_ms: std::sync::atomic::AtomicI64,
}

#[cfg(any(test, fuzzing, interleave))]
impl MockTime {
    #[allow(
        clippy::disallowed_methods,
        reason = "an Instant can only be made from the clock; it stands for zero"
    )]
    fn new() -> Self {
        Self {
            start: Instant::now(),
            elapsed: std::sync::Mutex::new(Duration::ZERO),
            wall_start_ms: std::sync::atomic::AtomicI64::new(1_700_000_000_000),
        }
    }

    /// Since the clock was made.
    pub(crate) fn elapsed(&self) -> Duration {
        *self
            .elapsed
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Instant {
        self.start + self.elapsed()
    }

    pub(crate) fn wall_clock_ms(&self) -> i64 {
        let start = self
            .wall_start_ms
            .load(std::sync::atomic::Ordering::Relaxed);
        start + i64::try_from(self.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    /// Somebody sets the wall clock; the monotonic one knows nothing of it.
    #[cfg(test)]
    pub(crate) fn jump_wall_clock(&self, by_ms: i64) {
        let order = std::sync::atomic::Ordering::Relaxed;
        self.wall_start_ms.fetch_add(by_ms, order);
    }

    pub(crate) fn advance(&self, by: Duration) {
        *self
            .elapsed
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) += by;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn millisecond_is_that_of_the_division_whatever_was_seen_before() {
        let at = |ns: u64| UNIX_EPOCH + Duration::from_nanos(ns);
        let instants = [
            5, 999_999, 1_000_000, 1_999_999, 2_000_000, 1_000_001, 7_500_000, 0, 7_500_001,
        ];
        for ns in instants {
            assert_eq!(
                millisecond_of(at(ns)),
                i64::try_from(ns / 1_000_000).unwrap(),
                "{ns}"
            );
        }
    }

    #[test]
    fn millisecond_before_1970_is_none() {
        assert_eq!(millisecond_of(UNIX_EPOCH - Duration::from_secs(1)), 0);
        assert_eq!(millisecond_of(UNIX_EPOCH + Duration::from_millis(3)), 3);
    }
}
