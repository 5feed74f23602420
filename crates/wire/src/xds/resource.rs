//! What travels: three types of resources, each with its name's form, its bytes and its version.
//!
//! | type | name | says |
//! |---|---|---|
//! | [`Kind::Service`] | `listing` | that it can be called, and which policy goes for it |
//! | [`Kind::Policy`] | `listing` | the settings for requests to it |
//! | [`Kind::Endpoint`] | `listing/listing-2` | where an instance is; `listing/*` follows all of a service |

use crate::generated::outrigger;
use model::{BadName, Endpoint, InstanceName, ServiceName, Settings};
use prost::Message;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// A type of resources.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// Services that can be called.
    Service,
    /// The policies for requests to them.
    Policy,
    /// Their instances.
    Endpoint,
}

impl Kind {
    /// Every type, in the order in which news of several are told: what is referred to comes after what refers to it,
    /// as endpoints are of no use without their service.
    pub const ALL: [Kind; 3] = [Kind::Service, Kind::Policy, Kind::Endpoint];

    /// The name of the type in messages.
    pub const fn url(self) -> &'static str {
        match self {
            Kind::Service => "type.googleapis.com/outrigger.v1.Service",
            Kind::Policy => "type.googleapis.com/outrigger.v1.Policy",
            Kind::Endpoint => "type.googleapis.com/outrigger.v1.Endpoint",
        }
    }

    /// The type of this name; none where it is not known here.
    pub fn from_url(url: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.url() == url)
    }

    /// The type in one word, for people.
    pub const fn word(self) -> &'static str {
        match self {
            Kind::Service => "service",
            Kind::Policy => "policy",
            Kind::Endpoint => "endpoint",
        }
    }
}

/// Why bytes are no resource.
#[derive(Clone, PartialEq, Debug)]
pub enum Unreadable {
    /// They are no message of protobuf.
    NotProtobuf(String),
    /// The name has not the form of its type.
    Name(BadName),
    /// A field's value is out of its range.
    Value(&'static str),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::NotProtobuf(why) => write!(f, "the bytes are no message: {why}"),
            Unreadable::Name(why) => write!(f, "the name is not one: {why}"),
            Unreadable::Value(field) => write!(f, "the value of `{field}` is out of range"),
        }
    }
}

impl std::error::Error for Unreadable {}

impl From<prost::DecodeError> for Unreadable {
    fn from(why: prost::DecodeError) -> Unreadable {
        Unreadable::NotProtobuf(why.to_string())
    }
}

impl From<BadName> for Unreadable {
    fn from(why: BadName) -> Unreadable {
        Unreadable::Name(why)
    }
}

/// The name of the resource that an instance is.
pub fn endpoint_name(service: &ServiceName, instance: &InstanceName) -> String {
    format!("{service}/{instance}")
}

/// The name under which all instances of `service` are followed.
pub fn endpoints_of(service: &ServiceName) -> String {
    format!("{service}/*")
}

/// Where an instance is.
pub fn encode_endpoint(address: SocketAddr) -> Vec<u8> {
    endpoint(address).encode_to_vec()
}

pub(crate) fn endpoint(address: SocketAddr) -> outrigger::Endpoint {
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    outrigger::Endpoint { ip, port: u32::from(address.port()) }
}

pub(crate) fn address(endpoint: &outrigger::Endpoint) -> Result<SocketAddr, Unreadable> {
    let ip = match <[u8; 4]>::try_from(&endpoint.ip[..]) {
        Ok(four) => IpAddr::from(four),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(&endpoint.ip[..]).map_err(|_| Unreadable::Value("ip"))?),
    };
    let port = u16::try_from(endpoint.port).ok().filter(|port| *port > 0);
    Ok(SocketAddr::new(ip, port.ok_or(Unreadable::Value("port"))?))
}

