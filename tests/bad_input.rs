//! Bad input, bad peers and bad callbacks: each ends in an error that names the thing, the time
//! waited and the key to turn; nothing hangs, and nobody else suffers.

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests read clocks, start threads and may panic"
)]

mod fixtures;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kafka_producer::{
    BytesSerializer, Callback, Error, ErrorKind, KafkaProducer, Output, ProducerConfig,
    ProducerRecord, SerializeContext, SerializeError, Serializer,
};
use kafka_test_support::{
    Api, ClusterConfig, EmbeddedKafka, Fault, On, TopicConfig, VersionProfile,
};

use fixtures::ledger::values_in;
use fixtures::peer::{Peer, dead_address};
use fixtures::{
    Limit, assert_at_once, assert_names, assert_waited, config, config_for, ms, ms_in, secs, start,
    timed,
};

/// How long the tests let `send` wait for what will not come.
const MAX_BLOCK: Duration = ms(500);

fn healthy() -> EmbeddedKafka {
    EmbeddedKafka::start(
        ClusterConfig::brokers(1)
            .topic("healthy", 2)
            .auto_create_topics(false),
    )
}

/// The error of a send that is not accepted, and how long it took.
#[track_caller]
fn refused(
    producer: &KafkaProducer,
    record: ProducerRecord<'_, kafka_producer::Null, &str>,
) -> (Error, Duration) {
    let copy = record.clone();
    let (result, waited) = timed(|| producer.send(record));
    let (error, back) = result.expect_err("it is refused").into_parts();
    assert!(back == copy, "another record came back");
    assert_eq!(error.persistence(), None, "it was never accepted");
    (error, waited)
}

/// A record to a topic that is all right gets through.
#[track_caller]
fn assert_works(producer: &KafkaProducer) {
    let handle = producer.send(ProducerRecord::new("healthy", "v")).unwrap();
    assert!(handle.get().unwrap().offset().is_some());
}

/// It waited for `max.block.ms`, and says how long, for what, and which key to turn.
#[track_caller]
fn assert_timed_out(error: &Error, waited: Duration, names: &[&str]) {
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
    assert!(error.is_retriable());
    assert_waited(waited, MAX_BLOCK);
    let text = error.to_string();
    assert_names(&text, &["max.block.ms"]);
    assert_names(&text, names);
    assert!((450..2500).contains(&ms_in(&text)), "{text}");
}

