//! What is sent on: first lines, the fields that may pass, chunks.

use crate::bytes::is_field_value;
use crate::line::{self, Line};
use crate::{Field, RequestHead, ResponseHead, Span, is_token};

/// What ends the data of a chunk.
pub const CHUNK_END: &[u8] = b"\r\n";
/// What ends a chunked body without trailers.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
/// Says that the body is chunked; `fields` never forwards the sender's own.
pub const TRANSFER_ENCODING_CHUNKED: &[u8] = b"transfer-encoding: chunked\r\n";
/// Says that the connection ends after this message.
pub const CONNECTION_CLOSE: &[u8] = b"connection: close\r\n";

/// `METHOD target HTTP/1.1`, whatever version the client spoke: the version is the hop's, not the
/// message's (RFC 9110 §2.5).
pub fn request_line(out: &mut Vec<u8>, head: &RequestHead, buf: &[u8]) {
    let (method, target) = (head.method_text, head.target);
    if head.target_prefix.is_empty() && method.end() + 1 == target.start() {
        // As nearly always nothing but the space stands between them.
        out.extend_from_slice(Span::new(method.start(), target.end()).of(buf));
    } else {
        out.extend_from_slice(method.of(buf));
        out.push(b' ');
        out.extend_from_slice(head.target_prefix.as_bytes());
        out.extend_from_slice(target.of(buf));
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
}

/// `HTTP/1.1 status reason`. A reason that may not be written is left out.
pub fn status_line(out: &mut Vec<u8>, status: u16, reason: &[u8]) {
    let digit = |divisor: u16| b'0' + (status / divisor % 10) as u8;
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(&[digit(100), digit(10), digit(1), b' ']);
    if is_field_value(reason) {
        out.extend_from_slice(reason);
    }
    out.extend_from_slice(b"\r\n");
}

/// The status line of `head`, which was read from `buf`, as this hop's: like [`status_line`] with
/// what was checked already.
pub fn status_line_of(out: &mut Vec<u8>, head: &ResponseHead, buf: &[u8]) {
    // Where there is a reason, the status stands before it and a CRLF behind it.
    let text = match head.reason.start().checked_sub(b"200 ".len()) {
        Some(begin) if !head.reason.is_empty() => Span::new(begin, head.reason.end() + 2).of(buf),
        _ => return status_line(out, head.status, b""),
    };
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(text);
}

/// One field of the forwarder's own. Writes nothing and answers false where name or value could be
/// read as more than one field.
pub fn field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) -> bool {
    let fits = is_token(name) && is_field_value(value);
    if fits {
        line(out, name, value);
    }
    fits
}

fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Every field that may be forwarded, in order, as `name: value`, without those that are `hop` and
/// those for which `skip` is true. The empty line is the caller's to write.
///
/// Neighbours that already look as they should are copied in one go: a typical head is two or three
/// copies.
pub fn fields(fields: &[Field], buf: &[u8], out: &mut Vec<u8>, mut skip: impl FnMut(&Field) -> bool) {
    let (mut begin, mut end) = (0, 0);
    for field in fields {
        if field.hop || skip(field) {
            continue;
        }
        let (start, after) = (field.name.start(), field.value.end() + 2);
        if field.plain && start == end {
            end = after;
            continue;
        }
        out.extend_from_slice(Span::new(begin, end).of(buf));
        if field.plain {
            (begin, end) = (start, after);
        } else {
            (begin, end) = (0, 0);
            line(out, field.name.of(buf), field.value.of(buf));
        }
    }
    out.extend_from_slice(Span::new(begin, end).of(buf));
}

/// The line before `len` bytes of chunk data; [`CHUNK_END`] goes behind them. Writes nothing for 0,
/// which would end the body.
pub fn chunk_head(out: &mut Vec<u8>, len: usize) {
    if len == 0 {
        return;
    }
    let digits = (usize::BITS - len.leading_zeros()).div_ceil(4);
    for place in (0..digits).rev() {
        let digit = (len >> (4 * place) & 0xf) as u8;
        out.push(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 });
    }
    out.extend_from_slice(b"\r\n");
}

/// The end of a chunked body with the trailer lines that [`Piece::trailers_of`] gave, rewritten like
/// fields; with none it is [`LAST_CHUNK`].
///
/// [`Piece::trailers_of`]: crate::Piece::trailers_of
pub fn last_chunk(out: &mut Vec<u8>, trailers: &[u8]) {
    out.extend_from_slice(b"0\r\n");
    let mut at = 0;
    while let Ok(Line::Field(raw)) = line::read(trailers, at, 0) {
        line(out, raw.name(at).of(trailers), raw.value().of(trailers));
        at = raw.next;
    }
    out.extend_from_slice(b"\r\n");
}
