//! The configuration from outside: what a program may write, and that the documentation tells the truth.

use std::time::Duration;

use kafka_producer::{Acks, ErrorKind, ProducerConfig};

const SERVERS: (&str, &str) = ("bootstrap.servers", "localhost:9092");

/// The text of the error that these keys end in.
fn refused(pairs: &[(&str, &str)]) -> String {
    let pairs = [SERVERS].iter().chain(pairs).copied();
    let error = ProducerConfig::from_properties(pairs).expect_err("it is wrong");
    assert_eq!(error.kind(), ErrorKind::Config);
    error.to_string()
}

fn accepted(pairs: &[(&str, &str)]) -> ProducerConfig {
    let pairs = [SERVERS].iter().chain(pairs).copied();
    ProducerConfig::from_properties(pairs).expect("it is right")
}

#[test]
fn documentation_is_that_of_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/CONFIGURATION.md");
    let text = std::fs::read_to_string(path).expect("the file is there");
    let mark = "<!-- tables -->\n";
    let (before, _) = text.split_once(mark).expect("the tables have a mark");
    let expected = format!("{before}{mark}\n{}", ProducerConfig::documentation());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &expected).expect("the file can be written");
    }
    assert!(
        text == expected || std::env::var_os("UPDATE_DOCS").is_some(),
        "docs/CONFIGURATION.md is out of step: UPDATE_DOCS=1 cargo test --test config"
    );
}

#[test]
fn setters_and_keys_are_the_same() {
    let ms = Duration::from_millis;
    let built = ProducerConfig::new("localhost:9092")
        .acks(Acks::Leader)
        .batch_size(1000)
        .buffer_memory(100_000)
        .buffer_memory_share_per_topic(25)
        .callback_thread_enable(true)
        .client_id("me")
        .connections_max_idle(None)
        .delivery_timeout(ms(20_000))
        .enable_idempotence(false)
        .linger(Duration::from_micros(6_001))
        .max_block(ms(1))
        .max_in_flight_requests_per_connection(9)
        .max_request_size(5000)
        .metadata_max_age(ms(2))
        .metadata_max_idle(ms(6000))
        .metadata_rebootstrap(false)
        .metadata_rebootstrap_trigger(ms(3))
        .partitioner_ignore_keys(true)
        .receive_buffer_bytes(None)
        .reconnect_backoff(ms(4), ms(5))
        .request_timeout(ms(6))
        .retries(7)
        .retry_backoff(ms(8), ms(9))
        .send_buffer_bytes(Some(1))
        .socket_connection_setup_timeout(ms(10), ms(11));
    let read = accepted(&[
        ("acks", "1"),
        ("batch.size", "1000"),
        ("buffer.memory", "100000"),
        ("buffer.memory.share.per.topic", "25"),
        ("callback.thread.enable", "true"),
        ("client.id", "me"),
        ("connections.max.idle.ms", "-1"),
        ("delivery.timeout.ms", "20000"),
        ("enable.idempotence", "false"),
        ("linger.ms", "7"),
        ("max.block.ms", "1"),
        ("max.in.flight.requests.per.connection", "9"),
        ("max.request.size", "5000"),
        ("metadata.max.age.ms", "2"),
        ("metadata.max.idle.ms", "6000"),
        ("metadata.recovery.strategy", "none"),
        ("metadata.recovery.rebootstrap.trigger.ms", "3"),
        ("partitioner.ignore.keys", "true"),
        ("receive.buffer.bytes", "-1"),
        ("reconnect.backoff.ms", "4"),
        ("reconnect.backoff.max.ms", "5"),
        ("request.timeout.ms", "6"),
        ("retries", "7"),
        ("retry.backoff.ms", "8"),
        ("retry.backoff.max.ms", "9"),
        ("send.buffer.bytes", "1"),
        ("socket.connection.setup.timeout.ms", "10"),
        ("socket.connection.setup.timeout.max.ms", "11"),
    ]);
    assert_eq!(format!("{built:?}"), format!("{read:?}"));
    built.check().expect("it is right");
}

