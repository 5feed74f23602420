//! What an agent says of an instance to its control plane, and how far followers are with a change.

use crate::{InstanceName, ServiceName};
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// An instance, as callers are to know it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Registration {
    /// Its name, unique in the environment.
    pub name: InstanceName,
    /// Whose instance it is.
    pub service: ServiceName,
    /// Where callers connect: its sidecar's inbound side.
    pub address: SocketAddr,
    /// Which process of this name: a later one has a higher number.
    pub incarnation: u64,
}

/// How far a change has come when its call returns. The change itself is kept in both cases.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Settled {
    /// Every follower that is there has adopted it.
    Everywhere,
    /// The time was over before that.
    NotYet {
        /// The followers that have not adopted it, by name. None are known where the control plane itself is ending.
        waiting: Vec<String>,
    },
}

impl Settled {
    /// Both changes.
    #[must_use]
    pub fn and(self, other: Settled) -> Settled {
        match (self, other) {
            (Settled::Everywhere, other) | (other, Settled::Everywhere) => other,
            (Settled::NotYet { waiting: one }, Settled::NotYet { waiting: two }) => {
                let all: BTreeSet<String> = one.into_iter().chain(two).collect();
                Settled::NotYet { waiting: all.into_iter().collect() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_changes_are_settled_when_both_are_and_wait_for_each_follower_once() {
        let not_yet = |names: &[&str]| Settled::NotYet {
            waiting: names.iter().map(|name| (*name).to_owned()).collect(),
        };
        assert_eq!(Settled::Everywhere.and(Settled::Everywhere), Settled::Everywhere);
        assert_eq!(Settled::Everywhere.and(not_yet(&[])), not_yet(&[]));
        assert_eq!(not_yet(&["b"]).and(Settled::Everywhere), not_yet(&["b"]));
        assert_eq!(not_yet(&["b", "c"]).and(not_yet(&["c", "a"])), not_yet(&["a", "b", "c"]));
    }
}
