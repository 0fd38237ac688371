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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn put_unsigned_varint_takes_a_byte_for_seven_bits() {
        let cases: [(u32, &[u8]); 6] = [
            (0, &[0]),
            (127, &[0x7F]),
            (128, &[0x80, 0x01]),
            (300, &[0xAC, 0x02]),
            (2_097_152, &[0x80, 0x80, 0x80, 0x01]),
            (u32::MAX, &[0xFF, 0xFF, 0xFF, 0xFF, 0x0F]),
        ];
        for (value, bytes) in cases {
            let mut out = Vec::new();
            put_unsigned_varint(&mut out, value);
            assert_eq!(out, bytes, "{value}");
        }
    }
}
