//! Values as they are written in a manifest, to be compared and to be shown.

use super::super::scalar::duration_text;
use model::Share;
use std::fmt;
use std::time::Duration;

/// A value of a manifest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Shown {
    /// As it is written.
    Value(String),
    /// It is compared, and not shown.
    Secret(String),
    /// Keys with values, in the order in which they are shown.
    Table(Vec<(String, Shown)>),
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shown::Value(text) => f.write_str(text),
            Shown::Secret(_) => f.write_str("(not shown)"),
            Shown::Table(entries) if entries.is_empty() => f.write_str("{}"),
            Shown::Table(entries) => {
                f.write_str("{ ")?;
                for (at, (key, value)) in entries.iter().enumerate() {
                    let comma = if at == 0 { "" } else { ", " };
                    write!(f, "{comma}{} = {value}", quoted_key(key))?;
                }
                f.write_str(" }")
            }
        }
    }
}

/// A number or a flag.
pub(crate) fn plain(value: impl fmt::Display) -> Shown {
    Shown::Value(value.to_string())
}

/// A text in quotes. Control characters are escaped: a manifest must not steer the reader's terminal.
pub(crate) fn text(value: &str) -> Shown {
    Shown::Value(format!("{value:?}"))
}

/// A list of texts.
pub(crate) fn list<T: AsRef<str>>(values: &[T]) -> Shown {
    let quoted: Vec<String> = values.iter().map(|value| format!("{:?}", value.as_ref())).collect();
    Shown::Value(format!("[{}]", quoted.join(", ")))
}

/// A duration.
pub(crate) fn duration(value: Duration) -> Shown {
    text(&duration_text(value))
}

/// A share, as per cent.
pub(crate) fn share(value: Share) -> Shown {
    // Rounded for people as elsewhere; what differs by less than that is told apart by its exact part.
    let rounded = (value.part() * 1000.0).round() / 10.0;
    let exact = (rounded / 100.0 - value.part()).abs() < 1e-9;
    if exact { text(&format!("{rounded}%")) } else { plain(value.part()) }
}

/// `false`, or what a policy says.
pub(crate) fn or_false<T>(value: Option<T>, shown: impl FnOnce(T) -> Shown) -> Shown {
    value.map_or_else(|| plain(false), shown)
}

/// A table of fixed keys.
pub(crate) fn table<const N: usize>(entries: [(&str, Shown); N]) -> Shown {
    Shown::Table(entries.map(|(key, value)| (key.to_owned(), value)).to_vec())
}

/// The value of a variable. One whose name says that it is a secret is compared, and not shown: plans end up in logs.
pub(crate) fn variable(name: &str, value: &str) -> Shown {
    const SECRETS: [&str; 6] = ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "CREDENTIAL", "KEY"];
    let upper = name.to_ascii_uppercase();
    match SECRETS.iter().any(|word| upper.contains(word)) {
        true => Shown::Secret(value.to_owned()),
        false => text(value),
    }
}

/// A command in one line, for people.
pub(crate) fn words(command: &[String]) -> String {
    let line: String = command.join(" ").chars().map(|c| if c.is_control() { '.' } else { c }).collect();
    match line.char_indices().nth(60) {
        Some((cut, _)) => format!("`{}…`", &line[..cut]),
        None => format!("`{line}`"),
    }
}

/// A key below another one, in quotes where TOML wants them.
pub(crate) fn join(above: &str, key: &str) -> String {
    if above.is_empty() { quoted_key(key) } else { format!("{above}.{}", quoted_key(key)) }
}

fn quoted_key(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !key.is_empty() && key.chars().all(bare) { key.to_owned() } else { format!("{key:?}") }
}
