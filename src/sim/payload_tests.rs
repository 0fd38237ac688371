//! Every kind of record through a real batch: what comes out of the log is known and checked.

use kafka_test_support::StoredBatch;

use super::*;
use crate::record::{BatchBuilder, BatchHeader, RecordView};

const VALUES: [Option<usize>; 6] = [None, Some(0), Some(7), Some(8), Some(300), Some(200_000)];
const KEYS: [Key; 4] = [Key::Null, Key::Empty, Key::Common(3), Key::Own(9)];

fn all_kinds(brokers_stamp: bool) -> Vec<RecordSpec> {
    let mut all = Vec::new();
    for value_bytes in VALUES {
        for key in KEYS {
            for (headers, prefers_timestamp) in [(0, false), (0, true), (5, false), (5, true)] {
                let spec = RecordSpec {
                    id: all.len() as RecordId,
                    topic: 0,
                    partition: None,
                    key,
                    value_bytes,
                    headers,
                    timestamp_ms: None,
                    mark: Mark::Value,
                };
                all.push(spec.settle(brokers_stamp, prefers_timestamp));
            }
        }
    }
    all
}

/// Through the builder that the product has and the reader that the brokers of tests have.
fn through_a_batch(specs: &[RecordSpec], append_time: Option<i64>) -> Vec<StoredRecord> {
    let mut builder = BatchBuilder::new(vec![Vec::<u8>::with_capacity(16 << 20)]);
    for spec in specs {
        let record = spec.record("t");
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        let timestamp_ms = record.timestamp_ms.unwrap_or(NOW_MS);
        let view = RecordView::new(timestamp_ms, key, value, record.headers.as_slice());
        let framing = builder.framing(&view);
        builder.append(&view, &framing);
    }
    let header = BatchHeader {
        record_count: builder.record_count(),
        base_timestamp_ms: builder.base_timestamp_ms(),
        max_timestamp_ms: builder.max_timestamp_ms(),
        state: None,
    };
    let chunks: Vec<Bytes> = builder.into_chunks().into_iter().map(Bytes::from).collect();
    let mut bytes = header.encode(&chunks).to_vec();
    chunks
        .iter()
        .for_each(|chunk| bytes.extend_from_slice(chunk));
    let batch = StoredBatch {
        base_offset: 0,
        count: i32::try_from(specs.len()).expect("few"),
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        max_timestamp: header.max_timestamp_ms,
        bytes: bytes.into(),
        append_time,
    };
    batch.records().expect("nothing is compressed")
}

#[test]
fn record_of_every_kind_is_known_and_right_in_a_log() {
    let specs = all_kinds(false);
    let stored = through_a_batch(&specs, None);
    assert_eq!(stored.len(), specs.len());
    for (spec, stored) in specs.iter().zip(&stored) {
        assert_eq!(identify(stored), Some(spec.id), "{spec:?}");
        let stamped_ms = spec.timestamp_ms.unwrap_or(NOW_MS);
        assert_eq!(check(spec, stored, Some(stamped_ms)), Ok(()), "{spec:?}");
    }
    let marks: Vec<_> = specs.iter().map(|spec| spec.mark).collect();
    for mark in [Mark::Value, Mark::Key, Mark::Header, Mark::Timestamp] {
        assert!(marks.contains(&mark), "{mark:?}");
    }
}

#[test]
fn record_that_the_broker_stamped_is_known_without_its_own_time() {
    let specs = all_kinds(true);
    let stored = through_a_batch(&specs, Some(NOW_MS + 5));
    for (spec, stored) in specs.iter().zip(&stored) {
        assert_eq!(identify(stored), Some(spec.id), "{spec:?}");
        assert_eq!(check(spec, stored, Some(NOW_MS + 5)), Ok(()), "{spec:?}");
    }
}

#[test]
fn check_sees_every_single_thing_that_differs() {
    let spec = RecordSpec {
        id: 77,
        topic: 0,
        partition: None,
        key: Key::Own(12),
        value_bytes: Some(100),
        headers: 4,
        timestamp_ms: Some(9),
        mark: Mark::Value,
    };
    let right = through_a_batch(std::slice::from_ref(&spec), None).remove(0);
    assert_eq!(check(&spec, &right, Some(9)), Ok(()));
    type Spoil = fn(&mut StoredRecord);
    let spoils: [(&str, Spoil); 8] = [
        ("value", |record| record.value = None),
        ("value", |record| flip(record.value.as_mut(), 99)),
        ("key", |record| record.key = Some(Bytes::new())),
        ("key", |record| flip(record.key.as_mut(), 11)),
        ("headers", |record| record.headers.swap(0, 3)),
        ("headers", |record| record.headers.truncate(3)),
        ("headers", |record| {
            record.headers[0].value = Some("other".into())
        }),
        ("timestamp", |record| record.timestamp = 10),
    ];
    for (what, spoil) in spoils {
        let mut record = right.clone();
        spoil(&mut record);
        let error = check(&spec, &record, Some(9)).expect_err(what);
        assert!(error.contains(what), "{error}");
    }
}

#[test]
fn identify_takes_nothing_for_ours_that_is_not() {
    let specs = all_kinds(false);
    let mut record = through_a_batch(&specs[specs.len() - 1..], None).remove(0);
    record.value = Some(Bytes::from_static(&[0xDD; 64]));
    assert_eq!(identify(&record), None, "what was freed is poisoned");
    record.value = None;
    record.key = None;
    record.timestamp = NOW_MS;
    record.headers.clear();
    assert_eq!(identify(&record), None);
}

#[test]
fn records_have_different_bytes_and_the_same_ones_each_time() {
    let spec = |id| RecordSpec {
        id,
        topic: 0,
        partition: None,
        key: Key::Own(20),
        value_bytes: Some(64),
        headers: 3,
        timestamp_ms: None,
        mark: Mark::Value,
    };
    assert_eq!(spec(1).record("t"), spec(1).record("t"));
    for id in 0..100 {
        assert_ne!(
            spec(id).value().expect("some")[8..],
            spec(id + 1).value().expect("some")[8..]
        );
    }
}

fn flip(bytes: Option<&mut Bytes>, at: usize) {
    let bytes = bytes.expect("there is some");
    let mut changed = bytes.to_vec();
    changed[at] ^= 1;
    *bytes = changed.into();
}

const NOW_MS: i64 = 1_700_000_000_123;
