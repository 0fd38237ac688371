//! What a batch must be, one right and one wrong for each rule.

use crate::{ClusterConfig, TopicConfig, VersionProfile};

use super::{Client, NOW, TestBatch, TestRecord, encode_records, put_varint, to_partition};

fn code_of(batch: &TestBatch) -> i16 {
    let mut client = Client::simple();
    let code = client.produce(batch.encode()).error_code;
    let appended = client.cluster.end_offset("t", 0);
    assert_eq!(appended > 0, code == 0, "a refused batch leaves no trace");
    code
}

fn code_in(topic: TopicConfig, batch: &TestBatch) -> i16 {
    let mut client = Client::new(ClusterConfig::brokers(1).topic_with(topic));
    client.produce(batch.encode()).error_code
}

#[test]
fn batch_right_is_appended_and_read_back() {
    let mut client = Client::simple();
    let mut batch = TestBatch::sequenced(0, 0, 2);
    batch.records[1] = TestRecord {
        timestamp_delta: 5,
        offset_delta: 1,
        key: None,
        value: None,
        headers: vec![("h", Some(b"x")), ("h", None)],
    };
    let response = client.produce(batch.encode());
    assert_eq!((response.error_code, response.base_offset), (0, 0));
    assert_eq!(client.produce(TestBatch::of(1).encode()).base_offset, 2);
    let log = client.cluster.log("t", 0);
    assert_eq!(log.len(), 3);
    assert_eq!(log[0].key.as_deref(), Some(&b"key"[..]));
    assert_eq!(log[0].value.as_deref(), Some(&b"value"[..]));
    assert_eq!((log[0].offset, log[0].timestamp), (0, NOW));
    assert_eq!((log[0].producer_id, log[0].sequence), (7, 0));
    assert_eq!((log[1].offset, log[1].timestamp), (1, NOW + 5));
    assert_eq!((log[1].key.as_ref(), log[1].value.as_ref()), (None, None));
    assert_eq!(log[1].sequence, 1);
    assert_eq!(log[1].headers.len(), 2);
    assert_eq!(log[1].headers[0].value.as_deref(), Some(&b"x"[..]));
    assert_eq!(log[1].headers[1].value, None);
    assert_eq!((log[2].offset, log[2].sequence), (2, -1));
    assert_eq!(client.cluster.batches("t", 0).len(), 2);
}

#[test]
fn batch_base_offset_must_be_zero() {
    let batch = TestBatch {
        base_offset: 1,
        ..TestBatch::of(1)
    };
    assert_eq!(code_of(&batch), 87);
}

#[test]
fn batch_crc_must_fit() {
    let batch = TestBatch {
        spoil_crc: true,
        ..TestBatch::of(1)
    };
    assert_eq!(code_of(&batch), 2);
}

#[test]
fn batch_magic_must_be_two() {
    for (magic, code) in [(0, 87), (1, 87), (3, 2), (255, 2)] {
        let batch = TestBatch {
            magic,
            ..TestBatch::of(1)
        };
        assert_eq!(code_of(&batch), code, "magic {magic}");
    }
}

#[test]
fn batch_cut_short_is_no_batch_and_a_tail_is_ignored() {
    let whole = TestBatch::of(1).encode();
    let mut client = Client::simple();
    for length in [0, 5, 12, 16, 30, whole.len() - 1] {
        let code = client.produce(whole.slice(..length)).error_code;
        assert_eq!(code, 87, "{length} bytes");
    }
    let mut longer = whole.to_vec();
    longer.extend_from_slice(&whole[..20]);
    assert_eq!(client.produce(longer).error_code, 0);
    assert_eq!(client.cluster.batches("t", 0)[0].bytes, whole);
}

