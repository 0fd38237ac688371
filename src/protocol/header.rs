//! Request headers v1 and v2, response headers v0 and v1.

use super::{ApiKey, FrameWriter, ProtocolError, Reader};

/// What goes before every request's body.
#[derive(Debug)]
pub(crate) struct RequestHeader<'a> {
    pub(crate) api_key: ApiKey,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    pub(crate) client_id: &'a str,
}

impl RequestHeader<'_> {
    /// The client id has the old kind of length in every version.
    pub(crate) fn encode(&self, out: &mut FrameWriter) {
        out.i16(self.api_key.code());
        out.i16(self.version);
        out.i32(self.correlation_id);
        out.nullable_string(Some(self.client_id), false);
        out.no_tagged_fields(self.api_key.is_flexible(self.version));
    }
}

/// Reads the header of a response to `(api_key, version)` and returns its correlation id.
///
/// # Errors
/// If there are too few bytes, or tagged fields are malformed.
pub(crate) fn decode_response_header(
    api_key: ApiKey,
    version: i16,
    input: &mut Reader<'_>,
) -> Result<i32, ProtocolError> {
    let correlation_id = input.i32()?;
    input.skip_tagged_fields(api_key.has_flexible_response_header(version))?;
    Ok(correlation_id)
}
