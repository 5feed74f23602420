//! What each fuzz target checks. The targets themselves are one line each, so that a crash can be
//! replayed by calling `run` from a test.

pub mod call;
pub mod framing;
pub mod head;
pub mod pair;

/// Cuts `data` in two at a place that the first two bytes choose.
fn cut<'a>(choice: &[u8], data: &'a [u8]) -> (&'a [u8], &'a [u8]) {
    let number = choice.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    data.split_at(number % (data.len() + 1))
}
