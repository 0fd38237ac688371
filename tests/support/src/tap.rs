//! An independent reader of what a client puts on the wire, for whoever stands in between.
//!
//! It shares no line with the library's codec, with `kafka-protocol` or with the cluster's own
//! reading, and it is stricter than a broker: every byte must have a meaning, and only one. It
//! reads a batch's head and its checksum, never its records, so that it can look at each request
//! of a long simulation.

use std::fmt::Debug;

use uuid::Uuid;

use crate::versions::Api;

/// A request as it left the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenRequest {
    /// Its API.
    pub api: Api,
    /// Its version.
    pub version: i16,
    /// Its correlation id.
    pub correlation_id: i32,
    /// Its client id.
    pub client_id: Option<String>,
    /// What it asks for.
    pub body: SeenBody,
}

/// The body of a [`SeenRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SeenBody {
    /// Records to append.
    Produce(SeenProduce),
    /// A question about topics.
    Metadata {
        /// `None` asks for all topics.
        topics: Option<Vec<SeenTopic>>,
        /// Whether the question may create them.
        allow_auto_topic_creation: bool,
    },
    /// A question about versions.
    ApiVersions {
        /// The client's name and version, since version 3.
        software: Option<(String, String)>,
    },
    /// A question for a producer id.
    InitProducerId {
        /// Absent without transactions.
        transactional_id: Option<String>,
        /// The producer id that is to be replaced, -1 if there is none.
        producer_id: i64,
        /// Its epoch, -1 if there is none.
        producer_epoch: i16,
    },
}

/// The body of a Produce request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenProduce {
    /// Absent without transactions.
    pub transactional_id: Option<String>,
    /// 0, 1 or -1, if the client is right.
    pub acks: i16,
    /// How long the leader may wait for replicas.
    pub timeout_ms: i32,
    /// One entry per partition, in the order of the request.
    pub batches: Vec<SeenBatch>,
}

/// How a request names a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SeenTopic {
    /// By its name.
    Name(String),
    /// By its id.
    Id(Uuid),
}

/// The one batch that a Produce request carries for a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenBatch {
    /// Its topic.
    pub topic: SeenTopic,
    /// Its partition.
    pub partition: i32,
    /// -1 without idempotence.
    pub producer_id: i64,
    /// -1 without idempotence.
    pub producer_epoch: i16,
    /// -1 without idempotence.
    pub base_sequence: i32,
    /// How many records it says it holds.
    pub count: i32,
    /// Codec, kind of timestamp, transactional and control bits.
    pub attributes: i16,
    /// The checksum it carries.
    pub crc: u32,
    /// Whether the checksum fits the bytes.
    pub crc_is_right: bool,
    /// The length of the whole batch.
    pub bytes: usize,
    /// Where it begins in the frame.
    pub at: usize,
}

/// Reads a frame without its size.
///
/// # Errors
///
/// Whatever is not exactly one request of a known API in a version that Kafka 4 has, in words: a
/// byte too many or too few, a length that is negative where null is not allowed, text that is not
/// UTF-8, a tag nobody defined, and for Produce anything but one whole batch of format 2 per
/// partition whose counts agree.
pub fn read_request(frame: &[u8]) -> Result<SeenRequest, String> {
    let mut reader = Reader {
        length: frame.len(),
        rest: frame,
        flexible: false,
    };
    let key = reader.int::<i16, 2>("api key")?;
    let version = reader.int::<i16, 2>("version")?;
    let correlation_id = reader.int::<i32, 4>("correlation id")?;
    let api = Api::from_key(key).ok_or_else(|| format!("unknown api key {key}"))?;
    let (min, max, first_flexible) = known(api);
    if !(min..=max).contains(&version) {
        return Err(format!("{api:?} has no version {version}"));
    }
    // The client id keeps its old form for the sake of brokers that do not know the version.
    let client_id = reader.nullable_string("client id")?.map(str::to_owned);
    reader.flexible = version >= first_flexible;
    let read = |reader: &mut Reader<'_>| {
        reader.tags("header")?;
        let body = match api {
            Api::Produce => reader.produce(version).map(SeenBody::Produce),
            Api::Metadata => reader.metadata(version),
            Api::ApiVersions => reader.api_versions(version),
            Api::InitProducerId => reader.init_producer_id(version),
        }?;
        reader.tags("body")?;
        match reader.rest.len() {
            0 => Ok(body),
            left => Err(format!("{left} bytes after the request")),
        }
    };
    let body = read(&mut reader).map_err(|why| format!("{api:?} v{version}: {why}"))?;
    Ok(SeenRequest {
        api,
        version,
        correlation_id,
        client_id,
        body,
    })
}

