//! Answers as a broker writes them, with values that the fuzzer chooses: what gets a client far enough
//! for rubbish to matter. Written by hand, as `kafka-protocol` is not there when the fuzzer is built.
//!
//! Thread: the fuzzer's. Locks: none.

use super::input::Input;
use crate::protocol::FrameWriter;

/// What the other end saw of a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct SeenRequest {
    pub(super) api_key: i16,
    pub(super) version: i16,
    pub(super) correlation_id: i32,
}

impl SeenRequest {
    /// Reads the header of a frame, its size not included, as far as all versions agree.
    pub(super) fn of(frame: &[u8]) -> Option<Self> {
        let (api_key, rest) = frame.split_first_chunk()?;
        let (version, rest) = rest.split_first_chunk()?;
        Some(Self {
            api_key: i16::from_be_bytes(*api_key),
            version: i16::from_be_bytes(*version),
            correlation_id: i32::from_be_bytes(*rest.first_chunk()?),
        })
    }

    /// Whether lengths are compact and tagged fields follow.
    fn is_flexible(self) -> bool {
        match self.api_key {
            PRODUCE | METADATA => self.version >= 9,
            API_VERSIONS => self.version >= 3,
            _ => self.version >= 2,
        }
    }

    /// A whole frame with this number and body, its size in front.
    pub(super) fn frame(self, correlation_id: i32, body: &[u8]) -> Vec<u8> {
        let mut out = FrameWriter::default();
        out.i32(correlation_id);
        out.no_tagged_fields(self.is_flexible() && self.api_key != API_VERSIONS);
        let mut frame = [out.into_parts().concat().as_slice(), body].concat();
        let size = u32::try_from(frame.len() - SIZE).unwrap_or(u32::MAX);
        if let Some(place) = frame.first_chunk_mut::<SIZE>() {
            *place = size.to_be_bytes();
        }
        frame
    }

    /// The body of an answer, with values from the input.
    pub(super) fn body(self, input: &mut Input<'_>) -> Vec<u8> {
        let mut out = FrameWriter::default();
        match self.api_key {
            API_VERSIONS => self.api_versions(input, &mut out),
            METADATA => self.metadata(input, &mut out),
            PRODUCE => self.produce(input, &mut out),
            _ => self.init_producer_id(input, &mut out),
        }
        out.into_parts().concat().split_off(SIZE)
    }

    fn api_versions(self, input: &mut Input<'_>, out: &mut FrameWriter) {
        let flexible = self.is_flexible();
        out.i16(error_code(input));
        let newest = input.one_of(&[13, 13, 12, 9, 8, 3]);
        let ranges = [
            (PRODUCE, 3, newest),
            (METADATA, 1, newest),
            (API_VERSIONS, 0, 4),
            (INIT_PRODUCER_ID, 0, 5),
        ];
        out.count(ranges.len(), flexible);
        for (key, min, max) in ranges {
            out.i16(key);
            out.i16(min);
            out.i16(max);
            out.no_tagged_fields(flexible);
        }
        if self.version >= 1 {
            out.i32(throttle(input));
        }
        out.no_tagged_fields(flexible);
    }

    fn metadata(self, input: &mut Input<'_>, out: &mut FrameWriter) {
        let (flexible, version) = (self.is_flexible(), self.version);
        if version >= 3 {
            out.i32(throttle(input));
        }
        let brokers = 1 + input.below(3);
        out.count(brokers, flexible);
        for number in 1..=brokers {
            out.i32(i32::try_from(number).unwrap_or(1));
            let host = [
                "10.0.0.1",
                "10.0.0.2",
                "10.0.0.1",
                "10.0.0.2",
                "localhost",
                "10.0.0.3",
                "nowhere",
                "",
            ];
            out.string(input.one_of(&host), flexible);
            out.i32(9092);
            out.nullable_string(None, flexible);
            out.no_tagged_fields(flexible);
        }
        if version >= 2 {
            out.nullable_string(None, flexible);
        }
        out.i32(1);
        let partitions = 1 + input.below(3);
        out.count(1, flexible);
        out.i16(error_code(input));
        out.string(TOPIC, flexible);
        if version >= 10 {
            out.uuid(crate::cluster::Uuid([1 + input.byte() % 2; 16]));
        }
        out.bool(false);
        out.count(partitions, flexible);
        for index in 0..partitions {
            out.i16(error_code(input));
            out.i32(i32::try_from(index).unwrap_or(0));
            out.i32(input.one_of(&[1, 1, 1, 2, 3, -1]));
            if version >= 7 {
                out.i32(input.one_of(&[0, 0, 1, 7, i32::MAX, -1]));
            }
            for _ in 0..2 + i16::from(version >= 5) {
                out.count(0, flexible);
            }
            out.no_tagged_fields(flexible);
        }
        if version >= 8 {
            out.i32(0);
        }
        out.no_tagged_fields(flexible);
        if (8..=10).contains(&version) {
            out.i32(0);
        }
        if version >= 13 {
            out.i16(error_code(input));
        }
        out.no_tagged_fields(flexible);
    }

    /// For one partition or all there may be, whoever asked.
    fn produce(self, input: &mut Input<'_>, out: &mut FrameWriter) {
        let (flexible, version) = (self.is_flexible(), self.version);
        out.count(1, flexible);
        if version >= 13 {
            out.uuid(crate::cluster::Uuid([1; 16]));
        } else {
            out.string(TOPIC, flexible);
        }
        let partitions = 1 + input.below(3);
        out.count(partitions, flexible);
        for index in 0..partitions {
            out.i32(i32::try_from(index).unwrap_or(0));
            out.i16(error_code(input));
            out.i64(offset(input));
            out.i64(input.one_of(&[-1, -1, 0, i64::MAX, i64::MIN]));
            if version >= 5 {
                out.i64(offset(input));
            }
            if version >= 8 {
                out.count(0, flexible);
                out.nullable_string(None, flexible);
            }
            out.no_tagged_fields(flexible);
        }
        out.no_tagged_fields(flexible);
        out.i32(throttle(input));
        out.no_tagged_fields(flexible);
    }

    fn init_producer_id(self, input: &mut Input<'_>, out: &mut FrameWriter) {
        out.i32(throttle(input));
        out.i16(error_code(input));
        out.i64(input.one_of(&[7, 7, 7, 0, -1, i64::MAX]));
        out.i16(input.one_of(&[0, 0, 0, i16::MAX, -1]));
        out.no_tagged_fields(self.is_flexible());
    }
}

/// None, mostly.
fn error_code(input: &mut Input<'_>) -> i16 {
    match input.byte() {
        0..=127 => 0,
        128..=247 => i16::from(input.byte() % 110),
        248..=251 => -1,
        _ => i16::MIN,
    }
}

fn throttle(input: &mut Input<'_>) -> i32 {
    input.one_of(&[0, 0, 0, 0, 0, 0, 1, 500, -1, i32::MAX])
}

fn offset(input: &mut Input<'_>) -> i64 {
    input.one_of(&[0, 0, 1, 5, 100, -1, i64::MAX, i64::MIN])
}

pub(super) const TOPIC: &str = "topic";
const SIZE: usize = 4;
const PRODUCE: i16 = 0;
const METADATA: i16 = 3;
const API_VERSIONS: i16 = 18;
const INIT_PRODUCER_ID: i16 = 22;
