//! Framing read whole and byte by byte.
#![allow(clippy::unwrap_used)]

use super::*;

const CHUNKS: &[u8] = b"5\r\nhello\r\n1A;name=value\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nx-sum: 1\r\n\r\n";

#[test]
fn a_head_ends_after_its_blank_line() {
    assert_eq!(head_end(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest"), Some(27));
    assert_eq!(head_end(b"GET / HTTP/1.1\r\nHost: a\r\n"), None);
}

#[test]
fn reads_the_fields_in_any_case() {
    let head = b"HTTP/1.1 503 Service Unavailable\r\nCONTENT-LENGTH:  12 \r\nconnection: Close\r\n\
        Outrigger-Reason: queue-full\r\nTransfer-encoding: gzip, chunked\r\n\r\n";
    let seen = fields(head);
    assert_eq!(status(head), Some(503));
    assert_eq!(seen.length, Some(12));
    assert!(seen.close && seen.chunked);
    assert_eq!(seen.reason, Some(&b"queue-full"[..]));
    assert_eq!(field(head, "content-length"), Some(&b"12"[..]));
    assert_eq!(field(head, "absent"), None);
}

#[test]
fn nonsense_is_no_status() {
    for head in [&b""[..], b"HTTP/1.", b"HTTP/1.1 9", b"HTTP/1.1 999 x", b"HTTP/2 200", b"SSH-2.0-x"] {
        assert_eq!(status(head), None);
    }
}

#[test]
fn a_counted_body_ends_at_its_length() {
    let mut body = Body::Length(5);
    assert_eq!(body.take(b"hel"), Ok(3));
    assert!(!body.ended());
    assert_eq!(body.take(b"loGET"), Ok(2));
    assert!(body.ended());
}

#[test]
fn a_chunked_body_ends_behind_its_trailers_however_it_is_cut() {
    for step in 1..=CHUNKS.len() {
        let mut body = Body::Chunked(Chunk::Size(0, false));
        let mut taken = 0;
        for piece in CHUNKS.chunks(step) {
            assert!(!body.ended(), "ended early with pieces of {step}");
            taken += body.take(piece).unwrap();
        }
        assert!(body.ended(), "not ended with pieces of {step}");
        assert_eq!(taken, CHUNKS.len());
    }
}

#[test]
fn a_chunked_body_leaves_what_follows_it() {
    let mut body = Body::Chunked(Chunk::Size(0, false));
    assert_eq!(body.take(b"1\r\na\r\n0\r\n\r\nHTTP/1.1 200 OK"), Ok(11));
    assert!(body.ended());
}

#[test]
fn a_size_that_is_no_number_is_refused() {
    for bytes in [&b"xyz\r\n"[..], b"-1\r\n", b"ffffffffffffffffffff\r\n"] {
        assert_eq!(Body::Chunked(Chunk::Size(0, false)).take(bytes), Err(BadChunk));
    }
}

#[test]
fn a_response_without_length_lasts_until_the_close() {
    assert_eq!(Body::of_response(200, &Head::default()), Body::UntilClose);
    assert_eq!(Body::of_response(204, &Head::default()), Body::Length(0));
    assert_eq!(Body::of_request(&Head::default()), Body::Length(0));
}
