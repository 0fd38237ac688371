//! Each bug that can be planted in the client is live: without it a scenario goes right, with it wrong.

use super::*;
use crate::network::ChannelState;
use crate::planted::{Plant, assert_live};

const NODE: NodeId = NodeId(1);

impl Harness {
    /// With one Produce request in flight.
    fn sent(tag: u32) -> Self {
        let mut harness = Self::up("10.0.0.9:9092");
        harness.produce(1, tag);
        harness.poll(Duration::ZERO);
        harness
    }

    /// The oldest request is answered well, but for its correlation id.
    fn answer_with_another_id(&mut self) {
        let id = self.unanswered(1)[0].correlation_id;
        let mut frame = (id + 1).to_be_bytes().to_vec();
        frame.extend(produce(12, 0));
        self.selector().receive(NODE, frame);
        self.poll(Duration::ZERO);
    }

    fn is_connected(&self) -> bool {
        self.client.selector.channels.contains_key(&NODE)
    }
}

#[test]
fn r18_connection_goes_on_after_a_request_was_given_up() {
    assert_live(Plant::R18, || {
        let mut harness = Harness::sent(1);
        harness.run(Duration::from_secs(31));
        let outcome = harness.response().outcome;
        assert!(matches!(outcome, Outcome::TimedOut { .. }));
        harness.is_connected()
    });
}

#[test]
fn r19_request_gets_no_response_when_its_connection_is_closed() {
    assert_live(Plant::R19, || {
        let mut harness = Harness::sent(1);
        let now = harness.now();
        harness.client.disconnect(NODE, now);
        harness.poll(Duration::ZERO);
        harness.tags().is_empty() && harness.client.in_flight_request_count() == 0
    });
}

#[test]
fn r56_wrong_correlation_id_costs_a_request_its_response() {
    assert_live(Plant::R56, || {
        let mut harness = Harness::sent(1);
        harness.answer_with_another_id();
        harness.run(Duration::from_secs(60));
        harness.is_connected() && harness.tags().is_empty()
    });
}

#[test]
fn correlation_takes_any_response_for_the_oldest_request() {
    assert_live(Plant::Correlation, || {
        let mut harness = Harness::sent(1);
        harness.answer_with_another_id();
        matches!(harness.response().outcome, Outcome::Response(_))
    });
}

#[test]
fn r67_metadata_request_that_fails_is_the_last_one() {
    assert_live(Plant::R67, || {
        let mut harness = Harness::up("10.0.0.9:9092");
        harness.metadata.request_update();
        harness.time.advance(Duration::from_secs(1));
        harness.poll(Duration::ZERO);
        assert_eq!(harness.apis_at(1), [METADATA]);
        let before = harness.metadata.cluster().version();
        harness.selector().end(NODE, ChannelState::Connected, false);
        harness.run(Duration::from_secs(60));
        harness.metadata.cluster().version() == before
    });
}

#[test]
fn r72_client_sleeps_while_a_broker_throttles() {
    assert_live(Plant::R72, || {
        let mut harness = Harness::sent(1);
        harness.answer_produce(1, 5000);
        harness.poll(Duration::ZERO);
        let before = harness.now();
        harness.poll(Duration::ZERO);
        harness.now() - before >= Duration::from_secs(5)
    });
}
