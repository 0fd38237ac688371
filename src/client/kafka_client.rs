//! The seam between the Sender and the network: [`KafkaClient`], in production `NetworkClient`,
//! in the Sender's tests a mock.
//!
//! Java's counterpart: `KafkaClient`. Thread: Sender. Locks: none.

use std::time::{Duration, Instant};

use super::{ClientRequest, ClientResponse};
use crate::cluster::Node;

/// Sends requests to nodes and brings back exactly one response for each, tagged by the asker.
pub(crate) trait KafkaClient<T> {
    /// Whether a request can be sent to the node now; if not, begins to connect where backoff allows.
    fn ready(&mut self, node: &Node, now: Instant) -> bool;

    /// How long until `ready` is worth asking again; zero if it is now, `Duration::MAX` if an
    /// event of `poll` will say so.
    fn poll_delay(&self, node: &Node, now: Instant) -> Duration;

    /// Queues a request for a node that `ready` said yes for. If it cannot go after all, its
    /// response says so at the next `poll`.
    fn send(&mut self, request: ClientRequest<T>, now: Instant);

    /// Waits for at most `timeout`, does all IO that is possible, and appends the responses that
    /// came, in the order in which they came.
    fn poll(&mut self, timeout: Duration, now: Instant, out: &mut Vec<ClientResponse<T>>);

    /// The usable node with the fewest requests in flight; begins no connection.
    fn least_loaded_node(&mut self, now: Instant) -> Option<Node>;
}
