//! What records hold: made from their number alone, so that every byte can be checked in a log.
//!
//! Thread: any. Locks: none.

use bytes::Bytes;
use kafka_test_support::StoredRecord;

use super::ledger::RecordId;
use crate::producer::ProducerRecord;

/// A record as it was drawn.
#[derive(Debug, Clone)]
pub(crate) struct RecordSpec {
    pub(crate) id: RecordId,
    /// Index of its topic in the scenario.
    pub(crate) topic: usize,
    pub(crate) partition: Option<i32>,
    /// Which key of a small set, so that keys repeat.
    pub(crate) key: Option<u32>,
    pub(crate) value_bytes: Option<usize>,
    pub(crate) headers: u32,
    pub(crate) timestamp_ms: Option<i64>,
}

/// The form in which all simulated records are sent.
pub(crate) type SimRecord = ProducerRecord<'static, Option<Bytes>, Option<Bytes>>;

impl RecordSpec {
    /// The record to send.
    pub(crate) fn record(&self, topic: &str) -> SimRecord {
        let value = self.value_bytes.map(|bytes| {
            let mut value = self.id.to_be_bytes().to_vec();
            value.resize(bytes.max(8), 7);
            Bytes::from(value)
        });
        ProducerRecord::new(topic.to_owned(), value).key(None)
    }
}

/// Which record this is.
pub(crate) fn identify(stored: &StoredRecord) -> Option<RecordId> {
    let value = stored.value.as_ref()?.get(..8)?;
    Some(RecordId::from_be_bytes(value.try_into().ok()?))
}
