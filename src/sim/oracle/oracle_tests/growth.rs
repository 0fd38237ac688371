//! P6: a run gives back all the memory it took, seen by an allocator that counts.

use crate::sim::run::run;
use crate::sim::run::tests::simple;

#[test]
fn run_gives_back_all_its_memory() {
    // What is made once for all runs is made by the first.
    drop(run(&simple(1), false));
    let after = |runs: usize| {
        allocation_counter::measure(|| (0..runs).for_each(|_| drop(run(&simple(1), false))))
    };
    let (once, often) = (after(1), after(4));
    assert_eq!(once.count_current, 0, "{once:?}");
    assert_eq!(often.count_current, 0, "{often:?}");
    // Nothing is left behind; a buffer that outlives runs may still be growing.
    assert!(often.bytes_current < 1024, "{once:?} {often:?}");
}
