//! The producer: from `send` to the outcome (Java: `org.apache.kafka.clients.producer`).

mod accumulator;
mod batch_id;
mod callback;
mod delivery_error;
mod record_metadata;
mod send_handle;
mod sender;
mod shared;
mod transaction;

pub use self::callback::{Callback, DeliveryCallback};
pub use self::delivery_error::{DeliveryError, UndeliveredRecord};
pub use self::record_metadata::RecordMetadata;
pub use self::send_handle::SendHandle;
