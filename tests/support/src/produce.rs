//! Produce: from a request's partitions to the log, and back.
//!
//! The steps and their order are those of KafkaApis.handleProduceRequest,
//! ReplicaManager.appendRecords, Partition.appendRecordsToLeader and UnifiedLog.append.

use std::collections::HashSet;

use bytes::Bytes;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse,
    TopicProduceResponse,
};
use kafka_protocol::messages::{BrokerId, ProduceRequest, ProduceResponse};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::batch::{self, BatchHeader, Rejection};
use crate::cluster::Cluster;
use crate::code;
use crate::config::LeaderHints;
use crate::fault::{ErrorCode, Strikes};
use crate::handler::{Answer, Arrival};
use crate::history::{ProducedBatch, What};
use crate::log::Stamp;
use crate::producer_state::{Rules, Verdict};
use crate::topic::{self, Partition, Topic};
use crate::wire;

/// How the records of one partition fared.
#[derive(Debug, Clone)]
struct Produced {
    rejection: Rejection,
    base_offset: i64,
    log_append_time: i64,
    log_start_offset: i64,
    /// Where the records lie in the log, however the answer will be.
    in_log: Option<InLog>,
}

#[derive(Debug, Clone, Copy)]
struct InLog {
    offset: i64,
    /// By an earlier request.
    repeated: bool,
}

impl Produced {
    fn refused(rejection: impl Into<Rejection>) -> Self {
        Self {
            rejection: rejection.into(),
            base_offset: -1,
            log_append_time: -1,
            log_start_offset: -1,
            in_log: None,
        }
    }

    /// Some errors tell where the log starts.
    fn starting(mut self, partition: &Partition) -> Self {
        self.log_start_offset = partition.log.start();
        self
    }
}

/// What holds for all partitions of a request.
struct Terms<'a> {
    arrival: &'a Arrival,
    strikes: &'a Strikes,
    acks: i16,
    /// The whole request is refused.
    refused: Option<Rejection>,
    /// Who writes transactionally, if they are known.
    transactional: Option<(i64, i16)>,
    now_ms: i64,
    stricter: bool,
    rules: Rules,
    retention: Option<usize>,
}

impl Cluster {
    pub(crate) fn produce(
        &mut self,
        arrival: &Arrival,
        mut request: ProduceRequest,
        strikes: &Strikes,
    ) -> Answer {
        let repeated = keep_last(&mut request);
        let empty = request
            .topic_data
            .iter()
            .flat_map(|topic| &topic.partition_data)
            .any(|partition| partition.records.is_none());
        if self.config.stricter_than_kafka && (repeated || empty) {
            let why = "Produce with a partition twice or with null records".to_owned();
            self.record(arrival.connection, arrival.node, What::Refused(why));
            return Answer::Close;
        }
        if empty {
            return Answer::Mute;
        }
        let terms = Terms {
            arrival,
            strikes,
            acks: request.acks,
            refused: refusal(&request, arrival.version),
            transactional: request
                .transactional_id
                .as_ref()
                .and_then(|id| self.transactional_ids.get(id.as_str()).copied()),
            now_ms: self.now_ms,
            stricter: self.config.stricter_than_kafka,
            rules: self.rules(),
            retention: self.config.retention_bytes,
        };
        let named = |topic: &TopicProduceData| !topic.partition_data.is_empty();
        let topics = request.topic_data.into_iter().filter(named);
        let mut responses: Vec<_> = topics
            .map(|topic| self.produce_topic(topic, &terms))
            .collect();
        // Kafka answers in the order of a hash map; nobody may count on the order of the request.
        responses.reverse();
        let failed = responses
            .iter()
            .flat_map(|topic| &topic.partition_responses)
            .any(|partition| partition.error_code != code::NONE);
        match (terms.acks, failed) {
            (0, true) => Answer::Close,
            (0, false) => Answer::Nothing,
            _ => {
                let endpoints = self.endpoints(&responses);
                let mut response = ProduceResponse::default()
                    .with_responses(responses)
                    .with_throttle_time_ms(strikes.throttle_ms())
                    .with_node_endpoints(endpoints);
                strikes.lies(|lie| lie.produce(&mut response, arrival.version));
                let bytes =
                    wire::write_response(&response, arrival.version, arrival.correlation_id);
                Answer::Bytes(bytes)
            }
        }
    }

