//! HTTP/1.1 framing, as little of it as a measuring tool needs.
//!
//! This reads messages of peers that we start ourselves. It finds where a
//! message ends and checks that it arrived whole; it is no judge of hostile
//! input, and nothing but the tools of this folder may use it.

use memchr::{memchr, memmem};

/// A head longer than this is taken for nonsense, in bytes.
pub const HEAD_LIMIT: usize = 64 * 1024;

/// Where the head at the start of `bytes` ends: the index after its blank line.
#[must_use]
pub fn head_end(bytes: &[u8]) -> Option<usize> {
    memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

/// What the tools want to know of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head<'a> {
    /// `Content-Length`, when it is there and a number.
    pub length: Option<u64>,
    /// The last transfer coding is `chunked`.
    pub chunked: bool,
    /// `Connection: close`.
    pub close: bool,
    /// `outrigger-reason`: why the proxy answered in an instance's place.
    pub reason: Option<&'a [u8]>,
}

/// Reads the fields of a head (its first line is skipped).
#[must_use]
pub fn fields(head: &[u8]) -> Head<'_> {
    let mut seen = Head::default();
    for (name, value) in lines(head) {
        match name.len() {
            14 if name.eq_ignore_ascii_case(b"content-length") => seen.length = number(value),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                seen.chunked = value.to_ascii_lowercase().ends_with(b"chunked");
            }
            10 if name.eq_ignore_ascii_case(b"connection") => {
                seen.close = value.eq_ignore_ascii_case(b"close");
            }
            16 if name.eq_ignore_ascii_case(b"outrigger-reason") => seen.reason = Some(value),
            _ => {}
        }
    }
    seen
}

/// The value of the first field called `name`, in any case.
#[must_use]
pub fn field<'a>(head: &'a [u8], name: &str) -> Option<&'a [u8]> {
    lines(head).find_map(|(key, value)| key.eq_ignore_ascii_case(name.as_bytes()).then_some(value))
}

/// The status of a response head; `None` when the first line is no status line.
#[must_use]
pub fn status(head: &[u8]) -> Option<u16> {
    let digits = head.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    number(digits)?.try_into().ok().filter(|code| (100..600).contains(code))
}

fn lines(head: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = memchr(b'\n', head).and_then(|at| head.get(at + 1..)).unwrap_or_default();
    std::iter::from_fn(move || {
        let end = memchr(b'\n', rest)?;
        let (line, tail) = (rest.get(..end)?, rest.get(end + 1..)?);
        rest = tail;
        let colon = memchr(b':', line)?;
        Some((line.get(..colon)?, line.get(colon + 1..)?.trim_ascii()))
    })
}

fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 18 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(text.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

/// A body as it arrives: tells how many of the bytes at hand belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// This many bytes are still to come.
    Length(u64),
    /// Chunks, and where in one the reader stands.
    Chunked(Chunk),
    /// Until the peer closes.
    UntilClose,
}

/// Where in a chunked body the reader stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunk {
    /// In the line that names the next chunk's size (so far; digits ended).
    Size(u64, bool),
    /// This many bytes are left of the chunk and its line end.
    Data(u64),
    /// In the trailer section; true while the line is empty so far.
    Trailer(bool),
    /// Behind the last line.
    End,
}

/// The body broke its framing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadChunk;

impl Body {
    /// The body that a head announces for a request.
    #[must_use]
    pub fn of_request(head: &Head<'_>) -> Self {
        match head.chunked {
            true => Self::Chunked(Chunk::Size(0, false)),
            false => Self::Length(head.length.unwrap_or(0)),
        }
    }

    /// The body that a head announces for a response to a method that has one.
    #[must_use]
    pub fn of_response(status: u16, head: &Head<'_>) -> Self {
        match (status, head.chunked, head.length) {
            (204 | 304, _, _) => Self::Length(0),
            (_, true, _) => Self::Chunked(Chunk::Size(0, false)),
            (_, false, Some(length)) => Self::Length(length),
            (_, false, None) => Self::UntilClose,
        }
    }

    /// True when nothing more belongs to this body.
    #[must_use]
    pub fn ended(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunk::End))
    }

    /// Takes what belongs to the body from the front of `bytes` and returns how
    /// many bytes that was.
    ///
    /// # Errors
    /// When a chunk's size is no number.
    pub fn take(&mut self, bytes: &[u8]) -> Result<usize, BadChunk> {
        match self {
            Self::UntilClose => Ok(bytes.len()),
            Self::Length(left) => Ok(take_counted(left, bytes)),
            Self::Chunked(chunk) => take_chunks(chunk, bytes),
        }
    }
}

fn take_counted(left: &mut u64, bytes: &[u8]) -> usize {
    let taken = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
    *left -= taken as u64;
    taken
}

fn take_chunks(chunk: &mut Chunk, bytes: &[u8]) -> Result<usize, BadChunk> {
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        match chunk {
            Chunk::End => break,
            Chunk::Data(left) => {
                at += take_counted(left, rest);
                if *left == 0 {
                    *chunk = Chunk::Size(0, false);
                }
            }
            Chunk::Size(..) | Chunk::Trailer(_) => {
                *chunk = after_byte(*chunk, rest.first().copied().unwrap_or_default())?;
                at += 1;
            }
        }
    }
    Ok(at)
}

fn after_byte(chunk: Chunk, byte: u8) -> Result<Chunk, BadChunk> {
    Ok(match (chunk, byte) {
        (Chunk::Size(0, _), b'\n') => Chunk::Trailer(true),
        (Chunk::Size(size, _), b'\n') => Chunk::Data(size + 2),
        (Chunk::Size(size, true), _) => Chunk::Size(size, true),
        (Chunk::Size(size, false), b'\r' | b';' | b' ') => Chunk::Size(size, true),
        (Chunk::Size(size, false), digit) => {
            let digit = (digit as char).to_digit(16).ok_or(BadChunk)?;
            let grown = size.checked_mul(16).ok_or(BadChunk)? + u64::from(digit);
            (grown < 1 << 60).then_some(Chunk::Size(grown, false)).ok_or(BadChunk)?
        }
        (Chunk::Trailer(true), b'\n') => Chunk::End,
        (Chunk::Trailer(_), b'\n') => Chunk::Trailer(true),
        (Chunk::Trailer(empty), b'\r') => Chunk::Trailer(empty),
        (Chunk::Trailer(_), _) => Chunk::Trailer(false),
        (other, _) => other,
    })
}

#[cfg(test)]
mod tests;
