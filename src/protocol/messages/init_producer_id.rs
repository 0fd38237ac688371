//! InitProducerId (key 22), versions 0 to 5: an identity for idempotence.
//! 2 flexible; 3 the present identity in the request; 4 PRODUCER_FENCED; 5 TRANSACTION_ABORTABLE.

use std::sync::Arc;

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
