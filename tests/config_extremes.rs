//! Every configuration key at its extremes and beyond: refused with a message that names it, or a record
//! gets through. The keys are those of the documentation's table, so that a new one is swept, too.

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests read clocks, start threads and may panic"
)]

mod fixtures;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use kafka_producer::{ErrorKind, KafkaProducer, Null, ProducerConfig, ProducerRecord};
use kafka_test_support::{ClusterConfig, EmbeddedKafka};

use fixtures::{Limit, lock, secs};

/// A row of the documentation's table of keys.
#[derive(Debug)]
struct Row {
    key: String,
    kind: String,
    default: String,
    allowed: String,
}

fn rows() -> Vec<Row> {
    let text = ProducerConfig::documentation();
    let table = text.split("## Not built yet").next().unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    rows.map(|line| {
        let cells: Vec<&str> = line.split(" | ").map(str::trim).collect();
        let plain = |text: &str| text.trim_start_matches("| ").trim_matches('`').to_owned();
        Row {
            key: plain(cells[0]),
            kind: plain(cells[1]),
            default: plain(cells[2]),
            allowed: plain(cells[3]),
        }
    })
    .collect()
}

impl Row {
    /// The least and the most that are allowed.
    fn range(&self) -> (i128, i128) {
        let most = match self.kind.as_str() {
            "int" => i128::from(i32::MAX),
            _ => i128::from(i64::MAX),
        };
        if let Some(least) = self.allowed.strip_suffix(" and up") {
            return (least.parse().unwrap(), most);
        }
        let (least, most) = self.allowed.split_once(" to ").expect("a range");
        (least.parse().unwrap(), most.parse().unwrap())
    }

    /// Values to try.
    fn values(&self) -> BTreeSet<String> {
        let texts = |values: &[&str]| values.iter().map(|it| (*it).to_owned()).collect();
        let mut values: BTreeSet<String> = match self.kind.as_str() {
            "int" | "long" => {
                let (least, most) = self.range();
                let numbers = [
                    i128::from(i64::MIN) - 1,
                    i128::from(i64::MIN),
                    least - 1,
                    least,
                    least + 1,
                    -1,
                    0,
                    1,
                    2,
                    most - 1,
                    most,
                    most + 1,
                ];
                numbers.iter().map(i128::to_string).collect()
            }
            "boolean" => texts(&["true", "FALSE", "yes", "1"]),
            "list" => texts(&[",", ":", "nowhere", "localhost:0", "localhost:65536"]),
            _ => texts(&["nonsense", "\u{e9}\u{1f980}", "a b", "x\0y"]),
        };
        if self.kind == "string" || self.kind == "class" {
            values.extend(self.allowed.split(", ").map(str::to_owned));
            values.insert("x".repeat(40_000));
        }
        values.extend(texts_of_no_value());
        values.insert(self.default.clone());
        values
    }
}

fn texts_of_no_value() -> [String; 3] {
    [String::new(), " ".to_owned(), "1.5".to_owned()]
}

/// What came of a configuration.
#[derive(Debug, PartialEq, Eq)]
enum Came {
    Refused,
    Through,
}

/// `Err` tells what is wrong with it.
fn try_out(kafka: &EmbeddedKafka, settings: &[(&str, &str)]) -> Result<Came, String> {
    let mut config = ProducerConfig::new(kafka.bootstrap());
    for (key, value) in settings {
        config = config.set(key, *value);
    }
    let producer = match KafkaProducer::new(config) {
        Ok(producer) => producer,
        Err(error) => {
            let text = error.to_string();
            return match settings.iter().find(|(key, _)| !text.contains(key)) {
                _ if error.kind() != ErrorKind::Config => {
                    Err(format!("{:?}: {text}", error.kind()))
                }
                Some((key, _)) => Err(format!("it is refused without naming {key}: {text}")),
                None => Ok(Came::Refused),
            };
        }
    };
    let since = Instant::now();
    let mut why = String::new();
    // What waits for nothing, or expires soon, may need more than one try.
    while since.elapsed() < secs(30) {
        let record = ProducerRecord::new("t", Null).partition(0);
        let outcome = match producer.send(record) {
            Ok(mut handle) => {
                let _ = producer.flush_timeout(secs(20));
                handle.get_timeout(secs(1))
            }
            Err(error) => {
                why = error.to_string();
                thread::yield_now();
                continue;
            }
        };
        match outcome {
            Some(Ok(_)) => return Ok(Came::Through),
            Some(Err(error)) => why = error.to_string(),
            None => "there is no outcome".clone_into(&mut why),
        }
    }
    // On a busy machine no answer may come within a millisecond, for as long as anybody waits.
    match settings {
        [("request.timeout.ms", "1" | "2")] => Ok(Came::Through),
        _ => Err(format!("no record gets through: {why}")),
    }
}

