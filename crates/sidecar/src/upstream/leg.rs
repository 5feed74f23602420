//! One attempt on the wire: connects, sends the request, reads the answer's head. Decides nothing.

use crate::buffers::Input;
use crate::worker::Worker;
use http1::{Asked, BodyReader, Framing, Known, ResponseHead, Rule, Status, write};
use model::{Moment, Peer, Reason};
use net::wire::{Awaited, Wire, poll_send_both};
use policy::{Answer, Reached};
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use tokio::net::TcpStream;

/// An answer of at most so many bytes is forwarded when it is complete, so that a death between head and body can
/// still be made good by another attempt.
pub(crate) const SMALL_ANSWER: usize = 16 << 10;
/// Interim answers (1xx) that one attempt may send.
const INTERIM_AT_MOST: u8 = 16;

/// One attempt on the wire.
#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) address: SocketAddr,
    /// Which attempt of the call it is, from 1.
    pub(crate) number: u8,
    pub(crate) stream: TcpStream,
    /// Whether the runtime knows that this connection's task waits for its instance.
    awaited: bool,
    /// Until when the connection must stand; never once it does.
    pub(crate) give_up: Moment,
    pub(crate) connected: bool,
    /// From the pool: the instance may have closed it while we write.
    pub(crate) reused: bool,
    /// The request's head as this attempt sends it.
    pub(crate) head: Vec<u8>,
    head_sent: usize,
    /// Bytes of the body that were sent, as they stand on the wire.
    pub(crate) body_sent: u64,
    /// Writing failed; an early answer may still be there to be read.
    write_failed: bool,
    pub(crate) input: Input,
    pub(crate) answer: Option<AnswerHead>,
    /// Whether the answer's head was reported.
    pub(crate) reported: bool,
    pub(crate) body: BodyReader,
    /// The answer's head as the caller will get it, without framing and end.
    pub(crate) rendered: Vec<u8>,
    interim: u8,
}

/// How an attempt begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begin {
    /// Which attempt of the call it is, from 1.
    pub(crate) number: u8,
    pub(crate) address: SocketAddr,
    /// The connection is from the pool.
    pub(crate) reused: bool,
    /// Until when the connection must stand.
    pub(crate) give_up: Moment,
}

/// What is remembered of an answer's head.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct AnswerHead {
    pub(crate) answer: Answer,
    /// The reason, if it is a refusal by the peer's sidecar.
    pub(crate) reason: Option<Reason>,
    pub(crate) framing: Framing,
    pub(crate) keep_alive: bool,
    /// Until when the connection may be kept.
    pub(crate) keep_until: Moment,
}

/// How an attempt broke.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Broken {
    pub(crate) reached: Reached,
    pub(crate) reason: Reason,
    /// The rule of HTTP that the answer breaks.
    pub(crate) rule: Option<Rule>,
    /// Not one byte of an answer came.
    pub(crate) silent: bool,
}

impl Broken {
    /// A failure before there was a connection.
    pub(crate) fn before_all(reason: Reason) -> Broken {
        Broken { reached: Reached::Nothing, reason, rule: None, silent: true }
    }
}

/// What reading brought.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Read {
    /// Nothing new.
    Still,
    /// Bytes, but no decision.
    Moved,
    /// An interim answer stands in `rendered` and is to be passed on.
    Interim(u16),
    /// The answer can be reported.
    Head,
}

impl Leg {
    /// An attempt over `stream` that will send `head`.
    pub(crate) fn new(begin: Begin, stream: TcpStream, head: Vec<u8>) -> Leg {
        let Begin { number, address, reused, give_up } = begin;
        Leg {
            address,
            number,
            stream,
            awaited: false,
            give_up: if reused { Moment::NEVER } else { give_up },
            connected: reused,
            reused,
            head,
            head_sent: 0,
            body_sent: 0,
            write_failed: false,
            input: Input::none(),
            answer: None,
            reported: false,
            body: BodyReader::new(Framing::Empty),
            rendered: Vec::new(),
            interim: 0,
        }
    }

    /// Gives the buffers back; the connection too, where it can be used again.
    pub(crate) fn end(self, worker: &Worker, reusable: bool) {
        let Leg { address, stream, head, input, rendered, answer, .. } = self;
        let clean = reusable && input.is_empty();
        worker.buffers.give_output(head);
        worker.buffers.give_output(rendered);
        worker.buffers.give_input(input);
        if let Some(answer) = answer.filter(|a| clean && a.keep_alive) {
            worker.keep(address, stream, answer.keep_until);
        }
    }