#[test]
fn value_out_of_range_names_key_value_and_range() {
    for (key, value, range) in [
        ("linger.ms", "-1", "0 and up"),
        ("linger.ms", "5ms", "0 and up"),
        ("max.in.flight.requests.per.connection", "0", "1 and up"),
        ("batch.size", "2147483648", "0 and up"),
        ("metadata.max.idle.ms", "4999", "5000 and up"),
        ("acks", "2", "all, -1, 0, 1"),
        ("enable.idempotence", "maybe", "true, false"),
        ("send.buffer.bytes", "-2", "-1 and up"),
        ("compression.type", "gzip", "none"),
        ("security.protocol", "SSL", "PLAINTEXT"),
    ] {
        let text = refused(&[(key, value)]);
        assert!(text.contains(key), "{text}");
        assert!(text.contains(&format!("\"{value}\"")), "{text}");
        assert!(text.contains(range), "{text}");
    }
}

#[test]
fn key_that_is_not_built_says_so() {
    for key in [
        "transactional.id",
        "ssl.keystore.location",
        "sasl.jaas.config",
    ] {
        let text = refused(&[(key, "hush")]);
        assert!(
            text.contains(key) && text.contains("not built yet"),
            "{text}"
        );
        assert!(!text.contains("hush"), "{text}");
    }
    accepted(&[
        ("enable.metrics.push", "false"),
        ("security.providers", "x"),
    ]);
}

#[test]
fn key_that_is_misspelt_is_refused_with_the_right_one() {
    for (wrong, right) in [
        ("acs", "acks"),
        ("bootstrap.server", "bootstrap.servers"),
        (
            "max.in.flight.requests.per.conection",
            "max.in.flight.requests.per.connection",
        ),
        ("queue.buffering.max.ms", "linger.ms"),
        ("serializer.class", "value.serializer"),
    ] {
        let text = refused(&[(wrong, "1")]);
        assert!(text.contains(&format!("did you mean {right}?")), "{text}");
    }
}

#[test]
fn key_of_somebody_else_is_kept_or_refused_when_strict() {
    let config = accepted(&[("my.plugin.password", "hush")]);
    assert_eq!(config.get("my.plugin.password"), Some("hush"));
    assert!(config.clone().strict(true).check().is_err());
    for shown in [format!("{config}"), format!("{config:?}")] {
        assert!(shown.contains("my.plugin.password"), "{shown}");
        assert!(!shown.contains("hush"), "{shown}");
    }
}

#[test]
fn display_shows_every_key_with_its_default() {
    let shown = ProducerConfig::new("a:1").to_string();
    assert!(shown.contains("bootstrap.servers = a:1\n"), "{shown}");
    assert!(shown.contains("linger.ms = 5\n"), "{shown}");
}

#[test]
fn bootstrap_servers_malformed_or_missing_are_refused() {
    for wrong in [
        "",
        "localhost",
        "localhost:0",
        "localhost:99999",
        ":9092",
        "a:1,b",
    ] {
        let text = refused(&[("bootstrap.servers", wrong)]);
        assert!(text.contains("bootstrap.servers"), "{text}");
    }
    let none = ProducerConfig::from_properties([("acks", "all")]).expect_err("nowhere to go");
    assert!(none.to_string().contains("bootstrap.servers"));
}

#[test]
fn java_class_names_of_bytes_and_strings_are_accepted() {
    let strings = "org.apache.kafka.common.serialization.StringSerializer";
    accepted(&[("key.serializer", strings), ("value.serializer", strings)]);
    let text = refused(&[("value.serializer", "com.acme.AvroSerializer")]);
    assert!(text.contains("with_serializers"), "{text}");
}

#[test]
fn socket_buffers_of_minus_one_are_left_to_the_system_and_less_is_refused() {
    for key in ["send.buffer.bytes", "receive.buffer.bytes"] {
        let text = accepted(&[(key, "-1")]).to_string();
        let line = text.lines().find(|line| line.contains(key));
        assert!(line.is_some_and(|line| line.contains("-1")), "{text}");
        let text = refused(&[(key, "-2")]);
        assert!(text.contains(key) && text.contains("-1 and up"), "{text}");
    }
}
