//! Whole requests: acknowledgements, topics, sequences of a producer, other APIs, and bytes that
//! are no request.

use uuid::Uuid;

use super::batch::{Batch, Record};
use super::case::{
    PLAIN_ID, Produce, Step, api_versions, frame, init_producer_id, metadata, metadata_by_id, raw,
    unfinished,
};
use super::plan::Plan;

pub(super) fn plan(plan: &mut Plan) {
    acks(plan);
    topics(plan);
    topic_settings(plan);
    producers(plan);
    odd_producers(plan);
    epochs(plan);
    metadata_requests(plan);
    producer_ids(plan);
    versions(plan);
    no_requests(plan);
}

/// Shows where the log ends, and whether the connection lives.
fn probe(partition: i32) -> Step {
    Produce::batch(partition, &Batch::of(1)).step()
}

fn acks(plan: &mut Plan) {
    for acks in [1, 2, -2, i16::MAX] {
        plan.case(&format!("acks {acks}"), |p| {
            vec![Produce::batch(p, &Batch::of(1)).acks(acks).step(), probe(p)]
        });
    }
    plan.case("acks 0", |p| {
        vec![Produce::batch(p, &Batch::of(1)).acks(0).step(), probe(p)]
    });
    plan.case("acks 0, wrong checksum", |p| {
        let bad = Batch::of(1).with(|b| b.crc_error = 1);
        vec![Produce::batch(p, &bad).acks(0).step(), probe(p)]
    });
    plan.case("acks 0, unknown topic", |p| {
        let request = Produce::new().and("unknown", 0, Some(Batch::of(1).encode()));
        vec![request.acks(0).step(), probe(p)]
    });
    plan.case("acks 0, unreadable batch", |p| {
        vec![
            Produce::bytes(p, b"nonsense".as_slice().into())
                .acks(0)
                .step(),
            probe(p),
        ]
    });
    plan.case("acks 0, idempotent", |p| {
        let batch = Produce::batch(p, &Batch::of(1).by(6_000, 0, 0)).acks(0);
        vec![batch.step(), batch.step(), probe(p)]
    });
    plan.case("acks 0, sequence with a gap", |p| {
        let batch = |sequence| Produce::batch(p, &Batch::of(1).by(6_001, 0, sequence)).acks(0);
        vec![batch(0).step(), batch(5).step(), probe(p)]
    });
    plan.case("acks 1, idempotent", |p| {
        vec![
            Produce::batch(p, &Batch::of(1).by(6_002, 0, 0))
                .acks(1)
                .step(),
        ]
    });
    plan.case("timeout 0", |p| {
        vec![Produce::batch(p, &Batch::of(1)).timeout(0).step()]
    });
    plan.case("timeout negative", |p| {
        vec![Produce::batch(p, &Batch::of(1)).timeout(-5).step()]
    });
}

