//! The shapes that nearly all lines have, recognised in a few instructions.
//!
//! Each function here answers `None` for "look at it with care", which is not a verdict: the careful
//! readers in `line`, `request`, `response` and `target` give that. What is accepted here they accept
//! with the same result; the tests hold one against the other. So this file can make a head cheaper,
//! never laxer.

use crate::Known;
use crate::known::is_outrigger;

/// A field line `Name: value` with a name of letters, digits and `-`, one space, a value of visible
/// ASCII with blanks only in its midst, and its CRLF.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FieldLine {
    /// Bytes of the name; the value begins two bytes behind it.
    pub(crate) name: usize,
    /// Bytes of the value.
    pub(crate) value: usize,
    pub(crate) known: Known,
}

/// The field line at the front.
#[inline(always)]
pub(crate) fn field(rest: &[u8]) -> Option<FieldLine> {
    let name = run(rest, |word| zero_in(word ^ (EACH * b':' as u64)));
    let known = name_of(rest, name)?;
    let [b':', b' ', text @ ..] = rest.get(name..)? else { return None };
    let value = visible_run(text);
    let ([.., last], [b'\r', b'\n', ..]) = text.split_at_checked(value)? else { return None };
    let inner = *last != b' ' && text.first() != Some(&b' ');
    inner.then_some(FieldLine { name, value, known })
}

/// Which field it is, if the first `len` bytes are a name.
#[inline(always)]
fn name_of(rest: &[u8], len: usize) -> Option<Known> {
    match Known::at_front(rest, len) {
        Some(known) => Some(known),
        None if !is_plain_name(rest, len) => None,
        None if matches!(rest.first(), Some(b'o' | b'O')) && is_outrigger(rest.get(..len)?) => {
            Some(Known::Outrigger)
        }
        None => Some(Known::Other),
    }
}

/// Whether the first `len` bytes are letters, digits and `-`, and at least one.
#[inline]
fn is_plain_name(rest: &[u8], len: usize) -> bool {
    let Some(name) = rest.get(..len) else { return false };
    if let Some(last) = name.last_chunk::<8>() {
        let (words, _) = name.as_chunks::<8>();
        let marks = |word: &[u8; 8]| not_name_in(u64::from_le_bytes(*word));
        return marks(last) == 0 && words.iter().all(|word| marks(word) == 0);
    }
    match rest.first_chunk::<8>() {
        Some(word) if len > 0 => not_name_in(u64::from_le_bytes(*word)) << (64 - 8 * len) == 0,
        _ => false,
    }
}