#[test]
fn bootstrap_that_is_malformed_is_refused_at_construction() {
    let _limit = Limit::new(secs(20));
    for (servers, names) in [
        ("", "no address"),
        (" , ", "no address"),
        ("localhost", "\"localhost\""),
        ("localhost:", "\"localhost:\""),
        ("localhost:port", "\"localhost:port\""),
        ("localhost:0", "\"localhost:0\""),
        ("localhost:65536", "\"localhost:65536\""),
        ("localhost:-1", "\"localhost:-1\""),
        (":9092", "\":9092\""),
        ("::1:9092", "\"::1:9092\""),
        ("good:9092,bad", "\"bad\""),
        ("a b:9092", "\"a b:9092\""),
    ] {
        let error = KafkaProducer::new(ProducerConfig::new(servers)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{servers}");
        assert_names(&error.to_string(), &["bootstrap.servers", names]);
    }
}

#[test]
fn bootstrap_that_cannot_be_resolved_is_named_when_the_time_is_up() {
    let _limit = Limit::new(secs(30));
    // A name that can never exist (RFC 6761).
    let producer = start(config_for("kafka.invalid:9092").max_block(MAX_BLOCK));
    let (error, waited) = refused(&producer, ProducerRecord::new("healthy", "v"));
    assert_timed_out(
        &error,
        waited,
        &["healthy", "kafka.invalid", "bootstrap.servers"],
    );
    let (closed, waited) = timed(|| producer.close(secs(5)));
    closed.unwrap();
    assert_at_once(waited);
}

#[test]
fn bootstrap_with_one_name_that_cannot_be_resolved_works_through_the_others() {
    let _limit = Limit::new(secs(30));
    let kafka = healthy();
    let bootstrap = format!("kafka.invalid:9092,{}", kafka.bootstrap());
    assert_works(&start(config_for(bootstrap)));
}

#[test]
fn port_where_nothing_listens_is_named_when_the_time_is_up() {
    let _limit = Limit::new(secs(30));
    let dead = dead_address();
    let producer = start(config_for(&dead).max_block(MAX_BLOCK));
    let (error, waited) = refused(&producer, ProducerRecord::new("healthy", "v"));
    assert_timed_out(&error, waited, &["healthy", &dead, "bootstrap.servers"]);
    // The same for who only asks.
    let (asked, waited) = timed(|| producer.partitions_for("healthy"));
    assert_timed_out(&asked.unwrap_err(), waited, &["healthy", &dead]);
}

/// A peer that is no broker is found out, and harms nobody who also has a healthy broker.
#[track_caller]
fn assert_peer_is_found_out(peer: &Peer, names: &[&str]) {
    let _limit = Limit::new(secs(30));
    let quick = |bootstrap: String| {
        config_for(bootstrap)
            .max_block(MAX_BLOCK)
            .request_timeout(ms(200))
            .delivery_timeout(secs(5))
            .socket_connection_setup_timeout(ms(200), ms(200))
    };
    let producer = start(quick(peer.address()));
    let (error, waited) = refused(&producer, ProducerRecord::new("healthy", "v"));
    assert_timed_out(
        &error,
        waited,
        &["healthy", &peer.address(), "bootstrap.servers"],
    );
    assert_names(&error.to_string(), names);
    assert!(peer.accepted() > 0, "it was never asked");
    // It is asked again, but not without pause.
    assert!(peer.accepted() < 100, "{} connections", peer.accepted());
    let (closed, waited) = timed(|| producer.close(secs(5)));
    closed.unwrap();
    assert_at_once(waited);

    let kafka = healthy();
    let both = format!("{},{}", peer.address(), kafka.bootstrap());
    let producer = start(quick(both).max_block(secs(10)));
    assert_works(&producer);
}

#[test]
fn peer_that_speaks_tls_is_found_out() {
    // A fatal alert, unexpected_message: as a size it is 352 MB.
    let peer = Peer::saying([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x0a]);
    assert_peer_is_found_out(&peer, &[]);
}

#[test]
fn peer_that_speaks_http_is_found_out() {
    let peer = Peer::saying("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    assert_peer_is_found_out(&peer, &[]);
}

#[test]
fn peer_that_sends_garbage_is_found_out() {
    let garbage: Vec<u8> = (0..=255).rev().cycle().skip(100).take(5000).collect();
    assert_peer_is_found_out(&Peer::saying(garbage), &[]);
}

#[test]
fn peer_that_sends_a_negative_size_is_found_out() {
    assert_peer_is_found_out(&Peer::saying((-1_i32).to_be_bytes()), &[]);
}

#[test]
fn peer_that_sends_a_size_of_two_gigabytes_is_found_out() {
    let mut bytes = i32::MAX.to_be_bytes().to_vec();
    bytes.extend_from_slice(&[0; 1000]);
    assert_peer_is_found_out(&Peer::saying(bytes), &[]);
}

#[test]
fn peer_that_answers_another_request_is_found_out() {
    let peer = Peer::start(|request, stream| {
        // Size, correlation id of nobody, and the rest as if it were ApiVersions.
        let Some(id) = request.get(8..12) else { return };
        let id = i32::from_be_bytes(id.try_into().unwrap()).wrapping_add(1000);
        let mut answer = 10_i32.to_be_bytes().to_vec();
        answer.extend_from_slice(&id.to_be_bytes());
        answer.extend_from_slice(&[0; 6]);
        let _ = stream.write_all(&answer);
    });
    assert_peer_is_found_out(&peer, &[]);
}

#[test]
fn peer_that_truncates_its_answer_is_found_out() {
    // A right header, and a body that ends in the middle of itself.
    let peer = Peer::start(|request, stream| {
        let Some(id) = request.get(8..12) else { return };
        let mut answer = 9_i32.to_be_bytes().to_vec();
        answer.extend_from_slice(id);
        answer.extend_from_slice(&[0, 0, 0, 0, 9]);
        let _ = stream.write_all(&answer);
    });
    assert_peer_is_found_out(&peer, &[]);
}

#[test]
fn peer_that_closes_in_mid_answer_is_found_out() {
    let peer = Peer::start(|request, stream| {
        let Some(id) = request.get(8..12) else { return };
        let mut answer = 500_i32.to_be_bytes().to_vec();
        answer.extend_from_slice(id);
        let _ = stream.write_all(&answer);
        let _ = stream.shutdown(std::net::Shutdown::Both);
    });
    assert_peer_is_found_out(&peer, &[]);
}

#[test]
fn peer_that_says_nothing_is_found_out() {
    assert_peer_is_found_out(&Peer::start(|_, _| {}), &[]);
}

#[test]
fn peer_that_closes_at_once_is_found_out() {
    let peer = Peer::start(|_, stream: &mut TcpStream| {
        let _ = stream.shutdown(std::net::Shutdown::Both);
        let _ = stream.read(&mut [0]);
    });
    assert_peer_is_found_out(&peer, &[]);
}

#[test]
fn topic_name_that_kafka_forbids_is_refused_and_named() {
    let _limit = Limit::new(secs(30));
    let kafka = healthy();
    let producer = start(config(&kafka).max_block(secs(5)));
    let long = "x".repeat(250);
    for name in ["", ".", "..", "white space", "größe", "a/b", "a\0b", &long] {
        let (error, waited) = refused(&producer, ProducerRecord::new(name, "v"));
        assert_eq!(error.kind(), ErrorKind::InvalidTopic, "{name:?}: {error:?}");
        assert_at_once(waited);
        if !name.is_empty() && name.is_ascii() && !name.contains('\0') {
            let begins = &name[..name.len().min(100)];
            assert_names(&error.to_string(), &[begins]);
        }
        let asked = producer.partitions_for(name).unwrap_err();
        assert_eq!(asked.kind(), ErrorKind::InvalidTopic, "{name:?}");
    }
    assert_works(&producer);
}

#[test]
fn partition_that_is_negative_is_refused_at_once() {
    let _limit = Limit::new(secs(30));
    let kafka = healthy();
    let producer = start(config(&kafka));
    for partition in [-1, i32::MIN] {
        let record = ProducerRecord::new("healthy", "v").partition(partition);
        let (error, waited) = refused(&producer, record);
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert_names(&error.to_string(), &[&partition.to_string()]);
        assert_at_once(waited);
    }
    let record = ProducerRecord::new("healthy", "v").timestamp_ms(-1);
    let (error, _) = refused(&producer, record);
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert_works(&producer);
}

#[test]
fn partition_that_the_topic_does_not_have_is_waited_for_and_named() {
    let _limit = Limit::new(secs(30));
    let kafka = healthy();
    let producer = start(config(&kafka).max_block(MAX_BLOCK));
    assert_works(&producer);
    let record = ProducerRecord::new("healthy", "v").partition(7);
    let (error, waited) = refused(&producer, record);
    assert_timed_out(&error, waited, &["partition 7", "healthy", "2 partitions"]);
    let most = ProducerRecord::new("healthy", "v").partition(i32::MAX);
    let (error, waited) = refused(&producer, most);
    assert_timed_out(&error, waited, &["2147483647", "healthy"]);
    assert_works(&producer);
}

#[test]
fn record_over_max_request_size_is_refused_at_once() {
    let _limit = Limit::new(secs(30));
    let kafka = healthy();
    let producer = start(config(&kafka).max_request_size(2000));
    let large = "x".repeat(2000);
    let (error, waited) = refused(&producer, ProducerRecord::new("healthy", large.as_str()));
    assert_eq!(error.kind(), ErrorKind::RecordTooLarge);
    assert!(!error.is_retriable());
    assert_names(&error.to_string(), &["max.request.size", "2000"]);
    assert_at_once(waited);
    assert_works(&producer);
}

#[test]
fn record_over_buffer_memory_is_refused_at_once() {
    let _limit = Limit::new(secs(30));
    let kafka = healthy();
    let producer = start(config(&kafka).buffer_memory(100_000));
    let large = "x".repeat(100_000);
    let (error, waited) = refused(&producer, ProducerRecord::new("healthy", large.as_str()));
    assert_eq!(error.kind(), ErrorKind::RecordTooLarge);
    assert_names(&error.to_string(), &["buffer.memory", "100000"]);
    assert_at_once(waited);
    assert_works(&producer);
}

#[test]
fn send_after_close_is_refused_at_once() {
    let _limit = Limit::new(secs(30));
    let kafka = healthy();
    let producer = start(config(&kafka));
    assert_works(&producer);
    producer.close(secs(5)).unwrap();
    for topic in ["healthy", "unknown"] {
        let (error, waited) = refused(&producer, ProducerRecord::new(topic, "v"));
        assert_eq!(error.kind(), ErrorKind::Closed, "{topic}: {error:?}");
        assert_at_once(waited);
    }
    let asked = producer.partitions_for("unknown").unwrap_err();
    assert_eq!(asked.kind(), ErrorKind::Closed);
    producer.flush().unwrap();
}

#[test]
fn topic_that_does_not_exist_is_waited_for_and_named() {
    let _limit = Limit::new(secs(30));
    let kafka = healthy();
    let producer = start(config(&kafka).max_block(MAX_BLOCK));
    let (error, waited) = refused(&producer, ProducerRecord::new("missing", "v"));
    assert_timed_out(&error, waited, &["missing", "UNKNOWN_TOPIC_OR_PARTITION"]);
    let (asked, waited) = timed(|| producer.partitions_for("missing"));
    assert_timed_out(&asked.unwrap_err(), waited, &["missing"]);
    assert_works(&producer);
}

#[test]
fn topic_that_is_forbidden_is_refused_and_named() {
    let _limit = Limit::new(secs(30));
    let cluster = ClusterConfig::brokers(1)
        .topic("healthy", 1)
        .topic_with(TopicConfig::new("secret", 1).unauthorized());
    let kafka = EmbeddedKafka::start(cluster);
    let producer = start(config(&kafka).max_block(secs(5)));
    for _ in 0..2 {
        let (error, waited) = refused(&producer, ProducerRecord::new("secret", "v"));
        assert_eq!(error.kind(), ErrorKind::TopicAuthorization);
        assert_eq!(error.code(), Some(29));
        assert_names(&error.to_string(), &["secret"]);
        assert_at_once(waited);
        assert_works(&producer);
    }
}

#[test]
fn topic_that_becomes_forbidden_fails_its_records_and_no_others() {
    let _limit = Limit::new(secs(30));
    let kafka = healthy();
    let producer = start(config(&kafka));
    assert_works(&producer);
    // 29 TOPIC_AUTHORIZATION_FAILED.
    let on = On::produce().partition("healthy", 1);
    kafka.with(|cluster| cluster.fault(Fault::error(on, 29)));
    let record = ProducerRecord::new("healthy", "v").partition(1);
    let error = producer.send(record).unwrap().get().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TopicAuthorization);
    assert_names(&error.to_string(), &["healthy"]);
    assert_works(&producer);
}

/// Runs `inside` in the callback of a record, and gives what it gave and how long it took.
#[track_caller]
fn inside_callback<R: Send + 'static>(
    producer: &KafkaProducer,
    inside: impl FnOnce() -> R + Send + 'static,
) -> (R, Duration) {
    let (tell, told) = channel();
    let callback = Callback::once(move |_| {
        let _ = tell.send(timed(inside));
    });
    let record = ProducerRecord::new("healthy", "outer");
    drop(producer.send_with(record, callback).unwrap());
    told.recv_timeout(secs(10)).expect("the callback ran")
}

