//! A synchronous, thread-based producer for Apache Kafka.

#[cfg(feature = "__internals")]
#[doc(hidden)]
pub mod __internals;
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
    Acks, Broker, BytesSerializer, Callback, DeliveryCallback, DeliveryError, Field, KafkaProducer,
    Null, Output, PartitionInfo, ProducerConfig, ProducerRecord, RecordMetadata, SendError,
    SendHandle, SerializeContext, SerializeError, Serializer, TopicName, UndeliveredRecord,
};
#[doc(hidden)]
pub use self::producer::{Always, Direct, Nullable};
pub use self::record::{Header, Headers};
