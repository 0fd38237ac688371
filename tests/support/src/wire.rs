//! Bytes to requests and answers to bytes, through `kafka-protocol`.
//!
//! `kafka-protocol` trusts the element counts of arrays and allocates for them; [`Walk`] goes over
//! a request first and refuses a count larger than the bytes that are left, as Kafka does.

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiVersionsRequest, InitProducerIdRequest, MetadataRequest, ProduceRequest, RequestHeader,
    ResponseHeader,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};

use crate::versions::{Api, VersionProfile};

/// The head of a request.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) api: Api,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    pub(crate) client_id: Option<StrBytes>,
    /// An ApiVersions request of a version nobody here knows: answered all the same.
    pub(crate) unknown_version: bool,
}

#[derive(Debug)]
pub(crate) enum Request {
    Produce(ProduceRequest),
    Metadata(MetadataRequest),
    ApiVersions(ApiVersionsRequest),
    InitProducerId(InitProducerIdRequest),
}

/// Reads a whole frame without its size; the error says why no broker would accept it. Kafka does
/// not look at bytes after a request.
pub(crate) fn read_request(
    mut frame: Bytes,
    versions: &VersionProfile,
    stricter: bool,
) -> Result<(Head, Request), String> {
    let head = read_head(&mut frame, versions)?;
    if head.unknown_version {
        return Ok((head, Request::ApiVersions(ApiVersionsRequest::default())));
    }
    let version = head.version;
    check_counts(&frame, head.api, version).ok_or("an array longer than its request")?;
    let body = match head.api {
        Api::Produce => ProduceRequest::decode(&mut frame, version).map(Request::Produce),
        Api::Metadata => MetadataRequest::decode(&mut frame, version).map(Request::Metadata),
        Api::ApiVersions => {
            ApiVersionsRequest::decode(&mut frame, version).map(Request::ApiVersions)
        }
        Api::InitProducerId => {
            InitProducerIdRequest::decode(&mut frame, version).map(Request::InitProducerId)
        }
    };
    let body = body.map_err(|error| format!("{:?} v{version}: {error}", head.api))?;
    if stricter && frame.has_remaining() {
        let left = frame.remaining();
        return Err(format!(
            "{:?} v{version}: {left} bytes after the request",
            head.api
        ));
    }
    Ok((head, body))
}

fn read_head(frame: &mut Bytes, versions: &VersionProfile) -> Result<Head, String> {
    if frame.len() < 8 {
        return Err(format!("a frame of {} bytes", frame.len()));
    }
    let mut start = frame.clone();
    let (key, version) = (start.get_i16(), start.get_i16());
    let correlation_id = start.get_i32();
    let api = Api::from_key(key).ok_or_else(|| format!("unknown api key {key}"))?;
    let (min, max) = versions.accepted(api);
    let known = (min..=max).contains(&version);
    if !known && api == Api::ApiVersions {
        // The body of an unknown version is not read, its header is.
        RequestHeader::decode(frame, ApiVersionsRequest::header_version(version))
            .map_err(|error| format!("request header: {error}"))?;
        return Ok(Head {
            api,
            version: 0,
            correlation_id,
            client_id: None,
            unknown_version: true,
        });
    }
    if !known {
        return Err(format!("{api:?} has no version {version}"));
    }
    let header_version = match api {
        Api::Produce => ProduceRequest::header_version(version),
        Api::Metadata => MetadataRequest::header_version(version),
        Api::ApiVersions => ApiVersionsRequest::header_version(version),
        Api::InitProducerId => InitProducerIdRequest::header_version(version),
    };
    let header = RequestHeader::decode(frame, header_version)
        .map_err(|error| format!("request header: {error}"))?;
    Ok(Head {
        api,
        version,
        correlation_id,
        client_id: header.client_id,
        unknown_version: false,
    })
}

/// A whole answer: size, header, body.
pub(crate) fn write_response<T: Encodable + HeaderVersion>(
    body: &T,
    version: i16,
    correlation_id: i32,
) -> Vec<u8> {
    let mut bytes = BytesMut::with_capacity(128);
    bytes.extend_from_slice(&[0; 4]);
    ResponseHeader::default()
        .with_correlation_id(correlation_id)
        .encode(&mut bytes, T::header_version(version))
        .expect("a response header is encodable in each version");
    body.encode(&mut bytes, version)
        .expect("only fields of this version were set");
    let size = u32::try_from(bytes.len() - 4).expect("an answer is small");
    bytes[..4].copy_from_slice(&size.to_be_bytes());
    bytes.into()
}

fn check_counts(body: &Bytes, api: Api, version: i16) -> Option<()> {
    match api {
        Api::Produce => Walk::new(body, version >= 9).produce(version),
        Api::Metadata => Walk::new(body, version >= 9).metadata(version),
        Api::ApiVersions | Api::InitProducerId => Some(()),
    }
}

/// Goes over a request's fields without keeping any.
struct Walk<'a> {
    rest: &'a [u8],
    flexible: bool,
}

impl<'a> Walk<'a> {
    fn new(rest: &'a [u8], flexible: bool) -> Self {
        Self { rest, flexible }
    }

    fn produce(mut self, version: i16) -> Option<()> {
        self.string()?;
        self.skip(6)?;
        for _ in 0..self.count()? {
            if version >= 13 {
                self.skip(16)?;
            } else {
                self.string()?;
            }
            for _ in 0..self.count()? {
                self.skip(4)?;
                self.bytes()?;
                self.tags()?;
            }
            self.tags()?;
        }
        Some(())
    }

    fn metadata(mut self, version: i16) -> Option<()> {
        for _ in 0..self.count()? {
            if version >= 10 {
                self.skip(16)?;
            }
            self.string()?;
            self.tags()?;
        }
        Some(())
    }

    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.rest = self.rest.get(bytes..)?;
        Some(())
    }

    /// Every element takes at least one byte.
    fn count(&mut self) -> Option<usize> {
        let count = if self.flexible {
            self.varint()?.saturating_sub(1)
        } else {
            self.number(4)?
        };
        (count <= self.rest.len()).then_some(count)
    }

    fn string(&mut self) -> Option<()> {
        let length = if self.flexible {
            self.varint()?.saturating_sub(1)
        } else {
            self.number(2)?
        };
        self.skip(length)
    }

    fn bytes(&mut self) -> Option<()> {
        let length = if self.flexible {
            self.varint()?.saturating_sub(1)
        } else {
            self.number(4)?
        };
        self.skip(length)
    }

    fn tags(&mut self) -> Option<()> {
        if !self.flexible {
            return Some(());
        }
        for _ in 0..self.varint()? {
            self.varint()?;
            let length = self.varint()?;
            self.skip(length)?;
        }
        Some(())
    }

    /// A length of two or four bytes; null counts as empty.
    fn number(&mut self, bytes: usize) -> Option<usize> {
        let (number, rest) = self.rest.split_at_checked(bytes)?;
        self.rest = rest;
        let negative = number.first().is_some_and(|first| first & 0x80 != 0);
        if negative {
            return Some(0);
        }
        Some(
            number
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
        )
    }

    fn varint(&mut self) -> Option<usize> {
        let mut value = 0_usize;
        for shift in (0..35).step_by(7) {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            value |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}
