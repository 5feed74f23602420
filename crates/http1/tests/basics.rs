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
