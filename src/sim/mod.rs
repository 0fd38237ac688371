//! The whole producer in a deterministic simulation: the real accumulator, Sender, `NetworkClient`,
//! `Selector` and codec on a simulated clock, over a simulated network of bytes, against the strict
//! cluster of `tests/support`. One thread, one seed; docs/TESTING.md, "The simulator", is the guide.
//!
//! Thread: one per run. Locks: the world's, held while time passes; the ledger's, a leaf.
//! ```text
//! Scenario::draw(seed) -> run(&Scenario) -> Report { violations, hash, counts }
//!                           |
//!      loop: SenderThread::turn -> Selector::poll -> World::select: time passes, and in it
//!            faults begin and end, bytes arrive, brokers answer, applications call
//! ```

mod answers;
mod application;
mod attempt;
mod campaign;
mod commands;
mod coverage;
mod draw;
mod faults;
mod frames;
mod frozen;
mod guarantees;
mod ledger;
mod names;
mod network;
mod oracle;
mod panics;
mod payload;
mod pending;
mod plain;
#[cfg(feature = "planted")]
mod plants;
mod probes;
mod regressions;
mod report;
mod run;
mod scenario;
mod setup;
mod shrink;
mod streams;
mod text;
mod trace;
mod watchdog;
mod wire;
mod world;
