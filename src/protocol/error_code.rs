//! What a broker says went wrong: one table of every code, with what follows from it.
//!
//! Java's counterpart: `Errors`. The last but one column is the outcome table of docs/DESIGN.md:
//! only the codes marked `proof` prove that the attempt they answer was not appended.

use crate::error::{Error, ErrorKind};
use crate::planted::{Plant, planted};

/// A broker's error code, known to us or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ErrorCode(pub(crate) i16);

/// What may be done about a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remedy {
    /// Nothing: the same request will fail again.
    Fail,
    /// The same request may succeed later.
    Retry,
    /// As `Retry`, after metadata has been refreshed.
    Refresh,
}

struct Entry {
    name: &'static str,
    message: &'static str,
    remedy: Remedy,
    proof: bool,
    kind: ErrorKind,
}

macro_rules! error_codes {
    (@proof proof) => { true };
    (@proof no_proof) => { false };
    ($($code:literal $name:ident $remedy:ident $proof:ident $kind:ident $message:literal;)*) => {
        #[allow(dead_code, reason = "the table is whole; not every code has a rule of its own")]
        impl ErrorCode {
            $(pub(crate) const $name: Self = Self($code);)*
        }

        /// Every code we know, in order.
        #[cfg(test)]
        const ALL: &[ErrorCode] = &[$(ErrorCode($code)),*];

        fn entry(code: i16) -> Option<Entry> {
            Some(match code {
                $($code => Entry {
                    name: stringify!($name),
                    message: $message,
                    remedy: Remedy::$remedy,
                    proof: error_codes!(@proof $proof),
                    kind: ErrorKind::$kind,
                },)*
                _ => return None,
            })
        }
    };
}

