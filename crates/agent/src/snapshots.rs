//! What each sidecar is told: a snapshot from what should be, what is in rotation, and the addresses that were chosen.

use crate::desired::{Desired, Kind, Service};
use crate::observed::Observed;
use model::{App, Endpoint, Listener, Role, ServiceName, Snapshot};
use std::net::SocketAddr;

/// The addresses of a unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Addresses {
    /// Where the app listens.
    pub(crate) app: Option<SocketAddr>,
    /// Where callers reach it.
    pub(crate) inbound: Option<SocketAddr>,
    /// Where it reaches others by name.
    pub(crate) outbound: SocketAddr,
    /// Where its sidecar tells about itself.
    pub(crate) admin: SocketAddr,
    /// Where it reaches each service that it calls: `NAME_URL`.
    pub(crate) services: Vec<(ServiceName, SocketAddr)>,
    /// Where requests from outside come in.
    pub(crate) edge: Option<SocketAddr>,
}

/// The snapshot of the unit `at`.
pub(crate) fn snapshot(
    desired: &Desired,
    observed: &Observed,
    addresses: &[Addresses],
    at: usize,
    run: &str,
) -> Snapshot {
    let service = desired.service(at);
    Snapshot {
        version: version(run, observed.generation),
        environment: desired.name.clone(),
        service: service.map(|s| s.name.clone()),
        instance: Some(desired.units[at].name.clone()),
        listeners: listeners(desired, &addresses[at]),
        app: service.zip(addresses[at].app).map(|(s, address)| App { address, settings: s.for_app.clone() }),
        services: called(desired, service)
            .map(|(index, s)| known(desired, observed, addresses, index, s))
            .collect(),
        bounds: desired.bounds,
    }
}

/// The name of what is known at `generation`.
pub(crate) fn version(run: &str, generation: u64) -> String {
    format!("{run}.{generation}")
}

/// The services that a service calls; all for the edge.
fn called<'a>(
    desired: &'a Desired,
    caller: Option<&'a Service>,
) -> impl Iterator<Item = (usize, &'a Service)> + 'a {
    let calls = move |s: &Service| caller.is_none_or(|caller| caller.dependencies.contains(&s.name));
    let answers = move |(_, s): &(usize, &Service)| s.kind == Kind::Service && calls(s);
    desired.services.iter().enumerate().filter(answers)
}

fn listeners(desired: &Desired, addresses: &Addresses) -> Vec<Listener> {
    let inbound = addresses.inbound.map(|address| listener("inbound", address, Role::Inbound));
    let outbound = listener("outbound", addresses.outbound, Role::Outbound);
    let service = |(name, address): &(ServiceName, SocketAddr)| {
        listener(&format!("to-{name}"), *address, Role::Service(name.clone()))
    };
    let edge = desired.edge.as_ref().zip(addresses.edge);
    let edge = edge.map(|(edge, address)| listener("edge", address, Role::Edge(edge.routes.clone())));
    let services = addresses.services.iter().map(service);
    inbound.into_iter().chain([outbound]).chain(services).chain(edge).collect()
}

fn listener(name: &str, address: SocketAddr, role: Role) -> Listener {
    Listener { name: name.into(), address, role }
}

fn known(
    desired: &Desired,
    observed: &Observed,
    addresses: &[Addresses],
    index: usize,
    service: &Service,
) -> model::Service {
    let in_rotation = desired.instances(index).filter(|unit| observed.units[*unit].published);
    let endpoint = |unit: usize| {
        let address = addresses[unit].inbound?;
        Some(Endpoint { name: desired.units[unit].name.clone(), address })
    };
    model::Service {
        name: service.name.clone(),
        endpoints: in_rotation.filter_map(endpoint).collect(),
        settings: service.for_callers.clone(),
    }
}
