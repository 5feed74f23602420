//! How often a follower is told of changes: the first at once, and while more keep coming, in ever longer steps.
//!
//! A change after a quiet time goes out at once: waiting 100 ms for more, as others do, only makes the usual case
//! slow. When the next comes soon after, it waits 10 ms, then 20, and so on up to 200 ms: during a rolling deployment
//! of a thousand instances a follower hears five times a second what is new, not a thousand times.
//!
//! | change at | told at | the next one not before |
//! |---|---|---|
//! | 0 ms | 0 ms | 10 ms |
//! | 3 ms | 10 ms | 30 ms |
//! | 12 ms | 30 ms | 70 ms |
//! | 500 ms | 500 ms | 510 ms: it was quiet for longer than the last step |

use model::Moment;
use std::time::Duration;

/// The first step.
const SHORTEST: Duration = Duration::from_millis(10);
/// No step is longer.
const LONGEST: Duration = Duration::from_millis(200);

/// When the next change may be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    step: Duration,
    next: Moment,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { step: SHORTEST, next: Moment::ZERO }
    }
}

impl Pace {
    /// The earliest moment at which a change may be told.
    pub fn next(&self) -> Moment {
        self.next
    }

    /// Changes were told now.
    pub fn on_told(&mut self, now: Moment) {
        let quiet = now.since(self.next) >= self.step;
        self.step = if quiet { SHORTEST } else { (self.step * 2).min(LONGEST) };
        self.next = now.after(self.step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    #[test]
    fn the_table_above() {
        let mut pace = Pace::default();
        // Time does not begin at zero: a second is "quiet for long" before the first change.
        for (told, next) in [(1000, 1010), (1010, 1030), (1030, 1070), (1500, 1510)] {
            assert!(pace.next() <= ms(told));
            pace.on_told(ms(told));
            assert_eq!(pace.next(), ms(next));
        }
    }

    #[test]
    fn a_storm_is_told_five_times_a_second() {
        let mut pace = Pace::default();
        let mut told = 0;
        let mut now = ms(1000);
        while now < ms(11_000) {
            pace.on_told(now);
            now = pace.next();
            told += 1;
        }
        assert!((50..=56).contains(&told), "{told}");
    }
}
