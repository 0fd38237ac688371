//! What the Sender's tests tell metadata, and ask it, without a client in between.
//!
//! Java has no counterpart. Thread: the test's. Locks: metadata's.

use std::time::{Duration, Instant};

use super::Metadata;
use crate::protocol::messages::MetadataResponse;
use crate::random::Random;

impl Metadata {
    /// An answer arrives, in a version with reliable epochs and topic ids.
    pub(crate) fn learn(&self, response: MetadataResponse, now: Instant) {
        let ask = self.ask(now);
        self.update((&ask, 12), response, now, &mut Random::seeded(1));
    }

    /// Whether a request is due for another reason than age, backoff left out.
    pub(crate) fn is_update_requested(&self, now: Instant) -> bool {
        let after_backoff = now + Duration::from_secs(10);
        self.time_to_next_update(after_backoff).is_zero()
    }
}
