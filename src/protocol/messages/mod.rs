//! One file per API: the request, the response, and every version of both that we speak.

mod api_versions;
mod init_producer_id;
mod metadata;
mod produce;

use std::ops::RangeInclusive;

use super::{ApiKey, FrameWriter, ProtocolError, Reader, VersionRange};

pub(crate) use self::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
pub(crate) use self::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
pub(crate) use self::metadata::{
    MetadataPartition, MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataTopic,
};
#[cfg(any(test, interleave))]
pub(crate) use self::produce::TopicProduceResponse;
pub(crate) use self::produce::{
    LeaderHint, PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse,
    RecordError, Records, TopicProduceData,
};

/// A request of one API.
pub(crate) trait Request {
    const API_KEY: ApiKey;
    /// The versions we can write, and read the answers of.
    const VERSIONS: RangeInclusive<i16>;
    type Response: Response;

    /// Writes the body; the header is the caller's.
    fn encode(&self, version: i16, out: &mut FrameWriter);
}

/// The response to a [`Request`].
pub(crate) trait Response: Sized {
    /// Reads the body; any bytes give a value or an error, never a panic, and allocate no more
    /// than a constant times the bytes that are there.
    ///
    /// # Errors
    /// If the bytes are not a response of this version.
    fn decode(version: i16, input: &mut Reader<'_>) -> Result<Self, ProtocolError>;
}

/// Any request: what crosses from the client's users to the client.
#[derive(Debug)]
pub(crate) enum ApiRequest {
    ApiVersions(ApiVersionsRequest),
    Metadata(MetadataRequest),
    Produce(ProduceRequest),
    InitProducerId(InitProducerIdRequest),
}

/// Any response: what comes back.
#[derive(Debug)]
pub(crate) enum ApiResponse {
    ApiVersions(ApiVersionsResponse),
    Metadata(MetadataResponse),
    Produce(ProduceResponse),
    InitProducerId(InitProducerIdResponse),
}

impl ApiRequest {
    pub(crate) fn api_key(&self) -> ApiKey {
        match self {
            Self::ApiVersions(_) => ApiKey::ApiVersions,
            Self::Metadata(_) => ApiKey::Metadata,
            Self::Produce(_) => ApiKey::Produce,
            Self::InitProducerId(_) => ApiKey::InitProducerId,
        }
    }

    /// Writes the body; the header is the caller's.
    pub(crate) fn encode(&self, version: i16, out: &mut FrameWriter) {
        match self {
            Self::ApiVersions(request) => request.encode(version, out),
            Self::Metadata(request) => request.encode(version, out),
            Self::Produce(request) => request.encode(version, out),
            Self::InitProducerId(request) => request.encode(version, out),
        }
    }
}

impl ApiResponse {
    /// Reads the body of a response to `(api_key, version)`.
    ///
    /// # Errors
    /// If the bytes are not such a response.
    pub(crate) fn decode(
        api_key: ApiKey,
        version: i16,
        input: &mut Reader<'_>,
    ) -> Result<Self, ProtocolError> {
        Ok(match api_key {
            ApiKey::ApiVersions => Self::ApiVersions(Response::decode(version, input)?),
            ApiKey::Metadata => Self::Metadata(Response::decode(version, input)?),
            ApiKey::Produce => Self::Produce(Response::decode(version, input)?),
            ApiKey::InitProducerId => Self::InitProducerId(Response::decode(version, input)?),
        })
    }

    /// How long the broker wants to be left alone, and whether it leaves that to us (KIP-219).
    pub(crate) fn throttle(&self, version: i16) -> (i32, bool) {
        match self {
            Self::ApiVersions(response) => (response.throttle_time_ms, version >= 2),
            Self::Metadata(response) => (response.throttle_time_ms, version >= 6),
            Self::Produce(response) => (response.throttle_time_ms, version >= 6),
            Self::InitProducerId(response) => (response.throttle_time_ms, version >= 1),
        }
    }
}

/// The versions of an API that we can write and read.
pub(crate) fn supported_versions(api_key: ApiKey) -> VersionRange {
    let versions = match api_key {
        ApiKey::ApiVersions => ApiVersionsRequest::VERSIONS,
        ApiKey::Metadata => MetadataRequest::VERSIONS,
        ApiKey::Produce => ProduceRequest::VERSIONS,
        ApiKey::InitProducerId => InitProducerIdRequest::VERSIONS,
    };
    VersionRange {
        min: *versions.start(),
        max: *versions.end(),
    }
}
