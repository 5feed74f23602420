//! The side towards the caller: one connection, its bytes, and what the next request on it may be.

use crate::buffers::{Buffers, Input};
use crate::request::Request;
use crate::timers::TimerSlot;
use crate::worker::Worker;
use net::wire::{Awaited, Wire};
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use tokio::net::TcpStream;

/// Bytes that may stay in the buffer after they were written.
const WRITTEN_AT_MOST: usize = 16 << 10;

/// A caller's connection.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) stream: TcpStream,
    /// Whether the runtime knows that this connection's task waits for its caller.
    awaited: bool,
    pub(crate) peer: SocketAddr,
    /// The peer's address without the port, as it is told to instances.
    pub(crate) peer_text: PeerText,
    pub(crate) slot: TimerSlot,
    pub(crate) input: Input,
    pub(crate) output: Output,
    /// The request that is under way.
    pub(crate) request: Request,
    /// No further request will be read from it.
    pub(crate) close: bool,
    /// The answer broke off and the caller could not tell its end from the connection's: end it with a reset.
    pub(crate) cut: bool,
    /// The other side has closed or broken the connection.
    pub(crate) gone: bool,
    /// It speaks HTTP/1.0: no chunks, no interim answers.
    pub(crate) old: bool,
}

/// Bytes on their way out.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub(crate) bytes: Vec<u8>,
    written: usize,
    /// The capacity that is counted as lent.
    counted: usize,
}

impl Output {
    /// Bytes that were not yet written.
    pub(crate) fn backlog(&self) -> usize {
        self.bytes.len() - self.written
    }

    /// Counts what it has grown by.
    #[inline]
    fn count(&mut self, buffers: &Buffers) {
        let before = std::mem::replace(&mut self.counted, self.bytes.capacity());
        buffers.resized(before, self.counted);
    }

    /// Changes places with a buffer that is counted.
    #[inline]
    pub(crate) fn swap(&mut self, buffers: &Buffers, other: &mut Vec<u8>) {
        self.count(buffers);
        std::mem::swap(&mut self.bytes, other);
        self.counted = self.bytes.capacity();
    }

    /// Gives the buffer back, with what is in it.
    fn give(&mut self, buffers: &Buffers) {
        let mut bytes = Vec::new();
        self.swap(buffers, &mut bytes);
        buffers.give_output(bytes);
    }

    /// Writes as much as goes. Says whether bytes moved.
    pub(crate) fn poll_write<S: Wire>(&mut self, cx: &mut Context<'_>, stream: &mut S) -> io::Result<bool> {
        let mut moved = false;
        while self.backlog() > 0 {
            let rest = self.bytes.get(self.written..).unwrap_or_default();
            match stream.poll_send(cx, rest) {
                Poll::Pending => {
                    self.forget_written();
                    return Ok(moved);
                }
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => {
                    self.written += count;
                    moved = true;
                }
                Poll::Ready(Err(error)) => return Err(error),
            }
        }
        self.bytes.clear();
        self.written = 0;
        Ok(moved)
    }

    /// A reader that is always a little behind must not make the buffer grow with all that it has read.
    fn forget_written(&mut self) {
        if self.written >= WRITTEN_AT_MOST {
            self.bytes.drain(..self.written);
            self.written = 0;
        }
    }
}

/// An address as text; the longest of IPv6 has 45 characters.
#[derive(Debug)]
pub(crate) struct PeerText([u8; 46], u8);

impl PeerText {
    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.get(..usize::from(self.1)).unwrap_or_default()
    }
}

fn text_of(peer: SocketAddr) -> PeerText {
    use std::io::Write as _;
    let mut text = [0u8; 46];
    let mut rest = &mut text[..];
    let _ = write!(rest, "{}", peer.ip());
    let left = rest.len();
    PeerText(text, (46 - left) as u8)
}

impl Caller {
    /// A connection that was just accepted.
    pub(crate) fn new(worker: &Worker, stream: TcpStream, peer: SocketAddr) -> Caller {
        Caller {
            stream,
            awaited: false,
            peer,
            peer_text: text_of(peer),
            slot: worker.timers.take_slot(),
            input: Input::none(),
            output: Output::default(),
            request: Request::none(),
            close: false,
            cut: false,
            gone: false,
            old: false,
        }
    }

    /// Where to append what is to be written.
    pub(crate) fn room_to_write(&mut self, worker: &Worker) -> &mut Vec<u8> {
        let output = &mut self.output;
        if output.bytes.capacity() == 0 {
            output.swap(&worker.buffers, &mut worker.buffers.output());
        }
        &mut output.bytes
    }

    /// Gives the buffers back while nothing is in them: a connection at rest costs next to nothing.
    pub(crate) fn rest(&mut self, worker: &Worker) {
        self.input.rest(&worker.buffers);
        if self.output.backlog() == 0 {
            self.output.give(&worker.buffers);
        }
    }

    /// Gives back what it held.
    pub(crate) fn end(mut self, worker: &Worker) {
        worker.timers.give_slot(self.slot);
        worker.buffers.give_input(self.input);
        self.output.give(&worker.buffers);
    }

    /// Reads what has come, up to `most` bytes in all. `None`: nothing new. An end or an error means that the caller
    /// has gone.
    pub(crate) fn poll_read(&mut self, worker: &Worker, cx: &mut Context<'_>, most: usize) -> Option<usize> {
        if self.gone || self.input.is_full(most) {
            return None;
        }
        let mut stream = Awaited { stream: &mut self.stream, told: &mut self.awaited };
        match self.input.poll_fill(&worker.buffers, cx, &mut stream, most) {
            Poll::Pending => None,
            Poll::Ready(Ok(count)) if count > 0 => Some(count),
            Poll::Ready(_) => {
                self.gone = true;
                None
            }
        }
    }

    /// Writes what waits to be written. Says whether bytes moved; a caller that takes none has gone.
    pub(crate) fn poll_flush(&mut self, worker: &Worker, cx: &mut Context<'_>) -> bool {
        self.output.count(&worker.buffers);
        match self.output.poll_write(cx, &mut self.stream) {
            Ok(moved) => moved,
            Err(_) => {
                self.gone = true;
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    /// Takes a little at each turn.
    struct Slow(usize);

    impl Wire for Slow {
        fn poll_may_read(&mut self, _: &mut Context<'_>) -> bool {
            false
        }
        fn poll_recv(&mut self, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
            Poll::Pending
        }
        fn poll_send(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            match std::mem::take(&mut self.0) {
                0 => Poll::Pending,
                room => Poll::Ready(Ok(room.min(bytes.len()))),
            }
        }
    }

    #[test]
    fn a_reader_that_is_never_done_does_not_make_the_buffer_grow() {
        let mut output = Output::default();
        let mut cx = Context::from_waker(Waker::noop());
        output.bytes.extend_from_slice(&[0; 5000]);
        for _ in 0..1000 {
            output.bytes.extend_from_slice(&[0; 4000]);
            assert!(output.poll_write(&mut cx, &mut Slow(4000)).is_ok_and(|moved| moved));
            assert_eq!(output.backlog(), 5000);
        }
        assert!(output.bytes.capacity() <= 2 * (WRITTEN_AT_MOST + 9000), "{}", output.bytes.capacity());
    }
}
