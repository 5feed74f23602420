//! **An endpoint that fails five times in a row is taken out, for 5 s the first time; never the last one, and never
//! more than a tenth of them, but one at least.**
//!
//! A breaker needs 20 calls to judge by share; a dead process can be told from five. The cap keeps a fault that hits
//! everybody (a bad request, a broken database behind the service) from emptying the list: what all do is not an
//! outlier. A refusal for overload counts for nothing here: an overloaded instance is not a broken one.
//!
//! The n-th absence lasts `min(n · 5 s, 300 s)`. Each 5 s that an endpoint stays in after its return take one from n.
//! Where there is a breaker it probes the endpoint first when it returns, so that to be early costs one call.
//!
//! | endpoints | out at most |
//! |---|---|
//! | 1 | 0 (it is the last) |
//! | 2 … 19 | 1 |
//! | 20 | 2 |
//! | 100 | 10 |
//!
//! ```
//! # use policy::health::{Outlier, out_at_most}; use model::{Ejection, Moment};
//! let (rule, mut outlier) = (Ejection::default(), Outlier::default());
//! let at = Moment::from_millis;
//! for i in 0..4 { assert!(!outlier.on_failure(&rule, at(i))); }
//! assert!(outlier.on_failure(&rule, at(4)));     // the fifth asks for ejection …
//! outlier.eject(&rule, at(4));                          // … which the cap allows
//! assert_eq!(outlier.out_until(at(5)), Some(at(5_004)));
//! assert_eq!(out_at_most(&rule, 11), 1);
//! ```
//!
//! Source: Envoy's outlier detection (consecutive 5xx 5, at most 300 s, at most 10 %;
//! base 30 s there, without probes).

use model::{Ejection, Moment};

/// What is known of one endpoint's failures in a row.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outlier {
    /// While it is out, when it returns; else when it returned.
    mark: Moment,
    in_a_row: u16,
    times: u16,
    out: bool,
}

/// How many of `all` endpoints may be out at once, before the rule that the last one stays.
pub fn out_at_most(rule: &Ejection, all: usize) -> usize {
    ((all as f64 * rule.share_at_most.part()) as usize).max(1)
}

impl Outlier {
    /// A call went well.
    pub fn on_success(&mut self) {
        self.in_a_row = 0;
    }

    /// A call that began at `began` failed. Says whether it should be ejected; the books see to the cap.
    pub fn on_failure(&mut self, rule: &Ejection, began: Moment) -> bool {
        if self.out || began < self.mark {
            return false;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        u32::from(self.in_a_row) >= rule.failures_in_a_row.max(1)
    }

    /// Takes it out.
    pub fn eject(&mut self, rule: &Ejection, now: Moment) {
        let stayed = now.since(self.mark).as_nanos() / rule.base.as_nanos().max(1);
        let forgiven = u16::try_from(stayed).unwrap_or(u16::MAX);
        self.times = self.times.saturating_sub(forgiven).saturating_add(1);
        let absence = rule.base.saturating_mul(u32::from(self.times)).min(rule.at_most);
        *self = Outlier { mark: now.after(absence), in_a_row: 0, times: self.times, out: true };
    }

    /// Lets it in again when its time has come. Says whether it did.
    pub fn on_time(&mut self, now: Moment) -> bool {
        let returns = self.out && now >= self.mark;
        if returns {
            self.out = false;
        }
        returns
    }

    /// Until when it is out; none if it is in.
    pub fn out_until(&self, now: Moment) -> Option<Moment> {
        (self.out && now < self.mark).then_some(self.mark)
    }

    /// When time alone lets it in.
    pub fn next_wakeup(&self) -> Option<Moment> {
        self.out.then_some(self.mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Moment {
        Moment::from_millis(ms)
    }

    #[test]
    fn a_success_breaks_the_row() {
        let (rule, mut o) = (Ejection::default(), Outlier::default());
        for round in 0..10 {
            for _ in 0..4 {
                assert!(!o.on_failure(&rule, at(round)));
            }
            o.on_success();
        }
    }

    #[test]
    fn absences_grow_and_good_times_are_credited() {
        let (rule, mut o) = (Ejection::default(), Outlier::default());
        let mut now = 0;
        for absence in [5_000, 10_000, 15_000] {
            o.eject(&rule, at(now));
            assert_eq!(o.out_until(at(now)), Some(at(now + absence)));
            now += absence;
            assert!(o.on_time(at(now)));
        }
        // It stays in for 10 s: two of its three times are forgiven.
        now += 10_000;
        o.eject(&rule, at(now));
        assert_eq!(o.next_wakeup(), Some(at(now + 10_000)));
        for _ in 0..100 {
            o.eject(&rule, at(now));
        }
        assert_eq!(o.next_wakeup(), Some(at(now + 300_000)));
    }

    #[test]
    fn failures_of_before_the_return_do_not_count() {
        let (rule, mut o) = (Ejection::default(), Outlier::default());
        o.eject(&rule, at(0));
        assert!(!o.on_failure(&rule, at(1)));
        assert!(o.on_time(at(5_000)));
        for _ in 0..9 {
            assert!(!o.on_failure(&rule, at(4_999)));
        }
    }

    #[test]
    fn one_at_least_may_be_out() {
        let rule = Ejection::default();
        let cap = |n| out_at_most(&rule, n);
        assert_eq!([cap(1), cap(2), cap(19), cap(20), cap(100)], [1, 1, 1, 2, 10]);
    }
}
