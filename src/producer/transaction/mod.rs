//! Producer ids, epochs and sequences; later transactions. Knows batches by their id only.
