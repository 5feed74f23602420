//! A request on its way: its head as the instance will read it, and the bounded copy of its body.
//!
//! The head is rewritten once; what differs between attempts is appended for each. The body stands in the copy as it
//! goes over the wire, so that an attempt is no more than an offset into it. When the body outgrows the copy, what was
//! sent is forgotten and there can be no other attempt.

use crate::buffers::Buffers;
use crate::context::NoteKey;
use crate::digits;
use crate::respond::Form;
use crate::upstream::leg::Leg;
use crate::worker::Worker;
use http1::{Asked, BodyReader, Field, Framing, Known, Method, RequestHead, Rule, write};
use model::{Importance, Moment};
use policy::Event;
use std::io::Write as _;
use std::time::Duration;

/// So much of a body that was sent is forgotten together, so that the rest is not moved for every byte.
const FORGOTTEN_TOGETHER: usize = 32 << 10;
/// What a chunk takes on the wire beside its data, and the end of the body, at most.
const CHUNK_FRAME: usize = 32;
/// The longest protocol name that is passed on in an upgrade.
const PROTOCOL_AT_MOST: usize = 32;

/// What decides how a request is rewritten on its way through.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hop<'a> {
    /// From outside the environment: nothing that it says of itself is believed.
    pub(crate) edge: bool,
    /// To the app beside us and not to another sidecar.
    pub(crate) inbound: bool,
    /// The Host to write instead of what was said.
    pub(crate) host: Option<&'a str>,
    /// Who is connected to us: the address as text.
    pub(crate) peer: &'a [u8],
    /// Told to the next sidecar.
    pub(crate) importance: Importance,
    /// When the caller gives up; never, where the next sidecar is not told.
    pub(crate) deadline: Moment,
    /// Which attempt of the caller this is.
    pub(crate) attempt: u8,
    /// How long a connection may take.
    pub(crate) connect_time: Duration,
    /// How a refusal is to be written.
    pub(crate) form: Form,
    /// Whether it has a trace id, and whether it has a request id.
    pub(crate) ids: (bool, bool),
    /// Their keys, where its context is to be noted or found.
    pub(crate) keys: [Option<NoteKey>; 2],
}

/// A request on its way. A connection has one, made anew in its place for each request: to build it elsewhere and move it
/// here would cost more than most of what it does.
#[derive(Debug)]
pub(crate) struct Request {
    /// The head without what differs between attempts; empty while it is lent to one.
    common: Vec<u8>,
    common_len: usize,
    copy: Vec<u8>,
    /// Where the copy begins in the body as it goes over the wire.
    base: u64,
    copy_at_most: usize,
    body: BodyReader,
    chunked: bool,
    spilled: bool,
    news: Option<Event>,
    asked: Asked,
    form: Form,
    expects_continue: bool,
    upgrade: ([u8; PROTOCOL_AT_MOST], u8),
    inbound: bool,
    deadline: Moment,
    attempt: u8,
    pub(crate) idempotent: bool,
    pub(crate) connect_time: Duration,
    /// Under which its context can be found.
    pub(crate) keys: [Option<NoteKey>; 2],
}

impl Request {
    /// The place for a connection's requests, before the first.
    pub(crate) fn none() -> Request {
        Request {
            common: Vec::new(),
            common_len: 0,
            copy: Vec::new(),
            base: 0,
            copy_at_most: 0,
            body: BodyReader::new(Framing::Empty),
            chunked: false,
            spilled: false,
            news: None,
            asked: Asked::default(),
            form: Form::Line,
            expects_continue: false,
            upgrade: ([0; PROTOCOL_AT_MOST], 0),
            inbound: false,
            deadline: Moment::NEVER,
            attempt: 1,
            idempotent: false,
            connect_time: Duration::ZERO,
            keys: [None, None],
        }
    }

