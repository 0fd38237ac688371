//! Unsigned variable-length integers: seven bits a byte, the lowest first.

/// Appends `value`.
#[inline]
pub(crate) fn put_unsigned_varint(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push((value & 0x7F) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7F) as u8);
}

/// Bytes that [`put_unsigned_varint`] appends.
pub(crate) fn unsigned_varint_size(value: u32) -> usize {
    let bits = 32 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn put_unsigned_varint_has_the_size_foretold() {
        for value in [
            0,
            1,
            127,
            128,
            16_383,
            16_384,
            2_097_151,
            2_097_152,
            1 << 28,
            u32::MAX,
        ] {
            let mut out = Vec::new();
            put_unsigned_varint(&mut out, value);
            assert_eq!(out.len(), unsigned_varint_size(value), "{value}");
        }
        let mut out = Vec::new();
        put_unsigned_varint(&mut out, 300);
        assert_eq!(out, [0xAC, 0x02]);
    }
}
