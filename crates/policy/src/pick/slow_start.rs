//! **A newcomer gets at most a growing part of a fair share, until it has had time to warm up.**
//!
//! A process that has just started compiles its code, fills its caches and opens its connections. A balancer that looks
//! at latency or at waiting calls sends it *more* at first (nothing waits there), which is how a scale-out makes an
//! outage worse. So the share is capped from above; what the balancer makes of the rest is its business.
//!
//! `part(t) = max(from, t / window)`, from 10 %, window 60 s. With `n` endpoints of which `m` are no newcomers, a
//! newcomer is proposed for `part/n` of the calls, and it takes a proposal only while its waiting calls are below
//! `max(1, 2 · part · mean waiting calls)` (twice, as calls come in bunches). So a newcomer that is slow gets less than
//! its part, never more.
//!
//! The others carry what newcomers do not. They must not be crushed by that: no endpoint shall get more than twice its
//! fair share, so `part` is never below `(n − 2m) / (n − m)`; and when all are new nobody is a newcomer.
//!
//! | n | newcomers | t | part | calls that newcomers get at most |
//! |---|---|---|---|---|
//! | 11 | 1 | 0 s | 10 % | 0.9 % |
//! | 11 | 1 | 30 s | 50 % | 4.5 % |
//! | 20 | 10 | 0 s | 10 % | 5 % |
//! | 10 | 9 | 0 s | 89 % | 80 %: the one old endpoint gets 20 %, twice its fair share |
//!
//! ```
//! # use policy::pick::part; use model::{Moment, SlowStart}; use std::time::Duration;
//! let rule = SlowStart::default(); // 60 s from 10 %
//! let grown = Moment::from_millis(60_000);
//! assert_eq!(part(&rule, grown, Moment::from_millis(0)), 0.1);
//! assert_eq!(part(&rule, grown, Moment::from_millis(30_000)), 0.5);
//! assert_eq!(part(&rule, grown, Moment::from_millis(60_000)), 1.0);
//! ```
//!
//! Source: Envoy's slow start (`min_weight` 10 %, aggression 1), which multiplies a weight; a cap because weights mean
//! nothing to a balancer of two choices.

use model::{Moment, SlowStart};

/// The part of a fair share that a newcomer which will be grown at `grown` may have now.
pub fn part(rule: &SlowStart, grown: Moment, now: Moment) -> f64 {
    let left = now.until(grown).as_nanos() as f64 / (rule.window.as_nanos() as f64).max(1.0);
    (1.0 - left).clamp(rule.from.part(), 1.0)
}

/// The least part that newcomers must take so that the `old` ones among `all` get at most twice their fair share.
pub fn part_at_least(old: usize, all: usize) -> f64 {
    let (old, all) = (old as f64, all as f64);
    if all > old { ((all - 2.0 * old) / (all - old)).max(0.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_endpoints_are_not_crushed_by_what_newcomers_do_not_take() {
        assert_eq!(part_at_least(10, 11), 0.0);
        assert_eq!(part_at_least(10, 20), 0.0);
        assert_eq!(part_at_least(1, 10), 8.0 / 9.0);
        assert_eq!(part_at_least(0, 4), 1.0);
        assert_eq!(part_at_least(4, 4), 0.0);
    }

    #[test]
    fn a_window_of_zero_is_over_at_once() {
        let rule = SlowStart { window: std::time::Duration::ZERO, ..SlowStart::default() };
        assert_eq!(part(&rule, Moment::from_millis(5), Moment::from_millis(5)), 1.0);
    }
}
