//! A reader of answers that shares no line with the client's: what a broker told it.
//!
//! Thread: the one that simulates. Locks: none. It reads no more than the oracle needs; what it
//! cannot read told nothing.

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
    /// -1: nobody was named.
    pub(super) leader: i32,
}

#[derive(Debug)]
pub(super) struct ToldLeader<'a> {
    pub(super) name: &'a str,
    pub(super) id: Uuid,
    pub(super) partition: i32,
    pub(super) leader: i32,
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
        if version >= 8 {
            for _ in 0..self.count()? {
                self.i32()?;
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
            leader,
        })
    }

    fn metadata(&mut self, version: i16, told: &mut Told<'a>) -> Option<()> {
        if version >= 3 {
            told.throttle_ms = self.i32()?;
        }
        for _ in 0..self.count()? {
            self.i32()?;
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
            self.i16()?;
            let name = self.nullable_string()?.unwrap_or("");
            let id = if version >= 10 {
                self.uuid()?
            } else {
                Uuid::nil()
            };
            self.take(1)?;
            for _ in 0..self.count()? {
                self.i16()?;
                let (partition, leader) = (self.i32()?, self.i32()?);
                if version >= 7 {
                    self.i32()?;
                }
                let lists = if version >= 5 { 3 } else { 2 };
                for _ in 0..lists {
                    let nodes = self.count()?;
                    self.take(nodes.checked_mul(4)?)?;
                }
                self.skip_tags()?;
                told.leaders.push(ToldLeader {
                    name,
                    id,
                    partition,
                    leader,
                });
            }
            if version >= 8 {
                self.i32()?;
            }
            self.skip_tags()?;
        }
        Some(())
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