fn topics(plan: &mut Plan) {
    let one = || Some(Batch::of(1).encode());
    for name in ["unknown", "", ".", "..", "a/b", "with space", "ünicode"] {
        plan.case(&format!("topic `{name}`"), |_| {
            vec![Produce::new().and(name, 0, one()).step()]
        });
    }
    let long = "x".repeat(250);
    plan.case("topic of 250 characters", |_| {
        vec![Produce::new().and(&long, 0, one()).step()]
    });
    for partition in [-1, 1_000, i32::MAX, i32::MIN] {
        plan.case(&format!("partition {partition}"), |_| {
            vec![Produce::batch(partition, &Batch::of(1)).step()]
        });
        plan.case(&format!("partition {partition}, v13"), |_| {
            vec![Produce::batch(partition, &Batch::of(1)).version(13).step()]
        });
    }
    plan.case("topic id unknown", |p| {
        let request = Produce::batch(p, &Batch::of(1)).version(13);
        vec![request.topic_id(Uuid::from_bytes([0xCD; 16])).step()]
    });
    plan.case("topic id of zeros", |p| {
        vec![
            Produce::batch(p, &Batch::of(1))
                .version(13)
                .topic_id(Uuid::nil())
                .step(),
        ]
    });
    plan.case("one topic unknown, one known", |p| {
        let request = Produce::new()
            .and("unknown", 0, one())
            .and("plain", p, one());
        vec![request.step()]
    });
    plan.case("one partition bad, one good", |p| {
        let bad = Batch::of(1).with(|b| b.crc_error = 1).encode();
        let request = Produce::new()
            .and("plain", p, one())
            .and("sized", 0, Some(bad));
        vec![request.step()]
    });
    plan.case("the same partition twice, two entries", |p| {
        let request =
            Produce::new()
                .and("plain", p, one())
                .and("plain", p, Some(Batch::of(2).encode()));
        vec![request.step(), probe(p)]
    });
    plan.case("the same partition twice, one entry", |p| {
        let request =
            Produce::new()
                .and("plain", p, one())
                .and("plain", p, Some(Batch::of(2).encode()));
        vec![request.in_one_entry().step(), probe(p)]
    });
    plan.case("no topics", |_| vec![Produce::new().step()]);
    plan.case("no topics, acks 0", |p| {
        vec![Produce::new().acks(0).step(), probe(p)]
    });
    plan.case("a topic without partitions", |p| {
        vec![Produce::batch(p, &Batch::of(1)).no_partitions().step()]
    });
}

fn topic_settings(plan: &mut Plan) {
    let to = |topic: &str, partition, batch: &Batch| {
        Produce::new()
            .and(topic, partition, Some(batch.encode()))
            .step()
    };
    plan.case("batch above the topic's limit", |_| {
        vec![to("sized", 1, &Batch::of(60))]
    });
    plan.case("single record above the topic's limit", |_| {
        vec![to("sized", 2, &padded(700))]
    });
    plan.case("batch at the topic's limit", |_| {
        vec![to("sized", 3, &padded(500))]
    });
    plan.case("batch a byte above the topic's limit", |_| {
        vec![to("sized", 4, &padded(501))]
    });
    plan.case("log append time", |_| {
        vec![
            to("append-time", 0, &Batch::of(2)),
            to("append-time", 0, &Batch::of(1)),
        ]
    });
    plan.case("log append time, repeated", |_| {
        let batch = Batch::of(2).by(8_000, 0, 0);
        vec![to("append-time", 1, &batch), to("append-time", 1, &batch)]
    });
    plan.case("log append time, far future", |_| {
        let batch = Batch::of(1).with(|b| {
            (b.base_timestamp, b.max_timestamp) = (4_102_444_800_000, 4_102_444_800_000);
        });
        vec![to("append-time", 2, &batch)]
    });
    plan.case("timestamp too old for the topic", |_| {
        vec![to("recent", 0, &Batch::of(2))]
    });
    plan.case("compacted, with key", |_| {
        vec![to("compacted", 0, &Batch::of(1))]
    });
    plan.case("compacted, one record without key", |_| {
        let records = [0, 1, 2].map(|n| {
            Record::with(|r| (r.offset_delta, r.key) = (n, (n != 1).then_some(b"key".as_slice())))
        });
        vec![to("compacted", 1, &Batch::records(&records))]
    });
    plan.case("compacted, tombstone", |_| {
        vec![to(
            "compacted",
            2,
            &Batch::records(&[Record::with(|r| r.value = None)]),
        )]
    });
}

/// A right batch of exactly so many bytes.
fn padded(size: usize) -> Batch {
    (0..size)
        .map(|length| {
            let value: &'static [u8] = vec![b'x'; length].leak();
            Batch::records(&[Record::with(|r| r.value = Some(value))])
        })
        .find(|batch| batch.encode().len() == size)
        .unwrap()
}