/// The instance that a resource of type [`Kind::Endpoint`] is, with its service.
///
/// # Errors
/// [`Unreadable`]: keep what was known before.
pub fn decode_endpoint(name: &str, payload: &[u8]) -> Result<(ServiceName, Endpoint), Unreadable> {
    let (service, instance) = name.split_once('/').ok_or(Unreadable::Name(BadName::Empty))?;
    let address = address(&outrigger::Endpoint::decode(payload)?)?;
    Ok((ServiceName::new(service)?, Endpoint { name: InstanceName::new(instance)?, address }))
}

/// That a service can be called, by the policy of its own name.
pub fn encode_service() -> Vec<u8> {
    outrigger::Service { policy: String::new() }.encode_to_vec()
}

/// The service that a resource of type [`Kind::Service`] is, and the name of the policy that goes for it.
///
/// # Errors
/// [`Unreadable`]: keep what was known before.
pub fn decode_service(name: &str, payload: &[u8]) -> Result<(ServiceName, ServiceName), Unreadable> {
    let name = ServiceName::new(name)?;
    let policy = match outrigger::Service::decode(payload)?.policy.as_str() {
        "" => name.clone(),
        other => ServiceName::new(other)?,
    };
    Ok((name, policy))
}

/// The settings for requests to a service.
pub fn encode_policy(settings: &Settings) -> Vec<u8> {
    super::encode_policy(settings).encode_to_vec()
}

/// The settings that a resource of type [`Kind::Policy`] says.
///
/// # Errors
/// [`Unreadable`]: keep what was known before.
pub fn decode_policy(payload: &[u8]) -> Result<Settings, Unreadable> {
    super::decode_policy(&outrigger::Policy::decode(payload)?)
}

/// The version of a resource: what it says, in 64 bits, so that every control plane that says the same calls it the
/// same, and a follower may go from one to another. (FNV-1a: Fowler, Noll, Vo, as in RFC 9923. Two versions of one
/// resource that follow each other must differ, nothing more.)
pub fn version_of(payload: &[u8]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    payload.iter().fold(OFFSET, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use model::Preset;

    #[test]
    fn endpoints_come_through() {
        for address in ["10.0.0.1:80", "[2001:db8::1]:65535"] {
            let address: SocketAddr = address.parse().unwrap();
            let (service, endpoint) =
                decode_endpoint("listing/listing-2", &encode_endpoint(address)).unwrap();
            assert_eq!((service.as_str(), endpoint.name.as_str()), ("listing", "listing-2"));
            assert_eq!(endpoint.address, address);
        }
        let bytes = encode_endpoint("10.0.0.1:80".parse().unwrap());
        for bad in ["listing", "listing/", "/listing-2", "listing/listing-2/3", "Listing/listing-2"] {
            assert!(decode_endpoint(bad, &bytes).is_err(), "{bad}");
        }
        for (ip, port) in [(vec![1; 5], 80), (vec![], 80), (vec![1; 4], 0), (vec![1; 4], 65536)] {
            let bytes = outrigger::Endpoint { ip, port }.encode_to_vec();
            assert!(decode_endpoint("listing/listing-2", &bytes).is_err());
        }
    }

    #[test]
    fn services_come_through() {
        let (name, policy) = decode_service("listing", &encode_service()).unwrap();
        assert_eq!((name.as_str(), policy.as_str()), ("listing", "listing"));
        let shared = outrigger::Service { policy: "gold".into() }.encode_to_vec();
        assert_eq!(decode_service("listing", &shared).unwrap().1.as_str(), "gold");
    }

    #[test]
    fn every_preset_comes_through_and_has_a_version_of_its_own() {
        let mut versions = std::collections::BTreeSet::new();
        for preset in Preset::ALL {
            let settings = preset.settings();
            let bytes = encode_policy(&settings);
            assert_eq!(decode_policy(&bytes).unwrap(), settings, "{}", preset.word());
            assert_eq!(bytes, encode_policy(&settings));
            versions.insert(version_of(&bytes));
        }
        let bare = Preset::ALL.len() - 1;
        assert_eq!(versions.len(), bare, "only `off` and `round-robin` say the same");
    }

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(version_of(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(version_of(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
