//! Refusals as bytes: status, reason, who may try again, in the form that the caller reads.

use http1::{Rule, write};
use model::Reason;
use std::io::Write as _;
use std::time::Duration;

/// How a refusal's body is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// One plain line.
    Line,
    /// RFC 9457 `application/problem+json`.
    Problem,
    /// A gRPC status in the headers (a response of trailers only).
    Grpc,
}

impl Form {
    /// For a request with these `Content-Type` and `Accept`: gRPC if it speaks gRPC, a problem document if it says
    /// that it reads JSON.
    pub(crate) fn of(content_type: &[u8], accept: &[u8]) -> Form {
        match () {
            () if content_type.starts_with(b"application/grpc") => Form::Grpc,
            () if names_json(accept) => Form::Problem,
            () => Form::Line,
        }
    }
}

/// Whether a media type of `…/json` or `…+json` is named; every request pays for this look, so it is a short one.
fn names_json(accept: &[u8]) -> bool {
    let mut rest = accept;
    while let Some(at) = rest.iter().position(|b| *b == b'/' || *b == b'+') {
        rest = rest.get(at + 1..).unwrap_or_default();
        if rest.get(..4).is_some_and(|word| word.eq_ignore_ascii_case(b"json")) {
            return true;
        }
    }
    false
}

/// All that a refusal says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    pub(crate) rule: Option<Rule>,
    pub(crate) retry_after: Option<Duration>,
    /// Somebody here has tried again already: nobody above needs to.
    pub(crate) retried: bool,
    pub(crate) form: Form,
    pub(crate) close: bool,
    /// For HTTP/1.0, where staying open must be said.
    pub(crate) old: bool,
    /// The request was HEAD: no body.
    pub(crate) head: bool,
}

/// Appends the whole response.
pub(crate) fn write(out: &mut Vec<u8>, refusal: &Refusal, date: &[u8]) {
    let reason = refusal.reason;
    let grpc = refusal.form == Form::Grpc;
    let status = if grpc { 200 } else { reason.status() };
    write::status_line(out, status, phrase(status).as_bytes());
    out.extend_from_slice(b"date: ");
    out.extend_from_slice(date);
    // Writing into memory does not fail.
    let _ = write!(out, "\r\noutrigger-reason: {}\r\n", reason.word());
    let _ = write!(out, "proxy-status: outrigger; error={}", reason.proxy_status());
    if let Some(rule) = refusal.rule {
        let _ = write!(out, "; details=\"{}\"", rule.word());
    }
    out.extend_from_slice(b"\r\n");
    if reason.has_retry_after() {
        let wait = refusal.retry_after.unwrap_or(Duration::from_secs(1));
        let _ = write!(out, "retry-after: {}\r\n", wait.as_millis().div_ceil(1000).max(1));
    }
    if refusal.retried {
        out.extend_from_slice(b"outrigger-attempt: 2\r\n");
    }
    if grpc {
        let _ = write!(out, "grpc-status: {}\r\ngrpc-message: {}\r\n", grpc_status(reason), reason.word());
    }
    out.extend_from_slice(match (refusal.close, refusal.old) {
        (true, _) => b"connection: close\r\n",
        (false, true) => b"connection: keep-alive\r\n",
        (false, false) => b"",
    });
    write_body(out, refusal);
}

/// Answers `OPTIONS` with `Max-Forwards: 0`, which is meant for us (RFC 9110 §7.6.2).
pub(crate) fn write_options(out: &mut Vec<u8>, date: &[u8], close: bool) {
    write::status_line(out, 204, phrase(204).as_bytes());
    out.extend_from_slice(b"date: ");
    out.extend_from_slice(date);
    out.extend_from_slice(b"\r\nallow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\n");
    if close {
        out.extend_from_slice(write::CONNECTION_CLOSE);
    }
    out.extend_from_slice(b"\r\n");
}