fn producers(plan: &mut Plan) {
    let send = |p: i32, count, sequence| {
        Produce::batch(p, &Batch::of(count).by(10_000 + i64::from(p), 0, sequence)).step()
    };
    plan.case("sequences in order", |p| {
        vec![send(p, 2, 0), send(p, 3, 2), send(p, 1, 5)]
    });
    plan.case("last batch repeated", |p| {
        vec![send(p, 2, 0), send(p, 3, 2), send(p, 3, 2), probe(p)]
    });
    plan.case("the fifth last batch repeated", |p| {
        let mut steps: Vec<Step> = (0..5).map(|n| send(p, 1, n)).collect();
        steps.extend([send(p, 1, 0), probe(p)]);
        steps
    });
    plan.case("the sixth last batch repeated", |p| {
        let mut steps: Vec<Step> = (0..6).map(|n| send(p, 1, n)).collect();
        steps.extend([send(p, 1, 0), probe(p)]);
        steps
    });
    plan.case("last batch repeated with more records", |p| {
        vec![send(p, 2, 0), send(p, 3, 0)]
    });
    plan.case("last batch repeated with fewer records", |p| {
        vec![send(p, 3, 0), send(p, 2, 0)]
    });
    plan.case("batch that overlaps the last", |p| {
        vec![send(p, 3, 0), send(p, 3, 2)]
    });
    plan.case("gap, then what was missing", |p| {
        vec![send(p, 1, 0), send(p, 1, 2), send(p, 1, 1), send(p, 1, 2)]
    });
    plan.case("unknown producer, sequence above 0", |p| {
        vec![send(p, 1, 7), send(p, 1, 8)]
    });
    plan.case("sequences that wrap between batches", |p| {
        vec![send(p, 2, i32::MAX - 1), send(p, 1, 0), send(p, 1, 1)]
    });
    plan.case("sequences that wrap inside a batch", |p| {
        vec![
            send(p, 3, i32::MAX - 1),
            send(p, 1, 1),
            send(p, 3, i32::MAX - 1),
        ]
    });
    plan.case("after a wrap the largest again", |p| {
        vec![send(p, 1, i32::MAX), send(p, 1, 1)]
    });
    plan.case("sequence negative", |p| {
        vec![send(p, 1, -1), send(p, 1, -2), probe(p)]
    });
}

fn odd_producers(plan: &mut Plan) {
    let send = |p: i32, count, sequence| {
        Produce::batch(p, &Batch::of(count).by(10_000 + i64::from(p), 0, sequence)).step()
    };
    plan.case("producer id without epoch", |p| {
        vec![Produce::batch(p, &Batch::of(1).by(9_000, -1, 0)).step()]
    });
    plan.case("producer id without epoch and sequence", |p| {
        vec![Produce::batch(p, &Batch::of(1).by(9_001, -1, -1)).step()]
    });
    plan.case("epoch and sequence without producer id", |p| {
        vec![Produce::batch(p, &Batch::of(1).by(-1, 0, 0)).step()]
    });
    plan.case("producer id -2", |p| {
        vec![Produce::batch(p, &Batch::of(1).by(-2, 0, 0)).step()]
    });
    plan.case("plain between idempotent batches", |p| {
        vec![send(p, 1, 0), probe(p), send(p, 1, 1)]
    });
    plan.case("two producers interleaved", |p| {
        let other = |sequence| Produce::batch(p, &Batch::of(1).by(9_002, 3, sequence)).step();
        vec![
            send(p, 1, 0),
            other(0),
            send(p, 1, 1),
            other(1),
            send(p, 1, 1),
            other(1),
        ]
    });
    plan.case("refused batch leaves no trace", |p| {
        let bad = Batch::of(1).by(9_003, 0, 0).with(|b| b.crc_error = 1);
        let good = Batch::of(1).by(9_003, 0, 0);
        vec![
            Produce::batch(p, &bad).step(),
            Produce::batch(p, &good).step(),
        ]
    });
    plan.case("repeated over a new version", |p| {
        let batch = Produce::batch(p, &Batch::of(2).by(9_004, 0, 0));
        vec![batch.clone().version(3).step(), batch.version(13).step()]
    });
    plan.case("repeated in one request", |p| {
        let bytes = Batch::of(2).by(9_005, 0, 0).encode();
        let request =
            Produce::new()
                .and("plain", p, Some(bytes.clone()))
                .and("plain", p, Some(bytes));
        vec![request.step(), probe(p)]
    });
}

