//! Frames, headers, versions, and the two small APIs.

use kafka_protocol::messages::{
    ApiVersionsRequest, InitProducerIdRequest, MetadataRequest, ProduceRequest,
};
use kafka_protocol::protocol::StrBytes;

use crate::{Api, ClusterConfig, ConnState, Fault, On, VersionProfile, What};

use super::{Client, TestBatch, decode, frame, to_partition, with_size};

fn software() -> ApiVersionsRequest {
    ApiVersionsRequest::default()
        .with_client_software_name(StrBytes::from_static_str("our-client"))
        .with_client_software_version(StrBytes::from_static_str("0.1.0"))
}

fn closes(client: &mut Client, bytes: &[u8]) {
    client.cluster.receive(client.connection, bytes, super::NOW);
    assert_eq!(client.take(), (Vec::new(), ConnState::Closed));
    let refused = |event: &&crate::Event| matches!(event.what, What::Refused(_));
    assert_eq!(client.cluster.history().filter(refused).count(), 1);
    let last = client.cluster.history().last().unwrap();
    assert_eq!(last.what, What::Closed);
    client.cluster.clear_history();
    client.reconnect();
}

#[test]
fn api_versions_every_version_tells_the_ranges() {
    let mut client = Client::simple();
    for version in 0..=4 {
        let body = if version >= 3 {
            software()
        } else {
            ApiVersionsRequest::default()
        };
        let response = client.ask(version, &body);
        assert_eq!(response.error_code, 0);
        let ranges: Vec<_> = response
            .api_keys
            .iter()
            .map(|api| (api.api_key, api.min_version, api.max_version))
            .collect();
        assert_eq!(
            ranges,
            [(0, 0, 13), (3, 0, 13), (18, 0, 4), (22, 0, 5)],
            "version {version}"
        );
    }
}

#[test]
fn api_versions_software_name_must_be_a_name() {
    let mut client = Client::simple();
    for wrong in ["", "a b", "-a", "a."] {
        let body = software().with_client_software_name(StrBytes::from_static_str(wrong));
        let response = client.ask(3, &body);
        assert_eq!(response.error_code, 42, "{wrong:?}");
        assert!(response.api_keys.is_empty());
    }
}

#[test]
fn api_versions_unknown_version_is_answered_in_version_zero() {
    let config = ClusterConfig::brokers(1).versions(VersionProfile::KAFKA_21);
    let mut client = Client::new(config);
    client.send(3, &software());
    let (bytes, state) = client.take();
    assert_eq!(state, ConnState::Open);
    let response = decode::<ApiVersionsRequest>(&bytes, 0, 1);
    assert_eq!(response.error_code, 35);
    assert_eq!(response.api_keys.len(), 1);
    assert_eq!(response.api_keys[0].api_key, 18);
    assert_eq!(response.api_keys[0].max_version, 2);
    assert_eq!(client.ask(2, &ApiVersionsRequest::default()).error_code, 0);
}

#[test]
fn requests_of_unsupported_versions_close() {
    let config = ClusterConfig::brokers(1)
        .topic("t", 1)
        .versions(VersionProfile::KAFKA_21);
    let mut client = Client::new(config);
    let request = to_partition(0, TestBatch::of(1).encode());
    closes(&mut client, &frame(8, 1, &request));
    closes(&mut client, &frame(8, 1, &MetadataRequest::default()));
    let init = InitProducerIdRequest::default().with_transactional_id(None);
    closes(&mut client, &frame(2, 1, &init));
    assert_eq!(client.produce_request(7, &request).error_code, 0);
    let narrow = VersionProfile::KAFKA_43.with(Api::Produce, 5, 6);
    let mut client = Client::new(ClusterConfig::brokers(1).versions(narrow));
    closes(&mut client, &frame(4, 1, &request));
    closes(&mut client, &frame(7, 1, &request));
}

#[test]
fn frames_that_no_broker_takes_close() {
    let mut client = Client::simple();
    let good = frame(9, 1, &to_partition(0, TestBatch::of(1).encode()));
    closes(&mut client, &(-1_i32).to_be_bytes());
    closes(&mut client, &i32::MAX.to_be_bytes());
    closes(&mut client, &with_size(&[]));
    closes(&mut client, &with_size(&[0, 0, 0, 9]));
    closes(&mut client, &with_size(&[0, 77, 0, 0, 0, 0, 0, 1, 0, 0]));
    closes(&mut client, &with_size(&good[4..good.len() - 1]));
    closes(&mut client, &with_size(&[&good[4..], &[0][..]].concat()));
    closes(&mut client, b"GET / HTTP/1.1\r\n\r\n");
    let tls = [22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3];
    closes(&mut client, &tls);
}

#[test]
fn array_longer_than_its_request_is_refused_before_it_is_allocated() {
    let mut client = Client::simple();
    let mut bytes = frame(
        1,
        1,
        &MetadataRequest::default().with_topics(Some(Vec::new())),
    );
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&i32::MAX.to_be_bytes());
    closes(&mut client, &bytes);
    let mut bytes = frame(9, 1, &ProduceRequest::default());
    let at = bytes.len() - 2;
    let body = [
        &bytes[4..at],
        &[0xff, 0xff, 0xff, 0xff, 0x0f][..],
        &bytes[at + 1..],
    ]
    .concat();
    bytes = with_size(&body);
    closes(&mut client, &bytes);
}

