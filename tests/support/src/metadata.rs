//! Metadata: nodes, topics, leaders, and topics that come into being because somebody asks.

use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::change::Hidden;
use crate::cluster::Cluster;
use crate::code;
use crate::config::TopicConfig;
use crate::fault::{ErrorCode, Strikes};
use crate::handler::{Answer, Arrival};
use crate::topic::{self, MetadataView, Node, Partition, Topic};
use crate::wire;

impl Cluster {
    pub(crate) fn metadata(
        &mut self,
        arrival: &Arrival,
        request: MetadataRequest,
        strikes: &Strikes,
    ) -> Answer {
        let version = arrival.version;
        if version >= 13 && strikes.rebootstraps() {
            let response = MetadataResponse::default().with_error_code(code::REBOOTSTRAP_REQUIRED);
            let bytes = wire::write_response(&response, version, arrival.correlation_id);
            return Answer::Bytes(bytes);
        }
        let frozen = self
            .nodes
            .get(&arrival.node)
            .and_then(|node| node.frozen.clone());
        let wanted = match request.topics {
            // In version 0 an empty list means all topics.
            Some(topics) if version > 0 || !topics.is_empty() => Some(topics),
            _ => None,
        };
        let asked = wanted.as_deref().unwrap_or_default();
        if version < 12 && asked.iter().any(names_by_id) {
            return refused(arrival, asked, code::INVALID_REQUEST);
        }
        if asked.iter().any(names_nothing) {
            return refused(arrival, asked, code::UNKNOWN_SERVER_ERROR);
        }
        let asked_all = wanted.is_none();
        let by_id = asked.iter().any(|topic| !topic.topic_id.is_nil());
        let (mut nodes, mut topics) = match frozen {
            Some(view) => {
                let topics = view.topics_of(wanted);
                (view.nodes, topics)
            }
            None => {
                let create = version < 4 || request.allow_auto_topic_creation;
                (self.living_nodes(), self.topics_of(wanted, create))
            }
        };
        if !self.hidden.is_empty() {
            nodes.retain(|(id, ..)| !self.hides(arrival.node, &Hidden::Broker(*id)));
            topics.retain_mut(|topic| self.reduce(arrival.node, topic, by_id) || !asked_all);
        }
        for topic in &mut topics {
            let name = topic.name.as_ref().map_or("", |name| name.as_str());
            if let Some(ErrorCode::Instead(code) | ErrorCode::After(code)) =
                strikes.error(name, None)
            {
                topic.error_code = code;
                topic.partitions.clear();
            }
        }
        let mut response = MetadataResponse::default()
            .with_brokers(nodes.into_iter().map(broker).collect())
            .with_topics(topics.into_iter().map(|t| in_version(t, version)).collect());
        if version >= 1 {
            let controller = self.nodes().into_iter().find(|node| self.is_up(*node));
            response.controller_id = BrokerId(controller.unwrap_or(-1));
        }
        if version >= 2 {
            response.cluster_id = Some(StrBytes::from_static_str("embedded-kafka"));
        }
        if version >= 3 {
            response.throttle_time_ms = strikes.throttle_ms();
        }
        strikes.lies(|lie| lie.metadata(&mut response));
        Answer::Bytes(wire::write_response(
            &response,
            version,
            arrival.correlation_id,
        ))
    }

    /// What a living, well informed node would say.
    pub(crate) fn metadata_view(&self) -> MetadataView {
        MetadataView {
            nodes: self.living_nodes(),
            topics: self.topics.values().map(|t| self.described(t)).collect(),
        }
    }

    pub(crate) fn name_of(&self, id: Uuid) -> Option<String> {
        self.names_by_id.get(&id).cloned()
    }

    fn hides(&self, node: i32, what: &Hidden) -> bool {
        let of = |at: &Option<i32>| at.is_none_or(|at| at == node);
        self.hidden
            .iter()
            .any(|(at, hidden)| of(at) && hidden == what)
    }

