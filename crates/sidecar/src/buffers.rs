//! Buffers that go back to a pool while a connection is idle, so that an idle connection costs next to nothing.

use net::wire::Wire;
use std::cell::{Cell, RefCell};
use std::io;
use std::task::{Context, Poll, ready};

/// What a buffer to read into begins with: the head of most requests fits, and it grows where more comes.
const SIZE: usize = 4 << 10;
/// What a buffer to write into begins with.
const OUTPUT: usize = 2 << 10;
/// A buffer that grew beyond this is freed and not kept: after a burst the memory goes back.
const KEEP_AT_MOST: usize = 64 << 10;
/// So many buffers of a kind are kept.
const KEPT: usize = 256;

/// The pools of one worker.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    inputs: RefCell<Vec<Vec<u8>>>,
    outputs: RefCell<Vec<Vec<u8>>>,
    lent: Cell<u64>,
}

impl Buffers {
    /// A buffer to read into.
    pub(crate) fn input(&self) -> Input {
        self.lent.set(self.lent.get() + SIZE as u64);
        let data = self.inputs.borrow_mut().pop().unwrap_or_else(new_input);
        Input { data, start: 0, end: 0, filled: false }
    }

    /// A buffer to write into.
    pub(crate) fn output(&self) -> Vec<u8> {
        self.lent.set(self.lent.get() + OUTPUT as u64);
        self.outputs.borrow_mut().pop().unwrap_or_else(new_output)
    }

    /// Takes a buffer back that was read into.
    pub(crate) fn give_input(&self, input: Input) {
        if input.data.is_empty() {
            return;
        }
        self.lent.set(self.lent.get().saturating_sub(SIZE as u64));
        keep(&mut self.inputs.borrow_mut(), input.data);
    }

    /// Takes a buffer back that was written into.
    pub(crate) fn give_output(&self, mut output: Vec<u8>) {
        if output.capacity() == 0 {
            return;
        }
        self.lent.set(self.lent.get().saturating_sub(OUTPUT as u64));
        output.clear();
        keep(&mut self.outputs.borrow_mut(), output);
    }

    /// Bytes that are lent out, counted at the sizes that buffers begin with.
    pub(crate) fn lent_bytes(&self) -> u64 {
        self.lent.get()
    }
}

#[cold]
fn new_input() -> Vec<u8> {
    vec![0; SIZE]
}

#[cold]
fn new_output() -> Vec<u8> {
    Vec::with_capacity(OUTPUT)
}

fn keep(pool: &mut Vec<Vec<u8>>, buffer: Vec<u8>) {
    if pool.len() < KEPT && buffer.capacity() <= KEEP_AT_MOST {
        pool.push(buffer);
    }
}

/// Bytes that were read and not yet used. All of `data` is initialised; `start..end` is what counts.
#[derive(Debug)]
pub(crate) struct Input {
    data: Vec<u8>,
    start: usize,
    end: usize,
    /// The last read left no room: more is on its way, and a larger buffer saves system calls.
    filled: bool,
}

impl Input {
    /// A place without a buffer: it gets one when there is something to be read.
    pub(crate) fn none() -> Input {
        Input { data: Vec::new(), start: 0, end: 0, filled: false }
    }

    /// What was read and not yet used.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.data.get(self.start..self.end).unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    /// `count` bytes have been used.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Gives the buffer back while nothing is in it.
    pub(crate) fn rest(&mut self, buffers: &Buffers) {
        if self.is_empty() {
            buffers.give_input(std::mem::replace(self, Input::none()));
        }
    }

    /// Reads what there is, as far as there is room for at most `most` bytes in all, into a buffer of `buffers` where
    /// it has none: a connection that only waits holds none. Zero bytes mean the end of the stream. Not to be asked when
    /// [`Input::is_full`] says that there is no room.
    pub(crate) fn poll_fill<S: Wire>(
        &mut self,
        buffers: &Buffers,
        cx: &mut Context<'_>,
        stream: &mut S,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        if self.data.is_empty() {
            if !stream.poll_may_read(cx) {
                return Poll::Pending;
            }
            *self = buffers.input();
        }
        self.make_room(most);
        let room = self.data.get_mut(self.end..).unwrap_or_default();
        let count = ready!(stream.poll_recv(cx, room))?;
        self.end += count;
        self.filled = self.end == self.data.len();
        Poll::Ready(Ok(count))
    }

    /// Whether `most` bytes are waiting to be used.
    pub(crate) fn is_full(&self, most: usize) -> bool {
        self.end - self.start >= most
    }

    fn make_room(&mut self, most: usize) {
        if self.end < self.data.len() && !(self.filled && self.end == 0) {
            return;
        }
        self.move_or_grow(most);
    }

    #[inline(never)]
    fn move_or_grow(&mut self, most: usize) {
        if self.start > 0 {
            self.data.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        } else {
            let larger = (self.data.len() * 2).min(most).max(self.data.len());
            self.data.resize(larger, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use std::task::Waker;

    /// Gives what it holds.
    struct Source<'a>(&'a [u8]);

    impl Wire for Source<'_> {
        fn poll_may_read(&mut self, _: &mut Context<'_>) -> bool {
            true
        }
        fn poll_recv(&mut self, _: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(self.0.read(room))
        }
        fn poll_send(&mut self, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Pending
        }
    }

    #[test]
    fn what_is_read_is_kept_in_order_and_room_is_bounded() {
        let pool = Buffers::default();
        let mut input = Input::none();
        let mut cx = Context::from_waker(Waker::noop());
        let bytes: Vec<u8> = (0..40_000u32).map(|i| (i % 251) as u8).collect();
        let (mut source, mut seen) = (Source(&bytes), Vec::new());
        let most = 20_000;
        while !source.0.is_empty() || !input.is_empty() {
            if !input.is_full(most) {
                assert!(input.poll_fill(&pool, &mut cx, &mut source, most).is_ready());
            }
            let take = input.bytes().len().min(777);
            seen.extend_from_slice(&input.bytes()[..take]);
            input.consume(take);
            assert!(input.bytes().len() <= most);
        }
        assert_eq!(seen, bytes);
        pool.give_input(input);
        assert_eq!(pool.lent_bytes(), 0);
    }

    #[test]
    fn a_buffer_that_grew_much_is_not_kept() {
        let pool = Buffers::default();
        pool.give_output(Vec::with_capacity(KEEP_AT_MOST * 2));
        assert!(pool.outputs.borrow().is_empty());
        pool.give_output(Vec::with_capacity(KEEP_AT_MOST));
        assert_eq!(pool.outputs.borrow().len(), 1);
    }
}
