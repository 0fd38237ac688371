//! The 61 bytes in front of a batch's records, written when the batch is sent.

use bytes::Bytes;

/// Who sends a batch, and as its how-manieth: stamped into the header at send time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProducerState {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    pub(crate) base_sequence: i32,
}

/// The header's size (Java: `RECORD_BATCH_OVERHEAD`).
pub(crate) const BATCH_OVERHEAD: usize = 61;

/// Where the checksum begins to count: after itself.
const CRC_END: usize = 21;

/// What the header says of its batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchHeader {
    pub(crate) record_count: u32,
    pub(crate) base_timestamp_ms: i64,
    pub(crate) max_timestamp_ms: i64,
    /// `None` without idempotence.
    pub(crate) state: Option<ProducerState>,
}

impl BatchHeader {
    /// The 61 bytes, checksum over themselves and the records included (B54).
    pub(crate) fn encode(&self, records: &[Bytes]) -> [u8; BATCH_OVERHEAD] {
        let state = self.state.unwrap_or(ProducerState {
            producer_id: -1,
            epoch: -1,
            base_sequence: -1,
        });
        let count = i32::try_from(self.record_count).unwrap_or(i32::MAX);
        let records_length = records.iter().map(Bytes::len).sum::<usize>();
        let after_length = BATCH_OVERHEAD - 12 + records_length;
        let mut out = [0; BATCH_OVERHEAD];
        let mut rest = out.as_mut_slice();
        put(&mut rest, &0_i64.to_be_bytes()); // base offset: the broker's to say
        put(
            &mut rest,
            &i32::try_from(after_length)
                .unwrap_or(i32::MAX)
                .to_be_bytes(),
        );
        put(&mut rest, &(-1_i32).to_be_bytes()); // partition leader epoch: the broker's too
        put(&mut rest, &[2]); // magic
        put(&mut rest, &[0; 4]); // checksum, below
        put(&mut rest, &0_i16.to_be_bytes()); // attributes: create time, no compression
        put(&mut rest, &(count - 1).to_be_bytes());
        put(&mut rest, &self.base_timestamp_ms.to_be_bytes());
        put(&mut rest, &self.max_timestamp_ms.to_be_bytes());
        put(&mut rest, &state.producer_id.to_be_bytes());
        put(&mut rest, &state.epoch.to_be_bytes());
        put(&mut rest, &state.base_sequence.to_be_bytes());
        put(&mut rest, &count.to_be_bytes());
        let (before, counted) = out.split_at_mut(CRC_END);
        let own = crc32c::crc32c(counted);
        let crc = records
            .iter()
            .fold(own, |crc, part| crc32c::crc32c_append(crc, part));
        if let Some(place) = before.last_chunk_mut::<4>() {
            *place = crc.to_be_bytes();
        }
        out
    }
}

/// Writes a field and moves on; the fields add up to the header's size.
fn put(rest: &mut &mut [u8], field: &[u8]) {
    if let Some((place, after)) = std::mem::take(rest).split_at_mut_checked(field.len()) {
        place.copy_from_slice(field);
        *rest = after;
    } else {
        debug_assert!(false, "the header's fields are larger than the header");
    }
}