    fn produce_topic(&mut self, data: TopicProduceData, terms: &Terms<'_>) -> TopicProduceResponse {
        let by_id = terms.arrival.version >= 13;
        let name: Option<StrBytes> = if by_id {
            self.name_of(data.topic_id).map(StrBytes::from_string)
        } else {
            Some(data.name.0.clone())
        };
        let mut response = TopicProduceResponse::default();
        let shown = match &name {
            Some(name) => name.clone(),
            None => StrBytes::from_string(data.topic_id.simple().to_string()),
        };
        for partition in data.partition_data {
            let index = partition.index;
            let seen = self.history.is_on().then(|| SeenBatch::new(&partition));
            let produced = match &name {
                Some(name) => self.produce_partition(name, partition, terms),
                None => Produced::refused(
                    terms
                        .refused
                        .clone()
                        .unwrap_or(code::UNKNOWN_TOPIC_ID.into()),
                ),
            };
            if let Some(seen) = seen {
                let topic_id = match &name {
                    Some(name) => self.topic_id(name).unwrap_or_default(),
                    None => data.topic_id,
                };
                let batch = seen.produced((&shown, topic_id, index), &produced, terms);
                let Terms { arrival, .. } = terms;
                self.record(arrival.connection, arrival.node, What::Produced(batch));
            }
            let answer = self.partition_response(&shown, index, produced, terms.arrival.version);
            response.partition_responses.push(answer);
        }
        response.partition_responses.reverse();
        if by_id {
            response.with_topic_id(data.topic_id)
        } else {
            response.with_name(data.name)
        }
    }

    fn produce_partition(
        &mut self,
        name: &str,
        data: PartitionProduceData,
        terms: &Terms<'_>,
    ) -> Produced {
        let fault = terms.strikes.error(name, Some(data.index));
        if let Some(ErrorCode::Instead(code)) = fault {
            return Produced::refused(code);
        }
        let mut produced = match self.admit(name, &data, terms) {
            Ok(records) => self.append(name, data.index, &records, terms),
            Err(rejection) => Produced::refused(rejection),
        };
        if let Some(ErrorCode::After(code)) = fault {
            produced = Produced {
                in_log: produced.in_log,
                ..Produced::refused(code)
            };
        }
        let acknowledged = terms.acks == -1 && produced.rejection.code == code::NONE;
        if acknowledged && !terms.strikes.breaks_before_answer() {
            let topic = self.topics.get_mut(name);
            if let Some(partition) = topic.and_then(|topic| topic.partition_mut(data.index)) {
                partition.replicate();
            }
        }
        produced
    }

    /// What is checked before any log is looked at. The result is the one batch.
    fn admit(
        &self,
        name: &str,
        data: &PartitionProduceData,
        terms: &Terms<'_>,
    ) -> Result<Bytes, Rejection> {
        if let Some(refused) = &terms.refused {
            return Err(refused.clone());
        }
        let topic = self.topics.get(name);
        if topic.is_some_and(|topic| !topic.authorized) {
            return Err(code::TOPIC_AUTHORIZATION_FAILED.into());
        }
        let partition = topic.and_then(|topic| topic.partition(data.index));
        let partition = partition.ok_or(code::UNKNOWN_TOPIC_OR_PARTITION)?;
        let records = data.records.as_ref().ok_or(code::UNKNOWN_SERVER_ERROR)?;
        let length = batch::only_batch(records, terms.arrival.version)?;
        if !matches!(terms.acks, -1..=1) {
            return Err(code::INVALID_REQUIRED_ACKS.into());
        }
        if topic::is_internal(name) {
            return Err(code::INVALID_TOPIC_EXCEPTION.into());
        }
        if partition.leader != Some(terms.arrival.node) {
            return Err(code::NOT_LEADER_OR_FOLLOWER.into());
        }
        let batch = records.slice(..length);
        let header = BatchHeader::read(&batch);
        if header.is_transactional() {
            // Which partitions a transaction has is not built yet: none has any.
            let writer = (header.producer.producer_id, header.producer.epoch);
            return Err(if terms.transactional == Some(writer) {
                code::INVALID_TXN_STATE.into()
            } else {
                code::INVALID_PRODUCER_EPOCH.into()
            });
        }
        Ok(batch)
    }

