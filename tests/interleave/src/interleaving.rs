//! What models are made of: threads of the checker, waiting, and a poller without sockets.

use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Duration;

use crate::network::Wakeup;
use crate::sync::Parker;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::time::{MockTime, Time};

#[cfg(interleave = "loom")]
use loom::thread;
#[cfg(interleave = "shuttle")]
use shuttle::thread;

/// One model: threads over a part of the library, and what holds whatever their order.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) name: &'static str,
    /// What is asserted, in a sentence.
    pub(crate) property: &'static str,
    pub(crate) run: fn(),
    /// How often loom takes the processor from a thread that could go on; `None`: too large for it.
    pub(crate) preemptions: Option<usize>,
    /// How many of a hundred schedules shuttle spends here; large models take longer for each.
    pub(crate) percent: usize,
}

/// Whether the checker tries everything, so that a model has to be small.
pub(crate) const EXHAUSTIVE: bool = cfg!(interleave = "loom");

/// A thread of the model.
#[derive(Debug)]
pub(crate) struct Thread<T>(thread::JoinHandle<T>);

impl<T> Thread<T> {
    pub(crate) fn join(self) -> T {
        self.0.join().expect("a thread of the model ends well")
    }
}

pub(crate) fn spawn<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> Thread<T> {
    // In words for loom; shuttle takes the runner's.
    #[cfg(interleave = "loom")]
    let started = thread::Builder::new().stack_size(0x8000).spawn(body);
    #[cfg(interleave = "shuttle")]
    let started = thread::Builder::new().spawn(body);
    Thread(started.expect("a thread of the model starts"))
}

/// Waits as `SendHandle::get` and `flush` do: look, park until called, look again.
pub(crate) fn wait_until(mut look: impl FnMut(&Waker) -> bool) {
    let parker = Parker::new();
    let waker = parker.waker();
    while !look(&waker) {
        parker.park_until(&Time::default(), None);
    }
}

/// A waker as executors have them: it owns the task, and with it what the task holds. That goes when
/// the waker is called, or when the last of its clones is dropped.
pub(crate) fn owning_waker<T: Send + 'static>(owned: T) -> Waker {
    struct Task<T>(std::sync::Mutex<Option<T>>);

    impl<T: Send + 'static> Wake for Task<T> {
        fn wake(self: Arc<Self>) {
            let owned = self.0.lock().expect("nobody panicked").take();
            drop(owned);
        }
    }

    Waker::from(Arc::new(Task(std::sync::Mutex::new(Some(owned)))))
}

/// What passes for a poller without a timer that nobody woke.
const FOR_GOOD: Duration = Duration::from_secs(60 * 60);

/// Sleeps and is woken as `Selector` is, with a [`Parker`] for the operating system.
///
/// Neither checker has a clock, so time passes by rule: only when every thread of the application
/// is done. A timer that would have fired earlier is never what saves a wake-up that was lost.
#[derive(Debug)]
pub(crate) struct Poller {
    wakeup: Wakeup,
    os: Parker,
    clock: Arc<MockTime>,
    running: Arc<AtomicUsize>,
    sleeps: u64,
}

/// Held by a thread of the application while it may still do something.
#[derive(Debug)]
pub(crate) struct Busy {
    running: Arc<AtomicUsize>,
    os: Waker,
}

impl Poller {
    /// With a clock that stands still.
    pub(crate) fn new(clock: Arc<MockTime>) -> Self {
        let os = Parker::new();
        Self {
            wakeup: Wakeup::modelled(&os),
            os,
            clock,
            running: Arc::default(),
            sleeps: 0,
        }
    }

    pub(crate) fn wakeup(&self) -> Wakeup {
        self.wakeup.clone()
    }

    pub(crate) fn sleeps(&self) -> u64 {
        self.sleeps
    }

    pub(crate) fn busy(&self) -> Busy {
        self.running.fetch_add(1, Ordering::AcqRel);
        Busy {
            running: Arc::clone(&self.running),
            os: self.os.waker(),
        }
    }

    /// Whether no thread of the application is left.
    pub(crate) fn is_alone(&self) -> bool {
        self.running.load(Ordering::Acquire) == 0
    }

    /// As `Selector::select`; `None` waits for a wake-up alone.
    pub(crate) fn sleep(&mut self, timeout: Option<Duration>) {
        // Looked at first: nobody is left then who could still call.
        let alone = self.is_alone();
        if timeout != Some(Duration::ZERO) && self.wakeup.begin_sleep() {
            self.sleeps += 1;
            if timeout.is_none() || !alone {
                self.os.park_until(&Time::default(), None);
            }
            if self.is_alone() && self.wakeup.is_asleep() {
                self.clock.advance(timeout.unwrap_or(FOR_GOOD));
            }
        }
        self.wakeup.end_sleep();
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        // Only the last one: no other may stand in for a wake-up that is missing.
        if self.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.os.wake_by_ref();
        }
    }
}
