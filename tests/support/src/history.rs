//! What the cluster saw, in the order it saw it.

use std::collections::VecDeque;

use uuid::Uuid;

use crate::cluster::ConnId;
use crate::versions::Api;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at_ms: i64,
    /// At which node.
    pub node: i32,
    /// On which connection.
    pub connection: ConnId,
    /// What.
    pub what: What,
}

/// The kinds of [`Event`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A client connected.
    Opened,
    /// The connection ended, by whichever side.
    Closed,
    /// A whole request arrived that could be understood.
    Request {
        /// Its API.
        api: Api,
        /// Its version.
        version: i16,
        /// Its correlation id.
        correlation_id: i32,
        /// Its client id.
        client_id: Option<String>,
    },
    /// One partition of a Produce request, and how it was answered.
    Produced(ProducedBatch),
    /// Bytes that no broker accepts: the reason the connection was closed.
    Refused(String),
}

/// The identity of a batch as it arrived, and the answer it got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducedBatch {
    /// The version of its request.
    pub version: i16,
    /// The correlation id of its request.
    pub correlation_id: i32,
    /// The acks of its request.
    pub acks: i16,
    /// Its topic, or the topic id in hexadecimal if nothing has that id.
    pub topic: String,
    /// The id its topic has now; what the request says if nothing has that id, nil for a name that
    /// nothing has.
    pub topic_id: Uuid,
    /// Its partition.
    pub partition: i32,
    /// Its producer id, -1 without idempotence.
    pub producer_id: i64,
    /// Its producer epoch.
    pub producer_epoch: i16,
    /// The sequence of its first record.
    pub base_sequence: i32,
    /// How many records it says it holds.
    pub count: i32,
    /// Its checksum as it says.
    pub crc: u32,
    /// How many bytes of records the request held for the partition.
    pub bytes: usize,
    /// The code in the answer.
    pub error_code: i16,
    /// The offset in the answer.
    pub base_offset: i64,
    /// Whether this very request was appended to the log.
    pub appended: bool,
    /// Whether it was recognised as a repetition of a batch that is in the log.
    pub repeated: bool,
    /// Where it lies in the log, whatever the answer says: the offset of its first record if it was
    /// appended or recognised, -1 otherwise.
    pub log_offset: i64,
}

/// A bounded list of events.
#[derive(Debug)]
pub(crate) struct History {
    events: VecDeque<Event>,
    most: usize,
    dropped: u64,
}

impl History {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            events: VecDeque::new(),
            most,
            dropped: 0,
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.most > 0
    }

    pub(crate) fn push(&mut self, event: Event) {
        if self.most == 0 {
            return;
        }
        if self.events.len() == self.most {
            self.events.pop_front();
            self.dropped += 1;
        }
        self.events.push_back(event);
    }

    pub(crate) fn events(&self) -> impl Iterator<Item = &Event> {
        self.events.iter()
    }

    pub(crate) fn take(&mut self) -> Vec<Event> {
        self.events.drain(..).collect()
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(crate) fn clear(&mut self) {
        self.events.clear();
        self.dropped = 0;
    }
}
