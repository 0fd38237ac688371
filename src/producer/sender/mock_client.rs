//! A `KafkaClient` without a network: keeps what is sent and gives back what the test says.
//!
//! Java's counterpart: `MockClient`. Thread: the test's. Locks: none.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::client::{ClientRequest, ClientResponse, KafkaClient, Outcome};
use crate::cluster::{Node, NodeId};

/// A handle; the test keeps one, the Sender has another.
pub(super) struct MockClient<T>(Rc<RefCell<State<T>>>);

struct State<T> {
    unready: BTreeMap<NodeId, Duration>,
    asked_ready: Vec<NodeId>,
    least_loaded: Option<Node>,
    sent: VecDeque<ClientRequest<T>>,
    responses: Vec<ClientResponse<T>>,
    timeouts: Vec<Duration>,
    /// Answers each request by itself; without one the test does.
    answering: Option<Answering>,
    at_poll: Option<Box<dyn FnMut()>>,
    now: Option<Instant>,
}

type Answering = Box<dyn FnMut(&crate::protocol::messages::ApiRequest) -> Option<Outcome>>;

impl<T> MockClient<T> {
    pub(super) fn new() -> Self {
        Self(Rc::new(RefCell::new(State {
            unready: BTreeMap::new(),
            asked_ready: Vec::new(),
            least_loaded: None,
            sent: VecDeque::new(),
            responses: Vec::new(),
            timeouts: Vec::new(),
            answering: None,
            at_poll: None,
            now: None,
        })))
    }

    pub(super) fn handle(&self) -> Self {
        Self(Rc::clone(&self.0))
    }

    pub(super) fn set_least_loaded(&self, node: Option<Node>) {
        self.0.borrow_mut().least_loaded = node;
    }

    /// The node cannot be sent to; it is worth asking again after that time.
    pub(super) fn make_unready(&self, node: i32, delay: Duration) {
        self.0.borrow_mut().unready.insert(NodeId(node), delay);
    }

    pub(super) fn make_ready(&self, node: i32) {
        self.0.borrow_mut().unready.remove(&NodeId(node));
    }

    pub(super) fn answer_by(
        &self,
        answering: impl FnMut(&crate::protocol::messages::ApiRequest) -> Option<Outcome> + 'static,
    ) {
        self.0.borrow_mut().answering = Some(Box::new(answering));
    }

    pub(super) fn at_poll(&self, hook: impl FnMut() + 'static) {
        self.0.borrow_mut().at_poll = Some(Box::new(hook));
    }

    /// The oldest request that was not taken.
    pub(super) fn take(&self) -> Option<ClientRequest<T>> {
        self.0.borrow_mut().sent.pop_front()
    }

    /// The next poll brings this.
    pub(super) fn answer(&self, request: ClientRequest<T>, outcome: Outcome) {
        let mut state = self.0.borrow_mut();
        let now = state.now.expect("something was polled");
        state.responses.push(ClientResponse {
            node: request.node,
            tag: request.tag,
            created: now,
            written: Some(now),
            received: now,
            outcome,
        });
    }

    /// How long the latest poll would have waited.
    pub(super) fn last_timeout(&self) -> Duration {
        *self.0.borrow().timeouts.last().expect("it was polled")
    }

    pub(super) fn polls(&self) -> usize {
        self.0.borrow().timeouts.len()
    }

    pub(super) fn asked_ready(&self) -> Vec<i32> {
        let asked = std::mem::take(&mut self.0.borrow_mut().asked_ready);
        asked.into_iter().map(|node| node.0).collect()
    }
}

impl<T> KafkaClient<T> for MockClient<T> {
    fn ready(&mut self, node: &Node, _now: Instant) -> bool {
        let mut state = self.0.borrow_mut();
        state.asked_ready.push(node.id);
        !state.unready.contains_key(&node.id)
    }

    fn poll_delay(&self, node: &Node, _now: Instant) -> Duration {
        let state = self.0.borrow();
        state.unready.get(&node.id).copied().unwrap_or_default()
    }

    fn send(&mut self, request: ClientRequest<T>, now: Instant) {
        let answering = self.0.borrow_mut().answering.take();
        if let Some(mut answering) = answering {
            let outcome = answering(&request.body);
            let mut state = self.0.borrow_mut();
            state.answering = Some(answering);
            state.now = Some(now);
            drop(state);
            if let Some(outcome) = outcome {
                self.answer(request, outcome);
                return;
            }
        }
        self.0.borrow_mut().sent.push_back(request);
    }

    fn poll(&mut self, timeout: Duration, now: Instant, out: &mut Vec<ClientResponse<T>>) {
        let hook = self.0.borrow_mut().at_poll.take();
        if let Some(mut hook) = hook {
            hook();
            self.0.borrow_mut().at_poll = Some(hook);
        }
        let mut state = self.0.borrow_mut();
        state.now = Some(now);
        state.timeouts.push(timeout);
        out.append(&mut state.responses);
    }

    fn least_loaded_node(&mut self, _now: Instant) -> Option<Node> {
        self.0.borrow().least_loaded.clone()
    }
}

impl<T> fmt::Debug for MockClient<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MockClient")
    }
}
