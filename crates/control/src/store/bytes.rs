//! Keys and records as bytes, the same in every store.

use crate::registry::{Declared, Instance, Key, Record, Tombstone};
use model::{AgentName, InstanceName, ServiceName};
use wire::record;

/// The key as text: what it is about, and its name.
pub(super) fn key_text(key: &Key) -> String {
    match key {
        Key::Instance(name) => format!("instance/{name}"),
        Key::Service(name) => format!("service/{name}"),
        Key::Tombstone(name) => format!("tombstone/{name}"),
        Key::Token(id) => format!("token/{id}"),
        Key::Credential(agent) => format!("credential/{agent}"),
    }
}

/// The record's bytes.
pub(super) fn encode(record: &Record) -> Vec<u8> {
    match record {
        Record::Instance(instance) => record::Instance {
            service: instance.service.clone(),
            address: instance.address,
            owner: instance.owner.clone(),
            incarnation: instance.incarnation,
            revision: instance.revision,
        }
        .encode(),
        Record::Service(declared) => record::Service {
            settings: declared.settings.clone(),
            author: declared.author.clone(),
            revision: declared.revision,
        }
        .encode(),
        Record::Tombstone(tomb) => {
            record::Tombstone { incarnation: tomb.incarnation, revision: tomb.revision }.encode()
        }
        Record::Token(token) => token.encode(),
        Record::Credential(known) => known.encode(),
    }
}

/// Key and record of what [`key_text`] and [`encode`] wrote, or what is wrong with them.
pub(super) fn decode(key: &str, bytes: &[u8]) -> Result<(Key, Record), String> {
    let unreadable = |why: wire::xds::resource::Unreadable| why.to_string();
    let bad_name = |why: model::BadName| why.to_string();
    match key.split_once('/') {
        Some(("instance", name)) => {
            let name = InstanceName::new(name).map_err(bad_name)?;
            let kept = record::Instance::decode(bytes).map_err(unreadable)?;
            let instance = Instance {
                name: name.clone(),
                service: kept.service,
                address: kept.address,
                owner: kept.owner,
                incarnation: kept.incarnation,
                revision: kept.revision,
            };
            Ok((Key::Instance(name), Record::Instance(instance)))
        }
        Some(("service", name)) => {
            let kept = record::Service::decode(bytes).map_err(unreadable)?;
            let declared = Declared { settings: kept.settings, author: kept.author, revision: kept.revision };
            let name = ServiceName::new(name).map_err(bad_name)?;
            Ok((Key::Service(name), Record::Service(Box::new(declared))))
        }
        Some(("tombstone", name)) => {
            let kept = record::Tombstone::decode(bytes).map_err(unreadable)?;
            let tomb = Tombstone { incarnation: kept.incarnation, revision: kept.revision };
            Ok((Key::Tombstone(InstanceName::new(name).map_err(bad_name)?), Record::Tombstone(tomb)))
        }
        Some(("token", id)) => {
            let token = record::Token::decode(bytes).map_err(unreadable)?;
            Ok((Key::Token(id.into()), Record::Token(token)))
        }
        Some(("credential", agent)) => {
            let known = record::Credential::decode(bytes).map_err(unreadable)?;
            Ok((Key::Credential(AgentName::new(agent).map_err(bad_name)?), Record::Credential(known)))
        }
        _ => Err("nothing is kept under such a key".to_owned()),
    }
}
