//! The catalogue: every kind of fault, its name, whose business it is, and what it does in one sentence.
//!
//! Thread: any. Locks: none. docs/TESTING.md shows it as a table; `catalogue_is_the_table_in_testing_md`
//! holds them together.

/// Whose business a kind is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    Network,
    Broker,
    Cluster,
    Client,
    Names,
}

macro_rules! catalogue {
    ($($kind:ident, $name:literal, $group:ident, $sentence:literal;)+) => {
        /// All kinds of faults.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum FaultKind {
            $(#[doc = $sentence] $kind,)+
        }

        impl FaultKind {
            pub(crate) const ALL: &'static [Self] = &[$(Self::$kind),+];

            pub(crate) fn group(self) -> Group {
                match self {
                    $(Self::$kind => Group::$group,)+
                }
            }

            /// As reports and docs name it.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }

            pub(crate) fn sentence(self) -> &'static str {
                match self {
                    $(Self::$kind => $sentence,)+
                }
            }
        }
    };
}

catalogue! {
    Latency, "latency", Network, "Every byte travels longer, each time differently.";
    SlowLink, "slow-link", Network, "A link carries only so many bytes a second, and its send buffer fills.";
    SmallPieces, "small-pieces", Network, "Bytes arrive a few at a time, at worst one by one.";
    BunchedAnswers, "bunched-answers", Network, "Answers arrive together at round times, as behind a coalescing device.";
    ShortWrites, "short-writes", Network, "A write takes a few bytes; then the socket is full for a moment.";
    FullSendBuffer, "full-send-buffer", Network, "The socket takes nothing for seconds.";
    ResetAfterRequestBytes, "reset-after-request-bytes", Network, "A connection is reset after the k-th byte to the broker.";
    ResetAfterAnswerBytes, "reset-after-answer-bytes", Network, "A connection is reset after the k-th byte to the client.";
    ResetOfIdle, "reset-of-idle", Network, "A connection is reset while nothing travels on it.";
    ResetOfAll, "reset-of-all", Network, "All connections are reset in one instant, as when a firewall forgets them.";
    EndInAnswer, "end-in-answer", Network, "A stream ends in good order in the middle of an answer.";
    HalfOpen, "half-open", Network, "A connection falls silent both ways, and neither side is told.";
    LostRequests, "lost-requests", Network, "From some byte on a connection carries nothing to the broker.";
    LostAnswers, "lost-answers", Network, "From some byte on a connection carries nothing to the client.";
    LateOldConnection, "late-old-connection", Network, "The client loses a connection; what it wrote reaches the broker seconds later, after the retry.";
    LateEnd, "late-end", Network, "A broker hears late that the client closed a connection.";
    SwizzleClog, "swizzle-clog", Network, "The links of some nodes stop one by one and come back in another order.";
    IsolatedNode, "isolated-node", Network, "A node cannot be reached for a while: old connections are silent, new ones hang.";
    ConnectRefused, "connect-refused", Network, "Connections are refused.";
    ConnectHangs, "connect-hangs", Network, "A connect gets no answer.";
    ConnectSlow, "connect-slow", Network, "A connect takes up to half a minute.";
    ConnectFails, "connect-fails", Network, "The attempt itself fails: no route, no address, no descriptor.";
    ConnectAtOnce, "connect-at-once", Network, "A connect is through before its call returns.";
    AcceptedThenReset, "accepted-then-reset", Network, "A connection is accepted and reset at once, as by a proxy without a backend.";
    SpuriousReadiness, "spurious-readiness", Network, "The system tells of readiness where there is none.";
    ShortReadsLeaveBytes, "short-reads-leave-bytes", Network, "A platform whose short reads do not mean that the socket is empty, and whose calls are interrupted (EINTR).";

    RetriableCode, "retriable-code", Broker, "Produce is answered with a retriable code; nothing is appended.";
    CodeAfterAppend, "code-after-append", Broker, "Produce is answered with a code that leaves open what was appended, and it was.";
    FatalCode, "fatal-code", Broker, "Produce is answered with a code that no retry helps against.";
    KillingCode, "killing-code", Broker, "Produce is answered with a code that ends an idempotent producer.";
    SequenceCode, "sequence-code", Broker, "Produce is answered, without a reason, with a code about sequences, epochs or unknown producers.";
    MessageTooLarge, "message-too-large", Broker, "Produce is answered MESSAGE_TOO_LARGE, as after `max.message.bytes` was lowered.";
    RefusedRecords, "refused-records", Broker, "Produce is answered INVALID_RECORD because of some records, by what they hold, and names them (KIP-467).";
    AnyCode, "any-code", Broker, "Any API is answered with any code of Kafka's table.";
    DelayedAnswer, "delayed-answer", Broker, "An answer leaves late, and what follows on its connection waits.";
    HeldAnswer, "held-answer", Broker, "Answers are kept back, and leave all together.";
    SwallowedRequest, "swallowed-request", Broker, "A request is never answered, nor any later one on its connection.";
    ClosedBeforeAppend, "closed-before-append", Broker, "The broker closes the connection on a request and does nothing.";
    ClosedAfterAppend, "closed-after-append", Broker, "The broker does what it is asked for, and closes instead of answering.";
    ClosedInAnswer, "closed-in-answer", Broker, "The broker closes in the middle of its answer.";
    Throttling, "throttling", Broker, "The broker throttles: it says so, and does not read meanwhile.";
    WrongCorrelationId, "wrong-correlation-id", Broker, "An answer has the correlation id of no request.";
    GarbageAnswer, "garbage-answer", Broker, "The body of an answer is random bytes.";
    RubbishAnswer, "rubbish-answer", Broker, "An answer has the right correlation id, and then nonsense or a list without end.";
    HttpAnswer, "http-answer", Broker, "A web server answers.";
    TlsAlert, "tls-alert", Broker, "A TLS server answers.";
    UnaskedAnswer, "unasked-answer", Broker, "Before an answer comes one that nobody asked for.";
    AnsweredTwice, "answered-twice", Broker, "An answer comes twice.";
    WrongSize, "wrong-size", Broker, "The size prefix of an answer is wrong: a little, negative, or beyond all bounds.";
    CutShortAnswer, "cut-short-answer", Broker, "An answer stops in the middle, and the connection stays open.";
    LyingProduceAnswer, "lying-produce-answer", Broker, "A Produce answer is well formed and cannot be true.";
    LyingMetadata, "lying-metadata", Broker, "A Metadata answer is well formed and cannot be true.";
    OddApiVersions, "odd-api-versions", Broker, "The version ranges of ApiVersions make no sense.";
    NoProducerId, "no-producer-id", Broker, "InitProducerId gives id -1 without an error.";
    RebootstrapRequired, "rebootstrap-required", Broker, "Metadata asks the client to begin anew from its bootstrap servers.";
    ApiVersionsCode, "api-versions-code", Broker, "ApiVersions is answered with an error code.";
    MetadataCode, "metadata-code", Broker, "Metadata has an error code at a topic.";
    StaleMetadata, "stale-metadata", Broker, "A node tells of the cluster as it was, while leaders move.";
    HiddenTopic, "hidden-topic", Broker, "Metadata leaves out a topic.";
    HiddenPartition, "hidden-partition", Broker, "Metadata leaves out a partition.";
    HiddenBroker, "hidden-broker", Broker, "Metadata leaves out a broker that leads.";
    InitProducerIdCode, "init-producer-id-code", Broker, "InitProducerId is answered with a retriable code.";
    InitProducerIdHangs, "init-producer-id-hangs", Broker, "InitProducerId is answered late, or never.";
    WrongLeaderHints, "wrong-leader-hints", Broker, "Leaders move, and the old one names a node that does not lead.";
    ConfusedNode, "confused-node", Broker, "A node answers everything with one retriable code.";

    LeaderMoves, "leader-moves", Cluster, "A partition gets another leader.";
    LeaderPingPong, "leader-ping-pong", Cluster, "A partition's leadership goes to and fro between two nodes.";
    NoLeader, "no-leader", Cluster, "A partition has no leader for a while.";
    BrokerRestart, "broker-restart", Cluster, "A broker stops in good order and comes back.";
    RollingRestart, "rolling-restart", Cluster, "Every broker is restarted, one after the other.";
    BrokerCrash, "broker-crash", Cluster, "A broker dies and loses what no replica has yet.";
    BrokerPause, "broker-pause", Cluster, "A broker stands still for up to two minutes.";
    StaleRestart, "stale-restart", Cluster, "A broker comes back and still tells what it knew before.";
    AllBrokersDown, "all-brokers-down", Cluster, "No broker is up for a while.";
    ConnectionsClosed, "connections-closed", Cluster, "A broker closes all its connections, as when they were idle.";
    ConnectionsRefused, "connections-refused", Cluster, "A broker takes no new connections.";
    PartitionsAdded, "partitions-added", Cluster, "A topic gets more partitions.";
    TopicRecreated, "topic-recreated", Cluster, "A topic is deleted and made again under its name.";
    TopicDeleted, "topic-deleted", Cluster, "A topic is deleted, and is back much later.";
    AuthorizationWithdrawn, "authorization-withdrawn", Cluster, "A topic may not be used for a while.";
    MessageLimitLowered, "message-limit-lowered", Cluster, "A topic takes only smaller batches for a while (`max.message.bytes`).";
    IsrShrinks, "isr-shrinks", Cluster, "Too few replicas are in sync, and the leader refuses.";
    IsrShrinksAfterAppend, "isr-shrinks-after-append", Cluster, "Too few replicas are in sync, which the leader notices when it has appended.";
    ProducersForgotten, "producers-forgotten", Cluster, "A partition forgets its producers.";
    RecordsDeleted, "records-deleted", Cluster, "A partition's records are deleted, and with them what is known of their producers.";
    NodeReaddressed, "node-readdressed", Cluster, "A broker moves to another host and port.";
    BrokerAdded, "broker-added", Cluster, "A new broker joins and takes over partitions.";

    SenderStall, "sender-stall", Client, "The Sender thread gets no processor for up to a minute.";
    WallClockJumps, "wall-clock-jumps", Client, "The wall clock is set forth and back.";
    CallbackSends, "callback-sends", Client, "Callbacks send records.";
    CallbackSleeps, "callback-sleeps", Client, "Callbacks hold the Sender thread up.";
    CallbackPanics, "callback-panics", Client, "Callbacks panic.";
    CallbackFlushes, "callback-flushes", Client, "Callbacks call flush.";
    CallbackCloses, "callback-closes", Client, "A callback closes the producer.";
    CallbackWaits, "callback-waits", Client, "Callbacks wait for a handle.";
    SpuriousWakeups, "spurious-wakeups", Client, "Blocked calls and the Sender are woken for nothing.";
    DroppedHandles, "dropped-handles", Client, "Handles are dropped at once.";
    FailingSerializer, "failing-serializer", Client, "A serializer fails.";

    SlowLookups, "slow-lookups", Names, "Names are looked up slowly.";
    UnknownNames, "unknown-names", Names, "The DNS knows no such host for a while.";
    LookupsWithoutAnswer, "lookups-without-answer", Names, "Lookups are never answered.";
    AddressesChange, "addresses-change", Names, "Names point elsewhere and the old addresses are dead.";
    DeadAddressFirst, "dead-address-first", Names, "The first address of a name is one where nobody listens.";
}

