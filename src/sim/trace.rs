//! What happened in a run, in order: always as a hash, and in words when somebody reads it.
//!
//! Thread: the one that simulates. Locks: none. Invariant: the run does not depend on whether words
//! are kept; without them an event costs a few multiplications and no memory.

use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::hash::{Hash as _, Hasher};
use std::io;
use std::mem::discriminant;
use std::net::SocketAddr;
use std::time::Duration;

use kafka_test_support::{Event, What};

use super::coverage::Coverage;
use super::faults::FaultKind;
use super::frames::{Conversations, RequestWords};
use super::ledger::{End, Ledger, RecordId};
use crate::error::ErrorKind;
use crate::network::WireId;

thread_local! {
    /// What was written down: kept by the thread, so that it outlives a run that panics.
    static WORDS: RefCell<String> = const { RefCell::new(String::new()) };
}

/// What was written down since the last time.
pub(crate) fn take_words() -> String {
    WORDS.take()
}

/// The events of one run.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: Digest,
    with_words: bool,
    conversations: Conversations,
    pub(crate) coverage: Coverage,
}

/// One event. What belongs to a connection names it, as `#17`, beside its node.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Happening<'a> {
    LooksUp {
        host: &'a str,
        port: u16,
    },
    Resolved {
        found: usize,
    },
    Connects {
        link: WireId,
        node: i32,
        address: SocketAddr,
    },
    Connected {
        link: WireId,
        node: i32,
    },
    /// The client's end of the connection broke.
    Breaks {
        link: WireId,
        node: i32,
        why: io::ErrorKind,
    },
    /// The client closes.
    Closes {
        link: WireId,
    },
    /// The client handed a whole request (without its size) to the socket.
    Request {
        link: WireId,
        node: i32,
        frame: &'a [u8],
    },
    /// The client has read a whole answer (without its size).
    Answer {
        link: WireId,
        node: i32,
        frame: &'a [u8],
    },
    /// As the brokers saw it.
    Cluster(&'a Event),
    FaultStrikes {
        kind: FaultKind,
        /// Of this kind's own meaning: a node, a number of milliseconds.
        detail: i64,
    },
    /// A call of the application has returned, well or with an error.
    Returns {
        thread: usize,
        call: &'static str,
        record: Option<RecordId>,
        error: Option<ErrorKind>,
    },
    /// What the application was told of a record.
    Told {
        record: RecordId,
        end: &'a End,
    },
    /// The run enters its next phase.
    Phase(&'static str),
}

impl Trace {
    /// With words it costs time and memory.
    pub(crate) fn new(with_words: bool) -> Self {
        Self {
            hash: Digest::default(),
            with_words,
            conversations: Conversations::default(),
            coverage: Coverage::default(),
        }
    }

    /// One event, and when it was.
    pub(crate) fn event(&mut self, at: Duration, event: Happening<'_>) {
        self.hash.duration(at);
        event.digest(&mut self.hash);
        match event {
            Happening::Request { link, frame, .. } => self.conversations.asks(link, frame),
            Happening::Answer { link, frame, .. } => self.answered(at, event, (link, frame)),
            Happening::Closes { link } => self.conversations.closes(link),
            _ => {}
        }
        // An answer is written down where it is read.
        if self.with_words && !matches!(event, Happening::Answer { .. }) {
            self.write(
                at,
                format_args!("{}", event.place()),
                format_args!("{event}"),
            );
        }
    }

    fn answered(&mut self, at: Duration, event: Happening<'_>, (link, frame): (WireId, &[u8])) {
        let answer = self.conversations.answered(link, frame);
        for (api, code) in answer.codes() {
            self.coverage.code(api, code);
        }
        if self.with_words {
            self.write(
                at,
                format_args!("{}", event.place()),
                format_args!("{event} {answer}"),
            );
        }
    }

    fn write(&self, at: Duration, place: fmt::Arguments<'_>, what: fmt::Arguments<'_>) {
        if !self.with_words {
            return;
        }
        let (ms, us) = (at.as_millis(), at.as_micros() % 1000);
        // Padding needs the place as one piece.
        let place = place.to_string();
        WORDS.with_borrow_mut(|words| {
            let _ = writeln!(words, "{ms:>9}.{us:03} {place:<9} {what}");
        });
    }

    /// The end of a run: all outcomes in the order in which they were told. Gives a hash of what was
    /// told, without when.
    pub(crate) fn told(&mut self, ledger: &Ledger, now: Duration) -> u64 {
        let mut outcomes = Digest::default();
        let mut told: Vec<(Duration, RecordId, &End)> = Vec::new();
        for entry in &ledger.entries {
            entry.refused.hash(&mut outcomes);
            let (id, handle) = (entry.spec.id, entry.handle.iter());
            for (at, end) in entry.callbacks.iter().chain(handle) {
                digest_end(end, &mut outcomes);
                told.push((*at, id, end));
            }
        }
        told.sort_by_key(|(at, id, _)| (*at, *id));
        self.event(now, Happening::Phase("what was told, and when"));
        for (at, record, end) in told {
            self.event(at, Happening::Told { record, end });
        }
        self.coverage.outcomes(ledger);
        outcomes.value()
    }

    /// The same for the same run.
    pub(crate) fn hash(&self) -> u64 {
        self.hash.value()
    }
}

/// Where an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Client,
    Node(i32),
    Thread(usize),
    Names,
    Fault,
    Run,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client => f.write_str("client"),
            Self::Node(node) => write!(f, "node {node}"),
            Self::Thread(thread) => write!(f, "thread {thread}"),
            Self::Names => f.write_str("dns"),
            Self::Fault => f.write_str("fault"),
            Self::Run => f.write_str("run"),
        }
    }
}

