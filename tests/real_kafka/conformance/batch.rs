//! Record batches written by hand, so that every field of them can be wrong.

use bytes::{BufMut, Bytes};

/// In the past of every test, and far from any limit.
pub(super) const TIMESTAMP: i64 = 1_700_000_000_000;

/// A record batch of format 2.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    pub(super) base_offset: i64,
    /// Right if absent.
    pub(super) length: Option<i32>,
    pub(super) leader_epoch: i32,
    pub(super) magic: i8,
    /// Added to the right checksum.
    pub(super) crc_error: u32,
    pub(super) attributes: i16,
    pub(super) last_offset_delta: i32,
    pub(super) base_timestamp: i64,
    pub(super) max_timestamp: i64,
    pub(super) producer_id: i64,
    pub(super) epoch: i16,
    pub(super) sequence: i32,
    pub(super) count: i32,
    pub(super) records: Vec<u8>,
}

impl Batch {
    /// A right batch of so many small records.
    pub(super) fn of(count: i32) -> Self {
        let records = (0..count).map(|n| Record {
            offset_delta: n.into(),
            ..Record::default()
        });
        Self::records(&records.collect::<Vec<_>>())
    }

    /// A right batch around these records, which need not be right.
    pub(super) fn records(records: &[Record]) -> Self {
        let count = i32::try_from(records.len()).unwrap();
        Self {
            base_offset: 0,
            length: None,
            leader_epoch: -1,
            magic: 2,
            crc_error: 0,
            attributes: 0,
            last_offset_delta: count - 1,
            base_timestamp: TIMESTAMP,
            max_timestamp: TIMESTAMP,
            producer_id: -1,
            epoch: -1,
            sequence: -1,
            count,
            records: records.iter().flat_map(Record::encode).collect(),
        }
    }

    /// With an idempotent producer's marks.
    pub(super) fn by(mut self, producer_id: i64, epoch: i16, sequence: i32) -> Self {
        (self.producer_id, self.epoch, self.sequence) = (producer_id, epoch, sequence);
        self
    }

    /// With something changed.
    pub(super) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub(super) fn encode(&self) -> Bytes {
        let mut checked = Vec::new();
        checked.put_i16(self.attributes);
        checked.put_i32(self.last_offset_delta);
        checked.put_i64(self.base_timestamp);
        checked.put_i64(self.max_timestamp);
        checked.put_i64(self.producer_id);
        checked.put_i16(self.epoch);
        checked.put_i32(self.sequence);
        checked.put_i32(self.count);
        checked.put_slice(&self.records);
        let mut all = Vec::new();
        all.put_i64(self.base_offset);
        let length = i32::try_from(checked.len() + 9).unwrap();
        all.put_i32(self.length.unwrap_or(length));
        all.put_i32(self.leader_epoch);
        all.put_i8(self.magic);
        all.put_u32(crc32c::crc32c(&checked).wrapping_add(self.crc_error));
        all.put_slice(&checked);
        all.into()
    }
}

/// A record of format 2.
#[derive(Debug, Clone)]
pub(super) struct Record {
    /// Right if absent.
    pub(super) length: Option<i64>,
    pub(super) attributes: i8,
    pub(super) timestamp_delta: i64,
    pub(super) offset_delta: i64,
    pub(super) key: Option<&'static [u8]>,
    pub(super) value: Option<&'static [u8]>,
    /// In the place of the value's right length.
    pub(super) value_length: Option<i64>,
    pub(super) headers: Vec<(Option<&'static str>, Option<&'static [u8]>)>,
    /// In the place of the right number of headers.
    pub(super) header_count: Option<i64>,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            length: None,
            attributes: 0,
            timestamp_delta: 0,
            offset_delta: 0,
            key: Some(b"key"),
            value: Some(b"value"),
            value_length: None,
            headers: Vec::new(),
            header_count: None,
        }
    }
}

impl Record {
    /// A right one but for the change.
    pub(super) fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut record = Self::default();
        change(&mut record);
        record
    }

    fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        body.put_i8(self.attributes);
        put_varint(&mut body, self.timestamp_delta);
        put_varint(&mut body, self.offset_delta);
        put_nullable(&mut body, self.key, None);
        put_nullable(&mut body, self.value, self.value_length);
        let headers = i64::try_from(self.headers.len()).unwrap();
        put_varint(&mut body, self.header_count.unwrap_or(headers));
        for (key, value) in &self.headers {
            put_nullable(&mut body, key.map(str::as_bytes), None);
            put_nullable(&mut body, *value, None);
        }
        let mut all = Vec::new();
        put_varint(
            &mut all,
            self.length.unwrap_or(i64::try_from(body.len()).unwrap()),
        );
        all.extend(body);
        all
    }
}

fn put_nullable(to: &mut Vec<u8>, bytes: Option<&[u8]>, length: Option<i64>) {
    let right = bytes.map_or(-1, |bytes| i64::try_from(bytes.len()).unwrap());
    put_varint(to, length.unwrap_or(right));
    to.put_slice(bytes.unwrap_or_default());
}

fn put_varint(to: &mut Vec<u8>, value: i64) {
    let mut rest = u64::from_ne_bytes(((value << 1) ^ (value >> 63)).to_ne_bytes());
    while rest >= 0x80 {
        to.put_u8(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    to.put_u8(rest.to_le_bytes()[0]);
}

/// A zstd frame of one block that is not compressed.
pub(super) fn zstd(bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).unwrap();
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x20, length];
    let block = (u32::from(length) << 3) | 1;
    frame.extend(&block.to_le_bytes()[..3]);
    frame.extend(bytes);
    frame
}

/// A gzip member of one block that is not compressed.
pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap();
    let mut member = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 1];
    member.extend(length.to_le_bytes());
    member.extend((!length).to_le_bytes());
    member.extend(bytes);
    member.extend(crc32(bytes).to_le_bytes());
    member.extend(u32::from(length).to_le_bytes());
    member
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}
