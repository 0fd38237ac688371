//! A reader of answers that shares no line with the client's: what a broker told it, for the oracle
//! and for the trace. Hostile brokers write some of them, so nothing is reserved for what a count
//! promises; what cannot be read told nothing.
//!
//! Thread: the one that simulates. Locks: none.

use std::fmt;

use kafka_test_support::Api;
use uuid::Uuid;

/// What an answer said.
#[derive(Debug, Default)]
pub(super) struct Told<'a> {
    pub(super) throttle_ms: i32,
    pub(super) error: i16,
    pub(super) produced: Vec<ToldPartition<'a>>,
    /// Key, lowest and highest version of each API.
    pub(super) versions: Vec<(i16, i16, i16)>,
    pub(super) nodes: Vec<i32>,
    pub(super) topics: Vec<ToldTopic<'a>>,
    pub(super) leaders: Vec<ToldLeader<'a>>,
    /// Producer id and epoch.
    pub(super) identity: Option<(i64, i16)>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Topic<'a> {
    Name(&'a str),
    Id(Uuid),
}

#[derive(Debug)]
pub(super) struct ToldPartition<'a> {
    pub(super) topic: Topic<'a>,
    pub(super) partition: i32,
    pub(super) error: i16,
    pub(super) base_offset: i64,
    /// Indexes of records that are to blame.
    pub(super) blamed: Vec<i32>,
    /// -1: nobody was named.
    pub(super) leader: i32,
}

/// One topic of an answer to Metadata; its partitions are `leaders[first..]`.
#[derive(Debug)]
pub(super) struct ToldTopic<'a> {
    pub(super) name: &'a str,
    pub(super) id: Uuid,
    pub(super) error: i16,
    first: usize,
}

#[derive(Debug)]
pub(super) struct ToldLeader<'a> {
    pub(super) name: &'a str,
    pub(super) id: Uuid,
    pub(super) error: i16,
    pub(super) partition: i32,
    pub(super) leader: i32,
    /// -1: nothing was said of it.
    pub(super) epoch: i32,
}

impl Told<'_> {
    /// Every error code in it, 0 too.
    pub(super) fn codes(&self, api: Api) -> impl Iterator<Item = i16> {
        let whole = match api {
            Api::ApiVersions | Api::InitProducerId => Some(self.error),
            Api::Produce | Api::Metadata => None,
        };
        let topics = self.topics.iter().map(|it| it.error);
        let leaders = self.leaders.iter().map(|it| it.error);
        let produced = self.produced.iter().map(|it| it.error);
        whole
            .into_iter()
            .chain(topics)
            .chain(leaders)
            .chain(produced)
    }

    pub(super) fn write(&self, api: Api, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match api {
            Api::ApiVersions => write!(f, " code={}", self.error)?,
            Api::InitProducerId => {
                let (id, epoch) = self.identity.unwrap_or((-1, -1));
                write!(f, " code={} id={id}/{epoch}", self.error)?;
            }
            Api::Produce => {
                for it in &self.produced {
                    write!(f, " [{}-{} ", it.topic, it.partition)?;
                    match it.error {
                        0 => write!(f, "offset={}]", it.base_offset)?,
                        code if it.blamed.is_empty() => write!(f, "code={code}]")?,
                        code => write!(f, "code={code} because of {:?}]", it.blamed)?,
                    }
                }
            }
            Api::Metadata => self.write_metadata(f)?,
        }
        match self.throttle_ms {
            0 => Ok(()),
            ms => write!(f, " throttled {ms} ms"),
        }
    }

    fn write_metadata(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " nodes={:?}", self.nodes)?;
        let ends = self.topics.iter().skip(1).map(|next| next.first);
        for (topic, end) in self.topics.iter().zip(ends.chain([self.leaders.len()])) {
            let named = match topic.name {
                "" => Topic::Id(topic.id),
                name => Topic::Name(name),
            };
            write!(f, " [{named}")?;
            if topic.error != 0 {
                write!(f, " code={}", topic.error)?;
            }
            for it in self.leaders.get(topic.first..end).unwrap_or_default() {
                write!(f, " {}@{}/{}", it.partition, it.leader, it.epoch)?;
                if it.error != 0 {
                    write!(f, " code={}", it.error)?;
                }
            }
            f.write_str("]")?;
        }
        Ok(())
    }
}

