//! Topics and clusters change while the producer runs: it follows without a restart.

use kafka_producer::{KafkaProducer, Persistence};
use kafka_test_support::real_kafka::{ClusterOptions, NewTopic, RealKafka, Version};

use crate::stage::Stage;
use crate::stream::{SOME, Sent, config, exactly_once, in_order, places, while_sending};
use crate::{Entry, Outcome, VersionEntry, ensure};

pub(crate) const EACH_VERSION: &[VersionEntry] = &[
    VersionEntry::new("partitions_added_are_used", partitions),
    VersionEntry::new("topic_created_anew_gets_what_is_acknowledged_then", anew),
];

pub(crate) const TRIALS: &[Entry] = &[Entry::new(
    "partitions_and_a_broker_added_are_both_used",
    partitions_and_broker,
)];

fn partitions(stage: &Stage, version: Version) -> Outcome {
    let kafka = stage.kafka(version)?;
    kafka.create_topic(&NewTopic::new("more-partitions", 1))?;
    let config = config(kafka.bootstrap()).set("metadata.max.age.ms", "500");
    let producer = KafkaProducer::new(config)?;
    let sent = while_sending(&producer, "more-partitions", |progress| {
        kafka.create_partitions("more-partitions", 4)?;
        progress.await_more_in(&[0, 1, 2, 3], SOME)
    })?;
    exactly_once(kafka, "more-partitions", &sent)
}

fn partitions_and_broker(_: &Stage) -> Outcome {
    let kafka = RealKafka::start(&ClusterOptions::new(Version::V4_3_1))?;
    kafka.create_topic(&NewTopic::new("growing", 1))?;
    let config = config(kafka.bootstrap()).set("metadata.max.age.ms", "500");
    let producer = KafkaProducer::new(config)?;
    let mut added = 0;
    let sent = while_sending(&producer, "growing", |progress| {
        kafka.create_partitions("growing", 3)?;
        progress.await_more_in(&[0, 1, 2], SOME)?;
        added = kafka.add_broker()?;
        kafka.move_leader("growing", 0, added)?;
        kafka.move_leader("growing", 2, added)?;
        progress.await_more_in(&[0, 1, 2], SOME)
    })?;
    let leaders = kafka.describe_topic("growing")?.partitions;
    let leaders: Vec<i32> = leaders.iter().map(|partition| partition.leader).collect();
    ensure(leaders == [added, 1, added], || format!("{leaders:?}"))?;
    exactly_once(&kafka, "growing", &sent)
}

fn anew(stage: &Stage, version: Version) -> Outcome {
    let kafka = stage.kafka(version)?;
    let topic = NewTopic::new("anew", 2);
    let first = kafka.create_topic(&topic)?;
    let config = config(kafka.bootstrap()).set("metadata.max.age.ms", "500");
    let producer = KafkaProducer::new(config)?;
    let sent = while_sending(&producer, "anew", |progress| {
        kafka.delete_topic("anew")?;
        let second = kafka.create_topic(&topic)?;
        ensure(version == Version::V2_8_2 || first != second, || {
            format!("it is {first} again")
        })?;
        progress.mark();
        progress.await_more_in(&[0, 1], SOME)
    })?;
    let read = kafka.read_topic("anew")?;
    in_order(&read)?;
    let places = places(&read)?;
    for Sent { id, phase, outcome } in &sent {
        let read = places.get(id);
        let is_true = match (outcome, read) {
            (Ok(said), Some(read)) => {
                (said.partition(), said.offset()) == (read.partition, Some(read.offset))
            }
            // It may lie in the topic that is gone, if it was sent before.
            (Ok(_), None) => *phase == 0,
            (Err(error), Some(_)) => error.persistence() == Persistence::Unknown,
            (Err(_), None) => true,
        };
        ensure(is_true, || {
            format!("{id:?} of phase {phase} ended as {outcome:?}, but the log has {read:?}")
        })?;
    }
    let later = sent.iter().filter(|sent| sent.phase == 1);
    let lost: Vec<_> = later.filter(|sent| sent.outcome.is_err()).collect();
    ensure(lost.is_empty(), || {
        format!("{} failed after that, the first: {:?}", lost.len(), lost[0])
    })?;
    Ok(())
}
