//! What can go wrong, as one word: [`Error`], its [`ErrorKind`], and what is known of the record's
//! fate ([`Persistence`]).
//!
//! Java's counterpart is the exception tree under `org.apache.kafka.common.errors`; here kinds and
//! predicates replace classes, and the broker's code stays visible. Texts are lower case, without a
//! full stop, and name what failed, on what, after how long, and which key to turn.

use std::fmt;
use std::sync::Arc;

/// What is known of a record that was accepted and then failed.
///
/// The distinction decides whether sending the record again can duplicate it. Source: librdkafka's
/// message status and `docs/DESIGN.md`, "What an outcome means".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Persistence {
    /// The record is certainly in no log: it never reached a socket, or every attempt was answered
    /// with a code that proves that attempt was not appended. Sending it again cannot duplicate it.
    NotWritten,
    /// The record may or may not have been appended: some attempt got no answer, or one that
    /// proves nothing.
    Unknown,
}

/// The sort of failure, for matching on; the text of the [`Error`] has the particulars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A configuration key, value or combination is wrong (Java: `ConfigException`).
    Config,
    /// An argument of this call is wrong, whatever the cluster's state (Java: `IllegalArgumentException`).
    InvalidArgument,
    /// The call is not allowed in the producer's present state (Java: `IllegalStateException`).
    IllegalState,
    /// The producer was closed before or during the call.
    Closed,
    /// The call would have to wait on the very thread it would wait for: inside a callback.
    WouldDeadlock,
    /// Something did not happen within its timeout (Java: `TimeoutException`).
    Timeout,
    /// No room in `buffer.memory` within `max.block.ms` (Java: `BufferExhaustedException`).
    BufferExhausted,
    /// The record is larger than `max.request.size`, `buffer.memory`, or what the broker accepts.
    RecordTooLarge,
    /// A serializer failed (Java: `SerializationException`).
    Serialization,
    /// A partitioner failed or chose a partition that cannot be.
    Partitioner,
    /// The topic's name is not one Kafka allows (Java: `InvalidTopicException`).
    InvalidTopic,
    /// The topic or partition does not exist, as far as the cluster says.
    UnknownTopicOrPartition,
    /// Not allowed to write to the topic.
    TopicAuthorization,
    /// Not allowed to do this on the cluster (for example idempotent writes on old brokers).
    ClusterAuthorization,
    /// The broker did not accept who we are.
    Authentication,
    /// The broker lacks a version of an API that is needed.
    UnsupportedVersion,
    /// A newer producer with the same transactional id took over.
    ProducerFenced,
    /// The broker saw a gap in sequence numbers.
    OutOfOrderSequence,
    /// Records that were acknowledged earlier are missing on the broker.
    DataLoss,
    /// The broker rejected the record itself (Java: `InvalidRecordException`).
    InvalidRecord,
    /// The connection was lost, or could not be made.
    Network,
    /// The peer sent what is not Kafka's protocol, or broke it.
    Protocol,
    /// The batch was given up on purpose: closing by force, or aborting.
    Aborted,
    /// The record was given up before it was sent, by [`purge`](crate::KafkaProducer::purge).
    Purged,
    /// Any other error code of the broker: see [`Error::code`].
    Broker,
    /// A bug of this library, reported instead of hanging or panicking.
    Internal,
}

/// An error of the producer: cheap to clone, and the same type everywhere.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    broker_code: Option<(i16, &'static str)>,
    retriable: bool,
    persistence: Option<Persistence>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            broker_code: None,
            retriable: matches!(
                kind,
                ErrorKind::Timeout | ErrorKind::BufferExhausted | ErrorKind::Network
            ),
            persistence: None,
            source: None,
        }))
    }

    /// An error that a broker reported with a code; `retriable` as Kafka's error table has it.
    pub(crate) fn broker(
        kind: ErrorKind,
        (code, name): (i16, &'static str),
        retriable: bool,
        message: impl Into<String>,
    ) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            broker_code: Some((code, name)),
            retriable,
            persistence: None,
            source: None,
        }))
    }

    pub(crate) fn with_source(
        self,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        self.rebuilt(|inner| inner.source = Some(Arc::new(source)))
    }

    /// The same for an error of a user, whose type is not known.
    pub(crate) fn with_boxed_source(
        self,
        source: Box<dyn std::error::Error + Send + Sync>,
    ) -> Self {
        self.rebuilt(|inner| inner.source = Some(Arc::from(source)))
    }

    pub(crate) fn with_persistence(self, persistence: Persistence) -> Self {
        self.rebuilt(|inner| inner.persistence = Some(persistence))
    }

    fn rebuilt(self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = match Arc::try_unwrap(self.0) {
            Ok(inner) => inner,
            Err(shared) => Inner {
                kind: shared.kind,
                message: shared.message.clone(),
                broker_code: shared.broker_code,
                retriable: shared.retriable,
                persistence: shared.persistence,
                source: shared.source.clone(),
            },
        };
        change(&mut inner);
        Self(Arc::new(inner))
    }

    /// Returns the sort of failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the broker's error code, where a broker reported one.
    #[must_use]
    pub fn code(&self) -> Option<i16> {
        self.0.broker_code.map(|(code, _)| code)
    }

    /// Returns the name of the broker's error code as Kafka spells it, such as `NOT_LEADER_OR_FOLLOWER`.
    #[must_use]
    pub fn code_name(&self) -> Option<&'static str> {
        self.0.broker_code.map(|(_, name)| name)
    }

    /// Returns what is known of the record's fate; `None` when no record had been accepted.
    #[must_use]
    pub fn persistence(&self) -> Option<Persistence> {
        self.0.persistence
    }

    /// Returns whether the same call may succeed later without anything being changed.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        self.0.retriable
    }

    /// Returns whether the producer can only be closed now.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        matches!(
            self.0.kind,
            ErrorKind::ProducerFenced | ErrorKind::Internal | ErrorKind::Closed
        )
    }

    /// Returns whether the open transaction can only be aborted now. Always `false` so far:
    /// transactions are not built yet.
    #[must_use]
    pub fn requires_abort(&self) -> bool {
        false
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Error");
        out.field("kind", &self.0.kind)
            .field("message", &self.0.message);
        if let Some((code, name)) = self.0.broker_code {
            out.field("code", &format_args!("{name} ({code})"));
        }
        if let Some(persistence) = self.0.persistence {
            out.field("persistence", &persistence);
        }
        if let Some(source) = &self.0.source {
            out.field("source", source);
        }
        out.finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0
            .source
            .as_ref()
            .map(|source| &**source as &(dyn std::error::Error + 'static))
    }
}
