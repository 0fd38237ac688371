//! Records written and read by Kafka's own producer and consumer.

use std::time::Duration;

use bytes::{Buf, BufMut};
use serde_json::{Map, Value, json};

use super::cluster::RealKafka;
use super::failure::Failure;

/// A record as Kafka's own consumer read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumedRecord {
    /// Where it lies.
    pub partition: i32,
    /// Where it lies in its partition.
    pub offset: i64,
    /// In milliseconds.
    pub timestamp: i64,
    /// Who set the timestamp.
    pub timestamp_kind: TimestampKind,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Vec<u8>>,
    /// In their order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// Who set a record's timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampKind {
    /// The producer.
    CreateTime,
    /// The broker.
    LogAppendTime,
}

/// A record for Kafka's own producer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JavaRecord {
    /// Left to the producer if absent.
    pub partition: Option<i32>,
    /// Left to the producer if absent.
    pub timestamp: Option<i64>,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Vec<u8>>,
    /// In their order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// Where Kafka's own producer says that it put a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Produced {
    /// The partition.
    pub partition: i32,
    /// The offset in it.
    pub offset: i64,
    /// The record's timestamp.
    pub timestamp: i64,
}

impl RealKafka {
    /// All records of a topic, those of each partition in order.
    ///
    /// # Errors
    ///
    /// If the ends that the partitions have now are not reached in time.
    pub fn read_topic(&self, topic: &str) -> Result<Vec<ConsumedRecord>, Failure> {
        self.read_topic_with(topic, &[])
    }

    /// The same with properties of the consumer, such as `isolation.level`.
    ///
    /// # Errors
    ///
    /// See [`Self::read_topic`].
    pub fn read_topic_with(
        &self,
        topic: &str,
        properties: &[(&str, &str)],
    ) -> Result<Vec<ConsumedRecord>, Failure> {
        let question = json!({
            "op": "read", "topic": topic, "properties": self.properties(properties),
        });
        let mut records = Vec::new();
        self.read_each(question, |record| records.push(record))?;
        Ok(records)
    }

    /// Hands all records of a topic over, those of each partition in order, without holding all of
    /// them at a time.
    ///
    /// # Errors
    ///
    /// If the ends that the partitions have now are not reached within `limit`.
    pub fn for_each_record(
        &self,
        topic: &str,
        limit: Duration,
        on_record: impl FnMut(ConsumedRecord),
    ) -> Result<(), Failure> {
        let question = json!({
            "op": "read", "topic": topic, "properties": self.properties(&[]),
            "timeout_ms": limit.as_millis(),
        });
        self.read_each(question, on_record)
    }

    fn read_each(
        &self,
        question: Value,
        mut on_record: impl FnMut(ConsumedRecord),
    ) -> Result<(), Failure> {
        let mut read: u64 = 0;
        // A chunk ends where a record does.
        let on_chunk = |chunk: Vec<u8>| {
            let mut rest = chunk.as_slice();
            while rest.has_remaining() {
                let record = read_record(&mut rest);
                on_record(record.ok_or_else(|| Failure::new("a record cut short"))?);
                read += 1;
            }
            Ok(())
        };
        let count = self.ask(|sidecar| sidecar.ask_in_chunks(question, &[], on_chunk))?;
        if count.as_u64() != Some(read) {
            return Err(Failure::new(format!("{read} records of {count}")));
        }
        Ok(())
    }

    /// Writes records with Kafka's own producer; says where each went.
    ///
    /// # Errors
    ///
    /// If one of them is not acknowledged in time.
    pub fn java_produce(
        &self,
        topic: &str,
        records: &[JavaRecord],
        properties: &[(&str, &str)],
    ) -> Result<Vec<Produced>, Failure> {
        let mut bytes = Vec::new();
        for record in records {
            write_record(record, &mut bytes);
        }
        let question = json!({
            "op": "produce", "topic": topic, "properties": self.properties(properties),
        });
        let (_, said) = self.ask(|sidecar| sidecar.ask(question, &bytes))?;
        let produced = said.chunks_exact(20).map(|mut one| Produced {
            partition: one.get_i32(),
            offset: one.get_i64(),
            timestamp: one.get_i64(),
        });
        Ok(produced.collect())
    }

    /// The partitions that Kafka's own producer chooses for keys, by sending them to the topic.
    ///
    /// # Errors
    ///
    /// See [`Self::java_produce`].
    pub fn java_partitions(&self, topic: &str, keys: &[Vec<u8>]) -> Result<Vec<i32>, Failure> {
        let record = |key: &Vec<u8>| JavaRecord {
            key: Some(key.clone()),
            ..JavaRecord::default()
        };
        let records: Vec<JavaRecord> = keys.iter().map(record).collect();
        // With it, Java's producer can get stuck in OUT_OF_ORDER_SEQUENCE_NUMBER on a new topic.
        let properties = [("enable.idempotence", "false")];
        let produced = self.java_produce(topic, &records, &properties)?;
        Ok(produced.iter().map(|record| record.partition).collect())
    }

    /// A client that is new asks those that can answer first.
    fn properties(&self, given: &[(&str, &str)]) -> Map<String, Value> {
        let bootstrap = ("bootstrap.servers".to_owned(), self.bootstrap_up().into());
        let given = given
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).into()));
        [bootstrap].into_iter().chain(given).collect()
    }
}

fn read_record(bytes: &mut &[u8]) -> Option<ConsumedRecord> {
    Some(ConsumedRecord {
        partition: bytes.try_get_i32().ok()?,
        offset: bytes.try_get_i64().ok()?,
        timestamp: bytes.try_get_i64().ok()?,
        timestamp_kind: match bytes.try_get_u8().ok()? {
            0 => TimestampKind::CreateTime,
            1 => TimestampKind::LogAppendTime,
            _ => return None,
        },
        key: read_nullable(bytes)?,
        value: read_nullable(bytes)?,
        headers: (0..bytes.try_get_i32().ok()?)
            .map(|_| {
                let key = String::from_utf8(read_nullable(bytes)??).ok()?;
                Some((key, read_nullable(bytes)?))
            })
            .collect::<Option<_>>()?,
    })
}

fn read_nullable(bytes: &mut &[u8]) -> Option<Option<Vec<u8>>> {
    let Ok(length) = usize::try_from(bytes.try_get_i32().ok()?) else {
        return Some(None);
    };
    let (value, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(Some(value.to_vec()))
}

fn write_record(record: &JavaRecord, to: &mut Vec<u8>) {
    to.put_i32(record.partition.unwrap_or(-1));
    to.put_i64(record.timestamp.unwrap_or(-1));
    write_nullable(record.key.as_deref(), to);
    write_nullable(record.value.as_deref(), to);
    to.put_i32(i32::try_from(record.headers.len()).expect("a few headers"));
    for (key, value) in &record.headers {
        write_nullable(Some(key.as_bytes()), to);
        write_nullable(value.as_deref(), to);
    }
}

fn write_nullable(bytes: Option<&[u8]>, to: &mut Vec<u8>) {
    let length = bytes.map_or(-1, |bytes| {
        i32::try_from(bytes.len()).expect("a test's size")
    });
    to.put_i32(length);
    to.put_slice(bytes.unwrap_or_default());
}