#[track_caller]
fn assert_would_deadlock(error: &Error, waited: Duration, names: &[&str]) {
    assert_eq!(error.kind(), ErrorKind::WouldDeadlock, "{error:?}");
    assert_names(&error.to_string(), &["callback"]);
    assert_names(&error.to_string(), names);
    assert_at_once(waited);
}

#[test]
fn waiting_verbs_inside_a_callback_fail_at_once() {
    let _limit = Limit::new(secs(30));
    let kafka = healthy();
    let producer = start(config(&kafka));

    let inner = producer.clone();
    let (result, waited) = inside_callback(&producer, move || inner.flush());
    assert_would_deadlock(&result.unwrap_err(), waited, &["flush"]);

    let inner = producer.clone();
    let (result, waited) = inside_callback(&producer, move || inner.flush_timeout(secs(5)));
    assert_would_deadlock(&result.unwrap_err(), waited, &["flush"]);

    let inner = producer.clone();
    let (result, waited) = inside_callback(&producer, move || inner.close(secs(5)));
    assert_would_deadlock(result.unwrap_err().error(), waited, &["close"]);
    assert!(!producer.is_closed());

    let inner = producer.clone();
    let (result, waited) = inside_callback(&producer, move || inner.partitions_for("unknown"));
    assert_would_deadlock(&result.unwrap_err(), waited, &["partitions_for"]);

    let inner = producer.clone();
    let send = move || {
        let record = ProducerRecord::new("unknown", "v");
        inner.send(record).unwrap_err().error().clone()
    };
    let (error, waited) = inside_callback(&producer, send);
    assert_would_deadlock(&error, waited, &["send"]);

    assert_works(&producer);
}

