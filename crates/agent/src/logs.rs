//! What apps write: kept per instance in a file and, the newest, in memory; and shown on the terminal.

use crate::terminal::Terminal;
use api::{LogLine, Logs as Answer, Query, VERSION, rfc3339};
use net::bounded_file::BoundedFile;
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// So many lines of an instance are kept in memory …
const LINES_KEPT: usize = 2_000;
/// … but not more than so many bytes.
const BYTES_KEPT: usize = 1 << 20;
/// A longer line is cut into several.
pub(crate) const LONGEST_LINE: usize = 16 << 10;

/// What all apps of a run wrote.
#[derive(Debug)]
pub(crate) struct Logs {
    folder: PathBuf,
    sources: BTreeMap<String, Source>,
    last: u64,
    terminal: Terminal,
    shown: bool,
}

#[derive(Debug)]
struct Source {
    file: BoundedFile,
    recent: VecDeque<Line>,
    bytes: usize,
}

#[derive(Debug)]
struct Line {
    seq: u64,
    time: SystemTime,
    text: String,
}

/// Whether a line is also shown on the terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Show {
    /// If lines of apps are shown at all.
    Yes,
    /// Never.
    No,
}

impl Logs {
    /// Nothing was written yet; files will appear in `folder`. Without `shown` nothing goes to the terminal.
    pub(crate) fn begin(folder: &Path, terminal: Terminal, shown: bool) -> Logs {
        Logs { folder: folder.to_owned(), sources: BTreeMap::new(), last: 0, terminal, shown }
    }

    /// Keeps a line that `name` wrote.
    pub(crate) fn add(&mut self, name: &str, text: String, show: Show) {
        self.last += 1;
        if self.shown && show == Show::Yes {
            self.terminal.app(name, &text);
        }
        let folder = &self.folder;
        let source = self.sources.entry(name.to_owned()).or_insert_with(|| Source {
            file: BoundedFile::new(&folder.join(format!("{name}.log"))),
            recent: VecDeque::new(),
            bytes: 0,
        });
        source.file.append(text.as_bytes());
        source.bytes += text.len();
        source.recent.push_back(Line { seq: self.last, time: SystemTime::now(), text });
        while source.recent.len() > LINES_KEPT || source.bytes > BYTES_KEPT {
            let Some(oldest) = source.recent.pop_front() else { break };
            source.bytes -= oldest.text.len();
        }
    }

    /// Where the lines of `name` are written down.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }

    /// The newest `count` lines of `name`, oldest first.
    pub(crate) fn tail(&self, name: &str, count: usize) -> Vec<String> {
        let Some(source) = self.sources.get(name) else { return Vec::new() };
        let from = source.recent.len().saturating_sub(count);
        source.recent.iter().skip(from).map(|line| line.text.clone()).collect()
    }

    /// What is asked for of these sources together, in the order in which it was written.
    pub(crate) fn answer(&self, names: &[String], query: Query) -> Answer {
        let after = query.after.unwrap_or(0);
        let mut lines = Vec::new();
        for name in names {
            let Some(source) = self.sources.get(name) else { continue };
            lines.extend(source.recent.iter().filter(|line| line.seq > after).map(|line| (name, line)));
        }
        lines.sort_by_key(|(_, line)| line.seq);
        let tail = query.tail.and_then(|tail| usize::try_from(tail).ok()).unwrap_or(usize::MAX);
        let from = lines.len().saturating_sub(tail);
        let shape = |(name, line): &(&String, &Line)| LogLine {
            seq: line.seq,
            time: rfc3339(line.time),
            instance: (*name).clone(),
            text: line.text.clone(),
        };
        Answer { version: VERSION, lines: lines.iter().skip(from).map(shape).collect(), next: self.last }
    }
}

/// Takes whole lines out of bytes that come in pieces. What is no UTF-8 is replaced; a line that is too long is cut.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    rest: Vec<u8>,
}

impl Splitter {
    /// Adds `bytes` and gives `line` each line that is whole now.
    pub(crate) fn add(&mut self, bytes: &[u8], mut line: impl FnMut(String)) {
        self.rest.extend_from_slice(bytes);
        loop {
            let end = self.rest.iter().take(LONGEST_LINE).position(|b| *b == b'\n');
            let (length, skip) = match end {
                Some(at) => (at, 1),
                None if self.rest.len() >= LONGEST_LINE => (LONGEST_LINE, 0),
                None => return,
            };
            line(text(&self.rest[..length]));
            self.rest.drain(..length + skip);
        }
    }

    /// What is left when no more bytes come.
    pub(crate) fn finish(self) -> Option<String> {
        (!self.rest.is_empty()).then(|| text(&self.rest))
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.strip_suffix(b"\r").unwrap_or(bytes)).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::time::Duration;

    #[test]
    fn lines_are_taken_whole_from_pieces() {
        let mut splitter = Splitter::default();
        let mut lines = Vec::new();
        for piece in [&b"on"[..], b"e\ntwo\r\n\n", b"\xff\n", &[b'x'; LONGEST_LINE + 3], b"\nrest"] {
            splitter.add(piece, |line| lines.push(line));
        }
        assert_eq!(lines[..4], ["one", "two", "", "\u{fffd}"]);
        assert_eq!((lines[4].len(), lines[5].as_str()), (LONGEST_LINE, "xxx"));
        assert_eq!(splitter.finish().unwrap(), "rest");
    }

    #[test]
    fn instances_of_a_service_are_read_together_in_order_and_memory_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let mut logs = Logs::begin(folder.path(), Terminal::silent(), true);
        for number in 0..3 {
            logs.add(&format!("a-{}", number % 2), number.to_string(), Show::Yes);
        }
        let names = ["a-0".to_owned(), "a-1".to_owned()];
        let answer = logs.answer(&names, Query::tail(2));
        assert_eq!(answer.lines.iter().map(|l| l.text.as_str()).collect::<Vec<_>>(), ["1", "2"]);
        let answer = logs.answer(&names, Query::after(answer.next, Duration::ZERO));
        assert!(answer.lines.is_empty());
        for _ in 0..200 {
            logs.add("b-1", "x".repeat(LONGEST_LINE), Show::No);
        }
        assert!(logs.sources["b-1"].bytes <= BYTES_KEPT);
        assert_eq!(logs.tail("b-1", 1)[0].len(), LONGEST_LINE);
        assert!(folder.path().join("b-1.log").exists());
    }
}
