//! The field lines of an earlier head, recognised in the next.
//!
//! Callers of one kind say most of what they say again and again: of a dozen lines only a path, an id
//! or a length differ from one head to the next. A line is read alike wherever it stands, so one that
//! has the same bytes as the line in the same place of an earlier head is known without being read.
//! Lines that follow each other are compared together, up to the first byte that differs: that costs a
//! fraction of reading them. The line that differs is read as ever, and the next is compared again.
//!
//! A reader keeps the lines of one head, for all its connections. The fields that are meant for
//! credentials are left out: how long a comparison takes would tell one caller about another's.

use crate::{Field, Known};

/// A field section longer than this is not kept, in bytes.
const KEPT_AT_MOST: usize = 4096;

/// No line ends at the section's first byte.
const NOWHERE: usize = 0;

/// The lines of one field section.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recall {
    text: Vec<u8>,
    lines: Vec<Line>,
}

/// A line in `text`.
#[derive(Clone, Copy, Debug)]
struct Line {
    field: Field,
    /// Where the lines end that stand together with it and may be recognised; nowhere, if it may not.
    run_end: usize,
}

impl Recall {
    /// Takes the lines from `at` on that have the same bytes as those in the same place before, as far
    /// as there is `room` for fields; the index behind them.
    #[inline(never)]
    pub(crate) fn take(&self, buf: &[u8], at: usize, fields: &mut Vec<Field>, room: usize) -> usize {
        let lines = self.lines.get(fields.len()..self.lines.len().min(room)).unwrap_or_default();
        let Some(Line { field, run_end }) = lines.first().filter(|line| line.run_end != NOWHERE) else {
            return at;
        };
        let begin = field.name.start();
        let run = self.text.get(begin..*run_end).unwrap_or_default();
        let same = begin + same_at_front(run, buf.get(at..).unwrap_or_default());
        let is_same = |line: &&Line| line.run_end == *run_end && line.end() <= same;
        let known = lines.get(..lines.iter().take_while(is_same).count()).unwrap_or_default();
        fields.extend(known.iter().map(|line| line.field.moved(begin, at)));
        known.last().map_or(at, |line| line.end() - begin + at)
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
        // From the last to the first, as each has the end of the next unless a run ends between them.
        let mut run_end = NOWHERE;
        self.lines.extend(fields.iter().rev().map(|field| {
            // What ended a field there need not end it in the next head: whoever reads that decides.
            let field = Field { hop: field.known.is_hop(), ..field.moved(begin, 0) };
            run_end = match (Recall::may_keep(&field), run_end) {
                (false, _) => NOWHERE,
                (true, NOWHERE) => Line { field, run_end }.end(),
                (true, end) => end,
            };
            Line { field, run_end }
        }));
        self.lines.reverse();
    }
}

impl Line {
    /// The index behind it.
    #[inline]
    fn end(&self) -> usize {
        self.field.value.end() + 2
    }
}

/// How many bytes at the front of both are the same.
#[inline]
fn same_at_front(a: &[u8], b: &[u8]) -> usize {
    let len = a.len().min(b.len());
    let (a, b) = (a.get(..len).unwrap_or_default(), b.get(..len).unwrap_or_default());
    // Nearly always they are the same to the end, and that is the fastest to find out.
    if a == b { len } else { first_difference(a, b) }
}

#[inline(never)]
fn first_difference(a: &[u8], b: &[u8]) -> usize {
    let blocks = a.as_chunks::<16>().0.iter().zip(b.as_chunks::<16>().0);
    let whole = 16 * blocks.take_while(|(a, b)| a == b).count();
    let bytes = a.iter().zip(b).skip(whole);
    whole + bytes.take_while(|(a, b)| a == b).count()
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
