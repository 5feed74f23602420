//! The file that each sidecar begins with: what should be beside it, and the addresses that were chosen. Where the
//! instances of other services are it learns from the control plane.

use crate::desired::{Desired, Kind, Service};
use model::{App, Listener, Role, ServiceName, Settings, Snapshot};
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

/// The snapshot of the unit `at`, named `version`.
pub(crate) fn snapshot(desired: &Desired, addresses: &Addresses, at: usize, version: String) -> Snapshot {
    let service = desired.service(at);
    Snapshot {
        version,
        environment: desired.name.clone(),
        service: service.map(|s| s.name.clone()),
        instance: Some(desired.units[at].name.clone()),
        listeners: listeners(desired, addresses),
        app: service.zip(addresses.app).map(|(s, address)| App { address, settings: s.for_app.clone() }),
        services: called(desired, service).into_iter().map(|name| declared(desired, name)).collect(),
        bounds: desired.bounds,
    }
}

/// The services that a service calls; those of its routes for the edge, which finds others when they are asked for.
fn called(desired: &Desired, caller: Option<&Service>) -> Vec<ServiceName> {
    let mut names: Vec<ServiceName> = match caller {
        Some(caller) => caller.dependencies.clone(),
        None => {
            desired.edge.iter().flat_map(|edge| &edge.routes).map(|route| route.service.clone()).collect()
        }
    };
    names.sort();
    names.dedup();
    names
}

/// A service without its instances. What a folder says of it goes until the control plane says otherwise.
fn declared(desired: &Desired, name: ServiceName) -> model::Service {
    let known = desired.services.iter().find(|s| s.name == name && s.kind == Kind::Service);
    let settings = known.map_or_else(Settings::default, |s| s.for_callers.clone());
    model::Service { name, endpoints: Vec::new(), peer: model::Peer::Sidecar, settings }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::desired::tests::{environment, service};
    use crate::desired::{Desired, Edge};
    use model::EdgeRoute;

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn shop() -> (Desired, Vec<Addresses>) {
        let mut desired = environment(vec![service("front", 1, &["back", "far"]), service("back", 2, &[])]);
        let routes = vec![EdgeRoute { prefix: "/".into(), service: ServiceName::new("front").unwrap() }];
        desired.edge = Some(Edge { listen: Some(at(8080)), routes });
        let addresses = |unit: usize| {
            let port = 100 * u16::try_from(unit).unwrap();
            let mut called = desired.service(unit).map(|s| s.dependencies.clone()).unwrap_or_default();
            called.sort();
            Addresses {
                app: (unit > 0).then(|| at(port + 1)),
                inbound: (unit > 0).then(|| at(port + 2)),
                outbound: at(port + 3),
                admin: at(port + 4),
                services: called.into_iter().zip(port + 5..).map(|(name, port)| (name, at(port))).collect(),
                edge: (unit == 0).then(|| at(8080)),
            }
        };
        let addresses = (0..desired.units.len()).map(addresses).collect();
        (desired, addresses)
    }

    fn snapshot_of(unit: usize) -> Snapshot {
        let (desired, addresses) = shop();
        snapshot(&desired, &addresses[unit], unit, "run.1".into())
    }

    fn listens(snapshot: &Snapshot) -> Vec<(&str, u16)> {
        snapshot.listeners.iter().map(|l| (l.name.as_str(), l.address.port())).collect()
    }

    fn knows(snapshot: &Snapshot) -> Vec<&str> {
        assert!(snapshot.services.iter().all(|service| service.endpoints.is_empty()));
        snapshot.services.iter().map(|service| service.name.as_str()).collect()
    }

    #[test]
    fn an_instance_declares_what_it_calls_also_services_of_other_folders() {
        // The units are edge, back-1, back-2, front-1.
        let front = snapshot_of(3);
        let want = [("inbound", 302), ("outbound", 303), ("to-back", 305), ("to-far", 306)];
        assert_eq!(listens(&front), want);
        assert_eq!(front.app.as_ref().unwrap().address, at(301));
        assert_eq!(knows(&front), ["back", "far"]);
        assert!(knows(&snapshot_of(1)).is_empty());
    }

    #[test]
    fn the_edge_declares_its_routes_and_has_no_app() {
        let edge = snapshot_of(0);
        assert_eq!(listens(&edge), [("outbound", 3), ("edge", 8080)]);
        assert_eq!(knows(&edge), ["front"]);
        assert!(edge.app.is_none() && edge.service.is_none());
        assert_eq!(edge.version, "run.1");
    }

    #[test]
    fn what_is_written_can_be_read() {
        for unit in 0..4 {
            let snapshot = snapshot_of(unit);
            let text = wire::files::encode_snapshot(&snapshot);
            assert_eq!(wire::files::decode_snapshot(&text, "snapshot").unwrap(), snapshot);
        }
    }
}
