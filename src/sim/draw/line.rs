//! Which line of the guarantee table a seed is about: drawn first, so that each comes often enough.
//!
//! Thread: any. Locks: none.

use super::super::guarantees::Line;
use super::super::streams::stream;

/// In so many of 1,000 seeds; partitions that lose data count for another line besides.
const SHARES: [(Line, usize); 8] = [
    // Those of which rare outcomes are asked come more often.
    (Line::Acks0, 166),
    (Line::Acks1, 117),
    (Line::Acks1Pipelined, 113),
    (Line::All, 115),
    (Line::AllPipelined, 110),
    (Line::Idempotent, 141),
    (Line::IdempotentSmallWindow, 136),
    // Any partition may forget its producers besides.
    (Line::IdempotentForgets, 102),
];

pub(super) fn draw(seed: u64) -> Line {
    let mut number = stream(seed, "line").below(1_000);
    for (line, share) in SHARES {
        match number.checked_sub(share) {
            None => return line,
            Some(rest) => number = rest,
        }
    }
    unreachable!("the shares are 1,000 together")
}

/// Configured by `enable.idempotence`.
pub(super) fn is_idempotent(line: Line) -> bool {
    matches!(
        line,
        Line::Idempotent
            | Line::IdempotentSmallWindow
            | Line::IdempotentForgets
            | Line::IdempotentLosesData
    )
}
