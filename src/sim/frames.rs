//! Requests and answers as they pass the client's sockets, read without the library's codec: for the
//! trace in words, and for what error codes were seen.
//!
//! Thread: the one that simulates. Locks: none. Bytes that mean nothing are shown as such; judging
//! them is the oracle's business.

use std::collections::BTreeMap;
use std::fmt;

use kafka_protocol::messages::ApiKey;
use kafka_test_support::Api;
use kafka_test_support::tap::{SeenBody, SeenTopic, read_request};

use super::answers::{self, Told};
use crate::network::WireId;

/// What the client asked on which connection, so that answers can be read.
#[derive(Debug, Default)]
pub(super) struct Conversations(BTreeMap<(WireId, i32), Head>);

/// The fields that every request begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    api: i16,
    version: i16,
    correlation_id: i32,
}

impl Head {
    fn read(frame: &[u8]) -> Option<Self> {
        let (api, rest) = frame.split_first_chunk()?;
        let (version, rest) = rest.split_first_chunk()?;
        let (correlation_id, _) = rest.split_first_chunk()?;
        Some(Self {
            api: i16::from_be_bytes(*api),
            version: i16::from_be_bytes(*version),
            correlation_id: i32::from_be_bytes(*correlation_id),
        })
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match ApiKey::try_from(self.api) {
            Ok(api) => write!(f, "{api:?}")?,
            Err(()) => write!(f, "api {}", self.api)?,
        }
        write!(f, " v{} c{}", self.version, self.correlation_id)
    }
}

impl Conversations {
    pub(super) fn asks(&mut self, link: WireId, frame: &[u8]) {
        if let Some(head) = Head::read(frame) {
            self.0.insert((link, head.correlation_id), head);
        }
    }

    pub(super) fn answered<'f>(&mut self, link: WireId, frame: &'f [u8]) -> Answer<'f> {
        let correlation_id = frame.first_chunk().map(|id| i32::from_be_bytes(*id));
        let head = correlation_id.and_then(|id| self.0.remove(&(link, id)));
        let bytes = frame.len();
        let told = head.and_then(|head| {
            let api = Api::from_key(head.api)?;
            Some((api, answers::read(api, head.version, frame)?))
        });
        Answer { head, told, bytes }
    }

    pub(super) fn closes(&mut self, link: WireId) {
        let of_link: Vec<_> = self
            .0
            .range((link, i32::MIN)..=(link, i32::MAX))
            .map(|(key, _)| *key)
            .collect();
        for key in of_link {
            self.0.remove(&key);
        }
    }
}

/// An answer, as far as it can be understood.
#[derive(Debug)]
pub(super) struct Answer<'f> {
    head: Option<Head>,
    told: Option<(Api, Told<'f>)>,
    bytes: usize,
}

impl Answer<'_> {
    /// Every error code in it, 0 too, and the key of its API.
    pub(super) fn codes(&self) -> impl Iterator<Item = (i16, i16)> {
        let told = self.told.iter();
        told.flat_map(|(api, told)| told.codes(*api).map(|code| (api.key(), code)))
    }
}

impl fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.head, &self.told) {
            (None, _) => write!(f, "what was not asked, {} bytes", self.bytes),
            (Some(head), None) => write!(f, "{head} with {} bytes that mean nothing", self.bytes),
            (Some(head), Some((api, told))) => {
                write!(f, "{head}")?;
                told.write(*api, f)
            }
        }
    }
}

/// A request in words.
pub(super) struct RequestWords<'a>(pub(super) &'a [u8]);

impl fmt::Display for RequestWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(head) = Head::read(self.0) else {
            return write!(f, "{} bytes that mean nothing", self.0.len());
        };
        write!(f, "{head}")?;
        let produce = match read_request(self.0) {
            Ok(request) => match request.body {
                SeenBody::Produce(produce) => produce,
                _ => return Ok(()),
            },
            Err(why) => return write!(f, " which is wrong: {why}"),
        };
        write!(f, " acks={}", produce.acks)?;
        for batch in &produce.batches {
            match &batch.topic {
                SeenTopic::Name(name) => write!(f, " [{name}")?,
                SeenTopic::Id(id) => write!(f, " [{}..", &id.simple().to_string()[..6])?,
            }
            write!(f, "-{}", batch.partition)?;
            if batch.producer_id >= 0 {
                let (id, epoch) = (batch.producer_id, batch.producer_epoch);
                write!(f, " id={id}/{epoch} seq={}+", batch.base_sequence)?;
            } else {
                f.write_str(" records=")?;
            }
            write!(f, "{} {} B]", batch.count, batch.bytes)?;
        }
        Ok(())
    }
}