impl Happening<'_> {
    fn place(&self) -> Place {
        match self {
            Self::LooksUp { .. } | Self::Resolved { .. } => Place::Names,
            Self::Closes { .. } | Self::Told { .. } => Place::Client,
            Self::Connects { node, .. }
            | Self::Connected { node, .. }
            | Self::Breaks { node, .. }
            | Self::Request { node, .. }
            | Self::Answer { node, .. } => Place::Node(*node),
            Self::Cluster(event) => Place::Node(event.node),
            Self::FaultStrikes { .. } => Place::Fault,
            Self::Returns { thread, .. } => Place::Thread(*thread),
            Self::Phase(_) => Place::Run,
        }
    }

    /// The event as numbers: the same for the same event, another for another.
    fn digest(&self, hash: &mut Digest) {
        discriminant(self).hash(hash);
        match *self {
            Self::LooksUp { host, port } => (host, port).hash(hash),
            Self::Resolved { found } => found.hash(hash),
            Self::Connects {
                link,
                node,
                address,
            } => (link, node, address).hash(hash),
            Self::Connected { link, node } => (link, node).hash(hash),
            Self::Breaks { link, node, why } => (link, node, why).hash(hash),
            Self::Closes { link } => link.hash(hash),
            Self::Request { link, node, frame } | Self::Answer { link, node, frame } => {
                (link, node, frame).hash(hash);
            }
            Self::Cluster(event) => digest_cluster(event, hash),
            Self::FaultStrikes { kind, detail } => (discriminant(&kind), detail).hash(hash),
            Self::Returns {
                thread,
                call,
                record,
                error,
            } => (thread, call, record, error).hash(hash),
            Self::Told { record, end } => {
                record.hash(hash);
                digest_end(end, hash);
            }
            Self::Phase(name) => name.hash(hash),
        }
    }
}

fn digest_cluster(event: &Event, hash: &mut Digest) {
    (event.at_ms, event.node, event.connection).hash(hash);
    discriminant(&event.what).hash(hash);
    match &event.what {
        What::Opened | What::Closed => {}
        What::Request {
            api,
            version,
            correlation_id,
            ..
        } => (api, version, correlation_id).hash(hash),
        What::Produced(batch) => {
            (&batch.topic, batch.partition, batch.correlation_id).hash(hash);
            (
                batch.producer_id,
                batch.producer_epoch,
                batch.base_sequence,
                batch.count,
                batch.crc,
            )
                .hash(hash);
            (batch.error_code, batch.base_offset, batch.appended).hash(hash);
        }
        What::Refused(why) => why.hash(hash),
    }
}

/// What the application was told, without when.
pub(crate) fn digest_end(end: &End, hash: &mut Digest) {
    discriminant(end).hash(hash);
    match end {
        End::Acked {
            partition,
            offset,
            timestamp_ms,
        } => (partition, offset, timestamp_ms).hash(hash),
        End::Failed {
            partition,
            persistence,
            kind,
            text,
        } => (partition, persistence, kind, text).hash(hash),
    }
}

