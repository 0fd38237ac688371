//! ApiVersions (key 18), versions 0 to 4: what a broker speaks. The response header is always v0.
//! 3 flexible, software name and version, features; 4 a feature's minimum may be 0.

use std::ops::RangeInclusive;

use super::{Request, Response};
use crate::protocol::{ApiKey, FrameWriter, ProtocolError, Reader};

/// Asks which versions of which APIs the broker has.
#[derive(Debug, Default)]
pub(crate) struct ApiVersionsRequest {
    pub(crate) client_software_name: String,
    pub(crate) client_software_version: String,
}

#[derive(Debug, Default)]
pub(crate) struct ApiVersionsResponse {
    pub(crate) error_code: i16,
    pub(crate) throttle_time_ms: i32,
    /// `(api key, min, max)`.
    pub(crate) api_keys: Vec<(i16, i16, i16)>,
    /// -1 if unknown.
    pub(crate) finalized_features_epoch: i64,
    pub(crate) finalized_features: Vec<FinalizedFeature>,
}

/// A feature the whole cluster has agreed on.
#[derive(Debug)]
#[allow(
    dead_code,
    reason = "part of the response; transactions will depend on it"
)]
pub(crate) struct FinalizedFeature {
    pub(crate) name: Box<str>,
    pub(crate) min_version_level: i16,
    pub(crate) max_version_level: i16,
}

impl Request for ApiVersionsRequest {
    const API_KEY: ApiKey = ApiKey::ApiVersions;
    const VERSIONS: RangeInclusive<i16> = 0..=4;
    type Response = ApiVersionsResponse;

    fn encode(&self, version: i16, out: &mut FrameWriter) {
        if version >= 3 {
            out.string(&self.client_software_name, true);
            out.string(&self.client_software_version, true);
            out.no_tagged_fields(true);
        }
    }
}

impl Response for ApiVersionsResponse {
    fn decode(version: i16, input: &mut Reader<'_>) -> Result<Self, ProtocolError> {
        let flexible = ApiKey::ApiVersions.is_flexible(version);
        let error_code = input.i16()?;
        let (count, mut api_keys) = input.list(flexible, 6)?;
        for _ in 0..count {
            api_keys.push((input.i16()?, input.i16()?, input.i16()?));
            input.skip_tagged_fields(flexible)?;
        }
        let throttle_time_ms = if version >= 1 { input.i32()? } else { 0 };
        let mut response = Self {
            error_code,
            throttle_time_ms,
            api_keys,
            finalized_features_epoch: -1,
            finalized_features: Vec::new(),
        };
        input.tagged_fields(flexible, |tag, field| {
            match tag {
                1 => response.finalized_features_epoch = field.i64()?,
                2 => response.finalized_features = decode_finalized(field)?,
                _ => {} // 0: supported features; 3: whether ZooKeeper migration is ready
            }
            Ok(())
        })?;
        Ok(response)
    }
}

fn decode_finalized(input: &mut Reader<'_>) -> Result<Vec<FinalizedFeature>, ProtocolError> {
    let (count, mut features) = input.list(true, 6)?;
    for _ in 0..count {
        let name = input.string(true)?.into();
        let (max_version_level, min_version_level) = (input.i16()?, input.i16()?);
        input.skip_tagged_fields(true)?;
        features.push(FinalizedFeature {
            name,
            min_version_level,
            max_version_level,
        });
    }
    Ok(features)
}
