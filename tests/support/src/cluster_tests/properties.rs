//! What holds for any bytes and any way of cutting them.

use kafka_protocol::messages::{ApiVersionsRequest, InitProducerIdRequest, MetadataRequest};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, prop, proptest};

use crate::{Cluster, ClusterConfig, ConnState, tap};

use super::{NOW, TestBatch, frame, to_partition};

/// Requests of all kinds, the last of which ends the connection.
fn conversation() -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(frame(2, 1, &ApiVersionsRequest::default()));
    bytes.extend(frame(9, 2, &MetadataRequest::default()));
    bytes.extend(frame(
        1,
        3,
        &InitProducerIdRequest::default().with_transactional_id(None),
    ));
    for sequence in 0..3 {
        let batch = TestBatch::sequenced(0, sequence * 2, 2).encode();
        bytes.extend(frame(9, 4 + sequence, &to_partition(0, batch)));
    }
    let bad = to_partition(5, TestBatch::of(1).encode()).with_acks(0);
    bytes.extend(frame(9, 8, &bad));
    bytes
}

fn answers(bytes: &[u8], cuts: &[usize]) -> (Vec<u8>, ConnState, usize) {
    let mut cluster = Cluster::new(ClusterConfig::brokers(1).topic("t", 2));
    let connection = cluster.connect(1, NOW).unwrap();
    let mut rest = bytes;
    for cut in cuts.iter().cycle() {
        let (chunk, after) = rest.split_at((*cut).clamp(1, rest.len()));
        cluster.receive(connection, chunk, NOW);
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    let mut out = Vec::new();
    let state = cluster.output(connection, &mut out);
    (out, state, cluster.history().count())
}

/// Bytes that look like a request: a true head, then anything.
fn arbitrary_request(key: i16, version: i16, flexible_tag: bool, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(key.to_be_bytes());
    bytes.extend(version.to_be_bytes());
    bytes.extend(9_i32.to_be_bytes());
    bytes.extend((-1_i16).to_be_bytes());
    if flexible_tag {
        bytes.push(0);
    }
    bytes.extend(body);
    super::with_size(&bytes)
}

fn take_anything(bytes: &[u8]) {
    let mut cluster = Cluster::new(ClusterConfig::brokers(1).topic("t", 2));
    let connection = cluster.connect(1, NOW).unwrap();
    cluster.receive(connection, bytes, NOW);
    cluster.output(connection, &mut Vec::new());
    let _ = tap::read_request(bytes.get(4..).unwrap_or_default());
}

#[test]
fn any_single_cut_gives_the_same_answers() {
    let bytes = conversation();
    let whole = answers(&bytes, &[bytes.len()]);
    assert_eq!(whole.1, ConnState::Closed);
    for at in 1..bytes.len() {
        assert_eq!(answers(&bytes, &[at, bytes.len()]), whole, "cut at {at}");
    }
    assert_eq!(answers(&bytes, &[1]), whole);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_cuts_give_the_same_answers(cuts in vec(1_usize..200, 1..20)) {
        let bytes = conversation();
        assert_eq!(answers(&bytes, &cuts), answers(&bytes, &[bytes.len()]));
    }

    #[test]
    fn any_bytes_never_panic(bytes in vec(any::<u8>(), 0..300)) {
        take_anything(&bytes);
        take_anything(&super::with_size(&bytes));
    }

    #[test]
    fn any_body_never_panics(
        key in prop::sample::select(vec![0_i16, 3, 18, 22]),
        version in 0_i16..15,
        flexible_tag in any::<bool>(),
        body in vec(any::<u8>(), 0..200),
    ) {
        take_anything(&arbitrary_request(key, version, flexible_tag, &body));
    }

    #[test]
    fn any_damaged_request_never_panics(
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        version in 3_i16..=12,
    ) {
        let batch = TestBatch::sequenced(0, 0, 3).encode();
        let mut bytes = frame(version, 1, &to_partition(0, batch));
        let at = at.index(bytes.len());
        bytes[at] = byte;
        take_anything(&bytes);
    }

    #[test]
    fn any_damaged_batch_never_panics(
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let good = TestBatch::sequenced(0, 0, 3);
        let encoded = super::encode_records(&good.records);
        let mut body = encoded.clone();
        let place = at.index(body.len());
        body[place] = byte;
        body.truncate(cut.index(body.len()) + 1);
        let batch = TestBatch { body: Some(body), ..good };
        let mut client = super::Client::simple();
        if client.produce(batch.encode()).error_code == 0 {
            assert_eq!(client.cluster.log("t", 0).len(), 3);
        }
    }
}
