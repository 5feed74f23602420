//! Numbers and lists in words, the same in transcript, picture and page.

use std::time::Duration;

/// `27 %`; what is close to all or nothing keeps a digit: `99.7 %`, and no rounding ever makes it all or nothing.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        p if !p.is_finite() => "–".into(),
        p if (99.95..100.0).contains(&p) => "99.9 %".into(),
        p if p > 0.0 && p < 0.1 => "0.1 %".into(),
        p if (p > 98.0 && p < 100.0) || (p > 0.0 && p < 2.0) => format!("{p:.1} %"),
        p => format!("{p:.0} %"),
    }
}

/// `1,010`.
pub(crate) fn count(number: f64) -> String {
    if !number.is_finite() {
        return "–".into();
    }
    let digits = format!("{:.0}", number.abs());
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < -0.5 { format!("-{text}") } else { text }
}

/// `0.4`, `7.3`, `128`: two figures where there are few.
pub(crate) fn figure(number: f64) -> String {
    match number.abs() {
        n if n >= 20.0 || n == 0.0 => count(number),
        n if n >= 0.995 => trimmed(format!("{number:.1}")),
        _ => trimmed(format!("{number:.2}")),
    }
}

/// `1.02`, `3.1`: how many times.
pub(crate) fn times(number: f64) -> String {
    match number {
        n if !n.is_finite() => "–".into(),
        n if n >= 1.995 => format!("{n:.1}"),
        n => format!("{n:.2}"),
    }
}

fn trimmed(text: String) -> String {
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `120 ms`, `3.2 s`.
pub(crate) fn seconds(seconds: f64) -> String {
    match seconds {
        s if !s.is_finite() => "–".into(),
        s if s < 0.000_995 => format!("{} µs", count(s * 1e6)),
        s if s < 0.009_95 => format!("{} ms", figure(s * 1e3)),
        s if s < 0.995 => format!("{} ms", count(s * 1e3)),
        s => format!("{} s", figure(s)),
    }
}

/// `12 s`, `3 minutes`.
pub(crate) fn span(time: Duration) -> String {
    match time.as_secs() {
        0 if !time.is_zero() => seconds(time.as_secs_f64()),
        s if s < 120 => format!("{s} s"),
        s => counted((s + 30) / 60, "minute"),
    }
}

/// `1 kill`, `2 kills`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number as f64), if number == 1 { "" } else { "s" })
}

/// `a`, `a and b`, `a, b and c`; beyond `most`: `a, b and 3 more`.
pub(crate) fn list(items: &[String], most: usize) -> String {
    let shown = if items.len() > most + 1 { most } else { items.len() };
    let mut parts: Vec<String> = items[..shown].to_vec();
    if shown < items.len() {
        parts.push(format!("{} more", items.len() - shown));
    }
    match parts.pop() {
        None => String::new(),
        Some(last) if parts.is_empty() => last,
        Some(last) => format!("{} and {last}", parts.join(", ")),
    }
}

/// `1.5` as people say it of something that has grown.
pub(crate) fn grown(factor: f64) -> String {
    match factor {
        1.5 => "half as high again as".into(),
        2.0 => "twice".into(),
        3.0 => "three times".into(),
        4.0 => "four times".into(),
        f => format!("{} times", figure(f)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(
            [percent(0.274), percent(0.9973), percent(1.0), percent(0.99999)],
            ["27 %", "99.7 %", "100 %", "99.9 %"]
        );
        assert_eq!([percent(0.0), percent(0.000_01), percent(f64::NAN)], ["0 %", "0.1 %", "–"]);
        assert_eq!([count(1_234_567.0), count(999.0), count(-1000.0)], ["1,234,567", "999", "-1,000"]);
        assert_eq!(
            [seconds(0.12), seconds(3.2), seconds(0.0042), seconds(0.000_25)],
            ["120 ms", "3.2 s", "4.2 ms", "250 µs"]
        );
        assert_eq!([times(1.0), times(1.024), times(3.12)], ["1.00", "1.02", "3.1"]);
    }

    #[test]
    fn lists_end_with_and() {
        let items: Vec<String> = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
        assert_eq!(list(&items[..2], 3), "a and b");
        assert_eq!(list(&items[..4], 3), "a, b, c and d");
        assert_eq!(list(&items, 3), "a, b, c and 2 more");
    }
}
