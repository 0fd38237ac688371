//! Scenarios as text and back: what the shrinker turns its knobs on, and how failures are kept
//! under `regressions/`.
//!
//! Thread: any. Locks: none.
//! A scenario is a list of values with names, `config.acks` is `-1`; a line of the file holds what
//! belongs together, `config acks=-1 linger_ms=5`. What a file does not name has the value that it
//! has in a plain scenario, so that files outlive new fields.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::draw::Contradiction;
use super::faults::{FaultKind, FaultPlan};
use super::plain::Plain;
use super::scenario::{ClusterPlan, ConfigPlan, Ending, Habits, Scenario, ThreadPlan, TopicPlan};

/// Values by name, in the order of the fields.
pub(super) type Values = Vec<(String, String)>;

/// All of it.
pub(super) fn values(scenario: &Scenario) -> Values {
    let mut values = Values::new();
    scenario.put("", &mut values);
    values
}

/// The scenario that has these values.
pub(super) fn from_values(values: &Values) -> Result<Scenario, String> {
    let given: BTreeMap<&str, &str> = values
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let mut scenario = Scenario::plain();
    scenario.set("", &given)?;
    let mut known = Values::new();
    scenario.put("", &mut known);
    let known: BTreeMap<&str, &str> = known
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    match given.keys().find(|name| !known.contains_key(**name)) {
        Some(name) => Err(format!("a scenario has no {name}")),
        None => Ok(scenario),
    }
}

/// For a file.
pub(super) fn write(scenario: &Scenario) -> String {
    lines(&values(scenario))
}

/// Only what is not as in a plain scenario, for people.
pub(super) fn summary(scenario: &Scenario) -> String {
    let mut plain = Scenario::plain();
    plain.threads = scenario.threads.iter().map(|_| Plain::plain()).collect();
    plain.faults = scenario.faults.iter().map(|_| Plain::plain()).collect();
    let topics = &scenario.cluster.topics;
    plain.cluster.topics = topics.iter().map(|_| Plain::plain()).collect();
    let plain: BTreeMap<String, String> = values(&plain).into_iter().collect();
    let mut values = values(scenario);
    values.retain(|(name, value)| plain.get(name) != Some(value));
    lines(&values)
}

fn lines(values: &Values) -> String {
    let mut text = String::new();
    let mut open = None;
    for (name, value) in values {
        let (group, field) = name.rsplit_once('.').unwrap_or(("scenario", name));
        if open != Some(group) {
            if open.is_some() {
                text.push('\n');
            }
            text.push_str(group);
            open = Some(group);
        }
        let _ = write!(text, " {field}={}", escaped(value));
    }
    text.push('\n');
    text
}

/// Reads what [`write`] wrote; lines that begin with `#` are for people.
pub(super) fn read(text: &str) -> Result<Scenario, String> {
    let mut values = Values::new();
    for (number, line) in text.lines().enumerate() {
        let mut words = line.split_whitespace();
        let Some(group) = words.next().filter(|word| !word.starts_with('#')) else {
            continue;
        };
        for word in words {
            let (field, value) = word
                .split_once('=')
                .ok_or_else(|| format!("line {}: {word} is no name=value", number + 1))?;
            let name = match group {
                "scenario" => field.to_owned(),
                group => format!("{group}.{field}"),
            };
            values.push((name, unescaped(value)));
        }
    }
    from_values(&values)
}

fn escaped(value: &str) -> String {
    let mut text = String::new();
    for c in value.chars() {
        match c {
            '%' => text.push_str("%25"),
            ' ' => text.push_str("%20"),
            '\n' => text.push_str("%0a"),
            c => text.push(c),
        }
    }
    text
}

fn unescaped(value: &str) -> String {
    value
        .replace("%20", " ")
        .replace("%0a", "\n")
        .replace("%25", "%")
}

type Given<'a> = BTreeMap<&'a str, &'a str>;