error_codes! {
    -1 UNKNOWN_SERVER_ERROR Fail no_proof Broker "the broker failed in a way it has no code for";
    0 NONE Fail no_proof Broker "no error";
    1 OFFSET_OUT_OF_RANGE Fail no_proof Broker "the offset is outside of the log";
    2 CORRUPT_MESSAGE Retry proof Broker "the checksum does not match, or the batch is malformed";
    3 UNKNOWN_TOPIC_OR_PARTITION Refresh no_proof UnknownTopicOrPartition "this broker does not host the topic or partition";
    4 INVALID_FETCH_SIZE Fail no_proof Broker "the fetch size is invalid";
    5 LEADER_NOT_AVAILABLE Refresh no_proof Broker "there is no leader, an election is going on";
    6 NOT_LEADER_OR_FOLLOWER Refresh no_proof Broker "this broker is not the leader of the partition";
    7 REQUEST_TIMED_OUT Retry no_proof Timeout "the replicas did not confirm in time";
    8 BROKER_NOT_AVAILABLE Fail no_proof Broker "the broker is not available";
    9 REPLICA_NOT_AVAILABLE Refresh no_proof Broker "the replica is not available";
    10 MESSAGE_TOO_LARGE Fail proof RecordTooLarge "the batch is larger than the topic takes (max.message.bytes)";
    11 STALE_CONTROLLER_EPOCH Fail no_proof Broker "the controller moved";
    12 OFFSET_METADATA_TOO_LARGE Fail no_proof Broker "the metadata of the offset is too large";
    13 NETWORK_EXCEPTION Refresh no_proof Network "the connection was lost before the response";
    14 COORDINATOR_LOAD_IN_PROGRESS Retry no_proof Broker "the coordinator is loading";
    15 COORDINATOR_NOT_AVAILABLE Retry no_proof Broker "the coordinator is not available";
    16 NOT_COORDINATOR Retry no_proof Broker "this broker is not the coordinator";
    17 INVALID_TOPIC_EXCEPTION Fail proof InvalidTopic "the topic cannot be written to or its name is not allowed";
    18 RECORD_LIST_TOO_LARGE Fail proof RecordTooLarge "the batch is larger than a segment of the log (segment.bytes)";
    19 NOT_ENOUGH_REPLICAS Retry proof Broker "fewer replicas are in sync than min.insync.replicas asks for";
    20 NOT_ENOUGH_REPLICAS_AFTER_APPEND Retry no_proof Broker "written, but to fewer replicas than min.insync.replicas asks for";
    21 INVALID_REQUIRED_ACKS Fail proof Broker "acks must be 0, 1 or all";
    22 ILLEGAL_GENERATION Fail no_proof Broker "the group's generation is not the current one";
    23 INCONSISTENT_GROUP_PROTOCOL Fail no_proof Broker "the group's protocol does not match";
    24 INVALID_GROUP_ID Fail no_proof Broker "the group id is invalid";
    25 UNKNOWN_MEMBER_ID Fail no_proof Broker "the group does not know this member";
    26 INVALID_SESSION_TIMEOUT Fail no_proof Broker "the session timeout is out of range";
    27 REBALANCE_IN_PROGRESS Fail no_proof Broker "the group is rebalancing";
    28 INVALID_COMMIT_OFFSET_SIZE Fail no_proof Broker "the committed offset's data is too large";
    29 TOPIC_AUTHORIZATION_FAILED Fail proof TopicAuthorization "not authorized to access the topic";
    30 GROUP_AUTHORIZATION_FAILED Fail no_proof Broker "not authorized to access the group";
    31 CLUSTER_AUTHORIZATION_FAILED Fail proof ClusterAuthorization "not authorized to do this on the cluster";
    32 INVALID_TIMESTAMP Fail proof InvalidRecord "a timestamp is out of the range the topic takes";
    33 UNSUPPORTED_SASL_MECHANISM Fail no_proof Authentication "the broker does not have the SASL mechanism";
    34 ILLEGAL_SASL_STATE Fail no_proof Authentication "the request does not fit the state of authentication";
    35 UNSUPPORTED_VERSION Fail proof UnsupportedVersion "the broker does not have this version of the API";
    36 TOPIC_ALREADY_EXISTS Fail no_proof Broker "the topic exists already";
    37 INVALID_PARTITIONS Fail no_proof Broker "the number of partitions is below 1";
    38 INVALID_REPLICATION_FACTOR Fail no_proof Broker "the replication factor is out of range";
    39 INVALID_REPLICA_ASSIGNMENT Fail no_proof Broker "the replica assignment is invalid";
    40 INVALID_CONFIG Fail no_proof Broker "the configuration is invalid";
    41 NOT_CONTROLLER Retry no_proof Broker "this broker is not the controller";
    42 INVALID_REQUEST Fail proof Broker "the broker takes the request for malformed or contradictory";
    43 UNSUPPORTED_FOR_MESSAGE_FORMAT Fail proof Broker "the log's message format does not support this";
    44 POLICY_VIOLATION Fail proof Broker "a policy of the cluster forbids it";
    45 OUT_OF_ORDER_SEQUENCE_NUMBER Fail proof OutOfOrderSequence "the broker expected another sequence number";
    46 DUPLICATE_SEQUENCE_NUMBER Fail no_proof Broker "the broker has this sequence number already";
    47 INVALID_PRODUCER_EPOCH Fail proof ProducerFenced "the producer's epoch is older than one the broker knows";
    48 INVALID_TXN_STATE Fail proof Broker "the transaction is in a state that does not allow it";
    49 INVALID_PRODUCER_ID_MAPPING Fail no_proof Broker "the producer id does not belong to the transactional id";
    50 INVALID_TRANSACTION_TIMEOUT Fail no_proof Config "the transaction timeout is larger than the broker allows (transaction.max.timeout.ms)";
    51 CONCURRENT_TRANSACTIONS Retry no_proof Broker "another operation of the transaction is going on";
    52 TRANSACTION_COORDINATOR_FENCED Fail no_proof Broker "the transaction coordinator was replaced";
    53 TRANSACTIONAL_ID_AUTHORIZATION_FAILED Fail no_proof ClusterAuthorization "not authorized to use the transactional id";
    54 SECURITY_DISABLED Fail no_proof Broker "security is switched off on the broker";
    55 OPERATION_NOT_ATTEMPTED Fail no_proof Broker "not attempted because another part of the request failed";
    56 KAFKA_STORAGE_ERROR Refresh no_proof Broker "the broker's disk failed";
    57 LOG_DIR_NOT_FOUND Fail no_proof Broker "the broker does not have the log directory";
    58 SASL_AUTHENTICATION_FAILED Fail no_proof Authentication "the broker did not accept the credentials";
    59 UNKNOWN_PRODUCER_ID Fail proof OutOfOrderSequence "the broker has no state of this producer for the partition";
    60 REASSIGNMENT_IN_PROGRESS Fail no_proof Broker "the partition is being reassigned";
    61 DELEGATION_TOKEN_AUTH_DISABLED Fail no_proof Authentication "delegation tokens are switched off";
    62 DELEGATION_TOKEN_NOT_FOUND Fail no_proof Authentication "there is no such delegation token";
    63 DELEGATION_TOKEN_OWNER_MISMATCH Fail no_proof Authentication "the delegation token belongs to somebody else";
    64 DELEGATION_TOKEN_REQUEST_NOT_ALLOWED Fail no_proof Authentication "delegation tokens are not given over this connection";
    65 DELEGATION_TOKEN_AUTHORIZATION_FAILED Fail no_proof Authentication "not authorized for the delegation token";
    66 DELEGATION_TOKEN_EXPIRED Fail no_proof Authentication "the delegation token has expired";
    67 INVALID_PRINCIPAL_TYPE Fail no_proof Broker "the principal's type is not supported";
    68 NON_EMPTY_GROUP Fail no_proof Broker "the group is not empty";
    69 GROUP_ID_NOT_FOUND Fail no_proof Broker "there is no such group";
    70 FETCH_SESSION_ID_NOT_FOUND Retry no_proof Broker "there is no such fetch session";
    71 INVALID_FETCH_SESSION_EPOCH Retry no_proof Broker "the fetch session's epoch is invalid";
    72 LISTENER_NOT_FOUND Refresh no_proof Broker "the leader has no listener of the name we came by";
    73 TOPIC_DELETION_DISABLED Fail no_proof Broker "deleting topics is switched off";
    74 FENCED_LEADER_EPOCH Refresh no_proof Broker "our leader epoch is older than the broker's";
    75 UNKNOWN_LEADER_EPOCH Retry no_proof Broker "our leader epoch is newer than the broker's";
    76 UNSUPPORTED_COMPRESSION_TYPE Fail proof Broker "the compression type is not supported (compression.type)";
    77 STALE_BROKER_EPOCH Fail no_proof Broker "the broker's epoch is stale";
    78 OFFSET_NOT_AVAILABLE Retry no_proof Broker "the leader does not know the offset yet";
    79 MEMBER_ID_REQUIRED Fail no_proof Broker "the group wants a member id";
    80 PREFERRED_LEADER_NOT_AVAILABLE Refresh no_proof Broker "the preferred leader is not available";
    81 GROUP_MAX_SIZE_REACHED Fail no_proof Broker "the group is full";
    82 FENCED_INSTANCE_ID Fail no_proof Broker "another member has this instance id";
    83 ELIGIBLE_LEADERS_NOT_AVAILABLE Refresh no_proof Broker "no eligible leader is available";
    84 ELECTION_NOT_NEEDED Refresh no_proof Broker "no election is needed";
    85 NO_REASSIGNMENT_IN_PROGRESS Fail no_proof Broker "no reassignment is going on";
    86 GROUP_SUBSCRIBED_TO_TOPIC Fail no_proof Broker "the group is subscribed to the topic";
    87 INVALID_RECORD Fail proof InvalidRecord "the broker rejects a record";
    88 UNSTABLE_OFFSET_COMMIT Retry no_proof Broker "there are offsets that are not stable yet";
    89 THROTTLING_QUOTA_EXCEEDED Retry no_proof Broker "a quota is exceeded";
    90 PRODUCER_FENCED Fail proof ProducerFenced "a newer producer with the same transactional id took over";
    91 RESOURCE_NOT_FOUND Fail no_proof Broker "there is no such resource";
    92 DUPLICATE_RESOURCE Fail no_proof Broker "the request names a resource twice";
    93 UNACCEPTABLE_CREDENTIAL Fail no_proof Broker "the credential does not meet the requirements";
    94 INCONSISTENT_VOTER_SET Fail no_proof Broker "the voters of the quorum differ";
    95 INVALID_UPDATE_VERSION Fail no_proof Broker "the update version is invalid";
    96 FEATURE_UPDATE_FAILED Fail no_proof Broker "the feature could not be updated";
    97 PRINCIPAL_DESERIALIZATION_FAILURE Fail no_proof Broker "the principal cannot be read";
    98 SNAPSHOT_NOT_FOUND Fail no_proof Broker "there is no such snapshot";
    99 POSITION_OUT_OF_RANGE Fail no_proof Broker "the position is outside of the snapshot";
    100 UNKNOWN_TOPIC_ID Refresh no_proof UnknownTopicOrPartition "this broker does not know the topic id";
    101 DUPLICATE_BROKER_REGISTRATION Fail no_proof Broker "the broker id is registered already";
    102 BROKER_ID_NOT_REGISTERED Fail no_proof Broker "the broker id is not registered";
    103 INCONSISTENT_TOPIC_ID Refresh no_proof Broker "the topic id is not that of the log";
    104 INCONSISTENT_CLUSTER_ID Fail no_proof Broker "the cluster id is another one";
    105 TRANSACTIONAL_ID_NOT_FOUND Fail no_proof Broker "there is no such transactional id";
    106 FETCH_SESSION_TOPIC_ID_ERROR Retry no_proof Broker "the fetch session mixes topic ids and names";
    107 INELIGIBLE_REPLICA Fail no_proof Broker "the replica may not join the in-sync set";
    108 NEW_LEADER_ELECTED Fail no_proof Broker "a new leader was elected meanwhile";
    109 OFFSET_MOVED_TO_TIERED_STORAGE Fail no_proof Broker "the offset lies in tiered storage";
    110 FENCED_MEMBER_EPOCH Fail no_proof Broker "the group member's epoch is fenced";
    111 UNRELEASED_INSTANCE_ID Fail no_proof Broker "the instance id is still in use";
    112 UNSUPPORTED_ASSIGNOR Fail no_proof Broker "the group does not have the assignor";
    113 STALE_MEMBER_EPOCH Fail no_proof Broker "the group member's epoch is stale";
    114 MISMATCHED_ENDPOINT_TYPE Fail no_proof Broker "the request came to the wrong kind of endpoint";
    115 UNSUPPORTED_ENDPOINT_TYPE Fail no_proof Broker "the endpoint type is not supported";
    116 UNKNOWN_CONTROLLER_ID Fail no_proof Broker "the controller id is unknown";
    117 UNKNOWN_SUBSCRIPTION_ID Fail no_proof Broker "the telemetry subscription is unknown";
    118 TELEMETRY_TOO_LARGE Fail no_proof Broker "the telemetry is too large";
    119 INVALID_REGISTRATION Fail no_proof Broker "the broker registration is invalid";
    120 TRANSACTION_ABORTABLE Fail no_proof Broker "the transaction can only be aborted";
    121 INVALID_RECORD_STATE Fail no_proof Broker "the record is in a state that does not allow it";
    122 SHARE_SESSION_NOT_FOUND Retry no_proof Broker "there is no such share session";
    123 INVALID_SHARE_SESSION_EPOCH Retry no_proof Broker "the share session's epoch is invalid";
    124 FENCED_STATE_EPOCH Fail no_proof Broker "the share state's epoch is fenced";
    125 INVALID_VOTER_KEY Fail no_proof Broker "the voter's key is another one";
    126 DUPLICATE_VOTER Fail no_proof Broker "the voter is in the set already";
    127 VOTER_NOT_FOUND Fail no_proof Broker "the voter is not in the set";
    128 INVALID_REGULAR_EXPRESSION Fail no_proof Broker "the regular expression is invalid";
    129 REBOOTSTRAP_REQUIRED Fail no_proof Broker "the client shall start again from bootstrap.servers";
    130 STREAMS_INVALID_TOPOLOGY Fail no_proof Broker "the topology is invalid";
    131 STREAMS_INVALID_TOPOLOGY_EPOCH Fail no_proof Broker "the topology's epoch is invalid";
    132 STREAMS_TOPOLOGY_FENCED Fail no_proof Broker "the topology's epoch is fenced";
    133 SHARE_SESSION_LIMIT_REACHED Retry no_proof Broker "there are too many share sessions";
}

