//! What the application writes down: typed setters or Kafka's keys, both into the same place.
//!
//! Java's counterparts: `ProducerConfig`, `AbstractConfig`. Thread: application. Locks: none. What
//! was set is kept as text by key, so that a setter and a properties file cannot differ, and it is
//! known what was set and what is a default.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::key_table::{KEYS, key_named};
use super::settings::{Explicit, Settings, config};
use super::unbuilt::{JVM_ONLY, refuse, unbuilt_named};
use super::unknown::suggestion;
use crate::client::Resolver;
use crate::error::Error;

/// The configuration of a producer: Kafka's keys with Kafka 4.3's defaults.
///
/// Every key has a setter, and [`set`](Self::set) takes any key as Kafka spells it. Keys, defaults
/// and rules are listed in `docs/CONFIGURATION.md`. Values are checked when the producer is made (by
/// [`from_properties`](Self::from_properties) already when they are read).
///
/// ```
/// use std::time::Duration;
/// use kafka_producer::{Acks, ProducerConfig};
///
/// let config = ProducerConfig::new("broker-1:9092,broker-2:9092")
///     .client_id("billing")
///     .acks(Acks::All)
///     .linger(Duration::from_millis(20));
/// assert_eq!(config.get("linger.ms"), Some("20"));
/// config.check()?;
/// # Ok::<(), kafka_producer::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct ProducerConfig {
    explicit: Explicit,
    strict: bool,
    resolver: Option<Arc<dyn Resolver>>,
}

/// Who has to have a record before it counts as sent (`acks`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Acks {
    /// Nobody: the outcome is known once the bytes are handed to the socket.
    None,
    /// The partition's leader.
    Leader,
    /// All replicas that are in sync.
    All,
}

impl ProducerConfig {
    /// Begins with where the brokers are: `host:port`, several separated by commas
    /// (`bootstrap.servers`).
    pub fn new(bootstrap_servers: impl Into<String>) -> Self {
        Self::default().put("bootstrap.servers", bootstrap_servers)
    }

    /// Reads Kafka's keys, as from a Java properties file; the last value of a key counts.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for a value out of range, for keys that
    /// contradict each other, for a key that is not built yet, and for an unknown key that looks
    /// like a known one. Any other unknown key is a warning in the log.
    pub fn from_properties<K: AsRef<str>, V: Into<String>>(
        properties: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, Error> {
        let mut config = Self::default();
        for (key, value) in properties {
            config = config.set(key.as_ref(), value);
        }
        config.check()?;
        Ok(config)
    }

    /// Sets any key, as Kafka spells it.
    #[must_use]
    pub fn set(self, key: &str, value: impl Into<String>) -> Self {
        self.put(key.trim(), value)
    }

    /// Returns what a key was set to, or its default; `None` for a key without either.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let default = || key_named(key).and_then(|key| key.default);
        self.explicit.get(key).map(String::as_str).or_else(default)
    }

    /// Makes unknown keys errors instead of warnings.
    #[must_use]
    pub fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    /// Replaces the operating system's way from host names to addresses.
    #[must_use]
    pub fn resolver(mut self, resolver: Arc<dyn Resolver>) -> Self {
        self.resolver = Some(resolver);
        self
    }

    /// Checks every key and every rule, as [`KafkaProducer::new`](crate::KafkaProducer::new) does.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config), naming key, value and what is allowed.
    pub fn check(&self) -> Result<(), Error> {
        self.resolve().map(|_| ())
    }

    pub(crate) fn resolve(&self) -> Result<Settings, Error> {
        for (key, value) in &self.explicit {
            self.check_name(key, value)?;
        }
        Settings::resolve(&self.explicit)
    }

    pub(crate) fn own_resolver(&self) -> Option<Arc<dyn Resolver>> {
        self.resolver.as_ref().map(Arc::clone)
    }

    /// D15: what is not built and what is probably meant otherwise is refused.
    fn check_name(&self, name: &str, value: &str) -> Result<(), Error> {
        if key_named(name).is_some() || JVM_ONLY.contains(&name) {
            return Ok(());
        }
        if let Some(unbuilt) = unbuilt_named(name) {
            return refuse(unbuilt, value);
        }
        if let Some(meant) = suggestion(name) {
            return Err(config(format!(
                "unknown key {name:?}: did you mean {meant}?"
            )));
        }
        if self.strict {
            return Err(config(format!("unknown key {name:?}")));
        }
        log::warn!("unknown key {name:?} is ignored");
        Ok(())
    }

