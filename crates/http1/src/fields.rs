//! What requests and responses have in common: limits, fields, and how a body is framed.

use crate::line::{self, Line};
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

/// Reads the field section that begins at `begin` into `fields`; the index after its empty line.
pub(crate) fn read(
    buf: &[u8],
    begin: usize,
    limits: &Limits,
    fields: &mut Vec<Field>,
) -> Result<Option<usize>, Rule> {
    let mut at = begin;
    loop {
        match line::read(buf, at, begin)? {
            Line::Partial => return Ok(None),
            Line::End(next) => return Ok(Some(next)),
            Line::Field(_) if fields.len() >= limits.fields => return Err(Rule::TooManyFields),
            Line::Field(raw) => {
                let known = Known::of(raw.name(at).of(buf));
                fields.push(Field {
                    name: raw.name(at),
                    value: raw.value(),
                    known,
                    hop: known.is_hop(),
                    plain: raw.plain,
                });
                at = raw.next;
            }
        }
    }
}

/// The first field of that kind.
pub(crate) fn find(fields: &[Field], known: Known) -> Option<&Field> {
    fields.iter().find(|field| field.known == known)
}
