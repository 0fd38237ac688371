//! What is handed to `send`: where to, and what (Java: `ProducerRecord`).
//!
//! Thread: any. Locks: none. Nothing here allocates: a borrowed topic stays borrowed.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::record::{Header, Headers};

/// A key or a value that is null: no key at all, or the value that deletes (a tombstone).
///
/// `None` of an `Option` is the same. No serializer is asked about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[allow(
    clippy::exhaustive_structs,
    reason = "it is a value that is written down"
)]
pub struct Null;

/// A record on its way to a topic: value, key, partition, timestamp and headers.
///
/// `K` and `V` are whatever the producer's serializers take; with the default ones that is
/// everything that is bytes (`&str`, `String`, `&[u8]`, `Vec<u8>`, `Bytes`, arrays, ...), an `Option`
/// of it, or [`Null`]. Neither the topic nor anything else is copied until `send`.
///
/// ```
/// use kafka_producer::{Null, ProducerRecord};
///
/// let plain = ProducerRecord::new("events", "a value");
/// let full = ProducerRecord::new("events", b"bytes".to_vec())
///     .key("user-7")
///     .header("trace", "a1")
///     .partition(3)
///     .timestamp_ms(1_700_000_000_000);
/// let tombstone = ProducerRecord::new("events", Null).key("user-7");
/// assert_eq!(full.topic, plain.topic);
/// assert_eq!(tombstone.value, Null);
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProducerRecord<'t, K = Null, V = Null> {
    /// Where to.
    pub topic: TopicName<'t>,
    /// The partition; without it, the key or else the producer decides.
    pub partition: Option<i32>,
    /// Milliseconds since 1970; without it, it is the time of `send`.
    pub timestamp_ms: Option<i64>,
    /// The key.
    pub key: K,
    /// The value.
    pub value: V,
    /// The headers.
    pub headers: Headers,
}

/// A topic's name, borrowed, owned or shared: made by `into` of `&str`, `String`, `Arc<str>`.
#[derive(Clone)]
pub struct TopicName<'t>(Repr<'t>);

#[derive(Clone)]
enum Repr<'t> {
    Borrowed(&'t str),
    Owned(Box<str>),
    Shared(Arc<str>),
}

impl<'t, V> ProducerRecord<'t, Null, V> {
    /// Creates a record without key; the partition is the producer's choice.
    #[inline]
    pub fn new(topic: impl Into<TopicName<'t>>, value: V) -> Self {
        Self {
            topic: topic.into(),
            partition: None,
            timestamp_ms: None,
            key: Null,
            value,
            headers: Headers::default(),
        }
    }
}

impl<'t, K, V> ProducerRecord<'t, K, V> {
    /// Sets the key: records with equal keys go to the same partition while the number of
    /// partitions stays the same.
    #[inline]
    #[must_use]
    pub fn key<K2>(self, key: K2) -> ProducerRecord<'t, K2, V> {
        ProducerRecord {
            topic: self.topic,
            partition: self.partition,
            timestamp_ms: self.timestamp_ms,
            key,
            value: self.value,
            headers: self.headers,
        }
    }

    /// Sets the partition, whatever the key. A negative one is refused by `send`; one that the
    /// topic does not have (yet) makes `send` wait for it, at most `max.block.ms`.
    #[inline]
    #[must_use]
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// Sets the timestamp, in milliseconds since 1970; without it, it is the time of `send`. A
    /// negative one is refused by `send`.
    #[inline]
    #[must_use]
    pub fn timestamp_ms(mut self, timestamp_ms: i64) -> Self {
        self.timestamp_ms = Some(timestamp_ms);
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, key: impl Into<String>, value: impl Into<bytes::Bytes>) -> Self {
        self.headers.push(Header::new(key, value));
        self
    }

    /// Replaces all headers.
    #[must_use]
    pub fn headers(mut self, headers: Headers) -> Self {
        self.headers = headers;
        self
    }

    /// Copies a borrowed topic, so that the record may outlive it.
    #[must_use]
    pub fn into_owned_topic(self) -> ProducerRecord<'static, K, V> {
        ProducerRecord {
            topic: self.topic.into_owned(),
            partition: self.partition,
            timestamp_ms: self.timestamp_ms,
            key: self.key,
            value: self.value,
            headers: self.headers,
        }
    }
}