#[test]
fn batch_length_below_any_message_is_corrupt() {
    let mut bytes = TestBatch::of(1).encode().to_vec();
    bytes[8..12].copy_from_slice(&13_i32.to_be_bytes());
    assert_eq!(Client::simple().produce(bytes.clone()).error_code, 2);
    bytes[8..12].copy_from_slice(&(-1_i32).to_be_bytes());
    assert_eq!(Client::simple().produce(bytes).error_code, 2);
}

#[test]
fn batch_two_in_one_partition_are_refused() {
    let mut both = TestBatch::of(1).encode().to_vec();
    both.extend_from_slice(&TestBatch::of(1).encode());
    assert_eq!(Client::simple().produce(both).error_code, 87);
}

#[test]
fn batch_count_must_fit_offsets_and_records() {
    let base = TestBatch::of(2);
    let wrong = [
        (Some(1), None),
        (Some(3), None),
        (None, Some(0)),
        (None, Some(2)),
        (Some(0), Some(-1)),
        (Some(-1), Some(-2)),
        (Some(3), Some(2)),
        (Some(1), Some(0)),
    ];
    for (count, last_offset_delta) in wrong {
        let batch = TestBatch {
            count,
            last_offset_delta,
            ..base.clone()
        };
        assert_eq!(code_of(&batch), 87, "{count:?} {last_offset_delta:?}");
    }
    assert_eq!(code_of(&base), 0);
    assert_eq!(code_of(&TestBatch::of(0)), 87);
}

#[test]
fn batch_offset_deltas_must_be_dense_unless_exactly_kafka() {
    let mut batch = TestBatch::of(2);
    batch.records[1].offset_delta = 2;
    assert_eq!(code_of(&batch), 87);
    let config = ClusterConfig::brokers(1).topic("t", 1).exactly_kafka();
    assert_eq!(Client::new(config).produce(batch.encode()).error_code, 0);
}

#[test]
fn batch_max_timestamp_must_be_true_unless_exactly_kafka() {
    let batch = TestBatch {
        max_timestamp: Some(NOW + 100),
        ..TestBatch::of(2)
    };
    assert_eq!(code_of(&batch), 87);
    let config = ClusterConfig::brokers(1).topic("t", 1).exactly_kafka();
    assert_eq!(Client::new(config).produce(batch.encode()).error_code, 0);
}

#[test]
fn batch_control_and_bad_sequence_are_refused() {
    let control = TestBatch {
        attributes: 0b10_0000,
        ..TestBatch::of(1)
    };
    assert_eq!(code_of(&control), 87);
    let negative = TestBatch::sequenced(0, -1, 1);
    assert_eq!(code_of(&negative), 87);
}

#[test]
fn batch_codecs_known_are_taken_as_they_are() {
    for (codec, code) in [(1, 0), (2, 0), (3, 0), (4, 0), (5, -1), (7, -1)] {
        let batch = TestBatch {
            attributes: codec,
            body: Some(vec![1, 2, 3]),
            ..TestBatch::of(2)
        };
        assert_eq!(code_of(&batch), code, "codec {codec}");
    }
}

#[test]
fn batch_too_large_is_refused() {
    let batch = TestBatch::of(3);
    let size = batch.encode().len();
    let topic = TopicConfig::new("t", 1).max_message_bytes(size - 1);
    assert_eq!(code_in(topic, &batch), 10);
    let topic = TopicConfig::new("t", 1).max_message_bytes(size);
    assert_eq!(code_in(topic, &batch), 0);
}

