//! What a test changes in a running cluster, by Kafka's own admin client.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::cluster::RealKafka;
use super::failure::Failure;

/// A topic to be created.
#[derive(Debug, Clone)]
pub struct NewTopic {
    name: String,
    partitions: usize,
    assignment: Vec<Vec<i32>>,
    configs: Map<String, Value>,
}

impl NewTopic {
    /// Replicas as many as the cluster had brokers at its start.
    pub fn new(name: &str, partitions: usize) -> Self {
        Self {
            name: name.to_owned(),
            partitions,
            assignment: Vec::new(),
            configs: Map::new(),
        }
    }

    /// The nodes of each partition, its leader first.
    pub fn assigned(name: &str, assignment: &[&[i32]]) -> Self {
        Self {
            assignment: assignment
                .iter()
                .map(|replicas| replicas.to_vec())
                .collect(),
            ..Self::new(name, assignment.len())
        }
    }

    /// A configuration of the topic, such as `max.message.bytes`.
    pub fn config(mut self, key: &str, value: &str) -> Self {
        self.configs.insert(key.to_owned(), value.into());
        self
    }
}

/// A topic as the cluster describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo {
    /// As Kafka writes it (base64); all `A` before 2.8.
    pub id: String,
    /// In order.
    pub partitions: Vec<PartitionInfo>,
}

/// A partition as the cluster describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionInfo {
    /// -1 if there is none.
    pub leader: i32,
    /// Node ids, the preferred leader first.
    pub replicas: Vec<i32>,
}

/// What a partition's leader remembers of a producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerInfo {
    /// Its id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i64,
    /// The sequence of its last record.
    pub last_sequence: i64,
}

