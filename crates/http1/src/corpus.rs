//! Test support: the messages of `corpus/*.txt` with the readings that they must get, and a reader of
//! whole messages that arrive in pieces. Not for the data path: this allocates.
//!
//! The format is described in `corpus/README.md`.

mod reading;
mod text;

pub use reading::{Outcome, Reading, read};

use crate::{Asked, Limits, Rule};

/// Which way a message goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// From the client.
    Request,
    /// To the client.
    Response(Asked),
}

/// One message and its one right reading.
#[derive(Clone, Debug)]
pub struct Case {
    /// Unique.
    pub name: String,
    /// The part of the standard that decides.
    pub section: String,
    /// Which way it goes.
    pub direction: Direction,
    /// The limits that it is read with.
    pub limits: Limits,
    /// The message, and what stands behind it.
    pub bytes: Vec<u8>,
    /// Its reading.
    pub expected: Expected,
}

/// What must come of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expected {
    /// Refused by that rule, in the head or in the body.
    Refused(Rule),
    /// Neither complete nor refused.
    Unfinished,
    /// Read like this. The authority is compared where it is not empty.
    Accepted(Box<Reading>),
}

impl Expected {
    /// Whether that is what came of it.
    pub fn is(&self, outcome: &Outcome) -> bool {
        match (self, outcome) {
            (Self::Refused(expected), Outcome::Refused(rule)) => expected == rule,
            (Self::Unfinished, Outcome::Unfinished) => true,
            (Self::Accepted(expected), Outcome::Accepted(reading)) => {
                let mut reading = reading.clone();
                if expected.authority.is_empty() {
                    reading.authority.clear();
                }
                **expected == reading
            }
            _ => false,
        }
    }
}

/// The files of the corpus, with their names.
const FILES: &[(&str, &str)] = &[
    ("request-line.txt", include_str!("../corpus/request-line.txt")),
    ("fields.txt", include_str!("../corpus/fields.txt")),
    ("framing.txt", include_str!("../corpus/framing.txt")),
    ("chunks.txt", include_str!("../corpus/chunks.txt")),
    ("connection.txt", include_str!("../corpus/connection.txt")),
    ("responses.txt", include_str!("../corpus/responses.txt")),
];

/// All cases.
///
/// # Errors
/// The first line that does not follow the format, with its file and number.
pub fn cases() -> Result<Vec<Case>, String> {
    let mut cases = Vec::new();
    for (file, content) in FILES {
        text::read(content, &mut cases).map_err(|(line, fault)| format!("{file}:{line}: {fault}"))?;
    }
    Ok(cases)
}