#[test]
fn handle_inside_a_callback_waits_for_nobody() {
    let _limit = Limit::new(secs(30));
    let kafka = healthy();
    let producer = start(config(&kafka).linger(ms(100)));
    let inner = producer.clone();
    let get = move || {
        let handle = inner.send(ProducerRecord::new("healthy", "inner")).unwrap();
        handle.get()
    };
    let (result, waited) = inside_callback(&producer, get);
    assert_would_deadlock(result.unwrap_err().error(), waited, &["get"]);
    let inner = producer.clone();
    let get = move || {
        let mut handle = inner.send(ProducerRecord::new("healthy", "inner")).unwrap();
        handle.get_timeout(secs(5)).is_none()
    };
    let (is_none, waited) = inside_callback(&producer, get);
    assert!(is_none);
    assert_at_once(waited);
    producer.flush().unwrap();
    let inner = |partition| {
        let values = values_in(&kafka, "healthy", partition);
        values.iter().filter(|value| *value == "inner").count()
    };
    assert_eq!(inner(0) + inner(1), 2, "the records go on");
}

#[test]
fn send_that_need_not_wait_works_inside_a_callback() {
    let _limit = Limit::new(secs(30));
    let kafka = healthy();
    let producer = start(config(&kafka));
    let inner = producer.clone();
    let send = move || {
        let first = inner.send(ProducerRecord::new("healthy", "1"));
        let second = inner.try_send(ProducerRecord::new("healthy", "2"));
        (first.is_ok(), second.is_ok())
    };
    assert_eq!(inside_callback(&producer, send).0, (true, true));
    producer.flush().unwrap();
}

