//! What every fuzz target does: run one input and judge what it took.

#![forbid(unsafe_code)]

use kafka_producer::fuzzing;
use libfuzzer_sys::Corpus;

/// Runs one input of the named target; one that is longer than the target wants is not kept.
///
/// # Panics
/// If the library does, or if it took more memory or more allocations than the target may.
pub fn run(name: &str, input: &[u8]) -> Corpus {
    let target = fuzzing::target(name).expect("the library knows every target");
    if input.len() > target.max_len {
        return Corpus::Reject;
    }
    let took = allocation_counter::measure(|| (target.run)(input));
    target.judge(input.len(), took.bytes_max, took.count_total);
    Corpus::Keep
}
