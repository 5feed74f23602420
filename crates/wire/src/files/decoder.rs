//! Compares a tree with declarations and collects every difference; then hands out the values.
//!
//! The two are apart so that reading can be plain: a value that is missing or wrong has been reported by the time
//! somebody asks for it, and is simply not there.

use super::declare::{Field, Kind, Need, WHEN};
use super::mend;
use super::problem::{Format, Problem, Problems, Source};
use super::scalar;
use super::tree::{Entry, Node, Value, parse};
pub(crate) use super::view::{Item, View, as_text};
use model::{ServiceName, Share};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::Range;

/// A file that is being read, and what is wrong with it so far.
#[derive(Debug)]
pub(crate) struct Decoder<'a> {
    source: &'a Source,
    problems: Vec<Problem>,
    /// Lines whose syntax is wrong: what was read there is a guess, and what else is wrong there is a consequence.
    broken: BTreeSet<usize>,
    /// Whether settings that a preset could answer must be there.
    full: bool,
}

/// Parses `source` and checks it against `shape`.
pub(crate) fn begin<'a>(source: &'a Source, shape: &'static [Field], full: bool) -> (Decoder<'a>, Node) {
    let (tree, problems) = parse(source);
    let broken = problems.iter().map(|p| p.line).collect();
    let mut decoder = Decoder { source, problems, broken, full };
    match &tree.value {
        Value::Table(entries) => decoder.check_table(entries, &(0..0), shape, ""),
        _ if decoder.problems.is_empty() => {
            decoder.report(&tree.span, "", "expected a table".to_owned(), String::new());
        }
        _ => {}
    }
    (decoder, tree)
}

