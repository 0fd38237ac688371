//! The record batch format, version 2: bytes of records, header, checksum. Knows no network
//! (Java: `org.apache.kafka.common.record`).

mod batch_builder;
mod batch_header;
mod batch_reader;
mod framing;
mod headers;
mod record_view;
mod size;
mod splitting;
mod varint;

pub(crate) use self::batch_builder::BatchBuilder;
pub(crate) use self::batch_header::{BATCH_OVERHEAD, BatchHeader, ProducerState};
pub(crate) use self::batch_reader::BatchReader;
pub use self::headers::{Header, Headers};
pub(crate) use self::record_view::RecordView;
pub(crate) use self::splitting::{numbered_from_zero, take_front};
