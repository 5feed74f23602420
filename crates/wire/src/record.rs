//! What a control plane's store keeps, as bytes.

use crate::generated::outrigger as raw;
use crate::xds;
use crate::xds::resource::{Unreadable, address, endpoint};
use model::{AgentName, ServiceName, Settings};
use prost::Message;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

/// What is kept of an instance, beside its name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Instance {
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

/// What is kept of an instance that was taken out, beside its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tombstone {
    /// The process that was.
    pub incarnation: u64,
    /// The change that wrote this.
    pub revision: u64,
}

/// What is kept of a service, beside its name.
#[derive(Clone, PartialEq, Debug)]
pub struct Service {
    /// The policies for requests to it, where somebody declared them.
    pub settings: Option<Settings>,
    /// Whom to tell when a follower refuses them.
    pub author: String,
    /// The change that wrote this.
    pub revision: u64,
}

/// What is kept of a join token, beside its id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token {
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// Who joins with it may register instances of these services only; empty: of any.
    pub services: BTreeSet<ServiceName>,
    /// Until when it is good, in milliseconds since 1970; none: until it is taken back.
    pub expires: Option<u64>,
    /// How many agents may still join with it; none: any number.
    pub uses: Option<u32>,
    /// The change that wrote this.
    pub revision: u64,
}

/// What is kept of an agent that has joined, beside its name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Credential {
    /// SHA-256 of the credential.
    pub hash: [u8; 32],
    /// It may register instances of these services only; empty: of any.
    pub services: BTreeSet<ServiceName>,
    /// Whether nobody of this name comes back: this goes when the agent leaves, or was silent for long.
    pub passing: bool,
    /// How long it may be silent before it is taken for dead; none: as the control plane has it.
    pub lease: Option<Duration>,
    /// The change that wrote this.
    pub revision: u64,
}

impl Instance {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let record = raw::InstanceRecord {
            service: self.service.as_str().to_owned(),
            endpoint: Some(endpoint(self.address)),
            owner: self.owner.as_str().to_owned(),
            incarnation: self.incarnation,
            revision: self.revision,
        };
        record.encode_to_vec()
    }

    /// Reads what [`Instance::encode`] wrote.
    ///
    /// # Errors
    /// [`Unreadable`] says which part is not what it should be.
    pub fn decode(bytes: &[u8]) -> Result<Instance, Unreadable> {
        let record = raw::InstanceRecord::decode(bytes)?;
        Ok(Instance {
            service: ServiceName::new(&record.service)?,
            address: address(&record.endpoint.ok_or(Unreadable::Value("endpoint"))?)?,
            owner: AgentName::new(&record.owner)?,
            incarnation: record.incarnation,
            revision: record.revision,
        })
    }
}

impl Tombstone {
    /// Its bytes.
    pub fn encode(self) -> Vec<u8> {
        raw::TombstoneRecord { incarnation: self.incarnation, revision: self.revision }.encode_to_vec()
    }

    /// Reads what [`Tombstone::encode`] wrote.
    ///
    /// # Errors
    /// [`Unreadable`]: the bytes are no message.
    pub fn decode(bytes: &[u8]) -> Result<Tombstone, Unreadable> {
        let record = raw::TombstoneRecord::decode(bytes)?;
        Ok(Tombstone { incarnation: record.incarnation, revision: record.revision })
    }
}

impl Service {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let policy = self.settings.as_ref().map(xds::encode_policy);
        raw::ServiceRecord { policy, author: self.author.clone(), revision: self.revision }.encode_to_vec()
    }

    /// Reads what [`Service::encode`] wrote.
    ///
    /// # Errors
    /// [`Unreadable`] says which part is not what it should be.
    pub fn decode(bytes: &[u8]) -> Result<Service, Unreadable> {
        let record = raw::ServiceRecord::decode(bytes)?;
        Ok(Service {
            settings: record.policy.as_ref().map(xds::decode_policy).transpose()?,
            author: record.author,
            revision: record.revision,
        })
    }
}

impl Token {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let Token { hash, services, expires, uses, revision } = self;
        let (expires, uses, revision) = (*expires, *uses, *revision);
        raw::TokenRecord { hash: hash.to_vec(), services: texts(services), expires, uses, revision }
            .encode_to_vec()
    }

    /// Reads what [`Token::encode`] wrote.
    ///
    /// # Errors
    /// [`Unreadable`] says which part is not what it should be.
    pub fn decode(bytes: &[u8]) -> Result<Token, Unreadable> {
        let record = raw::TokenRecord::decode(bytes)?;
        let services = names(&record.services)?;
        let (expires, uses, revision) = (record.expires, record.uses, record.revision);
        Ok(Token { hash: hash(&record.hash)?, services, expires, uses, revision })
    }
}

impl Credential {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let Credential { hash, services, passing, lease, revision } = self;
        let (hash, services, passing) = (hash.to_vec(), texts(services), *passing);
        let lease = lease.map(|lease| u64::try_from(lease.as_millis()).unwrap_or(u64::MAX));
        raw::CredentialRecord { hash, services, revision: *revision, passing, lease }.encode_to_vec()
    }

    /// Reads what [`Credential::encode`] wrote.
    ///
    /// # Errors
    /// [`Unreadable`] says which part is not what it should be.
    pub fn decode(bytes: &[u8]) -> Result<Credential, Unreadable> {
        let record = raw::CredentialRecord::decode(bytes)?;
        let services = names(&record.services)?;
        let (passing, revision) = (record.passing, record.revision);
        let lease = record.lease.map(Duration::from_millis);
        Ok(Credential { hash: hash(&record.hash)?, services, passing, lease, revision })
    }
}

fn texts(services: &BTreeSet<ServiceName>) -> Vec<String> {
    services.iter().map(ToString::to_string).collect()
}

fn names(services: &[String]) -> Result<BTreeSet<ServiceName>, Unreadable> {
    services.iter().map(|name| ServiceName::new(name).map_err(Unreadable::from)).collect()
}

fn hash(bytes: &[u8]) -> Result<[u8; 32], Unreadable> {
    bytes.try_into().map_err(|_| Unreadable::Value("hash"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn records_come_through() {
        let instance = Instance {
            service: ServiceName::new("listing").unwrap(),
            address: "[::1]:80".parse().unwrap(),
            owner: AgentName::new("node-1").unwrap(),
            incarnation: u64::MAX,
            revision: 7,
        };
        assert_eq!(Instance::decode(&instance.encode()), Ok(instance));
        let tomb = Tombstone { incarnation: 3, revision: 4 };
        assert_eq!(Tombstone::decode(&tomb.encode()), Ok(tomb));
        for settings in [None, Some(Settings::default())] {
            let service = Service { settings, author: "ada".into(), revision: 1 };
            assert_eq!(Service::decode(&service.encode()), Ok(service));
        }
        for (passing, lease) in [(false, None), (true, Some(Duration::from_secs(60)))] {
            let services = BTreeSet::from([ServiceName::new("listing").unwrap()]);
            let known = Credential { hash: [9; 32], services, passing, lease, revision: 2 };
            assert_eq!(Credential::decode(&known.encode()), Ok(known));
        }
        assert!(Instance::decode(&[]).is_err() && Service::decode(b"\xff").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (Instance::decode(&bytes), Tombstone::decode(&bytes), Service::decode(&bytes));
        }
    }
}
