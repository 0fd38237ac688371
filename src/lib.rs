//! A synchronous, thread-based producer for Apache Kafka.

mod backoff;
mod client;
mod cluster;
mod error;
mod network;
mod protocol;
mod random;
mod sync;
mod time;

pub use self::error::{Error, ErrorKind, Persistence};
