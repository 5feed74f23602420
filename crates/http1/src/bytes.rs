//! Which bytes may stand where, and how far a run of them reaches.
//!
//! The classes are those of RFC 9110 §5.5 and §5.6.2 and RFC 9112 §3.

/// One bit per class of byte.
const TOKEN: u8 = 1;
const TARGET: u8 = 2;

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
    (if token { TOKEN } else { 0 }) | (if target { TARGET } else { 0 })
}

fn has(byte: u8, class: u8) -> bool {
    CLASSES
        .get(usize::from(byte))
        .is_some_and(|classes| classes & class != 0)
}

fn run(bytes: &[u8], class: u8) -> usize {
    bytes
        .iter()
        .position(|&byte| !has(byte, class))
        .unwrap_or(bytes.len())
}

/// How many bytes at the front are token characters.
pub(crate) fn token_run(bytes: &[u8]) -> usize {
    run(bytes, TOKEN)
}

/// How many bytes at the front may stand in a request target (visible ASCII without `#`).
pub(crate) fn target_run(bytes: &[u8]) -> usize {
    run(bytes, TARGET)
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
/// Sixteen bytes are judged at once; the compiler makes vector instructions of the inner fold.
pub(crate) fn text_run(bytes: &[u8]) -> usize {
    let (blocks, _) = bytes.as_chunks::<16>();
    let clean = blocks
        .iter()
        .take_while(|block| {
            !block
                .iter()
                .fold(false, |stop, &byte| stop | stops_text(byte))
        })
        .count()
        * 16;
    let rest = bytes.get(clean..).unwrap_or_default();
    clean
        + rest
            .iter()
            .position(|&byte| stops_text(byte))
            .unwrap_or(rest.len())
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
    value
        .split(|&byte| byte == b',')
        .map(trim)
        .filter(|element| !element.is_empty())
}
