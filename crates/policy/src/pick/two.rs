//! **Of two endpoints drawn at random, the cheaper is asked.**
//!
//! Always asking the cheapest of all makes every caller ask the same one at the same time, on news that is old when it
//! is acted upon. Two at random suffice: with n calls on n endpoints the longest queue is about `ln ln n / ln 2` where
//! one choice makes `ln n / ln ln n`, and a bad endpoint is asked for at most 2/n of the calls however good it looks.
//!
//! The endpoint of the first attempt is left out for the second one.
//!
//! | drawn | left out | costs | asked |
//! |---|---|---|---|
//! | a, b | | 200, 180 | b |
//! | a, b | b | 200, 180 | a |
//! | a alone | a | | nobody |
//!
//! ```
//! # use policy::pick::two_choices;
//! let cost = |slot: u32| [200.0, 180.0][slot as usize];
//! assert_eq!(two_choices(&[0, 1], 7, None, cost), Some(1));
//! assert_eq!(two_choices(&[0, 1], 7, Some(1), cost), Some(0));
//! assert_eq!(two_choices(&[0], 7, Some(0), cost), None);
//! ```
//!
//! Source: Mitzenmacher, "The power of two choices in randomized load balancing" (2001).

/// Two different numbers below `n` (the same one twice if `n` is 1), by one draw of 64 bits.
fn two(n: usize, draw: u64) -> (usize, usize) {
    let scale = |bits: u64, n: u64| ((bits * n) >> 32) as usize;
    let n = n as u64;
    let a = scale(draw & 0xffff_ffff, n);
    let b = scale(draw >> 32, n.saturating_sub(1).max(1));
    (a, if n > 1 && b >= a { b + 1 } else { b })
}

/// The cheaper of two of `slots`, `not` left out; none if that leaves none.
pub fn two_choices(slots: &[u32], draw: u64, not: Option<u32>, cost: impl Fn(u32) -> f64) -> Option<u32> {
    let (a, b) = two(slots.len(), draw);
    let (a, b) = (*slots.get(a)?, *slots.get(b)?);
    match (Some(a) == not, Some(b) == not) {
        (false, false) if a == b => Some(a),
        (false, false) => Some(if cost(b) < cost(a) { b } else { a }),
        (false, true) => Some(a),
        (true, false) => Some(b),
        (true, true) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dice, Purpose, Streams};

    #[test]
    fn every_pair_is_as_likely() {
        let (mut dice, mut seen) = (Streams::new(1), [[0u32; 4]; 4]);
        for _ in 0..12_000 {
            let (a, b) = two(4, dice.draw(Purpose::Pick));
            seen[a][b] += 1;
        }
        for (a, row) in seen.iter().enumerate() {
            for (b, &n) in row.iter().enumerate() {
                assert!(if a == b { n == 0 } else { (850..1150).contains(&n) }, "{a} {b} {n}");
            }
        }
    }

    #[test]
    fn the_ends_of_the_range_stay_inside() {
        for n in 1..5 {
            for draw in [0, u64::MAX] {
                let (a, b) = two(n, draw);
                assert!(a < n && b < n);
            }
        }
        assert_eq!(two_choices(&[], 0, None, |_| 0.0), None);
    }

    #[test]
    fn the_dearest_of_eleven_is_never_asked_and_the_cheapest_for_a_sixth() {
        let slots: Vec<u32> = (0..11).collect();
        let (mut dice, mut asked) = (Streams::new(2), [0u32; 11]);
        for _ in 0..11_000 {
            let draw = dice.draw(Purpose::Pick);
            asked[two_choices(&slots, draw, None, f64::from).unwrap_or(10) as usize] += 1;
        }
        assert_eq!(asked[10], 0);
        assert!((1_850..2_150).contains(&asked[0]), "{asked:?}"); // 2/11
    }
}
