//! Batches of format 2 as a broker reads them: the header, then each record without copying it.
//!
//! The order of the checks and their codes are Kafka's: what ByteBufferLogInputStream,
//! UnifiedLog.analyzeAndValidateRecords, LogValidator and DefaultRecord refuse. Compressed bodies
//! are taken as they are; [`Body`] is the place to look inside once that is needed.

use bytes::{Buf, Bytes};

use crate::code;
use crate::config::TopicConfig;
use crate::fault::refuses_record;
use crate::log::{StoredHeader, StoredRecord};
use crate::producer_state::Sequenced;

/// Why a partition's records were refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rejection {
    pub(crate) code: i16,
    /// Index in the batch and text, where single records are to blame.
    pub(crate) records: Vec<(i32, String)>,
    pub(crate) message: Option<String>,
}

impl From<i16> for Rejection {
    fn from(code: i16) -> Self {
        Self {
            code,
            records: Vec::new(),
            message: None,
        }
    }
}

/// The 61 bytes in front of the records.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchHeader {
    pub(crate) base_offset: i64,
    pub(crate) crc: u32,
    pub(crate) attributes: i16,
    pub(crate) last_offset_delta: i32,
    pub(crate) base_timestamp: i64,
    pub(crate) max_timestamp: i64,
    pub(crate) producer: Sequenced,
}

const PREFIX: usize = 12;
const PREFIX_I32: i32 = 12;
const MAGIC_AT: usize = 16;
const ATTRIBUTES_AT: usize = 21;
const HEADER: usize = 61;
/// What the smallest message of format 0 has after its offset and size.
const SMALLEST: i32 = 14;

const CODEC: i16 = 0b111;
const ZSTD: i16 = 4;
const LOG_APPEND_TIME: i16 = 0b1000;
const TRANSACTIONAL: i16 = 0b1_0000;
const CONTROL: i16 = 0b10_0000;

impl BatchHeader {
    /// Reads what is there; a batch too short for a header has zeros in the end.
    pub(crate) fn read(batch: &[u8]) -> Self {
        let mut whole = [0; HEADER];
        let there = batch.len().min(HEADER);
        whole[..there].copy_from_slice(&batch[..there]);
        let mut rest = &whole[..];
        let base_offset = rest.get_i64();
        rest.advance(4 + 4 + 1);
        let crc = rest.get_u32();
        let attributes = rest.get_i16();
        let last_offset_delta = rest.get_i32();
        let base_timestamp = rest.get_i64();
        let max_timestamp = rest.get_i64();
        let producer_id = rest.get_i64();
        let epoch = rest.get_i16();
        let base_sequence = rest.get_i32();
        let count = rest.get_i32();
        Self {
            base_offset,
            crc,
            attributes,
            last_offset_delta,
            base_timestamp,
            max_timestamp,
            producer: Sequenced {
                producer_id,
                epoch,
                base_sequence,
                count,
            },
        }
    }

    pub(crate) fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    pub(crate) fn has_unknown_codec(&self) -> bool {
        self.attributes & CODEC > ZSTD
    }

    pub(crate) fn is_compressed(&self) -> bool {
        self.attributes & CODEC != 0
    }

    pub(crate) fn is_idempotent(&self) -> bool {
        self.producer.producer_id >= 0
    }
}

/// The length of the first batch in `records`; `None` if it is not there as a whole.
pub(crate) fn next_batch(records: &[u8]) -> Result<Option<usize>, i16> {
    let Some(mut size) = records.get(8..PREFIX) else {
        return Ok(None);
    };
    let size = size.get_i32();
    if size < SMALLEST {
        return Err(code::CORRUPT_MESSAGE);
    }
    let Some(magic) = records.get(MAGIC_AT) else {
        return Ok(None);
    };
    if *magic > 2 {
        return Err(code::CORRUPT_MESSAGE);
    }
    let Some(whole) = size.checked_add(PREFIX_I32) else {
        // Kafka's int overflows, and the broker has no word for what follows.
        return Err(code::UNKNOWN_SERVER_ERROR);
    };
    let whole = usize::try_from(whole).map_err(|_| code::CORRUPT_MESSAGE)?;
    Ok((whole <= records.len()).then_some(whole))
}

/// Whether the first batch, which must be there, has format 2.
pub(crate) fn is_v2(records: &[u8]) -> bool {
    records.get(MAGIC_AT) == Some(&2)
}

