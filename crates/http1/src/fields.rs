//! What requests and responses have in common: limits, fields, and how a body is framed.

use crate::known::Seen;
use crate::line::{self, Line};
use crate::quick::{self, FieldLine};
use crate::recall::Recall;
use crate::{Known, Rule, Span};

/// How large a head may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes from the first line to the empty line, both included.
    pub head_bytes: usize,
    /// Number of field lines.
    pub fields: usize,
}

impl Default for Limits {
    /// 32 KiB, as nginx takes by default (four buffers of 8 KiB), and 100 fields, as hyper does.
    fn default() -> Self {
        Self { head_bytes: 32 * 1024, fields: 100 }
    }
}

/// How far a head has been read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// It does not end yet: call `parse` again with the same bytes and more behind them.
    Partial,
    /// All of it is there and fits every rule.
    Complete {
        /// Bytes that belong to the head; the body begins after them.
        head_len: usize,
    },
}

/// One field line of a head.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    /// The name, as it was spelled.
    pub name: Span,
    /// The value without blanks around it.
    pub value: Span,
    /// Which field it is, where that matters.
    pub known: Known,
    /// Ends here and is never forwarded: hop-by-hop, named by Connection, a repeated Content-Length,
    /// or a Host that an absolute target overrules.
    pub hop: bool,
    /// Whether the line stands in the buffer just as it would be written.
    pub(crate) plain: bool,
}

impl Field {
    /// The same line where what stood at `from` stands at `to`.
    #[inline]
    pub(crate) fn moved(&self, from: usize, to: usize) -> Field {
        Field { name: self.name.moved(from, to), value: self.value.moved(from, to), ..*self }
    }
}

/// How the end of a body is found (RFC 9112 §6.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Framing {
    /// There is no body.
    #[default]
    Empty,
    /// So many bytes, as Content-Length says; also 0.
    Length(u64),
    /// Chunks.
    Chunked,
    /// All until the connection closes; responses only.
    UntilClose,
}

impl Limits {
    /// The bytes that a head may be looked for in.
    pub(crate) fn window<'a>(&self, buf: &'a [u8]) -> &'a [u8] {
        let most = self.head_bytes.min(u32::MAX as usize);
        buf.get(..most).unwrap_or(buf)
    }

    /// What a head that does not end within `window` means.
    pub(crate) fn unfinished(&self, window: &[u8]) -> Result<Status, Rule> {
        if window.len() >= self.head_bytes.min(u32::MAX as usize) {
            return Err(Rule::HeadTooLarge);
        }
        Ok(Status::Partial)
    }
}

/// Reads the field section that begins at `begin` into `fields`; the index after its empty line, and
/// which fields there are.
pub(crate) fn read(
    buf: &[u8],
    begin: usize,
    limits: &Limits,
    fields: &mut Vec<Field>,
    recall: &mut Recall,
) -> Result<Option<(usize, Seen)>, Rule> {
    let mut at = begin;
    let mut fresh = 0;
    loop {
        at = recall.take(buf, at, fields, limits.fields);
        let rest = buf.get(at..).unwrap_or_default();
        if let [b'\r', b'\n', ..] = rest {
            break;
        }
        let Some((field, next)) = line_at(buf, rest, at, begin)? else { return Ok(None) };
        if fields.len() >= limits.fields {
            return Err(Rule::TooManyFields);
        }
        fresh += usize::from(Recall::may_keep(&field));
        fields.push(field);
        at = next;
    }
    // Where a few lines are different in each head, those of the last are worth no more than the kept.
    if 4 * fresh > fields.len() {
        recall.keep(buf, begin, at, fields);
    }
    let seen = fields.iter().fold(Seen::NONE, |seen, field| seen.and(field.known));
    Ok(Some((at + 2, seen)))
}

/// The field whose line begins at `at`, and the index behind it.
#[inline]
fn usual(at: usize, line: FieldLine) -> (Field, usize) {
    let name = Span::new(at, at + line.name);
    let begin = name.end() + 2;
    let value = Span::new(begin, begin + line.value);
    let (known, hop) = (line.known, line.known.is_hop());
    (Field { name, value, known, hop, plain: true }, value.end() + 2)
}

/// The field line at `at`, where `rest` begins, and the index behind it; none where it is not all there.
#[inline(never)]
fn line_at(buf: &[u8], rest: &[u8], at: usize, begin: usize) -> Result<Option<(Field, usize)>, Rule> {
    match quick::field(rest) {
        Some(line) => Ok(Some(usual(at, line))),
        None => careful(buf, at, begin),
    }
}

/// One field line that is not of the usual shape, and the index behind it; none where it is not all
/// there. The section's end is not looked for.
#[cold]
fn careful(buf: &[u8], at: usize, begin: usize) -> Result<Option<(Field, usize)>, Rule> {
    let Line::Field(raw) = line::read(buf, at, begin)? else { return Ok(None) };
    let known = Known::of(raw.name(at).of(buf));
    let (name, value, plain) = (raw.name(at), raw.value(), raw.plain);
    Ok(Some((Field { name, value, known, hop: known.is_hop(), plain }, raw.next)))
}

/// The first field of that kind.
#[inline]
pub(crate) fn find(fields: &[Field], seen: Seen, known: Known) -> Option<&Field> {
    if seen.has(known) { first_of(fields, known) } else { None }
}

#[inline(never)]
fn first_of(fields: &[Field], known: Known) -> Option<&Field> {
    fields.iter().find(|field| field.known == known)
}
