//! One file per API: the request, the response, and every version of both that we speak.

mod api_versions;
mod init_producer_id;
mod metadata;
mod produce;

use std::ops::RangeInclusive;

use super::{ApiKey, FrameWriter, ProtocolError, Reader};

pub(crate) use self::api_versions::{ApiVersionsRequest, ApiVersionsResponse, FinalizedFeature};
pub(crate) use self::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
pub(crate) use self::metadata::{
    MetadataPartition, MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataTopic,
};
pub(crate) use self::produce::{
    LeaderHint, PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse,
    RecordError, Records, TopicProduceData, TopicProduceResponse,
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
