//! One field line at a time: the part of a head that requests, responses and trailers share.

use crate::bytes::{is_blank, text_run, token_run};
use crate::{Rule, Span};

/// What stands at a place in the field section.
pub(crate) enum Line {
    /// The line does not end within the bytes at hand.
    Partial,
    /// The empty line; the index after it.
    End(usize),
    /// One field.
    Field(Raw),
}

/// One field line as it stands, as indices: the name begins where the line does.
///
/// These are words and no `Span`s since the two halves of a span, stored apart and loaded together,
/// would make the processor wait for the store; that was a quarter of the cost of a head.
pub(crate) struct Raw {
    name_end: usize,
    value_start: usize,
    value_end: usize,
    /// Whether the line is already `name: value`, with one space and nothing after the value.
    pub(crate) plain: bool,
    /// Index of the next line.
    pub(crate) next: usize,
}

impl Raw {
    /// The name of the line that was read at `at`.
    #[inline]
    pub(crate) fn name(&self, at: usize) -> Span {
        Span::new(at, self.name_end)
    }

    /// The value without blanks around it.
    #[inline]
    pub(crate) fn value(&self) -> Span {
        Span::new(self.value_start, self.value_end)
    }
}

/// Reads the line that begins at `at`; `begin` is where the section began.
///
/// The verdict on a byte never depends on the bytes behind the line, so that a head that arrives in
/// pieces is judged like one that arrives whole.
pub(crate) fn read(buf: &[u8], at: usize, begin: usize) -> Result<Line, Rule> {
    let rest = buf.get(at..).unwrap_or_default();
    let colon = at + token_run(rest);
    match buf.get(colon) {
        None => return Ok(Line::Partial),
        Some(b':') if colon > at => {}
        Some(&byte) => return unnamed(buf, at, begin, colon, byte),
    }
    let after = buf.get(colon + 1..).unwrap_or_default();
    let blanks = match after {
        [b' ', next, ..] if !is_blank(*next) => 1,
        _ => after.iter().take_while(|&&byte| is_blank(byte)).count(),
    };
    let start = colon + 1 + blanks;
    let text = buf.get(start..).unwrap_or_default();
    let run = text_run(text);
    let next = match line_end(buf, start + run, Rule::FieldValueControl)? {
        Some(next) => next,
        None => return Ok(Line::Partial),
    };
    let kept = text.get(..run).unwrap_or_default();
    let trailing = match kept {
        [.., last] if is_blank(*last) => kept.iter().rev().take_while(|&&byte| is_blank(byte)).count(),
        _ => 0,
    };
    Ok(Line::Field(Raw {
        name_end: colon,
        value_start: start,
        value_end: start + run - trailing,
        plain: blanks == 1 && after.first() == Some(&b' ') && trailing == 0,
        next,
    }))
}

/// A line that does not begin with a name and a colon: the end of the section or a fault.
#[cold]
fn unnamed(buf: &[u8], at: usize, begin: usize, stop: usize, byte: u8) -> Result<Line, Rule> {
    let first = stop == at;
    Err(match byte {
        b'\r' => {
            return match line_end(buf, stop, Rule::BareCr)? {
                None => Ok(Line::Partial),
                Some(next) if first => Ok(Line::End(next)),
                Some(_) => Err(Rule::ColonMissing),
            };
        }
        b'\n' => Rule::BareLf,
        b' ' | b'\t' if !first => Rule::BlankBeforeColon,
        b' ' | b'\t' if at == begin => Rule::BlankBeforeField,
        b' ' | b'\t' => Rule::ObsFold,
        b':' => Rule::FieldNameEmpty,
        _ => Rule::FieldNameInvalid,
    })
}

/// The index after the CRLF at `at`; none where it is not there yet; `otherwise` for other bytes.
#[inline]
pub(crate) fn line_end(buf: &[u8], at: usize, otherwise: Rule) -> Result<Option<usize>, Rule> {
    match (buf.get(at), buf.get(at + 1)) {
        (Some(b'\r'), Some(b'\n')) => Ok(Some(at + 2)),
        (None, _) | (Some(b'\r'), None) => Ok(None),
        (Some(b'\r'), Some(_)) => Err(Rule::BareCr),
        (Some(b'\n'), _) => Err(Rule::BareLf),
        (Some(_), _) => Err(otherwise),
    }
}
