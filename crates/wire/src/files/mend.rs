//! How to mend a mistake: what to write instead, guessed from what stands there where that can be guessed.

use super::declare::{Field, Kind};
use super::decoder::{as_number, nearest};
use super::problem::Format;
use super::scalar;
use super::tree::Value;
use std::time::Duration;

/// "Write this value for the key at `path`".
pub(crate) fn write(format: Format, path: &str, value: &str) -> String {
    said("write", format, path, value)
}

/// "Write a value that fits `field`, which stands at `path`".
pub(crate) fn write_field(format: Format, path: &str, field: &Field) -> String {
    field_said("write", format, path, field)
}

/// "Add `field`, which is missing at `path`".
pub(crate) fn add_field(format: Format, path: &str, field: &Field) -> String {
    field_said("add", format, path, field)
}

fn field_said(verb: &str, format: Format, path: &str, field: &Field) -> String {
    match (&field.kind, format) {
        _ if !field.example.is_empty() => said(verb, format, path, field.example),
        (Kind::Table(_), Format::Toml) => format!("{verb} a table [{path}]"),
        (Kind::Map { of: Kind::Table(_), .. }, Format::Toml) => format!("{verb} a table [{path}.NAME]"),
        (kind, _) => said(verb, format, path, &example(kind)),
    }
}

fn said(verb: &str, format: Format, path: &str, value: &str) -> String {
    // An item of a list has no key to be written with it.
    if path.ends_with(']') {
        return format!("{verb} {value}");
    }
    let key = last_key(path);
    match format {
        Format::Toml => format!("{verb} {key} = {value}"),
        Format::Json => format!("{verb} \"{}\": {value}", key.trim_matches('"')),
    }
}

/// The last key of a path, as it is written there: in quotes where it has to be.
fn last_key(path: &str) -> &str {
    let from = match path.strip_suffix('"').and_then(|front| front.rfind('"')) {
        Some(quote) => quote,
        None => path.rfind('.').map_or(0, |dot| dot + 1),
    };
    path.get(from..).unwrap_or_default()
}

/// A value of this kind as one would write it.
pub(crate) fn example(kind: &Kind) -> String {
    match kind {
        Kind::Text => "\"text\"".to_owned(),
        Kind::Name => "\"offer-store\"".to_owned(),
        Kind::Flag => "true".to_owned(),
        Kind::Whole { least, .. } => least.max(&1).to_string(),
        Kind::Duration { least, .. } => {
            format!("\"{}\"", scalar::duration_text((*least).max(Duration::from_secs(1))))
        }
        Kind::Number { least, .. } => least.max(1.0).to_string(),
        Kind::Signed { .. } => "1".to_owned(),
        Kind::Label => "\"name\"".to_owned(),
        Kind::TimeOfDay | Kind::When => "\"11:55\"".to_owned(),
        Kind::Curve { .. } => "[[\"11:50\", 100], [\"12:00\", 200]]".to_owned(),
        Kind::Pair(of) => format!("[{0}, {0}]", example(of)),
        Kind::Either(of, _) => example(of),
        Kind::Share => "\"10%\"".to_owned(),
        Kind::Word(words) => format!("\"{}\"", words.first().copied().unwrap_or_default()),
        Kind::Address => "\"127.0.0.1:8080\"".to_owned(),
        Kind::Folder => "\"folder\"".to_owned(),
        Kind::UrlPath | Kind::Prefix => "\"/path\"".to_owned(),
        Kind::Variable => "NAME".to_owned(),
        Kind::List { of, .. } => format!("[{}]", example(of)),
        Kind::OffOr(_) | Kind::FalseOr(_) => "false".to_owned(),
        Kind::Table(_) | Kind::Map { .. } => "{ … }".to_owned(),
    }
}

