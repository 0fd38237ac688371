//! Brokers for tests: an embedded, strict Kafka cluster that needs no Java and no network.
//!
//! [`Cluster`] is a pure state machine (bytes in, bytes out, the time is an argument), so a
//! deterministic simulator can drive it. [`EmbeddedKafka`] puts the same machine behind real
//! sockets on 127.0.0.1:
//!
//! ```
//! use kafka_test_support::{ClusterConfig, EmbeddedKafka, Fault, On};
//!
//! let kafka = EmbeddedKafka::start(ClusterConfig::brokers(3).topic("orders", 6));
//! kafka.with(|cluster| {
//!     // The next three requests for partition 0 are refused; then all is well.
//!     cluster.fault(Fault::error(On::produce().partition("orders", 0), 6).times(3));
//! });
//! println!("bootstrap.servers={}", kafka.bootstrap());
//! assert!(kafka.with(|cluster| cluster.log("orders", 0)).is_empty());
//! ```

mod api_versions;
mod batch;
mod change;
mod cluster;
mod code;
mod config;
mod connection;
mod fault;
mod handler;
mod history;
mod hostile;
mod init_producer_id;
mod log;
pub mod log_reader;
mod metadata;
mod produce;
mod producer_state;
pub mod proxy;
pub mod real_kafka;
pub mod tap;
mod tcp;
mod topic;
mod versions;
mod wire;

#[cfg(test)]
mod cluster_tests;

pub use change::Change;
pub use cluster::{Cluster, ConnId, ConnState};
pub use config::{ClusterConfig, FirstSequence, LeaderHints, TopicConfig};
pub use fault::{Effect, Fault, Moment, On, refuses_record};
pub use history::{Event, ProducedBatch, What};
pub use hostile::Lie;
pub use log::{StoredBatch, StoredHeader, StoredRecord};
pub use tcp::EmbeddedKafka;
pub use versions::{Api, VersionProfile};
