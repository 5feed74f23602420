//! Reads the corpus' text format.

use super::{Case, Direction, Expected, Reading};
use crate::response::Protocol;
use crate::{Asked, Framing, Limits, Rule};

/// Reads all cases of one file; a fault with the number of its line.
pub(super) fn read(content: &str, cases: &mut Vec<Case>) -> Result<(), (usize, String)> {
    let mut open: Option<Draft> = None;
    for (number, line) in content.lines().enumerate() {
        let at = |fault: String| (number + 1, fault);
        if let Some(name) = line.strip_prefix("== ") {
            if let Some(draft) = open.take() {
                cases.push(draft.finish().map_err(at)?);
            }
            open = Some(Draft::new(name));
        } else if !line.is_empty() && !line.starts_with('#') {
            let draft = open.as_mut().ok_or_else(|| at("a line before the first case".into()))?;
            draft.line(line).map_err(at)?;
        }
    }
    let last = content.lines().count();
    if let Some(draft) = open {
        cases.push(draft.finish().map_err(|fault| (last, fault))?);
    }
    Ok(())
}

/// A case that is being read.
struct Draft {
    name: String,
    about: Option<(String, Direction)>,
    limits: Limits,
    bytes: Vec<u8>,
    expected: Option<Expected>,
}

impl Draft {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            about: None,
            limits: Limits::default(),
            bytes: Vec::new(),
            expected: None,
        }
    }

    fn finish(self) -> Result<Case, String> {
        let (section, direction) = self.about.ok_or("no line with section and direction")?;
        Ok(Case {
            name: self.name,
            section,
            direction,
            limits: self.limits,
            bytes: self.bytes,
            expected: self.expected.ok_or("no expected outcome")?,
        })
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        if let (None, Some((section, towards))) = (&self.about, line.split_once(" | ")) {
            self.about = Some((section.to_owned(), direction(towards)?));
            return Ok(());
        }
        let (word, text) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            ">" => {
                self.bytes.extend(unescape(text)?);
                self.bytes.extend(b"\r\n");
            }
            ">>" => self.bytes.extend(unescape(text)?),
            "limits" => {
                let (bytes, fields) = text.split_once(' ').ok_or("limits need two numbers")?;
                self.limits = Limits { head_bytes: number(bytes)?, fields: number(fields)? };
            }
            "refused" => {
                let rule = Rule::named(text).ok_or_else(|| format!("no rule is named {text}"))?;
                self.expected = Some(Expected::Refused(rule));
            }
            "unfinished" => self.expected = Some(Expected::Unfinished),
            "accepted" => self.expected = Some(Expected::Accepted(Box::new(accepted(text)?))),
            _ => self.reading(word, text)?,
        }
        Ok(())
    }

    fn reading(&mut self, word: &str, text: &str) -> Result<(), String> {
        let Some(Expected::Accepted(reading)) = &mut self.expected else {
            return Err(format!("`{word}` is unknown, or stands before `accepted`"));
        };
        let bytes = unescape(text)?;
        match word {
            "<" => {
                reading.forwarded.extend(bytes);
                reading.forwarded.extend(b"\r\n");
            }
            "authority" => reading.authority = bytes,
            "body" => reading.body = bytes,
            "trailers" => reading.trailers = bytes,
            "rest" => reading.rest = bytes,
            _ => return Err(format!("`{word}` is unknown")),
        }
        Ok(())
    }
}

fn direction(text: &str) -> Result<Direction, String> {
    match text {
        "request" => Ok(Direction::Request),
        "response" => Ok(Direction::Response(Asked::default())),
        "response to HEAD" => Ok(Direction::Response(Asked::new(true, false))),
        _ => {
            let protocol = text
                .strip_prefix("response to upgrade ")
                .and_then(|name| Protocol::of(name.as_bytes()))
                .ok_or_else(|| format!("`{text}` is no direction"))?;
            let asked = Asked::new(false, true);
            Ok(Direction::Response(Asked { protocol, ..asked }))
        }
    }
}

fn accepted(text: &str) -> Result<Reading, String> {
    let mut words = text.split(' ');
    let framing = match words.next() {
        Some("empty") => Framing::Empty,
        Some("chunked") => Framing::Chunked,
        Some("until-close") => Framing::UntilClose,
        Some(word) => match word.strip_prefix("length-") {
            Some(length) => Framing::Length(number(length)? as u64),
            None => return Err(format!("`{word}` is no framing")),
        },
        None => return Err("no framing".into()),
    };
    let mut reading = Reading { framing, ..Reading::default() };
    reading.keep_alive = match words.next() {
        Some("persists") => true,
        Some("closes") => false,
        other => return Err(format!("{other:?} is neither `persists` nor `closes`")),
    };
    for flag in words {
        match flag {
            "upgraded" => reading.upgraded = true,
            "interim" => reading.interim = true,
            "continue" => reading.expect_continue = true,
            "upgrade" => reading.upgrade = true,
            _ => return Err(format!("`{flag}` is no flag")),
        }
    }
    Ok(reading)
}

fn number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| format!("`{text}` is no number"))
}

/// The bytes that an escaped text stands for.
fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.extend(plain.bytes());
        let mut letters = escape.chars();
        rest = match letters.next() {
            Some('r') => {
                out.push(b'\r');
                letters.as_str()
            }
            Some('n') => {
                out.push(b'\n');
                letters.as_str()
            }
            Some('t') => {
                out.push(b'\t');
                letters.as_str()
            }
            Some('0') => {
                out.push(0);
                letters.as_str()
            }
            Some('s') => {
                out.push(b' ');
                letters.as_str()
            }
            Some('\\') => {
                out.push(b'\\');
                letters.as_str()
            }
            Some('x') => {
                let (digits, rest) = letters.as_str().split_at_checked(2).ok_or("\\x needs two digits")?;
                out.push(u8::from_str_radix(digits, 16).map_err(|_| "\\x needs two digits")?);
                rest
            }
            Some('{') => {
                let (times, rest) = letters.as_str().split_once('*').ok_or("\\{ needs a number and *")?;
                let (unit, rest) = rest.split_once('}').ok_or("\\{ needs a }")?;
                out.extend(unescape(unit)?.repeat(number(times)?));
                rest
            }
            other => return Err(format!("\\{other:?} is no escape")),
        };
    }
    out.extend(rest.bytes());
    Ok(out)
}
