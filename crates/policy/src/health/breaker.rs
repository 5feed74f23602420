//! **An endpoint rests when more than half of its recent calls failed or were slow; it comes back by probes.**
//!
//! A caller that waits for a sick endpoint holds a thread and a connection, and the endpoint gets more work than it can
//! do. Resting it is kind to both. The breaker of the outage of 2018 could not trip: its limit for slow calls stood at
//! 60 s behind a timeout of 3 s. Here slow is measured against what is usual ([`super::baseline`]):
//! `slow = max(20 ms, min(total timeout, 5 × usual))`, which a timeout always reaches.
//!
//! ```text
//!             > 50 % of ≥ 20 calls failed, or were slow
//!  admitting ────────────────────────────────────────────► resting   5, 10, 20, 40, 60, 60 … s, + up to 25 % by lot
//!      ▲                                                    │    ▲
//!      │ 3 good of each share                     time over │    │ the first probe bad, or 2 bad later
//!      └──────────────────────── probing ◄──────────────────┘    │
//!                                1 % → 5 % → 25 % of its share ──┘
//! ```
//!
//! Calls are counted in 8 buckets of an eighth of the window each. The newest buckets are judged first, two at least,
//! then ever older ones: an endpoint that has just turned bad trips on its last 20 calls and does not have to wait until
//! its good past has left the window. Bad calls that began before the present state are not counted in it. The rests
//! start from 5 s again after an endpoint has admitted for a minute.
//!
//! | calls/s of an endpoint | all bad from now on: trips after |
//! |---|---|
//! | 100 | about 0.2 s, as soon as the bad outnumber the good of the last bucket or two |
//! | 2 | 10 s, with the 20th call |
//! | 1 | never by share: too few calls to tell; ejection ([`super::outlier`]) counts in a row |
//!
//! ```
//! # use policy::health::{Breaker, Seen}; use model::{Breaker as Rule, Moment};
//! let (rule, mut breaker) = (Rule::default(), Breaker::default());
//! let at = Moment::from_millis;
//! for i in 0..19 { assert!(breaker.on_call(&rule, at(10 * i), at(0), Seen::Failed).is_none()); }
//! assert!(breaker.on_call(&rule, at(190), at(0), Seen::Failed).is_some()); // the 20th
//! ```
//!
//! Source: resilience4j's breaker (shares of failed and of slow calls, minimum of calls); the ramp instead of a fixed
//! number of half-open calls, and the baseline, are ours.

use crate::{Cause, Change, Dice, Purpose};
use model::{Breaker as Rule, Moment};
use std::time::Duration;

const BUCKETS: usize = 8;
/// The parts of a full share that an endpoint gets while it is being probed.
pub const RAMP: [f64; 3] = [0.01, 0.05, 0.25];
/// So many good probes lead on to the next part.
const GOOD: u8 = 3;
/// So many bad ones lead back to rest, once a first part has gone well.
const BAD: u8 = 2;

/// How a call went, as the breaker sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seen {
    /// In time and without failure.
    Good,
    /// It failed.
    Failed,
    /// It took longer than it should, or had not answered by then.
    Slow,
    /// Its answer, which was seen before as it began, broke off.
    BrokeOff,
}

