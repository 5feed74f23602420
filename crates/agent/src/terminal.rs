//! What people see while an environment runs: lines on stderr, each app's under its name.
//!
//! A terminal can be stopped (Ctrl-S) or a reader slow. The agent must not wait for either, so a thread of its own
//! writes, and lines that it has no room for are left out and counted.

use std::io::{IsTerminal, Write};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// So many lines may wait to be written.
const ROOM: usize = 4_096;
/// Colours that are read well on dark and on light ground: cyan, yellow, green, magenta, blue.
const COLOURS: [u8; 5] = [36, 33, 32, 35, 34];

/// Writes lines for people.
#[derive(Clone, Debug)]
pub(crate) struct Terminal {
    lines: Option<SyncSender<String>>,
    lost: Arc<Mutex<u64>>,
    width: usize,
    colour: bool,
}

/// Ends when the last [`Terminal`] is dropped and all lines are written.
#[derive(Debug)]
pub(crate) struct Writer(JoinHandle<()>);

impl Terminal {
    /// Writes to stderr; names are filled up to `width`. Colour only on a terminal and without `NO_COLOR`.
    pub(crate) fn begin(width: usize) -> (Terminal, Writer) {
        let (sender, receiver) = sync_channel(ROOM);
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colour = std::io::stderr().is_terminal() && !no_colour;
        let writer = std::thread::spawn(move || write(&receiver));
        let lost = Arc::default();
        (Terminal { lines: Some(sender), lost, width, colour }, Writer(writer))
    }

    /// Writes nothing.
    #[cfg(test)]
    pub(crate) fn silent() -> Terminal {
        Terminal { lines: None, lost: Arc::default(), width: 0, colour: false }
    }

    /// A line of ours.
    pub(crate) fn say(&self, text: &str) {
        self.send(text.to_owned());
    }

    /// A line that the app `name` wrote.
    pub(crate) fn app(&self, name: &str, text: &str) {
        self.send(prefixed(name, text, self.width, self.colour));
    }

    fn send(&self, line: String) {
        let Some(lines) = &self.lines else { return };
        let Ok(mut lost) = self.lost.lock() else { return };
        if *lost > 0 && lines.try_send(format!("… {lost} lines are not shown here")).is_ok() {
            *lost = 0;
        }
        if let Err(TrySendError::Full(_)) = lines.try_send(line) {
            *lost += 1;
        }
    }
}

impl Writer {
    /// Waits until everything is written. All [`Terminal`]s must be gone, or this waits for ever.
    pub(crate) fn finish(self) {
        // A writer that panicked has nothing left to wait for.
        let _ = self.0.join();
    }
}

fn write(lines: &Receiver<String>) {
    for line in lines {
        // Nobody to read it: nothing to be done.
        let _ = writeln!(std::io::stderr().lock(), "{line}");
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
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), ["0", "1"]);
        terminal.say("later");
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), ["… 3 lines are not shown here", "later"]);
    }
}
