//! The table of targets, and what each may take of memory and work.

use super::{
    accumulator_ops, configuration, correlation, frames, hostile_client, records, responses,
};

/// One thing to fuzz.
#[derive(Debug)]
#[non_exhaustive]
pub struct Target {
    /// Also the name of its program and of its folder under `fuzz/corpus`.
    pub name: &'static str,
    /// Inputs that are longer say nothing more.
    pub max_len: usize,
    /// Takes one input; panics if something is wrong.
    pub run: fn(&[u8]),
    most_bytes: fn(usize) -> usize,
    most_allocations: fn(usize) -> usize,
}

impl Target {
    /// Judges what one run took: the most bytes that were allocated at one time, and how many
    /// allocations there were, which stand for work, as wall time does not tell.
    ///
    /// # Panics
    /// If it was more than the target may take for an input of this length.
    pub fn judge(&self, length: usize, peak_bytes: u64, allocations: u64) {
        let (bytes, count) = (
            (self.most_bytes)(length) as u64,
            (self.most_allocations)(length) as u64,
        );
        assert!(
            peak_bytes <= bytes,
            "{}: {peak_bytes} bytes at one time for an input of {length}, at most {bytes}",
            self.name
        );
        assert!(
            allocations <= count,
            "{}: {allocations} allocations for an input of {length}, at most {count}",
            self.name
        );
    }
}

/// Every target.
pub static TARGETS: &[Target] = &[
    responses::API_VERSIONS,
    responses::METADATA,
    responses::PRODUCE,
    responses::INIT_PRODUCER_ID,
    records::RECORD_BATCH_READ,
    frames::NETWORK_RECEIVE_CHUNKS,
    correlation::CORRELATION,
    accumulator_ops::ACCUMULATOR_OPS,
    configuration::CONFIGURATION,
    hostile_client::HOSTILE_CLIENT,
];

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// A target, put together.
pub(super) const fn new(
    (name, max_len): (&'static str, usize),
    run: fn(&[u8]),
    most_bytes: fn(usize) -> usize,
    most_allocations: fn(usize) -> usize,
) -> Target {
    Target {
        name,
        max_len,
        run,
        most_bytes,
        most_allocations,
    }
}
