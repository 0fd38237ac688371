//! A synchronous, thread-based producer for Apache Kafka.

mod backoff;
mod client;
mod cluster;
mod error;
mod network;
mod producer;
mod protocol;
mod random;
mod record;
mod sync;
mod time;

pub use self::client::Resolver;
pub use self::error::{Error, ErrorKind, Persistence};
pub use self::producer::{
    Callback, DeliveryCallback, DeliveryError, RecordMetadata, SendHandle, UndeliveredRecord,
};
pub use self::record::{Header, Headers};
