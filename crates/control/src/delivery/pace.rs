//! How often a follower is told of changes: the first at once, the next ones soon, and in a storm now and then.
//!
//! A change after a quiet time goes out at once: waiting 100 ms for more, as others do, only makes the usual case
//! slow. What comes within 10 ms after that is told together. Each telling uses up 50 ms of an allowance of a second
//! that fills as time goes by: some 25 tellings may follow each other closely, and then there is one every 50 ms.
//! During the rollout of a thousand instances a follower hears twenty times a second what is new, not a thousand
//! times, and who changes one thing after the other by hand never waits.
//!
//! | told at | allowance used up then | the next one not before |
//! |---|---|---|
//! | 0 ms | 50 ms | 10 ms |
//! | 10 ms | 90 ms | 20 ms |
//! | 240 ms, the 25th in a row | 1010 ms | 250 ms |
//! | 250 ms | 1050 ms | 300 ms |
//! | 300 ms | 1050 ms | 350 ms |
//! | 2000 ms | 50 ms | 2010 ms |

use model::Moment;
use std::time::Duration;

/// Two tellings are at least this far apart.
const SHORTEST: Duration = Duration::from_millis(10);
/// So much of the allowance a telling uses up, and so far apart they are when there is none left.
const STEADY: Duration = Duration::from_millis(50);
/// The allowance.
const ALLOWANCE: Duration = Duration::from_secs(1);

/// When the next change may be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pace {
    next: Moment,
    /// When the allowance will be whole again.
    whole: Moment,
}

impl Pace {
    /// The earliest moment at which a change may be told.
    pub fn next(&self) -> Moment {
        self.next
    }

    /// Changes were told now.
    pub fn on_told(&mut self, now: Moment) {
        self.whole = self.whole.max(now).after(STEADY);
        let used = now.until(self.whole);
        self.next = now.after(used.saturating_sub(ALLOWANCE).max(SHORTEST));
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
        let close = (0..=24).map(|n| (n * 10, n * 10 + 10));
        for (told, next) in close.chain([(250, 300), (300, 350), (2000, 2010)]) {
            assert!(pace.next() <= ms(told), "{told}");
            pace.on_told(ms(told));
            assert_eq!(pace.next(), ms(next));
        }
    }

    #[test]
    fn a_storm_is_told_twenty_times_a_second() {
        let mut pace = Pace::default();
        let mut told = 0;
        while pace.next() < ms(10_000) {
            pace.on_told(pace.next());
            told += 1;
        }
        assert!((200..=221).contains(&told), "{told}");
    }
}
