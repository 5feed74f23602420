//! Numbers as text, written straight into a buffer: on the path of every request the formatting machinery of the
//! standard library costs more than the number is worth.
//!
//! Neither is put in the place of its call: a request needs each two or three times, and code that runs once between two
//! system calls costs more to fetch than to run.

/// Sixteen hexadecimal digits.
#[inline(never)]
pub(crate) fn hex(number: u64) -> [u8; 16] {
    let mut text = [0; 16];
    text[..8].copy_from_slice(&eight_digits((number >> 32) as u32));
    text[8..].copy_from_slice(&eight_digits(number as u32));
    text
}

/// Eight digits at once: each of the 32 bits' nibbles gets a byte of its own, and the bytes above 9 are moved from
/// behind `9` to `a`.
fn eight_digits(number: u32) -> [u8; 8] {
    let mut x = u64::from(number);
    x = (x | x << 16) & 0x0000_ffff_0000_ffff;
    x = (x | x << 8) & 0x00ff_00ff_00ff_00ff;
    x = (x | x << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    let letters = ((x + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
    (x + 0x3030_3030_3030_3030 + letters * u64::from(b'a' - b'0' - 10)).to_be_bytes()
}

/// As many decimal digits as it takes.
#[inline(never)]
pub(crate) fn decimal(out: &mut Vec<u8>, mut number: u64) {
    if number < 10 {
        return out.push(b'0' + number as u8);
    }
    // The largest has twenty digits.
    let mut text = [0; 20];
    let mut begin = text.len();
    for (place, digit) in text.iter_mut().enumerate().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        begin = place;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(text.get(begin..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_standard_library_writes_them() {
        for number in [0, 9, 10, 15_000, 0xdead_beef, u64::MAX] {
            let mut b = b"x".to_vec();
            decimal(&mut b, number);
            assert_eq!(hex(number)[..], format!("{number:016x}").into_bytes());
            assert_eq!(b, format!("x{number}").into_bytes());
        }
    }
}
