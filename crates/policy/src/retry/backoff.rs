//! **Before another attempt wait a time drawn evenly between nothing and 25 ms; twice that before the one after it.**
//!
//! Calls that failed together must not come back together. Drawing from the whole range spreads them best; a fixed wait
//! with some jitter keeps the wave. Doubling gives whoever is overloaded ever more time. What never reached an instance
//! is repeated elsewhere at once: nothing there was disturbed.
//!
//! `wait = lot · min(back_off · 2ⁿ⁻¹, time left / 2)` before the attempt that follows the n-th: half of what is left
//! belongs to the attempts themselves.
//!
//! | attempts made | left | wait at most |
//! |---|---|---|
//! | 1 | 10 s | 25 ms |
//! | 2 | 10 s | 50 ms |
//! | 4 | 0.1 s | 50 ms, not 200 |
//!
//! ```
//! # use policy::{retry::back_off, Streams}; use model::Retry; use std::time::Duration;
//! let mut dice = Streams::new(1);
//! let ms = Duration::from_millis;
//! assert!(back_off(&Retry::default(), 1, ms(1_000), &mut dice) < ms(25));
//! assert!(back_off(&Retry::default(), 3, ms(1_000), &mut dice) < ms(100));
//! assert!(back_off(&Retry::default(), 1, ms(10), &mut dice) < ms(5));
//! ```
//!
//! Source: M. Brooker, "Exponential backoff and jitter" (AWS architecture blog, 2015), full jitter.

use crate::{Dice, Purpose};
use model::Retry;
use std::time::Duration;

/// How long to wait before the attempt that follows the `made`-th, when so much time is left.
pub fn back_off(rule: &Retry, made: u8, left: Duration, dice: &mut impl Dice) -> Duration {
    let doubled = 1u32.checked_shl(u32::from(made.saturating_sub(1))).unwrap_or(u32::MAX);
    rule.back_off.saturating_mul(doubled).min(left / 2).mul_f64(dice.part(Purpose::BackOff))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Streams;

    #[test]
    fn waits_are_spread_over_the_whole_range_and_the_range_doubles() {
        let mut dice = Streams::new(3);
        for (made, quarter_of_range) in [(1, 6_250), (2, 12_500), (5, 100_000), (10, 3_200_000)] {
            let waits: Vec<_> = (0..1000)
                .map(|_| back_off(&Retry::default(), made, Duration::from_secs(99), &mut dice).as_micros())
                .collect();
            for quarter in 0..4u128 {
                let n = waits.iter().filter(|&&w| w / quarter_of_range == quarter).count();
                assert!((200..300).contains(&n), "{n} waits in quarter {quarter} after {made}");
            }
        }
    }

    #[test]
    fn no_time_left_is_no_wait() {
        for made in [0, 1, u8::MAX] {
            let wait = back_off(&Retry::default(), made, Duration::ZERO, &mut Streams::new(1));
            assert_eq!(wait, Duration::ZERO);
        }
    }
}
