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
#[doc(hidden)]
pub use self::producer::{Always, Direct, Nullable};
pub use self::producer::{
    BytesSerializer, Callback, DeliveryCallback, DeliveryError, Field, Null, Output,
    ProducerRecord, RecordMetadata, SendError, SendHandle, SerializeContext, SerializeError,
    Serializer, TopicName, UndeliveredRecord,
};
pub use self::record::{Header, Headers};
