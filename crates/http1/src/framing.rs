//! Where a body ends, found without copying a byte of it (RFC 9112 §6 and §7).

use crate::bytes::is_tchar;
use crate::line::{self, Line};
use crate::{Framing, Known, Rule};

/// Bytes of chunk extensions that one body may have; all of them are dropped.
pub const MAX_EXTENSION_BYTES: u16 = 4096;
/// Bytes of a trailer section, its empty line included.
pub const MAX_TRAILER_BYTES: usize = 8192;
/// Fields of a trailer section.
pub const MAX_TRAILER_FIELDS: usize = 64;
/// Digits of a chunk size, leading zeros included.
const MAX_SIZE_DIGITS: u8 = 16;

/// What stands at the front of the input.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Piece {
    /// Bytes of framing before the data.
    pub skip: usize,
    /// Bytes of data behind `skip`, to be forwarded as they are.
    pub data: usize,
    /// Bytes of trailer lines behind `skip` (there is no data then), checked, each with its CRLF and
    /// without the empty line: for [`write::last_chunk`](crate::write::last_chunk).
    pub trailers: usize,
    /// Bytes of input that are done with: `skip`, `data`, `trailers` and framing behind them.
    pub consumed: usize,
    /// The body has ended; what follows belongs to the next message.
    pub done: bool,
}

impl Piece {
    /// The data within the input that was given to `read`.
    pub fn data_of<'a>(&self, input: &'a [u8]) -> &'a [u8] {
        part(input, self.skip, self.data)
    }

    /// The trailer lines within the input that was given to `read`.
    pub fn trailers_of<'a>(&self, input: &'a [u8]) -> &'a [u8] {
        part(input, self.skip, self.trailers)
    }
}

fn part(input: &[u8], skip: usize, len: usize) -> &[u8] {
    input.get(skip..).and_then(|rest| rest.get(..len)).unwrap_or_default()
}

/// Finds the end of one body.
///
/// ```
/// use http1::{BodyReader, Framing};
///
/// let mut body = BodyReader::new(Framing::Chunked);
/// let input = b"3;x=1\r\nabc\r\n0\r\n\r\nGET /next";
/// let first = body.read(input).unwrap();
/// assert_eq!(first.data_of(input), b"abc");
/// let rest = &input[first.consumed..];
/// let last = body.read(rest).unwrap();
/// assert!(last.done);
/// assert_eq!(&rest[last.consumed..], b"GET /next");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BodyReader {
    state: State,
    /// Bytes of chunk extensions that may still come.
    extensions_left: u16,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Done,
    Length(u64),
    UntilClose,
    /// In a chunk's size line.
    Size {
        size: u64,
        digits: u8,
        at: SizeLine,
    },
    /// In a chunk's data.
    Data(u64),
    /// Data is over; its CR, then its LF, are next.
    DataCr,
    DataLf,
    /// After the last chunk. Nothing is consumed until the whole section is there.
    Trailers,
}

/// Where in a chunk's size line (RFC 9112 §7.1.1). `Blank` states hold the bad white space that a
/// recipient must parse: it may stand around `;` and `=`, nowhere else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum SizeLine {
    Digits,
    BlankBeforeSemicolon,
    BlankBeforeName,
    Name,
    BlankBeforeEquals,
    BlankBeforeValue,
    Token,
    Quoted,
    Escaped,
    AfterQuoted,
    BlankAfterValue,
    Lf,
}

