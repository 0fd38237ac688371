//! How a call waits: for its own waker, or until its time is over. Whoever could have gone on
//! without having been called has been forgotten: a lost wake-up.
//!
//! Thread: the one that simulates; wakers are called by the product. Locks: the ledger's, for moments.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};
use std::time::Duration;

use super::super::ledger::{BlockingCall, SharedLedger};

/// One waker.
#[derive(Debug, Default)]
struct Flag {
    called: AtomicBool,
    /// Does nothing when it is called: to see that this is noticed.
    silent: bool,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.called.store(!self.silent, Ordering::Relaxed);
    }
}

/// The wait of one call.
#[derive(Debug, Default)]
pub(super) struct Wait {
    flag: Arc<Flag>,
    name: &'static str,
    began: Duration,
    timeout: Option<Duration>,
    /// When it is polled even if nobody called.
    until: Option<Duration>,
    was_polled: bool,
    /// Where the ledger has it.
    noted: Option<usize>,
    silent: bool,
}

impl Wait {
    /// Of a thread that hears nothing, if so.
    pub(super) fn new(silent: bool) -> Self {
        Self {
            silent,
            ..Self::default()
        }
    }

    /// A call begins: it is polled at once. Its time is over after `timeout`.
    pub(super) fn begin(&mut self, name: &'static str, now: Duration, timeout: Option<Duration>) {
        *self = Self {
            flag: flag(self.silent),
            name,
            began: now,
            timeout,
            until: timeout.map(|timeout| now.saturating_add(timeout)),
            was_polled: false,
            noted: None,
            silent: self.silent,
        };
    }

    pub(super) fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.flag))
    }

    /// Another waker, which alone counts from now on.
    pub(super) fn renew_waker(&mut self) -> Waker {
        self.flag = flag(self.silent);
        self.waker()
    }

    /// As an operating system may do.
    pub(super) fn wake_spuriously(&self) {
        self.flag.called.store(true, Ordering::Relaxed);
    }

    fn is_called(&self) -> bool {
        !self.was_polled || self.flag.called.load(Ordering::Relaxed)
    }

    pub(super) fn is_over(&self, now: Duration) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// Whether it returns without what it waited for: not if it only is looked after.
    pub(super) fn gives_up(&self, now: Duration) -> bool {
        self.timeout.is_some() && self.is_over(now)
    }

    pub(super) fn is_due(&self, now: Duration) -> bool {
        self.is_called() || self.is_over(now)
    }

    pub(super) fn next_event(&self) -> Option<Duration> {
        if self.is_called() {
            Some(Duration::ZERO)
        } else {
            self.until
        }
    }

    /// To be polled now; true: because it was called, or for the first time.
    pub(super) fn take_call(&mut self) -> bool {
        let called = self.is_called();
        self.was_polled = true;
        self.flag.called.store(false, Ordering::Relaxed);
        called
    }

    /// It was polled and has to wait. A call without a timeout is looked after in `watch`.
    pub(super) fn goes_on(&mut self, now: Duration, watch: Duration, ledger: &SharedLedger) {
        if self.timeout.is_none() && self.until.is_none_or(|until| until <= now) {
            self.until = Some(now + watch);
        }
        if self.noted.is_none() {
            let calls = &mut ledger.lock().blocking_calls;
            self.noted = Some(calls.len());
            calls.push(BlockingCall {
                name: self.name,
                began: self.began,
                timeout: self.timeout,
                ended: None,
                is_abandoned: false,
            });
        }
    }

    /// It is dropped where it stands.
    pub(super) fn abandoned(&mut self, now: Duration, ledger: &SharedLedger) {
        if let Some(at) = self.noted {
            ledger.lock().blocking_calls[at].is_abandoned = true;
        }
        self.ended(now, ledger);
    }

    /// It returned.
    pub(super) fn ended(&mut self, now: Duration, ledger: &SharedLedger) {
        if let Some(at) = self.noted.take() {
            ledger.lock().blocking_calls[at].ended = Some(now);
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Says what was found.
    pub(super) fn lost(&self, what: &str, now: Duration, ledger: &SharedLedger) {
        let (name, began) = (self.name, self.began);
        let text = format!("{name}, begun at {began:?}, was not woken although {what}");
        ledger.lock().violation("P9", now, text);
    }
}

fn flag(silent: bool) -> Arc<Flag> {
    Arc::new(Flag {
        called: AtomicBool::new(false),
        silent,
    })
}
