//! **What is usual for a service is the median, over its endpoints, of each endpoint's own 95th percentile.**
//!
//! "Slow" needs a measure that nobody has to configure. One quantile over all answers would do until one endpoint of
//! eleven turns slow: it makes 9 % of the answers, more than the 5 % above the quantile, and within a minute slow would
//! be the new usual. Each endpoint's own quantile, and the median of those, stays put until half of them are slow; then
//! it is the service that is slow, and resting endpoints would not help it.
//!
//! Each endpoint keeps one number: the longest of its first twenty answers, as one of twenty is above the quantile. It is
//! not believed before that: one quick answer, from a cache or to a health check, would make all that follow slow. From
//! then on an answer above it multiplies it by `1 + 0.95·g`, one below by `1 − 0.05·g`, `g = 5 %`: in balance, one answer
//! in twenty is above.
//!
//! ```
//! # use policy::health::Percentile95;
//! # use std::time::Duration;
//! let mut p = Percentile95::default();
//! for i in 0..2_000u64 {
//!     p.on_answer(Duration::from_millis(100 + 37 * i % 100)); // evenly between 100 and 199 ms
//! }
//! let found = p.value().unwrap().as_millis();
//! assert!((185..205).contains(&found), "{found}");
//! ```
//!
//! Source: the stochastic approximation of Robbins and Monro (1951) in logarithmic steps; Frugal streaming (Ma,
//! Muthukrishnan, Sandler, 2013) is the same idea with fixed steps.

use std::time::Duration;

const GAIN: f32 = 0.05;

/// So many answers make an estimate.
const ENOUGH: u32 = 20;
/// The last bits of the estimate count them; without those it is right to a part in 100,000, which is enough.
const COUNT: u32 = 31;

/// A running estimate of the time that 95 of 100 answers of one endpoint stay below.
#[derive(Clone, Copy, Debug, Default)]
pub struct Percentile95(u32);

impl Percentile95 {
    fn parts(self) -> (f32, u32) {
        (f32::from_bits(self.0 & !COUNT), self.0 & COUNT)
    }

    /// An answer came after `took`.
    pub fn on_answer(&mut self, took: Duration) {
        let took = took.as_secs_f32() * 1e9;
        let (estimate, count) = self.parts();
        let (estimate, count) = if count < ENOUGH {
            (estimate.max(took).max(1.0), count + 1)
        } else if took > estimate {
            (estimate * (1.0 + 0.95 * GAIN), count)
        } else {
            (estimate * (1.0 - 0.05 * GAIN), count)
        };
        self.0 = estimate.to_bits() & !COUNT | count;
    }

    /// The estimate; none before the first twenty answers.
    pub fn value(self) -> Option<Duration> {
        let (estimate, count) = self.parts();
        (count >= ENOUGH).then(|| Duration::from_nanos(estimate as u64))
    }
}

/// The lower median of what the endpoints have learned; none if none has. Sorts `values` in part.
pub fn usual(values: &mut [Duration]) -> Option<Duration> {
    let last = values.len().checked_sub(1)?;
    Some(*values.select_nth_unstable(last / 2).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn one_slow_endpoint_of_three_is_not_usual_two_are() {
        assert_eq!(usual(&mut [ms(170), ms(2000), ms(175)]), Some(ms(175)));
        assert_eq!(usual(&mut [ms(2100), ms(2000), ms(175)]), Some(ms(2000)));
        assert_eq!(usual(&mut [ms(2000), ms(175)]), Some(ms(175)));
        assert_eq!(usual(&mut []), None);
    }

    #[test]
    fn the_longest_of_the_first_twenty_is_where_it_begins() {
        let mut p = Percentile95::default();
        for n in 1..20u64 {
            p.on_answer(ms(if n == 3 { 100 } else { n }));
            assert_eq!(p.value(), None, "{n} answers");
        }
        p.on_answer(ms(2));
        assert!(p.value().is_some_and(|p| (ms(99)..=ms(100)).contains(&p)), "{:?}", p.value());
        // What takes no time at all can be exceeded.
        let mut p = Percentile95::default();
        (0..20).for_each(|_| p.on_answer(Duration::ZERO));
        (0..1_000).for_each(|_| p.on_answer(ms(10)));
        assert!(p.value().is_some_and(|p| p >= ms(9)));
    }

    #[test]
    fn it_follows_a_service_that_becomes_slower() {
        let mut p = Percentile95::default();
        for _ in 0..100 {
            p.on_answer(ms(10));
        }
        assert!(p.value().unwrap_or_default() <= ms(11));
        for _ in 0..60 {
            p.on_answer(ms(100));
        }
        assert!(p.value().unwrap_or_default() >= ms(95));
    }
}