impl FaultKind {
    /// Little is acknowledged from then on: comes late, and never everywhere.
    pub(super) fn ends_the_producer(self) -> bool {
        matches!(self, Self::KillingCode | Self::CallbackCloses)
    }

    /// Needs idempotence to be of any interest.
    pub(super) fn is_about_producer_ids(self) -> bool {
        matches!(
            self,
            Self::InitProducerIdCode
                | Self::InitProducerIdHangs
                | Self::ProducersForgotten
                | Self::SequenceCode
                | Self::NoProducerId
        )
    }

    /// Holds up partitions whose own node is well: keeps the Sender thread from its work, bytes from a
    /// socket, or the client from knowing who leads and where. P12 is judged until the first of them.
    pub(crate) fn holds_up_others(self) -> bool {
        matches!(
            self,
            Self::SenderStall
                | Self::CallbackSleeps
                | Self::CallbackCloses
                | Self::SlowLink
                | Self::ShortWrites
                | Self::FullSendBuffer
                | Self::AnyCode
                | Self::HiddenBroker
                | Self::HiddenPartition
                | Self::HiddenTopic
                | Self::MetadataCode
                | Self::NoLeader
                | Self::StaleMetadata
                | Self::StaleRestart
                | Self::LyingMetadata
                | Self::RebootstrapRequired
                | Self::TopicDeleted
                | Self::TopicRecreated
        )
    }

