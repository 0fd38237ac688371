//! A reader of answers that takes what it understands and stops where it does not: hostile brokers
//! write some of them, so nothing is reserved for what a count promises.
//!
//! Thread: any. Locks: none.

use std::fmt;

/// What the trace tells of an answer.
#[derive(Debug)]
pub(super) enum Body {
    Produce(Vec<Produced>, i32),
    Metadata(Vec<i32>, Vec<Topic>),
    ApiVersions(i16),
    InitProducerId(i16, i64, i16),
}

/// One partition of an answer to Produce.
#[derive(Debug)]
pub(super) struct Produced {
    topic: String,
    partition: i32,
    code: i16,
    offset: i64,
}

/// One topic of an answer to Metadata.
#[derive(Debug)]
pub(super) struct Topic {
    name: String,
    code: i16,
    /// Error code, index, leader, leader epoch.
    partitions: Vec<(i16, i32, i32, i32)>,
}

impl Body {
    /// An answer behind its correlation id; none if that is not what the API answers.
    pub(super) fn read(api: i16, version: i16, frame: &[u8]) -> Option<Self> {
        let first_flexible = match api {
            0 | 3 => 9,
            22 => 2,
            // Its head is never flexible, and of the body only the beginning is read.
            18 => return Reader::new(frame, false).int().map(Self::ApiVersions),
            _ => return None,
        };
        let mut reader = Reader::new(frame, version >= first_flexible);
        reader.tags()?;
        match api {
            0 => reader.produce(version),
            3 => reader.metadata(version),
            _ => {
                reader.int::<i32, 4>()?;
                let code = reader.int()?;
                Some(Self::InitProducerId(code, reader.int()?, reader.int()?))
            }
        }
    }

    /// Every error code in it, 0 too.
    pub(super) fn codes(&self) -> impl Iterator<Item = i16> {
        let codes: Vec<i16> = match self {
            Self::Produce(produced, _) => produced.iter().map(|it| it.code).collect(),
            Self::Metadata(_, topics) => topics
                .iter()
                .flat_map(|topic| {
                    let partitions = topic.partitions.iter().map(|it| it.0);
                    partitions.chain([topic.code])
                })
                .collect(),
            Self::ApiVersions(code) | Self::InitProducerId(code, ..) => vec![*code],
        };
        codes.into_iter()
    }
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ApiVersions(code) => write!(f, " code={code}"),
            Self::InitProducerId(code, id, epoch) => write!(f, " code={code} id={id}/{epoch}"),
            Self::Produce(produced, throttle_ms) => {
                for it in produced {
                    write!(f, " [{}-{} ", it.topic, it.partition)?;
                    match it.code {
                        0 => write!(f, "offset={}]", it.offset)?,
                        code => write!(f, "code={code}]")?,
                    }
                }
                match throttle_ms {
                    0 => Ok(()),
                    ms => write!(f, " throttled {ms} ms"),
                }
            }
            Self::Metadata(nodes, topics) => {
                write!(f, " nodes={nodes:?}")?;
                for topic in topics {
                    write!(f, " [{}", topic.name)?;
                    if topic.code != 0 {
                        write!(f, " code={}", topic.code)?;
                    }
                    for (code, index, leader, epoch) in &topic.partitions {
                        write!(f, " {index}@{leader}/{epoch}")?;
                        if *code != 0 {
                            write!(f, " code={code}")?;
                        }
                    }
                    f.write_str("]")?;
                }
                Ok(())
            }
        }
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    is_flexible: bool,
}

/// An integer of the wire.
trait Int<const N: usize> {
    fn from_wire(bytes: [u8; N]) -> Self;
}

macro_rules! ints {
    ($($type:ty, $bytes:literal;)+) => {
        $(impl Int<$bytes> for $type {
            fn from_wire(bytes: [u8; $bytes]) -> Self {
                Self::from_be_bytes(bytes)
            }
        })+
    };
}

ints! { i8, 1; i16, 2; i32, 4; i64, 8; }

impl<'a> Reader<'a> {
    fn new(rest: &'a [u8], is_flexible: bool) -> Self {
        Self { rest, is_flexible }
    }

