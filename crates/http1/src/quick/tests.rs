//! What is read quickly is read with care again, and must come to the same.

use super::*;
use crate::line::{self, Line};
use crate::target::scan;
use crate::{Limits, RequestHead, ResponseHead, Status};

/// Lines of every shape: usual ones with one byte replaced by each other byte at each place, cut
/// short at each place, and with more or less behind them.
fn variants(usual: &[u8], mut look: impl FnMut(&[u8])) {
    for behind in
        [&b""[..], b"\r\n", b"B: 2\r\n\r\n", b"Next-Field: of some length, to be looked into\r\n\r\n"]
    {
        let line = [usual, behind].concat();
        for place in 0..line.len() {
            look(&line[..place]);
            for byte in 0..=255u8 {
                let mut other = line.clone();
                other[place] = byte;
                look(&other);
            }
        }
        look(&line);
    }
}

const LINES: &[&str] = &[
    "A: b\r\n",
    "Te: trailers\r\n",
    "Host: shop:80\r\n",
    "X-Tenant: a\r\n",
    "Content-Length: 1024\r\n",
    "outrigger-unknown: x y  z\r\n",
    "outrigger-deadline-ms: 950\r\n",
    "X-Envoy-Expected-Rq-Timeout-Ms: 15000\r\n",
    "Accept: application/json, text/plain, */* and more than a block of text\r\n",
    "A-Name-That-Is-Longer-Than-All-That-Are-Known-Here: 1\r\n",
    "No-Space:x\r\n",
    "Two-Spaces:  x\r\n",
    "Blank-Behind: x \r\n",
    "Nothing: \r\n",
];

#[test]
fn a_field_line_is_read_like_with_care() {
    let mut accepted = 0;
    for usual in LINES {
        variants(usual.as_bytes(), |bytes| {
            let Some(quick) = field(bytes) else { return };
            accepted += 1;
            let shown = bytes.escape_ascii();
            let Ok(Line::Field(raw)) = line::read(bytes, 0, 0) else { panic!("{shown} is no field line") };
            let (name, value) = (raw.name(0), raw.value());
            assert_eq!((quick.name, 0), (name.len(), name.start()), "{shown}");
            assert_eq!((quick.name + 2, quick.value), (value.start(), value.len()), "{shown}");
            assert_eq!(raw.next, value.end() + 2, "{shown}");
            assert!(raw.plain, "{shown}");
            assert_eq!(quick.known, Known::of(name.of(bytes)), "{shown}");
        });
    }
    assert!(accepted > 10_000, "{accepted}");
}

#[test]
fn every_known_name_is_found_and_no_other() {
    for (name, known) in Known::NAMES {
        for behind in [": ", ": value\r\n", "-and-more: value\r\n"] {
            let text = [name.to_uppercase().as_bytes(), behind.as_bytes()].concat();
            let found = Known::at_front(&text, name.len());
            assert_eq!(found, (text.len() >= 8).then_some(*known), "{name}");
            for place in 0..name.len() {
                for byte in 0..=255u8 {
                    let mut other = text.clone();
                    other[place] = byte;
                    let expected =
                        Some(*known).filter(|_| byte.to_ascii_lowercase() == name.as_bytes()[place]);
                    let found = Known::at_front(&other, name.len());
                    // Another known name may come of it.
                    let found = found.filter(|found| found == known);
                    assert_eq!(found, expected.filter(|_| text.len() >= 8), "{}", other.escape_ascii());
                }
            }
        }
    }
}

#[test]
fn a_target_is_read_like_with_care() {
    for usual in
        ["/ HTTP/1.1\r\n", "/api/v1/users/12345/orders?limit=20&offset=40 HTTP/1.1\r\n", "* HTTP/1.1\r\n"]
    {
        variants(usual.as_bytes(), |bytes| {
            let Some(len) = target(bytes) else { return };
            let with_care = scan(bytes, 0).ok().flatten();
            assert_eq!(with_care.map(|span| (span.start(), span.end())), Some((0, len)));
            assert!(bytes[len..].starts_with(b" HTTP/1.1\r\n"));
        });
    }
}

#[test]
fn a_status_line_is_read_like_with_care() {
    for usual in [
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 404 Not Found, and a reason of some length\r\n",
        "HTTP/1.1 599 \r\n",
    ] {
        variants(usual.as_bytes(), |bytes| {
            let Some((status, reason)) = status_line(bytes) else { return };
            let mut head = ResponseHead::new();
            let with_care = head.status_line(bytes);
            assert_eq!(with_care, Ok(Some(13 + reason + 2)));
            assert_eq!((head.status, head.reason.start(), head.reason.len()), (status, 13, reason));
        });
    }
}

#[test]
fn runs_end_at_the_first_stop() {
    for len in 0..100 {
        for stop in 0..=len {
            for byte in [0, b'\t', b'\r', 0x1f, 0x7f, 0x80, 0xff] {
                let mut text = vec![b'a'; len];
                if let Some(place) = text.get_mut(stop) {
                    *place = byte;
                }
                assert_eq!(visible_run(&text), stop);
                assert_eq!(host_run(&text), stop);
                assert_eq!(run(&text, not_target_in), stop);
            }
        }
    }
}

/// Judges eight bytes with each byte at each place, between neighbours that would carry or borrow.
fn judged(marks: impl Fn(u64) -> u64, apart: bool, expected: impl Fn(u8) -> bool) {
    for byte in 0..=255u8 {
        for place in 0..8 {
            for neighbour in [0x00, 0x09, 0x20, 0x2d, 0x41, 0x7e, 0x7f, 0x80, 0xff] {
                let mut word = [neighbour; 8];
                word[place] = byte;
                let marks = marks(u64::from_le_bytes(word));
                let first = word.iter().position(|byte| expected(*byte)).unwrap_or(8);
                assert_eq!(marks.trailing_zeros() as usize / 8, first, "{word:x?}");
                if apart {
                    assert_eq!(marks >> (8 * place + 7) & 1 == 1, expected(byte), "{word:x?} at {place}");
                }
            }
        }
    }
}

#[test]
fn eight_bytes_are_judged_like_one() {
    judged(not_visible_in, false, |byte| !(0x20..0x7f).contains(&byte));
    judged(not_target_in, false, |byte| !(0x21..0x7f).contains(&byte) || byte == b'#');
    judged(zero_in, false, |byte| byte == 0);
    judged(not_name_in, true, |byte| !byte.is_ascii_alphanumeric() && byte != b'-');
    judged(not_host_in, true, |byte| !byte.is_ascii_alphanumeric() && byte != b'-' && byte != b'.');
}

#[test]
fn the_usual_heads_are_read_quickly() {
    let request = b"GET /a?b HTTP/1.1\r\nHost: shop\r\nX: 1\r\n\r\n";
    let mut head = RequestHead::new();
    assert!(matches!(head.parse(request, &Limits::default()), Ok(Status::Complete { .. })));
    assert_eq!(target(&request[4..]), Some(4));
    assert!(field(&request[19..]).is_some());
}
