//! A tape: every decision about every call, in text, so that a recorded run can be judged again by another build.
//!
//! One entry a line, words with one space between them. The first is the number of the books (one for each service and
//! direction; the driver chooses it), the second the moment in nanoseconds, the third what it is:
//!
//! | word | then | means |
//! |---|---|---|
//! | `seed` | number | the books' dice are `Streams::new` of it; once, first |
//! | `follow` | handles with commas (`-`: none), settings | `Books::follow`; the first one makes the books |
//! | `begin` | call, `idempotent` or `once`, `body` or `empty`, remaining, attempt, importance, timeouts | `Call::begin` |
//! | `on` | call, event | `Call::on` |
//! | `next` | call, step | `Call::next`, and what came of it |
//!
//! An attempt is named by its place, 1 or 2: attempts take turns in them. Durations and moments are whole nanoseconds,
//! `-` stands for none, `never` for a moment that never comes. The order of lines is the order in which the books were
//! used: the driver writes them under the same lock.
//!
//! ```
//! # use policy::tape::{Line, decode, encode, replay};
//! let tape = "\
//! 0 0 seed 7
//! 0 0 follow 4,9 balancing=round-robin timeouts=15000000000,1000000000,60000000000,kept retry=- hedge=- breaker=- \
//! ejection=- slow-start=- panic=0 limit=-
//! 0 5 begin 1 idempotent empty - 1 critical 15000000000,1000000000,60000000000,kept
//! 0 5 next 1 open 1 0.0 1000000005
//! 0 5 next 1 idle 15000000005
//! 0 9 on 1 head 1 200 answer
//! 0 9 next 1 forward 1 60000000000
//! 0 12 on 1 ended complete
//! 0 12 next 1 settled
//! ";
//! assert_eq!(replay(tape.lines()), Ok(4)); // four steps, all the same
//! let (books, line) = decode("0 9 on 1 head 1 200 answer").unwrap();
//! let mut text = String::new();
//! encode(books, &line, &mut text);
//! assert_eq!(text, "0 9 on 1 head 1 200 answer\n");
//! ```

mod read;
mod write;

use crate::{Ask, Books, Call, CallId, Event, Step, Streams};
use model::{Moment, Settings};
use std::collections::BTreeMap;
use std::fmt;

pub use read::{BadLine, decode};
pub use write::encode;

/// One entry of a tape.
#[derive(Clone, PartialEq, Debug)]
pub enum Line {
    /// The seed of the books' dice.
    Seed {
        /// The seed.
        seed: u64,
    },
    /// The books follow a snapshot; the first time they are made for it.
    Follow {
        /// When.
        now: Moment,
        /// The driver's handles of the endpoints.
        handles: Vec<u32>,
        /// The settings.
        settings: Box<Settings>,
    },
    /// A call begins.
    Begin {
        /// When.
        now: Moment,
        /// What it begins with.
        ask: Ask,
    },
    /// A call is told of an event.
    On {
        /// When.
        now: Moment,
        /// Which call.
        id: CallId,
        /// Which event.
        event: Event,
    },
    /// A call is asked for its next step.
    Next {
        /// When.
        now: Moment,
        /// Which call.
        id: CallId,
        /// What it answered.
        step: Step,
    },
}

/// Where a tape and this build differ.
#[derive(Clone, PartialEq, Debug)]
pub enum Mismatch {
    /// A line cannot be read.
    Unreadable {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        why: BadLine,
    },
    /// A line speaks of books or a call that have not begun.
    Unknown {
        /// Counted from 1.
        line: usize,
    },
    /// Another step than the recorded one.
    Step {
        /// Counted from 1.
        line: usize,
        /// What was recorded.
        recorded: Step,
        /// What this build does.
        here: Step,
    },
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mismatch::Unreadable { line, why } => write!(f, "line {line} cannot be read: {why}"),
            Mismatch::Unknown { line } => {
                write!(
                    f,
                    "line {line} speaks of books or of a call that have not begun: is the tape's head missing?"
                )
            }
            Mismatch::Step { line, recorded, here } => {
                write!(f, "line {line}: recorded was {recorded:?}, this build does {here:?}")
            }
        }
    }
}

impl std::error::Error for Mismatch {}

/// Books that are being played again.
struct Deck {
    dice: Streams,
    books: Option<Books>,
    calls: BTreeMap<u64, Call>,
}

/// Plays a tape again with fresh books. Says how many steps were compared; all were equal.
///
/// # Errors
/// [`Mismatch`] at the first line that differs or cannot be played.
pub fn replay<'a>(lines: impl Iterator<Item = &'a str>) -> Result<usize, Mismatch> {
    let (mut decks, mut compared) = (BTreeMap::<u32, Deck>::new(), 0);
    for (i, text) in lines.enumerate() {
        let line = i + 1;
        let (books, entry) = decode(text).map_err(|why| Mismatch::Unreadable { line, why })?;
        if let Line::Seed { seed } = entry {
            let deck = Deck { dice: Streams::new(seed), books: None, calls: BTreeMap::new() };
            decks.insert(books, deck);
            continue;
        }
        let deck = decks.get_mut(&books).ok_or(Mismatch::Unknown { line })?;
        compared += usize::from(matches!(entry, Line::Next { .. }));
        match deck.play(entry) {
            Some(Ok(())) => {}
            Some(Err((recorded, here))) => return Err(Mismatch::Step { line, recorded, here }),
            None => return Err(Mismatch::Unknown { line }),
        }
    }
    Ok(compared)
}

impl Deck {
    /// Plays one line. None if it speaks of what has not begun; the recorded step and this one if they differ.
    fn play(&mut self, entry: Line) -> Option<Result<(), (Step, Step)>> {
        match entry {
            Line::Seed { .. } => {}
            Line::Follow { now, handles, settings } => {
                let books = self.books.get_or_insert_with(|| Books::new(&settings, now));
                books.follow(&handles, &settings, now);
            }
            Line::Begin { now, ask } => {
                self.calls.insert(ask.id.0, Call::begin(ask, now));
            }
            Line::On { now, id, event } => {
                self.calls.get_mut(&id.0)?.on(event, self.books.as_mut()?, now);
            }
            Line::Next { now, id, step: recorded } => {
                let books = self.books.as_mut()?;
                let here = self.calls.get_mut(&id.0)?.next(books, now, &mut self.dice);
                books.take_woken().for_each(drop);
                books.take_notes().for_each(drop);
                if here == Step::Settled {
                    self.calls.remove(&id.0);
                }
                if here != recorded {
                    return Some(Err((recorded, here)));
                }
            }
        }
        Some(Ok(()))
    }
}

#[cfg(test)]
mod tests;