/// What can be written as values, and be set from them where they are given.
trait Text {
    fn put(&self, name: &str, to: &mut Values);
    fn set(&mut self, name: &str, from: &Given<'_>) -> Result<(), String>;
}

/// The name of a part.
fn part(of: &str, name: &str) -> String {
    if of.is_empty() {
        name.to_owned()
    } else {
        format!("{of}.{name}")
    }
}

/// All fields of a struct; one that is forgotten is an error of the compiler.
macro_rules! fields {
    ($type:ident { $($field:ident),* $(,)? }) => {
        impl Text for $type {
            fn put(&self, whole: &str, to: &mut Values) {
                let Self { $($field),* } = self;
                $($field.put(&part(whole, stringify!($field)), to);)*
            }

            fn set(&mut self, whole: &str, from: &Given<'_>) -> Result<(), String> {
                let Self { $($field),* } = self;
                $($field.set(&part(whole, stringify!($field)), from)?;)*
                Ok(())
            }
        }
    };
}

/// What is one word.
macro_rules! words {
    ($($type:ty),*) => {
        $(impl Text for $type {
            fn put(&self, name: &str, to: &mut Values) {
                to.push((name.to_owned(), self.to_string()));
            }

            fn set(&mut self, name: &str, from: &Given<'_>) -> Result<(), String> {
                if let Some(value) = from.get(name) {
                    *self = value.parse().map_err(|_| bad(name, value))?;
                }
                Ok(())
            }
        })*
    };
}

fn bad(name: &str, value: &str) -> String {
    format!("{name} cannot be {value:?}")
}

words!(bool, i16, i32, i64, u32, u64, usize, String);

fields!(Scenario {
    seed,
    safety,
    ending,
    config,
    cluster,
    threads,
    faults,
});
fields!(ConfigPlan {
    acks,
    idempotence,
    max_in_flight,
    linger_ms,
    batch_size,
    buffer_memory,
    topic_share,
    max_request_size,
    delivery_timeout_ms,
    request_timeout_ms,
    max_block_ms,
    retries,
    retry_backoff_ms,
    reconnect_backoff_ms,
    setup_timeout_ms,
    max_idle_ms,
    metadata_max_age_ms,
    metadata_max_idle_ms,
    rebootstrap_trigger_ms,
    ignore_keys,
    fails_recreated,
    callback_thread,
    first_sequence,
    contradictions,
    bootstrap_servers,
    bootstrap_by_name,
});
fields!(ClusterPlan {
    seed,
    brokers,
    versions,
    producer_window,
    forgets_after_ms,
    refuses_unknown_first_sequence,
    first_epoch,
    topics,
});
fields!(TopicPlan {
    name,
    partitions,
    log_append_time,
    min_insync_replicas,
    max_message_bytes,
});
fields!(ThreadPlan {
    seed,
    calls,
    pause_us,
    burst,
    largest_value,
    huge_records,
    deaf,
    habits,
});
fields!(Habits {
    flush,
    flush_timeout,
    partitions_for,
    renew_clone,
    purge,
    try_send,
    send_when_ready,
    serializers,
    keyed,
    explicit_partition,
    explicit_timestamp,
    headers,
    null_value,
    huge,
    bad_record,
    callback,
    wait_for_handle,
    keep_handle,
});
fields!(FaultPlan {
    kind,
    seed,
    strength,
    from,
    until,
});

impl Text for (u64, u64) {
    fn put(&self, name: &str, to: &mut Values) {
        to.push((name.to_owned(), format!("{}..{}", self.0, self.1)));
    }

    fn set(&mut self, name: &str, from: &Given<'_>) -> Result<(), String> {
        if let Some(value) = from.get(name) {
            let parsed = value
                .split_once("..")
                .and_then(|(low, high)| Some((low.parse().ok()?, high.parse().ok()?)));
            *self = parsed.ok_or_else(|| bad(name, value))?;
        }
        Ok(())
    }
}

/// Milliseconds with as many decimals as there are.
impl Text for Duration {
    fn put(&self, name: &str, to: &mut Values) {
        let (ms, ns) = (self.as_millis(), self.subsec_nanos() % 1_000_000);
        let decimals = format!(".{ns:06}");
        let decimals = decimals.trim_end_matches('0').trim_end_matches('.');
        to.push((name.to_owned(), format!("{ms}{decimals}ms")));
    }