    fn put(mut self, key: &str, value: impl Into<String>) -> Self {
        self.explicit.insert(key.to_owned(), value.into());
        self
    }

    /// Rounded up: nothing becomes "at once" or "never" by being short.
    fn put_ms(self, key: &str, value: Duration) -> Self {
        let ms = value.as_nanos().div_ceil(1_000_000).min(i64::MAX as u128);
        self.put(key, ms.to_string())
    }
}

/// One setter per key; a time is rounded up to whole milliseconds.
impl ProducerConfig {
    /// `acks`: who has to have a record before it counts as sent.
    #[must_use]
    pub fn acks(self, acks: Acks) -> Self {
        let text = match acks {
            Acks::None => "0",
            Acks::Leader => "1",
            Acks::All => "all",
        };
        self.put("acks", text)
    }

    /// `batch.size`: bytes that a batch for one partition may have.
    #[must_use]
    pub fn batch_size(self, bytes: usize) -> Self {
        self.put("batch.size", bytes.to_string())
    }

    /// `buffer.memory`: bytes for all records that have no outcome yet.
    #[must_use]
    pub fn buffer_memory(self, bytes: usize) -> Self {
        self.put("buffer.memory", bytes.to_string())
    }

    /// `buffer.memory.share.per.topic`: per cent of `buffer.memory` that the records of one topic may
    /// take, 1 to 100 (no limit, the default). A topic that cannot be sent then leaves the rest of the
    /// memory to the others; who sends to it waits for what that topic gives back. Not one of Java's
    /// keys.
    #[must_use]
    pub fn buffer_memory_share_per_topic(self, percent: u8) -> Self {
        self.put("buffer.memory.share.per.topic", percent.to_string())
    }

    /// `callback.thread.enable`: whether callbacks run on a thread of their own
    /// (`kafka-producer-callback-thread | {client.id}`) instead of the network thread, false by
    /// default. Slow callbacks then do not keep the producer from sending and receiving, at the price of
    /// a hand-over for each batch that has any. Not one of Java's keys.
    #[must_use]
    pub fn callback_thread_enable(self, enable: bool) -> Self {
        self.put("callback.thread.enable", enable.to_string())
    }

    /// `client.id`: what brokers and logs call this producer.
    #[must_use]
    pub fn client_id(self, id: impl Into<String>) -> Self {
        self.put("client.id", id)
    }

    /// `connections.max.idle.ms`: after which time an unused connection is closed; `None` is never.
    #[must_use]
    pub fn connections_max_idle(self, idle: Option<Duration>) -> Self {
        match idle {
            Some(idle) => self.put_ms("connections.max.idle.ms", idle),
            None => self.put("connections.max.idle.ms", "-1"),
        }
    }

    /// `delivery.timeout.ms`: the longest time from `send` to the outcome.
    #[must_use]
    pub fn delivery_timeout(self, timeout: Duration) -> Self {
        self.put_ms("delivery.timeout.ms", timeout)
    }

    /// `enable.idempotence`: whether brokers recognise what is sent again.
    #[must_use]
    pub fn enable_idempotence(self, enable: bool) -> Self {
        self.put("enable.idempotence", enable.to_string())
    }

    /// `linger.ms`: how long a batch waits for more records.
    #[must_use]
    pub fn linger(self, linger: Duration) -> Self {
        self.put_ms("linger.ms", linger)
    }

    /// `max.block.ms`: the longest that `send` waits.
    #[must_use]
    pub fn max_block(self, most: Duration) -> Self {
        self.put_ms("max.block.ms", most)
    }

    /// `max.in.flight.requests.per.connection`: requests on their way to one broker at once.
    #[must_use]
    pub fn max_in_flight_requests_per_connection(self, requests: u32) -> Self {
        self.put(
            "max.in.flight.requests.per.connection",
            requests.to_string(),
        )
    }

    /// `max.request.size`: bytes that a request, and so a record, may have.
    #[must_use]
    pub fn max_request_size(self, bytes: usize) -> Self {
        self.put("max.request.size", bytes.to_string())
    }

    /// `metadata.max.age.ms`: after which time metadata is fetched again anyway.
    #[must_use]
    pub fn metadata_max_age(self, age: Duration) -> Self {
        self.put_ms("metadata.max.age.ms", age)
    }

    /// `metadata.max.idle.ms`: after which time an unused topic is forgotten.
    #[must_use]
    pub fn metadata_max_idle(self, idle: Duration) -> Self {
        self.put_ms("metadata.max.idle.ms", idle)
    }

