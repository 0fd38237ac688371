//! What the fuzzer feeds: one function per target, bytes in, nothing out, a panic for what must not
//! be. `fuzz/` runs them guided by coverage, `cargo test` over the committed corpus.
//!
//! Built for tests and with `cfg(fuzzing)` only, which `cargo xtask fuzz` sets. Thread: the one that
//! calls; no target starts another, sleeps or reads a clock.

mod accumulator_ops;
mod broker_answers;
mod configuration;
mod correlation;
mod frames;
mod hostile_client;
mod hostile_wire;
mod input;
mod no_names;
mod records;
mod responses;
mod scripted_network;
mod target;

#[cfg(test)]
mod corpus_tests;

pub use self::target::{TARGETS, Target, target};
