//! Batches, right and wrong in their format.

use bytes::Bytes;

use super::batch::{Batch, Record, TIMESTAMP, gzip, zstd};
use super::case::Produce;
use super::plan::Plan;

pub(super) fn plan(plan: &mut Plan) {
    whole_batches(plan);
    headers_of_batches(plan);
    lengths(plan);
    records(plan);
    lengths_in_records(plan);
    offset_deltas(plan);
    attributes(plan);
    compression(plan);
    timestamps(plan);
}

fn whole_batches(plan: &mut Plan) {
    for version in 3..=13 {
        plan.case(&format!("produce v{version}"), |p| {
            let two = Produce::batch(p, &Batch::of(2)).version(version);
            vec![two.step(), two.step()]
        });
    }
    plan.batch("ten records", &Batch::of(10));
    plan.case("two plain batches, one partition entry", |p| {
        let bytes = [Batch::of(1).encode(), Batch::of(2).encode()].concat();
        vec![Produce::bytes(p, bytes.into()).step()]
    });
    plan.case("two idempotent batches, one partition entry", |p| {
        let (first, second) = (
            Batch::of(1).by(p.into(), 0, 0),
            Batch::of(1).by(p.into(), 0, 1),
        );
        let bytes = [first.encode(), second.encode()].concat();
        vec![Produce::bytes(p, bytes.into()).step()]
    });
    plan.case("no bytes of records", |p| {
        vec![Produce::bytes(p, Bytes::new()).step()]
    });
    plan.case("null records", |p| {
        vec![Produce::new().and("plain", p, None).step().unanswered()]
    });
    plan.case("null records, v3", |p| {
        vec![
            Produce::new()
                .and("plain", p, None)
                .version(3)
                .step()
                .unanswered(),
        ]
    });
    plan.batch("batch of no records", &Batch::of(0));
    plan.batch(
        "batch of no records by an idempotent producer",
        &Batch::of(0).by(77, 0, 0),
    );
}

fn headers_of_batches(plan: &mut Plan) {
    plan.batch("wrong checksum", &Batch::of(1).with(|b| b.crc_error = 1));
    plan.batch("magic 0", &Batch::of(1).with(|b| b.magic = 0));
    plan.batch("magic 1", &Batch::of(1).with(|b| b.magic = 1));
    plan.batch("magic 3", &Batch::of(1).with(|b| b.magic = 3));
    plan.batch("magic -1", &Batch::of(1).with(|b| b.magic = -1));
    plan.batch(
        "count above the records",
        &Batch::of(2).with(|b| b.count = 3),
    );
    plan.batch(
        "count and last delta above the records",
        &Batch::of(2).with(|b| {
            (b.count, b.last_offset_delta) = (3, 2);
        }),
    );
    plan.batch(
        "count below the records",
        &Batch::of(2).with(|b| b.count = 1),
    );
    plan.batch(
        "count and last delta below the records",
        &Batch::of(2).with(|b| {
            (b.count, b.last_offset_delta) = (1, 0);
        }),
    );
    plan.batch(
        "count 0 before records",
        &Batch::of(2).with(|b| b.count = 0),
    );
    plan.batch(
        "count -1 before records",
        &Batch::of(2).with(|b| b.count = -1),
    );
    plan.batch(
        "count of the largest number",
        &Batch::of(2).with(|b| {
            (b.count, b.last_offset_delta) = (i32::MAX, i32::MAX - 1);
        }),
    );
    plan.batch(
        "last delta above the count",
        &Batch::of(2).with(|b| b.last_offset_delta = 5),
    );
    plan.batch(
        "last delta below the count",
        &Batch::of(2).with(|b| b.last_offset_delta = 0),
    );
    plan.batch(
        "last delta negative",
        &Batch::of(2).with(|b| b.last_offset_delta = -2),
    );
    plan.batch(
        "base offset not 0",
        &Batch::of(2).with(|b| b.base_offset = 500),
    );
    plan.batch(
        "base offset negative",
        &Batch::of(2).with(|b| b.base_offset = -500),
    );
    plan.batch(
        "leader epoch given",
        &Batch::of(1).with(|b| b.leader_epoch = 7),
    );
}

