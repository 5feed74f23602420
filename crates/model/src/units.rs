//! Quantities whose unit must not be mistaken.

use std::fmt;

/// A part of a whole, from 0 to 1 inclusive. Printed as per cent.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
pub struct Share(f64);

/// A number that is no share: below 0, above 1, or not a number.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BadShare(pub f64);

impl Share {
    /// Nothing of it.
    pub const NONE: Share = Share(0.0);
    /// All of it.
    pub const ALL: Share = Share(1.0);

    /// The share `part`, where 1 is the whole.
    ///
    /// # Errors
    /// [`BadShare`] unless `0 ≤ part ≤ 1`.
    pub fn new(part: f64) -> Result<Share, BadShare> {
        if (0.0..=1.0).contains(&part) { Ok(Share(part)) } else { Err(BadShare(part)) }
    }

    /// `percent` hundredths; more than 100 counts as 100. For constants.
    pub const fn percent(percent: u8) -> Share {
        if percent >= 100 { Share(1.0) } else { Share(percent as f64 / 100.0) }
    }

    /// The part as a number between 0 and 1.
    pub const fn part(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", (self.0 * 1000.0).round() / 10.0)
    }
}

impl fmt::Display for BadShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not a share: write a number from 0 to 1", self.0)
    }
}

impl std::error::Error for BadShare {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_lies_between_nothing_and_all() {
        assert_eq!(Share::new(0.5), Ok(Share::percent(50)));
        for bad in [-0.1, 1.1, f64::INFINITY] {
            assert_eq!(Share::new(bad), Err(BadShare(bad)));
        }
        assert!(Share::new(f64::NAN).is_err());
        assert_eq!(Share::percent(12).to_string(), "12 %");
    }
}