/// Reads the correlation id of an answer, a frame without its size.
///
/// # Errors
///
/// If the frame is too short to have one.
pub fn read_response_head(frame: &[u8]) -> Result<i32, String> {
    let mut reader = Reader {
        length: frame.len(),
        rest: frame,
        flexible: false,
    };
    reader.int::<i32, 4>("correlation id")
}

/// First, last and first flexible version. Produce before 3 carries formats that Kafka 4 has not.
fn known(api: Api) -> (i16, i16, i16) {
    match api {
        Api::Produce => (3, 13, 9),
        Api::Metadata => (0, 13, 9),
        Api::ApiVersions => (0, 4, 3),
        Api::InitProducerId => (0, 5, 2),
    }
}

const BATCH_HEAD: usize = 61;

struct Reader<'a> {
    /// Of all there was.
    length: usize,
    rest: &'a [u8],
    flexible: bool,
}

impl<'a> Reader<'a> {
    fn produce(&mut self, version: i16) -> Result<SeenProduce, String> {
        let transactional_id = self.nullable_string("transactional id")?;
        let transactional_id = transactional_id.map(str::to_owned);
        let acks = self.int::<i16, 2>("acks")?;
        let timeout_ms = self.int::<i32, 4>("timeout")?;
        let mut batches = Vec::new();
        for _ in 0..self.count("topics")? {
            let topic = if version >= 13 {
                SeenTopic::Id(self.uuid("topic id")?)
            } else {
                SeenTopic::Name(self.string("topic name")?.to_owned())
            };
            for _ in 0..self.count("partitions")? {
                let partition = self.int::<i32, 4>("partition")?;
                let length = self.bytes_length("records")?;
                let at = self.length - self.rest.len();
                let records = self.take(length, "records")?;
                let batch = read_batch(topic.clone(), partition, records)?;
                batches.push(SeenBatch { at, ..batch });
                self.tags("partition")?;
            }
            self.tags("topic")?;
        }
        Ok(SeenProduce {
            transactional_id,
            acks,
            timeout_ms,
            batches,
        })
    }

    fn metadata(&mut self, version: i16) -> Result<SeenBody, String> {
        let mut topics = None;
        if let Some(count) = self.nullable_count("topics")? {
            let mut named = Vec::new();
            for _ in 0..count {
                named.push(self.metadata_topic(version)?);
                self.tags("topic")?;
            }
            // In version 0 an empty list means all.
            topics = (version > 0 || count > 0).then_some(named);
        } else if version == 0 {
            return Err("null topics".to_owned());
        }
        let allow_auto_topic_creation = version < 4 || self.boolean("auto creation")?;
        if (8..=10).contains(&version) {
            self.boolean("cluster operations")?;
        }
        if version >= 8 {
            self.boolean("topic operations")?;
        }
        Ok(SeenBody::Metadata {
            topics,
            allow_auto_topic_creation,
        })
    }

    fn metadata_topic(&mut self, version: i16) -> Result<SeenTopic, String> {
        if version < 10 {
            return Ok(SeenTopic::Name(self.string("topic name")?.to_owned()));
        }
        let id = self.uuid("topic id")?;
        match (self.nullable_string("topic name")?, id.is_nil()) {
            (Some(name), true) => Ok(SeenTopic::Name(name.to_owned())),
            (None, false) if version >= 12 => Ok(SeenTopic::Id(id)),
            (name, _) => Err(format!("a topic of id {id} and name {name:?}")),
        }
    }

