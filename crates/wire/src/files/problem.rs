//! What is wrong with a file: where, what, and how to mend it; rendered as a good compiler does.

use std::fmt;
use std::ops::Range;

/// One mistake in one file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The file as it was named by the one who asked.
    pub file: String,
    /// The line, counted from 1; 0 for the file as a whole.
    pub line: usize,
    /// The column in characters, counted from 1; 0 for the file as a whole.
    pub column: usize,
    /// Which setting: `services.opbox.instances`; empty for the file as a whole.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
    /// What to do about it; may be empty.
    pub mend: String,
    /// The line itself; empty where there is none to show.
    pub source: String,
    /// How many characters from `column` on are meant, at least 1.
    pub width: usize,
}

/// Everything that is wrong, in the order of the files and of the lines within each. It is never empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// At most so many problems of one file are shown: the rest are often consequences of the first.
    pub const SHOWN_PER_FILE: usize = 10;

    /// At most so many problems of one file are noted: a file with more of them is some other file.
    pub const NOTED_PER_FILE: usize = 1000;

    /// `problems`, ordered within each file; none if there are none.
    pub(crate) fn of(mut problems: Vec<Problem>) -> Option<Problems> {
        let mut files: Vec<String> = Vec::new();
        for problem in &problems {
            if !files.contains(&problem.file) {
                files.push(problem.file.clone());
            }
        }
        let rank = |p: &Problem| (files.iter().position(|f| *f == p.file), p.line, p.column);
        problems.sort_by_key(rank);
        problems.dedup();
        if problems.is_empty() { None } else { Some(Problems(problems)) }
    }

    /// This one.
    pub(crate) fn one(problem: Problem) -> Problems {
        Problems(vec![problem])
    }

    /// Each of them.
    pub fn all(&self) -> &[Problem] {
        &self.0
    }

    /// Each of them, to be kept.
    pub fn into_all(self) -> Vec<Problem> {
        self.0
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: ", self.file)?,
            _ => write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?,
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        writeln!(f, "{}", self.message)?;
        if !self.source.is_empty() {
            let number = self.line.to_string();
            let margin = " ".repeat(number.len());
            // A tab before the caret is kept, so that the caret stands where the terminal puts the character.
            let lead: String = self
                .source
                .chars()
                .take(self.column.saturating_sub(1))
                .map(|c| if c == '\t' { c } else { ' ' })
                .collect();
            writeln!(f, "  {number} | {}", self.source)?;
            writeln!(f, "  {margin} | {lead}{}", "^".repeat(self.width.max(1)))?;
        }
        if !self.mend.is_empty() {
            writeln!(f, "  help: {}", self.mend)?;
        }
        Ok(())
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for group in self.0.chunk_by(|a, b| a.file == b.file) {
            for problem in group.iter().take(Problems::SHOWN_PER_FILE) {
                write!(f, "{problem}")?;
            }
            let more = group.len().saturating_sub(Problems::SHOWN_PER_FILE);
            if let (true, Some(first)) = (more > 0, group.first()) {
                let noun = if more == 1 { "problem" } else { "problems" };
                writeln!(f, "{}: {more} more {noun} not shown", first.file)?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// How a file is written, for what is said about mending it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Format {
    /// `key = value`.
    Toml,
    /// `"key": value`.
    Json,
}

/// A file's text, to point into.
#[derive(Debug)]
pub(crate) struct Source {
    /// Its name, for people.
    pub(crate) file: String,
    /// What is in it.
    pub(crate) text: String,
    /// How it is written.
    pub(crate) format: Format,
}

impl Source {
    /// Text between two byte positions, however wrong these are.
    pub(crate) fn cut(&self, span: &Range<usize>) -> &str {
        self.text.get(span.start..span.end.min(self.text.len())).unwrap_or_default()
    }

    /// The problem at `span` (in bytes).
    pub(crate) fn problem(&self, span: &Range<usize>, path: &str, message: String, mend: String) -> Problem {
        let start = floor(&self.text, span.start);
        let end = floor(&self.text, span.end.max(start));
        let before = self.text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let rest = self.text.get(line_start..).unwrap_or_default();
        let source = rest.lines().next().unwrap_or_default();
        let column = self.text.get(line_start..start).unwrap_or_default().chars().count() + 1;
        let line_end = line_start + source.len();
        let width = self.text.get(start..end.min(line_end)).map_or(0, |s| s.chars().count());
        // A problem with the file as a whole has no line to show.
        let source = if *span == (0..0) { String::new() } else { shown(source) };
        Problem {
            file: self.file.clone(),
            line: before.matches('\n').count() + 1,
            column,
            path: path.to_owned(),
            message,
            mend,
            source,
            width: width.clamp(1, 80),
        }
    }
}

/// The nearest boundary of a character at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// A line that a terminal can show; a longer one (a JSON file without line ends) is not shown at all. Control
/// characters other than tabs are shown as `.`: a file must not be able to steer the reader's terminal.
fn shown(line: &str) -> String {
    if line.chars().count() > 200 {
        return String::new();
    }
    line.chars().map(|c| if c.is_control() && c != '\t' { '.' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source { file: "a.toml".into(), text: text.into(), format: Format::Toml }
    }

    #[test]
    fn a_problem_points_at_characters_not_bytes() {
        let s = source("x = 1\nä = \"ö\" # ü\n");
        let p = s.problem(&(11..15), "ä", "wrong".into(), "mend it".into());
        assert_eq!((p.line, p.column, p.width), (2, 5, 3));
        let text = p.to_string();
        assert_eq!(text, "a.toml:2:5: ä: wrong\n  2 | ä = \"ö\" # ü\n    |     ^^^\n  help: mend it\n");
    }

    #[test]
    fn positions_out_of_range_are_harmless() {
        let s = source("ä");
        for span in [0..0, 1..2, 5..9, usize::MAX..usize::MAX] {
            let p = s.problem(&span, "", "wrong".into(), String::new());
            assert_eq!(p.line, 1);
        }
    }

    #[test]
    fn ten_are_shown_and_the_rest_counted() {
        let s = source("abcdefghijkl");
        let all = (0..12).map(|at| s.problem(&(at..at + 1), "", "wrong".into(), String::new())).collect();
        let text = Problems::of(all).map(|p| p.to_string()).unwrap_or_default();
        assert_eq!(text.matches(": wrong").count(), 10);
        assert!(text.ends_with("a.toml: 2 more problems not shown\n"), "{text}");
        assert_eq!(Problems::of(Vec::new()), None);
    }
}
