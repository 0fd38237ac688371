//! The same cluster through real sockets.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread::Builder;
use std::time::Duration;

use kafka_protocol::messages::{ApiVersionsRequest, MetadataRequest, ProduceRequest};
use kafka_protocol::protocol::Request;

use crate::{ClusterConfig, EmbeddedKafka, Fault, On};

use super::{TestBatch, decode, frame, to_partition};

fn connect(kafka: &EmbeddedKafka, node: i32) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", kafka.port(node))).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
}

fn read_frame(mut stream: &TcpStream) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    stream.read_exact(&mut bytes).unwrap();
    let size = u32::from_be_bytes(bytes[..4].try_into().unwrap());
    bytes.resize(4 + usize::try_from(size).unwrap(), 0);
    stream.read_exact(&mut bytes[4..]).unwrap();
    bytes
}

fn ask<R: Request>(mut stream: &TcpStream, version: i16, body: &R) -> R::Response {
    stream.write_all(&frame(version, 5, body)).unwrap();
    decode::<R>(&read_frame(stream), version, 5)
}

fn produce_code(stream: &TcpStream) -> i16 {
    let request = to_partition(0, TestBatch::of(1).encode());
    let response = ask(stream, 9, &request);
    response.responses[0].partition_responses[0].error_code
}

fn is_closed(mut stream: &TcpStream) -> bool {
    match stream.read(&mut [0; 1]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn embedded_answers_over_tcp_on_every_node() {
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(3).topic("t", 3));
    assert_eq!(kafka.bootstrap().split(',').count(), 3);
    for node in 1..=3 {
        let stream = connect(&kafka, node);
        let versions = ask(&stream, 2, &ApiVersionsRequest::default());
        assert_eq!(versions.api_keys.len(), 4);
        let metadata = ask(&stream, 9, &MetadataRequest::default().with_topics(None));
        let ports: Vec<i32> = metadata.brokers.iter().map(|b| b.port).collect();
        let expected: Vec<i32> = (1..=3).map(|node| i32::from(kafka.port(node))).collect();
        assert_eq!(ports, expected);
        assert_eq!(kafka.connections_accepted(node), 1);
    }
    let stream = connect(&kafka, 1);
    assert_eq!(produce_code(&stream), 0);
    assert_eq!(kafka.with(|cluster| cluster.log("t", 0).len()), 1);
}

#[test]
fn embedded_node_stops_returns_on_its_port_and_joins() {
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(2).topic("t", 1));
    let stream = connect(&kafka, 1);
    assert_eq!(produce_code(&stream), 0);
    kafka.stop_broker(1);
    assert!(is_closed(&stream));
    let port = kafka.port(1);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    let other = connect(&kafka, 2);
    assert_eq!(produce_code(&other), 0);
    kafka.start_broker(1);
    assert_eq!(kafka.port(1), port);
    assert_eq!(produce_code(&connect(&kafka, 1)), 6);
    let third = kafka.add_broker();
    kafka.with(|cluster| cluster.move_leader("t", 0, third));
    assert_eq!(produce_code(&connect(&kafka, third)), 0);
    assert_eq!(kafka.with(|cluster| cluster.end_offset("t", 0)), 3);
}

#[test]
fn embedded_delayed_and_held_answers_leave_by_themselves_and_on_release() {
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(1).topic("t", 1));
    let stream = connect(&kafka, 1);
    kafka.with(|cluster| cluster.fault(Fault::delay(On::produce(), 30)));
    assert_eq!(produce_code(&stream), 0);
    kafka.with(|cluster| cluster.fault(Fault::hold(On::produce())));
    let (sender, receiver) = mpsc::channel();
    let waiting = stream.try_clone().unwrap();
    let asking = Builder::new()
        .spawn(move || sender.send(produce_code(&waiting)).unwrap())
        .unwrap();
    let deadline = kafka.now_ms() + 20_000;
    while kafka.with(|cluster| cluster.end_offset("t", 0)) < 2 {
        assert!(kafka.now_ms() < deadline, "the request did not arrive");
        std::thread::yield_now();
    }
    assert!(receiver.try_recv().is_err(), "held back");
    kafka.with(|cluster| cluster.release());
    assert_eq!(receiver.recv_timeout(Duration::from_secs(20)), Ok(0));
    asking.join().unwrap();
}

#[test]
fn embedded_many_clients_at_once_lose_nothing() {
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(1).topic("t", 1));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut stream = connect(&kafka, 1);
                let request = to_partition(0, TestBatch::of(3).encode());
                for id in 0..50 {
                    stream.write_all(&frame(9, id, &request)).unwrap();
                }
                for id in 0..50 {
                    decode::<ProduceRequest>(&read_frame(&stream), 9, id);
                }
            });
        }
    });
    let log = kafka.with(|cluster| cluster.log("t", 0));
    let offsets: Vec<i64> = log.iter().map(|record| record.offset).collect();
    assert_eq!(offsets, (0..600).collect::<Vec<i64>>());
}

#[test]
fn embedded_drop_with_open_connections_ends() {
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(2).topic("t", 1));
    let open = [connect(&kafka, 1), connect(&kafka, 2)];
    assert_eq!(produce_code(&open[0]), 0);
    drop(kafka);
    assert!(open.iter().all(is_closed));
}

/// `cargo test --release -p kafka-producer-test-support -- --ignored --nocapture speed`
#[test]
#[ignore = "prints figures and checks nothing"]
fn speed_of_full_batches_over_tcp() {
    const REQUESTS: i32 = 40_000;
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(1).topic("t", 1).lean());
    let mut batch = TestBatch::of(150);
    for record in &mut batch.records {
        record.key = None;
        record.value = Some(&[7; 100]);
    }
    let one = frame(9, 1, &to_partition(0, batch.encode()));
    let started = kafka.now_ms();
    let stream = connect(&kafka, 1);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..REQUESTS {
                (&stream).write_all(&one).unwrap();
            }
        });
        for _ in 0..REQUESTS {
            read_frame(&stream);
        }
    });
    let millis = kafka.now_ms() - started;
    let records = i64::from(REQUESTS) * 150;
    assert_eq!(kafka.with(|cluster| cluster.end_offset("t", 0)), records);
    println!(
        "{} bytes a request, {records} records in {millis} ms",
        one.len()
    );
    println!("{} records/s", records * 1000 / millis);
}
