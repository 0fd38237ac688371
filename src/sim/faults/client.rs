//! What an application does to its producer that no application should.
//!
//! Thread: the one that simulates; callbacks ask while the world is not held. Locks: its own, a leaf.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::kinds::FaultKind;
use super::plan::{Counts, DrawTime, FaultPlan};
use crate::random::Random;
use crate::sim::streams::stream;

/// What a callback does beyond writing down what it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallbackMood {
    Plain,
    /// It sends a record.
    Send,
    /// It holds the Sender thread up for so long.
    Sleep(Duration),
    Panic,
    Flush,
    Close,
    /// It waits for a handle.
    Get,
}

/// Asked by the application; every answer that is not the ordinary one counts, so it is to be done.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClientFaults(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    active: Vec<(FaultPlan, Random)>,
    counts: Counts,
}

impl ClientFaults {
    pub(crate) fn new(plans: &[FaultPlan]) -> Self {
        let asked = |plan: &&FaultPlan| {
            mood_of(plan.kind).is_some()
                || matches!(
                    plan.kind,
                    FaultKind::DroppedHandles | FaultKind::FailingSerializer
                )
        };
        let active = plans.iter().filter(asked);
        Self(Arc::new(Mutex::new(State {
            active: active
                .map(|plan| (plan.clone(), stream(plan.seed, "client")))
                .collect(),
            counts: Counts::default(),
        })))
    }

    /// What a callback does that is called now.
    pub(crate) fn mood(&self, now: Duration) -> CallbackMood {
        let mut state = self.lock();
        let State { active, counts, .. } = &mut *state;
        for (plan, random) in active {
            let Some(mood) = mood_of(plan.kind).filter(|_| plan.is_in_force(now)) else {
                continue;
            };
            let often = match mood {
                CallbackMood::Close if counts.of(plan.kind) > 0 => 0,
                CallbackMood::Close => plan.scaled(1, 10),
                CallbackMood::Sleep(_) => plan.scaled(2, 50),
                _ => plan.scaled(5, 300),
            };
            if random.one_of(often) {
                counts.add(plan.kind);
                return match mood {
                    CallbackMood::Sleep(_) => {
                        CallbackMood::Sleep(random.us(10, plan.scaled(10_000, 5_000_000)))
                    }
                    mood => mood,
                };
            }
        }
        CallbackMood::Plain
    }

    /// Whether the handle that a send has just returned is dropped.
    pub(crate) fn drops_handle(&self, now: Duration) -> bool {
        self.strikes(FaultKind::DroppedHandles, (50, 1000), now)
    }

    /// Whether the serializer of a record fails.
    pub(crate) fn fails_to_serialize(&self, now: Duration) -> bool {
        self.strikes(FaultKind::FailingSerializer, (5, 300), now)
    }

    pub(super) fn counts(&self) -> Counts {
        self.lock().counts.clone()
    }

    pub(super) fn heal(&self) {
        self.lock().active.clear();
    }

    fn strikes(&self, kind: FaultKind, often: (u64, u64), now: Duration) -> bool {
        let mut state = self.lock();
        let State { active, counts, .. } = &mut *state;
        for (plan, random) in active {
            if plan.kind == kind
                && plan.is_in_force(now)
                && random.one_of(plan.scaled(often.0, often.1))
            {
                counts.add(kind);
                return true;
            }
        }
        false
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn mood_of(kind: FaultKind) -> Option<CallbackMood> {
    Some(match kind {
        FaultKind::CallbackSends => CallbackMood::Send,
        FaultKind::CallbackSleeps => CallbackMood::Sleep(Duration::ZERO),
        FaultKind::CallbackPanics => CallbackMood::Panic,
        FaultKind::CallbackFlushes => CallbackMood::Flush,
        FaultKind::CallbackCloses => CallbackMood::Close,
        FaultKind::CallbackWaits => CallbackMood::Get,
        _ => return None,
    })
}