    /// Leaves out what a node does not tell; says whether the topic is told at all.
    fn reduce(&self, node: i32, topic: &mut MetadataResponseTopic, by_id: bool) -> bool {
        let Some(name) = topic.name.as_ref().map(|name| name.as_str().to_owned()) else {
            return true;
        };
        let hidden = self.hides(node, &Hidden::Topic(name.clone()));
        if hidden && topic.error_code == code::NONE {
            let name = TopicName::from(StrBytes::from_string(name));
            *topic = if by_id {
                unknown_id(topic.topic_id)
            } else {
                without_partitions(name, code::UNKNOWN_TOPIC_OR_PARTITION)
            };
        } else {
            topic.partitions.retain(|partition| {
                let partition = Hidden::Partition(name.clone(), partition.partition_index);
                !self.hides(node, &partition)
            });
        }
        !hidden
    }

    fn living_nodes(&self) -> Vec<(i32, String, i32)> {
        let up = self.nodes.iter().filter(|(_, node)| node.up);
        up.map(|(id, Node { host, port, .. })| (*id, host.clone(), *port))
            .collect()
    }

    fn topics_of(
        &mut self,
        wanted: Option<Vec<MetadataRequestTopic>>,
        create: bool,
    ) -> Vec<MetadataResponseTopic> {
        let Some(wanted) = wanted else {
            let seen = self.topics.values().filter(|t| t.authorized);
            return seen.map(|topic| self.described(topic)).collect();
        };
        let by_id = wanted.iter().any(|topic| !topic.topic_id.is_nil());
        let mut answered: Vec<MetadataResponseTopic> = Vec::new();
        for topic in wanted {
            let one = if by_id {
                self.topic_by_id(topic.topic_id)
            } else {
                self.topic_by_name(topic.name.unwrap_or_default(), create)
            };
            if !answered
                .iter()
                .any(|seen| seen.name == one.name && seen.topic_id == one.topic_id)
            {
                answered.push(one);
            }
        }
        answered
    }

    fn topic_by_id(&self, id: Uuid) -> MetadataResponseTopic {
        let topic = self
            .names_by_id
            .get(&id)
            .and_then(|name| self.topics.get(name));
        match topic {
            Some(topic) if !topic.authorized => MetadataResponseTopic::default()
                .with_error_code(code::TOPIC_AUTHORIZATION_FAILED)
                .with_name(None)
                .with_topic_id(id),
            Some(topic) => self.described(topic),
            None => unknown_id(id),
        }
    }

    /// A topic that is created because of the question is not known to the node that answers.
    fn topic_by_name(&mut self, name: TopicName, create: bool) -> MetadataResponseTopic {
        if let Some(topic) = self.topics.get(name.as_str()) {
            return if !topic.authorized {
                without_partitions(name, code::TOPIC_AUTHORIZATION_FAILED)
            } else {
                self.described(topic)
            };
        }
        if !topic::is_valid_name(&name) {
            return without_partitions(name, code::INVALID_TOPIC_EXCEPTION);
        }
        if create && self.config.auto_create_topics {
            let partitions = self.config.default_partitions;
            self.create(TopicConfig::new(&name, partitions));
        }
        without_partitions(name, code::UNKNOWN_TOPIC_OR_PARTITION)
    }

    fn described(&self, topic: &Topic) -> MetadataResponseTopic {
        let partitions = (0..)
            .zip(&topic.partitions)
            .map(|(index, partition)| self.described_partition(index, partition));
        // Kafka promises no order (3.9 has that of a hash map), so this is not the expected one.
        let mut partitions: Vec<_> = partitions.collect();
        partitions.reverse();
        MetadataResponseTopic::default()
            .with_name(Some(
                StrBytes::from_string(topic.config.name.clone()).into(),
            ))
            .with_topic_id(topic.id)
            .with_is_internal(topic::is_internal(&topic.config.name))
            .with_partitions(partitions)
    }

