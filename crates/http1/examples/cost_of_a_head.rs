//! What reading and rewriting a message costs: `cargo run --release -p http1 --example cost_of_a_head`.
//!
//! Prints nanoseconds per message, in the best of several rounds, for a GET with 14 fields, as browsers
//! and API clients send it, and for a response of 1 KiB.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::time::Instant;

use http1::{Asked, BodyReader, Field, Known, Limits, RequestHead, ResponseHead, Status, write};

const REQUEST: &[u8] = b"GET /api/v1/users/12345/orders?limit=20&offset=40 HTTP/1.1\r\n\
Host: svc.bench.local\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0 Safari/537.36\r\n\
Accept: application/json, text/plain, */*\r\n\
Accept-Encoding: gzip, deflate, br\r\n\
Accept-Language: en-US,en;q=0.9\r\n\
Authorization: Bearer eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIn0.abcdefghijklmnopqrstuvwxyz0123456789\r\n\
Cookie: session=8f14e45fceea167a5a36dedd4bea2543; theme=dark; locale=en_US\r\n\
Cache-Control: no-cache\r\n\
Referer: https://app.bench.local/dashboard/users/12345\r\n\
X-Tenant: acme-corp\r\n\
traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\
X-Request-Id: 7b6c5a1e-3f0d-4b8e-9a77-1c2d3e4f5a6b\r\n\
outrigger-deadline-ms: 950\r\n\
Connection: keep-alive\r\n\
\r\n";

fn response() -> Vec<u8> {
    let mut out = b"HTTP/1.1 200 OK\r\n\
Date: Sat, 21 Nov 2026 10:00:00 GMT\r\n\
Content-Type: application/json\r\n\
Content-Length: 1024\r\n\
Cache-Control: max-age=60\r\n\
ETag: \"33a64df551425fcc55e4d42a148795d9f25f89d4\"\r\n\
Vary: Accept-Encoding\r\n\
X-Served-By: 10\r\n\
\r\n"
        .to_vec();
    out.resize(out.len() + 1024, b'x');
    out
}

/// What a sidecar leaves out to write its own.
fn replaced(field: &Field) -> bool {
    field.known.is_outrigger() || field.known == Known::Via
}

fn request(head: &mut RequestHead, limits: &Limits, out: &mut Vec<u8>) {
    out.clear();
    let Ok(Status::Complete { head_len }) = head.parse(black_box(REQUEST), limits) else {
        unreachable!("the request is well formed");
    };
    write::request_line(out, head, REQUEST);
    write::fields(&head.fields, REQUEST, out, replaced);
    write::field(out, b"outrigger-deadline-ms", b"940");
    out.extend_from_slice(b"\r\n");
    black_box((head_len, out.len()));
}

fn answer(head: &mut ResponseHead, limits: &Limits, buf: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let buf = black_box(buf);
    let Ok(Status::Complete { head_len }) = head.parse(buf, limits, &Asked::default()) else {
        unreachable!("the response is well formed");
    };
    write::status_line(out, head.status, head.reason.of(buf));
    write::fields(&head.fields, buf, out, replaced);
    out.extend_from_slice(b"\r\n");
    let rest = &buf[head_len..];
    let piece = BodyReader::new(head.framing).read(rest).unwrap();
    black_box((piece.data_of(rest).len(), piece.done, out.len()));
}

/// Nanoseconds per turn in the round that was disturbed least.
fn measure(mut turn: impl FnMut()) -> f64 {
    const TURNS: u32 = 200;
    const ROUNDS: u32 = 5_000;
    (0..ROUNDS)
        .map(|_| {
            let begin = Instant::now();
            (0..TURNS).for_each(|_| turn());
            begin.elapsed().as_nanos() as f64 / f64::from(TURNS)
        })
        .fold(f64::INFINITY, f64::min)
}

fn main() {
    let limits = Limits::default();
    let mut out = Vec::with_capacity(4096);
    let mut asking = RequestHead::new();
    let mut answering = ResponseHead::new();
    let response = response();
    let parse = measure(|| {
        black_box(asking.parse(black_box(REQUEST), &limits)).ok();
    });
    let there = measure(|| request(&mut asking, &limits, &mut out));
    let back = measure(|| answer(&mut answering, &limits, &response, &mut out));
    println!("request, 14 fields, {} bytes: read {parse:.0} ns", REQUEST.len());
    println!("request, read and rewritten:  {there:.0} ns");
    println!("response, 7 fields and 1 KiB: {back:.0} ns");
    println!("together:                     {:.0} ns", there + back);
}
