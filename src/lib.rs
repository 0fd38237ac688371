//! A synchronous, thread-based producer for Apache Kafka.
//!
//! ```no_run
//! use kafka_producer::{KafkaProducer, ProducerConfig, ProducerRecord};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let producer = KafkaProducer::new(ProducerConfig::new("localhost:9092"))?;
//!
//!     // Accepted now, sent with others in a moment; the handle tells what became of it.
//!     let handle = producer.send(ProducerRecord::new("events", "hello").key("user-7"))?;
//!     let metadata = handle.get()?;
//!     println!("{} at {:?}", metadata.topic(), metadata.offset());
//!
//!     // Or be called back, on the network thread.
//!     for i in 0..1000 {
//!         let record = ProducerRecord::new("events", format!("event {i}"));
//!         producer.send_with_callback(record, |result| {
//!             if let Err(failed) = result {
//!                 eprintln!("{failed}: {:?}", failed.persistence());
//!             }
//!         })?;
//!     }
//!     producer.flush()?;
//!     Ok(())
//! }
//! ```
//!
//! # What it promises
//!
//! A record that `send` accepted ends in exactly one outcome within `delivery.timeout.ms`: it was
//! acknowledged, or it is certainly not written, or it may be ([`Persistence`]). Per partition, records
//! are written in the order of sending, each once, as long as `enable.idempotence` is on (the default).
//! A record that was not accepted comes back with its types ([`SendError::into_record`]), one that was
//! accepted and failed comes back as bytes ([`DeliveryError::record`]).
//!
//! # Threads
//!
//! One thread per producer sends and receives; another one resolves host names, if there are any. There
//! is no runtime: [`SendHandle`] and [`KafkaProducer::send_when_ready`] are futures that any runtime can
//! poll. Callbacks run on the network thread and should be quick, or on a thread of their own
//! ([`ProducerConfig::callback_thread_enable`]); whatever would wait inside one fails at once with
//! [`ErrorKind::WouldDeadlock`].
//!
//! # What blocks, and for how long
//!
//! | call | waits for | at most |
//! |---|---|---|
//! | [`send`](KafkaProducer::send) | metadata of a new topic, room in `buffer.memory` | `max.block.ms` |
//! | [`try_send`](KafkaProducer::try_send), [`purge`](KafkaProducer::purge) | nothing | |
//! | polling [`send_when_ready`](KafkaProducer::send_when_ready) | nothing; the future for what `send` waits for | until it is dropped |
//! | [`partitions_for`](KafkaProducer::partitions_for) | metadata of a new topic | `max.block.ms` |
//! | [`SendHandle::get`], [`flush`](KafkaProducer::flush) | outcomes | `delivery.timeout.ms` |
//! | [`flush_timeout`](KafkaProducer::flush_timeout), [`SendHandle::get_timeout`] | outcomes | its argument |
//! | [`close`](KafkaProducer::close), dropping the last clone | outcomes | its argument; `delivery.timeout.ms` |
//!
//! # Configuration
//!
//! Keys, defaults and rules are Kafka's ([`ProducerConfig`], `docs/CONFIGURATION.md`).
//!
//! # Features
//!
//! `properties` (default): read Java properties files.

#![cfg_attr(
    fuzzing,
    allow(dead_code, reason = "some seams have their users in tests alone")
)]

#[cfg(feature = "__internals")]
#[doc(hidden)]
pub mod __internals;
mod backoff;
mod client;
mod cluster;
mod error;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod network;
mod planted;
mod producer;
mod protocol;
mod random;
mod record;
#[cfg(test)]
mod sim;
mod sync;
mod time;

pub use self::client::Resolver;
pub use self::error::{Error, ErrorKind, Persistence};
pub use self::producer::{
    Acks, Broker, BytesSerializer, Callback, CloseError, DeliveryCallback, DeliveryError, Field,
    KafkaProducer, Null, Output, PartitionInfo, ProducerConfig, ProducerRecord, Receipt,
    RecordMetadata, SendError, SendHandle, SerializeContext, SerializeError, Serializer, TopicName,
    UndeliveredRecord,
};
#[doc(hidden)]
pub use self::producer::{Always, Direct, Nullable};
pub use self::record::{Header, Headers};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
