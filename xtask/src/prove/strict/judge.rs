//! One case of the corpus on the stage: was the message refused, or did exactly its one reading come out?

use super::message::{self, Bare, Message};
use super::stage::{Seen, Stage};
use anyhow::{Context, Result, bail, ensure};
use http1::corpus::{Case, Direction, Expected, Reading};

/// Fields that a proxy may add to any message or replace in it.
const OWN: &[&str] = &[
    "connection",
    "keep-alive",
    "transfer-encoding",
    "via",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "traceparent",
    "tracestate",
    "x-request-id",
    "proxy-status",
    "host",
    "date",
    "upgrade",
];

/// Sends the case through the proxy; an error says in what the proxy was wrong.
pub(super) fn judge(stage: &Stage, case: &Case) -> Result<()> {
    match (case.direction, &case.expected) {
        (Direction::Request, Expected::Accepted(reading)) => accepted_request(stage, case, reading),
        (Direction::Request, Expected::Refused(rule)) => refused_request(stage, case, rule.word()),
        (Direction::Request, Expected::Unfinished) => refused_request(stage, case, "unfinished"),
        (Direction::Response(asked), Expected::Accepted(reading)) => {
            accepted_response(stage, case, asked.head, asked.upgrade, reading)
        }
        (Direction::Response(asked), _) => refused_response(stage, case, asked.head, asked.upgrade),
    }
}

/// Nothing of it arrives as a whole message, and the connection ends.
fn refused_request(stage: &Stage, case: &Case, rule: &str) -> Result<()> {
    let cut_short = matches!(rule, "unfinished" | "body-truncated");
    stage.begin(None)?;
    let seen = stage.send(&case.bytes, cut_short, |_| false)?;
    let arrived = stage.arrived()?;
    ensure!(arrived.is_empty(), "it arrived: {}", show(&arrived[0]));
    ensure!(seen.closed, "the connection was left open after: {}", text(&seen.bytes));
    if cut_short && seen.bytes.is_empty() {
        return Ok(());
    }
    let answer =
        message::read(&seen.bytes, false, Bare::UntilClose).context("it was closed without an answer")?;
    let status = answer.status().unwrap_or_default();
    ensure!((400..=417).contains(&status) || matches!(status, 431 | 501), "it was answered {status}");
    ensure!(answer.field("outrigger-reason").is_some(), "the refusal {status} names no reason");
    Ok(())
}

/// Exactly its reading arrives.
fn accepted_request(stage: &Stage, case: &Case, reading: &Reading) -> Result<()> {
    stage.begin(None)?;
    let head = case.bytes.trim_ascii_start().starts_with(b"HEAD ");
    let enough = |bytes: &[u8]| final_answer(bytes, head, Bare::NotYet).is_some();
    let seen = stage.send(&case.bytes, false, enough)?;
    let arrived = stage.arrived()?;
    if ends_here(reading) {
        // The last recipient that Max-Forwards allows is the proxy itself.
        return if arrived.is_empty() {
            Ok(())
        } else {
            bail!("Max-Forwards: 0 went on: {}", show(&arrived[0]))
        };
    }
    let answer = final_answer(&seen.bytes, head, Bare::UntilClose);
    let status = answer.as_ref().and_then(Message::status);
    ensure!(status == Some(200), "it was answered {status:?}: {}", text(&seen.bytes));
    let first = arrived.first().context("it did not arrive")?;
    let next = message::read(&reading.rest, false, Bare::Empty).filter(|_| reading.keep_alive);
    for behind in &arrived[1..] {
        let is_next =
            next.as_ref().is_some_and(|next| next.first == behind.first && next.body == behind.body);
        ensure!(is_next && arrived.len() == 2, "something arrived behind it: {}", show(behind));
    }
    same(first, reading)?;
    if !reading.authority.is_empty() {
        let host = first.field("host").unwrap_or_default();
        ensure!(host == reading.authority, "it arrived for {}", text(host));
    }
    Ok(())
}

/// Whether Max-Forwards names this proxy as the end of the way (RFC 9110 §7.6.2).
fn ends_here(reading: &Reading) -> bool {
    let head = reading.forwarded.to_ascii_lowercase();
    counts_hops(&reading.forwarded) && super::find(&head, b"\r\nmax-forwards: 0\r\n").is_some()
}

fn counts_hops(head: &[u8]) -> bool {
    head.starts_with(b"OPTIONS ") || head.starts_with(b"TRACE ")
}

/// The caller never sees it as a whole answer.
fn refused_response(stage: &Stage, case: &Case, head: bool, upgrade: bool) -> Result<()> {
    stage.begin(Some(case.bytes.clone()))?;
    let seen = stage.send(&request(head, upgrade), false, |bytes| answered(bytes, head, upgrade))?;
    stage.arrived()?;
    match final_answer(&seen.bytes, head, if seen.closed { Bare::UntilClose } else { Bare::NotYet }) {
        // It had begun to be forwarded, and was cut off visibly.
        None => ensure!(seen.closed, "the connection was left open within an answer: {}", text(&seen.bytes)),
        Some(answer) => {
            let reason = answer.field("outrigger-reason").map(text);
            ensure!(answer.status() == Some(502) && reason.is_some(), "it was forwarded: {}", show(&answer));
        }
    }
    Ok(())
}

