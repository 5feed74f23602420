//! Random draws for workloads: uniform, normal and exponential, from a small
//! generator of our own so that a seed gives the same workload everywhere.

use crate::span;
use std::time::Duration;

/// A generator of pseudo-random numbers (SplitMix64: Steele, Lea and Flood,
/// "Fast splittable pseudorandom number generators", 2014).
#[derive(Debug, Clone)]
pub struct Draws {
    state: u64,
}

impl Draws {
    /// A generator that yields the same numbers for the same seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 (included) to 1 (excluded).
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A draw from the exponential distribution with mean 1: the gaps of a
    /// Poisson process.
    pub fn exponential(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }

    /// A draw from the normal distribution with mean 0 and deviation 1
    /// (Box and Muller's transform).
    pub fn normal(&mut self) -> f64 {
        let radius = (2.0 * self.exponential()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }
}

/// How long a back end takes for one request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ServiceTime {
    mean: Duration,
    spread: Spread,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Spread {
    Uniform(Duration),
    Normal(Duration),
}

impl ServiceTime {
    /// Always the same time.
    #[must_use]
    pub fn fixed(mean: Duration) -> Self {
        Self { mean, spread: Spread::Uniform(Duration::ZERO) }
    }

    /// Reads `167ms` (fixed), `167ms±5ms` or `167ms+-5ms` (uniform), `167ms~5ms`
    /// (normal with that deviation).
    ///
    /// # Errors
    /// Names the part that is no span of time.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (mean, spread) = match (split(text, &["±", "+-"]), split(text, &["~"])) {
            (Some((mean, width)), _) => (mean, Spread::Uniform(span::parse(width)?)),
            (None, Some((mean, deviation))) => (mean, Spread::Normal(span::parse(deviation)?)),
            (None, None) => (text, Spread::Uniform(Duration::ZERO)),
        };
        Ok(Self { mean: span::parse(mean)?, spread })
    }

    /// One draw, never below zero.
    pub fn draw(&self, draws: &mut Draws) -> Duration {
        let offset = match self.spread {
            Spread::Uniform(width) => width.as_secs_f64() * (2.0 * draws.unit() - 1.0),
            Spread::Normal(deviation) => deviation.as_secs_f64() * draws.normal(),
        };
        Duration::try_from_secs_f64(self.mean.as_secs_f64() + offset).unwrap_or(Duration::ZERO)
    }

    /// The mean of the draws.
    #[must_use]
    pub fn mean(&self) -> Duration {
        self.mean
    }
}

fn split<'a>(text: &'a str, marks: &[&str]) -> Option<(&'a str, &'a str)> {
    marks.iter().find_map(|mark| text.split_once(mark))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn mean_and_deviation(mut draw: impl FnMut() -> f64) -> (f64, f64) {
        let values: Vec<f64> = (0..20_000).map(|_| draw()).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
        (mean, variance.sqrt())
    }

    #[test]
    fn distributions_have_their_moments() {
        let mut draws = Draws::new(7);
        let (mean, deviation) = mean_and_deviation(|| draws.exponential());
        assert!((mean - 1.0).abs() < 0.03 && (deviation - 1.0).abs() < 0.05);
        let (mean, deviation) = mean_and_deviation(|| draws.normal());
        assert!(mean.abs() < 0.03 && (deviation - 1.0).abs() < 0.03);
    }

    #[test]
    fn a_service_time_keeps_its_mean_and_width() {
        let mut draws = Draws::new(7);
        for (text, deviation) in [("167ms", 0.0), ("167ms±5ms", 5.0 / 3f64.sqrt()), ("167ms~5ms", 5.0)] {
            let time = ServiceTime::parse(text).unwrap();
            let (mean, seen) = mean_and_deviation(|| time.draw(&mut draws).as_secs_f64() * 1e3);
            assert!((mean - 167.0).abs() < 0.2, "{text}: mean {mean}");
            assert!((seen - deviation).abs() < 0.2, "{text}: deviation {seen}");
        }
    }

    #[test]
    fn a_wide_normal_never_goes_below_zero() {
        let time = ServiceTime::parse("1ms~100ms").unwrap();
        let mut draws = Draws::new(7);
        assert!((0..1000).any(|_| time.draw(&mut draws).is_zero()));
    }
}
