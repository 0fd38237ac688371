//! Which line of the guarantee table a seed is about: drawn first, so that each comes often enough.
//!
//! Thread: any. Locks: none.

use super::super::guarantees::Line;
use super::super::streams::stream;

/// In so many of 1,000 seeds; partitions that lose data count for another line besides.
const SHARES: [(Line, usize); 8] = [
    (Line::Acks0, 150),
    (Line::Acks1, 120),
    (Line::Acks1Pipelined, 120),
    (Line::All, 120),
    (Line::AllPipelined, 120),
    (Line::Idempotent, 125),
    (Line::IdempotentSmallWindow, 125),
    (Line::IdempotentForgets, 120),
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
