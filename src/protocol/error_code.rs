//! What a broker says went wrong: one table of every code, with what follows from it.

/// A broker's error code (Java: `Errors`). Codes we do not know are `Unknown`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ErrorCode(pub(crate) i16);
