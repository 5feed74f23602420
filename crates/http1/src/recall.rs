//! The field lines of an earlier head, recognised in the next.
//!
//! Callers of one kind say most of what they say again and again: of a dozen lines only a path, an id
//! or a length differ from one head to the next. A line is read alike wherever it stands, so one that
//! has the same bytes as the line in the same place of an earlier head is known without being read:
//! to compare it is a fifth of the work. One that has not is read as ever, after a comparison that ends
//! where they differ.
//!
//! A reader keeps the lines of one head, for all its connections. The fields that are meant for
//! credentials are left out: how long a comparison takes would tell one caller about another's.

use crate::{Field, Known, Span};

/// A field section longer than this is not kept, in bytes.
const KEPT_AT_MOST: usize = 4096;

/// The lines of one field section.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recall {
    text: Vec<u8>,
    lines: Vec<Line>,
}

/// A line in `text`.
#[derive(Clone, Copy, Debug)]
struct Line {
    /// Where it begins; nowhere, if it is not to be recognised.
    begin: u32,
    /// Bytes of it, its end included.
    len: u32,
    /// Bytes before its value.
    value: u32,
    known: Known,
    hop: bool,
}

const NOWHERE: u32 = u32::MAX;

impl Recall {
    /// Takes the lines from `at` on that have the same bytes as those in the same place before, as far
    /// as there is `room` for fields; the index behind them.
    #[inline(never)]
    pub(crate) fn take(&self, buf: &[u8], at: usize, fields: &mut Vec<Field>, room: usize) -> usize {
        let mut at = at;
        let place = fields.len();
        let lines = self.lines.get(place..self.lines.len().min(room)).unwrap_or_default();
        for before in lines {
            let len = before.len as usize;
            let (Some(text), Some(rest)) = (self.text.get(before.begin as usize..), buf.get(at..)) else {
                break;
            };
            let (Some(text), Some(line)) = (text.get(..len), rest.get(..len)) else { break };
            if line != text {
                break;
            }
            let value = at + before.value as usize;
            fields.push(Field {
                name: Span::new(at, value - 2),
                value: Span::new(value, at + len - 2),
                known: before.known,
                hop: before.hop,
                plain: true,
            });
            at += len;
        }
        at
    }

    /// Whether the field's line may be kept.
    #[inline]
    pub(crate) fn may_keep(field: &Field) -> bool {
        let secret = matches!(
            field.known,
            Known::Authorization | Known::ProxyAuthorization | Known::Cookie | Known::SetCookie
        );
        field.plain && !secret
    }

    /// Keeps the section that begins at `begin` of `buf`, ends at `end` and has these fields.
    pub(crate) fn keep(&mut self, buf: &[u8], begin: usize, end: usize, fields: &[Field]) {
        self.text.clear();
        self.lines.clear();
        let Some(text) = buf.get(begin..end).filter(|text| text.len() <= KEPT_AT_MOST) else { return };
        self.text.extend_from_slice(text);
        self.lines.extend(fields.iter().map(|field| Line::of(field, begin)));
    }
}

impl Line {
    /// The line of a field in a section that begins at `section`.
    #[inline]
    fn of(field: &Field, section: usize) -> Line {
        let begin = if Recall::may_keep(field) { (field.name.start() - section) as u32 } else { NOWHERE };
        let (start, end) = (field.name.start(), field.value.end() + 2);
        let (len, value) = ((end - start) as u32, (field.value.start() - start) as u32);
        Line { begin, len, value, known: field.known, hop: field.known.is_hop() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, RequestHead};

    fn fields_of(head: &RequestHead, buf: &[u8]) -> Vec<(Vec<u8>, Vec<u8>, Field)> {
        let texts = |field: &Field| (field.name.of(buf).to_vec(), field.value.of(buf).to_vec(), *field);
        head.fields.iter().map(texts).collect()
    }

    /// Heads that share lines, in other places, with other lengths, cut short, or not at all.
    const HEADS: &[&str] = &[
        "GET / HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nX-Id: 1\r\n\r\n",
        "GET /long HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nX-Id: 22\r\n\r\n",
        "GET / HTTP/1.1\r\nAccept: */*\r\nHost: a\r\nX-Id: 22\r\nX-Id: 22\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: accept\r\nAccept: */*\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: x\r\nAccept: */*\r\nAccept:*/*\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n",
        "GET http://b/ HTTP/1.1\r\nHost: a\r\nAuthorization: c\r\nCookie: d\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: c\r\nCookie: d\r\nX: \tb\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nAccept: */*\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
    ];

    #[test]
    fn what_was_read_before_changes_nothing() {
        let limits = Limits { head_bytes: 100, fields: 4 };
        for before in HEADS {
            for after in HEADS {
                for end in 0..=after.len() {
                    let bytes = after.get(..end).unwrap_or_default().as_bytes();
                    let (mut fresh, mut reused) = (RequestHead::new(), RequestHead::new());
                    let _ = reused.parse(before.as_bytes(), &limits);
                    let _ = reused.parse(before.as_bytes(), &limits);
                    let expected = fresh.parse(bytes, &limits);
                    assert_eq!(reused.parse(bytes, &limits), expected, "{before:?} {after:?}");
                    if expected.is_ok_and(|status| status != crate::Status::Partial) {
                        assert_eq!(
                            fields_of(&reused, bytes),
                            fields_of(&fresh, bytes),
                            "{before:?} {after:?}"
                        );
                        assert_eq!(format!("{:?}", reused.asked()), format!("{:?}", fresh.asked()));
                        assert_eq!(reused.find(Known::Host).is_some(), fresh.find(Known::Host).is_some());
                    }
                }
            }
        }
    }

    #[test]
    fn usual_lines_are_recognised_and_credentials_are_not() {
        let head = "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: c\r\nCookie: d\r\nAccept: */*\r\n\r\n";
        let begin = "GET / HTTP/1.1\r\n".len();
        let mut read = RequestHead::new();
        assert!(read.parse(head.as_bytes(), &Limits::default()).is_ok());
        let mut recall = Recall::default();
        recall.keep(head.as_bytes(), begin, head.len(), &read.fields);
        let known = |place: usize| {
            let field = read.fields.get(place).expect("there are four");
            let mut fields = read.fields[..place].to_vec();
            recall.take(head.as_bytes(), field.name.start(), &mut fields, place + 1);
            fields.get(place).map(|field| field.known)
        };
        assert_eq!([0, 1, 2, 3].map(known), [Some(Known::Host), None, None, Some(Known::Accept)]);
    }
}
