//! All that a sidecar knows: the file it starts from, and what a change of it replaces as a whole.

use crate::{Bounds, Endpoint, InstanceName, ServiceName, Settings};
use std::net::SocketAddr;

/// What one sidecar is to do. It is replaced as a whole; a request keeps the one that it began with.
#[derive(Clone, PartialEq, Debug)]
pub struct Snapshot {
    /// Names this state of knowledge; compared for equality only.
    pub version: String,
    /// The environment's name.
    pub environment: String,
    /// The service beside which this sidecar runs; none for an edge or a plain proxy.
    pub service: Option<ServiceName>,
    /// The instance beside which this sidecar runs.
    pub instance: Option<InstanceName>,
    /// Where it listens, and for what.
    pub listeners: Vec<Listener>,
    /// The app beside it, for its inbound side.
    pub app: Option<App>,
    /// The services that it can call.
    pub services: Vec<Service>,
    /// What it may use at most.
    pub bounds: Bounds,
}

/// An address and what comes in there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listener {
    /// For people and labels; unique within a snapshot.
    pub name: String,
    /// Where to listen.
    pub address: SocketAddr,
    /// What requests that come in here are.
    pub role: Role,
}

/// What requests that come in at a listener are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Role {
    /// From other sidecars, for the app.
    Inbound,
    /// From the app, for the service that the Host names (also as a forward proxy: absolute-form targets).
    Outbound,
    /// From the app, all for this service: the address in its `NAME_URL`.
    Service(ServiceName),
    /// From outside the environment: the first route whose prefix fits says where to.
    Edge(Vec<EdgeRoute>),
}

/// Outside requests whose path begins with `prefix` go to `service`. A prefix ends at a segment: `/shop` fits `/shop`
/// and `/shop/x`, not `/shopping`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EdgeRoute {
    /// The path's beginning, `/` for all.
    pub prefix: String,
    /// Where such requests go.
    pub service: ServiceName,
}

/// The app beside the sidecar.
#[derive(Clone, PartialEq, Debug)]
pub struct App {
    /// Where it listens.
    pub address: SocketAddr,
    /// The policies for requests to it.
    pub settings: Settings,
}

/// A service that can be called.
#[derive(Clone, PartialEq, Debug)]
pub struct Service {
    /// Its name: the Host of requests to it.
    pub name: ServiceName,
    /// Its instances.
    pub endpoints: Vec<Endpoint>,
    /// Who answers at their addresses.
    pub peer: Peer,
    /// The policies for requests to it.
    pub settings: Settings,
}

/// Who answers at an address that requests are sent to, and so whether a refusal in its answer is one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Peer {
    /// The inbound side of an instance's sidecar. It takes out what its app says in our name, so that
    /// `outrigger-reason` in an answer is its own word: the app has not seen the request, or what became of it is known.
    Sidecar,
    /// An app, or somebody else's proxy. What it says of itself in our name is not believed and not passed on.
    App,
}

/// Which way a request goes through a sidecar.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Direction {
    /// Callers → app.
    Inbound,
    /// App (or outside, at the edge) → another service.
    Outbound,
}

impl Direction {
    /// The word in labels and logs.
    pub const fn word(self) -> &'static str {
        match self {
            Direction::Inbound => "inbound",
            Direction::Outbound => "outbound",
        }
    }
}
