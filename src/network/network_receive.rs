//! One size-delimited frame as it arrives: 4 bytes of size, then the body (Java: `NetworkReceive`).
//!
//! Thread: Sender. Locks: none. Pure: bytes in, frames out. Invariant: memory follows what has
//! arrived, never what was claimed: at most twice that plus 64 KB (a TLS alert read as a size claims
//! 336 MB, KAFKA-4493).

use bytes::Bytes;

use crate::planted::{Plant, planted};

/// The frame that is arriving.
#[derive(Debug)]
pub(crate) struct NetworkReceive {
    state: State,
}

#[derive(Debug)]
enum State {
    Size { bytes: [u8; 4], arrived: usize },
    Body { claimed: usize, body: Vec<u8> },
}

/// A size that no frame can have; the text says which, and what the peer may speak instead.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InvalidReceive(pub(super) String);

impl NetworkReceive {
    pub(crate) fn new() -> Self {
        Self {
            state: State::Size {
                bytes: [0; 4],
                arrived: 0,
            },
        }
    }

    /// Takes bytes off the front of `arrived` until a frame is whole (then call again) or none are
    /// left.
    pub(crate) fn read_from(
        &mut self,
        arrived: &mut &[u8],
        max_frame_bytes: usize,
    ) -> Result<Option<Bytes>, InvalidReceive> {
        if let State::Size {
            bytes,
            arrived: have,
        } = &mut self.state
        {
            for byte in bytes.iter_mut().skip(*have) {
                let Some((first, rest)) = arrived.split_first() else {
                    return Ok(None);
                };
                *byte = *first;
                *have += 1;
                *arrived = rest;
            }
            let claimed = frame_size(*bytes, max_frame_bytes)?;
            let at_once = if planted(Plant::R74) {
                claimed.min(ALERT_BYTES)
            } else {
                0
            };
            self.state = State::Body {
                claimed,
                body: Vec::with_capacity(at_once),
            };
        }
        Ok(self.read_body(arrived))
    }

    fn read_body(&mut self, arrived: &mut &[u8]) -> Option<Bytes> {
        let State::Body { claimed, body } = &mut self.state else {
            return None;
        };
        let take = arrived.len().min(*claimed - body.len());
        let (taken, rest) = arrived.split_at_checked(take)?;
        *arrived = rest;
        let frame = if taken.len() == *claimed {
            // The usual case: the whole body at once, in memory of exactly its size.
            Bytes::copy_from_slice(taken)
        } else {
            grow(body, taken.len(), *claimed);
            if planted(Plant::PartialRead) && !body.is_empty() {
                body.resize(body.len() + taken.len(), 0);
            } else {
                body.extend_from_slice(taken);
            }
            if body.len() < *claimed {
                return None;
            }
            Bytes::from(std::mem::take(body))
        };
        *self = Self::new();
        Some(frame)
    }

    /// How many bytes of the frame in progress are there, its size included, and how many it
    /// should have, where known; `None` between frames.
    pub(crate) fn in_progress(&self) -> Option<(usize, Option<usize>)> {
        match &self.state {
            State::Size { arrived: 0, .. } => None,
            State::Size { arrived, .. } => Some((*arrived, None)),
            State::Body { claimed, body } => Some((body.len() + 4, Some(*claimed + 4))),
        }
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn allocated_bytes(&self) -> usize {
        match &self.state {
            State::Size { .. } => 0,
            State::Body { body, .. } => body.capacity(),
        }
    }
}

/// Makes room for `more` bytes: doubling, from 64 KB, and never beyond what the frame will need.
fn grow(body: &mut Vec<u8>, more: usize, claimed: usize) {
    let needed = body.len() + more;
    if needed > body.capacity() {
        let target = needed
            .max(body.capacity().saturating_mul(2))
            .max(FIRST_ALLOCATION_BYTES)
            .min(claimed);
        body.reserve_exact(target - body.len());
    }
}

fn frame_size(bytes: [u8; 4], max_frame_bytes: usize) -> Result<usize, InvalidReceive> {
    let size = i32::from_be_bytes(bytes);
    match usize::try_from(size) {
        // KAFKA-4493: a TLS alert is a frame of 336 MB.
        Ok(size) if size <= max_frame_bytes || planted(Plant::R74) => Ok(size),
        Ok(size) => Err(InvalidReceive(format!(
            "frame of {size} bytes, more than the {max_frame_bytes} that are accepted here: {}",
            suspicion(bytes)
        ))),
        Err(_) => Err(InvalidReceive(format!(
            "frame of {size} bytes: {}",
            suspicion(bytes)
        ))),
    }
}

/// What a peer speaks that begins with these bytes.
fn suspicion(bytes: [u8; 4]) -> &'static str {
    match bytes {
        // An alert or a handshake record, of any version.
        [0x15 | 0x16, 0x03, ..] => "the peer speaks TLS, not Kafka's protocol (security.protocol)",
        [b'H', b'T', b'T', b'P'] => {
            "the peer speaks HTTP, not Kafka's protocol (bootstrap.servers, security.protocol)"
        }
        _ => "the peer does not speak Kafka's protocol (bootstrap.servers, security.protocol)",
    }
}

/// An alert of TLS read as a size, which is as much as R74 takes at once.
const ALERT_BYTES: usize = 0x1503_0300;

