//! Names of services and instances, checked once so that they can be used anywhere: as a host name, a label, a
//! file name, part of an environment variable.

use std::fmt;
use std::sync::Arc;

/// The name of a service: 1 to 63 characters, lower-case letters, digits and `-`, beginning with a letter and not
/// ending with `-` (a DNS label of RFC 1123 that begins with a letter, so that it also makes a variable's name).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName(Arc<str>);

/// The name of an instance: the same form as a service's, by convention `SERVICE-NUMBER`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceName(Arc<str>);

/// The name of an agent, by convention that of its machine: the same form as a service's.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentName(Arc<str>);

/// Why a text is no name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadName {
    /// It has no characters.
    Empty,
    /// It has more than 63 characters.
    TooLong,
    /// It does not begin with a lower-case letter.
    BadStart,
    /// It ends with `-`.
    BadEnd,
    /// It has a character other than lower-case letters, digits and `-`.
    BadCharacter(char),
}

fn check(text: &str) -> Result<(), BadName> {
    let first = text.chars().next().ok_or(BadName::Empty)?;
    let odd = |c: &char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-');
    match text.chars().find(odd) {
        Some(c) => Err(BadName::BadCharacter(c)),
        None if !first.is_ascii_lowercase() => Err(BadName::BadStart),
        None if text.ends_with('-') => Err(BadName::BadEnd),
        None if text.len() > 63 => Err(BadName::TooLong),
        None => Ok(()),
    }
}

impl ServiceName {
    /// Checks `text`.
    ///
    /// # Errors
    /// [`BadName`] says what is wrong with it.
    pub fn new(text: &str) -> Result<ServiceName, BadName> {
        check(text).map(|()| ServiceName(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as the front of an environment variable: `offer-store` makes `OFFER_STORE`.
    pub fn variable(&self) -> String {
        self.0.to_ascii_uppercase().replace('-', "_")
    }

    /// The name of this service's instance number `number` (counted from 1). A service's name that leaves no room
    /// for the number is cut.
    pub fn instance(&self, number: u32) -> InstanceName {
        let number = number.to_string();
        let room = 62usize.saturating_sub(number.len());
        let front = self.0.get(..room.min(self.0.len())).unwrap_or_default();
        InstanceName(format!("{front}-{number}").into())
    }
}

impl InstanceName {
    /// Checks `text`.
    ///
    /// # Errors
    /// [`BadName`] says what is wrong with it.
    pub fn new(text: &str) -> Result<InstanceName, BadName> {
        check(text).map(|()| InstanceName(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AgentName {
    /// Checks `text`.
    ///
    /// # Errors
    /// [`BadName`] says what is wrong with it.
    pub fn new(text: &str) -> Result<AgentName, BadName> {
        check(text).map(|()| AgentName(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! shows_as_text {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}
shows_as_text!(ServiceName);
shows_as_text!(InstanceName);
shows_as_text!(AgentName);

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadName::Empty => f.write_str("a name has at least one character"),
            BadName::TooLong => f.write_str("a name has at most 63 characters"),
            BadName::BadStart => f.write_str("a name begins with a lower-case letter"),
            BadName::BadEnd => f.write_str("a name does not end with `-`"),
            BadName::BadCharacter(c) => {
                write!(f, "a name has lower-case letters, digits and `-` only, not {c:?}")
            }
        }
    }
}

impl std::error::Error for BadName {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_labels_that_begin_with_a_letter() {
        for good in ["a", "offer-store", "s3", &"x".repeat(63)] {
            assert!(ServiceName::new(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("", BadName::Empty),
            ("Offer", BadName::BadCharacter('O')),
            ("offer_store", BadName::BadCharacter('_')),
            ("3s", BadName::BadStart),
            ("-s", BadName::BadStart),
            ("s-", BadName::BadEnd),
            ("../etc", BadName::BadCharacter('.')),
            (&"x".repeat(64), BadName::TooLong),
        ] {
            assert_eq!(ServiceName::new(bad), Err(why), "{bad}");
        }
    }

    #[test]
    fn a_service_names_its_variables_and_instances() {
        let name = ServiceName::new("offer-store").expect("a valid name");
        assert_eq!(name.variable(), "OFFER_STORE");
        assert_eq!(name.instance(2).as_str(), "offer-store-2");
        let long = ServiceName::new(&"x".repeat(63)).expect("a valid name");
        assert!(InstanceName::new(long.instance(4_000_000_000).as_str()).is_ok());
    }
}