impl BodyReader {
    /// For a body of that framing.
    pub fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::Empty | Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::START,
            Framing::UntilClose => State::UntilClose,
        };
        Self { state, extensions_left: MAX_EXTENSION_BYTES }
    }

    /// Looks at the bytes at the front of `input`. Call again with what is behind `consumed` until it
    /// consumes nothing or is done; then with more bytes behind what is left.
    ///
    /// # Errors
    /// The rule that the framing breaks: where the message ends is unknown, so close the connection
    /// and do not forward an end.
    pub fn read(&mut self, input: &[u8]) -> Result<Piece, Rule> {
        match self.state {
            State::Done => Ok(Piece { done: true, ..Piece::default() }),
            State::Length(left) => Ok(self.counted(input, 0, left, State::Length, State::Done)),
            State::UntilClose => Ok(Piece { data: input.len(), consumed: input.len(), ..Piece::default() }),
            _ => self.chunked(input),
        }
    }

    /// Whether the body has ended.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// What the connection's end means.
    ///
    /// # Errors
    /// [`Rule::BodyTruncated`] where more was to come.
    pub fn on_eof(&self) -> Result<(), Rule> {
        match self.state {
            State::Done | State::UntilClose => Ok(()),
            _ => Err(Rule::BodyTruncated),
        }
    }

    /// Bytes of data that are known to come: the rest of a Content-Length, or of the chunk at hand.
    pub fn remaining_hint(&self) -> Option<u64> {
        match self.state {
            State::Done => Some(0),
            State::Length(left) | State::Data(left) => Some(left),
            _ => None,
        }
    }

    /// Data of which `left` bytes are to come, behind `skip` bytes of framing.
    fn counted(
        &mut self,
        input: &[u8],
        skip: usize,
        left: u64,
        more: impl Fn(u64) -> State,
        end: State,
    ) -> Piece {
        let there = input.len().saturating_sub(skip);
        let data = usize::try_from(left).map_or(there, |left| left.min(there));
        let left = left.saturating_sub(data as u64);
        self.state = if left == 0 { end } else { more(left) };
        Piece { skip, data, trailers: 0, consumed: skip + data, done: end == State::Done && left == 0 }
    }

    fn chunked(&mut self, input: &[u8]) -> Result<Piece, Rule> {
        let mut at = 0;
        loop {
            match self.state {
                State::Data(left) => {
                    return Ok(self.counted(input, at, left, State::Data, State::DataCr));
                }
                State::Trailers => return self.trailers(input, at),
                _ => {}
            }
            let Some(&byte) = input.get(at) else {
                return Ok(Piece { skip: at, consumed: at, ..Piece::default() });
            };
            at += 1;
            self.state = self.state.after(byte, &mut self.extensions_left)?;
        }
    }

    /// The trailer section, once all of it is there.
    fn trailers(&mut self, input: &[u8], begin: usize) -> Result<Piece, Rule> {
        let section = input.get(begin..).unwrap_or_default();
        let window = section.get(..MAX_TRAILER_BYTES).unwrap_or(section);
        let mut at = 0;
        let mut fields = 0;
        loop {
            match line::read(window, at, 0)? {
                Line::Partial if window.len() == MAX_TRAILER_BYTES => {
                    return Err(Rule::TrailersTooLarge);
                }
                Line::Partial => {
                    return Ok(Piece { skip: begin, consumed: begin, ..Piece::default() });
                }
                Line::End(next) => {
                    self.state = State::Done;
                    return Ok(Piece {
                        skip: begin,
                        data: 0,
                        trailers: at,
                        consumed: begin + next,
                        done: true,
                    });
                }
                Line::Field(_) if fields == MAX_TRAILER_FIELDS => {
                    return Err(Rule::TrailersTooLarge);
                }
                Line::Field(raw) if is_forbidden(raw.name(at).of(window)) => {
                    return Err(Rule::TrailerForbidden);
                }
                Line::Field(raw) => {
                    fields += 1;
                    at = raw.next;
                }
            }
        }
    }
}

impl State {
    /// Before a chunk's size.
    const START: State = State::Size { size: 0, digits: 0, at: SizeLine::Digits };

    /// The state after one byte of framing.
    fn after(self, byte: u8, extensions_left: &mut u16) -> Result<State, Rule> {
        match (self, byte) {
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::START),
            (State::DataCr | State::DataLf, _) => Err(Rule::ChunkDataOverrun),
            (State::Size { size, digits, at: SizeLine::Digits }, _) => digit(size, digits, byte),
            (State::Size { size, digits, at: SizeLine::Lf }, b'\n') => {
                Ok(if size == 0 && digits > 0 { State::Trailers } else { State::Data(size) })
            }
            (State::Size { size, digits, at }, _) => {
                *extensions_left = extensions_left.checked_sub(1).ok_or(Rule::ChunkExtensionTooLong)?;
                let at = at.after(byte)?;
                Ok(State::Size { size, digits, at })
            }
            (other, _) => Ok(other),
        }
    }
}

