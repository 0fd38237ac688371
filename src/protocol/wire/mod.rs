//! Primitive types on the wire: a bounded reader that never panics, and a writer of frames.

mod reader;
mod varint;
mod writer;

pub(crate) use self::reader::{ProtocolError, Reader};
pub(crate) use self::writer::FrameWriter;
