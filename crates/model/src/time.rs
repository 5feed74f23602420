//! Time as a number: nanoseconds since an arbitrary start, so that a policy can be run by any clock.

use std::time::Duration;

/// A point in time: nanoseconds since a start that the driver chose (process start, or the simulator's zero).
///
/// Policies never read a clock. They are told `now`, which is what lets the simulator run the code that ships.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Moment(u64);

impl Moment {
    /// The start of time.
    pub const ZERO: Moment = Moment(0);
    /// Later than every other moment: a deadline that never comes.
    pub const NEVER: Moment = Moment(u64::MAX);

    /// The moment that lies `nanos` nanoseconds after the start.
    pub const fn from_nanos(nanos: u64) -> Moment {
        Moment(nanos)
    }

    /// The moment that lies `millis` milliseconds after the start.
    pub const fn from_millis(millis: u64) -> Moment {
        Moment(millis.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the start.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// This moment plus `wait`; a sum that does not fit is [`Moment::NEVER`].
    pub fn after(self, wait: Duration) -> Moment {
        let nanos = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        Moment(self.0.saturating_add(nanos))
    }

    /// How long ago `earlier` was; zero if it lies in the future.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// How long it is until `later`; zero if that has passed.
    pub fn until(self, later: Moment) -> Duration {
        later.since(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_saturate_and_differences_stop_at_zero() {
        assert_eq!(Moment::from_millis(5).after(Duration::from_millis(7)), Moment::from_millis(12));
        assert_eq!(Moment::from_millis(5).after(Duration::MAX), Moment::NEVER);
        assert_eq!(Moment::from_millis(5).since(Moment::from_millis(9)), Duration::ZERO);
        assert_eq!(Moment::from_millis(5).until(Moment::from_millis(9)), Duration::from_millis(4));
    }
}