impl fmt::Display for Happening<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LooksUp { host, port } => write!(f, "asked for {host}:{port}"),
            Self::Resolved { found: 0 } => f.write_str("knows no address"),
            Self::Resolved { found } => write!(f, "told {found} addresses"),
            Self::Connects { link, address, .. } => {
                write!(f, "#{} connects to {address}", link.0)
            }
            Self::Connected { link, .. } => write!(f, "#{} connected", link.0),
            Self::Breaks { link, why, .. } => write!(f, "#{} breaks: {why}", link.0),
            Self::Closes { link } => write!(f, "closes #{}", link.0),
            Self::Request { link, frame, .. } => {
                write!(f, "#{} is asked {}", link.0, RequestWords(frame))
            }
            Self::Answer { link, .. } => write!(f, "#{} answers", link.0),
            Self::Cluster(event) => write_cluster(event, f),
            Self::FaultStrikes { kind, detail } => write!(f, "{} strikes: {detail}", kind.name()),
            Self::Returns {
                call,
                record,
                error,
                ..
            } => {
                write!(f, "{call} ")?;
                if let Some(record) = record {
                    write!(f, "of record {record} ")?;
                }
                match error {
                    None => f.write_str("returns"),
                    Some(kind) => write!(f, "fails: {kind:?}"),
                }
            }
            Self::Told { record, end } => write!(f, "record {record}: {end:?}"),
            Self::Phase(name) => write!(f, "---- {name} ----"),
        }
    }
}

fn write_cluster(event: &Event, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let connection = event.connection.0;
    match &event.what {
        What::Opened => write!(f, "  takes connection {connection}"),
        What::Closed => write!(f, "  connection {connection} is gone"),
        What::Request {
            api,
            version,
            correlation_id,
            ..
        } => write!(
            f,
            "  reads {api:?} v{version} c{correlation_id} on connection {connection}"
        ),
        What::Produced(batch) => write!(
            f,
            "  judges c{} {}-{} id={}/{} seq={}+{}: code={} offset={}{}",
            batch.correlation_id,
            batch.topic,
            batch.partition,
            batch.producer_id,
            batch.producer_epoch,
            batch.base_sequence,
            batch.count,
            batch.error_code,
            batch.base_offset,
            if batch.appended { ", appended" } else { "" }
        ),
        What::Refused(why) => write!(f, "  refuses what came on connection {connection}: {why}"),
    }
}

/// A hash of 64 bits, of eight bytes at a time: the same in every process.
#[derive(Debug, Clone)]
pub(crate) struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Digest {
    pub(crate) fn value(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.write(bytes);
    }

    fn word(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }

    fn duration(&mut self, at: Duration) {
        self.word(at.as_secs());
        self.word(u64::from(at.subsec_nanos()));
    }
}

impl Hasher for Digest {
    fn finish(&self) -> u64 {
        self.value()
    }

    fn write(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            self.word(u64::from_le_bytes(word.try_into().expect("eight")));
        }
        // The length tells what the zeros are.
        let mut last = [0; 8];
        let rest = words.remainder();
        last[..rest.len()].copy_from_slice(rest);
        self.word(u64::from_le_bytes(last));
        self.word(u64::try_from(bytes.len()).expect("64 bits"));
    }

    fn write_u64(&mut self, number: u64) {
        self.word(number);
    }
}

impl fmt::Write for Digest {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash_of(events: &[Happening<'_>], with_words: bool) -> (u64, String) {
        let mut trace = Trace::new(with_words);
        for (at, event) in (1..).zip(events) {
            trace.event(Duration::from_millis(at), *event);
        }
        (trace.hash(), take_words())
    }

    #[test]
    fn events_with_and_without_words_have_the_same_hash() {
        let events = [
            Happening::Connects {
                link: WireId(3),
                node: 1,
                address: ([10, 0, 0, 1], 9092).into(),
            },
            Happening::Request {
                link: WireId(3),
                node: 1,
                frame: &[0, 18, 0, 0, 0, 0, 0, 7, 255, 255],
            },
            Happening::Answer {
                link: WireId(3),
                node: 1,
                frame: &[0, 0, 0, 7, 0, 35, 0, 0, 0, 0],
            },
        ];
        let (silent, none) = hash_of(&events, false);
        let (told, words) = hash_of(&events, true);
        assert_eq!(silent, told);
        assert_eq!(none, "");
        let expected = concat!(
            "        1.000 node 1    #3 connects to 10.0.0.1:9092\n",
            "        2.000 node 1    #3 is asked ApiVersions v0 c7\n",
            "        3.000 node 1    #3 answers ApiVersions v0 c7 code=35\n",
        );
        assert_eq!(words, expected);
    }

    #[test]
    fn events_in_another_order_have_another_hash() {
        let (one, two) = (
            Happening::Closes { link: WireId(1) },
            Happening::Closes { link: WireId(2) },
        );
        assert_ne!(hash_of(&[one, two], false).0, hash_of(&[two, one], false).0);
        let frame = |frame| Happening::Request {
            link: WireId(1),
            node: 1,
            frame,
        };
        assert_ne!(
            hash_of(&[frame(&[0; 3])], false).0,
            hash_of(&[frame(&[0; 4])], false).0
        );
    }
}
