//! Locks, atomics and waiting, behind one door. In production they are std's; under
//! `--cfg interleave` they are loom's or shuttle's, which try the threads' interleavings one by one
//! (docs/TESTING.md, "Interleavings"). `Arc` and `OnceLock` are std's in either: who counts a
//! reference last, or sets first, is no question here.
//!
//! A poisoned lock is used as it is, because no user code runs under one and our own state is kept
//! consistent at every step. [`Parker`] makes a thread look like a task: every monitor keeps
//! `Waker`s only, and a blocking call is a poll loop over the same state machine that a `Future`
//! would poll (docs/DESIGN.md). Thread: any.

#[cfg(interleave = "loom")]
use loom::sync as checked;
#[cfg(interleave = "shuttle")]
use shuttle::sync as checked;
#[cfg(not(interleave))]
use std::sync as checked;
use std::sync::{Arc, PoisonError};
use std::task::{Wake, Waker};
use std::time::Instant;

use crate::time::Time;

#[cfg(not(interleave))]
pub(crate) use arc_swap::ArcSwap;
pub(crate) use checked::atomic;
#[cfg(interleave = "shuttle")]
pub(crate) use shuttle::thread_local;
#[cfg(not(interleave))]
pub(crate) use std::thread_local;

/// Loom's, which does not know `const`.
#[cfg(interleave = "loom")]
macro_rules! loom_thread_local {
    (static $name:ident: $type:ty = const { $value:expr };) => {
        loom::thread_local! { static $name: $type = $value; }
    };
}
#[cfg(interleave = "loom")]
pub(crate) use loom_thread_local as thread_local;

/// A mutex that ignores poisoning.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(checked::Mutex<T>);

pub(crate) type MutexGuard<'a, T> = checked::MutexGuard<'a, T>;

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(checked::Mutex::new(value))
    }

    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The real one, each access a step of its own that others can come before and after.
#[cfg(interleave)]
#[derive(Debug, Default)]
pub(crate) struct ArcSwap<T> {
    value: arc_swap::ArcSwap<T>,
    step: atomic::AtomicBool,
}

#[cfg(interleave)]
impl<T> ArcSwap<T> {
    pub(crate) fn new(value: Arc<T>) -> Self {
        Self {
            value: arc_swap::ArcSwap::new(value),
            step: atomic::AtomicBool::new(false),
        }
    }

    pub(crate) fn load(&self) -> arc_swap::Guard<Arc<T>> {
        self.step.swap(true, atomic::Ordering::AcqRel);
        self.value.load()
    }

    pub(crate) fn load_full(&self) -> Arc<T> {
        self.step.swap(true, atomic::Ordering::AcqRel);
        self.value.load_full()
    }

    pub(crate) fn store(&self, value: Arc<T>) {
        self.step.swap(true, atomic::Ordering::AcqRel);
        self.value.store(value);
    }
}

/// Parks one thread until its waker is called or a deadline passes.
#[derive(Debug)]
pub(crate) struct Parker(Arc<Parked>);

#[derive(Debug, Default)]
struct Parked {
    woken: checked::Mutex<bool>,
    condvar: checked::Condvar,
}

impl Parker {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Parked::default()))
    }

    pub(crate) fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.0))
    }

    /// Returns when the waker was called since the last return, or at `until`; `None` waits for
    /// the waker alone. A wake-up before the call is not lost.
    pub(crate) fn park_until(&self, time: &Time, until: Option<Instant>) {
        let mut woken = self.0.woken.lock().unwrap_or_else(PoisonError::into_inner);
        while !*woken {
            let Some(until) = until else {
                woken = self
                    .0
                    .condvar
                    .wait(woken)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = until.saturating_duration_since(time.now());
            if left.is_zero() {
                break;
            }
            woken = self
                .0
                .condvar
                .wait_timeout(woken, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        *woken = false;
    }
}

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        *self.woken.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.condvar.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn park_after_wake_returns_at_once() {
        let parker = Parker::new();
        parker.waker().wake_by_ref();
        parker.park_until(&Time::default(), None);
    }

    #[test]
    fn park_without_wake_returns_at_its_deadline() {
        let (parker, time) = (Parker::new(), Time::default());
        let until = time.now() + Duration::from_millis(5);
        parker.park_until(&time, Some(until));
        assert!(time.now() >= until);
    }

    #[test]
    fn wake_from_another_thread_ends_the_wait() {
        let parker = Parker::new();
        let waker = parker.waker();
        let thread = std::thread::Builder::new()
            .spawn(move || waker.wake())
            .expect("a thread starts");
        parker.park_until(&Time::default(), None);
        thread.join().expect("the thread ends");
    }
}