    /// Rewrites `head`, which stands in `bytes`, for the next hop.
    #[inline(always)]
    pub(crate) fn begin(&mut self, worker: &Worker, head: &RequestHead, bytes: &[u8], hop: &Hop<'_>) {
        // Each field by name, so that none is left as the request before had it.
        let Request {
            common,
            common_len,
            copy,
            base,
            copy_at_most,
            body,
            chunked,
            spilled,
            news,
            asked,
            form,
            expects_continue,
            upgrade,
            inbound,
            deadline,
            attempt,
            idempotent,
            connect_time,
            keys,
        } = self;
        *common = worker.buffers.output();
        let capacity = common.capacity();
        *keys = write_common(worker, common, head, bytes, hop);
        worker.buffers.resized(capacity, common.capacity());
        *common_len = common.len();
        *body = BodyReader::new(head.framing);
        *copy = if body.is_done() { Vec::new() } else { worker.buffers.output() };
        *base = 0;
        *copy_at_most = worker.bounds().body_copy as usize;
        *chunked = head.framing == Framing::Chunked;
        (*spilled, *news) = (false, None);
        *asked = head.asked();
        *form = hop.form;
        *expects_continue = head.expect_continue;
        set_protocol(upgrade, head, bytes);
        *inbound = hop.inbound;
        *deadline = hop.deadline;
        *attempt = hop.attempt;
        *idempotent = head.method.is_idempotent();
        *connect_time = hop.connect_time;
    }

    /// Gives the buffers back.
    pub(crate) fn end(&mut self, worker: &Worker) {
        worker.buffers.give_output(std::mem::take(&mut self.common));
        worker.buffers.give_output(std::mem::take(&mut self.copy));
    }

    /// The head as the `number`-th attempt sends it. What the attempts have in common is not copied but lent, so that a request
    /// with one attempt, as nearly all have, copies nothing; beside an `other` attempt it is.
    pub(crate) fn head_for(&mut self, worker: &Worker, number: u8, other: Option<&Leg>) -> Vec<u8> {
        let mut out = std::mem::take(&mut self.common);
        if let (true, Some(other)) = (out.is_empty(), other) {
            out = self.copied_head(worker, other);
        }
        let capacity = out.capacity();
        let number = self.attempt.max(number);
        let now = worker.now();
        out.extend_from_slice(b"outrigger-attempt: ");
        digits::decimal(&mut out, u64::from(number));
        if !self.inbound && self.deadline != Moment::NEVER {
            out.extend_from_slice(b"\r\noutrigger-deadline-ms: ");
            digits::decimal(&mut out, now.until(self.deadline).as_millis() as u64);
        }
        out.extend_from_slice(b"\r\n\r\n");
        worker.buffers.resized(capacity, out.capacity());
        out
    }

    #[cold]
    fn copied_head(&self, worker: &Worker, other: &Leg) -> Vec<u8> {
        let mut out = worker.buffers.output();
        let capacity = out.capacity();
        out.extend_from_slice(other.head.get(..self.common_len).unwrap_or_default());
        worker.buffers.resized(capacity, out.capacity());
        out
    }

    /// Takes back what was lent to an attempt that is over.
    pub(crate) fn take_back(&mut self, leg: &mut Leg) {
        if self.common.is_empty() {
            self.common = std::mem::take(&mut leg.head);
            self.common.truncate(self.common_len);
        }
    }

    /// Whether the whole body has come.
    pub(crate) fn ended(&self) -> bool {
        self.body.is_done()
    }

    /// Whether more of the body may be read: into the copy, or once that is full as far as an instance takes it.
    pub(crate) fn has_room(&mut self, buffers: &Buffers, sent: Option<u64>) -> bool {
        if self.spilled {
            self.forget_up_to(sent.unwrap_or(self.base));
        }
        match sent {
            _ if self.copy.len() < self.copy_at_most && !self.spilled => true,
            Some(sent) => self.end_of_copy().saturating_sub(sent) < buffers.read_ahead() as u64,
            None => false,
        }
    }

    fn end_of_copy(&self) -> u64 {
        self.base + self.copy.len() as u64
    }

    fn forget_up_to(&mut self, sent: u64) {
        let count =
            usize::try_from(sent.saturating_sub(self.base)).unwrap_or(usize::MAX).min(self.copy.len());
        if count == self.copy.len() {
            self.copy.clear();
            self.base += count as u64;
        } else if count >= FORGOTTEN_TOGETHER {
            self.copy.drain(..count);
            self.base += count as u64;
        }
    }

