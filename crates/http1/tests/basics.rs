//! The first things that a reader of this crate would try.
#![allow(clippy::unwrap_used)]

use http1::{Asked, Framing, Known, Limits, Method, RequestHead, ResponseHead, Rule, Status, write};

#[test]
fn a_request_is_read_and_written_back() {
    let buf = b"POST http://shop:80?x=1 HTTP/1.1\r\nHost: other\r\nContent-Length: 3\r\ncontent-length: 3\r\nA:  b \r\nTE: trailers\r\nConnection: te, close\r\n\r\nabc";
    let mut head = RequestHead::new();
    let status = head.parse(buf, &Limits::default()).unwrap();
    assert_eq!(status, Status::Complete { head_len: buf.len() - 3 });
    assert_eq!(head.method, Method::Post);
    assert_eq!(head.framing, Framing::Length(3));
    assert_eq!(head.authority.of(buf), b"shop:80");
    assert_eq!(head.path.of(buf), b"/");
    assert!(head.needs_host() && head.takes_trailers && !head.keep_alive);
    let mut out = Vec::new();
    write::request_line(&mut out, &head, buf);
    write::fields(&head.fields, buf, &mut out, |_| false);
    assert_eq!(out, b"POST /?x=1 HTTP/1.1\r\nContent-Length: 3\r\nA: b\r\n");
}

#[test]
fn an_upgrade_is_answered_by_what_was_asked_for() {
    let buf = b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: , WebSocket, x\r\nConnection: Upgrade\r\n\r\n";
    let mut head = RequestHead::new();
    head.parse(buf, &Limits::default()).unwrap();
    assert_eq!(head.upgrade.unwrap().of(buf), b"WebSocket");
    let answer = b"HTTP/1.1 101 \r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n";
    let mut response = ResponseHead::new();
    response.parse(answer, &Limits::default(), &head.asked()).unwrap();
    assert!(response.upgraded);
    let unasked = response.parse(answer, &Limits::default(), &Asked::default());
    assert_eq!(unasked, Err(Rule::SwitchingUnasked));
}

#[test]
fn chunk_heads_are_hexadecimal() {
    for len in [1usize, 9, 10, 15, 16, 255, 256, 65536, usize::MAX] {
        let mut out = Vec::new();
        write::chunk_head(&mut out, len);
        assert_eq!(String::from_utf8(out).unwrap(), format!("{len:x}\r\n"));
    }
}

#[test]
fn known_names_are_found_in_any_case() {
    assert_eq!(Known::of(b"Content-LENGTH"), Known::ContentLength);
    assert_eq!(Known::of(b"Outrigger_Caller"), Known::Outrigger);
    assert_eq!(Known::of(b"outrigger"), Known::Other);
    assert_eq!(Known::of(b""), Known::Other);
}

/// The head of a request that keeps every rule.
fn read(text: &str) -> RequestHead {
    let mut head = RequestHead::new();
    let status = head.parse(text.as_bytes(), &Limits::default());
    assert_eq!(status, Ok(Status::Complete { head_len: text.len() }));
    head
}

#[test]
fn max_forwards_is_a_number_for_options_and_trace_only() {
    let forwards = |method: &str, value: &str| {
        read(&format!("{method} / HTTP/1.1\r\nHost: a\r\nMax-Forwards: {value}\r\n\r\n")).max_forwards
    };
    assert_eq!(forwards("TRACE", "0"), Some(0));
    assert_eq!(forwards("OPTIONS", "010"), Some(10));
    assert_eq!(forwards("OPTIONS", "99999999999999"), Some(u32::MAX));
    assert_eq!(forwards("GET", "x"), None);
}

#[test]
fn trailers_are_taken_where_te_says_so_and_connection_names_it() {
    let taken = |te: &str, connection: &str| {
        read(&format!("GET / HTTP/1.1\r\nHost: a\r\nTE: {te}\r\nConnection: {connection}\r\n\r\n"))
            .takes_trailers
    };
    assert!(taken("Trailers", "te"));
    assert!(taken("gzip;q=0.5, trailers", "close, TE"));
    assert!(!taken("gzip", "te"));
    assert!(!taken("trailers", "close"));
}

#[test]
fn a_host_is_asked_for_where_none_is_forwarded() {
    assert!(read("GET / HTTP/1.0\r\n\r\n").needs_host());
    assert!(read("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n").needs_host());
    assert!(!read("GET / HTTP/1.1\r\nHost: a\r\n\r\n").needs_host());
}

#[test]
fn methods_know_what_may_be_done_twice() {
    let idempotent =
        |method: &str| read(&format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n")).method.is_idempotent();
    for method in ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"] {
        assert!(idempotent(method), "{method}");
    }
    for method in ["POST", "PATCH", "get", "PURGE"] {
        assert!(!idempotent(method), "{method}");
    }
}

#[test]
fn rules_have_names_of_their_own() {
    for rule in Rule::ALL {
        assert_eq!(Rule::named(rule.word()), Some(*rule));
        assert!(rule.section().starts_with("RFC "), "{rule}");
        assert!(rule.word().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
    }
}

#[test]
fn a_body_is_copied_as_a_reader_and_tells_what_is_to_come() {
    use http1::BodyReader;
    let mut body = BodyReader::new(Framing::Chunked);
    assert_eq!(body.remaining_hint(), None);
    let piece = body.read(b"a\r\n012").unwrap();
    assert_eq!((piece.skip, piece.data, piece.consumed, piece.done), (3, 3, 6, false));
    assert_eq!(body.remaining_hint(), Some(7));
    let copy = body;
    assert_eq!(body.read(b"3456789\r\n0\r\n\r\nX").unwrap().data, 7);
    assert_eq!(copy.remaining_hint(), Some(7));
    assert_eq!(body.on_eof(), Err(Rule::BodyTruncated));
    let last = body.read(b"\r\n0\r\n\r\nX").unwrap();
    assert_eq!((last.consumed, last.done), (7, true));
    assert_eq!(body.on_eof(), Ok(()));
}

#[test]
fn a_field_of_ours_cannot_become_two() {
    let mut out = Vec::new();
    assert!(write::field(&mut out, b"via", b"1.1 a"));
    assert!(!write::field(&mut out, b"x", b"a\r\nb: c"));
    assert!(!write::field(&mut out, b"x: y\r\nz", b"a"));
    assert!(!write::field(&mut out, b"", b"a"));
    assert_eq!(out, b"via: 1.1 a\r\n");
    out.clear();
    write::status_line(&mut out, 200, b"OK\r\nx: y");
    assert_eq!(out, b"HTTP/1.1 200 \r\n");
}