impl Decoder<'_> {
    /// Notes a problem at `span`.
    pub(crate) fn report(&mut self, span: &Range<usize>, path: &str, message: String, mend: String) {
        if self.problems.len() >= Problems::NOTED_PER_FILE {
            return;
        }
        let problem = self.source.problem(span, path, message, mend);
        let guessed = !self.broken.is_empty() && *span == (0..0);
        if !guessed && !self.broken.contains(&problem.line) {
            self.problems.push(problem);
        }
    }

    /// Whether a person writes this file. What a machine wrote in full was checked where it came from, perhaps by an
    /// earlier release.
    pub(crate) fn is_by_hand(&self) -> bool {
        self.source.format == Format::Toml
    }

    /// Notes a problem with the value of `key` in `view`, or with the table itself where the key is absent.
    pub(crate) fn report_at(&mut self, view: &View<'_>, key: &str, message: String, mend: String) {
        let span = view.get(key).map_or_else(|| view.span.clone(), |node| node.span.clone());
        self.report(&span, &view.path_of(key), message, mend);
    }

    /// Everything that was wrong.
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// `value` if nothing was wrong.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T, Problems> {
        match (Problems::of(self.problems), value) {
            (None, Some(value)) => Ok(value),
            (Some(problems), _) => Err(problems),
            // Only if something is read that is not declared; better said than guessed.
            (None, None) => Err(Problems::one(self.source.problem(
                &(0..0),
                "",
                "cannot be read".to_owned(),
                String::new(),
            ))),
        }
    }

    fn check(&mut self, node: &Node, kind: &'static Kind, path: &str, mend: &dyn Fn() -> String) {
        match (kind, &node.value) {
            (Kind::OffOr(_) | Kind::FalseOr(_), Value::Flag(false)) => {}
            (Kind::Table(shape) | Kind::OffOr(shape) | Kind::Either(_, shape), Value::Table(entries)) => {
                self.check_table(entries, &node.span, shape, path);
            }
            (Kind::List { of, least }, Value::List(items)) => {
                if items.len() < *least {
                    self.report(&node.span, path, format!("expected {}, found none", expected(kind)), mend());
                }
                for (at, item) in items.iter().enumerate() {
                    let mend = || format!("write {}", mend::example(of));
                    self.check(item, of, &format!("{path}[{at}]"), &mend);
                }
            }
            (Kind::Pair(of), Value::List(items)) if items.len() == 2 => {
                for (at, item) in items.iter().enumerate() {
                    let mend = || format!("write {}", mend::example(of));
                    self.check(item, of, &format!("{path}[{at}]"), &mend);
                }
            }
            (Kind::Curve { most }, Value::List(points)) if !points.is_empty() => {
                for (at, point) in points.iter().enumerate() {
                    self.check_point(point, *most, &format!("{path}[{at}]"));
                }
            }
            (Kind::Map { keys, of, least }, Value::Table(entries)) => {
                if entries.len() < *least {
                    self.report(&node.span, path, "expected at least one entry".to_owned(), mend());
                }
                for entry in entries {
                    let path = join(path, &entry.key);
                    if let Err(why) = text_fits(keys, &entry.key) {
                        self.report(&entry.key_span, &path, why, mend::key(keys, &entry.key));
                    }
                    let format = self.source.format;
                    self.check(&entry.node, of, &path, &|| mend::write(format, &path, &mend::example(of)));
                }
            }
            _ => {
                if let Err(why) = scalar_fits(kind, &node.value) {
                    let found = self.found(node);
                    let message =
                        why.unwrap_or_else(|| format!("expected {}, found {found}", expected(kind)));
                    let mend = mend::guess(self.source.format, kind, &node.value, path).unwrap_or_else(mend);
                    self.report(&node.span, path, message, mend);
                }
            }
        }
    }

    /// A point of a curve: a time and a number.
    fn check_point(&mut self, point: &Node, most: f64, path: &str) {
        let mend = || "write a time and a number: [\"11:55\", 1.5]".to_owned();
        match &point.value {
            Value::List(pair) => match pair.as_slice() {
                [when, number] => {
                    self.check(when, &WHEN, &format!("{path}[0]"), &mend);
                    if !as_number(&number.value).is_some_and(|n| (0.0..=most).contains(&n)) {
                        let found = self.found(number);
                        let message = format!("expected a number from 0 to {most}, found {found}");
                        self.report(&number.span, &format!("{path}[1]"), message, mend());
                    }
                }
                _ => {
                    let message = format!("expected a time and a number, found {} values", pair.len());
                    self.report(&point.span, path, message, mend());
                }
            },
            _ => {
                let message = format!("expected a time and a number, found {}", self.found(point));
                self.report(&point.span, path, message, mend());
            }
        }
    }

    fn check_table(&mut self, entries: &[Entry], span: &Range<usize>, shape: &'static [Field], path: &str) {
        let mut meant = Vec::new();
        for entry in entries {
            let path = join(path, &entry.key);
            let Some(field) = shape.iter().find(|f| f.key == entry.key) else {
                let near = nearest(&entry.key, shape.iter().map(|f| f.key));
                meant.extend(near);
                self.report(&entry.key_span, &path, "no such key".to_owned(), known_keys(near, shape));
                continue;
            };
            let format = self.source.format;
            self.check(&entry.node, &field.kind, &path, &|| mend::write_field(format, &path, field));
        }
        // Where the syntax is wrong, the key may be in what could not be read.
        let missing = |field: &&Field| {
            let needed = field.need == Need::Required || (self.full && field.need == Need::Preset);
            needed && !meant.contains(&field.key) && !entries.iter().any(|e| e.key == field.key)
        };
        if self.broken.is_empty() {
            for field in shape.iter().filter(missing).collect::<Vec<_>>() {
                let path = join(path, field.key);
                let mend = mend::add_field(self.source.format, &path, field);
                self.report(span, &path, "is missing".to_owned(), mend);
            }
        }
    }

    /// What stands there, as it is written, cut where it is long.
    fn found(&self, node: &Node) -> String {
        match &node.value {
            Value::Table(_) => "a table".to_owned(),
            Value::List(_) => "a list".to_owned(),
            _ => {
                let text = self.source.cut(&node.span);
                let text: String =
                    text.chars().take(40).map(|c| if c.is_control() { '.' } else { c }).collect();
                if text.chars().count() == 40 { format!("{text}…") } else { text }
            }
        }
    }
}

