//! The catalogue.
//!
//! Thread: any. Locks: none.

/// Whose business a kind is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    Network,
    Broker,
    Cluster,
    Client,
    Names,
}

/// All kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FaultKind {
    /// Every byte travels longer, each time differently.
    Latency,
}

impl FaultKind {
    pub(crate) const ALL: &'static [Self] = &[Self::Latency];

    pub(crate) fn group(self) -> Group {
        match self {
            Self::Latency => Group::Network,
        }
    }
}