    fn described_partition(&self, index: i32, partition: &Partition) -> MetadataResponsePartition {
        let mut in_sync: Vec<i32> = partition.replicas.clone();
        in_sync.retain(|node| self.is_up(*node));
        if let Some(isr) = &partition.isr {
            in_sync.sort_by_key(|node| partition.leader != Some(*node));
            in_sync.truncate(isr.in_sync);
        }
        let ids = |up: Option<bool>| -> Vec<BrokerId> {
            let all = partition.replicas.iter().copied();
            all.filter(|node| up.is_none_or(|up| up == self.is_up(*node)))
                .map(BrokerId)
                .collect()
        };
        let error_code = match partition.leader {
            Some(_) => code::NONE,
            None => code::LEADER_NOT_AVAILABLE,
        };
        MetadataResponsePartition::default()
            .with_error_code(error_code)
            .with_partition_index(index)
            .with_leader_id(BrokerId(partition.leader.unwrap_or(-1)))
            .with_leader_epoch(partition.leader_epoch)
            .with_replica_nodes(ids(None))
            .with_isr_nodes(in_sync.into_iter().map(BrokerId).collect())
            .with_offline_replicas(ids(Some(false)))
    }
}

impl MetadataView {
    /// A node with old knowledge creates nothing.
    fn topics_of(&self, wanted: Option<Vec<MetadataRequestTopic>>) -> Vec<MetadataResponseTopic> {
        let Some(wanted) = wanted else {
            return self.topics.clone();
        };
        let find = |topic: MetadataRequestTopic| {
            let known = self.topics.iter().find(|known| {
                if topic.topic_id.is_nil() {
                    known.name == topic.name
                } else {
                    known.topic_id == topic.topic_id
                }
            });
            match (known, topic.name) {
                (Some(known), _) => known.clone(),
                (None, Some(name)) => without_partitions(name, code::UNKNOWN_TOPIC_OR_PARTITION),
                (None, None) => unknown_id(topic.topic_id),
            }
        };
        wanted.into_iter().map(find).collect()
    }
}

/// The whole request failed.
fn refused(arrival: &Arrival, topics: &[MetadataRequestTopic], code: i16) -> Answer {
    let refused = |topic: &MetadataRequestTopic| {
        let name = topic.name.clone().unwrap_or_default();
        MetadataResponseTopic::default()
            .with_error_code(code)
            .with_name(Some(name))
    };
    let response = MetadataResponse::default().with_topics(topics.iter().map(refused).collect());
    Answer::Bytes(wire::write_response(
        &response,
        arrival.version,
        arrival.correlation_id,
    ))
}

fn names_nothing(topic: &MetadataRequestTopic) -> bool {
    topic.name.is_none() && topic.topic_id.is_nil()
}

fn names_by_id(topic: &MetadataRequestTopic) -> bool {
    topic.name.is_none() || !topic.topic_id.is_nil()
}

fn without_partitions(name: TopicName, code: i16) -> MetadataResponseTopic {
    MetadataResponseTopic::default()
        .with_error_code(code)
        .with_is_internal(topic::is_internal(&name))
        .with_name(Some(name))
}

fn unknown_id(id: Uuid) -> MetadataResponseTopic {
    MetadataResponseTopic::default()
        .with_error_code(code::UNKNOWN_TOPIC_ID)
        .with_name(None)
        .with_topic_id(id)
}

fn broker((id, host, port): (i32, String, i32)) -> MetadataResponseBroker {
    MetadataResponseBroker::default()
        .with_node_id(BrokerId(id))
        .with_host(StrBytes::from_string(host))
        .with_port(port)
}

/// `kafka-protocol` refuses to drop what a version cannot carry; a broker drops it.
fn in_version(mut topic: MetadataResponseTopic, version: i16) -> MetadataResponseTopic {
    if version < 10 {
        topic.topic_id = Uuid::nil();
    }
    if version < 12 && topic.name.is_none() {
        topic.name = Some(TopicName::default());
    }
    if version < 1 {
        topic.is_internal = false;
    }
    for partition in &mut topic.partitions {
        if version < 7 {
            partition.leader_epoch = -1;
        }
        if version < 5 {
            partition.offline_replicas.clear();
        }
    }
    topic
}