fn lengths(plan: &mut Plan) {
    for length in [0, -1, i32::MIN, i32::MAX, 13, 48, 60, 1_000] {
        let batch = Batch::of(1).with(|b| b.length = Some(length));
        plan.batch(&format!("batch length {length}"), &batch);
    }
    for cut in [1, 20] {
        plan.case(&format!("batch cut by {cut} bytes"), |p| {
            let bytes = Batch::of(2).encode();
            vec![Produce::bytes(p, bytes.slice(..bytes.len() - cut)).step()]
        });
    }
    for left in [1, 11, 12, 16, 17, 60, 61] {
        plan.case(&format!("the first {left} bytes of a batch"), |p| {
            vec![Produce::bytes(p, Batch::of(2).encode().slice(..left)).step()]
        });
    }
    plan.case("bytes after the batch", |p| {
        let bytes = [&Batch::of(1).encode()[..], b"more"].concat();
        vec![Produce::bytes(p, bytes.into()).step()]
    });
    plan.case("a header's worth of zeros after the batch", |p| {
        let bytes = [&Batch::of(1).encode()[..], &[0; 61]].concat();
        vec![Produce::bytes(p, bytes.into()).step()]
    });
    plan.batch(
        "bytes after the records in the batch",
        &Batch::of(1).with(|b| {
            b.records.extend(b"more");
        }),
    );
}

fn records(plan: &mut Plan) {
    let one = |change: fn(&mut Record)| Batch::records(&[Record::with(change)]);
    plan.batch("tombstone", &one(|r| r.value = None));
    plan.batch("no key", &one(|r| r.key = None));
    plan.batch(
        "neither key nor value",
        &one(|r| (r.key, r.value) = (None, None)),
    );
    plan.batch(
        "empty key and value",
        &one(|r| {
            r.key = Some(b"");
            r.value = Some(b"");
        }),
    );
    plan.batch(
        "header without value",
        &one(|r| r.headers = vec![(Some("h"), None)]),
    );
    plan.batch(
        "header twice",
        &one(|r| {
            r.headers = vec![(Some("h"), Some(b"1")), (Some("h"), Some(b"2"))];
        }),
    );
    plan.batch(
        "header without key",
        &one(|r| r.headers = vec![(None, Some(b"1"))]),
    );
    plan.batch(
        "header with empty key",
        &one(|r| r.headers = vec![(Some(""), Some(b"1"))]),
    );
}

fn lengths_in_records(plan: &mut Plan) {
    let one = |change: fn(&mut Record)| Batch::records(&[Record::with(change)]);
    plan.batch("header count negative", &one(|r| r.header_count = Some(-1)));
    plan.batch(
        "header count above the headers",
        &one(|r| r.header_count = Some(2)),
    );
    plan.batch(
        "header count enormous",
        &one(|r| r.header_count = Some(i64::from(i32::MAX))),
    );
    plan.batch(
        "value length above the record",
        &one(|r| r.value_length = Some(100)),
    );
    plan.batch(
        "value length below the value",
        &one(|r| r.value_length = Some(2)),
    );
    plan.batch("value length -2", &one(|r| r.value_length = Some(-2)));
    plan.batch(
        "record length above the batch",
        &one(|r| r.length = Some(100)),
    );
    plan.batch(
        "record length below the record",
        &one(|r| r.length = Some(5)),
    );
    plan.batch("record length 0", &one(|r| r.length = Some(0)));
    plan.batch("record length negative", &one(|r| r.length = Some(-1)));
    plan.batch(
        "record length beyond 32 bits",
        &one(|r| r.length = Some(1 << 40)),
    );
    plan.batch("record attributes", &one(|r| r.attributes = 3));
}

fn offset_deltas(plan: &mut Plan) {
    for (name, first, second) in [
        ("offset deltas with a gap", 0, 2),
        ("offset deltas repeated", 0, 0),
        ("offset deltas descending", 1, 0),
        ("offset deltas from 1", 1, 2),
        ("offset deltas negative", -1, 0),
    ] {
        let record = |delta| Record::with(|r| r.offset_delta = delta);
        let batch = Batch::records(&[record(first), record(second)]);
        plan.batch(name, &batch);
        let zipped = batch.with(|b| (b.attributes, b.records) = (1, gzip(&b.records)));
        plan.batch(&format!("{name}, gzip"), &zipped);
    }
    let gap = [0, 2].map(|delta| Record::with(|r| r.offset_delta = delta));
    plan.batch(
        "offset deltas with a gap that the last delta fits",
        &Batch::records(&gap).with(|b| {
            b.last_offset_delta = 2;
        }),
    );
}

