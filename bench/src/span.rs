//! Spans of time as people write them: `167ms`, `2s`, `1.5s`, `250us`, `1m`.

use std::time::Duration;

/// Reads a span such as `167ms`; the unit is required so that nobody guesses.
///
/// # Errors
/// The text names the span that could not be read and the units that can.
pub fn parse(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale = match unit {
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" | "min" => 60.0,
        _ => {
            return Err(format!("{text:?} is no span of time: write 250us, 167ms, 2s or 1m"));
        }
    };
    let value: f64 =
        number.parse().map_err(|_| format!("{text:?} is no span of time: {number:?} is no number"))?;
    Duration::try_from_secs_f64(value * scale)
        .map_err(|_| format!("{text:?} is longer than this program can count"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn reads_each_unit() {
        for (text, micros) in
            [("250us", 250), ("167ms", 167_000), ("2s", 2_000_000), ("1.5s", 1_500_000), ("1m", 60_000_000)]
        {
            assert_eq!(parse(text).unwrap(), Duration::from_micros(micros), "{text}");
        }
    }

    #[test]
    fn names_what_it_cannot_read() {
        for text in ["", "5", "ms", "1.2.3s", "-1s", "5 parsecs", "1e400s"] {
            assert!(parse(text).is_err(), "{text:?} must not be read");
        }
    }
}
