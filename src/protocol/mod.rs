//! Kafka's wire protocol: bytes to structs and back. No IO, clock, thread or lock
//! (Java: `org.apache.kafka.common.protocol` and `.requests`).

mod api_key;
mod error_code;
mod header;
pub(crate) mod messages;
mod wire;

#[cfg(test)]
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "drawn values are small"
)]
pub(crate) mod oracle_tests;

pub(crate) use self::api_key::{ApiKey, VersionRange};
pub(crate) use self::error_code::ErrorCode;
pub(crate) use self::header::{RequestHeader, decode_response_header};
pub(crate) use self::wire::{FrameWriter, ProtocolError, Reader};
