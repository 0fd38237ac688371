//! Which partition a record goes to. By key here; without one the accumulator's sticky choice
//! decides (Java: `BuiltInPartitioner`).

mod murmur2;

pub(super) use self::murmur2::partition_for_key;
