//! Requests without a response yet, per node in the order in which they were sent
//! (Java: `InFlightRequests`).
//!
//! Thread: Sender. Locks: none. Invariants: per node first in, first out, by correlation id; only
//! the newest request of a node may still be on its way to the socket; at most `max` per node over
//! all APIs; a request leaves exactly once.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::cluster::NodeId;
use crate::protocol::ApiKey;
use crate::time::deadline;

/// One request in flight; `A` is who asked.
#[derive(Debug)]
pub(super) struct InFlightRequest<A> {
    pub(super) correlation_id: i32,
    pub(super) api_key: ApiKey,
    pub(super) version: i16,
    pub(super) expects_response: bool,
    pub(super) created: Instant,
    /// When it is given up; throttling moves it (B126).
    pub(super) expires: Instant,
    pub(super) timeout: Duration,
    pub(super) asker: A,
    /// All bytes are handed to the socket.
    pub(super) is_sent: bool,
    /// When that was seen.
    pub(super) written: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct InFlightRequests<A> {
    max: usize,
    nodes: BTreeMap<NodeId, VecDeque<InFlightRequest<A>>>,
}

impl<A> InFlightRequests<A> {
    pub(super) fn new(max: usize) -> Self {
        Self {
            max: max.max(1),
            nodes: BTreeMap::new(),
        }
    }

    /// Whether a request can be added: none is on its way out, and there is room (B119).
    pub(super) fn can_send_more(&self, node: NodeId) -> bool {
        self.nodes.get(&node).is_none_or(|queue| {
            queue.len() < self.max && queue.back().is_none_or(|newest| newest.is_sent)
        })
    }

    pub(super) fn add(&mut self, node: NodeId, request: InFlightRequest<A>) {
        debug_assert!(
            self.can_send_more(node),
            "node {node} has too many requests"
        );
        self.nodes.entry(node).or_default().push_back(request);
    }

    pub(super) fn count(&self, node: NodeId) -> usize {
        self.nodes.get(&node).map_or(0, VecDeque::len)
    }

    pub(super) fn oldest(&self, node: NodeId) -> Option<&InFlightRequest<A>> {
        self.nodes.get(&node)?.front()
    }

    /// The oldest has its response.
    pub(super) fn complete_oldest(&mut self, node: NodeId) -> Option<InFlightRequest<A>> {
        self.take(node, VecDeque::pop_front)
    }

    /// All bytes of a request are written. It is done, and comes back, if no response follows.
    pub(super) fn sent(
        &mut self,
        node: NodeId,
        correlation_id: i32,
        now: Instant,
    ) -> Option<InFlightRequest<A>> {
        let newest = self.nodes.get_mut(&node)?.back_mut()?;
        if newest.correlation_id != correlation_id {
            return None;
        }
        newest.is_sent = true;
        newest.written.get_or_insert(now);
        if newest.expects_response {
            return None;
        }
        self.take(node, VecDeque::pop_back)
    }

    fn take(
        &mut self,
        node: NodeId,
        pop: impl FnOnce(&mut VecDeque<InFlightRequest<A>>) -> Option<InFlightRequest<A>>,
    ) -> Option<InFlightRequest<A>> {
        pop(self.nodes.get_mut(&node)?)
    }

    /// Takes all of a node, the oldest first; its connection ended.
    pub(super) fn clear(&mut self, node: NodeId) -> VecDeque<InFlightRequest<A>> {
        self.nodes.remove(&node).unwrap_or_default()
    }

    /// The broker is not to be asked for a while, and may take as much longer to answer.
    pub(super) fn extend(&mut self, node: NodeId, by: Duration) {
        for request in self.nodes.get_mut(&node).into_iter().flatten() {
            request.expires = deadline(request.expires, by);
        }
    }

    /// Nodes with a request that is overdue, and the first such request.
    pub(super) fn overdue(&self, now: Instant) -> Vec<(NodeId, i32)> {
        self.nodes
            .iter()
            .filter_map(|(node, queue)| {
                let request = queue.iter().find(|request| request.expires <= now)?;
                Some((*node, request.correlation_id))
            })
            .collect()
    }

    /// When the next one will be overdue.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.iter().map(|request| request.expires).min()
    }