#[test]
fn send_without_room_fails_at_once_inside_a_callback() {
    let _limit = Limit::new(secs(30));
    let kafka = healthy();
    let producer = start(config(&kafka).buffer_memory(20_000).batch_size(1000));
    assert_works(&producer);
    let inner = producer.clone();
    let fill = move || {
        let value = "x".repeat(900);
        loop {
            let record = ProducerRecord::new("healthy", value.as_str());
            if let Err(refused) = inner.send(record) {
                return refused.error().clone();
            }
        }
    };
    let (error, waited) = inside_callback(&producer, fill);
    assert_would_deadlock(&error, waited, &["send"]);
    producer.flush().unwrap();
    assert_works(&producer);
}

#[test]
fn last_producer_dropped_inside_a_callback_waits_for_nobody_and_delivers() {
    let _limit = Limit::new(secs(30));
    let kafka = healthy();
    let producer = start(config(&kafka).linger(ms(50)));
    let (tell, told) = channel();
    let own = Arc::new(Mutex::new(None));
    let inside = Arc::clone(&own);
    let callback = Callback::once(move |_| {
        let producer: Option<KafkaProducer> = inside.lock().unwrap().take();
        let record = ProducerRecord::new("healthy", "last").partition(0);
        let handle = producer.as_ref().unwrap().send(record).unwrap();
        let ((), waited) = timed(|| drop(producer));
        let _ = tell.send((handle, waited));
    });
    let lock = own.lock().unwrap();
    let record = ProducerRecord::new("healthy", "first").partition(0);
    drop(producer.send_with(record, callback).unwrap());
    let mut lock = lock;
    *lock = Some(producer);
    drop(lock);
    let (handle, waited) = told.recv_timeout(secs(10)).expect("the callback ran");
    assert_at_once(waited);
    handle.get().unwrap();
    assert_eq!(values_in(&kafka, "healthy", 0), ["first", "last"]);
}