const FIRST_ALLOCATION_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 100 * 1024 * 1024;

    fn framed(body: &[u8]) -> Vec<u8> {
        let mut bytes = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
        bytes.extend_from_slice(body);
        bytes
    }

    fn frames_of(chunks: &[&[u8]]) -> Vec<Bytes> {
        let mut receive = NetworkReceive::new();
        let mut frames = Vec::new();
        for mut chunk in chunks.iter().copied() {
            while let Some(frame) = receive.read_from(&mut chunk, MAX).unwrap() {
                frames.push(frame);
            }
            assert!(chunk.is_empty());
        }
        assert_eq!(receive.in_progress(), None);
        frames
    }

    #[test]
    fn read_from_at_every_split_gives_the_same_frames() {
        let bodies: [&[u8]; 4] = [b"one", b"", b"three three", b"4"];
        let stream: Vec<u8> = bodies.iter().flat_map(|body| framed(body)).collect();
        for first in 0..=stream.len() {
            for second in first..=stream.len() {
                let chunks = [&stream[..first], &stream[first..second], &stream[second..]];
                assert_eq!(frames_of(&chunks), bodies);
            }
        }
    }

    #[test]
    fn read_from_single_bytes_gives_the_frame() {
        let stream = framed(&[9; 300]);
        let chunks: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(frames_of(&chunks), [vec![9; 300]]);
    }

    #[test]
    fn read_from_claim_of_99_mb_allocates_by_what_arrived() {
        let mut receive = NetworkReceive::new();
        let claim = (99 * 1024 * 1024_u32).to_be_bytes();
        let mut input = &[claim.as_slice(), &[1; 10]].concat()[..];
        assert_eq!(receive.read_from(&mut input, MAX).unwrap(), None);
        assert_eq!(receive.allocated_bytes(), 64 * 1024);
        let mut arrived = 10;
        for _ in 0..100 {
            let mut input = &[1; 60_000][..];
            assert_eq!(receive.read_from(&mut input, MAX).unwrap(), None);
            arrived += 60_000;
            assert!(receive.allocated_bytes() <= 2 * arrived + 64 * 1024);
        }
    }

    #[test]
    fn read_from_partial_small_frame_allocates_its_size_once() {
        let mut receive = NetworkReceive::new();
        let stream = framed(&[5; 1000]);
        let mut input = &stream[..10];
        assert_eq!(receive.read_from(&mut input, MAX).unwrap(), None);
        assert_eq!(receive.allocated_bytes(), 1000);
    }

    #[test]
    fn read_from_size_beyond_the_limit_is_refused() {
        let at_limit = framed(&[0; 16]);
        let mut receive = NetworkReceive::new();
        assert!(receive.read_from(&mut &at_limit[..], 16).unwrap().is_some());
        let beyond = framed(&[0; 17]);
        let error = receive.read_from(&mut &beyond[..], 16).unwrap_err();
        assert!(error.0.starts_with("frame of 17 bytes, more than the 16 "));
    }

    #[test]
    fn read_from_negative_size_is_refused() {
        let mut receive = NetworkReceive::new();
        let error = receive
            .read_from(&mut &[0xff, 0xff, 0xff, 0xfb][..], MAX)
            .unwrap_err();
        assert!(error.0.starts_with("frame of -5 bytes: the peer does not"));
    }

    #[test]
    fn read_from_tls_or_http_peer_says_so() {
        for (bytes, expected) in [
            (&b"\x15\x03\x03\x00\x02"[..], "speaks TLS, not Kafka's"),
            (&b"\x16\x03\x01\x02\x00"[..], "speaks TLS, not Kafka's"),
            (&b"HTTP/1.1 400"[..], "speaks HTTP, not Kafka's"),
            (&b"SSH-2.0"[..], "does not speak Kafka's"),
        ] {
            let mut input = bytes;
            let error = NetworkReceive::new()
                .read_from(&mut input, MAX)
                .unwrap_err();
            assert!(error.0.contains(expected), "{}", error.0);
        }
    }

    #[test]
    fn in_progress_tells_how_far_a_frame_came() {
        let mut receive = NetworkReceive::new();
        assert_eq!(receive.read_from(&mut &[0, 0][..], MAX).unwrap(), None);
        assert_eq!(receive.in_progress(), Some((2, None)));
        assert_eq!(receive.read_from(&mut &[0, 9, 1][..], MAX).unwrap(), None);
        assert_eq!(receive.in_progress(), Some((5, Some(13))));
    }

    #[cfg(feature = "planted")]
    #[test]
    fn partial_read_loses_the_rest_of_the_frame() {
        crate::planted::assert_live(Plant::PartialRead, || {
            let stream = framed(b"answer");
            let frames = frames_of(&[&stream[..7], &stream[7..]]);
            frames != [Bytes::from_static(b"answer")]
        });
    }

    #[cfg(feature = "planted")]
    #[test]
    fn r74_alert_of_tls_is_a_frame_of_336_megabytes() {
        crate::planted::assert_live(Plant::R74, || {
            let mut receive = NetworkReceive::new();
            let mut alert: &[u8] = &[0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x28];
            let read = receive.read_from(&mut alert, MAX);
            read.is_ok() && receive.allocated_bytes() > 300 << 20
        });
    }
}
