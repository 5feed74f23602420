//! The virtual clock: what happens next, ordered by time and then by the order of entry.

use model::Moment;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// All that is still to happen.
#[derive(Debug)]
pub(crate) struct Agenda<T> {
    now: Moment,
    entered: u64,
    entries: BinaryHeap<Reverse<Entry<T>>>,
}

#[derive(Debug)]
struct Entry<T> {
    at: Moment,
    number: u64,
    what: T,
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl<T> Agenda<T> {
    pub(crate) fn new() -> Agenda<T> {
        Agenda { now: Moment::ZERO, entered: 0, entries: BinaryHeap::new() }
    }

    pub(crate) fn now(&self) -> Moment {
        self.now
    }

    /// Enters `what` for `at`; what lies in the past happens now.
    pub(crate) fn at(&mut self, at: Moment, what: T) {
        self.entered += 1;
        self.entries.push(Reverse(Entry { at: at.max(self.now), number: self.entered, what }));
    }

    /// The next thing to happen; the clock then stands at its moment.
    pub(crate) fn next(&mut self) -> Option<T> {
        let Reverse(entry) = self.entries.pop()?;
        self.now = entry.at;
        Some(entry.what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_time_and_then_by_order_of_entry() {
        let at = Moment::from_millis;
        let mut agenda = Agenda::new();
        for (ms, what) in [(5, 'c'), (1, 'a'), (5, 'd'), (2, 'b')] {
            agenda.at(at(ms), what);
        }
        assert_eq!(agenda.next(), Some('a'));
        assert_eq!(agenda.now(), at(1));
        agenda.at(at(0), 'x');
        let rest: String = std::iter::from_fn(|| agenda.next()).collect();
        assert_eq!(rest, "xbcd");
        assert_eq!(agenda.now(), at(5));
    }
}
