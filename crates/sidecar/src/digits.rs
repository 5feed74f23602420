//! Numbers as text, written straight into a buffer: on the path of every request the formatting machinery of the
//! standard library costs more than the number is worth.

/// Sixteen hexadecimal digits.
pub(crate) fn hex(out: &mut Vec<u8>, number: u64) {
    let digit = |place: u32| {
        let value = (number >> (60 - 4 * place)) as u8 & 0xf;
        if value < 10 { b'0' + value } else { b'a' + value - 10 }
    };
    let text: [u8; 16] = std::array::from_fn(|place| digit(place as u32));
    out.extend_from_slice(&text);
}

/// As many decimal digits as it takes.
pub(crate) fn decimal(out: &mut Vec<u8>, mut number: u64) {
    let begin = out.len();
    loop {
        out.push(b'0' + (number % 10) as u8);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    if let Some(text) = out.get_mut(begin..) {
        text.reverse();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_standard_library_writes_them() {
        for number in [0, 9, 10, 15_000, 0xdead_beef, u64::MAX] {
            let (mut a, mut b) = (b"x".to_vec(), b"x".to_vec());
            hex(&mut a, number);
            decimal(&mut b, number);
            assert_eq!(a, format!("x{number:016x}").into_bytes());
            assert_eq!(b, format!("x{number}").into_bytes());
        }
    }
}
