//! Answers that no broker gives: bytes that are not an answer, and answers that do not make sense.

use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::metadata_response::{
    MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{
    ApiVersionsResponse, BrokerId, InitProducerIdResponse, MetadataResponse, ProduceResponse,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::fault::Effect;
use crate::versions::Api;
use crate::wire::Head;

/// An answer that can be decoded and cannot be true. One that does not concern the API of a request
/// leaves its answer alone; the history keeps what was true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// Metadata: the ids of all nodes, as brokers and as leaders, are negative.
    NegativeNodes,
    /// Metadata: every broker is there twice, the second time with port 1.
    BrokersTwice,
    /// Metadata: there is no broker.
    NoBrokers,
    /// Metadata: the brokers' hosts are empty.
    EmptyHosts,
    /// Metadata: the brokers' ports are 70000.
    ImpossiblePorts,
    /// Metadata: partitions are led by nodes that are not among the brokers.
    UnknownLeaders,
    /// Metadata and Produce: every partition is there twice, the second time with an error
    /// (NOT_LEADER_OR_FOLLOWER).
    PartitionsTwice,
    /// Metadata and Produce: every partition's number is negative.
    NegativePartitions,
    /// Metadata and Produce: the topics have no partitions.
    NoPartitions,
    /// Metadata and Produce: the topics have partition 1000 besides.
    PartitionUnasked,
    /// Metadata and Produce: there is a topic that nobody asked for.
    TopicUnasked,
    /// Produce: offsets and times are far below zero, without an error.
    NegativeOffsets,
    /// ApiVersions: every range ends before it begins.
    MinAboveMax,
    /// ApiVersions: all versions are negative.
    NegativeVersions,
    /// ApiVersions: one API is not known.
    WithoutApi(Api),
    /// ApiVersions: no API is known.
    NoApis,
    /// ApiVersions: every API is there twice, the second time with version 0 only.
    ApisTwice,
    /// InitProducerId: id and epoch are -1, without an error.
    NoProducer,
}

const NOWHERE: i32 = 1000;

impl Lie {
    pub(crate) fn metadata(self, response: &mut MetadataResponse) -> bool {
        let partitions =
            |response: &mut MetadataResponse, change: fn(&mut Vec<MetadataResponsePartition>)| {
                for topic in &mut response.topics {
                    change(&mut topic.partitions);
                }
            };
        match self {
            Self::NegativeNodes => {
                for broker in &mut response.brokers {
                    broker.node_id = negative(broker.node_id);
                }
                partitions(response, |all| {
                    all.iter_mut()
                        .for_each(|p| p.leader_id = negative(p.leader_id));
                });
            }
            Self::BrokersTwice => {
                let again = response.brokers.clone();
                let other = again.into_iter().map(|broker| broker.with_port(1));
                response.brokers.extend(other);
            }
            Self::NoBrokers => response.brokers.clear(),
            Self::EmptyHosts => {
                for broker in &mut response.brokers {
                    broker.host = StrBytes::default();
                }
            }
            Self::ImpossiblePorts => response.brokers.iter_mut().for_each(|b| b.port = 70_000),
            Self::UnknownLeaders => partitions(response, |all| {
                all.iter_mut().for_each(|p| p.leader_id = BrokerId(NOWHERE));
            }),
            Self::PartitionsTwice => partitions(response, |all| {
                let again = all.clone().into_iter();
                all.extend(again.map(|p| p.with_error_code(6)));
            }),
            Self::NegativePartitions => partitions(response, |all| {
                all.iter_mut()
                    .for_each(|p| p.partition_index = -1 - p.partition_index);
            }),
            Self::NoPartitions => partitions(response, Vec::clear),
            Self::PartitionUnasked => partitions(response, |all| {
                let other = all.first().cloned().unwrap_or_default();
                all.push(other.with_partition_index(NOWHERE));
            }),
            Self::TopicUnasked => {
                let name = StrBytes::from_static_str("unasked");
                let topic = MetadataResponseTopic::default().with_name(Some(name.into()));
                response.topics.push(topic);
            }
            _ => return false,
        }
        true
    }

    pub(crate) fn produce(self, response: &mut ProduceResponse, version: i16) -> bool {
        if self == Self::TopicUnasked {
            let partition = PartitionProduceResponse::default();
            let topic = TopicProduceResponse::default().with_partition_responses(vec![partition]);
            response.responses.push(if version >= 13 {
                topic.with_topic_id(Uuid::from_u128(1))
            } else {
                topic.with_name(StrBytes::from_static_str("unasked").into())
            });
            return true;
        }
        let lists = response.responses.iter_mut();
        let lists = lists.map(|topic| &mut topic.partition_responses);
        let change: fn(&mut Vec<PartitionProduceResponse>) = match self {
            Self::PartitionsTwice => |all| {
                let again = all.clone().into_iter();
                all.extend(again.map(|p| p.with_error_code(6)));
            },
            Self::NegativePartitions => |all| {
                all.iter_mut().for_each(|p| p.index = -1 - p.index);
            },
            Self::NoPartitions => Vec::clear,
            Self::PartitionUnasked => |all| {
                let other = all.first().cloned().unwrap_or_default();
                all.push(other.with_index(NOWHERE));
            },
            Self::NegativeOffsets => |all| {
                for partition in all {
                    partition.base_offset = i64::MIN;
                    partition.log_append_time_ms = i64::MIN;
                }
            },
            _ => return false,
        };
        lists.for_each(change);
        true
    }

    pub(crate) fn api_versions(self, response: &mut ApiVersionsResponse) -> bool {
        let apis = &mut response.api_keys;
        let each = |apis: &mut Vec<ApiVersion>, change: fn(&mut ApiVersion)| {
            apis.iter_mut().for_each(change);
        };
        match self {
            Self::MinAboveMax => each(apis, |api| api.min_version = api.max_version + 1),
            Self::NegativeVersions => each(apis, |api| {
                api.min_version = -2;
                api.max_version = -1;
            }),
            Self::WithoutApi(missing) => apis.retain(|api| api.api_key != missing.key()),
            Self::NoApis => apis.clear(),
            Self::ApisTwice => {
                let again = apis.clone().into_iter();
                apis.extend(again.map(|api| api.with_min_version(0).with_max_version(0)));
            }
            _ => return false,
        }
        true
    }

    pub(crate) fn init_producer_id(self, response: &mut InitProducerIdResponse) -> bool {
        let applies = self == Self::NoProducer;
        if applies {
            response.producer_id = (-1).into();
            response.producer_epoch = -1;
            response.error_code = 0;
        }
        applies
    }
}

fn negative(node: BrokerId) -> BrokerId {
    BrokerId(-2 - node.0)
}

/// What an effect did to the bytes of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spoilt {
    /// Nothing: it has no meaning for this answer.
    No,
    Yes,
    /// And nothing may follow on the connection.
    Ends,
}

