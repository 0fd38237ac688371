//! Producer ids, epochs and sequences; later transactions. Knows batches by their id only.

mod sequences;

#[cfg(test)]
mod sequences_tests;

pub(crate) use self::sequences::{Admission, Ending, Identity, SequenceVerdict, Sequences};