impl ErrorCode {
    /// A code that is newer than this table counts as the unknown server error it is to us.
    fn entry(self) -> Entry {
        entry(self.0).unwrap_or(Entry {
            name: "UNKNOWN_ERROR_CODE",
            message: "the broker reports an error that this version does not know",
            remedy: Remedy::Fail,
            proof: false,
            kind: ErrorKind::Broker,
        })
    }

    pub(crate) fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// The name as Kafka spells it.
    pub(crate) fn name(self) -> &'static str {
        self.entry().name
    }

    pub(crate) fn message(self) -> &'static str {
        self.entry().message
    }

    pub(crate) fn is_retriable(self) -> bool {
        self.entry().remedy != Remedy::Fail
    }

    /// Whether it means that metadata is stale (Java: `InvalidMetadataException`).
    pub(crate) fn refreshes_metadata(self) -> bool {
        self.entry().remedy == Remedy::Refresh
    }

    /// Whether it proves that the attempt it answers was not appended.
    pub(crate) fn proves_not_written(self) -> bool {
        // franz-go #1217 took a timeout for "not written", a retry after NOT_LEADER made G1a of it.
        let believed = (planted(Plant::R14) && self == Self::REQUEST_TIMED_OUT)
            || (planted(Plant::R21) && self == Self::NOT_LEADER_OR_FOLLOWER);
        self.entry().proof || believed
    }

    /// The error: what was tried, what the broker said.
    pub(crate) fn to_error(self, context: &str) -> Error {
        let entry = self.entry();
        let text = format!("{context}: {} ({}): {}", entry.name, self.0, entry.message);
        let retriable = entry.remedy != Remedy::Fail;
        Error::broker(entry.kind, (self.0, entry.name), retriable, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proofs_are_exactly_those_of_the_design() {
        let proofs: Vec<i16> = ALL
            .iter()
            .filter(|code| code.proves_not_written())
            .map(|code| code.0)
            .collect();
        let designed = [
            2, 10, 17, 18, 19, 21, 29, 31, 32, 35, 42, 43, 44, 45, 47, 48, 59, 76, 87, 90,
        ];
        assert_eq!(proofs, designed);
    }

    #[test]
    fn codes_that_may_follow_an_append_prove_nothing() {
        for code in [-1, 3, 6, 7, 13, 20, 56] {
            assert!(!ErrorCode(code).proves_not_written(), "{code}");
        }
    }

    #[test]
    fn table_is_dense_from_minus_one() {
        let expected: Vec<i16> = (-1..=133).collect();
        assert_eq!(ALL.iter().map(|code| code.0).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn names_and_retriability_agree_with_an_independent_table() {
        let mut differing: Vec<&str> = Vec::new();
        for code in ALL.iter().filter(|code| !code.is_none()) {
            let Some(theirs) = kafka_protocol::error::ResponseError::try_from_code(code.0) else {
                continue;
            };
            let same = |name: &str| name.replace('_', "").to_lowercase();
            let (ours, theirs_name) = (same(code.name()), format!("{theirs:?}").to_lowercase());
            assert!(
                ours.starts_with(&theirs_name) || theirs_name.starts_with(&ours),
                "{ours} {theirs_name}"
            );
            if code.is_retriable() != theirs.is_retriable() {
                differing.push(code.name());
            }
        }
        // Kafka made this one retriable after the other table was written.
        assert_eq!(differing, ["CONCURRENT_TRANSACTIONS"]);
    }

    #[test]
    fn unknown_code_keeps_its_number_and_is_not_retried() {
        let code = ErrorCode(9999);
        assert!(!code.is_retriable() && !code.proves_not_written());
        let error = code.to_error("produce to topic-0");
        assert_eq!(error.code(), Some(9999));
        assert!(error.to_string().contains("9999"), "{error}");
    }

    #[test]
    fn every_code_is_in_the_protocol_document() {
        let document = include_str!("../../docs/PROTOCOL.md");
        for code in ALL {
            let row = format!("| {} | {} |", code.0, code.name());
            assert!(document.contains(&row), "docs/PROTOCOL.md lacks {row}");
        }
    }
}
