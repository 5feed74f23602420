//! A stretch of the buffer that a head was read from.

/// Where some bytes stand in the buffer that was given to `parse`.
///
/// Four bytes a bound instead of a slice, so that the structs that hold spans carry no lifetime and
/// can be reused from one message to the next.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// From `start` up to, not including, `end`. Both are below 4 GiB: the windows that heads and
    /// trailers are read in are.
    #[inline]
    pub(crate) fn new(start: usize, end: usize) -> Self {
        Self { start: start as u32, end: end as u32 }
    }

    /// The same bytes where what stood at `from` stands at `to`. `from` is not behind the span's start.
    #[inline]
    pub(crate) fn moved(self, from: usize, to: usize) -> Self {
        let shift = (to as u32).wrapping_sub(from as u32);
        Self { start: self.start.wrapping_add(shift), end: self.end.wrapping_add(shift) }
    }

    /// The bytes; empty where the span does not lie within `buf`.
    #[inline]
    pub fn of(self, buf: &[u8]) -> &[u8] {
        buf.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// Index of the first byte.
    #[inline]
    pub fn start(self) -> usize {
        self.start as usize
    }

    /// Index after the last byte.
    #[inline]
    pub fn end(self) -> usize {
        self.end as usize
    }

    /// Number of bytes.
    #[inline]
    pub fn len(self) -> usize {
        self.end().saturating_sub(self.start())
    }

    /// Whether there is no byte in it.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.start >= self.end
    }
}