    /// Strikes brokers alone: the client has closed, and nothing that it is told can depend on it. That
    /// the run is another one is all that can be asked of it.
    pub(crate) fn is_hidden_from_the_application(self) -> bool {
        matches!(self, Self::LateEnd)
    }

    /// Needs a second broker.
    pub(super) fn needs_brokers(self) -> bool {
        matches!(
            self,
            Self::LeaderMoves
                | Self::LeaderPingPong
                | Self::StaleMetadata
                | Self::WrongLeaderHints
                | Self::RollingRestart
                | Self::BrokerCrash
                | Self::StaleRestart
        )
    }
}

/// The table of docs/TESTING.md.
pub(super) fn table() -> String {
    use std::fmt::Write as _;

    let mut table = String::from("| group | kind | what happens |\n|---|---|---|\n");
    for kind in FaultKind::ALL {
        let _ = writeln!(
            table,
            "| {:?} | `{}` | {} |",
            kind.group(),
            kind.name(),
            kind.sentence()
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const HEADING: &str = "## Fault kinds\n";

    #[test]
    fn catalogue_is_the_table_in_testing_md() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/TESTING.md");
        let text = std::fs::read_to_string(path).unwrap();
        let (before, after) = text.split_once(HEADING).unwrap_or((&text, ""));
        // What follows under its own heading stays.
        let after = after.find("\n## ").map_or("", |at| &after[at..]);
        let wanted = format!(
            "{}\n\n{HEADING}\nGenerated from `src/sim/faults/kinds.rs`: `UPDATE_DOCS=1 cargo test --lib sim::faults::kinds`.\n\n{}{after}",
            before.trim_end(),
            table()
        );
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, wanted).unwrap();
        } else {
            assert!(text == wanted, "the table of kinds is not that of {path}");
        }
    }

    #[test]
    fn names_of_kinds_are_kebab_case_and_differ() {
        let names: BTreeSet<_> = FaultKind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), FaultKind::ALL.len());
        assert!(names.len() >= 60, "{}", names.len());
        for name in names {
            let legal = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
            assert!(name.bytes().all(legal), "{name}");
        }
    }
}
