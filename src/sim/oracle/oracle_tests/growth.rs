//! P6: a run gives back all the memory it took, seen by an allocator that counts.

use crate::sim::run::run;
use crate::sim::run::tests::simple;

#[test]
fn run_gives_back_all_its_memory() {
    // What is made once for all runs is made by the first.
    drop(run(&simple(1), false));
    let counted = allocation_counter::measure(|| drop(run(&simple(1), false)));
    assert_eq!(counted.bytes_current, 0, "{counted:?}");
    assert_eq!(counted.count_current, 0, "{counted:?}");
}
