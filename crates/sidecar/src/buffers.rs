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
/// Bytes that are read ahead of what the other side has taken, and how many where memory is short.
pub(crate) const READ_AHEAD: usize = 32 << 10;
const READ_AHEAD_IF_SHORT: usize = SIZE;

/// The pools of one worker.
///
/// What is lent is counted as it is: whoever makes a buffer grow says so, once it has. Beyond three quarters of the limit
/// nothing grows that need not, so that the rest is there for many small requests; beyond the limit none begins.
#[derive(Debug)]
pub(crate) struct Buffers {
    inputs: RefCell<Vec<Vec<u8>>>,
    outputs: RefCell<Vec<Vec<u8>>>,
    lent: Cell<u64>,
    limit: u64,
}

impl Buffers {
    /// Pools of which at most `limit` bytes are to be lent.
    pub(crate) fn new(limit: u64) -> Buffers {
        Buffers { inputs: RefCell::default(), outputs: RefCell::default(), lent: Cell::new(0), limit }
    }

    /// A buffer to read into.
    pub(crate) fn input(&self) -> Input {
        let data = self.inputs.borrow_mut().pop().unwrap_or_else(new_input);
        self.lent.set(self.lent.get() + data.capacity() as u64);
        Input { data, start: 0, end: 0, filled: false }
    }

    /// A buffer to write into.
    pub(crate) fn output(&self) -> Vec<u8> {
        let output = self.outputs.borrow_mut().pop().unwrap_or_else(new_output);
        self.lent.set(self.lent.get() + output.capacity() as u64);
        output
    }

    /// Takes a buffer back that was read into.
    pub(crate) fn give_input(&self, input: Input) {
        if input.data.is_empty() {
            return;
        }
        self.give_back(input.data.capacity());
        keep(&mut self.inputs.borrow_mut(), input.data);
    }

    /// Takes a buffer back that was written into.
    pub(crate) fn give_output(&self, mut output: Vec<u8>) {
        if output.capacity() == 0 {
            return;
        }
        self.give_back(output.capacity());
        output.clear();
        keep(&mut self.outputs.borrow_mut(), output);
    }

    fn give_back(&self, capacity: usize) {
        debug_assert!(self.lent.get() >= capacity as u64, "a buffer grew and nobody said so");
        self.lent.set(self.lent.get().saturating_sub(capacity as u64));
    }

    /// A buffer that is lent had a capacity of `before` and has one of `now`.
    #[inline(always)]
    pub(crate) fn resized(&self, before: usize, now: usize) {
        if before != now {
            self.recount(before, now);
        }
    }

    #[cold]
    fn recount(&self, before: usize, now: usize) {
        self.lent.set((self.lent.get() + now as u64).saturating_sub(before as u64));
    }

    /// Bytes that are lent out.
    pub(crate) fn lent_bytes(&self) -> u64 {
        self.lent.get()
    }

    /// Whether more is lent than may be.
    pub(crate) fn is_short(&self) -> bool {
        self.lent.get() > self.limit
    }

    /// Whether a buffer may grow by so many bytes although it need not.
    pub(crate) fn may_grow(&self, by: usize) -> bool {
        self.lent.get().saturating_add(by as u64) <= self.limit - self.limit / 4
    }

    /// How many bytes to read ahead of what the other side has taken.
    pub(crate) fn read_ahead(&self) -> usize {
        if self.may_grow(0) { READ_AHEAD } else { READ_AHEAD_IF_SHORT }
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
        self.make_room(buffers, most);
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

    /// Whether it is full of what is not used yet, so that nothing more can be read until it has grown.
    pub(crate) fn must_grow(&self) -> bool {
        self.start == 0 && self.end > 0 && self.end == self.data.len()
    }

    fn make_room(&mut self, buffers: &Buffers, most: usize) {
        if self.end < self.data.len() && !(self.filled && self.end == 0) {
            return;
        }
        self.move_or_grow(buffers, most);
    }

    #[inline(never)]
    fn move_or_grow(&mut self, buffers: &Buffers, most: usize) {
        if self.start > 0 {
            self.data.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            return;
        }
        let before = self.data.capacity();
        let larger = (self.data.len() * 2).min(most).max(self.data.len());
        let by = larger - self.data.len();
        if self.must_grow() || buffers.may_grow(by) {
            self.data.reserve_exact(by);
            self.data.resize(larger, 0);
            buffers.resized(before, self.data.capacity());
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
        let pool = Buffers::new(1 << 20);
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
        let pool = Buffers::new(1 << 20);
        for (size, kept) in [(KEEP_AT_MOST * 2, 0), (KEEP_AT_MOST, 1)] {
            let mut output = pool.output();
            let before = output.capacity();
            output.reserve_exact(size);
            pool.resized(before, output.capacity());
            assert_eq!(pool.lent_bytes(), output.capacity() as u64);
            pool.give_output(output);
            assert_eq!((pool.outputs.borrow().len(), pool.lent_bytes()), (kept, 0));
        }
    }

    #[test]
    fn beyond_the_limit_a_buffer_grows_only_where_it_must() {
        let pool = Buffers::new(SIZE as u64);
        let bytes = vec![b'x'; 64 << 10];
        let mut cx = Context::from_waker(Waker::noop());
        let (mut source, mut input) = (Source(&bytes), Input::none());
        for _ in 0..8 {
            assert!(input.poll_fill(&pool, &mut cx, &mut source, READ_AHEAD).is_ready());
            assert_eq!(input.bytes().len(), SIZE, "it is used up each time");
            input.consume(SIZE);
        }
        assert_eq!((pool.lent_bytes(), pool.is_short()), (SIZE as u64, false));
        for _ in 0..2 {
            assert!(input.poll_fill(&pool, &mut cx, &mut source, READ_AHEAD).is_ready());
        }
        assert_eq!(
            (input.bytes().len(), pool.lent_bytes(), pool.is_short()),
            (2 * SIZE, 2 * SIZE as u64, true)
        );
        pool.give_input(input);
        assert_eq!(pool.lent_bytes(), 0);
    }
}
