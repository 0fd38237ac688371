//! Bytes to a broker and back, with nothing in between that could make them right.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiKey, MetadataRequest, MetadataResponse, RequestHeader, ResponseHeader, TopicName,
    metadata_request::MetadataRequestTopic,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

use super::failure::Failure;

/// No broker of a test is silent for so long.
const ANSWER: Duration = Duration::from_secs(30);

/// The newest version that all brokers of the tests have.
const METADATA_VERSION: i16 = 9;

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A response without its size: header and body.
    Frame(Bytes),
    /// The broker closed the connection.
    Closed,
    /// Nothing within the time given.
    Silence,
}

/// A connection that speaks whatever it is told to.
#[derive(Debug)]
pub struct RawConnection {
    stream: TcpStream,
}

impl RawConnection {
    /// Connects to `host:port`.
    ///
    /// # Errors
    ///
    /// If nobody listens.
    pub fn open(address: &str) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address)
            .map_err(|e| Failure::from(e).during(&format!("connecting to {address}")))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream })
    }

    /// Sends bytes as they are. An error is not reported: the broker may have closed before it had
    /// read all, which `receive` then says.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Says that nothing more will be sent.
    pub fn finish(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Waits for the next response.
    ///
    /// # Errors
    ///
    /// If what came is no frame.
    pub fn receive(&mut self, limit: Duration) -> Result<Answer, Failure> {
        self.stream.set_read_timeout(Some(limit))?;
        let mut size = [0; 4];
        match self.stream.read_exact(&mut size) {
            Ok(()) => {}
            Err(e) if is_timeout(&e) => return Ok(Answer::Silence),
            Err(_) => return Ok(Answer::Closed),
        }
        let size = usize::try_from(i32::from_be_bytes(size))
            .map_err(|_| Failure::new("a response of negative size"))?;
        let mut frame = vec![0; size];
        self.stream.set_read_timeout(Some(ANSWER))?;
        self.stream.read_exact(&mut frame)?;
        Ok(Answer::Frame(frame.into()))
    }

    /// Sends a request and waits for its response.
    ///
    /// # Errors
    ///
    /// If there is none that can be read.
    pub fn ask<R: Request>(&mut self, request: &R, version: i16) -> Result<R::Response, Failure> {
        self.ask_within(request, version, ANSWER)
    }

    /// The same with a time of its own.
    ///
    /// # Errors
    ///
    /// If there is none that can be read.
    pub fn ask_within<R: Request>(
        &mut self,
        request: &R,
        version: i16,
        limit: Duration,
    ) -> Result<R::Response, Failure> {
        self.send(&encode_request(request, version, 7)?);
        match self.receive(limit)? {
            Answer::Frame(frame) => decode_response::<R>(frame, version),
            other => Err(Failure::new(format!("no response but {other:?}"))),
        }
    }
}

/// A request with header and size.
///
/// # Errors
///
/// If it has fields that the version does not know.
pub fn encode_request<R: Request>(
    request: &R,
    version: i16,
    correlation_id: i32,
) -> Result<Bytes, Failure> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_static_str("raw")));
    let mut bytes = BytesMut::from([0; 4].as_slice());
    let problem = |e| Failure::new(format!("cannot encode: {e}"));
    header
        .encode(&mut bytes, R::header_version(version))
        .map_err(problem)?;
    request.encode(&mut bytes, version).map_err(problem)?;
    let size = i32::try_from(bytes.len() - 4).expect("a test's size");
    bytes[..4].copy_from_slice(&size.to_be_bytes());
    Ok(bytes.freeze())
}

/// The body of a response; everything must have been read.
///
/// # Errors
///
/// If it is not a response of this version.
pub fn decode_response<R: Request>(mut frame: Bytes, version: i16) -> Result<R::Response, Failure> {
    let problem = |e| Failure::new(format!("cannot decode: {e}"));
    ResponseHeader::decode(&mut frame, R::Response::header_version(version)).map_err(problem)?;
    let response = R::Response::decode(&mut frame, version).map_err(problem)?;
    if frame.has_remaining() {
        return Err(Failure::new(format!(
            "{} bytes after a response",
            frame.len()
        )));
    }
    Ok(response)
}

/// The cluster and these topics as one broker knows them.
pub(super) fn metadata(address: &str, topics: &[&str]) -> Result<MetadataResponse, Failure> {
    let topic = |name: &&str| {
        let name = TopicName(StrBytes::from_string((*name).to_owned()));
        MetadataRequestTopic::default().with_name(Some(name))
    };
    let request = MetadataRequest::default()
        .with_topics(Some(topics.iter().map(topic).collect()))
        .with_allow_auto_topic_creation(false);
    debug_assert_eq!(MetadataRequest::KEY, ApiKey::Metadata as i16);
    RawConnection::open(address)?.ask(&request, METADATA_VERSION)
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}
