//! Bytes on their way to one socket, in many pieces, written by gathering writes
//! (Java: `ByteBufferSend` / `NetworkSend`).
//!
//! Thread: Sender. Locks: none. Invariant: the pieces are owned until written or dropped, so no
//! buffer is reused while a transport can still read it (KAFKA-19012).

use std::collections::VecDeque;

use bytes::Bytes;

/// What is left of a frame to be written, length prefix included.
#[derive(Debug, Default)]
pub(crate) struct Send {
    parts: VecDeque<Bytes>,
    remaining: usize,
}

impl Send {
    pub(crate) fn new(parts: impl IntoIterator<Item = Bytes>) -> Self {
        let parts: VecDeque<Bytes> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let remaining = parts.iter().map(Bytes::len).sum();
        Self { parts, remaining }
    }

    /// Bytes not yet written.
    pub(crate) fn remaining(&self) -> usize {
        self.remaining
    }
}