fn attributes(plan: &mut Plan) {
    for (name, bits) in [
        ("append time claimed", 0x08),
        ("transactional without transactional id", 0x10),
        ("control", 0x20),
        ("transactional control", 0x30),
        ("delete horizon", 0x40),
        ("unused attribute", 0x80),
    ] {
        plan.batch(name, &Batch::of(1).with(|b| b.attributes = bits));
        let by_producer = Batch::of(1).by(5_000, 0, 0).with(|b| b.attributes = bits);
        plan.batch(&format!("{name}, by a producer"), &by_producer);
    }
    plan.case("transactional id but no transactional batch", |p| {
        vec![
            Produce::batch(p, &Batch::of(1))
                .transactional_id("t")
                .step(),
        ]
    });
    plan.case("transactional id and an idempotent batch", |p| {
        vec![
            Produce::batch(p, &Batch::of(1).by(5_001, 0, 0))
                .transactional_id("t")
                .step(),
        ]
    });
}

fn compression(plan: &mut Plan) {
    let packed = |codec, pack: fn(&[u8]) -> Vec<u8>| {
        Batch::of(2).with(|b| (b.attributes, b.records) = (codec, pack(&b.records)))
    };
    let as_is: fn(&[u8]) -> Vec<u8> = <[u8]>::to_vec;
    plan.batch("gzip", &packed(1, gzip));
    plan.batch("zstd", &packed(4, zstd));
    for version in [3, 6, 7] {
        let batch = packed(4, zstd);
        plan.case(&format!("zstd, v{version}"), move |p| {
            vec![Produce::batch(p, &batch).version(version).step()]
        });
    }
    for codec in 1..=7 {
        plan.batch(
            &format!("codec {codec} on records that are not compressed"),
            &packed(codec, as_is),
        );
    }
    plan.batch(
        "gzip with a wrong count",
        &packed(1, gzip).with(|b| b.count = 3),
    );
    plan.batch(
        "gzip with a count too small",
        &packed(1, gzip).with(|b| {
            (b.count, b.last_offset_delta) = (1, 0);
        }),
    );
    plan.batch(
        "gzip cut",
        &packed(1, gzip).with(|b| b.records.truncate(20)),
    );
    plan.batch(
        "gzip of nothing",
        &packed(1, gzip).with(|b| b.records = gzip(&[])),
    );
}

fn timestamps(plan: &mut Plan) {
    let at = |timestamp| {
        Batch::of(1).with(|b| (b.base_timestamp, b.max_timestamp) = (timestamp, timestamp))
    };
    plan.batch("timestamp -1", &at(-1));
    plan.batch("timestamp 0", &at(0));
    plan.batch("timestamp negative", &at(-5_000));
    plan.batch("timestamp in the far future", &at(4_102_444_800_000));
    plan.batch("timestamp the largest", &at(i64::MAX));
    plan.batch(
        "largest timestamp above the records'",
        &Batch::of(1).with(|b| b.max_timestamp += 5),
    );
    plan.batch(
        "largest timestamp below the records'",
        &Batch::of(1).with(|b| b.max_timestamp -= 5),
    );
    plan.batch(
        "largest timestamp -1",
        &Batch::of(1).with(|b| b.max_timestamp = -1),
    );
    let later = [0, 7].map(|n| Record::with(|r| (r.offset_delta, r.timestamp_delta) = (n, n)));
    plan.batch(
        "timestamps that differ",
        &Batch::records(&later).with(|b| {
            b.max_timestamp = TIMESTAMP + 7;
        }),
    );
    let future = Record::with(|r| {
        (r.offset_delta, r.timestamp_delta) = (1, 4_102_444_800_000 - TIMESTAMP);
    });
    plan.batch(
        "a record in the far future",
        &Batch::records(&[Record::default(), future]),
    );
}
