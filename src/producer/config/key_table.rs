//! Every key that is built: the one table that reading, checking, showing and documenting go by.
//!
//! Java's counterparts: `ProducerConfig`, `CommonClientConfigs` of Kafka 4.3. Thread: any. Locks: none.

use std::time::Duration;

use super::key::{AnyCase, Importance, Key, Kind, Value};
use super::settings::Settings;

pub(super) fn key_named(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

const fn key(
    name: &'static str,
    kind: Kind,
    (default, importance): (Option<&'static str>, Importance),
    apply: fn(&mut Settings, Value),
    meaning: &'static str,
) -> Key {
    Key {
        name,
        kind,
        default,
        importance,
        meaning,
        apply,
    }
}

const HIGH: Importance = Importance::High;
const MEDIUM: Importance = Importance::Medium;
const LOW: Importance = Importance::Low;

/// In the order in which the documentation has them.
pub(super) static KEYS: &[Key] = &[
    key(
        "bootstrap.servers",
        Kind::List,
        (None, HIGH),
        |settings, value| settings.bootstrap_servers = value.text(),
        "Where to ask first: `host:port`, `[v6]:port` or `protocol://host:port`, separated by commas. \
         One that answers is enough; the others of the cluster are found through it.",
    ),
    key(
        "acks",
        Kind::OneOf(&["all", "-1", "0", "1"], AnyCase::No),
        (Some("all"), LOW),
        |settings, value| {
            settings.acks = match value.text().as_str() {
                "0" => 0,
                "1" => 1,
                _ => -1,
            };
        },
        "Who has to have a record before it counts as sent: all replicas in sync (`all`, the same as \
         `-1`), the leader (`1`), or nobody (`0`: the outcome is known once the bytes are handed to the \
         socket, and has no offset).",
    ),
    key(
        "batch.size",
        Kind::int(0),
        (Some("16384"), MEDIUM),
        |settings, value| settings.batch_size = value.size(),
        "Bytes that a batch for one partition may have. A larger record gets a batch of its own; 0 makes \
         every record one. May not exceed `buffer.memory`.",
    ),
    key(
        "buffer.memory",
        Kind::long(SMALLEST_RECORD),
        (Some("33554432"), HIGH),
        |settings, value| settings.buffer_memory = value.size(),
        "Bytes for all records that have no outcome yet. When they are used up, `send` waits.",
    ),
    key(
        "buffer.memory.share.per.topic",
        Kind::Int {
            least: 1,
            most: 100,
        },
        (Some("100"), LOW),
        |settings, value| settings.topic_share_percent = value.size(),
        "Ours: per cent of `buffer.memory` that the records of one topic may take; then \
         `send` waits for that topic alone, so that one that cannot be sent leaves memory to the others. \
         It bounds a record's and a batch's size as well. 100: no limit.",
    ),
    key(
        "callback.thread.enable",
        Kind::Boolean,
        (Some("false"), LOW),
        |settings, value| settings.callback_thread = value.boolean(),
        "Ours: whether callbacks run on a thread of their own instead of the network \
         thread, so that slow ones hold up nothing but each other. What waits for its callback keeps its \
         part of `buffer.memory`.",
    ),
    key(
        "client.dns.lookup",
        Kind::OneOf(&["use_all_dns_ips"], AnyCase::No),
        (Some("use_all_dns_ips"), MEDIUM),
        |_, _| {},
        "All addresses of a name are tried, one after the other. \
         `resolve_canonical_bootstrap_servers_only` is not built yet.",
    ),
    key(
        "client.id",
        Kind::Text,
        (Some(""), MEDIUM),
        |settings, value| settings.client_id = value.text(),
        "What brokers and logs call this producer. Without it: `producer-1`, `producer-2`, ... in the \
         order in which a program makes them.",
    ),
    key(
        "compression.type",
        Kind::OneOf(&["none"], AnyCase::No),
        (Some("none"), HIGH),
        |_, _| {},
        "How batches are compressed. `gzip`, `snappy`, `lz4` and `zstd` are not built yet.",
    ),
    key(
        "connections.max.idle.ms",
        Kind::Long {
            least: i64::MIN,
            most: i64::MAX,
        },
        (Some("540000"), MEDIUM),
        |settings, value| {
            settings.connections_max_idle = (value.number() >= 0).then(|| value.ms());
        },
        "A connection unused for so long is closed, unless it waits for an answer; a negative number: never.",
    ),
    key(
        "delivery.timeout.ms",
        Kind::int(0),
        (Some("120000"), MEDIUM),
        |settings, value| settings.delivery_timeout = value.ms(),
        "The longest time from `send` to the outcome, retries included. At least `linger.ms` + \
         `request.timeout.ms`: less is refused, or raised where it is the default.",
    ),
    key(
        "enable.idempotence",
        Kind::Boolean,
        (Some("true"), LOW),
        |settings, value| settings.enable_idempotence = value.boolean(),
        "Whether brokers recognise what is sent again, so that nothing is there twice or out of order. \
         Needs `acks=all`, `retries` above 0 and at most 5 requests in flight: set to `true` together \
         with others it is refused, as a default it gives way to `acks` and `retries`.",
    ),
    key(
        "key.serializer",
        Kind::Class(SERIALIZERS, SERIALIZERS_OTHERWISE),
        (Some(""), HIGH),
        |_, _| {},
        "Accepted for the sake of existing files: these classes are what the default serializer does. \
         Others are given in code, by `KafkaProducer::with_serializers`.",
    ),
    key(
        "linger.ms",
        Kind::long(0),
        (Some("5"), MEDIUM),
        |settings, value| settings.linger = value.ms().min(MOST_LINGER),
        "How long a batch waits for more records before it is sent, unless it is full.",
    ),
    key(
        "max.block.ms",
        Kind::long(0),
        (Some("60000"), MEDIUM),
        |settings, value| settings.max_block = value.ms(),
        "The longest that `send` and `partitions_for` wait for metadata and for room, together.",
    ),
    key(
        "max.in.flight.requests.per.connection",
        Kind::int(1),
        (Some("5"), LOW),
        |settings, value| settings.max_in_flight = value.size(),
        "Requests that may be on their way to one broker at once. With idempotence at most 5; without \
         it, more than 1 may change the order of records when one is sent again.",
    ),
    key(
        "max.request.size",
        Kind::int(SMALLEST_RECORD),
        (Some("1048576"), MEDIUM),
        |settings, value| settings.max_request_size = value.size(),
        "Bytes that a request may have, and so the largest record, before compression.",
    ),
    key(
        "metadata.max.age.ms",
        Kind::long(0),
        (Some("300000"), LOW),
        |settings, value| settings.metadata_max_age = value.ms(),
        "After so long metadata is fetched again even if nothing seems to have changed; not more often than \
         every `retry.backoff.ms`.",
    ),
    key(
        "metadata.max.idle.ms",
        Kind::long(5000),
        (Some("300000"), LOW),
        |settings, value| settings.metadata_max_idle = value.ms(),
        "A topic that nothing was sent to for so long is forgotten.",
    ),
    key(
        "metadata.recovery.rebootstrap.trigger.ms",
        Kind::long(0),
        (Some("300000"), LOW),
        |settings, value| settings.rebootstrap_trigger = value.ms(),
        "After so long without metadata the producer begins anew with `bootstrap.servers`; not within a \
         second, nor, having begun anew, within `request.timeout.ms`.",
    ),
    key(
        "metadata.recovery.strategy",
        Kind::OneOf(&["rebootstrap", "none"], AnyCase::Yes),
        (Some("rebootstrap"), LOW),
        |settings, value| settings.rebootstrap = value.text() == "rebootstrap",
        "What to do when no known broker can be reached: begin anew with `bootstrap.servers`, or keep \
         trying those that are known.",
    ),
    key(
        "partitioner.class",
        Kind::Class(PARTITIONERS, PARTITIONERS_OTHERWISE),
        (Some(""), MEDIUM),
        |_, _| {},
        "The built-in choice of partition is the only one so far.",
    ),
    key(
        "partitioner.ignore.keys",
        Kind::Boolean,
        (Some("false"), MEDIUM),
        |settings, value| settings.ignore_keys = value.boolean(),
        "Whether records with a key are spread like those without one.",
    ),
    key(
        "receive.buffer.bytes",
        Kind::int(-1),
        (Some("32768"), MEDIUM),
        |settings, value| settings.receive_buffer_bytes = value.int(),
        "The size of the socket's receive buffer; -1 leaves it to the operating system.",
    ),
    key(
        "reconnect.backoff.max.ms",
        Kind::long(0),
        (Some("1000"), LOW),
        |settings, value| settings.reconnect_backoff_max = value.ms(),
        "The most that `reconnect.backoff.ms` grows to; doubled with each failure, give or take 20 %.",
    ),
    key(
        "reconnect.backoff.ms",
        Kind::long(0),
        (Some("50"), LOW),
        |settings, value| settings.reconnect_backoff = value.ms(),
        "The pause before a broker is connected to again.",
    ),
    key(
        "request.timeout.ms",
        Kind::int(1),
        (Some("30000"), MEDIUM),
        |settings, value| settings.request_timeout = value.ms(),
        "How long an answer may take; then the connection is closed and the request sent again, if \
         time and `retries` allow.",
    ),
    key(
        "retries",
        Kind::int(0),
        (Some("2147483647"), HIGH),
        |settings, value| settings.retries = u32::try_from(value.number()).unwrap_or(u32::MAX),
        "How often a batch is sent again; better left alone: `delivery.timeout.ms` is the limit to turn.",
    ),
    key(
        "retry.backoff.max.ms",
        Kind::long(0),
        (Some("1000"), LOW),
        |settings, value| settings.retry_backoff_max = value.ms(),
        "The most that `retry.backoff.ms` grows to; doubled with each failure, give or take 20 %.",
    ),
    key(
        "retry.backoff.ms",
        Kind::long(0),
        (Some("100"), LOW),
        |settings, value| settings.retry_backoff = value.ms(),
        "The pause before a request is sent again.",
    ),
    key(
        "security.protocol",
        Kind::OneOf(&["PLAINTEXT"], AnyCase::Yes),
        (Some("PLAINTEXT"), MEDIUM),
        |_, _| {},
        "How brokers are talked to. `SSL`, `SASL_PLAINTEXT` and `SASL_SSL` are not built yet.",
    ),
    key(
        "send.buffer.bytes",
        Kind::int(-1),
        (Some("131072"), MEDIUM),
        |settings, value| settings.send_buffer_bytes = value.int(),
        "The size of the socket's send buffer; -1 leaves it to the operating system.",
    ),
    key(
        "socket.connection.setup.timeout.max.ms",
        Kind::long(1),
        (Some("30000"), MEDIUM),
        |settings, value| settings.setup_timeout_max = value.ms(),
        "The most that `socket.connection.setup.timeout.ms` grows to; doubled with each failure, give \
         or take 20 %.",
    ),
    key(
        "socket.connection.setup.timeout.ms",
        Kind::long(1),
        (Some("10000"), MEDIUM),
        |settings, value| settings.setup_timeout = value.ms(),
        "How long connecting may take, before the next address is tried.",
    ),
    key(
        "topic.recreation.policy",
        Kind::OneOf(&["adopt", "fail"], AnyCase::Yes),
        (Some("adopt"), LOW),
        |settings, value| {
            settings.fail_recreated_topics = value.text() == "fail";
        },
        "Ours: what becomes of records that were accepted for a topic which is then deleted and created \
         again under its name. `adopt`: they go to the new topic, unless the old one may have them; `fail`: \
         they end with an error. What is sent later goes to the new topic.",
    ),
    key(
        "value.serializer",
        Kind::Class(SERIALIZERS, SERIALIZERS_OTHERWISE),
        (Some(""), HIGH),
        |_, _| {},
        "See `key.serializer`.",
    ),
];

const SERIALIZERS: &[&str] = &[
    "org.apache.kafka.common.serialization.ByteArraySerializer",
    "org.apache.kafka.common.serialization.StringSerializer",
    "org.apache.kafka.common.serialization.BytesSerializer",
    "org.apache.kafka.common.serialization.ByteBufferSerializer",
];

const SERIALIZERS_OTHERWISE: &str = "other serializers are given in code, by `with_serializers`";

const PARTITIONERS: &[&str] = &["org.apache.kafka.clients.producer.internals.DefaultPartitioner"];

const PARTITIONERS_OTHERWISE: &str = "other partitioners are not built yet";

/// What a batch takes at most that holds one record without anything in it.
pub(super) const SMALLEST_RECORD: i64 = 85;

/// As in Java, where it is an `int` in the end.
const MOST_LINGER: Duration = Duration::from_millis(i32::MAX as u64);
