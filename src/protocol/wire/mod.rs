//! Primitive types on the wire: a bounded reader that never panics, and a writer of frames.

use bytes::Bytes;

/// Bytes that are not what they should be.
#[derive(Debug, thiserror::Error)]
#[error("{what} at byte {at}")]
pub(crate) struct ProtocolError {
    pub(crate) what: &'static str,
    pub(crate) at: usize,
}

/// Reads one frame.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    #[allow(dead_code, reason = "filled in by the protocol room")]
    input: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self { input }
    }
}

/// Writes one frame: small fields gathered into a buffer, record batches spliced in as they are.
#[derive(Debug, Default)]
pub(crate) struct FrameWriter {}

impl FrameWriter {
    /// The frame with its length in front, in pieces.
    pub(crate) fn into_parts(self) -> Vec<Bytes> {
        todo!("protocol room")
    }
}