/// What the breaker lets through.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Verdict {
    /// A full share.
    Admit,
    /// Nothing, until then.
    Rest {
        /// When probes begin.
        until: Moment,
    },
    /// This part of a full share.
    Probe {
        /// Of 1.
        part: f64,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Phase {
    #[default]
    Admitting,
    /// It shall rest; how long exactly is still to be drawn.
    Tripped(Cause),
    Resting,
    Probing,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    calls: u16,
    failed: u16,
    slow: u16,
}

/// The breaker of one endpoint.
#[derive(Clone, Copy, Debug, Default)]
pub struct Breaker {
    buckets: [Bucket; BUCKETS],
    /// Which eighth of a window the newest bucket stands for, counted from the start of time; its last 32 bits.
    newest: u32,
    phase: Phase,
    /// Good probes in all, and bad ones at the present part.
    good: u8,
    bad: u8,
    rests: u8,
    /// When the phase began; for a rest, when it ends.
    mark: Moment,
}

impl Breaker {
    /// A call that began at `began` has ended so. If it must rest now, says why; the rest takes effect at once, its
    /// length is settled by [`Breaker::on_time`].
    pub fn on_call(&mut self, rule: &Rule, now: Moment, began: Moment, seen: Seen) -> Option<Cause> {
        if began < self.mark {
            return None;
        }
        match self.phase {
            Phase::Admitting => self.count(rule, now, seen),
            Phase::Probing => self.probed(seen),
            Phase::Tripped(_) | Phase::Resting => None,
        }
    }

    /// Gives it the rest that [`Breaker::on_call`] spoke of.
    pub fn rest(&mut self, rule: &Rule, now: Moment, cause: Cause) {
        let long_ago = self.phase == Phase::Admitting && now.since(self.mark) >= rule.rest_at_most;
        self.rests = if long_ago { 1 } else { self.rests.saturating_add(1) };
        let doubled =
            rule.rest.saturating_mul(1u32.checked_shl(u32::from(self.rests) - 1).unwrap_or(u32::MAX));
        self.enter(Phase::Tripped(cause), now.after(doubled.min(rule.rest_at_most)));
    }

    /// Begins to probe: a rest is over, or the endpoint returns from somewhere else.
    pub fn probe(&mut self, now: Moment) {
        self.enter(Phase::Probing, now);
    }

    /// Goes on where time alone decides. Draws the length of a new rest, so that callers which tripped together do
    /// not probe together.
    pub fn on_time(&mut self, now: Moment, dice: &mut impl Dice) -> Option<(Change, Cause)> {
        match self.phase {
            Phase::Tripped(cause) => {
                let rest = now.until(self.mark);
                self.mark = self.mark.after(rest.mul_f64(dice.part(Purpose::Probe) / 4.0));
                self.phase = Phase::Resting;
                Some((Change::Resting, cause))
            }
            Phase::Resting if now >= self.mark => {
                self.probe(now);
                Some((Change::Probing, Cause::Time))
            }
            _ => None,
        }
    }

    /// What it lets through now.
    pub fn verdict(&self, now: Moment) -> Verdict {
        match self.phase {
            Phase::Admitting => Verdict::Admit,
            Phase::Tripped(_) | Phase::Resting if now < self.mark => Verdict::Rest { until: self.mark },
            Phase::Tripped(_) | Phase::Resting => Verdict::Probe { part: RAMP[0] },
            Phase::Probing => Verdict::Probe { part: RAMP[self.step().min(RAMP.len() - 1)] },
        }
    }

    /// When time alone changes the verdict.
    pub fn next_wakeup(&self) -> Option<Moment> {
        matches!(self.phase, Phase::Tripped(_) | Phase::Resting).then_some(self.mark)
    }

    fn enter(&mut self, phase: Phase, mark: Moment) {
        *self = Breaker { phase, mark, rests: self.rests, ..Breaker::default() };
    }

    fn count(&mut self, rule: &Rule, now: Moment, seen: Seen) -> Option<Cause> {
        self.turn(rule.window, now);
        let bucket = &mut self.buckets[self.newest as usize % BUCKETS];
        if bucket.calls == u16::MAX {
            // Shares are what counts: halving keeps them.
            *bucket = Bucket { calls: bucket.calls / 2, failed: bucket.failed / 2, slow: bucket.slow / 2 };
        }
        // Each call is one: what broke off was counted when it began.
        bucket.calls += u16::from(seen != Seen::BrokeOff);
        match seen {
            Seen::Good => return None,
            Seen::Failed | Seen::BrokeOff => bucket.failed = bucket.failed.saturating_add(1),
            Seen::Slow => bucket.slow += 1,
        }
        self.judge(rule)
    }

    /// Looks at the newest two buckets, then at ever more of them.
    fn judge(&self, rule: &Rule) -> Option<Cause> {
        let (mut calls, mut failed, mut slow) = (0u32, 0u32, 0u32);
        for age in 0..BUCKETS {
            let bucket = self.buckets[(self.newest as usize + BUCKETS - age) % BUCKETS];
            calls += u32::from(bucket.calls);
            failed += u32::from(bucket.failed);
            slow += u32::from(bucket.slow);
            if age == 0 || calls < rule.minimum_calls {
                continue;
            }
            let over = |part: u32, limit: model::Share| f64::from(part) > limit.part() * f64::from(calls);
            if over(failed, rule.failures) {
                return Some(Cause::Failures);
            }
            if over(slow, rule.slow) {
                return Some(Cause::Slowness);
            }
        }
        None
    }

    /// Empties the buckets that stand for times since the last call. Their numbers wrap. One that is a little behind is
    /// of somebody who looked at the clock earlier; one that is far behind, of a reload that made the window longer, and
    /// what was counted by another measure is forgotten.
    fn turn(&mut self, window: Duration, now: Moment) {
        let width = (window.as_nanos() as u64 / BUCKETS as u64).max(1);
        let current = (now.as_nanos() / width) as u32;
        let (passed, behind) = (current.wrapping_sub(self.newest), self.newest.wrapping_sub(current));
        if passed == 0 || behind < BUCKETS as u32 {
            return;
        }
        for i in 1..=passed.min(BUCKETS as u32) {
            self.buckets[self.newest.wrapping_add(i) as usize % BUCKETS] = Bucket::default();
        }
        self.newest = current;
    }

    /// How many parts of the ramp have gone well.
    fn step(&self) -> usize {
        usize::from(self.good / GOOD)
    }

    fn probed(&mut self, seen: Seen) -> Option<Cause> {
        if seen == Seen::Good {
            self.good = self.good.saturating_add(1);
            if self.good.is_multiple_of(GOOD) {
                self.bad = 0;
            }
            return None;
        }
        self.good = self.good.saturating_sub(u8::from(seen == Seen::BrokeOff));
        self.bad = self.bad.saturating_add(1);
        (self.step() == 0 || self.bad >= BAD).then_some(Cause::ProbeFailed)
    }

    /// Whether its last probes have earned it the full share; if so it admits from now on.
    pub fn admits_again(&mut self, now: Moment) -> bool {
        let earned = self.phase == Phase::Probing && self.step() >= RAMP.len();
        if earned {
            self.enter(Phase::Admitting, now);
        }
        earned
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Streams;

    const RULE: fn() -> Rule = Rule::default;

    const fn at(ms: u64) -> Moment {
        Moment::from_millis(ms)
    }

    /// One call every `gap` ms in `from..to`; the moment at which it trips.
    fn calls(breaker: &mut Breaker, from: u64, to: u64, gap: u64, seen: impl Fn(u64) -> Seen) -> Option<u64> {
        (from..to)
            .step_by(gap as usize)
            .find(|&ms| breaker.on_call(&RULE(), at(ms), at(ms), seen(ms)).is_some())
    }

    /// A breaker that tripped at `ms` and rests by the seed's lot.
    fn resting(ms: u64) -> Breaker {
        let mut breaker = Breaker::default();
        breaker.rest(&RULE(), at(ms), Cause::Slowness);
        assert_eq!(breaker.on_time(at(ms), &mut Streams::new(1)), Some((Change::Resting, Cause::Slowness)));
        breaker
    }

    #[test]
    fn nineteen_calls_are_too_few_twenty_are_enough() {
        for seen in [Seen::Failed, Seen::Slow] {
            assert_eq!(calls(&mut Breaker::default(), 0, 9_500, 500, |_| seen), None);
            assert_eq!(calls(&mut Breaker::default(), 0, 10_000, 500, |_| seen), Some(9_500));
        }
    }

    #[test]
    fn two_bad_of_five_are_not_more_than_half() {
        let some = |ms: u64| if ms / 10 % 5 < 3 { Seen::Good } else { Seen::Failed };
        assert_eq!(calls(&mut Breaker::default(), 0, 60_000, 10, some), None);
        let most = |ms: u64| if (ms / 10).is_multiple_of(3) { Seen::Good } else { Seen::Failed };
        assert!(calls(&mut Breaker::default(), 0, 60_000, 10, most).is_some());
    }

    #[test]
    fn a_good_past_does_not_hide_a_bad_present() {
        let mut breaker = Breaker::default();
        assert_eq!(calls(&mut breaker, 0, 30_000, 10, |_| Seen::Good), None);
        // 100 calls/s: two buckets of 1.25 s hold at most 250 good ones.
        let tripped = calls(&mut breaker, 30_000, 40_000, 10, |_| Seen::Slow);
        assert!(tripped.is_some_and(|ms| ms < 32_500), "{tripped:?}");
    }

    #[test]
    fn calls_older_than_the_window_are_forgotten() {
        let mut breaker = Breaker::default();
        assert_eq!(calls(&mut breaker, 0, 190, 10, |_| Seen::Failed), None);
        assert_eq!(breaker.on_call(&RULE(), at(10_200), at(10_200), Seen::Failed), None);
        assert_eq!(breaker.on_call(&RULE(), at(900_000), at(900_000), Seen::Failed), None);
    }

    #[test]
    fn rests_double_up_to_a_minute_and_start_again_after_a_good_one() {
        let mut breaker = Breaker::default();
        let mut now = 1_000;
        for rest in [5_000, 10_000, 20_000, 40_000, 60_000, 60_000] {
            breaker.rest(&RULE(), at(now), Cause::Failures);
            assert_eq!(breaker.verdict(at(now)), Verdict::Rest { until: at(now + rest) });
            now += rest;
            breaker.probe(at(now));
        }
        breaker.enter(Phase::Admitting, at(now));
        breaker.rest(&RULE(), at(now + 60_000), Cause::Failures);
        assert_eq!(breaker.next_wakeup(), Some(at(now + 65_000)));
    }

    #[test]
    fn the_lot_adds_up_to_a_quarter_and_probes_begin_then() {
        let mut breaker = resting(1_000);
        let until = breaker.next_wakeup().unwrap_or_default();
        assert!((at(6_000)..at(7_250)).contains(&until));
        assert_eq!(breaker.on_time(at(5_999), &mut Streams::new(1)), None);
        assert_eq!(breaker.on_time(until, &mut Streams::new(1)), Some((Change::Probing, Cause::Time)));
        assert_eq!(breaker.verdict(until), Verdict::Probe { part: 0.01 });
    }

    #[test]
    fn nine_good_probes_lead_back() {
        let mut breaker = resting(0);
        breaker.probe(at(6_000));
        for (i, part) in [0.01, 0.01, 0.01, 0.05, 0.05, 0.05, 0.25, 0.25, 0.25].into_iter().enumerate() {
            let now = at(6_000 + i as u64);
            assert_eq!(breaker.verdict(now), Verdict::Probe { part });
            assert!(!breaker.admits_again(now));
            assert_eq!(breaker.on_call(&RULE(), now, now, Seen::Good), None);
        }
        assert!(breaker.admits_again(at(6_009)));
        assert_eq!(breaker.verdict(at(6_009)), Verdict::Admit);
    }

    #[test]
    fn the_first_bad_probe_leads_to_rest_a_later_one_is_forgiven() {
        let mut breaker = resting(0);
        breaker.probe(at(6_000));
        assert_eq!(breaker.on_call(&RULE(), at(7_000), at(6_500), Seen::Slow), Some(Cause::ProbeFailed));
        breaker.probe(at(6_000));
        for _ in 0..3 {
            breaker.on_call(&RULE(), at(6_100), at(6_000), Seen::Good);
        }
        assert_eq!(breaker.on_call(&RULE(), at(6_100), at(6_000), Seen::Failed), None);
        assert_eq!(breaker.on_call(&RULE(), at(6_100), at(6_000), Seen::Failed), Some(Cause::ProbeFailed));
    }

    #[test]
    fn calls_that_began_before_the_rest_say_nothing_of_the_probes() {
        let mut breaker = resting(0);
        breaker.probe(at(6_000));
        assert_eq!(breaker.on_call(&RULE(), at(6_001), at(5_000), Seen::Failed), None);
        assert_eq!(breaker.verdict(at(6_001)), Verdict::Probe { part: 0.01 });
    }

    #[test]
    fn a_longer_window_counts_from_the_reload_on() {
        let mut breaker = Breaker::default();
        let day = 86_400_000;
        assert_eq!(calls(&mut breaker, day, day + 10_000, 1_000, |_| Seen::Failed), None);
        // Eight buckets of 10 s each from now on: the 20 calls are never within two of them, and still in time.
        let longer = Rule { window: Duration::from_secs(80), ..RULE() };
        let late = |now: u64| breaker.on_call(&longer, at(now), at(now), Seen::Failed);
        let tripped =
            (day + 10_000..day + 600_000).step_by(3_000).map(late).position(|cause| cause.is_some());
        assert_eq!(tripped, Some(19));
    }

    #[test]
    fn buckets_that_are_counted_for_years_still_turn() {
        let short = Rule { window: Duration::from_millis(1), minimum_calls: 2, ..RULE() };
        let nanos = |n: u64| Moment::from_nanos(n);
        let mut breaker = Breaker::default();
        // 2^32 buckets of 125 µs: 6.2 days.
        let wraps = (1u64 << 32) * 125_000;
        for n in [wraps - 1, wraps + 125_000, wraps * 5 - 1, wraps * 5 + 125_000, wraps * 7 + (wraps >> 1)] {
            // A good past that is longer ago than the window hides nothing.
            for _ in 0..9 {
                assert_eq!(breaker.on_call(&short, nanos(n), nanos(n), Seen::Good), None);
            }
            let later = nanos(n + 1_000_000);
            assert_eq!(breaker.on_call(&short, later, later, Seen::Failed), None);
            assert_eq!(breaker.on_call(&short, later, later, Seen::Failed), Some(Cause::Failures), "{n}");
        }
    }

    #[test]
    fn who_looked_at_the_clock_a_little_earlier_takes_nothing_back() {
        let mut breaker = Breaker::default();
        assert_eq!(calls(&mut breaker, 1_000, 1_190, 10, |_| Seen::Failed), None);
        assert_eq!(breaker.on_call(&RULE(), at(1_260), at(0), Seen::Good), None);
        assert_eq!(breaker.on_call(&RULE(), at(1_240), at(0), Seen::Failed), Some(Cause::Failures));
    }

    #[test]
    fn the_largest_minimum_is_reached_by_whatever_is_enough() {
        let rule = Rule { minimum_calls: Rule::MINIMUM_CALLS_AT_MOST, ..RULE() };
        for calls in [32_767, 65_535, 65_536, 98_302, 131_071] {
            let mut breaker = Breaker::default();
            let trips = (0..9u64).any(|n| {
                let now = at(1_250 * n);
                (0..calls).any(|_| breaker.on_call(&rule, now, now, Seen::Failed).is_some())
            });
            assert!(trips, "{calls} calls in each bucket");
        }
    }

    #[test]
    fn the_counters_do_not_overflow() {
        // The only endpoint of a service is not rested, however many probes fail.
        let mut probed = resting(0);
        probed.probe(at(6_000));
        for _ in 0..300 {
            assert_eq!(probed.on_call(&RULE(), at(6_100), at(6_000), Seen::Failed), Some(Cause::ProbeFailed));
        }
        let mut breaker = Breaker::default();
        for _ in 0..200_000 {
            assert_eq!(breaker.on_call(&RULE(), at(1), at(1), Seen::Good), None);
        }
        assert_eq!(breaker.on_call(&RULE(), at(1), at(1), Seen::Failed), None);
    }
}