/// The path of `key` below `path`; keys that are no plain words are quoted.
pub(crate) fn join(path: &str, key: &str) -> String {
    let plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let key = if plain { key.to_owned() } else { format!("{key:?}") };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

/// What should have been there.
pub(crate) fn expected(kind: &Kind) -> String {
    match kind {
        Kind::Text => "text in quotes".to_owned(),
        Kind::Name => "a name in quotes".to_owned(),
        Kind::Flag => "true or false".to_owned(),
        Kind::Whole { least, most } if least == most => format!("{least}"),
        Kind::Whole { least, most } if *most >= u64::from(u32::MAX) => format!("a whole number from {least}"),
        Kind::Whole { least, most } => format!("a whole number from {least} to {most}"),
        Kind::Duration { least, most } => {
            let (least, most) = (scalar::duration_text(*least), scalar::duration_text(*most));
            format!("a duration from {least} to {most} such as \"5s\" or \"250ms\"")
        }
        Kind::Number { least, most } => format!("a number from {least} to {most}"),
        Kind::Signed { least, most } => format!("a whole number from {least} to {most}"),
        Kind::Label => "a name in quotes".to_owned(),
        Kind::TimeOfDay => "a time of day such as \"11:55\"".to_owned(),
        Kind::When => "a time such as \"11:55\", or \"15s\" after the start".to_owned(),
        Kind::Curve { most } => {
            format!("a number from 0 to {most}, or a list of points such as [[\"11:50\", 1], [\"12:00\", 2]]")
        }
        Kind::Share => "a share from 0 to 1 such as \"10%\" or 0.1".to_owned(),
        Kind::Word(words) => {
            let quoted: Vec<String> = words.iter().map(|w| format!("\"{w}\"")).collect();
            match quoted.split_last() {
                Some((last, front)) if !front.is_empty() => format!("{} or {last}", front.join(", ")),
                _ => quoted.join(""),
            }
        }
        Kind::Address => "an address and a port such as \"127.0.0.1:8080\"".to_owned(),
        Kind::Folder => "a folder below this one, in quotes".to_owned(),
        Kind::UrlPath | Kind::Prefix => "a path that begins with \"/\"".to_owned(),
        Kind::Variable => "a variable's name".to_owned(),
        Kind::List { least: 0, .. } => "a list".to_owned(),
        Kind::List { .. } => "a list of one or more".to_owned(),
        Kind::Pair(of) => format!("two values, each {}", expected(of)),
        Kind::Either(of, _) => format!("{}, or a table", expected(of)),
        Kind::Table(_) | Kind::Map { .. } => "a table".to_owned(),
        Kind::OffOr(_) => "false or a table".to_owned(),
        Kind::FalseOr(of) => format!("false or {}", expected(of)),
    }
}

/// Whether a value that holds no others fits; the error is a message of its own where "expected, found" says too
/// little.
fn scalar_fits(kind: &Kind, value: &Value) -> Result<(), Option<String>> {
    let fits = match (kind, value) {
        (Kind::FalseOr(of) | Kind::Either(of, _), _) => return scalar_fits(of, value),
        (Kind::Number { least, most }, _) => as_number(value).is_some_and(|n| (*least..=*most).contains(&n)),
        (Kind::Curve { most }, _) => as_number(value).is_some_and(|n| (0.0..=*most).contains(&n)),
        (Kind::Signed { least, most }, Value::Whole(n)) => {
            (i128::from(*least)..=i128::from(*most)).contains(n)
        }
        (Kind::TimeOfDay, Value::Text(text)) => scalar::time_of_day(text).is_some(),
        (Kind::When, Value::Text(text)) => scalar::when(text).is_some(),
        (Kind::Flag, Value::Flag(_)) => true,
        (Kind::Whole { least, most }, Value::Whole(n)) => {
            (i128::from(*least)..=i128::from(*most)).contains(n)
        }
        (Kind::Duration { least, most }, Value::Text(text)) => {
            scalar::duration(text).is_some_and(|d| (least..=most).contains(&&d))
        }
        (Kind::Share, _) => as_share(value).is_some(),
        (Kind::Word(words), Value::Text(text)) => words.contains(&text.as_str()),
        (Kind::Address, Value::Text(text)) => text.parse::<SocketAddr>().is_ok(),
        (
            Kind::Text
            | Kind::Name
            | Kind::Label
            | Kind::Folder
            | Kind::UrlPath
            | Kind::Prefix
            | Kind::Variable,
            Value::Text(text),
        ) => {
            return text_fits(kind, text).map_err(Some);
        }
        _ => false,
    };
    if fits { Ok(()) } else { Err(None) }
}

/// Whether a text has the form that `kind` asks for.
pub(crate) fn text_fits(kind: &Kind, text: &str) -> Result<(), String> {
    match kind {
        Kind::Name => ServiceName::new(text).map(|_| ()).map_err(|bad| format!("{text:?} is no name: {bad}")),
        Kind::Label => {
            let word = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
            let ends = text.starts_with('-') || text.ends_with('-');
            if text.is_empty() || text.len() > 63 || ends || !text.bytes().all(word) {
                Err(format!("{text:?} is no name: 1 to 63 letters, digits and `-`, no `-` at the ends"))
            } else {
                Ok(())
            }
        }
        Kind::Text if text.contains('\0') => Err("text may not have a NUL character".to_owned()),
        Kind::Folder => {
            let odd = |part: &str| part.is_empty() || part == ".." || part.contains(['\\', '\0']);
            if text != "." && text.trim_end_matches('/').split('/').any(odd) {
                Err(format!("{text:?} is no folder below this one: no \"..\", no \"/\" at the start"))
            } else {
                Ok(())
            }
        }
        Kind::UrlPath | Kind::Prefix => {
            let query = matches!(kind, Kind::UrlPath);
            let plain = |b: u8| b.is_ascii_graphic() && b != b'#' && (query || b != b'?');
            if text.starts_with('/') && text.bytes().all(plain) {
                Ok(())
            } else {
                Err(format!("{text:?} is no path: it begins with \"/\" and has no spaces, \"?\" or \"#\""))
            }
        }
        Kind::Variable => {
            let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            if !text.is_empty() && text.bytes().all(word) && !text.starts_with(|c: char| c.is_ascii_digit()) {
                Ok(())
            } else {
                Err(format!("{text:?} is no variable's name: letters, digits and `_`, no digit first"))
            }
        }
        _ => Ok(()),
    }
}

/// A number, whole or not.
pub(crate) fn as_number(value: &Value) -> Option<f64> {
    match value {
        #[allow(clippy::cast_precision_loss)] // Whoever asks for less than a whole does not mind.
        Value::Whole(n) => Some(*n as f64),
        Value::Real(n) => Some(*n),
        _ => None,
    }
}

/// A share, in either of its forms.
pub(crate) fn as_share(value: &Value) -> Option<Share> {
    match value {
        Value::Text(text) => scalar::share(text),
        Value::Whole(0) => Some(Share::NONE),
        Value::Whole(1) => Some(Share::ALL),
        Value::Real(part) => Share::new(*part).ok(),
        _ => None,
    }
}

/// What to do about a key that is not declared.
fn known_keys(near: Option<&str>, shape: &'static [Field]) -> String {
    match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            let keys: Vec<&str> = shape.iter().map(|f| f.key).collect();
            format!("known here: {}", keys.join(", "))
        }
    }
}