/// The caller sees exactly its reading.
fn accepted_response(stage: &Stage, case: &Case, head: bool, upgrade: bool, reading: &Reading) -> Result<()> {
    let mut bytes = case.bytes.clone();
    if reading.interim {
        // What stands behind it is the beginning of another answer; ours is whole.
        bytes.truncate(bytes.len() - reading.rest.len());
        bytes.extend_from_slice(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }
    stage.begin(Some(bytes))?;
    let seen = stage
        .send(&request(head, upgrade), false, |bytes| answered(bytes, head, upgrade && !reading.upgraded))?;
    stage.arrived()?;
    if reading.interim {
        return interim(&seen, head);
    }
    let bare = if seen.closed { Bare::UntilClose } else { Bare::NotYet };
    let bodiless = head || reading.upgraded || is_bodiless(reading);
    let answer = message::read(&seen.bytes, bodiless, bare)
        .with_context(|| format!("no whole answer came: {}", text(&seen.bytes)))?;
    same(&answer, reading)?;
    let behind = &seen.bytes[answer.length..];
    if reading.upgraded {
        ensure!(behind == reading.rest, "the tunnel brought {}", text(behind));
    } else {
        ensure!(behind.is_empty(), "something came behind it: {}", text(behind));
    }
    Ok(())
}

fn interim(seen: &Seen, head: bool) -> Result<()> {
    let answer = final_answer(&seen.bytes, head, Bare::UntilClose).context("no final answer came")?;
    ensure!(answer.status() == Some(200) && answer.body == b"ok", "the final answer is {}", show(&answer));
    Ok(())
}

/// Statuses after which no body follows (RFC 9112 §6.3).
fn is_bodiless(reading: &Reading) -> bool {
    [b" 204 ", b" 304 "].iter().any(|status| reading.forwarded.get(8..13) == Some(&status[..]))
}

fn request(head: bool, upgrade: bool) -> Vec<u8> {
    let method = if head { "HEAD" } else { "GET" };
    let connection = if upgrade { "upgrade\r\nUpgrade: websocket" } else { "close" };
    format!("{method} / HTTP/1.1\r\nHost: a\r\nConnection: {connection}\r\n\r\n").into_bytes()
}

/// Whether an answer is whole whose request did not ask for the connection's end, for which we wait otherwise.
fn answered(bytes: &[u8], head: bool, goes_on: bool) -> bool {
    goes_on && final_answer(bytes, head, Bare::NotYet).is_some()
}

/// The first answer that is not an interim one, if it is whole.
fn final_answer(mut bytes: &[u8], head: bool, bare: Bare) -> Option<Message> {
    loop {
        let first = message::read(bytes, true, bare)?;
        let status = first.status()?;
        if !(100..200).contains(&status) || status == 101 {
            return message::read(bytes, head || matches!(status, 101 | 204 | 304), bare);
        }
        bytes = &bytes[first.length..];
    }
}

/// Whether first line, fields, body and trailers are those of the reading, save for what a proxy may add.
fn same(message: &Message, reading: &Reading) -> Result<()> {
    let wanted = [&reading.forwarded[..], b"\r\n"].concat();
    let wanted = message::read(&wanted, true, Bare::Empty).context("the case forwards no head")?;
    ensure!(message.first == wanted.first, "its first line became {}", text(&message.first));
    let end_to_end = |fields: &[(String, Vec<u8>)]| -> Vec<(String, Vec<u8>)> {
        let own = |name: &str| OWN.contains(&name) || name.starts_with("outrigger-");
        fields.iter().filter(|(name, _)| !own(name)).cloned().collect()
    };
    let mut expected = end_to_end(&wanted.fields);
    if counts_hops(&reading.forwarded) {
        expected.iter_mut().filter(|(name, _)| name == "max-forwards").for_each(one_less);
    }
    let mut got = end_to_end(&message.fields);
    if wanted.field("content-length").is_none() {
        // A body whose end was known may be framed by its length from here on.
        got.retain(|(name, value)| {
            name != "content-length" || message.body.len().to_string().as_bytes() != value
        });
    }
    if let Some(lost) = expected.iter().find(|field| !got.contains(field)) {
        bail!("it lost {}: {}", lost.0, text(&lost.1));
    }
    if let Some(added) = got.iter().find(|field| !expected.contains(field)) {
        bail!("it got {}: {}", added.0, text(&added.1));
    }
    ensure!(got == expected, "its fields came in another order or number");
    ensure!(message.body == reading.body, "its body became {}", text(&message.body));
    let trailers = message::read_fields(&message.trailers);
    ensure!(
        trailers == message::read_fields(&reading.trailers),
        "its trailers became {}",
        text(&message.trailers)
    );
    Ok(())
}

fn one_less((_, value): &mut (String, Vec<u8>)) {
    if let Some(hops) = std::str::from_utf8(value).ok().and_then(|text| text.parse::<u64>().ok()) {
        *value = hops.saturating_sub(1).to_string().into_bytes();
    }
}

fn show(message: &Message) -> String {
    format!("{} and {} bytes of body", text(&message.first), message.body.len())
}

fn text(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(160)].escape_ascii().to_string()
}
