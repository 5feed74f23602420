//! Heads: a head that arrives in pieces is judged like one that arrives whole, its spans lie within it,
//! and what is written of it reads the same again.
//!
//! Input: one byte that says what kind of message it is, two that say where it is cut, the message.

use http1::{Asked, Field, Framing, Limits, RequestHead, ResponseHead, Rule, Span, Status, write};

/// For what was rewritten: the forwarder's own fields come on top of the most that was let in.
pub(crate) const ROOMY: Limits = Limits { head_bytes: 64 * 1024, fields: 110 };

/// One turn of the fuzzer.
pub fn run(data: &[u8]) {
    let Some((choice, data)) = data.split_at_checked(3) else {
        return;
    };
    let limits = Limits {
        head_bytes: if choice[0] & 0x80 == 0 { 32 * 1024 } else { 256 },
        fields: if choice[0] & 0x40 == 0 { 100 } else { 4 },
    };
    let (front, _) = super::cut(&choice[1..], data);
    if choice[0] & 1 == 0 {
        request(data, front, &limits);
    } else {
        response(data, front, &limits, &Asked::new(choice[0] & 2 != 0, choice[0] & 4 != 0));
    }
}

/// The verdict on a part must be the verdict on the whole, or that more is needed.
fn agree(part: Result<Status, Rule>, whole: Result<Status, Rule>) {
    if part != Ok(Status::Partial) {
        assert_eq!(part, whole);
    }
}

fn within(span: Span, head_len: usize) {
    assert!(span.start() <= span.end() && span.end() <= head_len);
}

fn request(data: &[u8], front: &[u8], limits: &Limits) {
    let mut head = RequestHead::new();
    let part = head.parse(front, limits);
    let whole = head.parse(data, limits);
    agree(part, whole);
    let Ok(Status::Complete { head_len }) = whole else {
        return;
    };
    assert!(head_len <= data.len() && head_len <= limits.head_bytes);
    for span in [head.method_text, head.target, head.path, head.authority] {
        within(span, head_len);
    }
    head.fields.iter().for_each(|field| {
        within(field.name, head_len);
        within(field.value, head_len);
    });
    let mut out = Vec::new();
    write::request_line(&mut out, &head, data);
    write::fields(&head.fields, data, &mut out, |_| false);
    if head.needs_host() {
        assert!(write::field(&mut out, b"host", head.authority.of(data)));
    }
    framing_fields(&mut out, head.framing, head.keep_alive);
    let mut again = RequestHead::new();
    let status = again.parse(&out, &ROOMY);
    assert_eq!(status, Ok(Status::Complete { head_len: out.len() }));
    assert_eq!(again.method_text.of(&out), head.method_text.of(data));
    assert_eq!(again.framing, head.framing);
    assert_eq!(again.keep_alive, head.keep_alive);
    assert_eq!(again.authority.of(&out), head.authority.of(data));
    assert_eq!(again.path.of(&out), if head.target_prefix == "*" { b"*" } else { head.path.of(data) });
    assert_eq!(again.max_forwards, head.max_forwards);
    same_fields(&head.fields, data, &again.fields, &out);
}

fn response(data: &[u8], front: &[u8], limits: &Limits, asked: &Asked) {
    let mut head = ResponseHead::new();
    let part = head.parse(front, limits, asked);
    let whole = head.parse(data, limits, asked);
    agree(part, whole);
    let Ok(Status::Complete { head_len }) = whole else {
        return;
    };
    assert!(head_len <= data.len() && head_len <= limits.head_bytes);
    assert!(!head.upgraded || asked.upgrade);
    within(head.reason, head_len);
    if head.upgraded {
        return;
    }
    let mut out = Vec::new();
    write::status_line(&mut out, head.status, head.reason.of(data));
    write::fields(&head.fields, data, &mut out, |_| false);
    framing_fields(&mut out, head.framing, head.keep_alive);
    let mut again = ResponseHead::new();
    let status = again.parse(&out, &ROOMY, asked);
    assert_eq!(status, Ok(Status::Complete { head_len: out.len() }));
    assert_eq!(again.status, head.status);
    assert_eq!(again.reason.of(&out), head.reason.of(data));
    assert_eq!(again.framing, head.framing);
    assert_eq!(again.keep_alive, head.keep_alive);
    same_fields(&head.fields, data, &again.fields, &out);
}

/// The forwarder's own fields, and the end of the head.
fn framing_fields(out: &mut Vec<u8>, framing: Framing, keep_alive: bool) {
    if framing == Framing::Chunked {
        out.extend_from_slice(write::TRANSFER_ENCODING_CHUNKED);
    }
    if !keep_alive && framing != Framing::UntilClose {
        out.extend_from_slice(write::CONNECTION_CLOSE);
    }
    out.extend_from_slice(b"\r\n");
}

/// Every field that may be forwarded is there again, and no other but the forwarder's own.
fn same_fields(fields: &[Field], buf: &[u8], again: &[Field], out: &[u8]) {
    let mut second = again.iter();
    for field in fields.iter().filter(|field| !field.hop) {
        let copy = second.next().expect("a field was lost");
        assert_eq!(copy.name.of(out), field.name.of(buf));
        assert_eq!(copy.value.of(out), field.value.of(buf));
        assert_eq!(copy.known, field.known);
    }
    assert!(
        second.all(|field| { matches!(field.name.of(out), b"host" | b"connection" | b"transfer-encoding") })
    );
}