#[test]
fn callback_that_panics_harms_nobody_else() {
    let _limit = Limit::new(secs(30));
    let kafka = healthy();
    let producer = start(config(&kafka).linger(ms(20)));
    let (tell, told) = channel();
    let record = || ProducerRecord::new("healthy", "v").partition(0);
    let mut handles = Vec::new();
    for number in 0..10 {
        let tell = tell.clone();
        let callback = Callback::once(move |_| {
            assert!(number % 3 != 0, "a callback of the test panics");
            let _ = tell.send(number);
        });
        handles.push(producer.send_with(record(), callback).unwrap());
    }
    drop(tell);
    producer.flush().unwrap();
    assert_eq!(told.iter().collect::<Vec<_>>(), [1, 2, 4, 5, 7, 8]);
    for handle in handles {
        handle.get().unwrap();
    }
    assert_works(&producer);
    producer.close(secs(5)).unwrap();
}

/// Takes text, and panics or fails at will.
struct Moody;

impl Serializer<&str> for Moody {
    fn serialize<'a>(
        &'a self,
        _: &SerializeContext<'_>,
        data: &'a &str,
        out: &mut Output<'a>,
    ) -> Result<(), SerializeError> {
        assert!(*data != "panics", "the serializer of the test panics");
        if *data == "fails" {
            return Err(SerializeError::new("does not like it"));
        }
        out.lend(data.as_bytes());
        Ok(())
    }
}

#[test]
fn serializer_that_panics_or_fails_costs_one_record() {
    let _limit = Limit::new(secs(30));
    let kafka = healthy();
    let plain = start(config(&kafka));
    let moody = plain.with_serializers(Moody, Moody);
    for (bad, names) in [("panics", "panicked"), ("fails", "does not like it")] {
        for is_key in [true, false] {
            let (key, value) = if is_key { (bad, "v") } else { ("k", bad) };
            let field = if is_key { "key" } else { "value" };
            let error = moody
                .send(ProducerRecord::new("healthy", value).key(key))
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Serialization);
            assert_names(&error.to_string(), &["healthy", field, names]);
            assert_eq!(error.record().value, value);
        }
        moody
            .send(ProducerRecord::new("healthy", "v").key("k"))
            .unwrap()
            .get()
            .unwrap();
    }
    let mixed = plain.with_serializers(BytesSerializer::default(), Moody);
    assert!(mixed.send(ProducerRecord::new("healthy", "fails")).is_err());
    plain.flush().unwrap();
    assert_works(&plain);
}

#[test]
fn broker_that_turns_bad_in_mid_stream_harms_no_other_broker() {
    let _limit = Limit::new(secs(30));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(2).topic("healthy", 2));
    let config = config(&kafka)
        .request_timeout(ms(300))
        .delivery_timeout(ms(900))
        .linger(ms(0));
    let producer = start(config);
    producer.partitions_for("healthy").unwrap();
    kafka.with(|cluster| cluster.fault(Fault::swallow(On::produce().node(1)).always()));
    let to = |partition| ProducerRecord::new("healthy", "v").partition(partition);
    let bad = kafka.with(|cluster| i32::from(cluster.leader("healthy", 1) == Some(1)));
    let stuck = producer.send(to(bad)).unwrap();
    for _ in 0..20 {
        let (result, waited) = timed(|| producer.send(to(1 - bad)).unwrap().get());
        result.unwrap();
        assert_at_once(waited);
    }
    assert_eq!(stuck.get().unwrap_err().kind(), ErrorKind::Timeout);
}