fn epochs(plan: &mut Plan) {
    let send = |p: i32, epoch, sequence| {
        Produce::batch(p, &Batch::of(1).by(20_000 + i64::from(p), epoch, sequence)).step()
    };
    plan.case("new epoch from 0", |p| {
        vec![send(p, 0, 0), send(p, 1, 0), send(p, 1, 1)]
    });
    plan.case("new epoch not from 0", |p| {
        vec![send(p, 0, 0), send(p, 1, 1), send(p, 1, 0)]
    });
    plan.case("epoch skipped", |p| vec![send(p, 0, 0), send(p, 5, 0)]);
    plan.case("old epoch", |p| {
        vec![send(p, 3, 0), send(p, 2, 0), send(p, 2, 1), send(p, 3, 1)]
    });
    plan.case("old epoch repeated after a new", |p| {
        vec![send(p, 0, 0), send(p, 1, 0), send(p, 0, 0), probe(p)]
    });
    plan.case("first batch with an epoch above 0", |p| vec![send(p, 9, 0)]);
    plan.case("first batch with an epoch and a sequence above 0", |p| {
        vec![send(p, 9, 4)]
    });
    plan.case("largest epoch", |p| {
        vec![send(p, i16::MAX, 0), send(p, 0, 0)]
    });
}

fn metadata_requests(plan: &mut Plan) {
    for version in 0..=13 {
        let known: &[&str] = &["sized"];
        plan.case(&format!("metadata v{version}"), |_| {
            vec![metadata(version, Some(known), true)]
        });
    }
    plan.case("metadata of an unknown topic", |_| {
        vec![metadata(9, Some(&["unknown"]), false)]
    });
    plan.case("metadata of an unknown topic, to be created", |_| {
        vec![metadata(9, Some(&["unknown"]), true)]
    });
    plan.case("metadata of all topics", |_| vec![metadata(9, None, false)]);
    plan.case("metadata v0 of no topics, which means all", |_| {
        vec![metadata(0, Some(&[]), true)]
    });
    plan.case("metadata of no topics", |_| {
        vec![metadata(9, Some(&[]), false)]
    });
    plan.case("metadata of a topic twice", |_| {
        vec![metadata(9, Some(&["sized", "sized"]), false)]
    });
    for name in ["", ".", "a/b", "with space"] {
        plan.case(&format!("metadata of `{name}`"), |_| {
            vec![
                metadata(9, Some(&[name]), false),
                metadata(9, Some(&[name]), true),
            ]
        });
    }
    plan.case("metadata by id", |_| vec![metadata_by_id(12, PLAIN_ID)]);
    plan.case("metadata by unknown id", |_| {
        vec![metadata_by_id(12, Uuid::from_bytes([0xCD; 16]))]
    });
    plan.case("metadata by unknown id, v13", |_| {
        vec![metadata_by_id(13, Uuid::from_bytes([0xCD; 16]))]
    });
}

fn producer_ids(plan: &mut Plan) {
    for version in 0..=5 {
        plan.case(&format!("producer id v{version}"), |_| {
            vec![init_producer_id(version, None, -1, -1)]
        });
    }
    plan.case("producer id, with one given", |_| {
        vec![init_producer_id(4, None, 5, 3)]
    });
    plan.case("producer id, with only an epoch given", |_| {
        vec![init_producer_id(4, None, -1, 3)]
    });
    plan.case("producer id, with only an id given", |_| {
        vec![init_producer_id(4, None, 5, -1)]
    });
    plan.case("producer id, empty transactional id", |_| {
        vec![init_producer_id(4, Some(""), -1, -1)]
    });
}