    fn set(&mut self, name: &str, from: &Given<'_>) -> Result<(), String> {
        if let Some(value) = from.get(name) {
            let parsed = value.strip_suffix("ms").and_then(|number| {
                let (ms, decimals) = number.split_once('.').unwrap_or((number, ""));
                let ns = format!("{decimals:0<6}");
                let ns = Self::from_nanos((ns.len() == 6).then(|| ns.parse().ok())??);
                Self::from_millis(ms.parse().ok()?).checked_add(ns)
            });
            *self = parsed.ok_or_else(|| bad(name, value))?;
        }
        Ok(())
    }
}

impl Text for Option<u64> {
    fn put(&self, name: &str, to: &mut Values) {
        let value = self.map_or_else(|| "none".to_owned(), |number| number.to_string());
        to.push((name.to_owned(), value));
    }

    fn set(&mut self, name: &str, from: &Given<'_>) -> Result<(), String> {
        match from.get(name) {
            None => {}
            Some(&"none") => *self = None,
            Some(value) => *self = Some(value.parse().map_err(|_| bad(name, value))?),
        }
        Ok(())
    }
}

/// How many, then each with its number.
impl<T: Text + Plain> Text for Vec<T> {
    fn put(&self, name: &str, to: &mut Values) {
        to.push((part(name, "count"), self.len().to_string()));
        for (index, item) in self.iter().enumerate() {
            item.put(&part(name, &index.to_string()), to);
        }
    }

    fn set(&mut self, name: &str, from: &Given<'_>) -> Result<(), String> {
        let mut count = self.len();
        count.set(&part(name, "count"), from)?;
        if count > 1000 {
            return Err(bad(name, &count.to_string()));
        }
        self.resize_with(count, T::plain);
        for (index, item) in self.iter_mut().enumerate() {
            item.set(&part(name, &index.to_string()), from)?;
        }
        Ok(())
    }
}

/// By the names of their variants.
impl Text for FaultKind {
    fn put(&self, name: &str, to: &mut Values) {
        to.push((name.to_owned(), Self::name(*self).to_owned()));
    }

    fn set(&mut self, name: &str, from: &Given<'_>) -> Result<(), String> {
        if let Some(value) = from.get(name) {
            let kind = Self::ALL.iter().find(|kind| kind.name() == *value);
            *self = *kind.ok_or_else(|| bad(name, value))?;
        }
        Ok(())
    }
}

impl Text for Contradiction {
    fn put(&self, name: &str, to: &mut Values) {
        let (how, numbers) = match *self {
            Self::DeliveryTooShort {
                linger_ms,
                request_ms,
            } => ("DeliveryTooShort", (linger_ms, request_ms)),
            Self::BatchOverMemory { batch, memory } => {
                ("BatchOverMemory", (large(batch), large(memory)))
            }
            Self::IdempotenceWithAcks(leader) => ("IdempotenceWithAcks", (u64::from(leader), 0)),
            Self::IdempotenceWithoutRetries => ("IdempotenceWithoutRetries", (0, 0)),
            Self::IdempotenceWithManyInFlight(many) => {
                ("IdempotenceWithManyInFlight", (u64::from(many), 0))
            }
            Self::NoBootstrap => ("NoBootstrap", (0, 0)),
        };
        to.push((part(name, "how"), how.to_owned()));
        numbers.put(&part(name, "numbers"), to);
    }

