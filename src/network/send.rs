//! Bytes on their way to one socket, in many pieces, written by gathering writes
//! (Java: `ByteBufferSend` / `NetworkSend`).
//!
//! Thread: Sender. Locks: none. Invariants: the pieces are owned until written or dropped, so no
//! buffer is reused while a transport can still read it (KAFKA-19012); `remaining` is the sum of
//! the lengths of `parts`, none of which is empty.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Write};

use bytes::{Buf, Bytes};

use crate::planted::{Plant, planted};

/// What is left of a frame to be written, length prefix included.
#[derive(Debug, Default)]
pub(crate) struct Send {
    parts: VecDeque<Bytes>,
    remaining: usize,
    written: usize,
    completion_may_wait: bool,
}

impl Send {
    pub(crate) fn new(parts: impl IntoIterator<Item = Bytes>) -> Self {
        let parts: VecDeque<Bytes> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let remaining = parts.iter().map(Bytes::len).sum();
        Self {
            parts,
            remaining,
            written: 0,
            completion_may_wait: false,
        }
    }

    /// The caller does not act upon the completion alone (a response will come): it is reported by
    /// whichever `poll` returns next, and does not cut that one's wait short. That saves one turn
    /// of the Sender per request.
    #[must_use]
    /// That is, an answer is expected.
    pub(crate) fn completion_may_wait(mut self) -> Self {
        self.completion_may_wait = true;
        self
    }

    /// All that is left to be written, for selectors that have no socket.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn bytes_left(&self) -> Vec<u8> {
        let parts: Vec<Bytes> = self.parts.iter().cloned().collect();
        parts.concat()
    }

    /// Bytes not yet written.
    pub(crate) fn remaining(&self) -> usize {
        self.remaining
    }

    /// Whether any byte was handed to a socket.
    pub(super) fn has_begun(&self) -> bool {
        self.written > 0
    }

    pub(super) fn may_wait(&self) -> bool {
        self.completion_may_wait
    }

    /// Writes until nothing is left or the socket takes no more; pieces that were written whole
    /// are given back at once.
    pub(super) fn write_to(&mut self, socket: &mut impl Write) -> io::Result<Written> {
        while self.remaining > 0 {
            // A short array costs less to prepare than the system call that it is for.
            let (offered, result) = if self.parts.len() <= FEW_SLICES {
                self.write_some::<FEW_SLICES>(socket)
            } else {
                self.write_some::<MAX_SLICES>(socket)
            };
            match result {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.advance(written);
                    // A short write is a full socket; asking again would only cost a call to be
                    // told so. Interest in WRITABLE is registered next, which looks afresh.
                    if written < offered {
                        return Ok(Written::Blocked);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Ok(Written::Blocked);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Written::Whole)
    }

    fn write_some<const N: usize>(&self, socket: &mut impl Write) -> (usize, io::Result<usize>) {
        let mut slices = [IoSlice::new(&[]); N];
        let mut count = 0;
        let mut offered = 0;
        for (slice, part) in slices.iter_mut().zip(&self.parts) {
            *slice = IoSlice::new(part);
            #[cfg(feature = "planted")]
            if planted(Plant::R01) && crate::planted::is_given_back(part) {
                *slice = IoSlice::new(REFILLED.get(..part.len()).unwrap_or(part));
            }
            count += 1;
            offered += part.len();
        }
        let result = socket.write_vectored(slices.get(..count).unwrap_or_default());
        (offered, result)
    }

    fn advance(&mut self, written: usize) {
        self.written += written;
        self.remaining = self.remaining.saturating_sub(written);
        let mut left = written;
        while let Some(front) = self.parts.front_mut() {
            if left < front.len() {
                if !planted(Plant::PartialWrite) {
                    front.advance(left);
                }
                return;
            }
            left -= front.len();
            self.parts.pop_front();
        }
    }
}

/// How a call of [`Send::write_to`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// Nothing is left.
    Whole,
    /// The socket takes no more for now.
    Blocked,
}

/// What stands in a buffer that was given back (R01).
#[cfg(feature = "planted")]
static REFILLED: [u8; 16 * 1024] = [0xDD; 16 * 1024];

