//! Chance in the world: one stream for each entity and purpose, so that a new draw in one place shifts no other.

use std::time::Duration;

/// What a stream is for; with the entity's number it names the stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Source {
    /// When clients come.
    Arrivals,
    /// What they ask for, and whether it may be carried out twice.
    Visits,
    /// Whether and when they try again.
    Reloads,
    /// An instance's work, and what it calls.
    Work,
    /// An instance's neighbours.
    Neighbours,
    /// The ways of one sidecar's messages.
    Network,
    /// The dice of one sidecar's policies.
    Policies,
    /// What is asked of a cache.
    Keys,
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64's output function (Steele, Lea and Flood, OOPSLA 2014).
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The seed of the stream of entity `number` for `source` in the run of `seed`.
pub(crate) fn seed_of(seed: u64, source: Source, number: u64) -> u64 {
    mix(mix(mix(seed.wrapping_add(GOLDEN)) ^ (source as u64 + 1)).wrapping_add(number.wrapping_mul(GOLDEN)))
}

/// A stream of chance.
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    /// The stream of entity number `number` in the run of `seed`, for tests and for scenarios made by lot.
    pub(crate) fn new(seed: u64, number: u64) -> Chance {
        Chance(mix(seed.wrapping_add(GOLDEN)) ^ mix(number.wrapping_add(1)))
    }

    /// The stream of entity `number` for `source` in the run of `seed`.
    pub(crate) fn of(seed: u64, source: Source, number: u64) -> Chance {
        Chance(seed_of(seed, source, number))
    }

    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// A number in `0..n`; 0 if `n` is 0.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.draw()) * u128::from(n)) >> 64) as u64
    }

    /// A number in `[0, 1)`.
    pub(crate) fn part(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Whether something with this probability happens. What cannot happen, and what must, costs no draw.
    pub(crate) fn happens(&mut self, probability: f64) -> bool {
        probability > 0.0 && (probability >= 1.0 || self.part() < probability)
    }

    /// A duration from `from` up to `to`, evenly.
    pub(crate) fn between(&mut self, from: Duration, to: Duration) -> Duration {
        let width = to.saturating_sub(from).as_nanos() as u64;
        from.saturating_add(Duration::from_nanos(self.below(width.saturating_add(1))))
    }

    /// Exponentially distributed with mean 1.
    pub(crate) fn exponential(&mut self) -> f64 {
        -libm::log(1.0 - self.part())
    }

    /// Normally distributed with mean 0 and deviation 1 (Box and Muller, 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        let (u, v) = (1.0 - self.part(), self.part());
        libm::sqrt(-2.0 * libm::log(u)) * libm::cos(2.0 * std::f64::consts::PI * v)
    }

    /// How often something is done that is done `times` on average: the whole part always, the rest by lot.
    pub(crate) fn times(&mut self, times: f64) -> u32 {
        let whole = times as u32;
        whole + u32::from(self.happens(times - f64::from(whole)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_and_variance(mut draw: impl FnMut() -> f64) -> (f64, f64) {
        let draws: Vec<f64> = (0..40_000).map(|_| draw()).collect();
        let mean = draws.iter().sum::<f64>() / 40_000.0;
        (mean, draws.iter().map(|d| (d - mean) * (d - mean)).sum::<f64>() / 40_000.0)
    }

    #[test]
    fn distributions_have_their_means_and_deviations() {
        let mut chance = Chance::new(1, 2);
        let (mean, variance) = mean_and_variance(|| chance.normal());
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.04, "{mean} {variance}");
        let (mean, variance) = mean_and_variance(|| chance.exponential());
        assert!((mean - 1.0).abs() < 0.02 && (variance - 1.0).abs() < 0.06, "{mean} {variance}");
        let (mean, variance) = mean_and_variance(|| f64::from(chance.times(1.7)));
        assert!((mean - 1.7).abs() < 0.01 && (variance - 0.21).abs() < 0.01, "{mean} {variance}");
    }

    #[test]
    fn sources_differ_and_seeds_repeat() {
        let draws = |seed, source, number| Chance::of(seed, source, number).below(1 << 40);
        assert_eq!(draws(1, Source::Work, 1), draws(1, Source::Work, 1));
        let others = [(2, Source::Work, 1), (1, Source::Keys, 1), (1, Source::Work, 2)];
        for (seed, source, number) in others {
            assert_ne!(draws(1, Source::Work, 1), draws(seed, source, number));
        }
    }

    #[test]
    fn what_must_happen_or_cannot_costs_no_draw() {
        let (mut one, mut two) = (Chance::new(5, 5), Chance::new(5, 5));
        assert!(one.happens(1.0) && !one.happens(0.0));
        assert_eq!(one.times(3.0), 3);
        assert_eq!(one.below(1000), two.below(1000));
    }
}
