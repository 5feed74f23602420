//! What a store keeps, and how it is named.

use super::keys::{Credential, Token};
use model::{AgentName, InstanceName, ServiceName, Settings};
use std::net::SocketAddr;
use std::sync::Arc;

/// An instance that is registered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Instance {
    /// Its name.
    pub name: InstanceName,
    /// Whose instance it is.
    pub service: ServiceName,
    /// Where callers connect.
    pub address: SocketAddr,
    /// The agent that answers for it.
    pub owner: AgentName,
    /// Which process of this name.
    pub incarnation: u64,
    /// The change that wrote this.
    pub revision: u64,
}

/// A service that somebody declared, or that has had an instance.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Declared {
    /// The policies for requests to it; none: nobody declared any, and each sidecar has its defaults.
    pub settings: Option<Settings>,
    /// Whom to tell when a follower refuses it; empty: nobody declared it.
    pub author: String,
    /// The change that wrote this.
    pub revision: u64,
}

/// An instance that was taken out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tombstone {
    /// The process that was: it and earlier ones do not come back.
    pub incarnation: u64,
    /// The change that wrote this.
    pub revision: u64,
}

/// What a record is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Key {
    /// An instance.
    Instance(InstanceName),
    /// A declared service.
    Service(ServiceName),
    /// An instance that was taken out.
    Tombstone(InstanceName),
    /// A join token, by its id.
    Token(Arc<str>),
    /// An agent that has joined.
    Credential(AgentName),
}

/// What is kept.
#[derive(Clone, PartialEq, Debug)]
pub enum Record {
    /// Of an instance.
    Instance(Instance),
    /// Of a declared service.
    Service(Box<Declared>),
    /// Of an instance that was taken out.
    Tombstone(Tombstone),
    /// Of a join token.
    Token(Token),
    /// Of an agent that has joined.
    Credential(Credential),
}

impl Record {
    /// The change that wrote it.
    pub fn revision(&self) -> u64 {
        match self {
            Record::Instance(instance) => instance.revision,
            Record::Service(declared) => declared.revision,
            Record::Tombstone(tomb) => tomb.revision,
            Record::Token(token) => token.revision,
            Record::Credential(known) => known.revision,
        }
    }

    /// The same, written by change number `revision`.
    pub(crate) fn at(mut self, number: u64) -> Record {
        match &mut self {
            Record::Instance(Instance { revision, .. }) | Record::Tombstone(Tombstone { revision, .. }) => {
                *revision = number;
            }
            Record::Service(declared) => declared.revision = number,
            Record::Token(Token { revision, .. }) | Record::Credential(Credential { revision, .. }) => {
                *revision = number;
            }
        }
        self
    }
}

/// A record that was written, replaced or removed.
#[derive(Clone, PartialEq, Debug)]
pub struct Change {
    /// Which record.
    pub key: Key,
    /// What it was; none: there was none.
    pub before: Option<Record>,
    /// What it is; none: there is none any more.
    pub after: Option<Record>,
}
