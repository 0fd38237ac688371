//! Frames out of a stream that arrives in pieces, sizes negative and huge: against a model that has
//! the stream as a whole.

use super::input::Input;
use super::target::{self, Target};
use crate::network::NetworkReceive;

pub(super) const NETWORK_RECEIVE_CHUNKS: Target = target::new(
    ("network_receive_chunks", MAX_LEN),
    run,
    // The frame in progress grows by doubling; the error's text comes on top.
    |_| 2 * LARGE + 1024,
    |length| 2 * length + 16,
);

const MAX_LEN: usize = 16 * 1024;

/// The limit on frames is this or a small one.
const LARGE: usize = 128 * 1024;

fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let limit = if input.byte() % 2 == 0 { LARGE } else { 64 };
    let cuts = input.take(8);
    let stream = input.rest();
    let mut expected = Frames {
        stream,
        limit,
        at: 0,
    };
    let mut receive = NetworkReceive::new();
    let mut arrived = 0;
    for step in 0.. {
        let cut = cuts.get(step % cuts.len().max(1)).copied().unwrap_or(1);
        let from = arrived;
        arrived = stream.len().min(arrived + 1 + usize::from(cut));
        let mut piece = stream.get(from..arrived).unwrap_or_default();
        loop {
            match receive.read_from(&mut piece, limit) {
                Ok(Some(frame)) => assert_eq!(Some(&*frame), expected.next()),
                Ok(None) => break,
                Err(invalid) => {
                    assert!(expected.is_invalid(), "{invalid:?} of a valid size");
                    return;
                }
            }
        }
        assert!(piece.is_empty(), "bytes are left over");
        let held = receive.allocated_bytes();
        assert!(held <= limit, "more than any frame needs");
        assert!(
            held <= 2 * arrived + 64 * 1024,
            "memory follows what was claimed"
        );
        if arrived == stream.len() {
            break;
        }
    }
    let left = expected.next().is_none() && !expected.is_invalid();
    assert!(left, "it kept a frame back, or passed over a size");
    let held = receive.in_progress().map_or(0, |(held, _)| held);
    assert_eq!(held, stream.len() - expected.at, "it lost or made up bytes");
}

/// The frames of a stream, as one sees them who has all of it.
struct Frames<'a> {
    stream: &'a [u8],
    limit: usize,
    at: usize,
}

impl<'a> Frames<'a> {
    /// The size of the next frame, if all four bytes of it are there.
    fn size(&self) -> Option<Option<usize>> {
        let bytes = self.stream.get(self.at..)?.first_chunk::<4>()?;
        let size = usize::try_from(i32::from_be_bytes(*bytes)).ok();
        Some(size.filter(|size| *size <= self.limit))
    }

    fn is_invalid(&self) -> bool {
        self.size() == Some(None)
    }

    fn next(&mut self) -> Option<&'a [u8]> {
        let size = self.size()??;
        let frame = self.stream.get(self.at + 4..self.at + 4 + size)?;
        self.at += 4 + size;
        Some(frame)
    }
}