/// `HTTP/1.1 200 OK` with its CRLF and any status and reason of visible ASCII: the status and the
/// length of the reason, which begins at index 13.
#[inline(always)]
pub(crate) fn status_line(buf: &[u8]) -> Option<(u16, usize)> {
    let (b"HTTP/1.1 ", rest) = buf.split_first_chunk::<9>()? else { return None };
    let [a @ b'1'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', b' ', reason @ ..] = rest else { return None };
    let len = visible_run(reason);
    let [b'\r', b'\n', ..] = reason.get(len..)? else { return None };
    let digit = |byte: &u8| u16::from(*byte - b'0');
    Some((digit(a) * 100 + digit(b) * 10 + digit(c), len))
}

/// What ends the request line of an HTTP/1.1 request.
const LINE_END: &[u8; 11] = b" HTTP/1.1\r\n";

/// The length of a target at the front that begins with `/` and is followed by `HTTP/1.1` and a CRLF.
#[inline(always)]
pub(crate) fn target(rest: &[u8]) -> Option<usize> {
    let b'/' = rest.first()? else { return None };
    let len = run(rest, not_target_in);
    let (end, _) = rest.get(len..)?.split_first_chunk()?;
    (end == LINE_END).then_some(len)
}

/// Bytes that [`target`] leaves between the target and the next line.
pub(crate) const AFTER_TARGET: usize = LINE_END.len();

/// Bytes of a target before its `?`.
#[inline]
pub(crate) fn path_len(target: &[u8]) -> usize {
    run(target, |word| zero_in(word ^ (EACH * b'?' as u64)))
}

/// Bytes at the front that may stand in a host's name and hardly ever do otherwise: letters, digits,
/// `-` and `.`.
#[inline]
pub(crate) fn host_run(text: &[u8]) -> usize {
    run(text, not_host_in)
}

/// Bytes at the front that are visible ASCII or spaces.
#[inline(always)]
fn visible_run(text: &[u8]) -> usize {
    let (blocks, _) = text.as_chunks::<32>();
    let clean = 32 * blocks.iter().take_while(|block| is_visible(block)).count();
    clean + run(text.get(clean..).unwrap_or_default(), not_visible_in)
}

/// The compiler makes vector instructions of this.
#[inline(always)]
fn is_visible(block: &[u8; 32]) -> bool {
    !block.iter().fold(false, |stop, &byte| stop | (byte.wrapping_sub(0x20) > 0x5e))
}

/// How many bytes at the front pass `marks`, which gets eight of them at a time and sets the high bit
/// of those that do not. Behind the first of these its marks may be wrong.
#[inline(always)]
fn run(bytes: &[u8], marks: impl Fn(u64) -> u64) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    let first = |marks: u64| marks.trailing_zeros() as usize / 8;
    let mut run = 0;
    for word in words {
        let marks = marks(u64::from_le_bytes(*word));
        if marks != 0 {
            return run + first(marks);
        }
        run += 8;
    }
    match bytes.last_chunk::<8>() {
        // All before it is clean, as far as it overlaps.
        Some(last) => bytes.len() - 8 + first(marks(u64::from_le_bytes(*last))),
        None => rest.iter().position(|&byte| marks(u64::from(byte)) & 0x80 != 0).unwrap_or(rest.len()),
    }
}

const EACH: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x80 * EACH;
const LOW: u64 = 0x7f * EACH;

/// Bytes that are zero. A borrow may mark what is behind the first.
#[inline(always)]
fn zero_in(word: u64) -> u64 {
    word.wrapping_sub(EACH) & !word & HIGH
}

/// Bytes that are neither visible ASCII nor a space. A borrow or a carry may mark what is behind the
/// first.
#[inline(always)]
fn not_visible_in(word: u64) -> u64 {
    (word.wrapping_sub(0x20 * EACH) | word.wrapping_add(EACH) | word) & HIGH
}

/// Bytes that cannot stand in a target: all but visible ASCII, and `#`. A borrow or a carry may mark
/// what is behind the first.
#[inline(always)]
fn not_target_in(word: u64) -> u64 {
    let invisible = (word.wrapping_sub(0x21 * EACH) | word.wrapping_add(EACH) | word) & HIGH;
    invisible | zero_in(word ^ (b'#' as u64 * EACH))
}

/// Bytes that are no letter, digit or `-`, each judged apart: without its high bit, adding less than
/// 0x80 never carries into the next.
#[inline(always)]
fn not_name_in(word: u64) -> u64 {
    (word | !(letter_or_digit_in(word & LOW) | is_in(word & LOW, b'-'))) & HIGH
}

/// Bytes that are no letter, digit, `-` or `.`, each judged apart.
#[inline(always)]
fn not_host_in(word: u64) -> u64 {
    let low = word & LOW;
    (word | !(letter_or_digit_in(low) | is_in(low, b'-') | is_in(low, b'.'))) & HIGH
}

#[inline(always)]
fn letter_or_digit_in(low: u64) -> u64 {
    let folded = low | (0x20 * EACH);
    let letter = (folded + 0x1f * EACH) & !(folded + 0x05 * EACH);
    let digit = (low + 0x50 * EACH) & !(low + 0x46 * EACH);
    letter | digit
}

#[inline(always)]
fn is_in(low: u64, byte: u8) -> u64 {
    !((low ^ (u64::from(byte) * EACH)) + LOW)
}

#[cfg(test)]
mod tests;
