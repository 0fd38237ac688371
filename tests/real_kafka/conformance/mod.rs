//! The embedded cluster and real Kafka held against each other: the same bytes to both, the same
//! answers from both.
//!
//! What differs on purpose stands in [`exceptions`], each with its reason; an exception that no
//! longer differs is a failure too. With `PRINT_ANSWERS` set, all answers are printed.

mod batch;
mod case;
mod exceptions;
mod format_cases;
mod plan;
mod request_cases;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::thread;
use std::time::{Duration, Instant};

use kafka_protocol::messages::{
    InitProducerIdRequest, MetadataRequest, TopicName, metadata_request::MetadataRequestTopic,
};
use kafka_protocol::protocol::StrBytes;
use kafka_test_support::real_kafka::{
    ClusterOptions, Failure, NewTopic, RawConnection, RealKafka, Version,
};
use kafka_test_support::{ClusterConfig, EmbeddedKafka, TopicConfig};
use uuid::Uuid;

use self::case::Case;
use self::exceptions::EXCEPTIONS;
use self::plan::Plan;
use crate::stage::Stage;
use crate::{Entry, Outcome, ensure};

pub(crate) const TRIALS: &[Entry] = &[
    Entry::new(
        "comparison_difference_or_stale_exception_is_reported",
        judge,
    ),
    Entry::new("embedded_cluster_answers_as_kafka_does", compare),
];

fn compare(_: &Stage) -> Outcome {
    let cases = Plan::cases();
    ensure(cases.len() >= 60, || format!("only {} cases", cases.len()))?;
    let kafka = RealKafka::start(&ClusterOptions::new(Version::V4_3_1))?;
    let topics = [
        NewTopic::new("plain", cases.len()),
        NewTopic::new("sized", 8).config("max.message.bytes", "500"),
        NewTopic::new("append-time", 4).config("message.timestamp.type", "LogAppendTime"),
        NewTopic::new("recent", 2).config("message.timestamp.before.max.ms", "60000"),
        NewTopic::new("compacted", 4).config("cleanup.policy", "compact"),
    ];
    for topic in &topics {
        kafka.create_topic(topic)?;
    }
    let embedded = EmbeddedKafka::start(embedded(cases.len()));
    await_producer_ids(&kafka.address(1)?)?;
    let real = answers(&cases, &kafka.address(1)?)?;
    let embedded = answers(&cases, &embedded.bootstrap())?;
    let names = cases.iter().map(|case| case.name.as_str());
    let answers: Vec<_> = names.zip(real.iter().zip(&embedded)).collect();
    let complaints = complaints(&answers, EXCEPTIONS);
    ensure(complaints.is_empty(), || {
        format!("of {} cases:\n{}", cases.len(), complaints.join("\n"))
    })?;
    Ok(())
}

/// What is not as it should be in the answers to each case: Kafka's and those of the embedded
/// cluster.
fn complaints(answers: &[(&str, (&String, &String))], exceptions: &[(&str, &str)]) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut exceptions: BTreeMap<&str, &str> = exceptions.iter().copied().collect();
    let mut seen = BTreeSet::new();
    for (name, (real, embedded)) in answers {
        if !seen.insert(name) {
            complaints.push(format!("{name}: two cases of one name"));
        }
        let problem = match (real == embedded, exceptions.remove(name)) {
            (true, None) | (false, Some(_)) => continue,
            (true, Some(reason)) => format!("differs no longer, though {reason}"),
            (false, None) => "differs".to_owned(),
        };
        complaints.push(format!(
            "{name}: {problem}\n  kafka    {real}\n  embedded {embedded}"
        ));
    }
    let left = exceptions.keys();
    complaints.extend(left.map(|name| format!("{name}: an exception for no case")));
    complaints
}

/// The comparison itself: a difference is reported, and so is an exception that is none.
fn judge(_: &Stage) -> Outcome {
    let (yes, no) = ("yes".to_owned(), "no".to_owned());
    let answers = [
        ("same", (&yes, &yes)),
        ("other", (&yes, &no)),
        ("other", (&yes, &yes)),
    ];
    let found = |exceptions| complaints(&answers[..2], exceptions);
    ensure(found(&[("other", "reason")]).is_empty(), || {
        "an exception did not count".to_owned()
    })?;
    for (exceptions, expected) in [
        (&[][..], "other: differs"),
        (&[("other", "r"), ("same", "r")], "same: differs no longer"),
        (
            &[("other", "r"), ("gone", "r")],
            "gone: an exception for no case",
        ),
    ] {
        let found = found(exceptions);
        let right = found.len() == 1 && found.iter().all(|text| text.starts_with(expected));
        ensure(right, || format!("{found:?} is not {expected}"))?;
    }
    let twice = complaints(&answers, &[("other", "reason")]);
    ensure(twice.len() == 1, || format!("{twice:?}"))?;
    Ok(())
}

/// The same cluster, embedded.
fn embedded(cases: usize) -> ClusterConfig {
    let partitions = i32::try_from(cases).unwrap();
    let mut recent = TopicConfig::new("recent", 2);
    recent.timestamp_before_max_ms = 60_000;
    ClusterConfig::brokers(1)
        .exactly_kafka()
        .auto_create_topics(false)
        .topic("plain", partitions)
        .topic_with(TopicConfig::new("sized", 8).max_message_bytes(500))
        .topic_with(TopicConfig::new("append-time", 4).log_append_time())
        .topic_with(recent)
        .topic_with(TopicConfig::new("compacted", 4).compacted())
}

fn answers(cases: &[Case], address: &str) -> Result<Vec<String>, Failure> {
    let id = plain_id(address)?;
    let print = env::var_os("PRINT_ANSWERS").is_some();
    let answers = cases.iter().map(|case| {
        let answer = case.run(address, id);
        // An answer that cannot be read is one of the ways to differ.
        let answer = answer.unwrap_or_else(|failure| format!("unreadable: {failure}"));
        if print {
            println!("{} | {answer}", case.name);
        }
        answer
    });
    Ok(answers.collect())
}

/// A broker that has just started gives ids out only after it has fetched some itself.
fn await_producer_ids(address: &str) -> Result<(), Failure> {
    let deadline = Instant::now() + Duration::from_secs(30);
    let request = InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_transaction_timeout_ms(60_000);
    let mut connection = RawConnection::open(address)?;
    loop {
        let said = connection.ask(&request, 2)?;
        if said.error_code == 0 {
            return Ok(());
        }
        ensure(Instant::now() < deadline, || {
            format!("no producer id: {said:?}")
        })?;
        thread::sleep(Duration::from_millis(10));
    }
}

fn plain_id(address: &str) -> Result<Uuid, Failure> {
    let name = TopicName(StrBytes::from_static_str("plain"));
    let topic = MetadataRequestTopic::default().with_name(Some(name));
    let request = MetadataRequest::default().with_topics(Some(vec![topic]));
    let said = RawConnection::open(address)?.ask(&request, 12)?;
    let topic = said.topics.first();
    topic
        .map(|topic| topic.topic_id)
        .ok_or_else(|| Failure::new("no topic `plain`"))
}