#[test]
fn init_producer_id_every_version_gives_new_ids() {
    let mut client = Client::simple();
    let mut ids = Vec::new();
    for version in 0..=5 {
        let mut body = InitProducerIdRequest::default().with_transactional_id(None);
        if version >= 3 {
            body.producer_id = (-1).into();
            body.producer_epoch = -1;
        }
        let response = client.ask(version, &body);
        assert_eq!((response.error_code, response.producer_epoch), (0, 0));
        ids.push(response.producer_id.0);
    }
    let first = ids[0];
    let expected: Vec<i64> = (first..first + 6).collect();
    assert_eq!(ids, expected);
}

#[test]
fn init_producer_id_half_an_identity_is_invalid() {
    let mut client = Client::simple();
    let half = InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_producer_id(5.into())
        .with_producer_epoch(-1);
    let response = client.ask(4, &half);
    assert_eq!((response.error_code, response.producer_id.0), (42, -1));
    let whole = half.with_producer_epoch(3);
    let response = client.ask(4, &whole);
    assert_eq!((response.error_code, response.producer_epoch), (0, 0));
}

#[test]
fn init_producer_id_transactional_keeps_the_id_and_raises_the_epoch() {
    let mut client = Client::simple();
    let id = StrBytes::from_static_str("tx");
    let body = InitProducerIdRequest::default().with_transactional_id(Some(id.into()));
    let first = client.ask(1, &body);
    let second = client.ask(1, &body);
    assert_eq!(first.producer_id, second.producer_id);
    assert_eq!((first.producer_epoch, second.producer_epoch), (0, 1));
    let empty = body.with_transactional_id(Some(StrBytes::default().into()));
    assert_eq!(client.ask(1, &empty).error_code, 42);
}

#[test]
fn history_names_requests_batches_and_connections() {
    let mut client = Client::simple();
    client.produce(TestBatch::sequenced(2, 0, 3).encode());
    client
        .cluster
        .disconnect(client.connection, client.now_ms + 5);
    let events: Vec<_> = client.cluster.history().cloned().collect();
    let [opened, request, produced, closed] = &events[..] else {
        panic!("four events: {events:?}");
    };
    assert_eq!(opened.what, What::Opened);
    assert_eq!((opened.node, opened.at_ms), (1, super::NOW));
    let expected = What::Request {
        api: Api::Produce,
        version: 12,
        correlation_id: 1,
        client_id: Some("tester".to_owned()),
    };
    assert_eq!(request.what, expected);
    let What::Produced(batch) = &produced.what else {
        panic!("a batch: {produced:?}");
    };
    assert_eq!((batch.topic.as_str(), batch.partition), ("t", 0));
    assert_eq!((batch.producer_id, batch.producer_epoch), (7, 2));
    assert_eq!((batch.base_sequence, batch.count), (0, 3));
    assert_eq!((batch.error_code, batch.base_offset), (0, 0));
    assert!(batch.appended && !batch.repeated);
    assert_eq!((batch.version, batch.acks), (12, -1));
    assert_eq!(Some(batch.topic_id), client.cluster.topic_id("t"));
    let encoded = TestBatch::sequenced(2, 0, 3).encode();
    assert_eq!(batch.bytes, encoded.len());
    assert_eq!(batch.crc.to_be_bytes(), encoded[17..21]);
    assert_eq!(batch.log_offset, 0);
    assert_eq!(
        (&closed.what, closed.at_ms),
        (&What::Closed, super::NOW + 5)
    );
}

#[test]
fn history_is_bounded_and_can_be_off() {
    let mut config = ClusterConfig::brokers(1).topic("t", 1);
    config.history_events = 3;
    let mut client = Client::new(config);
    for _ in 0..4 {
        client.produce(TestBatch::of(1).encode());
    }
    assert_eq!(client.cluster.history().count(), 3);
    assert_eq!(client.cluster.history_dropped(), 6);
    let mut lean = Client::new(ClusterConfig::brokers(1).topic("t", 1).lean());
    lean.produce(TestBatch::of(1).encode());
    assert_eq!(lean.cluster.history().count(), 0);
}

#[test]
fn history_taken_is_gone_and_goes_on_bounded() {
    let mut config = ClusterConfig::brokers(1).topic("t", 1);
    config.history_events = 3;
    let mut client = Client::new(config);
    assert_eq!(client.cluster.take_history().len(), 1);
    assert!(client.cluster.take_history().is_empty());
    for _ in 0..2 {
        client.produce(TestBatch::of(1).encode());
    }
    assert_eq!(client.cluster.take_history().len(), 3);
    assert_eq!(client.cluster.history_dropped(), 1);
    assert_eq!(client.cluster.history().count(), 0);
}

#[test]
fn history_tells_repetitions_and_what_an_answer_hides() {
    let mut client = Client::simple();
    let first = TestBatch::sequenced(0, 0, 2).encode();
    client.produce(TestBatch::of(1).encode());
    client.produce(first.clone());
    client.produce(first);
    let hidden = Fault::error_after_append(On::produce(), 7);
    client.cluster.fault(hidden);
    client.produce(TestBatch::sequenced(0, 2, 1).encode());
    client.produce(TestBatch::sequenced(0, 9, 1).encode());
    let mut batches = Vec::new();
    for event in client.cluster.take_history() {
        if let What::Produced(batch) = event.what {
            batches.push((
                batch.appended,
                batch.repeated,
                batch.log_offset,
                batch.error_code,
            ));
        }
    }
    let expected = [
        (true, false, 0, 0),
        (true, false, 1, 0),
        (false, true, 1, 0),
        (true, false, 3, 7),
        (false, false, -1, 45),
    ];
    assert_eq!(batches, expected);
}