    /// How far it has got.
    fn reached(&self) -> Reached {
        match () {
            () if self.answer.is_some() => Reached::Head,
            () if self.head_sent > 0 => Reached::Bytes,
            () if self.connected => Reached::Connection,
            () => Reached::Nothing,
        }
    }

    /// The failure that a broken connection is.
    #[cold]
    pub(crate) fn broken(&self) -> Broken {
        let silent = self.answer.is_none() && self.input.is_empty() && self.interim == 0;
        let reason = if self.connected { Reason::InstanceBroke } else { Reason::ConnectFailed };
        Broken { reached: self.reached(), reason, rule: None, silent }
    }

    #[cold]
    fn malformed(&self, rule: Rule) -> Broken {
        Broken { reason: Reason::MalformedResponse, rule: Some(rule), silent: false, ..self.broken() }
    }

    /// Sees whether the connection stands.
    pub(crate) fn poll_connected(&mut self, cx: &mut Context<'_>, now: Moment) -> Result<bool, Broken> {
        if self.connected { Ok(true) } else { self.poll_connecting(cx, now) }
    }

    #[inline(never)]
    fn poll_connecting(&mut self, cx: &mut Context<'_>, now: Moment) -> Result<bool, Broken> {
        match self.stream.poll_write_ready(cx) {
            Poll::Pending if now < self.give_up => Ok(false),
            Poll::Pending => Err(Broken { reason: Reason::ConnectTimeout, ..self.broken() }),
            Poll::Ready(ready) => match ready.and_then(|()| self.stream.take_error()) {
                Ok(None) => {
                    self.connected = true;
                    self.give_up = Moment::NEVER;
                    Ok(true)
                }
                Ok(Some(_)) | Err(_) => Err(self.broken()),
            },
        }
    }

    /// Sends what there is of head and body: `body` begins at `base` of the whole. Says whether bytes moved.
    pub(crate) fn poll_send(&mut self, cx: &mut Context<'_>, body: &[u8], base: u64) -> Result<bool, Broken> {
        let mut moved = false;
        while !self.write_failed {
            let head = self.head.get(self.head_sent..).unwrap_or_default();
            let skip = usize::try_from(self.body_sent.saturating_sub(base)).unwrap_or(usize::MAX);
            let rest = body.get(skip..).unwrap_or_default();
            if head.is_empty() && rest.is_empty() {
                break;
            }
            let head_left = head.len();
            let written = match (head.is_empty(), rest.is_empty()) {
                (false, true) => self.stream.poll_send(cx, head),
                (true, false) => self.stream.poll_send(cx, rest),
                _ => poll_send_both(&mut self.stream, cx, head, rest),
            };
            match written {
                Poll::Pending => break,
                Poll::Ready(Ok(count)) => {
                    self.head_sent += count.min(head_left);
                    self.body_sent += count.saturating_sub(head_left) as u64;
                    moved = true;
                }
                // Nothing of the request left us: no need to see what else there is to read.
                Poll::Ready(Err(_)) if self.head_sent == 0 => return Err(self.broken()),
                Poll::Ready(Err(_)) => self.write_failed = true,
            }
        }
        Ok(moved)
    }

    /// Whether any of the request was sent.
    pub(crate) fn head_was_begun(&self) -> bool {
        self.head_sent > 0
    }

    /// Whether the whole head was sent.
    pub(crate) fn head_is_sent(&self) -> bool {
        self.head_sent >= self.head.len()
    }