    pub(super) fn of_node(&self, node: NodeId) -> impl Iterator<Item = &InFlightRequest<A>> {
        self.nodes.get(&node).into_iter().flatten()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &InFlightRequest<A>> {
        self.nodes.values().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Time;

    const NODE: NodeId = NodeId(1);

    fn request(id: i32, expects_response: bool, now: Instant) -> InFlightRequest<&'static str> {
        InFlightRequest {
            correlation_id: id,
            api_key: ApiKey::Produce,
            version: 9,
            expects_response,
            created: now,
            expires: now + Duration::from_secs(u64::try_from(id).unwrap()),
            timeout: Duration::from_secs(30),
            asker: "asker",
            is_sent: false,
            written: None,
        }
    }

    fn filled(max: usize, ids: impl IntoIterator<Item = i32>) -> InFlightRequests<&'static str> {
        let now = Time::mock().0.now();
        let mut requests = InFlightRequests::new(max);
        for id in ids {
            requests.add(NODE, request(id, true, now));
            assert!(requests.sent(NODE, id, now).is_none());
        }
        requests
    }

    #[test]
    fn can_send_more_needs_room_and_the_last_send_done() {
        let now = Time::mock().0.now();
        let mut requests = InFlightRequests::new(2);
        assert!(requests.can_send_more(NODE));
        requests.add(NODE, request(1, true, now));
        assert!(!requests.can_send_more(NODE), "it is on its way out");
        requests.sent(NODE, 1, now);
        assert!(requests.can_send_more(NODE));
        requests.add(NODE, request(2, true, now));
        requests.sent(NODE, 2, now);
        assert!(!requests.can_send_more(NODE), "there are two");
        assert!(requests.can_send_more(NodeId(2)), "of another node");
        requests.complete_oldest(NODE);
        assert!(requests.can_send_more(NODE));
    }

    #[test]
    fn complete_oldest_is_first_in_first_out() {
        let mut requests = filled(5, [1, 2, 3]);
        assert_eq!(requests.oldest(NODE).unwrap().correlation_id, 1);
        for id in [1, 2, 3] {
            assert_eq!(requests.complete_oldest(NODE).unwrap().correlation_id, id);
        }
        assert!(requests.complete_oldest(NODE).is_none());
        assert_eq!(requests.count(NODE), 0);
    }

    #[test]
    fn sent_completes_the_newest_if_no_response_follows() {
        let now = Time::mock().0.now();
        let mut requests = filled(5, [1]);
        requests.add(NODE, request(2, false, now));
        assert!(requests.sent(NODE, 1, now).is_none(), "not the newest");
        assert_eq!(requests.sent(NODE, 2, now).unwrap().correlation_id, 2);
        assert_eq!(requests.count(NODE), 1);
    }

    #[test]
    fn clear_gives_the_oldest_first_and_once() {
        let mut requests = filled(5, [1, 2, 3]);
        let cleared: Vec<i32> = requests
            .clear(NODE)
            .iter()
            .map(|it| it.correlation_id)
            .collect();
        assert_eq!(cleared, [1, 2, 3]);
        assert!(requests.clear(NODE).is_empty());
        assert!(requests.can_send_more(NODE));
    }

    #[test]
    fn overdue_finds_any_request_of_a_node_and_throttling_moves_it() {
        let mut requests = filled(5, [3, 1, 2]);
        let start = requests.oldest(NODE).unwrap().created;
        assert_eq!(requests.next_expiry(), Some(start + Duration::from_secs(1)));
        assert!(
            requests
                .overdue(start + Duration::from_millis(999))
                .is_empty()
        );
        assert_eq!(
            requests.overdue(start + Duration::from_secs(1)),
            [(NODE, 1)]
        );
        requests.extend(NODE, Duration::from_secs(10));
        assert!(requests.overdue(start + Duration::from_secs(10)).is_empty());
        assert_eq!(
            requests.next_expiry(),
            Some(start + Duration::from_secs(11))
        );
    }

    #[test]
    fn overdue_names_every_node_whose_time_is_over_and_no_other() {
        let mut requests = filled(5, [1]);
        let start = requests.oldest(NODE).unwrap().created;
        for (node, seconds) in [(2, 4), (2, 2), (3, 9)] {
            requests.add(NodeId(node), request(seconds, true, start));
            requests.sent(NodeId(node), seconds, start);
        }
        let at = |seconds| requests.overdue(start + Duration::from_secs(seconds));
        assert!(at(0).is_empty());
        assert_eq!(at(1), [(NODE, 1)]);
        assert_eq!(at(3), [(NODE, 1), (NodeId(2), 2)], "the later one first");
        assert_eq!(at(9).len(), 3);
    }

    #[test]
    fn sent_of_a_request_that_is_not_there_takes_nothing() {
        let now = Time::mock().0.now();
        let mut requests = InFlightRequests::<&'static str>::new(5);
        assert!(
            requests.sent(NODE, 1, now).is_none(),
            "of a node without any"
        );
        let mut requests = filled(5, [1]);
        assert!(requests.sent(NODE, 7, now).is_none(), "of another number");
        assert!(
            requests.sent(NodeId(2), 1, now).is_none(),
            "of another node"
        );
        assert_eq!(requests.count(NODE), 1);
    }
}
