//! What a channel wants to hear of: Java's interest set (`SelectionKey.interestOps`).
//!
//! Thread: Sender. Locks: none.

use std::fmt;

/// A set of `CONNECT`, `READ` and `WRITE`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct InterestOps(u8);

impl InterestOps {
    pub(super) const CONNECT: Self = Self(1);
    pub(super) const READ: Self = Self(2);
    pub(super) const WRITE: Self = Self(4);

    #[must_use]
    pub(super) const fn with(self, ops: Self) -> Self {
        Self(self.0 | ops.0)
    }

    #[must_use]
    pub(super) const fn without(self, ops: Self) -> Self {
        Self(self.0 & !ops.0)
    }

    pub(super) const fn contains(self, ops: Self) -> bool {
        self.0 & ops.0 == ops.0
    }

    /// The operating system tells the end of a connect as writability.
    pub(super) fn to_mio(self) -> mio::Interest {
        let writes = self.contains(Self::WRITE) || self.contains(Self::CONNECT);
        match (self.contains(Self::READ), writes) {
            (true, true) => mio::Interest::READABLE | mio::Interest::WRITABLE,
            (false, true) => mio::Interest::WRITABLE,
            // A channel always wants one of the three.
            (true | false, false) => mio::Interest::READABLE,
        }
    }
}

impl fmt::Debug for InterestOps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(
                [
                    (Self::CONNECT, "CONNECT"),
                    (Self::READ, "READ"),
                    (Self::WRITE, "WRITE"),
                ]
                .into_iter()
                .filter(|(ops, _)| self.contains(*ops))
                .map(|(_, name)| name),
            )
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_and_without_switch_one_interest_at_a_time() {
        let both = InterestOps::READ.with(InterestOps::WRITE);
        assert!(both.contains(InterestOps::READ) && both.contains(InterestOps::WRITE));
        assert!(!both.contains(InterestOps::CONNECT));
        assert_eq!(both.without(InterestOps::WRITE), InterestOps::READ);
        assert_eq!(format!("{both:?}"), r#"{"READ", "WRITE"}"#);
    }

    #[test]
    fn to_mio_hears_of_a_connect_as_writable() {
        let mio = InterestOps::CONNECT.to_mio();
        assert!(mio.is_writable() && !mio.is_readable());
        assert!(InterestOps::READ.to_mio().is_readable());
        assert!(!InterestOps::READ.to_mio().is_writable());
    }
}
