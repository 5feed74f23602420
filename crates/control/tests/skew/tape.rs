//! A recorded conversation as a text that people can read: what happened in the registry, what was said, what it
//! means, and its bytes.
//!
//! | line | is |
//! |---|---|
//! | `# …` | a remark |
//! | `act …` | a change of the registry |
//! | `stream` | the follower connects, from here on |
//! | `follower …` | what a request means; the next line is its bytes |
//! | `plane …` | what an update means; the next line is its bytes |
//! | `holds …` | what the follower holds in the end |

use std::fmt;

/// Who said it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    Follower,
    Plane,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Entry {
    Note(String),
    Act(String),
    Stream,
    Message { side: Side, meaning: String, bytes: Vec<u8> },
    Holds(String),
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tape(pub(crate) Vec<Entry>);

impl Tape {
    pub(crate) fn parse(text: &str) -> Tape {
        let mut lines = text.lines();
        let mut entries = Vec::new();
        while let Some(line) = lines.next() {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let mut message = |side| {
                let bytes = from_hex(lines.next().expect("the bytes follow").trim());
                Entry::Message { side, meaning: rest.to_owned(), bytes }
            };
            entries.push(match word {
                "#" => Entry::Note(rest.to_owned()),
                "act" => Entry::Act(rest.to_owned()),
                "stream" => Entry::Stream,
                "follower" => message(Side::Follower),
                "plane" => message(Side::Plane),
                "holds" => Entry::Holds(rest.to_owned()),
                _ => panic!("no line of a recording: {line}"),
            });
        }
        Tape(entries)
    }

    /// What the follower holds in the end.
    pub(crate) fn holds(&self) -> Option<&str> {
        self.0
            .iter()
            .find_map(|entry| if let Entry::Holds(what) = entry { Some(what.as_str()) } else { None })
    }
}

impl fmt::Display for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for entry in &self.0 {
            match entry {
                Entry::Note(text) => writeln!(f, "# {text}")?,
                Entry::Act(text) => writeln!(f, "act {text}")?,
                Entry::Stream => writeln!(f, "stream")?,
                Entry::Holds(text) => writeln!(f, "holds {text}")?,
                Entry::Message { side, meaning, bytes } => {
                    let word = if *side == Side::Follower { "follower" } else { "plane" };
                    writeln!(f, "{word} {meaning}\n  {}", to_hex(bytes))?;
                }
            }
        }
        Ok(())
    }
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn from_hex(text: &str) -> Vec<u8> {
    assert!(text.is_ascii() && text.len().is_multiple_of(2), "no bytes: {text}");
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
