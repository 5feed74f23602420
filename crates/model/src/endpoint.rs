//! Where an instance can be reached.

use crate::InstanceName;
use std::net::SocketAddr;

/// An instance of a service as its callers know it: the address of its sidecar's inbound side.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoint {
    /// The instance's name, for people.
    pub name: InstanceName,
    /// Where to connect.
    pub address: SocketAddr,
}