    /// Takes what it can of the bytes that came and says how many. Where memory is short the copy does not grow for
    /// the sake of another attempt: it holds what is still to be sent and no more.
    ///
    /// # Errors
    /// The rule that the body's framing breaks.
    pub(crate) fn take(&mut self, buffers: &Buffers, bytes: &[u8]) -> Result<usize, Rule> {
        let piece = self.body.read(bytes)?;
        let data = piece.data_of(bytes);
        let before = self.copy.capacity();
        let short = self.make_room(buffers, data.len());
        if self.chunked {
            if !data.is_empty() {
                write::chunk_head(&mut self.copy, data.len());
                self.copy.extend_from_slice(data);
                self.copy.extend_from_slice(write::CHUNK_END);
            }
            if piece.done {
                write::last_chunk(&mut self.copy, piece.trailers_of(bytes));
            }
        } else {
            self.copy.extend_from_slice(data);
        }
        buffers.resized(before, self.copy.capacity());
        if !self.spilled && (short || self.copy.len() > self.copy_at_most) {
            self.spilled = true;
            self.news = Some(Event::Spilled);
        } else if self.body.is_done() && piece.consumed > 0 {
            self.news = Some(Event::BodyEnded);
        }
        Ok(piece.consumed)
    }

    /// Makes room in the copy for so many more bytes, and says whether memory is too short for it.
    fn make_room(&mut self, buffers: &Buffers, more: usize) -> bool {
        let (capacity, needed) = (self.copy.capacity(), self.copy.len() + more + CHUNK_FRAME);
        if more == 0 || needed <= capacity {
            return false;
        }
        // Twice as large each time, but not beyond what it may hold.
        let larger = needed.max((2 * capacity).min(self.copy_at_most + CHUNK_FRAME));
        let may = buffers.may_grow(larger - capacity);
        self.copy.reserve_exact(if may { larger } else { needed } - self.copy.len());
        !may
    }

    /// What the call must hear of.
    pub(crate) fn take_news(&mut self) -> Option<Event> {
        let news = self.news.take();
        if news == Some(Event::Spilled) && self.body.is_done() {
            self.news = Some(Event::BodyEnded);
        }
        news
    }

    /// What is to be sent, as it goes over the wire.
    pub(crate) fn copy(&self) -> &[u8] {
        &self.copy
    }

    /// Where [`Request::copy`] begins in the whole.
    pub(crate) fn copy_base(&self) -> u64 {
        self.base
    }

    /// Whether the leg has sent all of it.
    pub(crate) fn is_sent(&self, leg: &Leg) -> bool {
        leg.head_is_sent() && self.body_is_sent(leg)
    }

    /// Whether the leg has sent the whole body.
    pub(crate) fn body_is_sent(&self, leg: &Leg) -> bool {
        self.ended() && leg.body_sent == self.end_of_copy()
    }

    pub(crate) fn asked(&self) -> Asked {
        self.asked
    }

    pub(crate) fn form(&self) -> Form {
        self.form
    }

    pub(crate) fn expects_continue(&self) -> bool {
        self.expects_continue
    }

    /// The protocol that was asked for.
    pub(crate) fn upgrade(&self) -> &[u8] {
        self.upgrade.0.get(..usize::from(self.upgrade.1)).unwrap_or_default()
    }
}

fn set_protocol(upgrade: &mut ([u8; PROTOCOL_AT_MOST], u8), head: &RequestHead, bytes: &[u8]) {
    upgrade.1 = 0;
    let Some(name) = head.upgrade.map(|span| span.of(bytes)) else { return };
    if let Some(place) = upgrade.0.get_mut(..name.len()) {
        place.copy_from_slice(name);
        upgrade.1 = name.len() as u8;
    }
}