    fn api_versions(&mut self, version: i16) -> Result<SeenBody, String> {
        let mut software = None;
        if version >= 3 {
            let name = self.string("software name")?.to_owned();
            let version = self.string("software version")?.to_owned();
            software = Some((name, version));
        }
        Ok(SeenBody::ApiVersions { software })
    }

    fn init_producer_id(&mut self, version: i16) -> Result<SeenBody, String> {
        let transactional_id = self.nullable_string("transactional id")?;
        let transactional_id = transactional_id.map(str::to_owned);
        self.int::<i32, 4>("transaction timeout")?;
        let (mut producer_id, mut producer_epoch) = (-1, -1);
        if version >= 3 {
            producer_id = self.int::<i64, 8>("producer id")?;
            producer_epoch = self.int::<i16, 2>("producer epoch")?;
        }
        Ok(SeenBody::InitProducerId {
            transactional_id,
            producer_id,
            producer_epoch,
        })
    }

    fn take(&mut self, length: usize, what: &str) -> Result<&'a [u8], String> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(|| {
            format!(
                "{what}: {length} bytes wanted, {} are there",
                self.rest.len()
            )
        })?;
        self.rest = rest;
        Ok(taken)
    }

    fn int<T: BigEndian<N>, const N: usize>(&mut self, what: &str) -> Result<T, String> {
        let Some((bytes, rest)) = self.rest.split_first_chunk() else {
            return Err(format!("{what}: the frame ends before it"));
        };
        self.rest = rest;
        Ok(T::from_bytes(*bytes))
    }

    fn uuid(&mut self, what: &str) -> Result<Uuid, String> {
        let bytes = self.take(16, what)?;
        Uuid::from_slice(bytes).map_err(|why| format!("{what}: {why}"))
    }

    fn boolean(&mut self, what: &str) -> Result<bool, String> {
        match self.take(1, what)? {
            [0] => Ok(false),
            [1] => Ok(true),
            other => Err(format!("{what}: {other:?} is no boolean")),
        }
    }

    /// A length of `N` bytes or, in flexible versions, a varint that is one larger. `None` is null.
    fn length<T, const N: usize>(&mut self, what: &str) -> Result<Option<usize>, String>
    where
        T: BigEndian<N> + Into<i64>,
    {
        let length = if self.flexible {
            i64::from(self.varint(what)?) - 1
        } else {
            self.int::<T, N>(what)?.into()
        };
        match usize::try_from(length) {
            Ok(length) => Ok(Some(length)),
            Err(_) if length == -1 => Ok(None),
            Err(_) => Err(format!("{what}: a length of {length}")),
        }
    }

    fn bytes_length(&mut self, what: &str) -> Result<usize, String> {
        let length = self.length::<i32, 4>(what)?;
        length.ok_or_else(|| format!("{what}: null"))
    }

    fn count(&mut self, what: &str) -> Result<usize, String> {
        let count = self.nullable_count(what)?;
        count.ok_or_else(|| format!("{what}: null"))
    }

    fn nullable_count(&mut self, what: &str) -> Result<Option<usize>, String> {
        let count = self.length::<i32, 4>(what)?;
        match count {
            Some(count) if count > self.rest.len() => Err(format!(
                "{what}: {count} of them in {} bytes",
                self.rest.len()
            )),
            _ => Ok(count),
        }
    }

    fn string(&mut self, what: &str) -> Result<&'a str, String> {
        let string = self.nullable_string(what)?;
        string.ok_or_else(|| format!("{what}: null"))
    }

    fn nullable_string(&mut self, what: &str) -> Result<Option<&'a str>, String> {
        let Some(length) = self.length::<i16, 2>(what)? else {
            return Ok(None);
        };
        let bytes = self.take(length, what)?;
        let text = std::str::from_utf8(bytes).map_err(|why| format!("{what}: {why}"))?;
        Ok(Some(text))
    }

    /// None of these requests has a tagged field.
    fn tags(&mut self, what: &str) -> Result<(), String> {
        if !self.flexible {
            return Ok(());
        }
        match self.varint(what)? {
            0 => Ok(()),
            tags => Err(format!("{what}: {tags} tagged fields, none is known")),
        }
    }

    /// Unsigned, of at most 32 bits, in as few bytes as can be.
    fn varint(&mut self, what: &str) -> Result<u32, String> {
        let mut value = 0_u64;
        for group in 0..5 {
            let [byte] = self.int::<[u8; 1], 1>(what)?;
            value |= u64::from(byte & 0x7f) << (group * 7);
            if byte & 0x80 == 0 {
                if byte == 0 && group > 0 {
                    return Err(format!("{what}: a varint with a byte too many"));
                }
                return u32::try_from(value).map_err(|_| format!("{what}: a varint of {value}"));
            }
        }
        Err(format!("{what}: a varint that does not end"))
    }
}

