//! What happened in a run, in order: always as a hash, and in words when somebody reads it.
//!
//! Thread: the one that simulates. Locks: none.

use std::fmt::{self, Write as _};
use std::time::Duration;

/// The events of one run.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: Hash,
    events: u64,
    words: Option<String>,
}

impl Trace {
    /// With words it costs time and memory.
    pub(crate) fn new(with_words: bool) -> Self {
        Self {
            hash: Hash::default(),
            events: 0,
            words: with_words.then(String::new),
        }
    }

    /// One event: when, where (a node, `-` for the client, a thread), and what.
    pub(crate) fn note(
        &mut self,
        at: Duration,
        place: fmt::Arguments<'_>,
        what: fmt::Arguments<'_>,
    ) {
        self.events += 1;
        self.hash.bytes(&at.as_nanos().to_le_bytes());
        // Formatting into a hash allocates nothing.
        let _ = self.hash.write_fmt(place);
        let _ = self.hash.write_fmt(what);
        if let Some(words) = &mut self.words {
            let ms = at.as_micros();
            let _ = writeln!(
                words,
                "{:>9}.{:03} {place:<12} {what}",
                ms / 1000,
                ms % 1000
            );
        }
    }

    /// The same for the same run.
    pub(crate) fn hash(&self) -> u64 {
        self.hash.0
    }

    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    /// What was written down, if anything was to be.
    pub(crate) fn into_words(self) -> String {
        self.words.unwrap_or_default()
    }
}

/// FNV-1a, 64 bits.
#[derive(Debug)]
pub(crate) struct Hash(u64);

impl Default for Hash {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hash {
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    pub(crate) fn value(&self) -> u64 {
        self.0
    }
}

impl fmt::Write for Hash {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes());
        Ok(())
    }
}