    /// `metadata.recovery.strategy`: whether to begin anew with `bootstrap.servers` when no known
    /// broker can be reached.
    #[must_use]
    pub fn metadata_rebootstrap(self, rebootstrap: bool) -> Self {
        let strategy = if rebootstrap { "rebootstrap" } else { "none" };
        self.put("metadata.recovery.strategy", strategy)
    }

    /// `metadata.recovery.rebootstrap.trigger.ms`: the time without metadata before that.
    #[must_use]
    pub fn metadata_rebootstrap_trigger(self, after: Duration) -> Self {
        self.put_ms("metadata.recovery.rebootstrap.trigger.ms", after)
    }

    /// `partitioner.ignore.keys`: whether records with a key are spread like those without one.
    #[must_use]
    pub fn partitioner_ignore_keys(self, ignore: bool) -> Self {
        self.put("partitioner.ignore.keys", ignore.to_string())
    }

    /// `receive.buffer.bytes`: the socket's receive buffer; `None` leaves it to the operating system.
    #[must_use]
    pub fn receive_buffer_bytes(self, bytes: Option<usize>) -> Self {
        self.put(
            "receive.buffer.bytes",
            bytes.map_or("-1".to_owned(), |b| b.to_string()),
        )
    }

    /// `reconnect.backoff.ms` and `reconnect.backoff.max.ms`: the first and the longest pause before
    /// a broker is connected to again.
    #[must_use]
    pub fn reconnect_backoff(self, first: Duration, longest: Duration) -> Self {
        self.put_ms("reconnect.backoff.ms", first)
            .put_ms("reconnect.backoff.max.ms", longest)
    }

    /// `request.timeout.ms`: how long an answer may take.
    #[must_use]
    pub fn request_timeout(self, timeout: Duration) -> Self {
        self.put_ms("request.timeout.ms", timeout)
    }

    /// `retries`: how often a batch is sent again.
    #[must_use]
    pub fn retries(self, retries: u32) -> Self {
        self.put("retries", retries.to_string())
    }

    /// `retry.backoff.ms` and `retry.backoff.max.ms`: the first and the longest pause before a
    /// request is sent again.
    #[must_use]
    pub fn retry_backoff(self, first: Duration, longest: Duration) -> Self {
        self.put_ms("retry.backoff.ms", first)
            .put_ms("retry.backoff.max.ms", longest)
    }

    /// `send.buffer.bytes`: the socket's send buffer; `None` leaves it to the operating system.
    #[must_use]
    pub fn send_buffer_bytes(self, bytes: Option<usize>) -> Self {
        self.put(
            "send.buffer.bytes",
            bytes.map_or("-1".to_owned(), |b| b.to_string()),
        )
    }

    /// `socket.connection.setup.timeout.ms` and `.max.ms`: how long connecting may take at first and
    /// at most.
    #[must_use]
    pub fn socket_connection_setup_timeout(self, first: Duration, longest: Duration) -> Self {
        self.put_ms("socket.connection.setup.timeout.ms", first)
            .put_ms("socket.connection.setup.timeout.max.ms", longest)
    }
}

/// Keys that Java's producer does not have.
impl ProducerConfig {
    /// `topic.recreation.policy`: what becomes of records that were accepted for a topic which is then
    /// deleted and created again under its name. `false` (`adopt`, the default) sends them to the new
    /// topic, unless the old one may have them; `true` (`fail`) ends them with an error.
    #[must_use]
    pub fn fail_recreated_topics(self, fail: bool) -> Self {
        let policy = if fail { "fail" } else { "adopt" };
        self.put("topic.recreation.policy", policy)
    }
}

/// Every key with its value, one a line; of keys that nobody knows the value is hidden, because it
/// may be a secret.
impl fmt::Display for ProducerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for key in KEYS {
            writeln!(f, "{} = {}", key.name, self.get(key.name).unwrap_or("null"))?;
        }
        for name in self
            .explicit
            .keys()
            .filter(|name| key_named(name).is_none())
        {
            writeln!(f, "{name} = [hidden]")?;
        }
        Ok(())
    }
}

/// What was set; of keys that nobody knows the value is hidden.
impl fmt::Debug for ProducerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (name, value) in &self.explicit {
            match key_named(name) {
                Some(_) => map.entry(name, value),
                None => map.entry(name, &"[hidden]"),
            };
        }
        map.finish()
    }
}

/// The tables of docs/CONFIGURATION.md.
#[doc(hidden)]
impl ProducerConfig {
    /// Not public: the text that the documentation is held against.
    #[must_use]
    pub fn documentation() -> String {
        super::documentation::text()
    }
}
