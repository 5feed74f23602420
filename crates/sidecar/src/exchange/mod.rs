//! The hands of a call: everything it can ask for, done on sockets. Bytes live here and never enter the call.
//!
//! [`Exchange::event`] moves bytes until something happens that the call must hear of; it is the only wait. How bytes
//! move is in [`pump`].

mod pump;

use crate::caller::Caller;
use crate::context::NoteKey;
use crate::desk::Desk;
use crate::respond::{self, Refusal};
use crate::upstream::leg::{Begin, Broken, Leg};
use crate::worker::Worker;
use http1::{Framing, Rule, write};
use model::{Direction, Moment, Peer, Reason};
use policy::{Attempt, CallId, Ending, Event, Why};
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::net::TcpStream;

/// How long a tunnel may be silent once the caller has sent its last byte: nobody may be there any more.
const HALF_CLOSED: Duration = Duration::from_secs(10);

/// One request's traffic with the caller and with at most two instances.
pub(crate) struct Exchange<'a> {
    worker: &'a Worker,
    caller: &'a mut Caller,
    direction: Direction,
    /// Who answers.
    peer: Peer,
    legs: [Option<Leg>; 2],
    /// Whose answer is passed on.
    forwarding: Option<Attempt>,
    /// The answer was passed on whole, up to what is still in `caller.output`.
    answered: bool,
    /// How the answer's body is framed towards the caller.
    chunked: bool,
    /// The caller can see the answer's end in that of the connection only.
    blind: bool,
    tunnel: bool,
    /// In a tunnel: the caller has sent its last byte, and the instance knows.
    half_closed: bool,
    /// The longest silence while an answer is passed on, and when the last byte moved.
    silence: Duration,
    last_byte: Moment,
    /// Whether the others have had their turn since the request came.
    gave_way: bool,
    /// Whether the desk knows whom to wake.
    waiting: bool,
    /// An attempt that could not even be started, to be reported at the next event.
    failed_to_open: Option<(Attempt, Broken)>,
    /// The rule that the body of the caller's request breaks.
    pub(crate) body_rule: Option<Rule>,
    /// The rule that the last attempt broke.
    rule: Option<Rule>,
    /// The status that the caller got, and the reason if it was a refusal.
    pub(crate) status: Option<u16>,
    pub(crate) refused: Option<Reason>,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}