    fn append(&mut self, name: &str, index: i32, batch: &Bytes, terms: &Terms<'_>) -> Produced {
        let nodes = &self.nodes;
        let Some(topic) = self.topics.get_mut(name) else {
            return Produced::refused(code::UNKNOWN_TOPIC_OR_PARTITION);
        };
        let Topic {
            config, partitions, ..
        } = topic;
        let slot = usize::try_from(index).ok();
        let Some(partition) = slot.and_then(|slot| partitions.get_mut(slot)) else {
            return Produced::refused(code::UNKNOWN_TOPIC_OR_PARTITION);
        };
        let up = |node: &&i32| nodes.get(node).is_some_and(|node| node.up);
        let living = partition.replicas.iter().filter(up).count();
        // Kafka never asks for more replicas in sync than there are.
        let wanted = config.min_insync_replicas.min(partition.replicas.len());
        let (in_sync, noticed) = match &partition.isr {
            Some(isr) => (living.min(isr.in_sync), isr.noticed || living < wanted),
            None => (living, true),
        };
        let too_few = terms.acks == -1 && in_sync < wanted;
        if too_few && noticed {
            return Produced::refused(code::NOT_ENOUGH_REPLICAS).starting(partition);
        }
        let header = BatchHeader::read(batch);
        if let Err(code) = batch::check_batch(batch, &header, config.max_message_bytes) {
            let refused = Produced::refused(code);
            return match code {
                code::MESSAGE_TOO_LARGE | code::CORRUPT_MESSAGE => refused,
                _ => refused.starting(partition),
            };
        }
        if let Some((number, strike)) = terms.strikes.refuses_records(name, index) {
            if let Some(rejection) = batch::refuse_some(batch, &header, number) {
                strike.had_effect();
                return Produced::refused(rejection).starting(partition);
            }
        }
        match batch::check_records(batch, &header, config, terms.now_ms, terms.stricter) {
            Ok(max_timestamp) => {
                let append_time = config.log_append_time.then_some(terms.now_ms);
                let stamp = Stamp {
                    max_timestamp,
                    append_time,
                };
                let mut produced = append_to(partition, &header, batch, stamp, terms);
                if too_few && produced.rejection.code == code::NONE {
                    produced.rejection = code::NOT_ENOUGH_REPLICAS_AFTER_APPEND.into();
                }
                produced
            }
            Err(rejection) => Produced::refused(rejection).starting(partition),
        }
    }

    /// Drops what the version cannot carry, and adds the leader's whereabouts (KIP-951).
    fn partition_response(
        &self,
        name: &str,
        index: i32,
        produced: Produced,
        version: i16,
    ) -> PartitionProduceResponse {
        let code = produced.rejection.code;
        let mut response = PartitionProduceResponse::default()
            .with_index(index)
            .with_error_code(code)
            .with_base_offset(produced.base_offset)
            .with_log_append_time_ms(produced.log_append_time);
        if version >= 5 {
            response.log_start_offset = produced.log_start_offset;
        }
        if version >= 8 {
            let records = produced.rejection.records.into_iter();
            response.record_errors = records
                .map(|(index, text)| {
                    BatchIndexAndErrorMessage::default()
                        .with_batch_index(index)
                        .with_batch_index_error_message(Some(StrBytes::from_string(text)))
                })
                .collect();
            response.error_message = produced.rejection.message.map(StrBytes::from_string);
        }
        if version >= 10 && code == code::NOT_LEADER_OR_FOLLOWER {
            if let Some(partition) = self.partition(name, index) {
                response.current_leader = self.hint(partition);
            }
        }
        response
    }

    /// Who leads (KIP-951), as far as the cluster tells the truth.
    fn hint(&self, partition: &Partition) -> LeaderIdAndEpoch {
        let leader = partition.leader;
        let named = match self.config.leader_hints {
            LeaderHints::Right => leader,
            LeaderHints::Absent => return LeaderIdAndEpoch::default(),
            LeaderHints::Wrong => {
                let others = || self.nodes.keys().filter(|node| Some(**node) != leader);
                let next = others().find(|node| Some(**node) > leader);
                next.or_else(|| others().next()).copied()
            }
        };
        LeaderIdAndEpoch::default()
            .with_leader_id(BrokerId(named.unwrap_or(-1)))
            .with_leader_epoch(partition.leader_epoch)
    }

    /// Where the leaders live that the responses name.
    fn endpoints(&self, responses: &[TopicProduceResponse]) -> Vec<NodeEndpoint> {
        let mut leaders: Vec<i32> = responses
            .iter()
            .flat_map(|topic| &topic.partition_responses)
            .map(|partition| partition.current_leader.leader_id.0)
            .filter(|leader| *leader >= 0)
            .collect();
        leaders.sort_unstable();
        leaders.dedup();
        leaders
            .into_iter()
            .filter_map(|id| {
                let node = self.nodes.get(&id)?;
                Some(
                    NodeEndpoint::default()
                        .with_node_id(BrokerId(id))
                        .with_host(StrBytes::from_string(node.host.clone()))
                        .with_port(node.port),
                )
            })
            .collect()
    }
}

