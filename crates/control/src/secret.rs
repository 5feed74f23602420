//! Join tokens and credentials as texts: what they are for, by which name they are looked up, and 256 bits from the
//! operating system. The front is there so that one that lies about is recognised, by people and by scanners.

use crate::registry::Hash;
use model::AgentName;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::io;
use std::sync::Arc;

const JOIN: &str = "outrigger-join-";
const AGENT: &str = "outrigger-agent-";

/// A secret that was made just now.
pub(crate) struct Made<N> {
    /// By which it is looked up.
    pub(crate) name: N,
    /// It itself. Told once, and never kept.
    pub(crate) text: String,
    /// What is kept of it.
    pub(crate) hash: Hash,
}

/// A text that somebody shows, as far as it can be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Shown {
    /// A join token of this id.
    Join(Arc<str>, Hash),
    /// The credential of this agent.
    Agent(AgentName, Hash),
    /// Something else.
    Other,
}

/// A join token.
pub(crate) fn make_token() -> io::Result<Made<Arc<str>>> {
    let id = hex(&net::random::secret()?[..6]);
    let text = format!("{JOIN}{id}-{}", hex(&net::random::secret()?));
    Ok(Made { name: id.into(), hash: hash(&text), text })
}

/// A credential for `agent`.
pub(crate) fn make_credential(agent: &AgentName) -> io::Result<Made<AgentName>> {
    let text = format!("{AGENT}{agent}-{}", hex(&net::random::secret()?));
    Ok(Made { name: agent.clone(), hash: hash(&text), text })
}

/// What `text` is.
pub(crate) fn read(text: &str) -> Shown {
    let name = |front: &str| text.strip_prefix(front)?.rsplit_once('-').map(|(name, _)| name);
    if let Some(id) = name(JOIN) {
        return Shown::Join(id.into(), hash(text));
    }
    match name(AGENT).map(AgentName::new) {
        Some(Ok(agent)) => Shown::Agent(agent, hash(text)),
        _ => Shown::Other,
    }
}

fn hash(text: &str) -> Hash {
    Sha256::digest(text.as_bytes()).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a text does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_was_made_is_recognised() {
        let token = make_token().unwrap();
        assert_eq!(read(&token.text), Shown::Join(token.name.clone(), token.hash));
        let agent = AgentName::new("node-1-a").unwrap();
        let credential = make_credential(&agent).unwrap();
        assert_eq!(read(&credential.text), Shown::Agent(agent, credential.hash));
        assert_eq!(token.text.len(), JOIN.len() + 12 + 1 + 64);
        assert_ne!(make_token().unwrap().hash, token.hash);
    }

    #[test]
    fn another_secret_of_the_same_name_has_another_hash_and_other_texts_are_nothing() {
        let (Shown::Join(id, one), Shown::Join(same, other)) =
            (read("outrigger-join-ab-1"), read("outrigger-join-ab-2"))
        else {
            panic!("both are tokens")
        };
        assert!(id == same && one != other);
        for text in ["", "secret", "outrigger-join-", "outrigger-agent-B-1", "outrigger-agent--1"] {
            assert_eq!(read(text), Shown::Other, "{text}");
        }
    }

    #[test]
    fn hashes_are_those_of_fips_180() {
        // The example of the standard: SHA-256 of "abc".
        let want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex(&hash("abc")), want);
    }
}