/// What a request of some batches needs, in 1 KB of stack.
const FEW_SLICES: usize = 64;
/// The kernel's `UIO_MAXIOV`.
const MAX_SLICES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes bytes as a script says: each entry is what one call takes, or the error it gives.
    struct Scripted {
        script: VecDeque<Result<usize, ErrorKind>>,
        written: Vec<u8>,
        slices: Vec<usize>,
    }

    impl Scripted {
        fn new(script: impl IntoIterator<Item = Result<usize, ErrorKind>>) -> Self {
            Self {
                script: script.into_iter().collect(),
                written: Vec::new(),
                slices: Vec::new(),
            }
        }
    }

    impl Write for Scripted {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            panic!("only gathering writes are expected");
        }

        fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            self.slices.push(slices.len());
            let room = self.script.pop_front().unwrap_or(Ok(usize::MAX))?;
            let all: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
            let taken = all.len().min(room);
            self.written.extend_from_slice(&all[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn parts(count: usize, len: usize) -> Vec<Bytes> {
        (0..count)
            .map(|part| Bytes::from(vec![u8::try_from(part % 251).unwrap(); len]))
            .collect()
    }

    #[test]
    fn write_to_of_five_parts_is_one_gathering_write() {
        let mut socket = Scripted::new([]);
        let mut send = Send::new(parts(5, 100));
        assert_eq!(send.write_to(&mut socket).unwrap(), Written::Whole);
        assert_eq!(socket.slices, [5]);
        assert_eq!(socket.written, parts(5, 100).concat());
        assert_eq!(send.remaining(), 0);
    }

    #[test]
    fn write_to_never_gathers_more_than_the_kernel_takes() {
        let mut socket = Scripted::new([]);
        let mut send = Send::new(parts(2500, 3));
        assert_eq!(send.write_to(&mut socket).unwrap(), Written::Whole);
        assert_eq!(socket.slices, [1024, 1024, 452]);
        assert_eq!(socket.written, parts(2500, 3).concat());
    }

    #[test]
    fn write_to_after_every_partial_write_goes_on_where_it_stopped() {
        let expected = parts(7, 10).concat();
        for step in 1..=70 {
            let mut socket = Scripted::new(std::iter::repeat_n(Ok(step), 70));
            let mut send = Send::new(parts(7, 10));
            let mut calls = 1;
            while send.write_to(&mut socket).unwrap() == Written::Blocked {
                assert_eq!(send.remaining(), 70 - socket.written.len());
                calls += 1;
            }
            assert_eq!(calls, 70_usize.div_ceil(step));
            assert_eq!(socket.written, expected);
        }
    }

    #[test]
    fn write_to_when_socket_would_block_keeps_everything() {
        let mut socket = Scripted::new([Err(ErrorKind::WouldBlock)]);
        let mut send = Send::new(parts(2, 10));
        assert_eq!(send.write_to(&mut socket).unwrap(), Written::Blocked);
        assert_eq!(send.remaining(), 20);
        assert!(!send.has_begun());
    }

    #[test]
    fn write_to_when_interrupted_tries_again() {
        let mut socket = Scripted::new([Err(ErrorKind::Interrupted)]);
        let mut send = Send::new(parts(2, 10));
        assert_eq!(send.write_to(&mut socket).unwrap(), Written::Whole);
    }

    #[test]
    fn write_to_of_a_socket_that_takes_nothing_fails() {
        let mut socket = Scripted::new([Ok(0)]);
        let error = Send::new(parts(1, 1)).write_to(&mut socket).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WriteZero);
    }

    #[test]
    fn write_to_gives_back_parts_as_they_are_written() {
        let shared = Bytes::from(vec![7; 10]);
        let mut send = Send::new([shared.clone(), Bytes::from(vec![8; 10])]);
        assert!(!shared.is_unique());
        let mut socket = Scripted::new([Ok(10)]);
        assert_eq!(send.write_to(&mut socket).unwrap(), Written::Blocked);
        assert!(shared.is_unique(), "the first part is written and dropped");
        assert!(send.has_begun());
    }

    #[test]
    fn new_without_bytes_is_written_at_once() {
        let mut socket = Scripted::new([Err(ErrorKind::BrokenPipe)]);
        let mut send = Send::new([Bytes::new()]);
        assert_eq!(send.write_to(&mut socket).unwrap(), Written::Whole);
        assert!(socket.slices.is_empty());
    }

    #[cfg(feature = "planted")]
    #[test]
    fn r01_memory_given_back_is_written_as_what_it_holds_now() {
        crate::planted::assert_live(Plant::R01, || {
            let memory = Bytes::from(vec![7; 10]);
            let mut send = Send::new([Bytes::from_static(b"head"), memory.clone()]);
            let mut socket = Scripted::new([Ok(7)]);
            send.write_to(&mut socket).unwrap();
            crate::planted::note_given_back(&memory);
            send.write_to(&mut socket).unwrap();
            let refilled = socket.written[7..] == [0xDD; 7];
            crate::planted::note_returned(&memory);
            assert!(!crate::planted::is_given_back(&memory));
            refilled
        });
    }

    #[cfg(feature = "planted")]
    #[test]
    fn partial_write_begins_its_piece_anew() {
        crate::planted::assert_live(Plant::PartialWrite, || {
            let mut socket = Scripted::new([Ok(3)]);
            let mut send = Send::new([Bytes::from_static(b"1234"), Bytes::from_static(b"5678")]);
            while send.write_to(&mut socket).unwrap() == Written::Blocked {}
            socket.written != b"12345678"
        });
    }
}