/// A key that would do for one that does not.
pub(crate) fn key(keys: &Kind, text: &str) -> String {
    let key = match keys {
        Kind::Name => slug(text),
        Kind::Prefix if text.bytes().all(|b| b.is_ascii_graphic() && !b"?#\"".contains(&b)) => {
            Some(format!("\"/{}\"", text.trim_matches('/')))
        }
        Kind::Variable => variable(text),
        _ => None,
    };
    key.map_or_else(String::new, |key| format!("write {key}"))
}

/// What was probably meant by a value that does not fit.
pub(crate) fn guess(format: Format, kind: &Kind, value: &Value, path: &str) -> Option<String> {
    let write = |text: String| Some(write(format, path, &text));
    let quoted = |text: String| write(format!("{text:?}"));
    match (kind, value) {
        (Kind::FalseOr(of) | Kind::Either(of, _), _) => guess(format, of, value, path),
        (Kind::Duration { least, most }, _) => {
            quoted(scalar::duration_text(duration(value)?.clamp(*least, *most)))
        }
        (Kind::Share, Value::Whole(n)) if (2..=100).contains(n) => quoted(format!("{n}%")),
        (Kind::Share, Value::Text(text)) => quoted(percent(text)?),
        (Kind::Number { least, most }, Value::Text(text)) => {
            let n = text.trim().parse::<f64>().ok().filter(|n| (least..=most).contains(&n))?;
            write(n.to_string())
        }
        (Kind::Number { least, most }, Value::Whole(_) | Value::Real(_)) => {
            let n = as_number(value).filter(|n| !n.is_nan())?;
            write(n.clamp(*least, *most).to_string())
        }
        (Kind::Signed { least, most }, Value::Whole(n)) => {
            write((*n).clamp(i128::from(*least), i128::from(*most)).to_string())
        }
        (Kind::Whole { least, most }, Value::Text(text)) => {
            let n = text.trim().parse::<u64>().ok().filter(|n| (least..=most).contains(&n))?;
            write(n.to_string())
        }
        (Kind::Whole { least, most }, Value::Whole(n)) => {
            let n = if *n < i128::from(*least) { least } else { most };
            write(n.to_string())
        }
        (Kind::Flag, Value::Text(text)) if text == "true" || text == "false" => write(text.clone()),
        (Kind::Text, Value::Whole(n)) => quoted(n.to_string()),
        (Kind::Text, Value::Real(n)) => quoted(n.to_string()),
        (Kind::Text, Value::Flag(flag)) => quoted(flag.to_string()),
        (Kind::Word(words), Value::Text(text)) => {
            nearest(text, words.iter().copied()).map(|near| format!("did you mean \"{near}\"?"))
        }
        (Kind::List { .. }, Value::Text(text)) => {
            let words: Vec<String> = text.split_whitespace().map(|word| format!("{word:?}")).collect();
            write(format!("[{}]", words.join(", ")))
        }
        (Kind::OffOr(_), Value::Flag(true)) => {
            Some("remove it for what the preset says, or write a table for what differs".to_owned())
        }
        (Kind::Name, Value::Text(text)) => quoted(slug(text)?),
        (Kind::Folder, Value::Text(text)) => {
            let part = |p: &&str| !matches!(*p, "" | "." | "..") && !p.contains([':', '\0']);
            quoted(text.split(['/', '\\']).rfind(part)?.to_owned())
        }
        (Kind::UrlPath, Value::Text(text)) if text.bytes().all(|b| b.is_ascii_graphic() && b != b'#') => {
            quoted(format!("/{}", text.trim_start_matches('/')))
        }
        _ => None,
    }
}

/// The nearest share to `150%`, or to `15` without a sign. Up to 1 it is anybody's guess whether a share or per cents are
/// meant.
fn percent(text: &str) -> Option<String> {
    let text = text.trim();
    let number = text.strip_suffix('%').unwrap_or(text).trim_end().parse::<f64>().ok()?;
    let meant = !number.is_nan() && (text.ends_with('%') || number > 1.0);
    // Adding nothing makes a zero of a negative one.
    meant.then(|| format!("{}%", number.clamp(0.0, 100.0) + 0.0))
}

