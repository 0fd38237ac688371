//! ApiVersions: what a node speaks.

use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};

use crate::cluster::Cluster;
use crate::code;
use crate::fault::Strikes;
use crate::handler::{Answer, Arrival};
use crate::versions::Api;
use crate::wire;

impl Cluster {
    /// A version nobody knows is answered in version 0, with the ranges all the same (KIP-511).
    pub(crate) fn api_versions(
        &self,
        arrival: &Arrival,
        request: &ApiVersionsRequest,
        strikes: &Strikes,
        unknown_version: bool,
    ) -> Answer {
        let version = arrival.version;
        let named = version < 3
            || (is_software(&request.client_software_name)
                && is_software(&request.client_software_version));
        let error_code = match strikes.error_of_all() {
            Some(code) => code,
            None if unknown_version => code::UNSUPPORTED_VERSION,
            None if !named => code::INVALID_REQUEST,
            None => code::NONE,
        };
        let mut response = ApiVersionsResponse::default().with_error_code(error_code);
        if matches!(error_code, code::NONE | code::UNSUPPORTED_VERSION) {
            let apis = if unknown_version {
                &[Api::ApiVersions][..]
            } else {
                &Api::ALL[..]
            };
            response.api_keys = apis.iter().map(|api| self.supported(*api)).collect();
        }
        if version >= 1 {
            response.throttle_time_ms = strikes.throttle_ms();
        }
        strikes.lies(|lie| lie.api_versions(&mut response));
        Answer::Bytes(wire::write_response(
            &response,
            version,
            arrival.correlation_id,
        ))
    }

    fn supported(&self, api: Api) -> ApiVersion {
        let (min, max) = self.config.versions.range(api);
        ApiVersion::default()
            .with_api_key(api.key())
            .with_min_version(min)
            .with_max_version(max)
    }
}

/// Letters and digits, with dots and dashes inside.
fn is_software(name: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
    let bytes = name.as_bytes();
    edge(bytes.first()) && edge(bytes.last()) && name.bytes().all(inner)
}