    fn set(&mut self, name: &str, from: &Given<'_>) -> Result<(), String> {
        let how = from.get(part(name, "how").as_str()).copied();
        let mut numbers = (0, 0);
        numbers.set(&part(name, "numbers"), from)?;
        let size = |number| usize::try_from(number).expect("64 bits");
        *self = match how.unwrap_or("NoBootstrap") {
            "DeliveryTooShort" => Self::DeliveryTooShort {
                linger_ms: numbers.0,
                request_ms: numbers.1,
            },
            "BatchOverMemory" => Self::BatchOverMemory {
                batch: size(numbers.0),
                memory: size(numbers.1),
            },
            "IdempotenceWithAcks" => Self::IdempotenceWithAcks(numbers.0 != 0),
            "IdempotenceWithoutRetries" => Self::IdempotenceWithoutRetries,
            "IdempotenceWithManyInFlight" => {
                let many = u32::try_from(numbers.0).map_err(|_| bad(name, "so many"))?;
                Self::IdempotenceWithManyInFlight(many)
            }
            "NoBootstrap" => Self::NoBootstrap,
            other => return Err(bad(name, other)),
        };
        Ok(())
    }
}

fn large(size: usize) -> u64 {
    u64::try_from(size).expect("64 bits")
}

impl Text for Ending {
    fn put(&self, name: &str, to: &mut Values) {
        let mut put = |how: &str, times: &[(&str, Duration)]| {
            to.push((part(name, "how"), how.to_owned()));
            for (what, time) in times {
                time.put(&part(name, what), to);
            }
        };
        match *self {
            Self::Close => put("Close", &[]),
            Self::CloseEarly { at, timeout } => {
                put("CloseEarly", &[("at", at), ("timeout", timeout)]);
            }
            Self::Drop { at } => put("Drop", &[("at", at)]),
        }
    }

    fn set(&mut self, name: &str, from: &Given<'_>) -> Result<(), String> {
        let Some(how) = from.get(part(name, "how").as_str()) else {
            return Ok(());
        };
        let (mut at, mut timeout) = (Duration::ZERO, Duration::ZERO);
        at.set(&part(name, "at"), from)?;
        timeout.set(&part(name, "timeout"), from)?;
        *self = match *how {
            "Close" => Self::Close,
            "CloseEarly" => Self::CloseEarly { at, timeout },
            "Drop" => Self::Drop { at },
            other => return Err(bad(name, other)),
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn odd() -> Scenario {
        let mut scenario = Scenario::plain();
        scenario.seed = u64::MAX;
        scenario.config.max_idle_ms = None;
        scenario.config.rebootstrap_trigger_ms = Some(7);
        scenario.config.retry_backoff_ms = (3, 9);
        scenario.safety = Duration::from_nanos(1_000_500);
        scenario.ending = Ending::CloseEarly {
            at: Duration::from_millis(12),
            timeout: Duration::from_secs(1 << 40),
        };
        scenario.cluster.topics[0].name = "two words 100%".to_owned();
        scenario.threads = Vec::new();
        scenario.faults = vec![FaultPlan {
            until: Duration::from_micros(1),
            ..FaultPlan::plain()
        }];
        scenario
    }

    #[test]
    fn scenario_to_text_and_back_is_the_same() {
        for scenario in [Scenario::plain(), odd()] {
            let text = write(&scenario);
            let read = read(&text).unwrap();
            assert_eq!(format!("{read:?}"), format!("{scenario:?}"), "{text}");
        }
    }

    #[test]
    fn file_that_says_little_has_plain_values_for_the_rest() {
        let text = "# A comment.\n\nconfig acks=0\ncluster.topics count=2\ncluster.topics.1 partitions=3\n";
        let scenario = read(text).unwrap();
        assert_eq!(scenario.config.acks, 0);
        assert_eq!(scenario.config.linger_ms, 5);
        assert_eq!(scenario.cluster.topics[1].partitions, 3);
    }

    #[test]
    fn file_with_a_mistake_is_refused_by_name() {
        for (text, named) in [
            ("config akcs=0", "config.akcs"),
            ("config acks", "line 1: acks"),
            ("config acks=all", "config.acks"),
            ("threads.1 seed=3", "threads.1.seed"),
            ("threads count=100000000", "threads cannot"),
            ("faults count=1\nfaults.0 kind=nonsense", "faults.0.kind"),
            ("scenario safety=5s", "safety"),
            ("ending how=Somehow", "ending"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(named), "{text}: {error}");
        }
    }

    #[test]
    fn summary_shows_only_what_is_not_plain() {
        let mut scenario = Scenario::plain();
        scenario.config.acks = 1;
        scenario.faults = vec![FaultPlan::plain()];
        assert_eq!(summary(&scenario), "config acks=1\n");
    }
}