#[test]
fn record_malformed_is_refused() {
    let good = encode_records(&TestBatch::of(1).records);
    let spoiled = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut body = good.clone();
        change(&mut body);
        code_of(&TestBatch {
            body: Some(body),
            ..TestBatch::of(1)
        })
    };
    assert_eq!(spoiled(&|_| ()), 0);
    assert_eq!(spoiled(&|body| body.push(0)), 87, "a byte too many");
    assert_eq!(spoiled(&|body| body.truncate(3)), 87, "cut short");
    assert_eq!(spoiled(&|body| body.clear()), 87, "nothing");
    assert_eq!(spoiled(&|body| body[0] -= 2), 87, "a size too small");
    assert_eq!(spoiled(&|body| body[0] = 1), 87, "a negative size");
    assert_eq!(spoiled(&|body| body[4] = 200), 87, "a key too long");
    let last = good.len() - 1;
    assert_eq!(spoiled(&|body| body[last] = 2), 87, "headers missing");
    assert_eq!(spoiled(&|body| body[last] = 1), 87, "negative headers");
    let endless = spoiled(&|body| *body = vec![0xff; 20]);
    assert_eq!(endless, -1, "a size that does not end");
}

#[test]
fn record_header_without_key_is_refused() {
    let mut body = vec![0, 0, 0, 1, 1];
    put_varint(&mut body, 1);
    put_varint(&mut body, -1);
    put_varint(&mut body, -1);
    let mut sized = Vec::new();
    put_varint(&mut sized, i64::try_from(body.len()).unwrap());
    sized.extend(body);
    let batch = TestBatch {
        body: Some(sized),
        ..TestBatch::of(1)
    };
    assert_eq!(code_of(&batch), 87);
}

#[test]
fn record_timestamp_out_of_range_is_named() {
    let mut batch = TestBatch::of(3);
    batch.records[1].timestamp_delta = 3_600_001;
    let mut client = Client::simple();
    let response = client.produce(batch.encode());
    assert_eq!(response.error_code, 32);
    assert_eq!(response.record_errors.len(), 1);
    assert_eq!(response.record_errors[0].batch_index, 1);
    assert!(response.error_message.is_some());
    batch.records[1].timestamp_delta = 3_600_000;
    assert_eq!(client.produce(batch.encode()).error_code, 0);
    let older = ClusterConfig::brokers(1).topic("t", 1);
    let mut client = Client::new(older.versions(VersionProfile::KAFKA_39));
    batch.records[1].timestamp_delta = 3_600_001;
    assert_eq!(
        client
            .produce_request(9, &to_partition(0, batch.encode()))
            .error_code,
        0
    );
    let mut topic = TopicConfig::new("t", 1);
    topic.timestamp_before_max_ms = 1000;
    let mut old = TestBatch::of(1);
    old.base_timestamp = NOW - 1001;
    assert_eq!(code_in(topic.clone(), &old), 32);
    old.base_timestamp = NOW - 1000;
    assert_eq!(code_in(topic, &old), 0);
}

#[test]
fn record_without_key_is_refused_by_a_compacted_topic() {
    let mut batch = TestBatch::of(3);
    batch.records[2].key = None;
    let topic = TopicConfig::new("t", 1).compacted();
    let mut client = Client::new(ClusterConfig::brokers(1).topic_with(topic.clone()));
    let response = client.produce(batch.encode());
    assert_eq!(response.error_code, 87);
    assert_eq!(response.record_errors[0].batch_index, 2);
    assert_eq!(code_in(topic, &TestBatch::of(3)), 0);
}

#[test]
fn batch_log_append_time_is_the_brokers() {
    let topic = TopicConfig::new("t", 1).log_append_time();
    let mut client = Client::new(ClusterConfig::brokers(1).topic_with(topic));
    client.advance(50);
    let mut batch = TestBatch::of(2);
    batch.base_timestamp = 5;
    let response = client.produce(batch.encode());
    assert_eq!(
        (response.error_code, response.log_append_time_ms),
        (0, NOW + 50)
    );
    let log = client.cluster.log("t", 0);
    assert!(log.iter().all(|record| record.timestamp == NOW + 50));
    let claims = TestBatch {
        attributes: 0b1000,
        ..TestBatch::of(1)
    };
    assert_eq!(client.produce(claims.encode()).error_code, 32);
    assert_eq!(code_of(&TestBatch::of(1)), 0);
}
