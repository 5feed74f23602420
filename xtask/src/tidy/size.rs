//! Long functions and long files, with a ratchet: today's exceptions may shrink and never grow.

use super::rust::{self, Source};
use super::{Problem, RATCHET, Tree};
use std::collections::BTreeMap;
use std::fmt::Write;

/// A function may be this long, from `fn` to its closing brace, without an entry in the ratchet.
pub(crate) const FUNCTION_LINES: usize = 70;
/// A file may be this long, its test items not counted, without an entry in the ratchet.
pub(crate) const FILE_LINES: usize = 700;

const HEAD: &str = "\
# Functions over 70 lines and files over 700: today's exceptions, which may shrink and never grow.
# `cargo xtask tidy --bless` tightens this list. A new exception is a line written by hand, argued for in review.
";

/// What is too long: a file, or a function in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Subject {
    path: String,
    /// Empty for the file itself.
    function: String,
}

/// Its length in lines, and the line where it begins.
#[derive(Debug, Clone, Copy)]
struct Extent {
    lines: usize,
    line: usize,
}

/// Compares today's sizes with the limits and the ratchet.
pub(crate) fn check(tree: &Tree, sources: &[Source<'_>]) -> Vec<Problem> {
    let today = oversized(sources);
    let (ratchet, mut problems) = read_ratchet(tree.text_of(RATCHET));
    for (subject, now) in &today {
        let limit = limit(subject);
        let allowed = ratchet.get(subject).map(|entry| entry.lines);
        let mend = match allowed {
            None => format!("{} has {} lines, at most {limit}: split it", name(subject), now.lines),
            Some(allowed) if now.lines > allowed => {
                format!("{} grew from {allowed} to {} lines: shrink it instead", name(subject), now.lines)
            }
            Some(_) => continue,
        };
        problems.push(Problem::new(&subject.path, now.line, "size", mend));
    }
    for (subject, entry) in &ratchet {
        let now = today.get(subject).map_or(0, |extent| extent.lines);
        if now < entry.lines {
            let mend =
                format!("{} {} is shorter now, run cargo xtask tidy --bless", subject.path, name(subject));
            problems.push(Problem::new(RATCHET, entry.line, "size", mend));
        }
    }
    problems
}

/// The ratchet's text with every entry brought down to today's size, and entries no longer needed left
/// out. Where there is no ratchet yet, it is begun with today's exceptions.
pub(crate) fn tightened(tree: &Tree, sources: &[Source<'_>]) -> String {
    let today = oversized(sources);
    let old = tree.text_of(RATCHET);
    let (ratchet, _) = read_ratchet(old);
    let mut text = String::from(HEAD);
    for (subject, now) in &today {
        let lines = match ratchet.get(subject) {
            Some(entry) => entry.lines.min(now.lines),
            None if old.is_empty() => now.lines,
            None => continue,
        };
        let line = format!("{lines} {} {}", subject.path, subject.function);
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn limit(subject: &Subject) -> usize {
    if subject.function.is_empty() { FILE_LINES } else { FUNCTION_LINES }
}

fn name(subject: &Subject) -> &str {
    if subject.function.is_empty() { "the file" } else { &subject.function }
}

fn oversized(sources: &[Source<'_>]) -> BTreeMap<Subject, Extent> {
    let mut all: BTreeMap<Subject, Extent> = BTreeMap::new();
    let mut note = |path: &str, function: &str, extent: Extent| {
        let subject = Subject { path: path.to_owned(), function: function.to_owned() };
        if extent.lines > limit(&subject) && all.get(&subject).is_none_or(|known| known.lines < extent.lines)
        {
            all.insert(subject, extent);
        }
    };
    for source in sources {
        let path = &source.file.path;
        for function in &source.functions {
            note(path, &function.name, Extent { lines: function.lines, line: function.line });
        }
        if !rust::is_test_file(path) {
            let lines = (1..=source.file.text.lines().count()).filter(|&line| !source.in_test(line)).count();
            note(path, "", Extent { lines, line: 1 });
        }
    }
    all
}

fn read_ratchet(text: &str) -> (BTreeMap<Subject, Extent>, Vec<Problem>) {
    let mut entries = BTreeMap::new();
    let mut problems = Vec::new();
    for (index, text) in text.lines().enumerate().filter(|(_, text)| !text.starts_with('#')) {
        let mut words = text.split_whitespace();
        match (words.next().and_then(|lines| lines.parse().ok()), words.next()) {
            (Some(lines), Some(path)) => {
                let subject =
                    Subject { path: path.to_owned(), function: words.next().unwrap_or("").to_owned() };
                entries.insert(subject, Extent { lines, line: index + 1 });
            }
            _ => problems.push(Problem::new(RATCHET, index + 1, "size", "write LINES PATH [FUNCTION]")),
        }
    }
    (entries, problems)
}
