//! Chance in the world: one stream for each source, so that a new draw in one place shifts no other.

use policy::{Dice, Purpose, Streams};
use std::time::Duration;

/// A stream of chance.
#[derive(Clone, Debug)]
pub(crate) struct Chance(Streams);

impl Chance {
    /// The stream of source number `source` in the run of `seed`.
    pub(crate) fn new(seed: u64, source: u64) -> Chance {
        let mut mixer = Streams::new(seed);
        let salt = mixer.draw(Purpose::Pick);
        Chance(Streams::new(salt ^ source.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// A number in `0..n`; 0 if `n` is 0.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0.below(Purpose::Pick, n)
    }

    /// Whether something with this probability happens.
    pub(crate) fn happens(&mut self, probability: f64) -> bool {
        self.0.part(Purpose::Pick) < probability
    }

    /// Normally distributed around `mean`, never below zero (Box and Muller, 1958).
    pub(crate) fn normal(&mut self, mean: Duration, deviation: Duration) -> Duration {
        let (u, v) = (1.0 - self.0.part(Purpose::Pick), self.0.part(Purpose::Pick));
        let z = libm::sqrt(-2.0 * libm::log(u)) * libm::cos(2.0 * std::f64::consts::PI * v);
        Duration::from_secs_f64((mean.as_secs_f64() + z * deviation.as_secs_f64()).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_one_has_its_mean_and_deviation() {
        let mut chance = Chance::new(1, 2);
        let ms = Duration::from_millis;
        let draws: Vec<f64> =
            (0..20_000).map(|_| chance.normal(ms(167), ms(5)).as_secs_f64() * 1e3).collect();
        let mean = draws.iter().sum::<f64>() / 20_000.0;
        let variance = draws.iter().map(|d| (d - mean) * (d - mean)).sum::<f64>() / 20_000.0;
        assert!((mean - 167.0).abs() < 0.2 && (variance - 25.0).abs() < 1.0, "{mean} {variance}");
    }

    #[test]
    fn sources_differ_and_seeds_repeat() {
        let draws = |seed, source| Chance::new(seed, source).below(1 << 40);
        assert_eq!(draws(1, 1), draws(1, 1));
        assert_ne!(draws(1, 1), draws(1, 2));
        assert_ne!(draws(1, 1), draws(2, 1));
    }
}