fn versions(plan: &mut Plan) {
    for version in 0..=4 {
        plan.case(&format!("api versions v{version}"), |_| {
            vec![api_versions(version, "raw", "1.0")]
        });
    }
    for (name, version) in [
        ("", "1.0"),
        ("raw", ""),
        ("with space", "1"),
        ("raw", "-1-"),
    ] {
        plan.case(
            &format!("api versions of client `{name}` `{version}`"),
            |_| {
                vec![
                    api_versions(3, name, version),
                    metadata(9, Some(&["sized"]), false),
                ]
            },
        );
    }
    for version in [5, 99, i16::MAX, -1] {
        plan.case(
            &format!("api versions v{version} with a header of v0"),
            |p| vec![api_versions(0, "raw", "1.0").claiming(version), probe(p)],
        );
        plan.case(
            &format!("api versions v{version} with a header of v3"),
            |p| {
                vec![
                    api_versions(3, "raw", "1.0")
                        .claiming(version)
                        .answered_as(0),
                    probe(p),
                ]
            },
        );
    }
    for version in [-1, 0, 1, 2, 14, 99] {
        plan.case(&format!("produce v{version}"), |p| {
            vec![probe(p).claiming(version), probe(p)]
        });
    }
    plan.case("metadata v14", |p| {
        vec![metadata(9, None, false).claiming(14), probe(p)]
    });
    plan.case("metadata v-1", |p| {
        vec![metadata(9, None, false).claiming(-1), probe(p)]
    });
    plan.case("producer id v7", |p| {
        vec![init_producer_id(5, None, -1, -1).claiming(7), probe(p)]
    });
    for key in [-1, 999, i16::MAX] {
        plan.case(&format!("api {key}"), |p| {
            vec![probe(p).for_api(key), probe(p)]
        });
    }
}

fn no_requests(plan: &mut Plan) {
    plan.case("frame of no bytes", |_| vec![raw(&frame(&[]))]);
    plan.case("frame of 5 bytes", |_| vec![raw(&frame(&[0, 0, 0, 9, 0]))]);
    plan.case("frame of 100 bytes of rubbish", |_| {
        vec![raw(&frame(&[0x5A; 100]))]
    });
    plan.case("frame size negative", |_| vec![raw(&[0xFF; 40])]);
    plan.case("frame size of 2 GB", |_| {
        vec![raw(&[0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 9])]
    });
    plan.case("frame size of 100 MB and a byte", |_| {
        vec![raw(&[0x06, 0x40, 0, 1, 0, 0, 0, 9])]
    });
    plan.case("HTTP", |_| {
        vec![raw(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")]
    });
    plan.case("TLS", |_| {
        vec![raw(&[
            &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3][..],
            &[7; 600],
        ]
        .concat())]
    });
    plan.case("a request in two parts", |p| {
        vec![unfinished(&probe(p).first(50)), probe(p).after(50)]
    });
    plan.case("a request in two parts, in the middle of the size", |p| {
        vec![unfinished(&probe(p).first(2)), probe(p).after(2)]
    });
    plan.case("two requests at once", |p| {
        let both = [
            probe(p).first(probe(p).len()),
            probe(p).first(probe(p).len()),
        ]
        .concat();
        vec![
            raw(&both),
            Produce::batch(p, &Batch::of(1)).step(),
            probe(p),
        ]
    });
    plan.case("bytes after a request", |p| {
        vec![probe(p).lengthened(b"more"), probe(p)]
    });
    for by in [1, 30, 100] {
        plan.case(&format!("request short of {by} bytes"), |p| {
            vec![probe(p).shortened(by), probe(p)]
        });
    }
}
