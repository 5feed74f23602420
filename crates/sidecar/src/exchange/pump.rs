//! How bytes move: caller → copy → instance, instance → caller, with back-pressure on every leg.
//!
//! Each step polls one socket until it has nothing more to give or to take, and says whether bytes moved; the pump
//! goes round until none did. An `Err` is an event for the call, not a fault.

use super::Exchange;
use crate::buffers::READ_AHEAD;
use crate::upstream::leg::{Begin, Broken, Read};
use http1::write;
use net::wire::Wire;
use policy::{Attempt, Ending, Event};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;

type Moved = Result<bool, Event>;

/// Bytes of pipelined requests that are read ahead while an answer is on its way.
const PIPELINED: usize = 8 << 10;

/// So often it goes round before other connections get a turn.
const ROUNDS: usize = 64;

impl Exchange<'_> {
    pub(super) fn pump(&mut self, cx: &mut Context<'_>) -> Result<(), Event> {
        for _ in 0..ROUNDS {
            let mut moved = false;
            if self.tunnel {
                moved |= self.pump_tunnel(cx)?;
                moved |= self.flush(cx)?;
            } else {
                // The answer first: in most turns it is what has come, and its end ends the turn.
                moved |= self.pump_answer(cx)?;
                moved |= self.flush(cx)?;
                let whole = self.caller.request.ended();
                if !whole {
                    // Head and body go out together where both are here.
                    moved |= self.take_body(cx)?;
                }
                moved |= self.pump_leg(Attempt::First, cx)?;
                moved |= self.pump_leg(Attempt::Second, cx)?;
                if whole {
                    moved |= self.take_body(cx)?;
                }
            }
            if !moved {
                return Ok(());
            }
        }
        // Both sides are as fast as we are. There are others.
        cx.waker().wake_by_ref();
        Ok(())
    }

    /// Reads the request's body into the copy; once it has ended, watches for the caller's going away.
    fn take_body(&mut self, cx: &mut Context<'_>) -> Moved {
        if self.caller.request.ended() {
            if let Some(news) = self.caller.request.take_news() {
                return Err(news);
            }
            // To the end of what there is: only then are we woken when the caller goes.
            while self.caller.poll_read(self.worker, cx, PIPELINED).is_some() {}
            return self.unless_gone(false);
        }
        let mut moved = false;
        loop {
            let legs = self.legs.iter().flatten();
            let furthest = legs.map(|leg| leg.body_sent).min();
            if !self.caller.request.has_room(&self.worker.buffers, furthest) {
                return Ok(moved);
            }
            let (buffers, bytes) = (&self.worker.buffers, self.caller.input.bytes());
            let took = self.caller.request.take(buffers, bytes).map_err(|rule| {
                self.body_rule = Some(rule);
                self.cut();
                Event::CallerGone
            })?;
            self.caller.input.consume(took);
            self.bytes_in += took as u64;
            if let Some(news) = self.caller.request.take_news() {
                return Err(news);
            }
            if took > 0 {
                moved = true;
                // While the caller is still sending, an answer may wait for it.
                self.last_byte = self.worker.now();
                continue;
            }
            if self.caller.poll_read(self.worker, cx, READ_AHEAD).is_none() {
                return self.unless_gone(moved);
            }
        }
    }

    fn unless_gone(&self, moved: bool) -> Moved {
        if self.caller.gone { Err(Event::CallerGone) } else { Ok(moved) }
    }

    /// Connects, sends, reads the answer's head.
    fn pump_leg(&mut self, attempt: Attempt, cx: &mut Context<'_>) -> Moved {
        let (worker, now) = (self.worker, self.worker.now());
        let Some(leg) = self.legs.get_mut(attempt as usize).and_then(Option::as_mut) else {
            return Ok(false);
        };
        let read = match leg.poll_connected(cx, now) {
            Ok(false) => return Ok(false),
            Err(broken) => Err(broken),
            Ok(true) => leg
                .poll_send(cx, self.caller.request.copy(), self.caller.request.copy_base())
                .and_then(|sent| {
                    let read = leg.poll_answer(cx, worker, &self.caller.request.asked(), self.peer)?;
                    Ok((sent, read))
                }),
        };
        match read {
            // What was sent makes room for more of the body, and for nothing else.
            Ok((sent, Read::Still | Read::Moved)) => Ok(sent && !self.caller.request.ended()),
            Ok((_, Read::Interim(status))) => {
                self.pass_interim(attempt, status);
                Ok(true)
            }
            Ok((_, Read::Head)) => {
                leg.reported = true;
                let answer = leg.answer.map(|head| head.answer);
                answer.map_or(Ok(true), |answer| Err(Event::Head { attempt, answer }))
            }
            Err(broken) if self.may_repeat(attempt, broken.silent) => Ok(self.repeat(attempt)),
            Err(broken) => Err(self.broke(attempt, broken)),
        }
    }

    /// A kept connection that the instance was just closing: nothing was answered, so the same request may go
    /// to the same instance once more on a new connection, if it may be carried out twice or none of it was sent.
    #[cold]
    fn may_repeat(&mut self, attempt: Attempt, silent: bool) -> bool {
        let idempotent = self.caller.request.idempotent;
        let whole = self.caller.request.copy_base() == 0;
        self.leg(attempt)
            .is_some_and(|leg| leg.reused && silent && whole && (idempotent || !leg.head_was_begun()))
    }

    #[cold]
    fn repeat(&mut self, attempt: Attempt) -> bool {
        let Some(leg) = self.take_leg(attempt) else { return false };
        let (address, number) = (leg.address, leg.number);
        leg.end(self.worker, false);
        let give_up = self.worker.now().after(self.caller.request.connect_time);
        let begin = Begin { number, address, reused: false, give_up };
        match self.connect(address) {
            Ok(stream) => self.start(attempt, begin, stream),
            Err(reason) => self.failed_to_open = Some((attempt, Broken::before_all(reason))),
        }
        true
    }

    /// Passes a 1xx on, if the caller knows what that is and asked for it.
    #[cold]
    fn pass_interim(&mut self, attempt: Attempt, status: u16) {
        let wanted = !self.caller.old && (status != 100 || self.caller.request.expects_continue());
        let Some(leg) = self.legs.get_mut(attempt as usize).and_then(Option::as_mut) else { return };
        if wanted {
            let out = self.caller.room_to_write(self.worker);
            out.extend_from_slice(&leg.rendered);
            out.extend_from_slice(b"\r\n");
        }
        leg.rendered.clear();
    }

    /// Passes the answer's body on.
    fn pump_answer(&mut self, cx: &mut Context<'_>) -> Moved {
        let Some(attempt) = self.forwarding.filter(|_| !self.answered) else { return Ok(false) };
        let Some(leg) = self.legs.get_mut(attempt as usize).and_then(Option::as_mut) else {
            return Ok(false);
        };
        let mut moved = false;
        while self.caller.output.backlog() < self.worker.buffers.read_ahead() {
            let bytes = leg.input.bytes();
            let Ok(piece) = leg.body.read(bytes) else {
                self.cut();
                return Err(Event::Ended(Ending::Truncated));
            };
            let data = piece.data_of(bytes);
            self.bytes_out += data.len() as u64;
            let out = &mut self.caller.output.bytes;
            if self.chunked && !data.is_empty() {
                write::chunk_head(out, data.len());
                out.extend_from_slice(data);
                out.extend_from_slice(write::CHUNK_END);
            } else {
                out.extend_from_slice(data);
            }
            if piece.done || leg.body.is_done() {
                if self.chunked {
                    write::last_chunk(out, piece.trailers_of(bytes));
                }
                leg.input.consume(piece.consumed);
                self.answered = true;
                return Ok(true);
            }
            leg.input.consume(piece.consumed);
            moved |= piece.consumed > 0;
            if piece.consumed > 0 && !leg.input.is_empty() {
                continue;
            }
            match leg.poll_fill(self.worker, cx, READ_AHEAD) {
                Poll::Pending => break,
                Poll::Ready(Ok(count)) if count > 0 => {}
                Poll::Ready(ended) => return self.at_answers_end(attempt, ended.is_ok()),
            }
        }
        if moved {
            self.last_byte = self.worker.now();
        }
        Ok(moved)
    }

    /// The instance has closed in the middle of the answer, or at its end where that is how it ends.
    #[cold]
    fn at_answers_end(&mut self, attempt: Attempt, closed: bool) -> Moved {
        let sound = self.leg(attempt).is_some_and(|leg| closed && leg.body.on_eof().is_ok());
        if !sound {
            self.cut();
            return Err(Event::Ended(Ending::Truncated));
        }
        if self.chunked {
            self.caller.output.bytes.extend_from_slice(write::LAST_CHUNK);
        }
        self.answered = true;
        Ok(true)
    }

    /// Writes to the caller; an answer has ended when its last byte is written.
    fn flush(&mut self, cx: &mut Context<'_>) -> Moved {
        let moved = self.caller.poll_flush(self.worker, cx);
        if self.caller.gone {
            return Err(Event::CallerGone);
        }
        if self.answered && self.caller.output.backlog() == 0 {
            return Err(Event::Ended(if self.tunnel { Ending::Tunnel } else { Ending::Complete }));
        }
        if moved {
            self.last_byte = self.worker.now();
        }
        // What was written makes room for more of the answer, and for nothing else.
        Ok(moved && (self.forwarding.is_some() && !self.answered))
    }

    /// Passes bytes both ways until one side has ended and what it sent is delivered.
    #[cold]
    fn pump_tunnel(&mut self, cx: &mut Context<'_>) -> Moved {
        let Some(attempt) = self.forwarding else { return Ok(false) };
        let Some(leg) = self.legs.get_mut(attempt as usize).and_then(Option::as_mut) else {
            return Ok(false);
        };
        let mut moved = false;
        // Caller → instance, twice read and written at most: the other way has its turn too.
        for _ in 0..4 {
            let bytes = self.caller.input.bytes();
            if bytes.is_empty() {
                if self.half_closed {
                    break;
                }
                match self.caller.poll_read(self.worker, cx, READ_AHEAD) {
                    Some(_) => continue,
                    None if self.caller.gone => {
                        // It may still listen. If it does not, writing to it will tell.
                        self.caller.gone = false;
                        self.half_closed = true;
                        self.last_byte = self.worker.now();
                        let _ = Pin::new(&mut leg.stream).poll_shutdown(cx);
                        break;
                    }
                    None => break,
                }
            }
            match leg.stream.poll_send(cx, bytes) {
                Poll::Pending => break,
                Poll::Ready(Ok(count)) if count > 0 => {
                    self.caller.input.consume(count);
                    self.bytes_in += count as u64;
                    moved = true;
                }
                Poll::Ready(_) => return Err(Event::Ended(Ending::Tunnel)),
            }
        }
        // Instance → caller.
        while self.caller.output.backlog() < self.worker.buffers.read_ahead() {
            if leg.input.is_empty() {
                match leg.poll_fill(self.worker, cx, READ_AHEAD) {
                    Poll::Pending => break,
                    Poll::Ready(Ok(count)) if count > 0 => {}
                    // What it sent before it closed is still delivered.
                    Poll::Ready(_) => {
                        self.answered = true;
                        break;
                    }
                }
            }
            let bytes = leg.input.bytes();
            self.bytes_out += bytes.len() as u64;
            self.caller.room_to_write(self.worker).extend_from_slice(bytes);
            let count = bytes.len();
            leg.input.consume(count);
            moved = true;
        }
        Ok(moved)
    }
}
