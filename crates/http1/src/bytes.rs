//! Which bytes may stand where, and how far a run of them reaches.
//!
//! The classes are those of RFC 9110 §5.5 and §5.6.2 and RFC 9112 §3.

/// One bit per class of byte.
const TOKEN: u8 = 1;
const TARGET: u8 = 2;
const HOST: u8 = 4;

const CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        // `byte` is below 256 by the loop's bound.
        #[allow(clippy::indexing_slicing)]
        {
            table[byte] = class_of(byte as u8);
        }
        byte += 1;
    }
    table
}

const fn class_of(byte: u8) -> u8 {
    let token = matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z')
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        );
    let target = matches!(byte, 0x21..=0x7e) && byte != b'#';
    let host = token && !matches!(byte, b'#' | b'%' | b'^' | b'`' | b'|')
        || matches!(byte, b'(' | b')' | b';' | b'=');
    (if token { TOKEN } else { 0 }) | (if target { TARGET } else { 0 }) | (if host { HOST } else { 0 })
}

#[inline]
fn has(byte: u8, class: u8) -> bool {
    CLASSES.get(usize::from(byte)).is_some_and(|classes| classes & class != 0)
}

#[inline]
fn run(bytes: &[u8], class: u8) -> usize {
    bytes.iter().position(|&byte| !has(byte, class)).unwrap_or(bytes.len())
}

/// How many bytes at the front are token characters.
#[inline]
pub(crate) fn token_run(bytes: &[u8]) -> usize {
    run(bytes, TOKEN)
}

/// How many bytes at the front may stand in a request target (visible ASCII without `#`).
#[inline]
pub(crate) fn target_run(bytes: &[u8]) -> usize {
    run(bytes, TARGET)
}

/// How many bytes at the front may stand in a host's name (RFC 3986 §3.2.2) without `%` and without
/// the comma, which would read as a list of two hosts.
pub(crate) fn host_run(bytes: &[u8]) -> usize {
    run(bytes, HOST)
}

/// Whether the byte may stand in a token.
pub(crate) fn is_tchar(byte: u8) -> bool {
    has(byte, TOKEN)
}

/// Whether all of it is a token (RFC 9110 §5.6.2): a field name or a method may be nothing else.
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && token_run(text) == text.len()
}

/// Whether all of it may be written as a field's value: no control but a tab (RFC 9110 §5.5), so no
/// CR, LF or NUL, by which a value from elsewhere could become a second field.
pub fn is_field_value(text: &[u8]) -> bool {
    text_run(text) == text.len()
}

/// Whether the byte may *not* stand in a field value or a reason: a control other than a tab, or DEL.
fn stops_text(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') || byte == 0x7f
}

/// How many bytes at the front may stand in a field value or a reason.
///
/// Most of a head is values. Nearly all of them end at the next CR, so that is looked for first and
/// what is before it is judged in large pieces; only where that fails is the place of the fault
/// looked for.
#[inline]
pub(crate) fn text_run(bytes: &[u8]) -> usize {
    match memchr::memchr(b'\r', bytes) {
        Some(end) if is_text(bytes.get(..end).unwrap_or_default()) => end,
        _ => first_stop(bytes),
    }
}

#[cold]
fn first_stop(bytes: &[u8]) -> usize {
    let run = word_run(bytes, stops_in);
    let rest = bytes.get(run..).unwrap_or_default();
    let more = rest.iter().position(|&byte| stops_text(byte));
    run + more.unwrap_or(rest.len())
}

/// Whether the text holds no control at all. The last piece may overlap the one before it.
#[inline]
fn is_text(text: &[u8]) -> bool {
    if let Some(last) = text.last_chunk::<16>() {
        let (blocks, _) = text.as_chunks::<16>();
        return blocks.iter().all(is_clean) && is_clean(last);
    }
    if let (Some(first), Some(last)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        let stops = stops_in(u64::from_le_bytes(*first)) | stops_in(u64::from_le_bytes(*last));
        return stops == 0;
    }
    !text.iter().any(|&byte| stops_text(byte))
}

/// Whether there is no control among the bytes. Tabs count: they are rare, and the compiler makes two
/// comparisons into vector instructions, but not three.
#[inline(always)]
fn is_clean(block: &[u8; 16]) -> bool {
    !block.iter().fold(false, |stop, &byte| stop | (byte < 0x20) | (byte == 0x7f))
}

const EACH: u64 = 0x0101_0101_0101_0101;
const LOW: u64 = 0x7f * EACH;
const HIGH: u64 = 0x80 * EACH;

/// How many bytes at the front pass `stops`, which gets eight of them at a time and sets the high bit
/// of those that do not; fewer than eight at the end are left to the caller.
#[inline(always)]
fn word_run(bytes: &[u8], stops: impl Fn(u64) -> u64) -> usize {
    let (words, _) = bytes.as_chunks::<8>();
    let mut run = 0;
    for word in words {
        let stops = stops(u64::from_le_bytes(*word));
        if stops != 0 {
            return run + stops.trailing_zeros() as usize / 8;
        }
        run += 8;
    }
    run
}

/// Bytes that stop a text: controls but the tab, and DEL. Each is judged apart: with its high bit off,
/// adding less than 0x80 or 0x80 itself never carries into the next.
#[inline(always)]
fn stops_in(word: u64) -> u64 {
    let low = word & LOW;
    let no_control = low + 0x60 * EACH;
    let delete = low + EACH;
    let no_tab = (low ^ (0x09 * EACH)) + LOW;
    (delete | (!no_control & no_tab)) & !word & HIGH
}

/// A space or a tab: the optional white space of RFC 9110 §5.6.3.
pub(crate) fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// Without the blanks at both ends.
pub(crate) fn trim(text: &[u8]) -> &[u8] {
    let mut text = text;
    while let [first, rest @ ..] = text
        && is_blank(*first)
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && is_blank(*last)
    {
        text = rest;
    }
    text
}

/// The elements of a comma-separated list, trimmed, without the empty ones (RFC 9110 §5.6.1.2).
pub(crate) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim).filter(|element| !element.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Judges eight bytes with each byte at each place, between neighbours that would carry or borrow
    /// were they not kept apart.
    fn judged_apart(stops: impl Fn(u64) -> u64, expected: impl Fn(u8) -> bool) {
        for byte in 0..=255u8 {
            for place in 0..8 {
                for neighbour in [0x00, 0x09, 0x20, 0x2d, 0x7f, 0x80, 0xff] {
                    let mut word = [neighbour; 8];
                    word[place] = byte;
                    let found = stops(u64::from_le_bytes(word)) >> (8 * place + 7) & 1;
                    assert_eq!(found == 1, expected(byte), "{byte:#x} by {neighbour:#x} at {place}");
                }
            }
        }
    }

    #[test]
    fn eight_bytes_are_judged_like_one() {
        judged_apart(stops_in, stops_text);
    }

    #[test]
    fn runs_of_any_length_end_at_the_first_stop() {
        for len in 0..100 {
            for stop in 0..=len {
                let mut text = vec![b'a'; len];
                text.iter_mut().skip(3).step_by(5).for_each(|byte| *byte = b'\t');
                if let Some(byte) = text.get_mut(stop) {
                    *byte = 0x7f;
                }
                assert_eq!(text_run(&text), stop);
                text.iter_mut().for_each(|byte| *byte = byte.wrapping_add(u8::from(*byte == b'\t') * 0x56));
                assert_eq!(token_run(&text), stop);
                assert_eq!(target_run(&text), stop);
            }
        }
    }
}
