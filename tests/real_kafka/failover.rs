//! Brokers die, freeze and lose their leaderships in mid-stream; every record still arrives
//! exactly once and in order.

use std::thread;
use std::time::Duration;

use kafka_producer::{KafkaProducer, Persistence, ProducerRecord};
use kafka_test_support::real_kafka::{ClusterOptions, NewTopic, RealKafka, Version};

use crate::stream::{Progress, SOME, Sent, config, exactly_once, while_sending};
use crate::{Entry, Outcome, ensure};

pub(crate) const TRIALS: &[Entry] = &[
    Entry::new("leader_killed_loses_and_repeats_nothing", |stage| {
        stage.three(leader_killed)
    }),
    Entry::new("broker_2_8_2_restarted_on_its_port_loses_nothing", |_| {
        restarted(Version::V2_8_2)
    }),
    Entry::new(
        "each_broker_killed_in_turn_loses_and_repeats_nothing",
        |stage| stage.three(each_killed),
    ),
    Entry::new("broker_4_3_1_restarted_on_its_port_loses_nothing", |_| {
        restarted(Version::V4_3_1)
    }),
    Entry::new(
        "leader_frozen_past_request_timeout_repeats_nothing",
        |stage| stage.three(|kafka| frozen(kafka, "frozen-shortly", Duration::from_millis(1_800))),
    ),
    Entry::new(
        "leader_frozen_past_its_leadership_repeats_nothing",
        |stage| stage.three(|kafka| frozen(kafka, "frozen-long", Duration::from_secs(7))),
    ),
    Entry::new(
        "leader_moved_back_and_forth_loses_and_repeats_nothing",
        |stage| stage.three(leader_moved),
    ),
    Entry::new(
        "replica_missing_is_told_truthfully_and_waited_for",
        |stage| stage.three(replica_missing),
    ),
    Entry::new("bootstrap_from_the_one_living_server_works", |stage| {
        stage.three(one_living)
    }),
];

/// Each node leads two of the six partitions, and has a copy of all.
fn spread(kafka: &RealKafka, topic: &str) -> Outcome {
    let assignment: &[&[i32]] = &[
        &[1, 2, 3],
        &[2, 3, 1],
        &[3, 1, 2],
        &[1, 3, 2],
        &[2, 1, 3],
        &[3, 2, 1],
    ];
    let topic = NewTopic::assigned(topic, assignment).config("min.insync.replicas", "2");
    kafka.create_topic(&topic)?;
    Ok(())
}

const ALL_SIX: &[i32] = &[0, 1, 2, 3, 4, 5];

fn leader_killed(kafka: &RealKafka) -> Outcome {
    spread(kafka, "leader-killed")?;
    let producer = KafkaProducer::new(config(kafka.bootstrap()))?;
    let sent = while_sending(&producer, "leader-killed", |progress| {
        kafka.kill_node(2)?;
        progress.await_more_in(ALL_SIX, SOME)
    })?;
    exactly_once(kafka, "leader-killed", &sent)?;
    identity(kafka, "leader-killed", &sent)?;
    Ok(kafka.start_node(2)?)
}

fn each_killed(kafka: &RealKafka) -> Outcome {
    spread(kafka, "each-killed")?;
    let producer = KafkaProducer::new(config(kafka.bootstrap()))?;
    let sent = while_sending(&producer, "each-killed", |progress| {
        for node in 1..=3 {
            kafka.kill_node(node)?;
            progress.await_more_in(ALL_SIX, SOME)?;
            kafka.start_node(node)?;
            kafka.await_brokers(3)?;
            progress.await_more_in(ALL_SIX, SOME)?;
        }
        Ok(())
    })?;
    exactly_once(kafka, "each-killed", &sent)
}

/// What the frozen broker finds in its sockets when it goes on, others may have written meanwhile.
fn frozen(kafka: &RealKafka, topic: &str, pause: Duration) -> Outcome {
    spread(kafka, topic)?;
    let config = config(kafka.bootstrap()).set("request.timeout.ms", "700");
    let producer = KafkaProducer::new(config)?;
    let sent = while_sending(&producer, topic, |progress| {
        kafka.pause_node(3)?;
        thread::sleep(pause);
        kafka.resume_node(3)?;
        progress.await_more_in(ALL_SIX, SOME)
    })?;
    exactly_once(kafka, topic, &sent)
}

