//! **An endpoint costs its latency, peak-sensitive, times the calls that wait there.**
//!
//! A mean forgives a stall for as long as it remembers the good times before it. This estimate jumps to a peak at
//! once and comes down slowly, so an endpoint that has begun to stall loses its next calls, not its next thousand.
//!
//! | sample | new estimate |
//! |---|---|
//! | an answer after `r`, `r` ≥ estimate | `r` |
//! | an answer after `r`, `r` < estimate | `estimate · w + r · (1 − w)`, `w = e^(−Δt/τ)`, τ = 10 s |
//! | no answer yet after `r` (caller gone, deadline, failure) | the larger of both: it would have taken at least `r` |
//!
//! `cost = estimate · e^(−Δt/τ) · (pending + 1 + strikes)`. Reading lets the estimate fall too, so that an endpoint
//! which nobody asks any more is asked again some time. A *strike* is a failed or shed answer: it weighs like one more
//! waiting call and fades with τ = 1 s. Without it an endpoint that fails fast would look idle and attract calls.
//! An endpoint that has not answered yet costs what its peers cost on average, and 1 s when no peer has answered
//! either: neither flooded nor starved.
//!
//! ```
//! # use policy::pick::Latency; use model::Moment; use std::time::Duration;
//! let ms = Duration::from_millis;
//! let mut slow = Latency::default();
//! slow.on_answer(Moment::from_millis(200), ms(200));
//! slow.on_answer(Moment::from_millis(1_200), ms(1_000));         // a peak counts at once
//! assert_eq!(slow.estimate(Moment::from_millis(1_200)), Some(ms(1_000)));
//! slow.on_answer(Moment::from_millis(11_200), ms(200));          // 10 s later: 1000/e + 200·(1 − 1/e)
//! assert_eq!(slow.estimate(Moment::from_millis(11_200)).unwrap().as_millis(), 494);
//! ```
//!
//! Source: Finagle's `PeakEwma`, tower's `load::PeakEwma`. Strikes and lower bounds are ours; the figure of 1 s for an
//! unknown endpoint is tower's.

use model::Moment;
use std::time::Duration;

/// How fast the estimate forgets.
const FORGET: f64 = 10e9;
/// How fast a strike fades.
const FADE: f64 = 1e9;

/// What an endpoint of which nothing is known is assumed to take when nothing is known of any.
pub const UNKNOWN: Duration = Duration::from_secs(1);

/// The latency of one endpoint, as estimated from here.
#[derive(Clone, Copy, Debug, Default)]
pub struct Latency {
    /// Nanoseconds at `stamp`; 0 before the first answer.
    estimate: f32,
    strikes: f32,
    stamp: Moment,
}

/// `e^(−elapsed/scale)`; for short times the first terms of its series, which differ by less than 1e-9.
fn fade(elapsed: Duration, scale: f64) -> f64 {
    let x = nanos(elapsed) / scale;
    if x < 0.01 { 1.0 - x * (1.0 - x * (0.5 - x / 6.0)) } else { libm::exp(-x) }
}

/// As 64 bits, which last for 584 years: the conversion from 128 bits is a slow one.
fn nanos(time: Duration) -> f64 {
    (time.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(time.subsec_nanos()))) as f64
}

impl Latency {
    /// An answer came after `took`.
    pub fn on_answer(&mut self, now: Moment, took: Duration) {
        let (took, elapsed) = (nanos(took), now.since(self.stamp));
        let estimate = f64::from(self.estimate);
        let w = fade(elapsed, FORGET);
        let new = if took >= estimate { took } else { estimate * w + took * (1.0 - w) };
        self.set(new, now);
    }

    /// No answer came in `took`: it can only have been slower. `usual` is what an unknown endpoint is taken for.
    pub fn on_at_least(&mut self, now: Moment, took: Duration, usual: Duration) {
        let known = self.estimate(now).unwrap_or(usual);
        if took > known {
            self.set(nanos(took), now);
        }
    }

    /// An answer that was a failure, or a refusal to take the call: it counts as one more waiting call for a while.
    pub fn on_strike(&mut self, now: Moment) {
        let estimate = f64::from(self.estimate) * fade(now.since(self.stamp), FORGET);
        self.set(estimate, now);
        self.strikes += 1.0;
    }

