//! Where the embedded cluster differs from Kafka on purpose.

const CLOSED_BOX: &str = "the embedded cluster has no codecs: it takes what is compressed as it is";

/// The name of a case and the reason.
pub(super) const EXCEPTIONS: &[(&str, &str)] = &[
    ("offset deltas with a gap, gzip", CLOSED_BOX),
    ("offset deltas repeated, gzip", CLOSED_BOX),
    ("offset deltas descending, gzip", CLOSED_BOX),
    ("offset deltas from 1, gzip", CLOSED_BOX),
    ("offset deltas negative, gzip", CLOSED_BOX),
    ("codec 1 on records that are not compressed", CLOSED_BOX),
    ("codec 2 on records that are not compressed", CLOSED_BOX),
    ("codec 3 on records that are not compressed", CLOSED_BOX),
    ("codec 4 on records that are not compressed", CLOSED_BOX),
    ("gzip with a count too small", CLOSED_BOX),
    ("gzip cut", CLOSED_BOX),
    ("gzip of nothing", CLOSED_BOX),
];
