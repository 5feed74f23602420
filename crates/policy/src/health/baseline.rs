//! **What is usual for a service is the median, over its endpoints, of each endpoint's own 95th percentile.**
//!
//! "Slow" needs a measure that nobody has to configure. One quantile over all answers would do until one endpoint of
//! eleven turns slow: it makes 9 % of the answers, more than the 5 % above the quantile, and within a minute slow would
//! be the new usual. Each endpoint's own quantile, and the median of those, stays put until half of them are slow; then
//! it is the service that is slow, and resting endpoints would not help it.
//!
//! Each endpoint keeps one number. An answer above it multiplies it by `1 + 0.95·g`, one below by `1 − 0.05·g`,
//! `g = 5 %`: in balance, one answer in twenty is above.
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

/// A running estimate of the time that 95 of 100 answers of one endpoint stay below.
#[derive(Clone, Copy, Debug, Default)]
pub struct Percentile95(f32);

impl Percentile95 {
    /// An answer came after `took`.
    pub fn on_answer(&mut self, took: Duration) {
        let took = took.as_secs_f32() * 1e9;
        if self.0 <= 0.0 {
            self.0 = took;
        } else if took > self.0 {
            self.0 *= 1.0 + 0.95 * GAIN;
        } else {
            self.0 *= 1.0 - 0.05 * GAIN;
        }
    }

    /// The estimate; none before the first answer.
    pub fn value(self) -> Option<Duration> {
        (self.0 > 0.0).then(|| Duration::from_nanos(self.0 as u64))
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