/// What an ACL is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AclTarget<'a> {
    /// The topic of this name.
    Topic(&'a str),
    /// The transactional id.
    TransactionalId(&'a str),
    /// The cluster itself.
    Cluster,
}

impl RealKafka {
    /// Creates a topic and waits until every node that is up knows its leaders; gives its id.
    ///
    /// # Errors
    ///
    /// If the cluster refuses, or does not do it in time; so in all that follows.
    pub fn create_topic(&self, topic: &NewTopic) -> Result<String, Failure> {
        let id = self.change(json!({
            "op": "create_topic", "topic": topic.name, "name": topic.name,
            "partitions": topic.partitions, "assignment": topic.assignment, "configs": topic.configs,
        }))?;
        self.await_topic(&topic.name, topic.partitions)?;
        Ok(id.as_str().unwrap_or_default().to_owned())
    }

    /// Deletes a topic and waits until no node that is up knows it.
    ///
    /// # Errors
    ///
    /// See [`Self::create_topic`].
    pub fn delete_topic(&self, name: &str) -> Result<(), Failure> {
        self.change(json!({"op": "delete_topic", "topic": name}))?;
        self.await_no_topic(name)
    }

    /// Raises the number of partitions to `total` and waits until every node that is up knows.
    ///
    /// # Errors
    ///
    /// See [`Self::create_topic`].
    pub fn create_partitions(&self, topic: &str, total: usize) -> Result<(), Failure> {
        self.change(json!({"op": "create_partitions", "topic": topic, "total": total}))?;
        self.await_topic(topic, total)
    }

    /// The topic's id, leaders and replicas.
    ///
    /// # Errors
    ///
    /// See [`Self::create_topic`].
    pub fn describe_topic(&self, topic: &str) -> Result<TopicInfo, Failure> {
        let said = self.change(json!({"op": "describe", "topic": topic}))?;
        let partitions = said["partitions"].as_array().into_iter().flatten();
        let partitions = partitions.map(|partition| PartitionInfo {
            leader: number(&partition["leader"]),
            replicas: partition["replicas"]
                .as_array()
                .into_iter()
                .flatten()
                .map(number)
                .collect(),
        });
        Ok(TopicInfo {
            id: said["id"].as_str().unwrap_or_default().to_owned(),
            partitions: partitions.collect(),
        })
    }

    /// Sets a configuration of a topic.
    ///
    /// # Errors
    ///
    /// See [`Self::create_topic`].
    pub fn set_topic_config(&self, topic: &str, key: &str, value: &str) -> Result<(), Failure> {
        self.set_config("TOPIC", topic, key, value)
    }

    /// Sets a configuration of all brokers that can be changed while they run.
    ///
    /// # Errors
    ///
    /// See [`Self::create_topic`].
    pub fn set_broker_config(&self, key: &str, value: &str) -> Result<(), Failure> {
        self.set_config("BROKER", "", key, value)
    }

    /// Allows `principal` (such as `User:alice`) an operation (such as `WRITE`). With the property
    /// `allow.everyone.if.no.acl.found`, it forbids it to everyone else by that.
    ///
    /// # Errors
    ///
    /// See [`Self::create_topic`].
    pub fn allow(
        &self,
        principal: &str,
        operation: &str,
        target: AclTarget<'_>,
    ) -> Result<(), Failure> {
        let (resource, name) = match target {
            AclTarget::Topic(name) => ("TOPIC", name),
            AclTarget::TransactionalId(name) => ("TRANSACTIONAL_ID", name),
            AclTarget::Cluster => ("CLUSTER", "kafka-cluster"),
        };
        self.change(json!({
            "op": "create_acl", "resource": resource, "name": name,
            "principal": principal, "operation": operation,
        }))?;
        Ok(())
    }

    /// Makes a node the leader of a partition, and a replica if it was none.
    ///
    /// # Errors
    ///
    /// See [`Self::create_topic`].
    pub fn move_leader(&self, topic: &str, partition: i32, to: i32) -> Result<(), Failure> {
        self.change(json!({
            "op": "move_leader", "topic": topic, "partition": partition, "to": to,
        }))?;
        Ok(())
    }

    /// The same, given up after `limit`: a node that is ended or behind cannot lead.
    ///
    /// # Errors
    ///
    /// If it is not the leader by then; it may become it later.
    pub fn move_leader_within(
        &self,
        topic: &str,
        partition: i32,
        to: i32,
        limit: Duration,
    ) -> Result<(), Failure> {
        self.change(json!({
            "op": "move_leader", "topic": topic, "partition": partition, "to": to,
            "timeout_ms": limit.as_millis(),
        }))?;
        Ok(())
    }

    /// Elects the preferred leader of a partition.
    ///
    /// # Errors
    ///
    /// See [`Self::create_topic`].
    pub fn elect_preferred_leader(&self, topic: &str, partition: i32) -> Result<(), Failure> {
        self.change(json!({"op": "elect_leaders", "topic": topic, "partition": partition}))?;
        Ok(())
    }

    /// The same, given up after `limit`: the preferred leader may be ended or behind.
    ///
    /// # Errors
    ///
    /// If it could not be elected by then.
    pub fn elect_preferred_leader_within(
        &self,
        topic: &str,
        partition: i32,
        limit: Duration,
    ) -> Result<(), Failure> {
        self.change(json!({
            "op": "elect_leaders", "topic": topic, "partition": partition,
            "timeout_ms": limit.as_millis(),
        }))?;
        Ok(())
    }

    /// The producers that the partition's leader remembers. Not before Kafka 2.8.
    ///
    /// # Errors
    ///
    /// See [`Self::create_topic`].
    pub fn describe_producers(
        &self,
        topic: &str,
        partition: i32,
    ) -> Result<Vec<ProducerInfo>, Failure> {
        let said = self.change(json!({
            "op": "describe_producers", "topic": topic, "partition": partition,
        }))?;
        let producers = said.as_array().into_iter().flatten();
        let number = |value: &Value| value.as_i64().unwrap_or(i64::MIN);
        let producers = producers.map(|producer| ProducerInfo {
            id: number(&producer["producer_id"]),
            epoch: number(&producer["epoch"]),
            last_sequence: number(&producer["last_sequence"]),
        });
        Ok(producers.collect())
    }

    fn set_config(
        &self,
        resource: &str,
        name: &str,
        key: &str,
        value: &str,
    ) -> Result<(), Failure> {
        self.change(json!({
            "op": "alter_configs", "resource": resource, "name": name, "configs": {key: value},
        }))?;
        Ok(())
    }

    fn change(&self, question: Value) -> Result<Value, Failure> {
        self.ask(|sidecar| Ok(sidecar.ask(question, &[])?.0))
    }
}

fn number(value: &Value) -> i32 {
    let number = value.as_i64().and_then(|number| i32::try_from(number).ok());
    number.unwrap_or(i32::MIN)
}