/// What a produce request may carry for one partition: exactly one batch of format 2. Returns its
/// length.
pub(crate) fn only_batch(records: &[u8], version: i16) -> Result<usize, i16> {
    let length = next_batch(records)?.ok_or(code::INVALID_RECORD)?;
    if !is_v2(records) {
        return Err(code::INVALID_RECORD);
    }
    let attributes = (&records[ATTRIBUTES_AT..]).get_i16();
    if version < 7 && attributes & CODEC == ZSTD {
        return Err(code::UNSUPPORTED_COMPRESSION_TYPE);
    }
    if next_batch(&records[length..])?.is_some() {
        return Err(code::INVALID_RECORD);
    }
    Ok(length)
}

/// What every batch must fulfil before its records are looked at.
pub(crate) fn check_batch(batch: &[u8], header: &BatchHeader, max: usize) -> Result<(), i16> {
    if header.base_offset != 0 {
        return Err(code::INVALID_RECORD);
    }
    if batch.len() > max {
        return Err(code::MESSAGE_TOO_LARGE);
    }
    if batch.len() < HEADER || crc32c::crc32c(&batch[ATTRIBUTES_AT..]) != header.crc {
        return Err(code::CORRUPT_MESSAGE);
    }
    if header.has_unknown_codec() {
        return Err(code::UNKNOWN_SERVER_ERROR);
    }
    let count = header.producer.count;
    let delta = header.last_offset_delta;
    if delta < 0 || count <= 0 || i64::from(delta) + 1 != i64::from(count) {
        return Err(code::INVALID_RECORD);
    }
    let control = header.attributes & CONTROL != 0;
    if control || (header.is_idempotent() && header.producer.base_sequence < 0) {
        return Err(code::INVALID_RECORD);
    }
    Ok(())
}

/// Checks each record; the result is the largest timestamp.
pub(crate) fn check_records(
    batch: &Bytes,
    header: &BatchHeader,
    topic: &TopicConfig,
    now_ms: i64,
    stricter: bool,
) -> Result<i64, Rejection> {
    let Some(mut body) = Body::open(batch, header) else {
        return Ok(header.max_timestamp);
    };
    let mut largest = -1;
    let mut errors = Vec::new();
    let mut bad_time = false;
    for index in 0..header.producer.count {
        let record = body.next()?;
        if stricter && record.offset_delta != index {
            return Err(code::INVALID_RECORD.into());
        }
        let timestamp = header.base_timestamp.wrapping_add(record.timestamp_delta);
        largest = largest.max(timestamp);
        if topic.compacted && record.key.is_none() {
            errors.push((
                index,
                "Compacted topic cannot accept message without key".into(),
            ));
        } else if let Some(text) = time_error(timestamp, header, topic, now_ms) {
            bad_time = true;
            errors.push((index, text));
        }
    }
    let left = !body.rest.is_empty();
    let untrue = stricter && errors.is_empty() && largest != header.max_timestamp;
    if left || untrue {
        return Err(code::INVALID_RECORD.into());
    }
    if errors.is_empty() {
        return Ok(largest);
    }
    let (code, message) = if bad_time {
        (
            code::INVALID_TIMESTAMP,
            "One or more records have been rejected due to invalid timestamp".to_owned(),
        )
    } else {
        let text = format!("{} records have been rejected", errors.len());
        (code::INVALID_RECORD, text)
    };
    Err(Rejection {
        code,
        records: errors,
        message: Some(message),
    })
}

/// Refuses the records that the number names, and with them the batch.
pub(crate) fn refuse_some(batch: &Bytes, header: &BatchHeader, number: u32) -> Option<Rejection> {
    let mut body = Body::open(batch, header)?;
    let mut records = Vec::new();
    for index in 0..header.producer.count {
        let record = body.next().ok()?;
        if refuses_record(number, record.key, record.value) {
            records.push((index, "refused for what it holds".to_owned()));
        }
    }
    (!records.is_empty()).then(|| Rejection {
        code: code::INVALID_RECORD,
        message: Some(format!("{} records have been rejected", records.len())),
        records,
    })
}

fn time_error(
    timestamp: i64,
    header: &BatchHeader,
    topic: &TopicConfig,
    now_ms: i64,
) -> Option<String> {
    if !topic.log_append_time && timestamp != -1 {
        let age = now_ms.wrapping_sub(timestamp);
        let ahead = topic.timestamp_after_max_ms.unwrap_or(i64::MAX);
        let out = age > topic.timestamp_before_max_ms || age.wrapping_neg() > ahead;
        return out.then(|| format!("Timestamp {timestamp} is out of range"));
    }
    (header.attributes & LOG_APPEND_TIME != 0)
        .then(|| "Producer should not set timestamp type to LogAppendTime".to_owned())
}

