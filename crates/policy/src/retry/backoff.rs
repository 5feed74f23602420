//! **Before an extra attempt wait a time drawn evenly between nothing and 25 ms.**
//!
//! Calls that failed together must not come back together. Drawing from the whole range spreads them best; a fixed wait
//! with some jitter keeps the wave. What never reached an instance is repeated elsewhere at once: nothing there was
//! disturbed.
//!
//! `wait = lot · min(back_off, time left / 2)`: half of what is left belongs to the attempt itself.
//!
//! ```
//! # use policy::{retry::back_off, Streams}; use model::Retry; use std::time::Duration;
//! let mut dice = Streams::new(1);
//! let ms = Duration::from_millis;
//! assert!(back_off(&Retry::default(), ms(1_000), &mut dice) < ms(25));
//! assert!(back_off(&Retry::default(), ms(10), &mut dice) < ms(5));
//! ```
//!
//! Source: M. Brooker, "Exponential backoff and jitter" (AWS architecture blog, 2015), full jitter. Nothing grows
//! here, as there is one extra attempt at most.

use crate::{Dice, Purpose};
use model::Retry;
use std::time::Duration;

/// How long to wait before an extra attempt, when so much time is left.
pub fn back_off(rule: &Retry, left: Duration, dice: &mut impl Dice) -> Duration {
    rule.back_off.min(left / 2).mul_f64(dice.part(Purpose::BackOff))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Streams;

    #[test]
    fn waits_are_spread_over_the_whole_range() {
        let mut dice = Streams::new(3);
        let waits: Vec<_> = (0..1000)
            .map(|_| back_off(&Retry::default(), Duration::from_secs(1), &mut dice).as_micros())
            .collect();
        for quarter in 0..4u128 {
            let n = waits.iter().filter(|&&w| w / 6_250 == quarter).count();
            assert!((200..300).contains(&n), "{n} waits in quarter {quarter}");
        }
    }

    #[test]
    fn no_time_left_is_no_wait() {
        assert_eq!(back_off(&Retry::default(), Duration::ZERO, &mut Streams::new(1)), Duration::ZERO);
    }
}
