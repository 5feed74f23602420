//! What a control plane's store keeps, as bytes.

use crate::generated::outrigger as raw;
use crate::xds;
use crate::xds::resource::{Unreadable, address, endpoint};
use model::{AgentName, ServiceName, Settings};
use prost::Message;
use std::net::SocketAddr;

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
        assert!(Instance::decode(&[]).is_err() && Service::decode(b"\xff").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (Instance::decode(&bytes), Tombstone::decode(&bytes), Service::decode(&bytes));
        }
    }
}
