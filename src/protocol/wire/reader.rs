//! Reads one frame. Every read is bounded by what is there; a count that claims more elements than
//! the remaining bytes could hold is an error before anything is allocated for it, and so is a frame
//! whose elements would take more memory than a response may ([`MOST_MEMORY`]).

use crate::cluster::Uuid;

/// Bytes that are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub(crate) struct ProtocolError {
    pub(crate) what: &'static str,
    pub(crate) at: usize,
}

/// Reads one frame from front to back.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    length: usize,
    /// What lists and strings may still take in memory.
    memory_left: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self::within(input, MOST_MEMORY)
    }

    /// The same, for what is decoded to take at most so many bytes of memory.
    pub(crate) fn within(input: &'a [u8], most_memory: usize) -> Self {
        Self {
            rest: input,
            length: input.len(),
            memory_left: most_memory,
        }
    }

    /// Bytes not yet read.
    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn error(&self, what: &'static str) -> ProtocolError {
        ProtocolError {
            what,
            at: self.length - self.rest.len(),
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], ProtocolError> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err(self.error("frame ends too early"));
        };
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ProtocolError> {
        let Some((taken, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.error("frame ends too early"));
        };
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn bool(&mut self) -> Result<bool, ProtocolError> {
        Ok(self.array::<1>()? != [0])
    }

    pub(crate) fn i16(&mut self) -> Result<i16, ProtocolError> {
        self.array().map(i16::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Result<i32, ProtocolError> {
        self.array().map(i32::from_be_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, ProtocolError> {
        self.array().map(i64::from_be_bytes)
    }

    pub(crate) fn uuid(&mut self) -> Result<Uuid, ProtocolError> {
        self.array().map(Uuid)
    }

    pub(crate) fn unsigned_varint(&mut self) -> Result<u32, ProtocolError> {
        let mut value = 0_u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array::<1>()?;
            let bits = u32::from(byte & 0x7F);
            if shift == 28 && bits > 0x0F {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.error("varint of more than 32 bits"))
    }

    /// The length of a nullable thing, `None` for null.
    fn length(&mut self, raw: i64) -> Result<Option<usize>, ProtocolError> {
        match raw {
            -1 => Ok(None),
            _ => usize::try_from(raw)
                .map(Some)
                .map_err(|_| self.error("negative length")),
        }
    }

    /// A nullable string: compact in flexible versions.
    pub(crate) fn nullable_string(
        &mut self,
        flexible: bool,
    ) -> Result<Option<&'a str>, ProtocolError> {
        let raw = if flexible {
            i64::from(self.unsigned_varint()?) - 1
        } else {
            i64::from(self.i16()?)
        };
        let Some(length) = self.length(raw)? else {
            return Ok(None);
        };
        let bytes = self.take(length)?;
        let Ok(text) = std::str::from_utf8(bytes) else {
            return Err(self.error("string that is not UTF-8"));
        };
        // Whoever reads a string keeps it.
        self.claim(length + REFERENCE_COUNTS)?;
        Ok(Some(text))
    }

    /// A string that must be there.
    pub(crate) fn string(&mut self, flexible: bool) -> Result<&'a str, ProtocolError> {
        self.nullable_string(flexible)?
            .ok_or_else(|| self.error("null where a string must be"))
    }

    /// The count of an array whose elements take at least `smallest` bytes, and a list with room for
    /// them; null counts as empty.
    pub(crate) fn list<T>(
        &mut self,
        flexible: bool,
        smallest: usize,
    ) -> Result<(usize, Vec<T>), ProtocolError> {
        let count = self.count(flexible, smallest)?;
        self.claim(count.saturating_mul(size_of::<T>()))?;
        Ok((count, Vec::with_capacity(count)))
    }

    fn claim(&mut self, memory: usize) -> Result<(), ProtocolError> {
        let Some(left) = self.memory_left.checked_sub(memory) else {
            return Err(self.error("more elements than a response may have"));
        };
        self.memory_left = left;
        Ok(())
    }

    /// The count of an array whose elements take at least `smallest` bytes; null counts as empty.
    fn count(&mut self, flexible: bool, smallest: usize) -> Result<usize, ProtocolError> {
        let raw = if flexible {
            i64::from(self.unsigned_varint()?) - 1
        } else {
            i64::from(self.i32()?)
        };
        let count = self.length(raw)?.unwrap_or(0);
        if count.saturating_mul(smallest.max(1)) > self.remaining() {
            return Err(self.error("array longer than its frame"));
        }
        Ok(count)
    }

    /// An array of `i32` that nobody needs.
    pub(crate) fn skip_i32s(&mut self, flexible: bool) -> Result<(), ProtocolError> {
        let count = self.count(flexible, 4)?;
        self.take(count * 4).map(|_| ())
    }

    /// Tagged fields at the end of a structure: shows each to `visit`, which may read it.
    pub(crate) fn tagged_fields(
        &mut self,
        flexible: bool,
        mut visit: impl FnMut(u32, &mut Self) -> Result<(), ProtocolError>,
    ) -> Result<(), ProtocolError> {
        if !flexible {
            return Ok(());
        }
        let count = self.unsigned_varint()?;
        for _ in 0..count {
            let tag = self.unsigned_varint()?;
            let size = self.unsigned_varint()? as usize;
            let mut field = Reader::within(self.take(size)?, self.memory_left);
            visit(tag, &mut field)?;
            self.memory_left = field.memory_left;
        }
        Ok(())
    }

    /// Tagged fields that nobody needs.
    pub(crate) fn skip_tagged_fields(&mut self, flexible: bool) -> Result<(), ProtocolError> {
        self.tagged_fields(flexible, |_, _| Ok(()))
    }
}

/// As much as the largest frame that is accepted: decoding doubles what a response takes at most. The
/// smallest elements are five to twenty times as large in memory as in a frame.
const MOST_MEMORY: usize = 100 * 1024 * 1024;

/// What a shared string has besides its text, padding included.
const REFERENCE_COUNTS: usize = 3 * size_of::<usize>();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_that_would_take_more_memory_than_there_is_for_a_frame_is_refused() {
        let frame = [[0, 0, 0, 2].as_slice(), &[0; 4]].concat();
        let within = |most| {
            Reader::within(&frame, most)
                .list::<u64>(false, 2)
                .map(|(count, list)| (count, list.capacity()))
        };
        assert_eq!(within(16), Ok((2, 2)));
        assert_eq!(
            within(15).expect_err("too many").what,
            "more elements than a response may have"
        );
    }

    #[test]
    fn memory_of_strings_and_of_tagged_fields_counts_too() {
        let mut text = Reader::within(&[2, b'a', 2, b'b'], 2 + 2 * REFERENCE_COUNTS - 1);
        assert_eq!(text.string(true), Ok("a"));
        assert!(text.string(true).is_err());
        // Two fields with a list of one element each: the second one is one too many.
        let fields = [2, 0, 2, 2, 0, 0, 2, 2, 0];
        let read = |most| {
            Reader::within(&fields, most)
                .tagged_fields(true, |_, field| field.list::<u64>(true, 1).map(drop))
        };
        assert_eq!(read(16), Ok(()));
        assert!(read(15).is_err());
    }

    #[test]
    fn count_beyond_the_frame_is_refused_before_it_is_believed() {
        let mut huge = Reader::new(&[0x7F, 0xFF, 0xFF, 0xFF, 0, 0]);
        assert_eq!(
            huge.count(false, 1).expect_err("too many").what,
            "array longer than its frame"
        );
        let mut negative = Reader::new(&[0x80, 0, 0, 0]);
        assert!(negative.count(false, 1).is_err());
        let mut null = Reader::new(&[0xFF; 4]);
        assert_eq!(null.count(false, 1), Ok(0));
    }

    #[test]
    fn unsigned_varint_of_more_than_32_bits_is_refused() {
        assert!(
            Reader::new(&[0xFF, 0xFF, 0xFF, 0xFF, 0x1F])
                .unsigned_varint()
                .is_err()
        );
        assert!(Reader::new(&[0xFF; 10]).unsigned_varint().is_err());
        assert_eq!(
            Reader::new(&[0xFF, 0xFF, 0xFF, 0xFF, 0x0F]).unsigned_varint(),
            Ok(u32::MAX)
        );
    }

    #[test]
    fn string_cut_short_or_not_text_is_refused() {
        assert!(Reader::new(&[0, 5, b'a']).string(false).is_err());
        assert!(Reader::new(&[0, 1, 0xFF]).string(false).is_err());
        assert!(Reader::new(&[0xFF, 0xFF]).string(false).is_err());
        assert_eq!(Reader::new(&[3, b'a', b'b']).string(true), Ok("ab"));
        assert_eq!(Reader::new(&[0]).nullable_string(true), Ok(None));
    }
}
