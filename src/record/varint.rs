//! Signed variable-length integers: zig-zag, seven bits a byte, the lowest first.

/// Appends `value` to the front part of `out` and returns how many bytes it took.
#[inline]
pub(super) fn put_varint(out: &mut [u8], value: i64) -> usize {
    let mut bits = zig_zag(value);
    let mut length = 0;
    for place in out {
        length += 1;
        if bits < 0x80 {
            *place = (bits & 0x7F) as u8;
            break;
        }
        *place = (bits & 0x7F) as u8 | 0x80;
        bits >>= 7;
    }
    length
}

/// Bytes that [`put_varint`] takes.
#[inline]
pub(super) fn varint_size(value: i64) -> usize {
    let bits = 64 - (zig_zag(value) | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

#[inline]
pub(super) fn zig_zag(value: i64) -> u64 {
    u64::from_ne_bytes(((value << 1) ^ (value >> 63)).to_ne_bytes())
}

/// What [`put_varint`] wrote, read back byte by byte; `None` if it has more than ten.
pub(super) fn read_varint(mut next: impl FnMut() -> Option<u8>) -> Option<i64> {
    let mut bits = 0_u64;
    for shift in (0..70).step_by(7) {
        let byte = next()?;
        bits |= u64::from(byte & 0x7F).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            let signed = |bits: u64| i64::from_ne_bytes(bits.to_ne_bytes());
            return Some(signed(bits >> 1) ^ -signed(bits & 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn put_varint_reads_back_and_has_the_size_foretold() {
        let edges = [
            0,
            -1,
            1,
            63,
            64,
            -64,
            -65,
            8191,
            8192,
            i64::from(i32::MAX),
            i64::MAX,
            i64::MIN,
        ];
        for value in edges {
            let mut out = [0; 10];
            let length = put_varint(&mut out, value);
            assert_eq!(length, varint_size(value), "{value}");
            let mut bytes = out[..length].iter().copied();
            assert_eq!(read_varint(|| bytes.next()), Some(value));
        }
    }

    #[test]
    fn read_varint_without_end_is_refused() {
        assert_eq!(read_varint(|| Some(0xFF)), None);
        assert_eq!(read_varint(|| None), None);
    }
}