    fn int<T: Int<N>, const N: usize>(&mut self) -> Option<T> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(T::from_wire(*bytes))
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(bytes)
    }

    fn varint(&mut self) -> Option<usize> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = *self.take(1)?.first()?;
            value |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// How many follow; 0 for null.
    fn count(&mut self) -> Option<usize> {
        if self.is_flexible {
            self.varint().map(|count| count.saturating_sub(1))
        } else {
            let count: i32 = self.int()?;
            Some(usize::try_from(count).unwrap_or(0))
        }
    }

    /// Empty for null.
    fn text(&mut self) -> Option<String> {
        let length = if self.is_flexible {
            self.varint()?.saturating_sub(1)
        } else {
            let length: i16 = self.int()?;
            usize::try_from(length).unwrap_or(0)
        };
        let bytes = self.take(length)?;
        Some(String::from_utf8_lossy(bytes).into_owned())
    }

    fn tags(&mut self) -> Option<()> {
        if self.is_flexible {
            for _ in 0..self.varint()? {
                self.varint()?;
                let length = self.varint()?;
                self.take(length)?;
            }
        }
        Some(())
    }

    /// As much of a topic id as tells it from others.
    fn id(&mut self) -> Option<String> {
        let bytes = self.take(16)?;
        let hex = bytes.iter().take(3).map(|byte| format!("{byte:02x}"));
        Some(hex.collect::<String>() + "..")
    }

    fn produce(&mut self, version: i16) -> Option<Body> {
        let mut produced = Vec::new();
        for _ in 0..self.count()? {
            let topic = if version >= 13 {
                self.id()?
            } else {
                self.text()?
            };
            for _ in 0..self.count()? {
                produced.push(self.produced(&topic, version)?);
            }
            self.tags()?;
        }
        let throttle_ms = if version >= 1 { self.int()? } else { 0 };
        Some(Body::Produce(produced, throttle_ms))
    }

    fn produced(&mut self, topic: &str, version: i16) -> Option<Produced> {
        let produced = Produced {
            topic: topic.to_owned(),
            partition: self.int()?,
            code: self.int()?,
            offset: self.int()?,
        };
        let times = usize::from(version >= 2) + usize::from(version >= 5);
        self.take(8 * times)?;
        if version >= 8 {
            for _ in 0..self.count()? {
                self.take(4)?;
                self.text()?;
                self.tags()?;
            }
            self.text()?;
        }
        self.tags()?;
        Some(produced)
    }

    fn metadata(&mut self, version: i16) -> Option<Body> {
        if version >= 3 {
            self.take(4)?;
        }
        let mut nodes = Vec::new();
        for _ in 0..self.count()? {
            nodes.push(self.int()?);
            self.text()?;
            self.take(4)?;
            if version >= 1 {
                self.text()?;
            }
            self.tags()?;
        }
        if version >= 2 {
            self.text()?;
        }
        if version >= 1 {
            self.take(4)?;
        }
        let mut topics = Vec::new();
        for _ in 0..self.count()? {
            topics.push(self.topic(version)?);
        }
        Some(Body::Metadata(nodes, topics))
    }

    fn topic(&mut self, version: i16) -> Option<Topic> {
        let code = self.int()?;
        let mut name = self.text()?;
        if version >= 10 {
            let id = self.id()?;
            if name.is_empty() {
                name = id;
            }
        }
        if version >= 1 {
            self.take(1)?;
        }
        let mut partitions = Vec::new();
        for _ in 0..self.count()? {
            let (code, index, leader) = (self.int()?, self.int()?, self.int()?);
            let epoch = if version >= 7 { self.int()? } else { -1 };
            for _ in 0..2 + usize::from(version >= 5) {
                let bytes = self.count()?.checked_mul(4)?;
                self.take(bytes)?;
            }
            self.tags()?;
            partitions.push((code, index, leader, epoch));
        }
        if version >= 8 {
            self.take(4)?;
        }
        self.tags()?;
        Some(Topic {
            name,
            code,
            partitions,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::metadata_response::{
        MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
    };
    use kafka_protocol::messages::produce_response::{
        PartitionProduceResponse, TopicProduceResponse,
    };
    use kafka_protocol::messages::{
        InitProducerIdResponse, MetadataResponse, ProduceResponse, ResponseHeader,
    };
    use kafka_protocol::protocol::{Encodable, HeaderVersion, StrBytes};

    /// Behind the correlation id.
    fn frame<T: Encodable + HeaderVersion>(version: i16, body: &T) -> Vec<u8> {
        let mut bytes = bytes::BytesMut::new();
        let header = ResponseHeader::default();
        header
            .encode(&mut bytes, T::header_version(version))
            .unwrap();
        body.encode(&mut bytes, version).unwrap();
        bytes[4..].to_vec()
    }

    fn words(api: i16, version: i16, frame: &[u8]) -> String {
        let body = Body::read(api, version, frame);
        body.unwrap_or_else(|| panic!("{api} v{version}"))
            .to_string()
    }

    #[test]
    fn answers_of_every_version_are_understood() {
        let partition = PartitionProduceResponse::default()
            .with_index(4)
            .with_error_code(6);
        let answer = ProduceResponse::default().with_responses(vec![
            TopicProduceResponse::default()
                .with_name(StrBytes::from_static_str("t").into())
                .with_partition_responses(vec![partition.clone(), partition.with_index(5)]),
        ]);
        for version in 3..=12 {
            let told = words(0, version, &frame(version, &answer));
            assert_eq!(told, " [t-4 code=6] [t-5 code=6]", "v{version}");
        }
        let partition = MetadataResponsePartition::default()
            .with_error_code(5)
            .with_replica_nodes(vec![1.into(), 2.into()])
            .with_leader_id((-1).into());
        let answer = MetadataResponse::default()
            .with_brokers(vec![
                MetadataResponseBroker::default().with_node_id(7.into()),
            ])
            .with_topics(vec![
                MetadataResponseTopic::default()
                    .with_name(Some(StrBytes::from_static_str("t").into()))
                    .with_partitions(vec![partition]),
            ]);
        for version in 1..=12 {
            let told = words(3, version, &frame(version, &answer));
            assert!(
                told.starts_with(" nodes=[7] [t 0@-1/"),
                "v{version}: {told}"
            );
        }
        let answer = InitProducerIdResponse::default()
            .with_error_code(0)
            .with_producer_id(9.into())
            .with_producer_epoch(2);
        for version in 0..=4 {
            let told = words(22, version, &frame(version, &answer));
            assert_eq!(told, " code=0 id=9/2", "v{version}");
        }
    }

    #[test]
    fn counts_that_promise_the_earth_cost_nothing() {
        let frame = [0, 0xff, 0xff, 0xff, 0xff, 0x0f, 2, b'x', 0xff, 0xff];
        for (api, version) in [(0, 12), (3, 12), (22, 4), (0, 3), (3, 4)] {
            assert!(Body::read(api, version, &frame).is_none());
        }
    }
}
