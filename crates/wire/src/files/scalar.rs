//! Values with a unit as text: durations (`"250ms"`) and shares (`"10%"`).

use model::{Share, TimeOfDay};
use std::time::Duration;

/// Units of a duration, longest first, with their nanoseconds.
const UNITS: [(&str, u64); 6] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Reads whole numbers with units, longest unit first: `5s`, `250ms`, `1m30s`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut nanos = 0u64;
    let mut last = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at(letters);
        let (_, each) = UNITS.iter().find(|(word, _)| *word == unit)?;
        if *each >= last {
            return None;
        }
        last = *each;
        nanos = nanos.checked_add(number.parse::<u64>().ok()?.checked_mul(*each)?)?;
        rest = tail;
    }
    (last != u64::MAX).then(|| Duration::from_nanos(nanos))
}

/// Writes what [`duration`] reads: in one unit, the longest that fits without a rest.
pub(crate) fn duration_text(value: Duration) -> String {
    let nanos = u64::try_from(value.as_nanos()).unwrap_or(u64::MAX);
    if nanos == 0 {
        return "0s".to_owned();
    }
    let fits = UNITS.iter().find(|(_, each)| nanos % each == 0);
    fits.map_or_else(String::new, |(unit, each)| format!("{}{unit}", nanos / each))
}

/// A point in time of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum When {
    /// When it is so late.
    Clock(TimeOfDay),
    /// So long after the beginning.
    After(Duration),
}

/// Reads `11:55` or `11:55:30`.
pub(crate) fn time_of_day(text: &str) -> Option<TimeOfDay> {
    let mut parts = text.split(':').map(|part| {
        let digits = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| part.parse::<u32>().ok()).flatten()
    });
    let (hours, minutes) = (parts.next()??, parts.next()??);
    let seconds = parts.next().unwrap_or(Some(0))?;
    if parts.next().is_some() { None } else { TimeOfDay::new(hours, minutes, seconds) }
}

/// Reads a time of day or a duration.
pub(crate) fn when(text: &str) -> Option<When> {
    time_of_day(text).map(When::Clock).or_else(|| duration(text).map(When::After))
}

/// Reads `"10%"`.
pub(crate) fn share(text: &str) -> Option<Share> {
    let number = text.trim().strip_suffix('%')?.trim_end();
    if !number.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    Share::new(number.parse::<f64>().ok()? / 100.0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_whole_numbers_with_units() {
        let ms = Duration::from_millis;
        for (text, want) in [
            ("5s", Some(ms(5000))),
            ("250ms", Some(ms(250))),
            ("1m30s", Some(ms(90_000))),
            ("0s", Some(ms(0))),
            ("2h", Some(ms(7_200_000))),
            ("", None),
            ("5", None),
            ("s", None),
            ("1.5s", None),
            ("-1s", None),
            ("5 s", None),
            ("5S", None),
            ("30s1m", None),
            ("1s1s", None),
            ("99999999999999h", None),
        ] {
            assert_eq!(duration(text), want, "{text}");
        }
    }

    #[test]
    fn times_are_of_the_day_or_since_the_beginning() {
        for (text, want) in [("11:55", Some(42_900)), ("00:00:01", Some(1)), ("23:59:59", Some(86_399))] {
            assert_eq!(time_of_day(text).map(TimeOfDay::seconds), want);
        }
        for bad in ["24:00", "11", "1:55", "11:60", "11:55:00:00", "11:55:", ":55", "+1:55", ""] {
            assert_eq!(time_of_day(bad), None, "{bad}");
        }
        assert_eq!(when("15s"), Some(When::After(Duration::from_secs(15))));
        assert!(matches!(when("11:55"), Some(When::Clock(_))));
    }

    #[test]
    fn a_duration_is_written_in_one_unit() {
        for (nanos, want) in
            [(0, "0s"), (90_000_000_000, "90s"), (60_000_000_000, "1m"), (1_500_000, "1500us")]
        {
            assert_eq!(duration_text(Duration::from_nanos(nanos)), want);
        }
    }

    #[test]
    fn shares_are_per_cent() {
        assert_eq!(share("10%"), Some(Share::percent(10)));
        assert_eq!(share("0.5 %").map(Share::part), Some(0.005));
        for bad in ["10", "%", "101%", "-1%", "nan%", "1e1%", "ten%"] {
            assert_eq!(share(bad), None, "{bad}");
        }
    }
}
