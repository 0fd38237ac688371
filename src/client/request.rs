//! A request on its way and the one response that it gets, whatever happens.
//!
//! Java's counterparts: `ClientRequest`, `ClientResponse`. Thread: Sender. Locks: none.

use std::time::{Duration, Instant};

use crate::cluster::NodeId;
use crate::error::Error;
use crate::protocol::VersionRange;
use crate::protocol::messages::{ApiRequest, ApiResponse};

/// A request for one node; `T` is the asker's tag and comes back with the response.
#[derive(Debug)]
pub(crate) struct ClientRequest<T> {
    pub(crate) node: NodeId,
    pub(crate) body: ApiRequest,
    /// False for acks=0: the response is [`Outcome::Sent`], once the bytes are written.
    pub(crate) expects_response: bool,
    /// From `send` to the response; then the connection is closed.
    pub(crate) timeout: Duration,
    /// Versions the asker allows, cut with ours and the broker's.
    pub(crate) versions: VersionRange,
    pub(crate) tag: T,
}

/// What became of a [`ClientRequest`].
#[derive(Debug)]
pub(crate) struct ClientResponse<T> {
    pub(crate) node: NodeId,
    pub(crate) tag: T,
    /// When `send` took it.
    pub(crate) created: Instant,
    /// When the socket had taken all of it, if it did.
    pub(crate) written: Option<Instant>,
    pub(crate) received: Instant,
    pub(crate) outcome: Outcome,
}

/// How a request ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Response(ApiResponse),
    /// acks=0: all bytes are written.
    Sent,
    /// The connection ended. `maybe_written`: whether any byte of the request reached the socket.
    Disconnected {
        maybe_written: bool,
        error: Error,
    },
    /// No response within the timeout; the connection is closed.
    TimedOut {
        error: Error,
    },
    /// Never sent: the broker has no version that is allowed.
    UnsupportedVersion(Error),
}
