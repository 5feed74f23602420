//! **At most `in_flight` calls at once; beyond that at most `queue` wait, first come first served, until their deadline.**
//!
//! Without a limit a burst becomes threads, memory and open files in the instance; with a limit and no queue every
//! harmless burst becomes errors; with an unbounded queue everybody is served too late. A call that leaves gives its
//! slot to the first that waits and is still in time, and that call must be woken.
//!
//! A slot is *granted* before the woken call runs, so that none is lost and none is taken twice: if the woken call is
//! gone by then, it gives the slot back by [`Queue::forget`].
//!
//! With limit 1 and queue 1:
//!
//! | ms | event | in flight | waiting |
//! |---|---|---|---|
//! | 0 | A comes: goes on | A | |
//! | 1 | B comes: waits | A | B |
//! | 2 | C comes: `queue-full` | A | B |
//! | 9 | A leaves: B is granted its slot and woken | B | |
//!
//! ```
//! # use policy::{admit::{Queue, Verdict}, CallId}; use model::{Limit, Moment, Reason};
//! let limit = Some(Limit { in_flight: 1, queue: 1 });
//! let (mut queue, at) = (Queue::default(), Moment::from_millis);
//! assert_eq!(queue.begin(limit, CallId(1), at(1_000)), Verdict::Go);
//! assert_eq!(queue.begin(limit, CallId(2), at(1_000)), Verdict::Wait);
//! assert_eq!(queue.begin(limit, CallId(3), at(1_000)), Verdict::Refuse(Reason::QueueFull));
//! queue.leave(limit, at(9));
//! assert_eq!(queue.take_woken().collect::<Vec<_>>(), [CallId(2)]);
//! assert!(queue.granted(CallId(2)));
//! ```
//!
//! Source: every bounded server queue; the refusal by name is ours.

use crate::CallId;
use model::{Limit, Moment, Reason};
use std::collections::VecDeque;

/// Whether a call may go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It has a slot.
    Go,
    /// It waits in the queue.
    Wait,
    /// It is refused.
    Refuse(Reason),
}

/// The slots of one service and those who wait for one.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    in_flight: u32,
    waiting: VecDeque<(CallId, Moment)>,
    granted: Vec<CallId>,
    woken: Vec<CallId>,
}

impl Queue {
    /// A call wants a slot; if it waits, then until `deadline`.
    pub fn begin(&mut self, limit: Option<Limit>, id: CallId, deadline: Moment) -> Verdict {
        let Some(limit) = limit else {
            self.in_flight += 1;
            return Verdict::Go;
        };
        if self.in_flight < limit.in_flight && self.waiting.is_empty() {
            self.in_flight += 1;
            Verdict::Go
        } else if self.waiting.len() < limit.queue as usize {
            self.waiting.push_back((id, deadline));
            Verdict::Wait
        } else {
            Verdict::Refuse(Reason::QueueFull)
        }
    }