    /// Reads until the answer can be reported.
    pub(crate) fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        asked: &Asked,
        peer: Peer,
    ) -> Result<Read, Broken> {
        if self.reported {
            return Ok(Read::Still);
        }
        let mut moved = Read::Still;
        loop {
            if let Some(read) = self.look(worker, asked, peer)? {
                return Ok(read);
            }
            let most = self.input_bound(worker);
            match self.poll_fill(worker, cx, most) {
                Poll::Pending => return Ok(moved),
                Poll::Ready(Ok(0)) => return self.at_end(),
                Poll::Ready(Ok(_)) => moved = Read::Moved,
                Poll::Ready(Err(_)) => return Err(self.broken()),
            }
        }
    }

    /// Reads what there is, as far as there is room for at most `most` bytes in all.
    pub(crate) fn poll_fill(
        &mut self,
        worker: &Worker,
        cx: &mut Context<'_>,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        let mut stream = Awaited { stream: &mut self.stream, told: &mut self.awaited };
        self.input.poll_fill(&worker.buffers, cx, &mut stream, most)
    }

    fn input_bound(&self, worker: &Worker) -> usize {
        let head = worker.limits.head_bytes;
        if self.answer.is_some() { SMALL_ANSWER } else { head }
    }

    /// The instance has closed: fine where that ends the body, a break elsewhere.
    #[cold]
    fn at_end(&mut self) -> Result<Read, Broken> {
        match &self.answer {
            Some(head) if head.framing == Framing::UntilClose => Ok(Read::Head),
            _ => Err(self.broken()),
        }
    }

    /// What the bytes read so far say.
    fn look(&mut self, worker: &Worker, asked: &Asked, peer: Peer) -> Result<Option<Read>, Broken> {
        if self.answer.is_none() {
            if self.input.is_empty() {
                return Ok(None);
            }
            let mut head = worker.response_head.borrow_mut();
            let parsed = head.parse(self.input.bytes(), &worker.limits, asked);
            let Status::Complete { head_len } = parsed.map_err(|rule| self.malformed(rule))? else {
                return Ok(None);
            };
            self.render(worker, &head, peer);
            if head.interim {
                return self.interim(head.status, head_len).map(Some);
            }
            self.answer = Some(self.understand(worker, &head, peer));
            self.body = BodyReader::new(head.framing);
            self.input.consume(head_len);
        }
        Ok(self.is_ready_to_report().then_some(Read::Head))
    }

    #[cold]
    fn interim(&mut self, status: u16, head_len: usize) -> Result<Read, Broken> {
        self.input.consume(head_len);
        self.interim += 1;
        if self.interim > INTERIM_AT_MOST {
            return Err(Broken { reason: Reason::MalformedResponse, ..self.broken() });
        }
        Ok(Read::Interim(status))
    }

    fn render(&mut self, worker: &Worker, head: &ResponseHead, peer: Peer) {
        let bytes = self.input.bytes();
        if self.rendered.capacity() == 0 {
            self.rendered = worker.buffers.output();
        }
        self.rendered.clear();
        let before = self.rendered.capacity();
        write::status_line_of(&mut self.rendered, head, bytes);
        write::fields(&head.fields, bytes, &mut self.rendered, |field| {
            // An app may not speak in our name; what a peer's sidecar says of a refusal is passed on.
            let said_by_peer = peer == Peer::Sidecar && field.known == Known::OutriggerReason;
            field.known.is_outrigger() && !said_by_peer
        });
        worker.buffers.resized(before, self.rendered.capacity());
    }

    fn understand(&self, worker: &Worker, head: &ResponseHead, peer: Peer) -> AnswerHead {
        let bytes = self.input.bytes();
        let value = |known| head.find(known).map(|f| f.value.of(bytes));
        // Only a sidecar refuses; what an app says of itself is no refusal.
        let said = value(Known::OutriggerReason).filter(|_| peer == Peer::Sidecar);
        let reason = said.and_then(Reason::from_word).filter(|reason| is_refusal(*reason, head, bytes));
        // Somebody below has tried again already; then it is an answer like any other.
        let refusal = reason.filter(|_| value(Known::OutriggerAttempt).is_none());
        let long = value(Known::ContentType).is_some_and(|v| v.starts_with(b"text/event-stream"));
        let kept = value(Known::KeepAlive).and_then(crate::upstream::pool::promised);
        let usual = worker.bounds().instance_idle;
        AnswerHead {
            answer: Answer { status: head.status, upgraded: head.upgraded, refusal, long },
            reason,
            framing: head.framing,
            keep_alive: head.keep_alive && !head.upgraded,
            keep_until: worker.now().after(kept.map_or(usual, |k| k.min(usual))),
        }
    }

    /// A small answer is reported when it is complete, all others at once.
    fn is_ready_to_report(&self) -> bool {
        match self.answer.map(|a| a.framing) {
            Some(Framing::Length(n)) if n <= SMALL_ANSWER as u64 => self.input.bytes().len() as u64 >= n,
            Some(_) => true,
            None => false,
        }
    }
}

/// Whether the answer is the refusal that it says it is: with that reason's status, or as gRPC is refused, by an answer
/// without a body.
#[cold]
fn is_refusal(reason: Reason, head: &ResponseHead, bytes: &[u8]) -> bool {
    let grpc =
        || head.find(Known::ContentType).is_some_and(|f| f.value.of(bytes).starts_with(b"application/grpc"));
    let empty = matches!(head.framing, Framing::Empty | Framing::Length(0));
    head.status == reason.status() || (head.status == 200 && empty && grpc())
}
