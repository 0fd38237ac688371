//! Every response in every version: the first byte says which version, the rest is the body.
//!
//! What decodes is walked whole and needs exactly the bytes that were read: the same bytes alone give
//! the same response, one fewer gives none.

use std::fmt::Write as _;

use super::target::{self, Target};
use crate::protocol::messages::{ApiResponse, supported_versions};
use crate::protocol::{ApiKey, Reader};

pub(super) const API_VERSIONS: Target = of("decode_api_versions", decode_api_versions);
pub(super) const METADATA: Target = of("decode_metadata", decode_metadata);
pub(super) const PRODUCE: Target = of("decode_produce", decode_produce);
pub(super) const INIT_PRODUCER_ID: Target = of("decode_init_producer_id", decode_init_producer_id);

/// Stands for the limit of frames: a longer one would not come this far.
const FRAME_LIMIT: usize = 32 * 1024;

/// The frame and what is decoded from it together stay below twice the limit.
const fn of(name: &'static str, run: fn(&[u8])) -> Target {
    target::new(
        (name, FRAME_LIMIT),
        run,
        |length| (24 * length + 64).min(2 * FRAME_LIMIT - length),
        |length| 2 * length + 16,
    )
}

fn decode_api_versions(bytes: &[u8]) {
    run(ApiKey::ApiVersions, bytes);
}

fn decode_metadata(bytes: &[u8]) {
    run(ApiKey::Metadata, bytes);
}

fn decode_produce(bytes: &[u8]) {
    run(ApiKey::Produce, bytes);
}

fn decode_init_producer_id(bytes: &[u8]) {
    run(ApiKey::InitProducerId, bytes);
}

fn run(api_key: ApiKey, bytes: &[u8]) {
    let Some((selector, body)) = bytes.split_first() else {
        return;
    };
    if bytes.len() > FRAME_LIMIT {
        return;
    }
    let versions = supported_versions(api_key);
    let count = versions.max - versions.min + 1;
    let version = versions.min + i16::from(*selector) % count;
    let Some((digest, used)) = decoded(api_key, version, body) else {
        return;
    };
    let needed = body.get(..used).unwrap_or_default();
    assert_eq!(
        decoded(api_key, version, needed),
        Some((digest, used)),
        "what comes after a response matters"
    );
    let short = needed.split_last().map_or(needed, |(_, short)| short);
    assert_eq!(decoded(api_key, version, short), None, "it was not whole");
}

/// What the bytes decode to, in short, and how many of them it took.
fn decoded(api_key: ApiKey, version: i16, body: &[u8]) -> Option<(u64, usize)> {
    let mut input = Reader::within(body, FRAME_LIMIT);
    match ApiResponse::decode(api_key, version, &mut input) {
        Ok(response) => {
            let mut digest = Digest::default();
            let _ = write!(digest, "{response:?}");
            Some((digest.0, body.len() - input.remaining()))
        }
        Err(error) => {
            assert!(error.at <= body.len(), "{error} of {}", body.len());
            None
        }
    }
}

/// Looks at every field without allocating (FNV-1a).
#[derive(Debug)]
struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl std::fmt::Write for Digest {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(())
    }
}
