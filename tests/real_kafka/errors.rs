//! What a broker refuses ends in the right error, and harms nothing else.

use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_producer::{DeliveryError, ErrorKind, KafkaProducer, Persistence, ProducerRecord};
use kafka_test_support::real_kafka::{AclTarget, NewTopic, Version};
use libtest_mimic::Failed;

use crate::stage::Stage;
use crate::stream::{SOME, config, exactly_once, while_sending};
use crate::{Entry, Outcome, VersionEntry, ensure};

pub(crate) const EACH_VERSION: &[VersionEntry] = &[
    VersionEntry::new("record_over_max_message_bytes_is_given_back", too_large),
    VersionEntry::new("batch_over_max_message_bytes_arrives_in_pieces", in_pieces),
    VersionEntry::new("record_refused_fails_and_its_neighbours_arrive", refused),
    VersionEntry::new("topic_missing_is_told_after_max_block", missing),
];

pub(crate) const TRIALS: &[Entry] = &[
    Entry::new("topic_missing_is_created_where_brokers_do_that", created),
    Entry::new("topic_forbidden_fails_and_others_go_on", forbidden),
    Entry::new("connection_closed_as_idle_is_no_error", idle),
];

fn fails(producer: &KafkaProducer, topic: &str, value: Bytes) -> Result<DeliveryError, Failed> {
    let handle = producer.send(
        ProducerRecord::new(topic, value)
            .key("key")
            .header("h", "1"),
    );
    match handle.map_err(|error| error.to_string())?.get() {
        Ok(said) => Err(format!("it was taken: {said:?}").into()),
        Err(error) => Ok(error),
    }
}

fn works(producer: &KafkaProducer, topic: &str) -> Outcome {
    let handle = producer.send(ProducerRecord::new(topic, "fine"));
    handle.map_err(|error| error.to_string())?.get()?;
    Ok(())
}

fn too_large(stage: &Stage, version: Version) -> Outcome {
    let kafka = stage.kafka(version)?;
    kafka.create_topic(&NewTopic::new("small", 1).config("max.message.bytes", "5000"))?;
    let producer = KafkaProducer::new(config(kafka.bootstrap()))?;
    works(&producer, "small")?;
    let value = Bytes::from(vec![7; 6_000]);
    let error = fails(&producer, "small", value.clone())?;
    let is_so = error.kind() == ErrorKind::RecordTooLarge
        && error.persistence() == Persistence::NotWritten
        && error.error().code() == Some(10);
    ensure(is_so, || format!("{:?}: {error:?}", error.persistence()))?;
    let record = error.record().ok_or("no record was given back")?;
    let is_whole = record.value == Some(value)
        && record.key.as_deref() == Some(b"key")
        && &*record.topic == "small"
        && record.headers.len() == 1;
    ensure(is_whole, || format!("{record:?}"))?;
    works(&producer, "small")?;
    let read = kafka.read_topic("small")?;
    let offsets: Vec<i64> = read.iter().map(|read| read.offset).collect();
    ensure(offsets == [0, 1], || format!("{read:?}"))?;
    // What was not written left neither a gap nor another epoch.
    let producers = kafka.describe_producers("small", 0)?;
    let is_so = matches!(producers.as_slice(), [one] if (one.epoch, one.last_sequence) == (0, 1));
    ensure(is_so, || format!("{producers:?}"))?;
    Ok(())
}

/// Batches of up to 1 MB for a topic that takes 10 KB, with and without sequences.
fn in_pieces(stage: &Stage, version: Version) -> Outcome {
    let kafka = stage.kafka(version)?;
    for idempotence in ["true", "false"] {
        let topic = format!("pieces-{idempotence}");
        kafka.create_topic(&NewTopic::new(&topic, 1).config("max.message.bytes", "10240"))?;
        let config = config(kafka.bootstrap())
            .set("batch.size", "1000000")
            .set("linger.ms", "200")
            .set(
                "max.in.flight.requests.per.connection",
                if idempotence == "true" { "5" } else { "1" },
            )
            .set("enable.idempotence", idempotence);
        let producer = KafkaProducer::new(config)?;
        let value = |number: i64| {
            format!("{number:0100}").repeat(1 + usize::try_from(number % 5).unwrap_or(0))
        };
        let mut handles = Vec::new();
        for number in 0..15_000 {
            let record = ProducerRecord::new(topic.as_str(), value(number))
                .timestamp_ms(1_000_000 + number * number % 7919);
            handles.push(producer.send(record).map_err(|error| error.to_string())?);
        }
        producer.flush()?;
        for (handle, number) in handles.into_iter().zip(0..) {
            ensure(handle.is_done(), || {
                format!("record {number} has no outcome after flush")
            })?;
            let told = handle.get()?;
            let is_so = told.offset() == Some(number)
                && told.timestamp_ms() == 1_000_000 + number * number % 7919;
            ensure(is_so, || format!("record {number} at {told:?}"))?;
        }
        let read = kafka.read_topic(&topic)?;
        ensure(read.len() == 15_000, || format!("{} records", read.len()))?;
        for (record, number) in read.iter().zip(0..) {
            let is_so = record.offset == number
                && record.timestamp == 1_000_000 + number * number % 7919
                && record.value.as_deref() == Some(value(number).as_bytes());
            ensure(is_so, || format!("{number}: {record:?}"))?;
        }
    }
    Ok(())
}

