//! Producer ids, epochs and sequences; later transactions. Knows batches by their id only.

mod sequences;

#[cfg(test)]
mod mock_partition;
#[cfg(test)]
mod sequences_model_tests;
#[cfg(test)]
mod sequences_tests;

#[cfg(test)]
pub(crate) use self::mock_partition::MockPartition;
pub(crate) use self::sequences::{Admission, Ending, Identity, SequenceVerdict, Sequences};
