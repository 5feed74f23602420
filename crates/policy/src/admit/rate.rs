//! **A key may send so many requests a second, and after a quiet time so many at once.**
//!
//! A key is whoever shall have a rate of its own: an identity, a route, the whole edge. Counting in windows of a second
//! lets twice the rate through around a window's border and needs a counter for each window; this rule (GCRA, the
//! generic cell rate algorithm) is exact at any moment and keeps one timestamp of 8 bytes for a key. The timestamp is
//! when the next request would come if all had come evenly; whoever is ahead of it by more than the burst is refused,
//! and a refusal costs nothing.
//!
//! `T = 1 s / rate` · `due' = max(now, due) + T` · go on if `due' − now ≤ T · burst`, and only then `due := due'`
//!
//! T is rounded up to whole nanoseconds, so that the rate is never exceeded; at a million a second it is kept to within
//! a thousandth.
//!
//! | rate | burst | offered | let through |
//! |---|---|---|---|
//! | 10/s | 5 | 20 at once after a quiet second, then nothing | 5 |
//! | 10/s | 5 | 20/s for a minute | 5 + 10/s |
//! | 2,200/s | 220 | 2,810/s, the peak of the outage of 2018 | 78 % |
//!
//! A static rate is a cliff: it refuses where there is room, and lets through what the services behind it cannot do.
//! It also protects only where it stands; the limiter of 2018 stood before half of the pages.
//!
//! ```
//! # use policy::admit::{Allowance, Verdict}; use model::{Moment, Rate};
//! let (rule, at) = (Rate { per_second: 10.0, burst: 2 }, Moment::from_millis);
//! let mut key = Allowance::default();
//! let mut goes = |ms| key.on_call(&rule, at(ms)) == Verdict::Go;
//! assert_eq!([0, 0, 0, 99, 100, 101].map(|ms| goes(ms)), [true, true, false, false, true, false]);
//! assert_eq!(key.next_at(&rule), at(200)); // what Retry-After is made of
//! ```
//!
//! Source: ITU-T I.371 (2004), annex A: the virtual scheduling form.

use super::Verdict;
use model::{Moment, Rate, Reason};

/// What one key may still send: one timestamp, 8 bytes. A new one has its whole burst.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Allowance {
    /// When the next request would come if all had come evenly.
    due: Moment,
}

const _: () = assert!(size_of::<Allowance>() == 8);

impl Allowance {
    /// A request has come: [`Verdict::Go`], or [`Verdict::Refuse`] with [`Reason::RateOverLimit`].
    pub fn on_call(&mut self, rule: &Rate, now: Moment) -> Verdict {
        match interval(rule) {
            Some(nanos) if now >= self.next_at(rule) => {
                let from = self.due.max(now).as_nanos();
                self.due = Moment::from_nanos(from.saturating_add(nanos));
                Verdict::Go
            }
            _ => Verdict::Refuse(Reason::RateOverLimit),
        }
    }

    /// From when on a request would be let through; never, if the rate is zero.
    pub fn next_at(&self, rule: &Rate) -> Moment {
        let Some(nanos) = interval(rule) else { return Moment::NEVER };
        let ahead = nanos.saturating_mul(u64::from(rule.burst.saturating_sub(1)));
        Moment::from_nanos(self.due.as_nanos().saturating_sub(ahead))
    }
}

/// The time between two requests that come evenly, in nanoseconds.
fn interval(rule: &Rate) -> Option<u64> {
    // A float that is too large becomes the largest number: longer than anything lives.
    (rule.per_second > 0.0).then(|| ((1e9 / rule.per_second).ceil() as u64).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// How many of the requests that come evenly, `offered` a second for so many seconds, are let through.
    fn through(rule: Rate, offered: u64, seconds: u64) -> u64 {
        let mut key = Allowance::default();
        let begin = Moment::from_millis(3_600_000);
        let gap = Duration::from_nanos(1_000_000_000 / offered);
        (0..offered * seconds)
            .filter(|&i| key.on_call(&rule, begin.after(gap * i as u32)) == Verdict::Go)
            .count() as u64
    }

    #[test]
    fn the_table_holds() {
        let rule = Rate { per_second: 10.0, burst: 5 };
        let mut key = Allowance::default();
        let now = Moment::from_millis(1_000);
        let at_once = (0..20).filter(|_| key.on_call(&rule, now) == Verdict::Go).count();
        assert_eq!(at_once, 5);
        // 10/s, the first of them at once, and the 4 others of the burst.
        assert_eq!(through(rule, 20, 60), 604);
        let peak = through(Rate { per_second: 2_200.0, burst: 220 }, 2_810, 60) as f64 / (2_810.0 * 60.0);
        assert!((0.782..0.785).contains(&peak), "{peak}");
    }

    #[test]
    fn what_stays_below_the_rate_is_never_refused() {
        for burst in [0, 1, 7] {
            assert_eq!(through(Rate { per_second: 1_000.0, burst }, 1_000, 10), 10_000, "burst {burst}");
            assert_eq!(through(Rate { per_second: 1_000.0, burst }, 333, 10), 3_330, "burst {burst}");
        }
    }

    #[test]
    fn refusals_cost_nothing_and_say_when_to_come_back() {
        let rule = Rate { per_second: 4.0, burst: 1 };
        let (mut patient, mut eager) = (Allowance::default(), Allowance::default());
        let at = Moment::from_millis;
        assert_eq!(patient.on_call(&rule, at(10)), eager.on_call(&rule, at(10)));
        for ms in 11..260 {
            assert_eq!(eager.on_call(&rule, at(ms)), Verdict::Refuse(Reason::RateOverLimit));
        }
        assert_eq!(eager, patient);
        assert_eq!(eager.next_at(&rule), at(260));
        assert_eq!(eager.on_call(&rule, at(260)), Verdict::Go);
    }

    #[test]
    fn any_figures_do() {
        let mut key = Allowance::default();
        for per_second in [0.0, -1.0, f64::NAN, f64::NEG_INFINITY] {
            let none = Rate { per_second, burst: 9 };
            assert_eq!(key.on_call(&none, Moment::NEVER), Verdict::Refuse(Reason::RateOverLimit));
            assert_eq!(key.next_at(&none), Moment::NEVER);
        }
        let once = Rate { per_second: f64::MIN_POSITIVE, burst: 1 };
        assert_eq!(Allowance::default().on_call(&once, Moment::ZERO), Verdict::Go);
        let daily = Rate { per_second: 1.0 / 86_400.0, burst: 1 };
        assert_eq!(through(daily, 1, 86_401), 2);
        let all = Rate { per_second: f64::INFINITY, burst: u32::MAX };
        assert_eq!(key.on_call(&all, Moment::ZERO), Verdict::Go);
        assert_eq!(key.on_call(&all, Moment::NEVER), Verdict::Go);
        assert_eq!(key.on_call(&all, Moment::ZERO), Verdict::Refuse(Reason::RateOverLimit));
        // A new rate holds at once.
        let slow = Rate { per_second: 1.0, burst: 1 };
        let mut key = Allowance::default();
        assert_eq!(key.on_call(&slow, Moment::from_millis(5)), Verdict::Go);
        assert_eq!(key.next_at(&slow), Moment::from_millis(1_005));
        assert_eq!(key.next_at(&Rate { per_second: 1.0, burst: 2 }), Moment::from_millis(5));
    }
}