/// Writes request line and fields, without the end, and returns the keys of its trace and request ids.
fn write_common(
    worker: &Worker,
    out: &mut Vec<u8>,
    head: &RequestHead,
    bytes: &[u8],
    hop: &Hop<'_>,
) -> [Option<NoteKey>; 2] {
    write::request_line(out, head, bytes);
    let counted = matches!(head.method, Method::Options | Method::Trace);
    let own_host = hop.host.is_some() || head.needs_host();
    write::fields(&head.fields, bytes, out, |field: &Field| match field.known {
        Known::Host => own_host,
        Known::MaxForwards => counted,
        Known::Forwarded => hop.edge,
        Known::XForwardedFor | Known::XForwardedHost | Known::XForwardedProto => hop.edge,
        Known::Other => hop.edge && is_claim(field.name.of(bytes)),
        // What is no trace context is replaced by one that is.
        Known::Traceparent => !hop.ids.0,
        Known::XRequestId => !hop.ids.1,
        known => known.is_outrigger(),
    });
    if own_host {
        let host = hop.host.map_or(head.authority.of(bytes), str::as_bytes);
        line(out, b"host: ", host);
    }
    if let Some(left) = head.max_forwards.filter(|_| counted) {
        let _ = write!(out, "max-forwards: {}\r\n", left.saturating_sub(1));
    }
    if hop.edge {
        line(out, b"x-forwarded-for: ", hop.peer);
        out.extend_from_slice(b"x-forwarded-proto: http\r\n");
    }
    if head.framing == Framing::Chunked {
        out.extend_from_slice(write::TRANSFER_ENCODING_CHUNKED);
    }
    if let Some(protocol) = head.upgrade {
        line(out, b"connection: upgrade\r\nupgrade: ", protocol.of(bytes));
    }
    if !hop.inbound {
        line(out, b"outrigger-importance: ", hop.importance.word().as_bytes());
    }
    new_ids(worker, out, hop)
}

/// Whether a field that is not [`Known`] says where a request came from or what was asked for: `x-forwarded-*` and
/// `x-real-ip`, also with `_` for `-`, as CGI-like servers read both as one variable.
#[inline]
fn is_claim(name: &[u8]) -> bool {
    matches!(name.first(), Some(b'x' | b'X')) && is_claim_of_x(name)
}

#[inline(never)]
fn is_claim_of_x(name: &[u8]) -> bool {
    let reads_as = |text: &[u8], word: &[u8]| {
        let same = |(a, b): (&u8, &u8)| a.to_ascii_lowercase() == *b || (*a == b'_' && *b == b'-');
        text.len() == word.len() && text.iter().zip(word).all(same)
    };
    let forwarded =
        name.split_at_checked(b"x-forwarded".len()).filter(|(front, _)| reads_as(front, b"x-forwarded"));
    reads_as(name, b"x-real-ip")
        || forwarded.is_some_and(|(_, rest)| matches!(rest.first(), None | Some(b'-' | b'_')))
}

fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Writes a trace context (W3C Trace Context, version 00) and a request id where they are missing, the same number for
/// both, and returns the keys of what the request now carries.
///
/// It says that the trace is sampled. Nobody has decided that it is not, and whoever begins a trace does decide for all
/// that follow: most tracers go by their parent (OpenTelemetry's default sampler, `parentbased_always_on`), record all of
/// a trace that nobody began, and nothing of one whose flag is off. Without any, an app that passes on no other id would
/// begin one of its own, and its calls would be without context.
fn new_ids(worker: &Worker, out: &mut Vec<u8>, hop: &Hop<'_>) -> [Option<NoteKey>; 2] {
    let (has_trace, has_request_id) = hop.ids;
    if has_trace && has_request_id {
        return hop.keys;
    }
    let id = (worker.random(), worker.random() | 1);
    let mut text = [0u8; 32];
    text[..16].copy_from_slice(&digits::hex(id.0));
    text[16..].copy_from_slice(&digits::hex(id.1));
    // What comes from outside has no context here, and nobody looks for it later.
    let noted = !hop.edge;
    let [mut traced, mut named] = hop.keys;
    if !has_trace {
        let begin = out.len() + b"traceparent: ".len();
        out.extend_from_slice(b"traceparent: 00-");
        out.extend_from_slice(&text);
        out.push(b'-');
        out.extend_from_slice(&digits::hex(worker.random() | 1));
        out.extend_from_slice(b"-01\r\n");
        traced = out.get(begin..).filter(|_| noted).and_then(NoteKey::of_traceparent);
    }
    if !has_request_id {
        line(out, b"x-request-id: ", &text);
        named = noted.then(|| NoteKey::of_request_id(&text)).flatten();
    }
    [traced, named]
}
