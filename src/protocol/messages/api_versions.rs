//! ApiVersions (key 18), versions 0 to 4: what a broker speaks. The response header is always v0.
//! 3 flexible, software name and version, features; 4 a feature's minimum may be 0.

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
pub(crate) struct FinalizedFeature {
    pub(crate) name: Box<str>,
    pub(crate) min_version_level: i16,
    pub(crate) max_version_level: i16,
}
