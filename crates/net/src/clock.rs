//! The one place where the process's clock becomes a [`Moment`].

use model::Moment;
use std::time::{Duration, Instant};

/// A monotonic clock that starts at zero when it is made. Copies agree.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that begins now. Its zero is a second ago, so that "before the start" can be said.
    pub fn start() -> Clock {
        let now = Instant::now();
        Clock { start: now.checked_sub(Duration::from_secs(1)).unwrap_or(now) }
    }

    /// The present.
    pub fn now(&self) -> Moment {
        Moment::ZERO.after(self.start.elapsed())
    }

    /// The instant at which `moment` comes, for timers; none if it is too far away to name.
    pub fn instant(&self, moment: Moment) -> Option<Instant> {
        self.start.checked_add(Duration::from_nanos(moment.as_nanos()))
    }
}
