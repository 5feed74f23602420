//! Messages for property tests: those of the corpus, one after another, with random edits.
#![allow(clippy::unwrap_used)]

use http1::corpus::{self, Direction};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Pieces that mean something to one parser or another.
const PIECES: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b",",
    b";",
    b"=",
    b"\"",
    b"\\",
    b"0",
    b"1",
    b"5",
    b"a",
    b"f",
    b"x",
    b"+",
    b"-",
    b"\x0b",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"\r\n\r\n",
    b"\r\n ",
    b"0\r\n\r\n",
    b"5\r\nhello\r\n",
    b";a=b",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"chunked",
    b"gzip, ",
    b"identity",
    b"Host: a\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b"Connection: upgrade\r\n",
    b"Upgrade: x\r\n",
    b"Expect: 100-continue\r\n",
    b"HTTP/1.0",
    b"HTTP/1.1",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n",
    b"100",
    b"101",
    b"204",
    b"304",
    b"HEAD",
    b"X: y\r\n",
    b"http://a",
    b"?",
    b"#",
    b"/",
    b"@",
];

#[derive(Debug, Clone)]
enum Edit {
    Insert(Index, &'static [u8]),
    Replace(Index, &'static [u8]),
    Remove(Index, usize),
    Repeat(Index, usize),
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let place = |index: &Index, bytes: &[u8]| index.index(bytes.len() + 1);
        match self {
            Self::Insert(index, piece) => {
                let at = place(index, bytes);
                bytes.splice(at..at, piece.iter().copied());
            }
            Self::Replace(index, piece) => {
                let at = place(index, bytes);
                let end = (at + piece.len()).min(bytes.len());
                bytes.splice(at..end, piece.iter().copied());
            }
            Self::Remove(index, len) => {
                let at = place(index, bytes);
                bytes.drain(at..(at + len).min(bytes.len()));
            }
            Self::Repeat(index, len) => {
                let at = place(index, bytes);
                let copy = bytes[at..(at + len).min(bytes.len())].to_vec();
                bytes.splice(at..at, copy);
            }
        }
    }
}

fn edit() -> impl Strategy<Value = Edit> {
    let piece = || select(PIECES);
    prop_oneof![
        (any::<Index>(), piece()).prop_map(|(at, piece)| Edit::Insert(at, piece)),
        (any::<Index>(), piece()).prop_map(|(at, piece)| Edit::Replace(at, piece)),
        (any::<Index>(), 1..8usize).prop_map(|(at, len)| Edit::Remove(at, len)),
        (any::<Index>(), 1..40usize).prop_map(|(at, len)| Edit::Repeat(at, len)),
    ]
}

fn stream(whose: impl Fn(&Direction) -> bool) -> impl Strategy<Value = Vec<u8>> {
    let bytes: Vec<Vec<u8>> = corpus::cases()
        .unwrap()
        .into_iter()
        .filter(|case| whose(&case.direction) && case.bytes.len() < 2048)
        .map(|case| case.bytes)
        .collect();
    (vec(select(bytes), 1..4), vec(edit(), 0..5)).prop_map(|(messages, edits)| {
        let mut stream = messages.concat();
        edits.iter().for_each(|edit| edit.apply(&mut stream));
        stream
    })
}

/// A stream of requests, or nearly.
pub(crate) fn requests() -> impl Strategy<Value = Vec<u8>> {
    stream(|direction| *direction == Direction::Request)
}

/// A stream of responses, or nearly.
pub(crate) fn responses() -> impl Strategy<Value = Vec<u8>> {
    stream(|direction| *direction != Direction::Request)
}