/// The duration that was probably meant by a number without a unit (seconds, as most tools have it), or with a unit
/// or a fraction that is not known here: `1.5s`, `5 seconds`, `2d`.
fn duration(value: &Value) -> Option<Duration> {
    let seconds = match value {
        #[allow(clippy::cast_precision_loss)] // Beyond 2^53 seconds it is no duration anyway.
        Value::Whole(n) => *n as f64,
        Value::Real(n) => *n,
        Value::Text(text) => {
            let text = text.trim();
            let digits = text.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
            let (number, unit) = text.split_at(digits);
            number.parse::<f64>().ok()? * seconds_of(&unit.trim().to_lowercase())?
        }
        _ => return None,
    };
    // Whole milliseconds: what is guessed should be short to write.
    let millis = (seconds * 1000.0).round();
    (0.0..=86_400_000_000.0).contains(&millis).then(|| Duration::from_millis(millis as u64))
}

fn seconds_of(unit: &str) -> Option<f64> {
    Some(match unit {
        "" | "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "ms" | "msec" | "milli" | "millis" | "millisecond" | "milliseconds" => 0.001,
        "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hour" | "hours" => 3600.0,
        "d" | "day" | "days" => 86_400.0,
        _ => return None,
    })
}

/// `text` made into a name, if there is anything to make one of.
fn slug(text: &str) -> Option<String> {
    let low = text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' });
    let low: String = low.collect();
    let name: String = low.trim_start_matches(|c: char| !c.is_ascii_lowercase()).chars().take(63).collect();
    let name = name.trim_end_matches('-').to_owned();
    (!name.is_empty()).then_some(name)
}

/// `text` made into a variable's name.
fn variable(text: &str) -> Option<String> {
    let name: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let sound = name.chars().any(|c| c.is_ascii_alphabetic());
    let first = if name.starts_with(|c: char| c.is_ascii_digit()) { "_" } else { "" };
    sound.then(|| format!("{first}{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_guessed_from_what_people_write() {
        let text = |text: &str| duration(&Value::Text(text.into()));
        let ms = |n| Some(Duration::from_millis(n));
        assert_eq!(duration(&Value::Whole(5)), ms(5000));
        assert_eq!(duration(&Value::Real(0.25)), ms(250));
        assert_eq!(text("1.5s"), ms(1500));
        assert_eq!(text("5 Seconds"), ms(5000));
        assert_eq!(text("2d"), ms(172_800_000));
        for odd in ["", "s", "-1s", "1.2.3s", "5 moons", "99999999999999999999d"] {
            assert_eq!(text(odd), None, "{odd}");
        }
        assert_eq!(duration(&Value::Whole(i128::MAX)), None);
        assert_eq!(duration(&Value::Real(f64::NAN)), None);
    }

    #[test]
    fn a_share_is_the_nearest_one() {
        for (text, want) in
            [("150%", "100%"), ("-0%", "0%"), ("-3 %", "0%"), ("15", "15%"), ("250", "100%"), ("1e1%", "10%")]
        {
            assert_eq!(percent(text).as_deref(), Some(want), "{text}");
        }
        for odd in ["", "%", "ten%", "nan%", "0.5", "1"] {
            assert_eq!(percent(odd), None, "{odd}");
        }
    }

    #[test]
    fn names_are_guessed() {
        assert_eq!(slug("My Shop!").as_deref(), Some("my-shop"));
        assert_eq!(slug("3d"), Some("d".into()));
        assert_eq!(slug("!?"), None);
        assert_eq!(variable("A-B").as_deref(), Some("A_B"));
        assert_eq!(variable("1ST").as_deref(), Some("_1ST"));
    }

    #[test]
    fn the_last_key_may_be_quoted() {
        for (path, want) in
            [("a", "a"), ("a.b", "b"), ("a.\"b.c\"", "\"b.c\""), ("edge.routes.\"/\"", "\"/\"")]
        {
            assert_eq!(last_key(path), want);
        }
    }
}
