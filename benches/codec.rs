//! What the Sender does per batch and per request: header with checksum, request, response.
//!
//! ```text
//! cargo bench --features __internals --bench codec
//! cargo bench --features __internals --bench codec -- --test   # only that it runs
//! ```

#![allow(clippy::expect_used, reason = "a bench may fail loudly")]

use std::hint::black_box;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kafka_producer::__internals::{Produce, decode_produce_response, encode_batch_header};
use kafka_protocol::messages::produce_response::{
    PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};
use kafka_protocol::protocol::Encodable;

const VERSION: i16 = 13;

fn codec(c: &mut Criterion) {
    let mut group = c.benchmark_group("codec");
    group
        .measurement_time(Duration::from_secs(1))
        .warm_up_time(Duration::from_millis(300))
        .sample_size(20);

    for (name, chunks) in [("16 KiB batch", 1_usize), ("1 MiB batch", 64)] {
        let chunks = vec![Bytes::from(vec![b'x'; 16 * 1024]); chunks];
        let bytes = chunks.iter().map(Bytes::len).sum::<usize>();
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(format!("header and checksum of a {name}"), |b| {
            b.iter(|| encode_batch_header(black_box(150), black_box(&chunks)));
        });
    }

    group.throughput(Throughput::Elements(1));
    let parts = [Bytes::from(vec![0; 61]), Bytes::from(vec![b'x'; 16 * 1024])];
    for partitions in [1, 6, 100] {
        let request = Produce::new(partitions, &parts);
        group.bench_function(format!("produce request of {partitions} partitions"), |b| {
            b.iter(|| black_box(&request).encode(VERSION));
        });
        let response = response(partitions);
        group.bench_function(
            format!("produce response of {partitions} partitions"),
            |b| {
                b.iter(|| decode_produce_response(VERSION, black_box(&response)));
            },
        );
    }
    group.finish();
}

/// All is well, at offset 7, in the words of another codec.
fn response(partitions: i32) -> Bytes {
    let partition = |index| {
        PartitionProduceResponse::default()
            .with_index(index)
            .with_base_offset(7)
    };
    let topic = TopicProduceResponse::default()
        .with_topic_id(uuid::Uuid::from_bytes([7; 16]))
        .with_partition_responses((0..partitions).map(partition).collect());
    let mut out = BytesMut::new();
    ProduceResponse::default()
        .with_responses(vec![topic])
        .encode(&mut out, VERSION)
        .expect("memory takes everything");
    assert_eq!(
        decode_produce_response(VERSION, &out),
        usize::try_from(partitions).ok()
    );
    out.freeze()
}

criterion_group!(benches, codec);
criterion_main!(benches);
