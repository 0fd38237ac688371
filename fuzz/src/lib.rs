//! What every fuzz target does: run one input and judge what it took.

#![forbid(unsafe_code)]

use kafka_producer::fuzzing;

/// Runs one input of the named target.
///
/// # Panics
/// If the library does, or if it took more memory or more allocations than the target may.
pub fn run(name: &str, input: &[u8]) {
    let target = fuzzing::target(name).expect("the library knows every target");
    let took = allocation_counter::measure(|| (target.run)(input));
    target.judge(input.len(), took.bytes_max, took.count_total);
}
