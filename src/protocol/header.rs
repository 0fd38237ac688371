//! Request headers v1 and v2, response headers v0 and v1, and the check that an answer is ours.

use super::{ApiKey, ProtocolError, Reader};

/// What goes before every request's body.
#[derive(Debug)]
pub(crate) struct RequestHeader<'a> {
    pub(crate) api_key: ApiKey,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    pub(crate) client_id: &'a str,
}

/// Reads the header of a response to `(api_key, version)` and returns its correlation id.
///
/// # Errors
/// If there are too few bytes, or tagged fields are malformed.
pub(crate) fn decode_response_header(
    _api_key: ApiKey,
    _version: i16,
    _input: &mut Reader<'_>,
) -> Result<i32, ProtocolError> {
    todo!("protocol room")
}