    /// What the next call would cost here, in nanoseconds times calls.
    pub fn cost(&self, now: Moment, pending: u32, usual: Duration) -> f64 {
        let elapsed = now.since(self.stamp);
        let known = self.estimate > 0.0;
        let estimate = if known { f64::from(self.estimate) * fade(elapsed, FORGET) } else { nanos(usual) };
        let strikes = if self.strikes > 0.0 { f64::from(self.strikes) * fade(elapsed, FADE) } else { 0.0 };
        estimate * (f64::from(pending) + 1.0 + strikes)
    }

    /// The estimate as read now; none before the first answer.
    pub fn estimate(&self, now: Moment) -> Option<Duration> {
        let read = f64::from(self.estimate) * fade(now.since(self.stamp), FORGET);
        (self.estimate > 0.0).then(|| Duration::from_nanos(read as u64))
    }

    /// Sets the estimate; strikes fade up to the same moment, as both share its stamp.
    fn set(&mut self, estimate: f64, now: Moment) {
        if self.strikes > 0.0 {
            self.fade_strikes(now);
        }
        self.estimate = estimate as f32;
        self.stamp = self.stamp.max(now);
    }

    #[inline(never)]
    fn fade_strikes(&mut self, now: Moment) {
        self.strikes = (f64::from(self.strikes) * fade(now.since(self.stamp), FADE)) as f32;
        if self.strikes < 0.01 {
            self.strikes = 0.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Moment {
        Moment::from_millis(ms)
    }
    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn no_answer_can_only_raise_the_estimate() {
        let mut l = Latency::default();
        l.on_answer(at(100), ms(100));
        l.on_at_least(at(100), ms(40), UNKNOWN);
        assert_eq!(l.estimate(at(100)), Some(ms(100)));
        l.on_at_least(at(1100), ms(1000), UNKNOWN);
        assert_eq!(l.estimate(at(1100)), Some(ms(1000)));
    }

    #[test]
    fn an_impatient_caller_does_not_make_an_unknown_endpoint_look_quick() {
        let mut l = Latency::default();
        l.on_at_least(at(1), ms(1), UNKNOWN);
        assert_eq!(l.estimate(at(1)), None);
        assert_eq!(l.cost(at(1), 0, UNKNOWN), 1e9);
        l.on_at_least(at(1500), ms(1500), UNKNOWN);
        assert_eq!(l.estimate(at(1500)), Some(ms(1500)));
    }

    #[test]
    fn failing_fast_costs_more_than_answering() {
        let (mut good, mut bad) = (Latency::default(), Latency::default());
        good.on_answer(at(100), ms(100));
        bad.on_answer(at(100), ms(100));
        for _ in 0..10 {
            bad.on_strike(at(101));
        }
        assert!(bad.cost(at(101), 0, UNKNOWN) > good.cost(at(101), 9, UNKNOWN));
        // A second later 10 strikes weigh 3.7.
        let weight = bad.cost(at(1101), 0, UNKNOWN) / good.cost(at(1101), 0, UNKNOWN);
        assert!((4.6..4.8).contains(&weight), "{weight}");
        // Ten seconds later they are gone.
        let weight = bad.cost(at(10_101), 0, UNKNOWN) / good.cost(at(10_101), 0, UNKNOWN);
        assert!((0.99..1.01).contains(&weight), "{weight}");
    }

    #[test]
    fn an_endpoint_that_nobody_asks_becomes_cheaper() {
        let mut l = Latency::default();
        l.on_answer(at(0), ms(2000));
        assert_eq!(l.cost(at(0), 0, UNKNOWN), 2e9);
        assert!(l.cost(at(30_000), 0, UNKNOWN) < 0.1e9);
    }

    #[test]
    fn the_series_meets_the_exponential() {
        for x in [0.0, 1e-6, 0.003, 0.009_999] {
            let elapsed = Duration::from_nanos((x * FORGET) as u64);
            assert!((fade(elapsed, FORGET) - libm::exp(-x)).abs() < 1e-9, "{x}");
        }
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_breaks_nothing() {
        let mut l = Latency::default();
        l.on_answer(at(500), ms(10));
        l.on_answer(at(400), ms(5));
        assert!(l.cost(at(300), 0, UNKNOWN).is_finite());
    }
}