/// Key and value are not shown: they may be anything, secrets included.
impl<K, V> fmt::Debug for ProducerRecord<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProducerRecord")
            .field("topic", &self.topic)
            .field("partition", &self.partition)
            .field("timestamp_ms", &self.timestamp_ms)
            .field("headers", &self.headers.len())
            .finish_non_exhaustive()
    }
}

impl TopicName<'_> {
    /// Returns the name.
    #[inline]
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Borrowed(name) => name,
            Repr::Owned(name) => name,
            Repr::Shared(name) => name,
        }
    }

    fn into_owned(self) -> TopicName<'static> {
        TopicName(match self.0 {
            Repr::Borrowed(name) => Repr::Owned(name.into()),
            Repr::Owned(name) => Repr::Owned(name),
            Repr::Shared(name) => Repr::Shared(name),
        })
    }
}

impl PartialEq for TopicName<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for TopicName<'_> {}

impl fmt::Debug for TopicName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for TopicName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<'t> From<&'t str> for TopicName<'t> {
    #[inline]
    fn from(name: &'t str) -> Self {
        Self(Repr::Borrowed(name))
    }
}

impl<'t> From<&'t String> for TopicName<'t> {
    #[inline]
    fn from(name: &'t String) -> Self {
        Self(Repr::Borrowed(name))
    }
}

impl From<String> for TopicName<'_> {
    fn from(name: String) -> Self {
        Self(Repr::Owned(name.into_boxed_str()))
    }
}

impl From<Arc<str>> for TopicName<'_> {
    fn from(name: Arc<str>) -> Self {
        Self(Repr::Shared(name))
    }
}

impl<'t> From<&'t Arc<str>> for TopicName<'t> {
    fn from(name: &'t Arc<str>) -> Self {
        Self(Repr::Borrowed(name))
    }
}

impl<'t> From<Cow<'t, str>> for TopicName<'t> {
    fn from(name: Cow<'t, str>) -> Self {
        match name {
            Cow::Borrowed(name) => name.into(),
            Cow::Owned(name) => name.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_keeps_what_it_was_given() {
        let record = ProducerRecord::new(String::from("topic"), 1_u8)
            .key("key")
            .partition(3)
            .timestamp_ms(9)
            .header("a", "1")
            .header("a", "2");
        assert_eq!(record.topic.as_str(), "topic");
        assert_eq!((record.key, record.value), ("key", 1));
        assert_eq!(record.partition, Some(3));
        assert_eq!(record.timestamp_ms, Some(9));
        assert_eq!(record.headers.len(), 2);
    }

    #[test]
    fn records_are_equal_if_everything_is() {
        let record = || {
            ProducerRecord::new("topic", "value")
                .key("key")
                .partition(1)
        };
        assert_eq!(record(), record());
        assert_eq!(record(), record().into_owned_topic());
        assert_ne!(record(), record().partition(2));
        assert_ne!(record(), record().timestamp_ms(1));
        assert_ne!(record(), record().header("a", "b"));
        assert_ne!(record(), record().key("other"));
    }

    #[test]
    fn debug_shows_neither_key_nor_value() {
        let shown = format!("{:?}", ProducerRecord::new("topic", "secret").key("hidden"));
        assert!(shown.contains("topic"));
        assert!(!shown.contains("secret") && !shown.contains("hidden"));
    }

    #[test]
    fn topic_names_of_all_kinds_are_equal() {
        let shared: Arc<str> = "topic".into();
        let kinds: [TopicName<'_>; 4] = [
            "topic".into(),
            String::from("topic").into(),
            (&shared).into(),
            Arc::clone(&shared).into(),
        ];
        assert!(kinds.iter().all(|name| name.as_str() == "topic"));
    }
}