    /// A call gives its slot back.
    pub fn leave(&mut self, limit: Option<Limit>, now: Moment) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.grant(limit, now);
    }

    /// Hands out the free slots; also for a limit that has changed. Those who waited too long are woken as well, to
    /// be refused.
    pub fn grant(&mut self, limit: Option<Limit>, now: Moment) {
        if !self.waiting.is_empty() {
            self.hand_out(limit, now);
        }
    }

    #[inline(never)]
    fn hand_out(&mut self, limit: Option<Limit>, now: Moment) {
        let most = limit.map_or(u32::MAX, |l| l.in_flight);
        while self.in_flight < most {
            let Some((id, deadline)) = self.waiting.pop_front() else { return };
            self.woken.push(id);
            if deadline > now {
                self.in_flight += 1;
                self.granted.push(id);
            }
        }
    }

    /// Whether the call has been granted a slot. Asked once: from now on the slot is the call's.
    pub fn granted(&mut self, id: CallId) -> bool {
        let place = self.granted.iter().position(|g| *g == id);
        place.map(|i| self.granted.swap_remove(i)).is_some()
    }

    /// Whether a call that was told to wait still does.
    pub fn waits(&self, id: CallId) -> bool {
        self.waiting.iter().any(|(w, _)| *w == id)
    }

    /// A call that waits will not come back for its slot.
    pub fn forget(&mut self, limit: Option<Limit>, id: CallId, now: Moment) {
        if self.granted(id) {
            self.leave(limit, now);
        } else {
            self.waiting.retain(|(waiting, _)| *waiting != id);
        }
    }

    /// The calls that must be woken.
    pub fn take_woken(&mut self) -> impl Iterator<Item = CallId> + '_ {
        self.woken.drain(..)
    }

    /// Calls with a slot, those included that do not know yet.
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Calls that wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nobody waits and nobody has a slot.
    pub fn is_empty(&self) -> bool {
        self.in_flight == 0 && self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Option<Limit> = Some(Limit { in_flight: 1, queue: 4 });

    const fn at(ms: u64) -> Moment {
        Moment::from_millis(ms)
    }

    /// Call 0 has the slot, calls 1 to n wait until their deadlines.
    fn busy(deadlines: &[u64]) -> Queue {
        let mut queue = Queue::default();
        assert_eq!(queue.begin(LIMIT, CallId(0), at(1_000)), Verdict::Go);
        for (i, ms) in deadlines.iter().enumerate() {
            assert_eq!(queue.begin(LIMIT, CallId(i as u64 + 1), at(*ms)), Verdict::Wait);
        }
        queue
    }

    fn woken(queue: &mut Queue) -> Vec<u64> {
        queue.take_woken().map(|id| id.0).collect()
    }

    #[test]
    fn first_come_first_served() {
        let mut queue = busy(&[1_000, 1_000]);
        for next in [1, 2] {
            queue.leave(LIMIT, at(5));
            assert_eq!(woken(&mut queue), [next]);
            assert!(queue.granted(CallId(next)));
            assert!(!queue.granted(CallId(next)));
        }
        queue.leave(LIMIT, at(6));
        assert!(queue.is_empty());
    }

    #[test]
    fn those_who_are_too_late_are_woken_without_a_slot() {
        let mut queue = busy(&[10, 20, 1_000]);
        queue.leave(LIMIT, at(20));
        assert_eq!(woken(&mut queue), [1, 2, 3]);
        assert_eq!([1, 2, 3].map(|id| queue.granted(CallId(id))), [false, false, true]);
        assert_eq!(queue.in_flight(), 1);
    }

    #[test]
    fn a_slot_granted_to_one_who_is_gone_goes_to_the_next() {
        let mut queue = busy(&[1_000, 1_000]);
        queue.leave(LIMIT, at(5));
        queue.forget(LIMIT, CallId(1), at(6));
        assert_eq!(woken(&mut queue), [1, 2]);
        assert!(queue.granted(CallId(2)));
        queue.leave(LIMIT, at(7));
        assert!(queue.is_empty());
    }

    #[test]
    fn a_new_limit_frees_those_who_wait_and_a_smaller_one_waits_for_calls_to_leave() {
        let mut queue = busy(&[1_000, 1_000, 1_000]);
        queue.grant(Some(Limit { in_flight: 3, queue: 4 }), at(1));
        assert_eq!(woken(&mut queue), [1, 2]);
        queue.leave(LIMIT, at(2));
        assert_eq!(woken(&mut queue), [] as [u64; 0]);
        queue.grant(None, at(3));
        assert_eq!(woken(&mut queue), [3]);
    }

    #[test]
    fn a_newcomer_does_not_overtake() {
        let mut queue = busy(&[1_000]);
        queue.in_flight = 0;
        assert_eq!(queue.begin(LIMIT, CallId(9), at(1_000)), Verdict::Wait);
    }
}