fn read_batch(topic: SeenTopic, partition: i32, records: &[u8]) -> Result<SeenBatch, String> {
    let wrong = |why: String| format!("{topic:?}-{partition}: {why}");
    let bytes = records.len();
    if bytes < BATCH_HEAD {
        return Err(wrong(format!("a batch of {bytes} bytes")));
    }
    let mut head = Reader {
        length: bytes,
        rest: records,
        flexible: false,
    };
    let base_offset = head.int::<i64, 8>("base offset")?;
    let length = head.int::<i32, 4>("batch length")?;
    head.int::<i32, 4>("leader epoch")?;
    let [magic] = head.int::<[u8; 1], 1>("magic")?;
    let crc = head.int::<u32, 4>("crc")?;
    let crc_is_right = crc32c::crc32c(head.rest) == crc;
    let attributes = head.int::<i16, 2>("attributes")?;
    let last_offset_delta = head.int::<i32, 4>("last offset delta")?;
    head.take(16, "timestamps")?;
    let producer_id = head.int::<i64, 8>("producer id")?;
    let producer_epoch = head.int::<i16, 2>("producer epoch")?;
    let base_sequence = head.int::<i32, 4>("base sequence")?;
    let count = head.int::<i32, 4>("count")?;
    if i64::from(length) + 12 != i64::try_from(bytes).unwrap_or(i64::MAX) {
        return Err(wrong(format!(
            "{bytes} bytes for a batch length of {length}"
        )));
    }
    if magic != 2 || base_offset != 0 {
        return Err(wrong(format!("magic {magic}, base offset {base_offset}")));
    }
    if count < 1 || last_offset_delta != count - 1 {
        let why = format!("{count} records, last offset delta {last_offset_delta}");
        return Err(wrong(why));
    }
    Ok(SeenBatch {
        topic,
        partition,
        producer_id,
        producer_epoch,
        base_sequence,
        count,
        attributes,
        crc,
        crc_is_right,
        bytes,
        at: 0,
    })
}

/// The fixed-size values of the protocol.
trait BigEndian<const N: usize>: Debug {
    fn from_bytes(bytes: [u8; N]) -> Self;
}

impl BigEndian<1> for [u8; 1] {
    fn from_bytes(bytes: [u8; 1]) -> Self {
        bytes
    }
}

impl BigEndian<2> for i16 {
    fn from_bytes(bytes: [u8; 2]) -> Self {
        Self::from_be_bytes(bytes)
    }
}

impl BigEndian<4> for i32 {
    fn from_bytes(bytes: [u8; 4]) -> Self {
        Self::from_be_bytes(bytes)
    }
}

impl BigEndian<4> for u32 {
    fn from_bytes(bytes: [u8; 4]) -> Self {
        Self::from_be_bytes(bytes)
    }
}

impl BigEndian<8> for i64 {
    fn from_bytes(bytes: [u8; 8]) -> Self {
        Self::from_be_bytes(bytes)
    }
}