fn write_body(out: &mut Vec<u8>, refusal: &Refusal) {
    let mut room = [0u8; 512];
    let mut body = &mut room[..];
    let whole = body.len();
    let (reason, rule) = (refusal.reason, refusal.rule);
    let kind = match refusal.form {
        Form::Problem => {
            let status = reason.status();
            let (word, text) = (reason.word(), reason.text());
            let _ = write!(
                body,
                "{{\"type\":\"about:blank\",\"title\":\"{text}\",\"status\":{status},\"reason\":\"{word}\""
            );
            if let Some(rule) = rule {
                let _ = write!(body, ",\"rule\":\"{}\",\"section\":\"{}\"", rule.word(), rule.section());
            }
            let _ = body.write_all(b"}\n");
            "application/problem+json"
        }
        Form::Line => {
            let _ = write!(body, "{}: {}", reason.word(), reason.text());
            if let Some(rule) = rule {
                let _ = write!(body, " ({}: {})", rule.word(), rule.section());
            }
            let _ = body.write_all(b"\n");
            "text/plain; charset=utf-8"
        }
        Form::Grpc => "application/grpc",
    };
    let length = whole - body.len();
    let _ = write!(out, "content-type: {kind}\r\ncontent-length: {length}\r\n\r\n");
    if !refusal.head {
        out.extend_from_slice(room.get(..length).unwrap_or_default());
    }
}

/// The gRPC status with the nearest meaning (gRPC's "Status codes and their use in gRPC").
fn grpc_status(reason: Reason) -> u8 {
    match reason.status() {
        400 | 417 | 431 => 13,
        401 => 16,
        403 => 7,
        429 => 8,
        501 => 12,
        504 => 4,
        _ => 14,
    }
}

/// The phrase that goes with a status that is written here (RFC 9110 §15).
fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        408 => "Request Timeout",
        417 => "Expectation Failed",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http1::{Asked, Known, Limits, ResponseHead, Status};

    fn refusal(reason: Reason, form: Form) -> Refusal {
        let rule = (reason == Reason::MalformedRequest).then_some(Rule::BareCr);
        Refusal {
            reason,
            rule,
            retry_after: None,
            retried: false,
            form,
            close: false,
            old: false,
            head: false,
        }
    }

    #[test]
    fn every_refusal_is_a_response_that_reads_as_what_it_is() {
        for reason in Reason::ALL {
            for form in [Form::Line, Form::Problem, Form::Grpc] {
                let mut out = Vec::new();
                write(&mut out, &refusal(reason, form), b"Thu, 01 Jan 1970 00:00:00 GMT");
                let mut head = ResponseHead::default();
                let parsed = head.parse(&out, &Limits::default(), &Asked::default());
                let Ok(Status::Complete { head_len }) = parsed else { panic!("{reason:?}: {parsed:?}") };
                let word = head.find(Known::OutriggerReason).map(|f| f.value.of(&out).to_vec());
                assert_eq!(word.as_deref(), Some(reason.word().as_bytes()));
                assert_eq!(head.find(Known::RetryAfter).is_some(), reason.has_retry_after());
                assert_ne!(phrase(head.status), "");
                let body = &out[head_len..];
                assert_eq!(head.framing, http1::Framing::Length(body.len() as u64));
                assert_eq!(body.is_empty(), form == Form::Grpc);
            }
        }
    }

    #[test]
    fn json_is_read_where_it_is_named() {
        for yes in ["application/json", "text/html, application/problem+JSON;q=0.5"] {
            assert!(names_json(yes.as_bytes()), "{yes}");
        }
        for no in ["", "*/*", "text/html", "application/js", "json"] {
            assert!(!names_json(no.as_bytes()), "{no}");
        }
    }

    #[test]
    fn the_broken_rule_is_named() {
        let mut out = Vec::new();
        write(&mut out, &refusal(Reason::MalformedRequest, Form::Line), b"now");
        let text = String::from_utf8(out).expect("it is text");
        assert!(text.contains("details=\"bare-cr\""), "{text}");
        assert!(text.ends_with("(bare-cr: RFC 9112 §2.2)\n"), "{text}");
    }
}
