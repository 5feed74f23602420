//! What people see while an environment runs: lines on stderr, each app's under its name; and on stdout the one line
//! that is data.
//!
//! A terminal can be stopped (Ctrl-S) or a reader slow. The agent must not wait for either, so a thread of its own
//! writes, and lines that it has no room for are left out and counted.

use std::io::{IsTerminal, Write};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// So many lines may wait to be written.
const ROOM: usize = 4_096;
/// At the end a terminal that is stopped is waited for no longer than this.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Colours that are read well on dark and on light ground: cyan, yellow, green, magenta, blue.
const COLOURS: [u8; 5] = [36, 33, 32, 35, 34];

/// Writes lines for people.
#[derive(Clone, Debug)]
pub(crate) struct Terminal {
    lines: Option<SyncSender<Line>>,
    lost: Arc<Mutex<u64>>,
    width: usize,
    colour: bool,
}

/// A line and where it goes.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Line {
    People(String),
    Data(String),
}

/// Ends when the last [`Terminal`] is dropped and all lines are written.
#[derive(Debug)]
pub(crate) struct Writer(Receiver<()>);

impl Terminal {
    /// Writes to stderr; names are filled up to `width`. Colour only on a terminal and without `NO_COLOR`.
    pub(crate) fn begin(width: usize) -> (Terminal, Writer) {
        let (sender, receiver) = sync_channel(ROOM);
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colour = std::io::stderr().is_terminal() && !no_colour;
        let (over, is_over) = sync_channel(1);
        std::thread::spawn(move || {
            write(&receiver);
            // Nobody waits for it any more: it took too long.
            let _ = over.send(());
        });
        let lost = Arc::default();
        (Terminal { lines: Some(sender), lost, width, colour }, Writer(is_over))
    }

    /// Writes nothing.
    #[cfg(test)]
    pub(crate) fn silent() -> Terminal {
        Terminal { lines: None, lost: Arc::default(), width: 0, colour: false }
    }

    /// A line of ours.
    pub(crate) fn say(&self, text: &str) {
        self.send(Line::People(text.to_owned()));
    }

    /// A line of data, for stdout; after what was said before it.
    pub(crate) fn data(&self, text: &str) {
        self.send(Line::Data(text.to_owned()));
    }

    /// A line that the app `name` wrote.
    pub(crate) fn app(&self, name: &str, text: &str) {
        self.send(Line::People(prefixed(name, text, self.width, self.colour)));
    }

    fn send(&self, line: Line) {
        let Some(lines) = &self.lines else { return };
        let Ok(mut lost) = self.lost.lock() else { return };
        if *lost > 0 && lines.try_send(lost_lines(*lost)).is_ok() {
            *lost = 0;
        }
        if let Err(TrySendError::Full(_)) = lines.try_send(line) {
            *lost += 1;
        }
    }
}

impl Writer {
    /// Waits until everything is written, but not for a reader who does not read. All [`Terminal`]s must be gone.
    pub(crate) fn finish(self) {
        // What is not read by then is lost with this process.
        let _ = self.0.recv_timeout(LAST_WORDS);
    }
}

fn lost_lines(lost: u64) -> Line {
    Line::People(format!("… {lost} lines are not shown here"))
}

fn write(lines: &Receiver<Line>) {
    for line in lines {
        // Nobody to read it: nothing to be done.
        let _ = match line {
            Line::People(text) => writeln!(std::io::stderr().lock(), "{text}"),
            Line::Data(text) => writeln!(std::io::stdout().lock(), "{text}"),
        };
    }
}

fn prefixed(name: &str, text: &str, width: usize, colour: bool) -> String {
    if !colour {
        return format!("{name:<width$} │ {text}");
    }
    // The same name always gets the same colour, whatever else runs.
    let sum: usize = name.bytes().map(usize::from).sum();
    format!("\x1b[{}m{name:<width$} │\x1b[0m {text}", COLOURS[sum % COLOURS.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stands_under_its_name_and_colour_is_asked_for() {
        assert_eq!(prefixed("a-1", "hello", 5, false), "a-1   │ hello");
        assert!(prefixed("a-1", "hello", 5, true).starts_with("\x1b["));
    }

    #[test]
    fn a_stuck_terminal_holds_nobody_up() {
        let (sender, receiver) = sync_channel(2);
        let terminal = Terminal { lines: Some(sender), lost: Arc::default(), width: 0, colour: false };
        (0..5).for_each(|n| terminal.say(&n.to_string()));
        let said = |text: &str| Line::People(text.into());
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [said("0"), said("1")]);
        terminal.say("later");
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [lost_lines(3), said("later")]);
    }
}
