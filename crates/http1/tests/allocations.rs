//! Reading and rewriting messages takes no memory once the structs have been used.
#![allow(clippy::unwrap_used)]

use http1::corpus::{self, Direction};
use http1::{Asked, BodyReader, Limits, RequestHead, ResponseHead, Status, write};

/// Reads and rewrites every message of the corpus, the refused ones too.
fn all(
    cases: &[corpus::Case],
    request: &mut RequestHead,
    response: &mut ResponseHead,
    out: &mut Vec<u8>,
) -> usize {
    let limits = Limits::default();
    let mut accepted = 0;
    for case in cases {
        let bytes = &case.bytes[..];
        out.clear();
        let (status, framing) = match &case.direction {
            Direction::Request => {
                let status = request.parse(bytes, &limits);
                write::request_line(out, request, bytes);
                write::fields(&request.fields, bytes, out, |_| false);
                (status, request.framing)
            }
            Direction::Response(asked) => {
                let status = response.parse(bytes, &limits, asked);
                write::status_line(out, response.status, response.reason.of(bytes));
                write::fields(&response.fields, bytes, out, |_| false);
                (status, response.framing)
            }
        };
        let Ok(Status::Complete { head_len }) = status else {
            continue;
        };
        accepted += 1;
        let mut body = BodyReader::new(framing);
        let mut rest = &bytes[head_len..];
        while let Ok(piece) = body.read(rest) {
            write::chunk_head(out, piece.data);
            out.extend_from_slice(piece.data_of(rest));
            write::last_chunk(out, piece.trailers_of(rest));
            rest = &rest[piece.consumed..];
            if piece.done || piece.consumed == 0 {
                break;
            }
        }
    }
    accepted
}

#[test]
fn messages_take_no_memory() {
    let cases = corpus::cases().unwrap();
    let (mut request, mut response) = (RequestHead::new(), ResponseHead::new());
    let mut out = Vec::with_capacity(64 * 1024);
    all(&cases, &mut request, &mut response, &mut out);
    let mut accepted = 0;
    let counts = allocation_counter::measure(|| {
        accepted = all(&cases, &mut request, &mut response, &mut out);
    });
    assert!(accepted > 150, "{accepted}");
    assert_eq!(counts.count_total, 0, "{counts:?}");
    // The counter does count.
    let new = allocation_counter::measure(|| {
        let mut fresh = ResponseHead::new();
        fresh.parse(b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n", &Limits::default(), &Asked::default()).unwrap();
    });
    assert!(new.count_total > 0);
}

#[test]
fn what_is_kept_is_small() {
    assert!(size_of::<http1::Field>() <= 20);
    assert!(size_of::<BodyReader>() <= 24);
    // One of each is enough for all connections of a thread.
    assert!(size_of::<RequestHead>() <= 232);
    assert!(size_of::<ResponseHead>() <= 136);
}
