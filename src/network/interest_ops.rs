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

    /// Whether the socket's becoming writable is to be told: the end of a connect is told so too.
    pub(super) const fn hears_of_writable(self) -> bool {
        self.contains(Self::WRITE) || self.contains(Self::CONNECT)
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
    fn end_of_a_connect_is_heard_of_as_writable() {
        assert!(InterestOps::CONNECT.hears_of_writable());
        assert!(
            InterestOps::READ
                .with(InterestOps::WRITE)
                .hears_of_writable()
        );
        assert!(!InterestOps::READ.hears_of_writable());
    }
}
