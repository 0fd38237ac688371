//! The producer: from `send` to the outcome (Java: `org.apache.kafka.clients.producer`).

mod accumulator;
mod batch_id;
mod callback;
mod record_metadata;
mod send_handle;
mod sender;
mod transaction;

pub use self::callback::DeliveryCallback;
pub use self::record_metadata::RecordMetadata;
pub use self::send_handle::{DeliveryError, SendHandle, UndeliveredRecord};
