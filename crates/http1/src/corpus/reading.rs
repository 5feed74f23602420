//! Reads one whole message from bytes that arrive in pieces, as a proxy would.

use super::Direction;
use crate::{BodyReader, Framing, Limits, RequestHead, ResponseHead, Rule, Status, write};

/// All that a proxy knows of a message when it has passed it on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reading {
    /// How the body ends.
    pub framing: Framing,
    /// Whether the connection goes on.
    pub keep_alive: bool,
    /// A response that leaves HTTP.
    pub upgraded: bool,
    /// A response before the final one.
    pub interim: bool,
    /// A request that waits for `100 Continue`.
    pub expect_continue: bool,
    /// A request that asks for another protocol.
    pub upgrade: bool,
    /// Whom a request is for.
    pub authority: Vec<u8>,
    /// The head as it is written for the next hop, up to the last field.
    pub forwarded: Vec<u8>,
    /// The content.
    pub body: Vec<u8>,
    /// The trailer lines.
    pub trailers: Vec<u8>,
    /// What stands behind the message.
    pub rest: Vec<u8>,
}

impl Reading {
    /// The message as the next hop gets it: the forwarded head with a Host where it has none, the
    /// forwarder's own framing and persistence, and the content; chunked content as one chunk.
    pub fn passed_on(&self, direction: &Direction) -> Vec<u8> {
        let mut out = self.forwarded.clone();
        if *direction == Direction::Request && !self.forwards_host() {
            write::field(&mut out, b"Host", &self.authority);
        }
        if !self.keep_alive && self.framing != Framing::UntilClose {
            out.extend(write::CONNECTION_CLOSE);
        }
        if self.framing != Framing::Chunked {
            out.extend(b"\r\n");
            out.extend(&self.body);
            return out;
        }
        out.extend(write::TRANSFER_ENCODING_CHUNKED);
        out.extend(b"\r\n");
        write::chunk_head(&mut out, self.body.len());
        if !self.body.is_empty() {
            out.extend(&self.body);
            out.extend(write::CHUNK_END);
        }
        write::last_chunk(&mut out, &self.trailers);
        out
    }

    fn forwards_host(&self) -> bool {
        self.forwarded.windows(7).any(|text| text.eq_ignore_ascii_case(b"\r\nhost:"))
    }
}

/// What comes of bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Refused; also where the connection's end cuts a body short.
    Refused(Rule),
    /// The head is not there as a whole.
    Unfinished,
    /// A message.
    Accepted(Reading),
}

/// Reads the message that begins with the first piece; after the last one the connection ends.
pub fn read<'a>(
    direction: &Direction,
    limits: &Limits,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Outcome {
    let mut state = State::default();
    for piece in pieces {
        state.buf.extend_from_slice(piece);
        if let Err(rule) = state.advance(direction, limits) {
            return Outcome::Refused(rule);
        }
    }
    match state.body {
        None => Outcome::Unfinished,
        Some(body) => match body.on_eof() {
            Err(rule) => Outcome::Refused(rule),
            Ok(()) => Outcome::Accepted(Reading { rest: state.buf, ..state.reading }),
        },
    }
}

#[derive(Default)]
struct State {
    /// What has arrived and is not done with.
    buf: Vec<u8>,
    /// None before the head is complete.
    body: Option<BodyReader>,
    reading: Reading,
}

impl State {
    fn advance(&mut self, direction: &Direction, limits: &Limits) -> Result<(), Rule> {
        if self.body.is_none() {
            let status = match direction {
                Direction::Request => self.request(limits)?,
                Direction::Response(asked) => self.response(limits, asked)?,
            };
            let Status::Complete { head_len } = status else {
                return Ok(());
            };
            self.body = Some(BodyReader::new(self.reading.framing));
            self.buf.drain(..head_len.min(self.buf.len()));
        }
        if let Some(body) = &mut self.body {
            while !body.is_done() {
                let piece = body.read(&self.buf)?;
                self.reading.body.extend_from_slice(piece.data_of(&self.buf));
                self.reading.trailers.extend_from_slice(piece.trailers_of(&self.buf));
                self.buf.drain(..piece.consumed.min(self.buf.len()));
                if piece.consumed == 0 {
                    break;
                }
            }
        }
        Ok(())
    }

    fn request(&mut self, limits: &Limits) -> Result<Status, Rule> {
        let mut head = RequestHead::new();
        let status = head.parse(&self.buf, limits)?;
        self.reading = Reading {
            framing: head.framing,
            keep_alive: head.keep_alive,
            expect_continue: head.expect_continue,
            upgrade: head.upgrade.is_some(),
            authority: head.authority.of(&self.buf).to_vec(),
            ..Reading::default()
        };
        if status != Status::Partial {
            let out = &mut self.reading.forwarded;
            write::request_line(out, &head, &self.buf);
            write::fields(&head.fields, &self.buf, out, |_| false);
        }
        Ok(status)
    }

    fn response(&mut self, limits: &Limits, asked: &crate::Asked) -> Result<Status, Rule> {
        let mut head = ResponseHead::new();
        let status = head.parse(&self.buf, limits, asked)?;
        self.reading = Reading {
            framing: head.framing,
            keep_alive: head.keep_alive,
            upgraded: head.upgraded,
            interim: head.interim,
            ..Reading::default()
        };
        if status != Status::Partial {
            let out = &mut self.reading.forwarded;
            write::status_line(out, head.status, head.reason.of(&self.buf));
            write::fields(&head.fields, &self.buf, out, |_| false);
        }
        Ok(status)
    }
}