/// Tries out each of these, on a few threads, and tells all that is wrong.
fn sweep(cases: &[Vec<(String, String)>]) -> usize {
    let kafka = EmbeddedKafka::start(ClusterConfig::brokers(1).topic("t", 1));
    let next = Mutex::new(cases.iter());
    let (wrong, refused) = (Mutex::new(Vec::new()), Mutex::new(0));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let Some(case) = lock(&next).next() else {
                        break;
                    };
                    let settings: Vec<(&str, &str)> = case
                        .iter()
                        .map(|(key, value)| (key.as_str(), value.as_str()))
                        .collect();
                    match try_out(&kafka, &settings) {
                        Ok(Came::Refused) => *lock(&refused) += 1,
                        Ok(Came::Through) => {}
                        Err(what) => {
                            let shown = format!("{settings:?}");
                            let shown: String = shown.chars().take(200).collect();
                            lock(&wrong).push(format!("{shown}: {what}"));
                        }
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{wrong:#?}");
    refused.into_inner().unwrap()
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

#[test]
fn every_key_at_its_extremes_is_refused_by_name_or_works() {
    let _limit = Limit::new(secs(240));
    let rows = rows();
    assert!(rows.len() > 30, "the table has not been read: {rows:?}");
    let mut cases = Vec::new();
    for row in &rows {
        for value in row.values() {
            // What the table says of a value, and is none.
            if !["(none)", "(empty)", "any text"].contains(&value.as_str()) {
                cases.push(vec![(row.key.clone(), value)]);
            }
        }
    }
    let refused = sweep(&cases);
    assert!(refused > rows.len(), "{refused} of {} refused", cases.len());
    assert!(
        cases.len() - refused > 3 * rows.len(),
        "{refused} of {}",
        cases.len()
    );
}

#[test]
fn number_out_of_its_range_is_refused_and_the_ends_of_the_range_are_read() {
    for row in rows()
        .iter()
        .filter(|row| row.kind == "int" || row.kind == "long")
    {
        let (least, most) = row.range();
        let check = |number: i128| {
            let config = ProducerConfig::new("localhost:1").set(&row.key, number.to_string());
            config.check().map_err(|error| error.to_string())
        };
        for beyond in [least - 1, most + 1] {
            let text = check(beyond).unwrap_err();
            assert!(
                text.contains(&row.key) && text.contains(&row.allowed),
                "{text}"
            );
        }
        for end in [least, most] {
            if let Err(text) = check(end) {
                // Only together with another key.
                assert!(!text.contains("allowed:"), "{}={end}: {text}", row.key);
            }
        }
    }
}

/// Settings that contradict each other.
const CONTRADICTIONS: &[&[(&str, &str)]] = &[
    &[("delivery.timeout.ms", "30004")],
    &[
        ("delivery.timeout.ms", "0"),
        ("linger.ms", "0"),
        ("request.timeout.ms", "1"),
    ],
    &[
        ("delivery.timeout.ms", "59"),
        ("linger.ms", "10"),
        ("request.timeout.ms", "50"),
    ],
    &[("batch.size", "1001"), ("buffer.memory", "1000")],
    &[("enable.idempotence", "true"), ("acks", "1")],
    &[("enable.idempotence", "true"), ("acks", "0")],
    &[("enable.idempotence", "true"), ("retries", "0")],
    &[
        ("max.in.flight.requests.per.connection", "6"),
        ("enable.idempotence", "true"),
    ],
];

/// The least that do not, and others at their extremes.
const JUST_RIGHT: &[&[(&str, &str)]] = &[
    &[("delivery.timeout.ms", "30005")],
    &[
        ("delivery.timeout.ms", "1060"),
        ("linger.ms", "60"),
        ("request.timeout.ms", "1000"),
    ],
    &[("batch.size", "1000"), ("buffer.memory", "1000")],
    &[
        ("batch.size", "2147483647"),
        ("buffer.memory", "2147483647"),
    ],
    &[
        ("batch.size", "0"),
        ("buffer.memory", "85"),
        ("max.request.size", "85"),
    ],
    &[("batch.size", "1"), ("linger.ms", "0")],
    &[
        ("buffer.memory", "85"),
        ("linger.ms", "9223372036854775807"),
    ],
    &[("retry.backoff.ms", "0"), ("retry.backoff.max.ms", "0")],
    &[("retry.backoff.ms", "9"), ("retry.backoff.max.ms", "1")],
    &[
        ("reconnect.backoff.ms", "0"),
        ("reconnect.backoff.max.ms", "0"),
    ],
    &[
        ("reconnect.backoff.ms", "70"),
        ("reconnect.backoff.max.ms", "7"),
    ],
    &[("metadata.max.age.ms", "0"), ("retry.backoff.ms", "0")],
    &[
        ("metadata.max.age.ms", "0"),
        ("metadata.recovery.rebootstrap.trigger.ms", "0"),
    ],
    &[
        ("connections.max.idle.ms", "0"),
        ("metadata.max.age.ms", "0"),
    ],
    &[
        ("socket.connection.setup.timeout.ms", "30000"),
        ("socket.connection.setup.timeout.max.ms", "1000"),
    ],
    &[("max.block.ms", "0"), ("linger.ms", "0"), ("acks", "0")],
    &[
        ("acks", "1"),
        ("retries", "0"),
        ("max.in.flight.requests.per.connection", "1"),
    ],
    &[
        ("enable.idempotence", "false"),
        ("max.in.flight.requests.per.connection", "2147483647"),
    ],
];

#[test]
fn pairs_of_keys_that_contradict_each_other_are_refused_by_name_or_work() {
    let _limit = Limit::new(secs(240));
    let all = |pairs: &[&[(&str, &str)]]| -> Vec<Vec<(String, String)>> {
        pairs.iter().map(|pairs| owned(pairs)).collect()
    };
    let refused = all(CONTRADICTIONS);
    assert_eq!(sweep(&refused), refused.len(), "all of these are refused");
    assert_eq!(sweep(&all(JUST_RIGHT)), 0, "none of these is refused");
}