/// Changes the bytes of an answer (size, header, body; empty if there is none).
pub(crate) fn spoil(effect: &Effect, head: &Head, bytes: &mut Vec<u8>) -> Spoilt {
    let answered = bytes.len() >= 8;
    match effect {
        Effect::Garbage(garbage) => *bytes = frame(garbage),
        Effect::Rubbish(length) => *bytes = frame(&rubbish(head.correlation_id, *length)),
        Effect::Http => *bytes = HTTP.to_vec(),
        Effect::TlsAlert => *bytes = TLS_ALERT.to_vec(),
        Effect::HugeArray => match huge_array(head) {
            Some(body) => *bytes = frame(&body),
            None => return Spoilt::No,
        },
        Effect::Unasked => {
            let id = head.correlation_id.wrapping_add(500_000).to_be_bytes();
            let body = [&id, bytes.get(8..).unwrap_or_default()].concat();
            bytes.splice(..0, frame(&body));
        }
        Effect::Lost if answered => bytes.clear(),
        Effect::Twice if answered => bytes.extend_from_within(..),
        Effect::WrongCorrelationId if answered => bytes[5] ^= 1,
        Effect::SizePrefix(size) if answered => bytes[..4].copy_from_slice(&size.to_be_bytes()),
        Effect::SizeOffBy(by) if answered => {
            let size = i32::try_from(bytes.len() - 4).expect("an answer is small");
            bytes[..4].copy_from_slice(&size.wrapping_add(*by).to_be_bytes());
        }
        Effect::CutShort(length) if *length < bytes.len() => {
            bytes.truncate(*length);
            return Spoilt::Ends;
        }
        _ => return Spoilt::No,
    }
    Spoilt::Yes
}

const HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
/// Fatal, protocol version.
const TLS_ALERT: &[u8] = &[0x15, 3, 3, 0, 2, 2, 70];

fn frame(body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len()).expect("a test's frame is small");
    [&size.to_be_bytes(), body].concat()
}

/// The right correlation id, and bytes that mean nothing.
fn rubbish(correlation_id: i32, length: usize) -> Vec<u8> {
    let mut body = correlation_id.to_be_bytes().to_vec();
    let mut state = u64::from(correlation_id.unsigned_abs()) | 1;
    while body.len() < length {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        body.extend(state.rotate_right(17).to_be_bytes());
    }
    body.truncate(length.max(4));
    body
}

/// A body whose first list claims 2^31 - 1 elements, and a few zeros.
fn huge_array(head: &Head) -> Option<Vec<u8>> {
    let version = head.version;
    let (flexible, before): (bool, &[u8]) = match head.api {
        Api::Produce => (version >= 9, &[]),
        Api::Metadata if version >= 3 => (version >= 9, &[0; 4]),
        Api::Metadata => (false, &[]),
        Api::ApiVersions => (version >= 3, &[0; 2]),
        // Only the list of tagged fields.
        Api::InitProducerId => (version >= 2, &[0; 16]),
    };
    if head.api == Api::InitProducerId && !flexible {
        return None;
    }
    let mut body = head.correlation_id.to_be_bytes().to_vec();
    if flexible && head.api != Api::ApiVersions {
        body.push(0);
    }
    body.extend(before);
    if flexible {
        body.extend([0x80, 0x80, 0x80, 0x80, 0x08]);
    } else {
        body.extend(i32::MAX.to_be_bytes());
    }
    body.extend([0; 64]);
    Some(body)
}
