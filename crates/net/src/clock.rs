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

/// Seconds since 1970, by the clock on the wall.
pub fn unix_seconds() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |d| d.as_secs())
}

/// Milliseconds since 1970, by the clock on the wall.
pub fn unix_millis() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7).
pub fn http_date(seconds: u64) -> [u8; 29] {
    use std::io::Write as _;
    let date = httpdate::HttpDate::from(std::time::UNIX_EPOCH + Duration::from_secs(seconds));
    let mut text = [b' '; 29];
    // The text has 29 characters until the year 9999; what would not fit is cut.
    let _ = write!(&mut text[..], "{date}");
    text
}

/// `1994-11-06T08:49:37.123Z` (RFC 3339).
pub fn timestamp(millis: u64) -> String {
    humantime::format_rfc3339_millis(std::time::UNIX_EPOCH + Duration::from_millis(millis)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_the_standard_shows_them() {
        assert_eq!(&http_date(784_111_777), b"Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(&http_date(0), b"Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(&http_date(1_709_164_800), b"Thu, 29 Feb 2024 00:00:00 GMT");
        assert_eq!(timestamp(784_111_777_123), "1994-11-06T08:49:37.123Z");
    }
}
