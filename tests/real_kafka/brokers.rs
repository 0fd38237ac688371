//! The brokers of the tests do what the tests rely on.

use std::time::Duration;

use kafka_protocol::messages::ApiVersionsRequest;
use kafka_test_support::real_kafka::{
    AclTarget, ClusterOptions, ConsumedRecord, JavaRecord, NewTopic, RawConnection, RealKafka,
    TimestampKind, Version,
};

use crate::stage::Stage;
use crate::{Entry, Outcome, VersionEntry, ensure};

pub(crate) const EACH_VERSION: &[VersionEntry] = &[
    VersionEntry::new("broker_takes_records_and_gives_them_back", records),
    VersionEntry::new("broker_makes_changes_known", changes),
];

pub(crate) const TRIALS: &[Entry] = &[
    Entry::new(
        "three_brokers_survive_kill_freeze_and_growth",
        three_brokers,
    ),
    Entry::new("acl_closes_a_topic_to_everyone_else", acl),
];

fn records(stage: &Stage, version: Version) -> Outcome {
    let kafka = stage.kafka(version)?;
    kafka.create_topic(&NewTopic::new("records", 3))?;
    let sent = [
        JavaRecord {
            partition: Some(1),
            timestamp: Some(1_234),
            key: Some(b"key".to_vec()),
            value: Some(b"value".to_vec()),
            headers: vec![
                ("h".to_owned(), Some(b"1".to_vec())),
                ("h".to_owned(), None),
            ],
        },
        JavaRecord {
            partition: Some(1),
            timestamp: Some(5),
            value: None,
            ..JavaRecord::default()
        },
    ];
    let acknowledged = kafka.java_produce("records", &sent, &[])?;
    let read = kafka.read_topic("records")?;
    let expected: Vec<ConsumedRecord> = sent
        .iter()
        .zip(&acknowledged)
        .map(|(sent, said)| ConsumedRecord {
            partition: 1,
            offset: said.offset,
            timestamp: sent.timestamp.unwrap(),
            timestamp_kind: TimestampKind::CreateTime,
            key: sent.key.clone(),
            value: sent.value.clone(),
            headers: sent.headers.clone(),
        })
        .collect();
    ensure(read == expected, || format!("{read:?} is not {expected:?}"))?;
    let keys: Vec<Vec<u8>> = (0..1_000)
        .map(|n: i32| format!("key-{n}").into_bytes())
        .collect();
    let partitions = kafka.java_partitions("records", &keys)?;
    let used = |p| {
        partitions
            .iter()
            .filter(|&&partition| partition == p)
            .count()
    };
    ensure((0..3).all(|p| used(p) > 250), || {
        format!("{:?}", [used(0), used(1), used(2)])
    })?;
    ensure(kafka.read_topic("records")?.len() == 1_002, || {
        "not all read".to_owned()
    })?;
    Ok(())
}

fn changes(stage: &Stage, version: Version) -> Outcome {
    let kafka = stage.kafka(version)?;
    let first =
        kafka.create_topic(&NewTopic::new("changes", 1).config("max.message.bytes", "5000"))?;
    let big = JavaRecord {
        value: Some(vec![b'x'; 6_000]),
        ..JavaRecord::default()
    };
    let refused = kafka.java_produce("changes", std::slice::from_ref(&big), &[]);
    ensure(
        refused.is_err_and(|e| e.to_string().contains("RecordTooLarge")),
        || "taken".to_owned(),
    )?;
    kafka.set_topic_config("changes", "max.message.bytes", "10000")?;
    kafka.java_produce("changes", &[big], &[])?;
    let producers = kafka.describe_producers("changes", 0)?;
    ensure(producers.iter().any(|p| p.last_sequence == 0), || {
        format!("{producers:?}")
    })?;
    kafka.create_partitions("changes", 4)?;
    let topic = kafka.describe_topic("changes")?;
    ensure(topic.partitions.len() == 4 && topic.id == first, || {
        format!("{topic:?}")
    })?;
    kafka.delete_topic("changes")?;
    let second = kafka.create_topic(&NewTopic::new("changes", 1))?;
    ensure(first != second, || format!("created twice as {first}"))?;
    Ok(())
}

fn three_brokers(_: &Stage) -> Outcome {
    let kafka = RealKafka::start(&ClusterOptions::new(Version::V4_3_1).brokers(3))?;
    kafka.create_topic(&NewTopic::assigned("three", &[&[1, 2, 3], &[2, 3, 1]]))?;
    let one = |partition| JavaRecord {
        partition: Some(partition),
        ..JavaRecord::default()
    };
    kafka.java_produce("three", &[one(0), one(1)], &[])?;
    kafka.kill_node(1)?;
    let produced = kafka.java_produce("three", &[one(0)], &[])?;
    ensure(produced.iter().all(|p| p.offset == 1), || {
        format!("{produced:?}")
    })?;
    kafka.start_node(1)?;
    kafka.await_brokers(3)?;
    kafka.move_leader("three", 1, 3)?;
    kafka.pause_node(3)?;
    let silent = RawConnection::open(&kafka.address(3)?)?.ask_within(
        &ApiVersionsRequest::default(),
        0,
        Duration::from_millis(300),
    );
    ensure(silent.is_err(), || "a frozen broker answered".to_owned())?;
    kafka.java_produce("three", &[one(1)], &[])?;
    kafka.resume_node(3)?;
    kafka.await_brokers(3)?;
    let added = kafka.add_broker()?;
    kafka.create_topic(&NewTopic::assigned("on-the-fourth", &[&[added]]))?;
    kafka.java_produce("on-the-fourth", &[one(0)], &[])?;
    kafka.stop_node(2)?;
    ensure(kafka.read_topic("three")?.len() == 4, || {
        "records lost".to_owned()
    })?;
    let leaders = kafka.describe_topic("three")?;
    ensure(leaders.partitions.iter().all(|p| p.leader != 2), || {
        format!("{leaders:?}")
    })?;
    Ok(())
}

fn acl(_: &Stage) -> Outcome {
    let options = ClusterOptions::new(Version::V4_3_1)
        .property(
            "authorizer.class.name",
            "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        )
        .property("allow.everyone.if.no.acl.found", "true");
    let kafka = RealKafka::start(&options)?;
    kafka.create_topic(&NewTopic::new("open", 1))?;
    kafka.create_topic(&NewTopic::new("closed", 1))?;
    kafka.allow("User:alice", "WRITE", AclTarget::Topic("closed"))?;
    kafka.java_produce("open", &[JavaRecord::default()], &[])?;
    let refused = kafka.java_produce("closed", &[JavaRecord::default()], &[]);
    ensure(
        refused.is_err_and(|e| e.to_string().contains("TopicAuthorization")),
        || "taken".to_owned(),
    )?;
    Ok(())
}
