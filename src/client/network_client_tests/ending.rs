//! Connections that end: by the peer, by us, by what the peer sent.

use super::*;
use crate::error::ErrorKind;
use crate::network::ChannelState;

fn outcomes(harness: &mut Harness) -> Vec<(u32, bool)> {
    harness
        .out
        .drain(..)
        .map(|response| match response.outcome {
            Outcome::Disconnected { maybe_written, .. } => (response.tag, maybe_written),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn disconnect_answers_all_requests_in_the_order_they_were_sent() {
    for send_begun in [false, true] {
        let mut harness = Harness::up("10.0.0.9:9092");
        harness.produce(1, 1);
        harness.poll(Duration::ZERO);
        harness.selector().writes = false;
        harness.produce(1, 2);
        harness
            .selector()
            .end(NodeId(1), ChannelState::Connected, send_begun);
        harness.poll(Duration::ZERO);
        assert_eq!(outcomes(&mut harness), [(1, true), (2, send_begun)]);
        assert_eq!(harness.client.in_flight_request_count(), 0);
    }
}

#[test]
fn response_that_came_before_the_end_counts() {
    let mut harness = Harness::up("10.0.0.9:9092");
    for tag in [1, 2] {
        harness.produce(1, tag);
        harness.poll(Duration::ZERO);
    }
    harness.answer_produce(1, 0);
    harness
        .selector()
        .end(NodeId(1), ChannelState::Connected, false);
    harness.poll(Duration::ZERO);
    let first = harness.out.remove(0);
    assert!(first.tag == 1 && matches!(first.outcome, Outcome::Response(_)));
    assert_eq!(outcomes(&mut harness), [(2, true)]);
}

#[test]
fn disconnect_asks_for_metadata_and_forgets_versions() {
    let mut harness = Harness::up("10.0.0.9:9092");
    harness
        .selector()
        .end(NodeId(1), ChannelState::Connected, false);
    harness.poll(Duration::ZERO);
    let now = harness.now();
    assert!(harness.metadata.time_to_next_update(now) <= Duration::from_millis(120));
    let versions = harness.client.api_versions.usable_version(
        NodeId(1),
        crate::protocol::ApiKey::Produce,
        VersionRange::ALL,
    );
    assert!(versions.is_err());
}

#[test]
fn idle_expiry_is_no_reason_to_ask_for_metadata() {
    let mut harness = Harness::up("10.0.0.9:9092");
    harness
        .selector()
        .end(NodeId(1), ChannelState::Expired, false);
    harness.poll(Duration::ZERO);
    let now = harness.now();
    assert!(harness.metadata.time_to_next_update(now) > Duration::from_secs(200));
    harness.time.advance(Duration::from_millis(100));
    assert!(
        harness.connect(1),
        "it is connected again when it is needed"
    );
}

/// Sends two requests, lets the peer send `frame`, and returns what the first response says.
fn broken_by(frame: impl Fn(i32) -> Vec<u8>) -> String {
    let mut harness = Harness::up("10.0.0.9:9092");
    assert!(harness.connect(2));
    for tag in [1, 2] {
        harness.produce(1, tag);
        harness.poll(Duration::ZERO);
    }
    harness.produce(2, 3);
    harness.poll(Duration::ZERO);
    let id = harness.unanswered(1)[0].correlation_id;
    let frame = frame(id);
    harness.selector().receive(NodeId(1), frame.clone());
    harness.selector().receive(NodeId(1), frame);
    harness.poll(Duration::ZERO);
    assert!(!harness.client.selector.channels.contains_key(&NodeId(1)));
    let text = match &harness.out[0].outcome {
        Outcome::Disconnected { error, .. } => {
            assert_eq!(error.kind(), ErrorKind::Protocol);
            error.to_string()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(outcomes(&mut harness), [(1, true), (2, true)]);
    // The other node noticed nothing.
    harness.answer_produce(2, 0);
    harness.poll(Duration::ZERO);
    assert_eq!(harness.tags(), [3]);
    assert!(text.contains("10.0.0.1:9092"), "{text}");
    text
}

#[test]
fn response_with_a_wrong_correlation_id_ends_the_connection() {
    let text = broken_by(|id| {
        let mut frame = (id + 1).to_be_bytes().to_vec();
        frame.extend(produce(12, 0));
        frame
    });
    assert!(text.contains("correlation id"), "{text}");
}

#[test]
fn response_that_is_cut_off_or_garbage_ends_the_connection() {
    let text = broken_by(|id| {
        let mut frame = id.to_be_bytes().to_vec();
        let body = produce(12, 0);
        frame.extend(&body[..body.len() - 3]);
        frame
    });
    assert!(
        text.contains("malformed") && text.contains("Produce v12"),
        "{text}"
    );
    broken_by(|_| Vec::new());
    broken_by(|_| vec![1, 2]);
    broken_by(|id| {
        let mut frame = id.to_be_bytes().to_vec();
        frame.extend([0, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 1, 2, 3]);
        frame
    });
}

#[test]
fn response_nobody_asked_for_ends_the_connection() {
    let mut harness = Harness::up("10.0.0.9:9092");
    harness.selector().receive(NodeId(1), vec![0, 0, 0, 9, 0]);
    harness.poll(Duration::ZERO);
    assert!(!harness.client.selector.channels.contains_key(&NodeId(1)));
}

#[test]
fn peer_of_another_protocol_is_named_in_the_complaint() {
    let mut harness = Harness::new("10.0.0.9:9092");
    harness.poll(Duration::ZERO);
    harness
        .selector()
        .end(NodeId(-1), ChannelState::Garbage, true);
    harness.poll(Duration::ZERO);
    let complaint = harness.complaint();
    assert!(
        complaint.contains("does not speak Kafka's protocol: ended by the test"),
        "{complaint}"
    );
    assert!(complaint.contains("bootstrap.servers"), "{complaint}");
}

#[test]
fn peer_that_ends_the_connection_before_it_answers_is_suspected() {
    let mut harness = Harness::new("10.0.0.9:9092");
    harness.poll(Duration::ZERO);
    harness
        .selector()
        .end(NodeId(-1), ChannelState::Connected, true);
    harness.poll(Duration::ZERO);
    let complaint = harness.complaint();
    assert!(complaint.contains("security.protocol"), "{complaint}");
}