impl<'a> Exchange<'a> {
    pub(crate) fn new(
        worker: &'a Worker,
        caller: &'a mut Caller,
        direction: Direction,
        peer: Peer,
    ) -> Exchange<'a> {
        Exchange {
            worker,
            caller,
            direction,
            peer,
            legs: [None, None],
            forwarding: None,
            answered: false,
            chunked: false,
            blind: false,
            tunnel: false,
            half_closed: false,
            silence: Duration::MAX,
            last_byte: Moment::NEVER,
            gave_way: false,
            waiting: false,
            failed_to_open: None,
            body_rule: None,
            rule: None,
            status: None,
            refused: None,
            bytes_in: 0,
            bytes_out: 0,
        }
    }

    /// Whether an attempt is on its way.
    pub(crate) fn has(&self, attempt: Attempt) -> bool {
        self.legs.get(attempt as usize).is_some_and(Option::is_some)
    }

    /// Under which the request's context can be found.
    pub(crate) fn keys(&self) -> [Option<NoteKey>; 2] {
        self.caller.request.keys
    }

    fn leg(&mut self, attempt: Attempt) -> Option<&mut Leg> {
        self.legs.get_mut(attempt as usize).and_then(Option::as_mut)
    }

    fn take_leg(&mut self, attempt: Attempt) -> Option<Leg> {
        let mut leg = self.legs.get_mut(attempt as usize).and_then(Option::take)?;
        self.caller.request.take_back(&mut leg);
        Some(leg)
    }

    /// Starts an attempt, the `number`-th of the call. Does not wait. No address: the endpoint was removed between the
    /// choice and now.
    pub(crate) fn open(&mut self, attempt: Attempt, number: u8, to: Option<SocketAddr>, give_up: Moment) {
        self.rule = None;
        let opened = to.ok_or(Reason::ConnectFailed).and_then(|address| {
            let begin = |reused| Begin { number, address, reused, give_up };
            match self.worker.pool.take(address, self.worker.now()) {
                Some(stream) => Ok((begin(true), stream)),
                None => self.connect(address).map(|stream| (begin(false), stream)),
            }
        });
        match opened {
            Ok((begin, stream)) => self.start(attempt, begin, stream),
            Err(reason) => self.failed_to_open = Some((attempt, Broken::before_all(reason))),
        }
    }

    fn start(&mut self, attempt: Attempt, begin: Begin, stream: TcpStream) {
        let other = self.legs.get(attempt.other() as usize).and_then(Option::as_ref);
        let head = self.caller.request.head_for(self.worker, begin.number, other);
        let leg = Leg::new(begin, stream, head);
        if let Some(place) = self.legs.get_mut(attempt as usize) {
            *place = Some(leg);
        }
    }

    #[cold]
    fn connect(&self, address: SocketAddr) -> Result<TcpStream, Reason> {
        self.worker.pool.note_opened();
        net::connect(address).map_err(|error| match error.raw_os_error() {
            Some(code) if net::limits::is_out_of_descriptors(code) => Reason::OutOfDescriptors,
            _ => Reason::ConnectFailed,
        })
    }

    /// Abandons an attempt. Its connection is closed, unless its whole answer is here and only unwanted.
    #[cold]
    pub(crate) fn drop_attempt(&mut self, attempt: Attempt, why: Why) {
        let is_sent = self.leg(attempt).is_some_and(|leg| leg.head_is_sent());
        if let Some(mut leg) = self.take_leg(attempt) {
            let is_sent = is_sent && self.caller.request.body_is_sent(&leg);
            let whole = matches!(leg.answer.map(|a| a.framing), Some(Framing::Empty | Framing::Length(_)));
            let clean = why == Why::Retried && whole && is_sent;
            if clean {
                let piece = leg.body.read(leg.input.bytes()).unwrap_or_default();
                leg.input.consume(piece.consumed);
            }
            let done = leg.body.is_done();
            leg.end(self.worker, clean && done);
        }
    }

    /// Begins to pass an answer on. From now on there is no other attempt.
    pub(crate) fn forward(&mut self, attempt: Attempt, idle: Duration) {
        self.begin_answer(attempt);
        self.silence = idle;
        self.last_byte = self.worker.now();
        let Some(head) = self.leg(attempt).and_then(|leg| leg.answer) else { return };
        let unframed = matches!(head.framing, Framing::Chunked | Framing::UntilClose);
        self.chunked = unframed && !self.caller.old;
        // What the caller has not sent yet would be read as its next request; an old caller without framing can
        // see an end only in a closed connection.
        self.blind = unframed && self.caller.old;
        if !self.caller.request.ended() || self.blind || self.worker.is_draining() {
            self.caller.close = true;
        }
        let out = &mut self.caller.output.bytes;
        if self.chunked {
            out.extend_from_slice(write::TRANSFER_ENCODING_CHUNKED);
        }
        if self.caller.close {
            out.extend_from_slice(write::CONNECTION_CLOSE);
        } else if self.caller.old {
            out.extend_from_slice(b"connection: keep-alive\r\n");
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Begins to pass bytes both ways.
    #[cold]
    pub(crate) fn tunnel(&mut self, attempt: Attempt) {
        self.begin_answer(attempt);
        self.tunnel = true;
        self.caller.close = true;
        net::probe_when_silent(&self.caller.stream);
        if let Some(leg) = self.leg(attempt) {
            net::probe_when_silent(&leg.stream);
        }
        let out = &mut self.caller.output.bytes;
        out.extend_from_slice(b"connection: upgrade\r\nupgrade: ");
        out.extend_from_slice(self.caller.request.upgrade());
        out.extend_from_slice(b"\r\n\r\n");
    }

    fn begin_answer(&mut self, attempt: Attempt) {
        self.forwarding = Some(attempt);
        self.rule = None;
        let Some(leg) = self.legs.get_mut(attempt as usize).and_then(Option::as_mut) else { return };
        self.status = leg.answer.map(|a| a.answer.status);
        self.refused = leg.answer.and_then(|a| a.reason);
        if self.caller.output.bytes.is_empty() {
            // Nothing is on its way to the caller, which is nearly always so: no need to copy.
            self.caller.output.swap(&self.worker.buffers, &mut leg.rendered);
        } else {
            self.caller.output.bytes.extend_from_slice(&leg.rendered);
            leg.rendered.clear();
        }
    }

    /// Answers with a refusal.
    #[cold]
    pub(crate) fn refuse(&mut self, reason: Reason, retry_after: Option<Duration>) {
        self.status = Some(reason.status());
        self.refused = Some(reason);
        // Of two attempts that were under way at the same time, one may have ended it and the other broken a rule.
        self.rule = self.rule.filter(|_| reason == Reason::MalformedResponse);
        self.caller.close |= reason.closes() || !self.caller.request.ended();
        // Nobody above needs to try again if a call on this request's behalf was retried already.
        let noted = self.worker.shared.notes.find(self.caller.request.keys);
        let retried = self.direction == Direction::Inbound && noted.is_some_and(|c| c.retried);
        let refusal = Refusal {
            reason,
            rule: self.rule,
            retry_after,
            retried,
            form: self.caller.request.form(),
            close: self.caller.close,
            old: self.caller.old,
            head: self.caller.request.asked().head,
        };
        respond::write(self.caller.room_to_write(self.worker), &refusal, &self.worker.date());
    }

    /// Waits for what the call must hear of, until `until` at the latest.
    ///
    /// Before anything of a request is sent, the other connections whose requests have come get their turn: where
    /// many come at once, all heads are read and then all are sent. Each of the two finds its code, and the kernel's,
    /// still in the processor's cache, and instances are woken once for several requests (Barach et al., "High-speed
    /// software data plane via vectorized packet processing", 2018).
    pub(crate) fn event(&mut self, desk: &Desk, id: CallId, until: Moment) -> impl Future<Output = Event> {
        let mut woken = false;
        std::future::poll_fn(move |cx| {
            if !std::mem::replace(&mut self.gave_way, true) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            // The first time it goes on from the call's last step, and what the clock said then still holds.
            if std::mem::replace(&mut woken, true) {
                self.worker.look_at_clock();
            }
            let event = ready!(self.poll_turn(desk, id, cx, until));
            if std::mem::take(&mut self.waiting) {
                desk.stop_waking(id);
            }
            Poll::Ready(event)
        })
    }

    fn poll_turn(&mut self, desk: &Desk, id: CallId, cx: &mut Context<'_>, until: Moment) -> Poll<Event> {
        match self.poll_event(cx, until) {
            Poll::Pending if self.waits_for_slot() && self.poll_woken(desk, id, cx) => {
                Poll::Ready(Event::Woken)
            }
            other => other,
        }
    }

    /// Without an attempt on its way it may be the books that the call waits for.
    fn waits_for_slot(&self) -> bool {
        self.forwarding.is_none() && self.legs.iter().all(Option::is_none)
    }

    #[cold]
    fn poll_woken(&mut self, desk: &Desk, id: CallId, cx: &Context<'_>) -> bool {
        let woken = desk.wake_with(id, cx.waker(), self.waiting);
        self.waiting = !woken;
        woken
    }

    /// Moves bytes until something happens that the call must hear of, or until `until`.
    fn poll_event(&mut self, cx: &mut Context<'_>, until: Moment) -> Poll<Event> {
        if let Err(event) = self.pump(cx) {
            return Poll::Ready(event);
        }
        if let Some((attempt, broken)) = self.failed_to_open.take() {
            return Poll::Ready(self.broke(attempt, broken));
        }
        let now = self.worker.now();
        if now >= until {
            return Poll::Ready(Event::Due);
        }
        let silent_at = self.silent_at();
        if now >= silent_at {
            self.cut();
            let by_caller = self.caller.output.backlog() > 0 || !self.caller.request.ended();
            let ending = if by_caller { Ending::CallerStalled } else { Ending::Stalled };
            return Poll::Ready(Event::Ended(ending));
        }
        let mut due = until.min(silent_at);
        for leg in self.legs.iter().flatten() {
            due = due.min(leg.give_up);
        }
        self.worker.timers.set(self.caller.slot, due, cx);
        Poll::Pending
    }

    fn silent_at(&self) -> Moment {
        match self.forwarding {
            Some(_) if !self.tunnel => self.last_byte.after(self.silence),
            Some(_) if self.half_closed => self.last_byte.after(HALF_CLOSED),
            _ => Moment::NEVER,
        }
    }

    /// The answer ends here and is not whole: the caller must see that.
    #[cold]
    fn cut(&mut self) {
        self.caller.close = true;
        self.caller.cut |= self.blind;
    }

    /// The event that a broken attempt is. What it held is given back.
    #[cold]
    fn broke(&mut self, attempt: Attempt, broken: Broken) -> Event {
        if let Some(leg) = self.take_leg(attempt) {
            leg.end(self.worker, false);
        }
        if self.forwarding.is_some() {
            self.cut();
        }
        self.rule = broken.rule;
        Event::Broke { attempt, reached: broken.reached, reason: broken.reason }
    }

    /// Gives back what is held and says what is to be recorded.
    pub(crate) fn end(&mut self) -> Finished {
        for place in &mut self.legs {
            let Some(leg) = place.take() else { continue };
            // Reusable only if the answer ended where it should and nothing is left to be sent.
            let over =
                self.answered && leg.body.is_done() && self.caller.request.is_sent(&leg) && !self.tunnel;
            leg.end(self.worker, over);
        }
        self.caller.request.end(self.worker);
        let Exchange { status, refused: reason, bytes_in, bytes_out, .. } = *self;
        let rule = self.body_rule.or(self.rule);
        Finished { status, reason, rule, bytes_in, bytes_out }
    }
}

/// What is to be recorded of an exchange.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Finished {
    pub(crate) status: Option<u16>,
    pub(crate) reason: Option<Reason>,
    pub(crate) rule: Option<Rule>,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}