impl fmt::Display for Topic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Id(id) => write!(f, "{}..", &id.simple().to_string()[..6]),
        }
    }
}

/// Reads an answer to a request of this API and version.
pub(super) fn read(api: Api, version: i16, frame: &[u8]) -> Option<Told<'_>> {
    let flexible = match api {
        Api::Produce | Api::Metadata => version >= 9,
        Api::ApiVersions => version >= 3,
        Api::InitProducerId => version >= 2,
    };
    let mut input = Input {
        rest: frame.get(4..)?,
        flexible,
    };
    if api != Api::ApiVersions {
        input.tags(|_, _| Some(()))?;
    }
    let mut told = Told::default();
    match api {
        Api::Produce => input.produce(version, &mut told),
        Api::Metadata => input.metadata(version, &mut told),
        Api::ApiVersions => input.api_versions(version, &mut told),
        Api::InitProducerId => input.init_producer_id(&mut told),
    }?;
    Some(told)
}

struct Input<'a> {
    rest: &'a [u8],
    flexible: bool,
}

impl<'a> Input<'a> {
    fn produce(&mut self, version: i16, told: &mut Told<'a>) -> Option<()> {
        for _ in 0..self.count()? {
            let topic = if version >= 13 {
                Topic::Id(self.uuid()?)
            } else {
                Topic::Name(self.string()?)
            };
            for _ in 0..self.count()? {
                let partition = self.produced(version, topic)?;
                told.produced.push(partition);
            }
            self.skip_tags()?;
        }
        told.throttle_ms = self.i32()?;
        self.skip_tags()
    }