fn append_to(
    partition: &mut Partition,
    header: &BatchHeader,
    batch: &Bytes,
    stamp: Stamp,
    terms: &Terms<'_>,
) -> Produced {
    if header.is_idempotent() {
        let new_log = partition.log.end() == 0;
        let states = &mut partition.producers;
        match states.check(&header.producer, &terms.rules, new_log, terms.now_ms) {
            Verdict::Next => {}
            // The answer says when the first one came, on topics with CreateTime too.
            Verdict::Duplicate(known) => {
                return Produced {
                    base_offset: known.base_offset,
                    log_append_time: known.timestamp,
                    in_log: Some(InLog {
                        offset: known.base_offset,
                        repeated: true,
                    }),
                    ..Produced::refused(code::NONE)
                }
                .starting(partition);
            }
            Verdict::Refused(code) => return Produced::refused(code).starting(partition),
        }
    }
    let base_offset = partition
        .log
        .append(batch.clone(), &header.producer, stamp, terms.retention);
    if header.is_idempotent() {
        let timestamp = stamp.append_time.unwrap_or(stamp.max_timestamp);
        let (rules, now_ms) = (&terms.rules, terms.now_ms);
        partition
            .producers
            .appended(&header.producer, base_offset, timestamp, rules, now_ms);
    }
    Produced {
        base_offset,
        log_append_time: stamp.append_time.unwrap_or(-1),
        in_log: Some(InLog {
            offset: base_offset,
            repeated: false,
        }),
        ..Produced::refused(code::NONE)
    }
    .starting(partition)
}

/// Errors in one partition's first bytes that make Kafka refuse the whole request: it looks for
/// transactional batches before anything else, and for old versions at the codec.
fn refusal(request: &ProduceRequest, version: i16) -> Option<Rejection> {
    let partitions = request.topic_data.iter().flat_map(|t| &t.partition_data);
    let mut unknown_codec = false;
    for records in partitions.filter_map(|partition| partition.records.as_ref()) {
        match batch::next_batch(records) {
            Ok(Some(_)) if batch::is_v2(records) => {
                let header = BatchHeader::read(records);
                unknown_codec |= header.has_unknown_codec();
                if header.is_transactional() && request.transactional_id.is_none() {
                    return Some(code::TRANSACTIONAL_ID_AUTHORIZATION_FAILED.into());
                }
                if header.is_transactional() {
                    break;
                }
            }
            Ok(_) => {}
            Err(code) => {
                let message = (code == code::CORRUPT_MESSAGE)
                    .then(|| "Record batch with an impossible size or magic".to_owned());
                return Some(Rejection {
                    message,
                    ..code.into()
                });
            }
        }
    }
    (version < 7 && unknown_codec).then(|| code::UNKNOWN_SERVER_ERROR.into())
}

/// Of a partition named repeatedly only the last counts. Returns whether there was one.
fn keep_last(request: &mut ProduceRequest) -> bool {
    if let [topic] = &request.topic_data[..] {
        if topic.partition_data.len() < 2 {
            return false;
        }
    }
    let mut seen = HashSet::new();
    let mut repeated = false;
    for topic in request.topic_data.iter_mut().rev() {
        let (name, id) = (topic.name.clone(), topic.topic_id);
        let mut kept: Vec<_> = std::mem::take(&mut topic.partition_data);
        kept.reverse();
        kept.retain(|partition| {
            let first = seen.insert((name.clone(), id, partition.index));
            repeated |= !first;
            first
        });
        kept.reverse();
        topic.partition_data = kept;
    }
    repeated
}

/// What the history keeps of a batch from before it was handled.
struct SeenBatch {
    header: BatchHeader,
    bytes: usize,
}

impl SeenBatch {
    fn new(partition: &PartitionProduceData) -> Self {
        let records = partition.records.as_deref().unwrap_or_default();
        Self {
            header: BatchHeader::read(records),
            bytes: records.len(),
        }
    }

    fn produced(
        self,
        (topic, topic_id, partition): (&str, Uuid, i32),
        produced: &Produced,
        terms: &Terms<'_>,
    ) -> ProducedBatch {
        let Self { header, bytes } = self;
        let in_log = produced.in_log;
        ProducedBatch {
            version: terms.arrival.version,
            correlation_id: terms.arrival.correlation_id,
            acks: terms.acks,
            topic: topic.to_owned(),
            topic_id,
            partition,
            producer_id: header.producer.producer_id,
            producer_epoch: header.producer.epoch,
            base_sequence: header.producer.base_sequence,
            count: header.producer.count,
            crc: header.crc,
            bytes,
            error_code: produced.rejection.code,
            base_offset: produced.base_offset,
            appended: in_log.is_some_and(|batch| !batch.repeated),
            repeated: in_log.is_some_and(|batch| batch.repeated),
            log_offset: in_log.map_or(-1, |batch| batch.offset),
        }
    }
}
