//! **Extra attempts may be a tenth of the calls of the last ten seconds, and one a second besides.**
//!
//! A retry helps when one endpoint fails; when all fail it is only more load, and load is why they fail. The budget
//! bounds that load whatever happens: at most `1 + 10 %` of the calls, where three tries would make 300 %. Stacked over
//! five layers it makes 1.1⁵ = 1.61 × instead of 243 ×. The one a second lets a service with few calls retry at all.
//!
//! A rule without a budget (`budget: None`) is for comparison: it bounds nothing.
//!
//! Two pots. Each call puts `share` into the first, which leaks with τ = 10 s so that a quiet hour is not saved up for a
//! bad minute: at `r` calls a second it holds at most `share · r · 10 s`. The second fills by `floor` a second up to ten
//! seconds' worth, and is full at the start. A retry or a hedge takes 1 from the first, or else from the second.
//!
//! | calls/s | share | most in the first pot | lasting retries/s |
//! |---|---|---|---|
//! | 0.1 | 10 % | 0.1 | 1.01 |
//! | 100 | 10 % | 100 | 11 |
//! | 1,000 | 10 % | 1,000 | 101 |
//!
//! ```
//! # use policy::retry::Budget; use model::{Moment, Retry};
//! let (rule, mut budget) = (Retry::default(), Budget::new(&Retry::default(), Moment::ZERO));
//! let now = Moment::from_millis(1);
//! for _ in 0..100 { budget.on_call(&rule, now); }               // earns 10, and 10 stand in the second pot
//! assert_eq!((0..100).filter(|_| budget.withdraw(&rule, now)).count(), 19); // 9.99… + 10
//! ```
//!
//! Source: Finagle's `RetryBudget` (a leaky bucket with a TTL of 10 s, 20 % + 10/s); the smaller figures are ours.

use model::{Moment, Retry, Share};
use std::time::Duration;

const LEAK: f64 = 10e9;
/// The pots are settled at most so often: no exponential for each call.
const GRAIN: Duration = Duration::from_millis(100);
const FLOOR_SECONDS: f64 = 10.0;

/// What is left for extra attempts to one service.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// The first pot, and what it would hold had nothing been taken.
    earned: f64,
    most: f64,
    /// The second pot.
    floor: f64,
    stamp: Moment,
}

impl Budget {
    /// A budget with an empty first pot and a full second one.
    pub fn new(rule: &Retry, now: Moment) -> Budget {
        Budget { earned: 0.0, most: 0.0, floor: f64::from(rule.floor_per_second) * FLOOR_SECONDS, stamp: now }
    }

    /// A call has come (a first attempt, not a retry).
    pub fn on_call(&mut self, rule: &Retry, now: Moment) {
        self.settle(rule, now);
        let part = rule.budget.map_or(0.0, Share::part);
        self.earned += part;
        self.most += part;
    }

    /// Takes one extra attempt out, if one is left; where there is no budget, one always is.
    pub fn withdraw(&mut self, rule: &Retry, now: Moment) -> bool {
        if rule.budget.is_none() {
            return true;
        }
        self.settle(rule, now);
        let pot = if self.earned >= 1.0 { &mut self.earned } else { &mut self.floor };
        let enough = *pot >= 1.0;
        if enough {
            *pot -= 1.0;
        }
        enough
    }

    /// What is left, of 1.
    pub fn left(&self, rule: &Retry) -> f64 {
        if rule.budget.is_none() {
            return 1.0;
        }
        let most = self.most + f64::from(rule.floor_per_second) * FLOOR_SECONDS;
        if most > 0.0 { ((self.earned + self.floor) / most).clamp(0.0, 1.0) } else { 0.0 }
    }

    fn settle(&mut self, rule: &Retry, now: Moment) {
        let passed = now.since(self.stamp);
        if passed >= GRAIN {
            self.leak(rule, passed, now);
        }
    }

    #[inline(never)]
    fn leak(&mut self, rule: &Retry, passed: Duration, now: Moment) {
        let kept = libm::exp(-(passed.as_nanos() as f64) / LEAK);
        self.earned *= kept;
        self.most *= kept;
        let floor = f64::from(rule.floor_per_second);
        self.floor = (self.floor + floor * passed.as_secs_f64()).min(floor * FLOOR_SECONDS);
        self.stamp = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Moment {
        Moment::from_millis(ms)
    }

    #[test]
    fn when_everything_fails_a_tenth_and_one_a_second_is_retried() {
        let (rule, mut budget) = (Retry::default(), Budget::new(&Retry::default(), at(0)));
        let mut retries = 0;
        for ms in 0..60_000 {
            budget.on_call(&rule, at(ms));
            retries += u32::from(budget.withdraw(&rule, at(ms)));
        }
        // 60,000 calls: 6,000, and 10 at the start, and 1 a second.
        assert!((6_000..=6_070).contains(&retries), "{retries}");
    }

    #[test]
    fn what_was_earned_an_hour_ago_is_gone() {
        let (rule, mut budget) = (Retry::default(), Budget::new(&Retry::default(), at(0)));
        for ms in 0..10_000 {
            budget.on_call(&rule, at(ms));
        }
        let left = (0..).take_while(|_| budget.withdraw(&rule, at(3_600_000))).count();
        assert_eq!(left, 10);
    }

    #[test]
    fn a_service_with_one_call_a_minute_can_be_retried() {
        let (rule, mut budget) = (Retry::default(), Budget::new(&Retry::default(), at(0)));
        for minute in 0..60 {
            budget.on_call(&rule, at(60_000 * minute));
            assert!(budget.withdraw(&rule, at(60_000 * minute)));
        }
    }

    #[test]
    fn no_share_and_no_floor_is_no_retry() {
        let rule = Retry { budget: Some(Share::NONE), floor_per_second: 0, ..Retry::default() };
        let mut budget = Budget::new(&rule, at(0));
        budget.on_call(&rule, at(0));
        assert!(!budget.withdraw(&rule, at(1_000)));
        assert_eq!(budget.left(&rule), 0.0);
    }

    #[test]
    fn without_a_budget_there_is_always_one_left() {
        let rule = Retry { budget: None, floor_per_second: 0, ..Retry::default() };
        let mut budget = Budget::new(&rule, at(0));
        assert!((0..1_000).all(|_| budget.withdraw(&rule, at(0))));
        assert_eq!(budget.left(&rule), 1.0);
    }
}
