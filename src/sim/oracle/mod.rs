//! The judge: told of every request and answer as it passes, and of everything at the end.
//!
//! Thread: the one that simulates. Locks: none. What each file checks:
//! | file | property |
//! |---|---|
//! | `wire_watch` | on each request: versions, correlation ids, requests in flight, sizes, leaders, connects |
//! | `attempts` | nothing: who sent what when, and what came of it, for all others |
//! | `sequences` | P7, and one unanswered batch per partition where the Sender mutes |
//! | `records` | P1, P2, P3 against the logs |
//! | `bounds` | P4, P5, P6, P10 against what was told |
//! | `losses` | P1: no loss is told of that no broker had |
//! | `polls` | P9 |
//! | `isolation` | P12 |
//!
//! Requests are put in the order of their correlation ids, which is that of their making, wherever
//! a slow socket let a later one of another connection overtake.

mod attempts;
mod bounds;
mod findings;
mod isolation;
mod logs;
mod losses;
#[allow(
    clippy::module_inception,
    reason = "the room and its main type have one name"
)]
mod oracle;
mod polls;
mod records;
mod recreation;
mod sequences;
mod splits;
mod terms;
mod wire_watch;

pub(crate) use self::oracle::Oracle;

#[cfg(test)]
mod oracle_tests;
