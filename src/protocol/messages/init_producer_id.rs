//! InitProducerId (key 22), versions 0 to 5: an identity for idempotence.
//! 2 flexible; 3 the present identity in the request; 4 PRODUCER_FENCED; 5 TRANSACTION_ABORTABLE.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::{Request, Response};
use crate::protocol::{ApiKey, FrameWriter, ProtocolError, Reader};

/// Asks for a producer id and epoch.
#[derive(Debug)]
pub(crate) struct InitProducerIdRequest {
    pub(crate) transactional_id: Option<Arc<str>>,
    pub(crate) transaction_timeout_ms: i32,
    /// -1 for none.
    pub(crate) producer_id: i64,
    /// -1 for none.
    pub(crate) producer_epoch: i16,
}

#[derive(Debug, Default)]
pub(crate) struct InitProducerIdResponse {
    pub(crate) throttle_time_ms: i32,
    pub(crate) error_code: i16,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
}

impl Request for InitProducerIdRequest {
    const API_KEY: ApiKey = ApiKey::InitProducerId;
    const VERSIONS: RangeInclusive<i16> = 0..=5;
    type Response = InitProducerIdResponse;

    fn encode(&self, version: i16, out: &mut FrameWriter) {
        let flexible = Self::API_KEY.is_flexible(version);
        out.nullable_string(self.transactional_id.as_deref(), flexible);
        out.i32(self.transaction_timeout_ms);
        if version >= 3 {
            out.i64(self.producer_id);
            out.i16(self.producer_epoch);
        }
        out.no_tagged_fields(flexible);
    }
}

impl Response for InitProducerIdResponse {
    fn decode(version: i16, input: &mut Reader<'_>) -> Result<Self, ProtocolError> {
        let response = Self {
            throttle_time_ms: input.i32()?,
            error_code: input.i16()?,
            producer_id: input.i64()?,
            producer_epoch: input.i16()?,
        };
        input.skip_tagged_fields(ApiKey::InitProducerId.is_flexible(version))?;
        Ok(response)
    }
}