fn leader_moved(kafka: &RealKafka) -> Outcome {
    let assignment: &[&[i32]] = &[&[1, 2], &[2, 3], &[3, 1]];
    kafka.create_topic(&NewTopic::assigned("moved", assignment))?;
    let producer = KafkaProducer::new(config(kafka.bootstrap()))?;
    let sent = while_sending(&producer, "moved", |progress| {
        for (partition, to) in [(0, 3), (1, 1), (2, 2), (0, 1), (0, 2)] {
            kafka.move_leader("moved", partition, to)?;
            progress.await_more_in(&[0, 1, 2], SOME)?;
        }
        Ok(())
    })?;
    let leaders = kafka.describe_topic("moved")?.partitions;
    let leaders: Vec<i32> = leaders.iter().map(|partition| partition.leader).collect();
    ensure(leaders == [2, 1, 2], || format!("leaders {leaders:?}"))?;
    exactly_once(kafka, "moved", &sent)?;
    identity(kafka, "moved", &sent)
}

/// A broker that comes back on its port, first after an orderly end, then after SIGKILL.
fn restarted(version: Version) -> Outcome {
    let kafka = RealKafka::start(&ClusterOptions::new(version))?;
    kafka.create_topic(&NewTopic::new("restarted", 2))?;
    let producer = KafkaProducer::new(config(kafka.bootstrap()))?;
    let again = |progress: &Progress| {
        kafka.start_node(1)?;
        progress.await_more_in(&[0, 1], SOME)
    };
    let sent = while_sending(&producer, "restarted", |progress| {
        kafka.stop_node(1)?;
        again(progress)?;
        kafka.kill_node(1)?;
        again(progress)
    })?;
    exactly_once(&kafka, "restarted", &sent)
}

/// With one of two replicas gone, nothing is written that two must have.
fn replica_missing(kafka: &RealKafka) -> Outcome {
    let topic = NewTopic::assigned("replicas", &[&[1, 2]]).config("min.insync.replicas", "2");
    kafka.create_topic(&topic)?;
    kafka.stop_node(2)?;
    let impatient = KafkaProducer::new(config(kafka.bootstrap()).set("retries", "5"))?;
    let failed = impatient
        .send(ProducerRecord::new("replicas", "given up"))
        .map_err(|error| error.to_string())?
        .get()
        .expect_err("it needs two replicas");
    let is_so = failed.error().code_name() == Some("NOT_ENOUGH_REPLICAS")
        && failed.persistence() == Persistence::NotWritten
        && failed.to_string().contains("6 attempts (retries)");
    ensure(is_so, || format!("{failed} ({:?})", failed.persistence()))?;
    let patient = KafkaProducer::new(config(kafka.bootstrap()))?;
    let mut waiting = patient
        .send(ProducerRecord::new("replicas", "waiting"))
        .map_err(|error| error.to_string())?;
    let early = waiting.get_timeout(Duration::from_secs(1));
    ensure(early.is_none(), || format!("too early: {early:?}"))?;
    kafka.start_node(2)?;
    let said = waiting.get()?;
    let read = kafka.read_topic("replicas")?;
    let values: Vec<_> = read.iter().map(|read| read.value.as_deref()).collect();
    ensure(values == [Some(&b"waiting"[..])], || format!("{read:?}"))?;
    ensure(read.last().map(|read| read.offset) == said.offset(), || {
        format!("{said:?}, but {read:?}")
    })?;
    Ok(())
}

fn one_living(kafka: &RealKafka) -> Outcome {
    spread(kafka, "one-living")?;
    kafka.stop_node(1)?;
    // A port from below the range of what tests take: nobody listens there.
    let list = format!("{},127.0.0.1:9,{}", kafka.address(1)?, kafka.address(3)?);
    let producer = KafkaProducer::new(config(list))?;
    let sent = while_sending(&producer, "one-living", |progress| {
        progress.await_more_in(ALL_SIX, SOME)
    })?;
    exactly_once(kafka, "one-living", &sent)?;
    Ok(kafka.start_node(1)?)
}

/// Nothing that happened made the producer take another identity: its id, epoch 0, all sequences.
fn identity(kafka: &RealKafka, topic: &str, sent: &[Sent]) -> Outcome {
    let mut ids = Vec::new();
    for partition in 0..i32::try_from(kafka.describe_topic(topic)?.partitions.len())? {
        let is_there = |sent: &&Sent| {
            sent.outcome
                .as_ref()
                .is_ok_and(|m| m.partition() == partition)
        };
        let last = i64::try_from(sent.iter().filter(is_there).count())? - 1;
        let known = kafka.describe_producers(topic, partition)?;
        ensure(
            matches!(known.as_slice(), [one] if (one.epoch, one.last_sequence) == (0, last)),
            || format!("partition {partition}, last sequence {last}: {known:?}"),
        )?;
        ids.extend(known.iter().map(|known| known.id));
    }
    ids.dedup();
    ensure(ids.len() == 1, || format!("producer ids {ids:?}"))?;
    Ok(())
}
