//! Randomness is passed in, one sub-stream for each purpose, so that a new draw in one policy shifts no other.

/// What a draw is for. Each purpose has a stream of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Purpose {
    /// Choosing an endpoint.
    Pick,
    /// The wait before a retry.
    BackOff,
    /// Which requests may probe an endpoint that rested.
    Probe,
    /// The share of requests that a newcomer gets.
    SlowStart,
}

impl Purpose {
    /// How many there are.
    pub const COUNT: usize = 4;
}

/// A source of randomness.
pub trait Dice {
    /// 64 bits, each as likely 0 as 1.
    fn draw(&mut self, purpose: Purpose) -> u64;

    /// A number in `0..n`; 0 if `n` is 0. The bias of at most n / 2⁶⁴ does not matter here.
    fn below(&mut self, purpose: Purpose, n: u64) -> u64 {
        ((u128::from(self.draw(purpose)) * u128::from(n)) >> 64) as u64
    }

    /// A number in `[0, 1)` with 53 random bits.
    fn part(&mut self, purpose: Purpose) -> f64 {
        (self.draw(purpose) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// SplitMix64, one state for each purpose (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
/// OOPSLA 2014): equal seeds give equal draws on every machine.
#[derive(Clone, Debug)]
pub struct Streams([u64; Purpose::COUNT]);

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Streams {
    /// The streams that belong to `seed`.
    pub fn new(seed: u64) -> Streams {
        Streams(std::array::from_fn(|i| mix(seed.wrapping_add(GOLDEN.wrapping_mul(i as u64 + 1)))))
    }
}

impl Dice for Streams {
    fn draw(&mut self, purpose: Purpose) -> u64 {
        // A purpose is always smaller than COUNT, which is the number of states.
        let state = &mut self.0[purpose as usize];
        *state = state.wrapping_add(GOLDEN);
        mix(*state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_for_one_purpose_shifts_no_other() {
        let (mut a, mut b) = (Streams::new(7), Streams::new(7));
        a.draw(Purpose::BackOff);
        assert_eq!(a.draw(Purpose::Pick), b.draw(Purpose::Pick));
        assert_ne!(a.draw(Purpose::BackOff), b.draw(Purpose::BackOff));
    }

    #[test]
    fn numbers_stay_below_their_bound() {
        let mut dice = Streams::new(1);
        assert_eq!(dice.below(Purpose::Pick, 0), 0);
        for _ in 0..1000 {
            assert!(dice.below(Purpose::Pick, 3) < 3);
            assert!((0.0..1.0).contains(&dice.part(Purpose::Pick)));
        }
    }
}
