//! Real Apache Kafka for tests: brokers as child processes, and Kafka's own clients to ask them.
//!
//! [`RealKafka`] starts 1 or 3 brokers of a [`Version`] and stops them on drop. Its methods change
//! the cluster, break it, write with Kafka's own producer and read back with its own consumer,
//! through a long-lived Java program (`tests/kafka/`), so that nothing of ours judges ours.
//! [`RawConnection`] sends whatever bytes a test likes.
//!
//! The jars come by Maven and are resolved once per version; see [`available`].
#![allow(
    clippy::disallowed_methods,
    reason = "these are tests on real processes: they wait on the real clock"
)]

mod administration;
mod cluster;
mod failure;
mod installation;
mod java_process;
mod node;
mod port;
mod raw_connection;
mod records;
mod sidecar;
mod version;

pub use administration::{AclTarget, NewTopic, PartitionInfo, ProducerInfo, TopicInfo};
pub use cluster::{ClusterOptions, RealKafka};
pub use failure::Failure;
pub use installation::available;
pub use raw_connection::{Answer, RawConnection, decode_response, encode_request};
pub use records::{ConsumedRecord, JavaRecord, Produced, TimestampKind};
pub use version::Version;