/// The records of an uncompressed batch, as a consumer sees them.
pub(crate) fn read_records(
    batch: &Bytes,
    base_offset: i64,
    append_time: Option<i64>,
) -> Option<Vec<StoredRecord>> {
    let header = BatchHeader::read(batch);
    let mut body = Body::open(batch, &header)?;
    let mut records = Vec::new();
    for _ in 0..header.producer.count {
        let record = body.next().ok()?;
        let timestamp = header.base_timestamp.wrapping_add(record.timestamp_delta);
        let base_sequence = header.producer.base_sequence;
        let sequence = if base_sequence < 0 {
            -1
        } else {
            base_sequence.wrapping_add(record.offset_delta) & i32::MAX
        };
        let owned = |part: &[u8]| batch.slice_ref(part);
        records.push(StoredRecord {
            offset: base_offset + i64::from(record.offset_delta),
            timestamp: append_time.unwrap_or(timestamp),
            key: record.key.map(owned),
            value: record.value.map(owned),
            headers: read_headers(record.headers, record.header_count, batch)?,
            producer_id: header.producer.producer_id,
            producer_epoch: header.producer.epoch,
            sequence,
        });
    }
    Some(records)
}

fn read_headers(mut rest: &[u8], count: i32, batch: &Bytes) -> Option<Vec<StoredHeader>> {
    let mut headers = Vec::new();
    for _ in 0..count {
        let key = sized(&mut rest).ok()??;
        let value = sized(&mut rest).ok()?;
        headers.push(StoredHeader {
            key: String::from_utf8_lossy(key).into_owned(),
            value: value.map(|value| batch.slice_ref(value)),
        });
    }
    Some(headers)
}

/// Walks over the records of a batch.
struct Body<'a> {
    rest: &'a [u8],
}

struct RawRecord<'a> {
    timestamp_delta: i64,
    offset_delta: i32,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    header_count: i32,
    headers: &'a [u8],
}

impl<'a> Body<'a> {
    /// `None` for a compressed batch.
    fn open(batch: &'a [u8], header: &BatchHeader) -> Option<Self> {
        if header.is_compressed() {
            return None;
        }
        batch.get(HEADER..).map(|rest| Self { rest })
    }

    fn next(&mut self) -> Result<RawRecord<'a>, i16> {
        if self.rest.is_empty() {
            return Err(code::INVALID_RECORD);
        }
        // A size that is no varint at all is the one thing for which Kafka has no better word.
        let size = match varint(&mut self.rest) {
            Ok(size) => size,
            Err(_) if self.rest.is_empty() => return Err(code::INVALID_RECORD),
            Err(_) => return Err(code::UNKNOWN_SERVER_ERROR),
        };
        let size = usize::try_from(size).map_err(|_| code::INVALID_RECORD)?;
        let (mut record, rest) = self
            .rest
            .split_at_checked(size)
            .ok_or(code::INVALID_RECORD)?;
        self.rest = rest;
        read_record(&mut record).map_err(|Malformed| code::INVALID_RECORD)
    }
}

struct Malformed;

fn read_record<'a>(rest: &mut &'a [u8]) -> Result<RawRecord<'a>, Malformed> {
    let (_attributes, after) = rest.split_first().ok_or(Malformed)?;
    *rest = after;
    let timestamp_delta = varlong(rest)?;
    let offset_delta = varint(rest)?;
    let key = sized(rest)?;
    let value = sized(rest)?;
    let header_count = varint(rest)?;
    let headers = *rest;
    if usize::try_from(header_count).map_err(|_| Malformed)? > headers.len() {
        return Err(Malformed);
    }
    for _ in 0..header_count {
        sized(rest)?.ok_or(Malformed)?;
        sized(rest)?;
    }
    if !rest.is_empty() {
        return Err(Malformed);
    }
    Ok(RawRecord {
        timestamp_delta,
        offset_delta,
        key,
        value,
        header_count,
        headers,
    })
}

/// A length and that many bytes; any negative length is null.
fn sized<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Malformed> {
    let Ok(length) = usize::try_from(varint(rest)?) else {
        return Ok(None);
    };
    let (bytes, after) = rest.split_at_checked(length).ok_or(Malformed)?;
    *rest = after;
    Ok(Some(bytes))
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "five groups of seven bits are cut to 32 as Java's int is"
)]
fn varint(rest: &mut &[u8]) -> Result<i32, Malformed> {
    let raw = groups(rest, 5)? as u32;
    Ok((raw >> 1) as i32 ^ -((raw & 1) as i32))
}

fn varlong(rest: &mut &[u8]) -> Result<i64, Malformed> {
    let raw = groups(rest, 10)?;
    Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
}

fn groups(rest: &mut &[u8], most: u32) -> Result<u64, Malformed> {
    let mut value = 0_u64;
    for group in 0..most {
        let (byte, after) = rest.split_first().ok_or(Malformed)?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << (group * 7);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Malformed)
}
