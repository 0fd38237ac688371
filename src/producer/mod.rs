//! The producer: from `send` to the outcome (Java: `org.apache.kafka.clients.producer`).

mod accumulator;
mod batch_id;
mod callback;
mod close_error;
mod config;
mod delivery_error;
mod engine;
#[cfg(interleave)]
pub(crate) mod interleaving_tests;
mod kafka_producer;
mod partition_info;
mod partitioner;
mod pending_send;
mod producer_record;
mod receipt;
mod record_metadata;
mod send_error;
mod send_handle;
mod send_when_ready;
mod sender;
mod serializer;
mod shared;
#[cfg(any(test, fuzzing))]
mod simulated;
mod transaction;
mod worker;

pub use self::callback::{Callback, DeliveryCallback};
pub use self::close_error::CloseError;
pub use self::config::{Acks, ProducerConfig};
pub use self::delivery_error::{DeliveryError, UndeliveredRecord};
pub use self::kafka_producer::KafkaProducer;
pub use self::partition_info::{Broker, PartitionInfo};
pub use self::producer_record::{Null, ProducerRecord, TopicName};
pub use self::receipt::Receipt;
pub use self::record_metadata::RecordMetadata;
pub use self::send_error::SendError;
pub use self::send_handle::SendHandle;
pub use self::serializer::{
    Always, BytesSerializer, Direct, Field, Nullable, Output, SerializeContext, SerializeError,
    Serializer,
};

#[cfg(test)]
pub(crate) use self::accumulator::FlushTicket;
#[cfg(test)]
pub(crate) use self::sender::CallbackThread;
#[cfg(test)]
pub(crate) use self::simulated::{Afterwards, BlockedQuestion};
#[cfg(any(test, fuzzing))]
pub(crate) use self::simulated::{BlockedSend, SenderThread, SimulatedSurroundings};

/// For the benches alone (`crate::__internals`).
#[cfg(feature = "__internals")]
pub(crate) mod bench {
    pub(crate) use super::accumulator::{
        AccumulatorConfig, Append, BatchAck, BatchHead, DrainVerdict, Drained, Drainer,
        MemoryTicket, RecordAccumulator, RecordToAppend,
    };
}

/// For the fuzzer alone (`crate::fuzzing`).
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzed {
    pub(crate) use super::accumulator::{
        AccumulatorConfig, Append, BatchAck, BatchFailure, DrainVerdict, Drained, Drainer,
        MemoryTicket, ProducerBatch, RecordAccumulator, RecordToAppend,
    };
    pub(crate) use super::batch_id::SlotId;
    pub(crate) use super::config::key_names;
}