/// The word nearest to `text`, unless that is far.
pub(crate) fn nearest<'w>(text: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let text: String = text.chars().take(64).collect::<String>().to_lowercase().replace('_', "-");
    let near = words.map(|word| (distance(&text, word), word)).min()?;
    let far = (near.1.chars().count().max(text.chars().count()) * 2 / 5).max(1);
    (near.0 <= far).then_some(near.1)
}

/// How many insertions, deletions, replacements and swaps of neighbours make `a` into `b` (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut older: Vec<usize> = Vec::new();
    let mut old: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX - 1);
            let mut best = (at(&old, j) + usize::from(x != y)).min(at(&old, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                best = best.min(at(&older, j - 1) + 1);
            }
            row.push(best);
        }
        older = std::mem::replace(&mut old, row);
    }
    old.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_suggested_unless_it_is_far() {
        let words = ["instances", "path", "policies"];
        for (text, want) in [
            ("instnaces", Some("instances")),
            ("Instances", Some("instances")),
            ("paht", Some("path")),
            ("policy", Some("policies")),
            ("replicas", None),
            ("", None),
        ] {
            assert_eq!(nearest(text, words.into_iter()), want, "{text}");
        }
    }

    #[test]
    fn the_distance_counts_swaps_once() {
        for (a, b, want) in [("", "", 0), ("a", "", 1), ("ab", "ba", 1), ("kitten", "sitting", 3)] {
            assert_eq!(distance(a, b), want, "{a} {b}");
        }
    }
}