    fn produced(&mut self, version: i16, topic: Topic<'a>) -> Option<ToldPartition<'a>> {
        let (partition, error, base_offset) = (self.i32()?, self.i16()?, self.i64()?);
        self.i64()?; // append time
        if version >= 5 {
            self.i64()?;
        }
        let mut blamed = Vec::new();
        if version >= 8 {
            for _ in 0..self.count()? {
                blamed.push(self.i32()?);
                self.nullable_string()?;
                self.skip_tags()?;
            }
            self.nullable_string()?;
        }
        let mut leader = -1;
        self.tags(|tag, mut content| {
            if tag == 0 {
                leader = content.i32()?;
            }
            Some(())
        })?;
        Some(ToldPartition {
            topic,
            partition,
            error,
            base_offset,
            blamed,
            leader,
        })
    }

    fn metadata(&mut self, version: i16, told: &mut Told<'a>) -> Option<()> {
        if version >= 3 {
            told.throttle_ms = self.i32()?;
        }
        for _ in 0..self.count()? {
            told.nodes.push(self.i32()?);
            self.string()?;
            self.i32()?;
            self.nullable_string()?;
            self.skip_tags()?;
        }
        if version >= 2 {
            self.nullable_string()?;
        }
        self.i32()?;
        for _ in 0..self.count()? {
            self.topic(version, told)?;
        }
        Some(())
    }

    fn topic(&mut self, version: i16, told: &mut Told<'a>) -> Option<()> {
        let topic = ToldTopic {
            error: self.i16()?,
            name: self.nullable_string()?.unwrap_or(""),
            id: if version >= 10 {
                self.uuid()?
            } else {
                Uuid::nil()
            },
            first: told.leaders.len(),
        };
        self.take(1)?;
        for _ in 0..self.count()? {
            let leader = ToldLeader {
                name: topic.name,
                id: topic.id,
                error: self.i16()?,
                partition: self.i32()?,
                leader: self.i32()?,
                epoch: if version >= 7 { self.i32()? } else { -1 },
            };
            let lists = if version >= 5 { 3 } else { 2 };
            for _ in 0..lists {
                let nodes = self.count()?;
                self.take(nodes.checked_mul(4)?)?;
            }
            self.skip_tags()?;
            told.leaders.push(leader);
        }
        if version >= 8 {
            self.i32()?;
        }
        told.topics.push(topic);
        self.skip_tags()
    }

    /// A node that does not know the version answers in version 0.
    fn api_versions(&mut self, version: i16, told: &mut Told<'a>) -> Option<()> {
        told.error = self.i16()?;
        if told.error == 35 {
            self.flexible = false;
        }
        for _ in 0..self.count()? {
            let range = (self.i16()?, self.i16()?, self.i16()?);
            told.versions.push(range);
            self.skip_tags()?;
        }
        if version >= 1 && told.error != 35 {
            told.throttle_ms = self.i32()?;
        }
        Some(())
    }

    fn init_producer_id(&mut self, told: &mut Told<'a>) -> Option<()> {
        told.throttle_ms = self.i32()?;
        told.error = self.i16()?;
        told.identity = Some((self.i64()?, self.i16()?));
        Some(())
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn i16(&mut self) -> Option<i16> {
        Some(i16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn i32(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn i64(&mut self) -> Option<i64> {
        Some(i64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    fn uuid(&mut self) -> Option<Uuid> {
        Uuid::from_slice(self.take(16)?).ok()
    }

    fn varint(&mut self) -> Option<u32> {
        let mut value = 0_u32;
        for group in 0..5 {
            let [byte] = self.take(1)?.try_into().ok()?;
            let byte: u8 = byte;
            value |= u32::from(byte & 0x7f) << (group * 7);
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// Of an array; null is as good as empty.
    fn count(&mut self) -> Option<usize> {
        let count = if self.flexible {
            self.varint()?.saturating_sub(1)
        } else {
            u32::try_from(self.i32()?.max(0)).ok()?
        };
        let count = usize::try_from(count).ok()?;
        (count <= self.rest.len()).then_some(count)
    }

    fn string(&mut self) -> Option<&'a str> {
        self.nullable_string()?
    }

    #[expect(
        clippy::option_option,
        reason = "the outer one is the end of the bytes, the inner one null"
    )]
    fn nullable_string(&mut self) -> Option<Option<&'a str>> {
        let length = if self.flexible {
            i64::from(self.varint()?) - 1
        } else {
            i64::from(self.i16()?)
        };
        if length < 0 {
            return Some(None);
        }
        let bytes = self.take(usize::try_from(length).ok()?)?;
        Some(Some(std::str::from_utf8(bytes).ok()?))
    }

    fn skip_tags(&mut self) -> Option<()> {
        self.tags(|_, _| Some(()))
    }

    fn tags(&mut self, mut read: impl FnMut(u32, Self) -> Option<()>) -> Option<()> {
        if !self.flexible {
            return Some(());
        }
        for _ in 0..self.varint()? {
            let tag = self.varint()?;
            let length = usize::try_from(self.varint()?).ok()?;
            let rest = self.take(length)?;
            read(
                tag,
                Input {
                    rest,
                    flexible: true,
                },
            )?;
        }
        Some(())
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

    /// With a correlation id.
    fn frame<T: Encodable + HeaderVersion>(version: i16, body: &T) -> Vec<u8> {
        let mut bytes = bytes::BytesMut::new();
        let header = ResponseHeader::default();
        header
            .encode(&mut bytes, T::header_version(version))
            .unwrap();
        body.encode(&mut bytes, version).unwrap();
        bytes.to_vec()
    }

    struct Words<'a>(Api, Told<'a>);

    impl fmt::Display for Words<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.1.write(self.0, f)
        }
    }

    fn words(api: Api, version: i16, frame: &[u8]) -> String {
        let told = read(api, version, frame);
        Words(api, told.unwrap_or_else(|| panic!("{api:?} v{version}"))).to_string()
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
            let told = words(Api::Produce, version, &frame(version, &answer));
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
            let told = words(Api::Metadata, version, &frame(version, &answer));
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
            let told = words(Api::InitProducerId, version, &frame(version, &answer));
            assert_eq!(told, " code=0 id=9/2", "v{version}");
        }
    }

    #[test]
    fn counts_that_promise_the_earth_cost_nothing() {
        let frame = [
            0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 2, b'x', 0xff, 0xff,
        ];
        for (api, version) in [
            (Api::Produce, 12),
            (Api::Metadata, 12),
            (Api::InitProducerId, 4),
            (Api::Produce, 3),
            (Api::Metadata, 4),
        ] {
            assert!(read(api, version, &frame).is_none());
        }
    }
}