/// A version profile that shares nothing with us for one API.
fn incompatible(api: Api) -> EmbeddedKafka {
    let versions = VersionProfile::KAFKA_43.with(api, 90, 99);
    EmbeddedKafka::start(
        ClusterConfig::brokers(1)
            .topic("healthy", 2)
            .versions(versions),
    )
}

#[test]
fn broker_without_a_version_of_ours_is_named_and_nothing_hangs() {
    for api in [Api::Produce, Api::Metadata, Api::InitProducerId] {
        let _limit = Limit::new(secs(30));
        let kafka = incompatible(api);
        let config = config(&kafka)
            .max_block(secs(2))
            .request_timeout(ms(500))
            .delivery_timeout(secs(2));
        let producer = start(config);
        let (error, waited) = timed(
            || match producer.send(ProducerRecord::new("healthy", "v")) {
                Ok(handle) => handle.get().unwrap_err().error().clone(),
                Err(refused) => refused.error().clone(),
            },
        );
        assert!(waited < secs(5), "{api:?}: {waited:?}");
        assert_eq!(error.kind(), ErrorKind::UnsupportedVersion, "{error:?}");
        let name = format!("{api:?}");
        assert_names(&error.to_string(), &[&name]);
        let (closed, waited) = timed(|| producer.close(secs(5)));
        closed.unwrap();
        assert_at_once(waited);
    }
}

#[test]
fn broker_that_never_answers_the_first_request_is_left_for_another() {
    let _limit = Limit::new(secs(30));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(3).topic("healthy", 3));
    let on = On::api(Api::ApiVersions);
    kafka.with(|cluster| {
        cluster.fault(Fault::swallow(on.clone()).times(2));
        cluster.fault(Fault::error(on, -1).after(1).times(1));
    });
    let config = config(&kafka)
        .request_timeout(ms(300))
        .socket_connection_setup_timeout(ms(300), ms(300));
    let producer = start(config);
    for partition in 0..3 {
        let record = ProducerRecord::new("healthy", "v").partition(partition);
        producer.send(record).unwrap().get().unwrap();
    }
}

#[test]
fn timestamp_that_the_topic_refuses_is_not_written_and_named() {
    let _limit = Limit::new(secs(30));
    let kafka = healthy();
    let producer = start(config(&kafka));
    let record = ProducerRecord::new("healthy", "v").timestamp_ms(i64::MAX);
    let error = producer.send(record).unwrap().get().unwrap_err();
    assert_eq!(error.error().code(), Some(32), "{error:?}");
    assert_eq!(error.persistence(), kafka_producer::Persistence::NotWritten);
    assert_names(&error.to_string(), &["healthy"]);
    assert_works(&producer);
}

#[test]
fn callback_that_takes_longer_than_the_delivery_timeout_expires_no_delivered_record() {
    let _limit = Limit::new(secs(30));
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(2).topic("healthy", 2));
    let config = config(&kafka)
        .request_timeout(ms(200))
        .delivery_timeout(ms(400))
        .linger(ms(0));
    let producer = start(config);
    for partition in 0..2 {
        let record = ProducerRecord::new("healthy", "warm").partition(partition);
        producer.send(record).unwrap().get().unwrap();
    }
    // The answer of the second arrives while the callback of the first keeps the thread.
    let (tell, told) = channel();
    let callback = Callback::once(move |_| {
        let _ = told.recv_timeout(secs(5));
        std::thread::sleep(ms(800));
    });
    kafka.with(|cluster| {
        let on = On::produce().partition("healthy", 1);
        cluster.fault(Fault::delay(on, 100));
    });
    let to = |partition| ProducerRecord::new("healthy", "v").partition(partition);
    let second = producer.send(to(1)).unwrap();
    let first = producer.send_with(to(0), callback).unwrap();
    fixtures::eventually("both are in the log", || {
        kafka.with(|cluster| cluster.end_offset("healthy", 0) + cluster.end_offset("healthy", 1))
            == 4
    });
    tell.send(()).unwrap();
    first.get().unwrap();
    second.get().expect("its answer was there in time");
}
