//! A topic's id: 16 bytes, printed as Kafka prints them (Java: `Uuid`).

use std::fmt;

/// A topic id; all zeros means "none" (old brokers have none).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Uuid(pub(crate) [u8; 16]);

impl Uuid {
    pub(crate) const ZERO: Self = Self([0; 16]);

    pub(crate) fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }
}

/// URL-safe base64 without padding: 22 characters.
impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        for three in self.0.chunks(3) {
            let mut bits = [0_u8; 4];
            for (to, from) in bits.iter_mut().skip(1).zip(three) {
                *to = *from;
            }
            let bits = u32::from_be_bytes(bits);
            for place in 0..=three.len() {
                let index = (bits >> (18 - 6 * place)) & 63;
                let letter = ALPHABET.get(index as usize).copied().unwrap_or(b'?');
                fmt::Write::write_char(f, char::from(letter))?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_is_url_safe_base64_without_padding() {
        assert_eq!(Uuid::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(Uuid([0xFF; 16]).to_string(), "_____________________w");
        let counting = Uuid([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        assert_eq!(counting.to_string(), "AAECAwQFBgcICQoLDA0ODw");
    }
}
