//! The record batch format, version 2: bytes of records, header, checksum. Knows no network
//! (Java: `org.apache.kafka.common.record`).

mod batch_header;
mod headers;

pub(crate) use self::batch_header::ProducerState;
pub use self::headers::{Header, Headers};
