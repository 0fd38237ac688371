//! Keys that nobody knows: most are typing errors, or what another client calls the same thing.
//!
//! Java warns and goes on, so that a misspelt `acks` is noticed when data is lost. Thread: any.
//! Locks: none.

use super::key_table::KEYS;
use super::unbuilt::UNBUILT;

/// What the key was probably meant to be.
pub(super) fn suggestion(name: &str) -> Option<&'static str> {
    let elsewhere = SPELLINGS.iter().find(|(other, _)| *other == name);
    if let Some((_, ours)) = elsewhere {
        return Some(ours);
    }
    let built = KEYS.iter().map(|key| key.name);
    let all = built.chain(UNBUILT.iter().map(|(name, _)| *name));
    all.map(|known| (distance(name, known), known))
        .filter(|(far, known)| *far <= MOST_TYPING_ERRORS && 2 * far < known.len())
        .min()
        .map(|(_, known)| known)
}

/// Letters to insert, remove or change (Levenshtein), where that is at most two.
fn distance(a: &str, b: &str) -> usize {
    if a.len().abs_diff(b.len()) > MOST_TYPING_ERRORS {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (at, from) in a.chars().enumerate() {
        let mut diagonal = at;
        let mut left = at + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(b.chars()) {
            let changed = diagonal + usize::from(from != to);
            diagonal = *cell;
            left = changed.min(left + 1).min(*cell + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = at + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

const MOST_TYPING_ERRORS: usize = 2;

/// librdkafka's names, those of the Scala producer, and old ones of the Java producer.
static SPELLINGS: &[(&str, &str)] = &[
    ("batch.num.messages", "batch.size"),
    ("block.on.buffer.full", "max.block.ms"),
    ("broker.list", "bootstrap.servers"),
    ("compression.codec", "compression.type"),
    ("connect.timeout.ms", "socket.connection.setup.timeout.ms"),
    ("idempotence", "enable.idempotence"),
    ("key.serializer.class", "key.serializer"),
    ("max.in.flight", "max.in.flight.requests.per.connection"),
    ("message.max.bytes", "max.request.size"),
    ("message.send.max.retries", "retries"),
    ("message.timeout.ms", "delivery.timeout.ms"),
    ("metadata.broker.list", "bootstrap.servers"),
    ("metadata.fetch.timeout.ms", "max.block.ms"),
    ("partitioner", "partitioner.class"),
    ("queue.buffering.max.kbytes", "buffer.memory"),
    ("queue.buffering.max.messages", "buffer.memory"),
    ("queue.buffering.max.ms", "linger.ms"),
    ("queue.enqueue.timeout.ms", "max.block.ms"),
    ("queue.time", "linger.ms"),
    ("request.required.acks", "acks"),
    ("serializer.class", "value.serializer"),
    ("socket.receive.buffer.bytes", "receive.buffer.bytes"),
    ("socket.send.buffer.bytes", "send.buffer.bytes"),
    ("socket.timeout.ms", "request.timeout.ms"),
    ("topic.metadata.refresh.interval.ms", "metadata.max.age.ms"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestion_mends_typing_errors() {
        assert_eq!(suggestion("linger.mss"), Some("linger.ms"));
        assert_eq!(suggestion("lingerms"), Some("linger.ms"));
        assert_eq!(suggestion("ack"), Some("acks"));
        assert_eq!(suggestion("enable.idempotense"), Some("enable.idempotence"));
        assert_eq!(suggestion("sasl.mechanisms"), Some("sasl.mechanism"));
    }

    #[test]
    fn suggestion_knows_how_others_spell_it() {
        assert_eq!(suggestion("request.required.acks"), Some("acks"));
        assert_eq!(
            suggestion("metadata.broker.list"),
            Some("bootstrap.servers")
        );
        assert!(
            SPELLINGS
                .iter()
                .all(|(_, ours)| KEYS.iter().any(|key| key.name == *ours))
        );
    }

    #[test]
    fn suggestion_of_something_else_is_none() {
        for foreign in ["my.plugin.setting", "a", "x.ms", ""] {
            assert_eq!(suggestion(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn distance_counts_letters() {
        assert_eq!(distance("acks", "acks"), 0);
        assert_eq!(distance("acks", "aks"), 1);
        assert_eq!(distance("acks", "acsk"), 2);
        assert_eq!(distance("abc", "xyz"), 3);
        assert_eq!(distance("a", "abcd"), usize::MAX);
    }
}