/// One more byte in the digits of a chunk's size.
fn digit(size: u64, digits: u8, byte: u8) -> Result<State, Rule> {
    let value = match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        b'A'..=b'F' => byte - b'A' + 10,
        b'\n' => return Err(Rule::BareLf),
        _ if digits == 0 => return Err(Rule::ChunkSizeInvalid),
        _ => {
            let at = match byte {
                b'\r' => SizeLine::Lf,
                b';' => SizeLine::BlankBeforeName,
                b' ' | b'\t' => SizeLine::BlankBeforeSemicolon,
                _ => return Err(Rule::ChunkSizeInvalid),
            };
            return Ok(State::Size { size, digits, at });
        }
    };
    if digits == MAX_SIZE_DIGITS {
        return Err(Rule::ChunkSizeOverflow);
    }
    Ok(State::Size { size: size << 4 | u64::from(value), digits: digits + 1, at: SizeLine::Digits })
}

impl SizeLine {
    fn after(self, byte: u8) -> Result<Self, Rule> {
        use SizeLine::{
            AfterQuoted, BlankAfterValue, BlankBeforeEquals, BlankBeforeName, BlankBeforeSemicolon,
            BlankBeforeValue, Digits, Escaped, Lf, Name, Quoted, Token,
        };
        let text = byte == b'\t' || (byte >= b' ' && byte != 0x7f);
        Ok(match (self, byte) {
            (Lf, _) => return Err(Rule::BareCr),
            (_, b'\n') => return Err(Rule::BareLf),
            (
                BlankBeforeSemicolon | BlankBeforeEquals | AfterQuoted | Name | Token | BlankAfterValue,
                b';',
            ) => BlankBeforeName,
            (BlankBeforeName | BlankBeforeSemicolon | BlankBeforeEquals | BlankBeforeValue, b' ' | b'\t') => {
                self
            }
            (Name, b' ' | b'\t') => BlankBeforeEquals,
            (Token | AfterQuoted | BlankAfterValue, b' ' | b'\t') => BlankAfterValue,
            (Name | BlankBeforeEquals, b'=') => BlankBeforeValue,
            (BlankBeforeValue, b'"') => Quoted,
            (BlankBeforeName | Name, _) if is_tchar(byte) => Name,
            (BlankBeforeValue | Token, _) if is_tchar(byte) => Token,
            (Quoted, b'"') => AfterQuoted,
            (Quoted, b'\\') => Escaped,
            (Quoted | Escaped, _) if text => Quoted,
            (Name | Token | AfterQuoted, b'\r') => Lf,
            (Digits, _) => return Err(Rule::ChunkSizeInvalid),
            (BlankBeforeSemicolon, _) => return Err(Rule::ChunkSizeInvalid),
            _ => return Err(Rule::ChunkExtensionInvalid),
        })
    }
}

/// Whether a field may not stand behind the content: what frames, routes, authenticates, controls or
/// describes a message is needed before it (RFC 9110 §6.5.1).
fn is_forbidden(name: &[u8]) -> bool {
    let known = Known::of(name);
    known.is_hop()
        || known.is_essential()
        || FORBIDDEN.iter().any(|forbidden| forbidden.as_bytes().eq_ignore_ascii_case(name))
        || name.get(..8).is_some_and(|prefix| prefix.eq_ignore_ascii_case(b"content-"))
}

/// Names that no [`Known`] stands for or that may be named by Connection but not trail.
const FORBIDDEN: &[&str] = &[
    "trailer",
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "age",
    "allow",
    "alt-svc",
    "clear-site-data",
    "expires",
    "from",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "max-forwards",
    "origin",
    "pragma",
    "referer",
    "refresh",
    "retry-after",
    "set-cookie2",
    "status",
    "strict-transport-security",
    "te",
    "user-agent",
    "vary",
    "warning",
    "www-authenticate",
    "x-forwarded-port",
    "x-http-method-override",
    "x-real-ip",
];