/// A compacted topic takes no record without a key (KIP-467).
fn refused(stage: &Stage, version: Version) -> Outcome {
    let kafka = stage.kafka(version)?;
    kafka.create_topic(&NewTopic::new("compacted", 1).config("cleanup.policy", "compact"))?;
    let config = config(kafka.bootstrap())
        .set("batch.size", "100000")
        .set("linger.ms", "200");
    let producer = KafkaProducer::new(config)?;
    let is_bad = |number: i64| number % 7 == 0 || (20..30).contains(&number);
    let mut handles = Vec::new();
    for number in 0..200 {
        let record = ProducerRecord::new("compacted", number.to_string());
        let handle = if is_bad(number) {
            producer.send(record).map_err(|error| error.to_string())
        } else {
            producer
                .send(record.key(number.to_string()))
                .map_err(|error| error.to_string())
        };
        handles.push(handle?);
    }
    producer.flush()?;
    let mut offset = 0;
    for (handle, number) in handles.into_iter().zip(0..) {
        match handle.get() {
            Ok(told) => {
                let is_so = !is_bad(number) && told.offset() == Some(offset);
                ensure(is_so, || {
                    format!("record {number} at {told:?}, expected {offset}")
                })?;
                offset += 1;
            }
            Err(error) => {
                let is_so = is_bad(number)
                    && error.kind() == ErrorKind::InvalidRecord
                    && error.persistence() == Persistence::NotWritten
                    && error
                        .record()
                        .is_some_and(|record| record.value == Some(number.to_string().into()));
                ensure(is_so, || format!("record {number}: {error:?}"))?;
            }
        }
    }
    let read = kafka.read_topic("compacted")?;
    let wanted = (0..200).filter(|number| !is_bad(*number));
    let wanted: Vec<Vec<u8>> = wanted
        .map(|number| number.to_string().into_bytes())
        .collect();
    let values: Vec<Vec<u8>> = read.into_iter().filter_map(|record| record.value).collect();
    ensure(values == wanted, || format!("{values:?}"))?;
    Ok(())
}

fn missing(stage: &Stage, version: Version) -> Outcome {
    let kafka = stage.kafka(version)?;
    let config = config(kafka.bootstrap()).set("max.block.ms", "700");
    let producer = KafkaProducer::new(config)?;
    let started = Instant::now();
    let error = producer
        .send(ProducerRecord::new("not-there", "value"))
        .expect_err("there is no such topic");
    let took = started.elapsed();
    let text = error.error().to_string();
    ensure(error.kind() == ErrorKind::Timeout, || text.clone())?;
    ensure(
        text.contains("not-there") && text.contains("(max.block.ms)"),
        || text.clone(),
    )?;
    let in_time = Duration::from_millis(700)..Duration::from_secs(15);
    ensure(in_time.contains(&took), || format!("{took:?}: {text}"))?;
    ensure(error.into_record().value == "value", || {
        "another value".to_owned()
    })?;
    // Once it is there, the same producer finds it.
    kafka.create_topic(&NewTopic::new("not-there", 1))?;
    works(&producer, "not-there")
}

fn created(stage: &Stage) -> Outcome {
    let kafka = stage.peculiar()?;
    let producer = KafkaProducer::new(config(kafka.bootstrap()))?;
    let sent = while_sending(&producer, "made-by-itself", |progress| {
        progress.await_more(SOME)
    })?;
    exactly_once(kafka, "made-by-itself", &sent)?;
    let partitions = producer.partitions_for("another-one")?;
    ensure(partitions.len() == 1, || format!("{partitions:?}"))?;
    Ok(())
}

fn forbidden(stage: &Stage) -> Outcome {
    let kafka = stage.peculiar()?;
    for topic in ["open", "hidden", "read-only"] {
        kafka.create_topic(&NewTopic::new(topic, 2))?;
    }
    kafka.allow("User:alice", "WRITE", AclTarget::Topic("hidden"))?;
    kafka.allow("User:ANONYMOUS", "DESCRIBE", AclTarget::Topic("read-only"))?;
    let producer = KafkaProducer::new(config(kafka.bootstrap()))?;
    let sent = while_sending(&producer, "open", |progress| {
        let hidden = producer
            .send(ProducerRecord::new("hidden", "value"))
            .expect_err("it may not be described");
        ensure(hidden.kind() == ErrorKind::TopicAuthorization, || {
            format!("{hidden:?}")
        })?;
        let text = hidden.error().to_string();
        ensure(text.contains("hidden"), || text.clone())?;
        progress.await_more(SOME)?;
        let error = fails(&producer, "read-only", Bytes::from_static(b"value"))?;
        let is_so = error.kind() == ErrorKind::TopicAuthorization
            && error.persistence() == Persistence::NotWritten
            && error
                .record()
                .is_some_and(|record| record.value.as_deref() == Some(b"value"));
        ensure(is_so, || format!("{:?}: {error:?}", error.persistence()))?;
        let text = error.to_string();
        ensure(text.contains("read-only"), || text.clone())?;
        progress.await_more(SOME)
    })?;
    exactly_once(kafka, "open", &sent)?;
    // What was refused without being written leaves no gap: with the right, it works.
    kafka.allow("User:ANONYMOUS", "WRITE", AclTarget::Topic("read-only"))?;
    kafka.allow("User:ANONYMOUS", "WRITE", AclTarget::Topic("hidden"))?;
    works(&producer, "read-only")?;
    works(&producer, "hidden")
}

/// The broker closes connections that were idle for a second.
fn idle(stage: &Stage) -> Outcome {
    let kafka = stage.peculiar()?;
    kafka.create_topic(&NewTopic::new("idle", 1))?;
    let producer = KafkaProducer::new(config(kafka.bootstrap()).set("retries", "0"))?;
    for pause_ms in [0, 2_500, 1_000, 1_010, 2_000] {
        thread::sleep(Duration::from_millis(pause_ms));
        works(&producer, "idle").map_err(|error| format!("after {pause_ms} ms: {error:?}"))?;
    }
    let read = kafka.read_topic("idle")?;
    ensure(read.len() == 5, || format!("{read:?}"))?;
    Ok(())
}
