//! The wake-up against the poller that goes to sleep, with a parked thread for the operating system.

use super::*;
use crate::interleaving::{Model, Poller, spawn};
use crate::sync::Parker;
use crate::sync::atomic::AtomicBool;
use crate::time::Time;

pub(crate) const MODELS: &[Model] = &[Model {
    name: "wakeup",
    property: "what was done before a wake is seen before the poller sleeps for good, and a sleep \
               costs the operating system at most one write",
    run: work_is_seen_before_the_poller_sleeps_for_good,
    preemptions: Some(4),
    percent: 100,
}];

impl Wakeup {
    /// One whose poller sleeps in `os`.
    pub(crate) fn modelled(os: &Parker) -> Self {
        Self(Arc::new(WakeupInner {
            state: AtomicU8::new(RUNNING),
            writes: AtomicU64::new(0),
            waker: None,
            modelled: Some(os.waker()),
        }))
    }

    pub(super) fn wake_modelled(&self) {
        if let Some(os) = &self.0.modelled {
            os.wake_by_ref();
        }
    }
}

/// The work is stored and looked at without any ordering of its own: the wake-up has to bring it.
fn work_is_seen_before_the_poller_sleeps_for_good() {
    let mut poller = Poller::new(Time::mock().1);
    let work = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
    let wakers = [0, 1].map(|number| {
        let (work, wakeup) = (Arc::clone(&work), poller.wakeup());
        spawn(move || {
            if let Some(done) = work.get(number) {
                done.store(true, Ordering::Relaxed);
            }
            wakeup.wake();
        })
    });
    while !work.iter().all(|done| done.load(Ordering::Relaxed)) {
        poller.sleep(None);
    }
    wakers.into_iter().for_each(|waker| waker.join());
    let (writes, sleeps) = (poller.wakeup().writes(), poller.sleeps());
    assert!(writes <= sleeps, "{writes} writes for {sleeps} sleeps");
}
