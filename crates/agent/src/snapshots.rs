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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::desired::tests::{environment, service};
    use crate::desired::{Desired, Edge};
    use model::{EdgeRoute, InstanceName};

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn shop() -> (Desired, Observed, Vec<Addresses>) {
        let mut desired = environment(vec![service("front", 1, &["back"]), service("back", 2, &[])]);
        let routes = vec![EdgeRoute { prefix: "/".into(), service: ServiceName::new("front").unwrap() }];
        desired.edge = Some(Edge { listen: at(8080), routes });
        let observed = Observed::begin(&desired);
        let addresses = |unit: usize| {
            let port = 100 * u16::try_from(unit).unwrap();
            let called = desired.service(unit).map(|s| s.dependencies.clone()).unwrap_or_default();
            Addresses {
                app: (unit > 0).then(|| at(port + 1)),
                inbound: (unit > 0).then(|| at(port + 2)),
                outbound: at(port + 3),
                admin: at(port + 4),
                services: called.into_iter().map(|name| (name, at(port + 5))).collect(),
                edge: (unit == 0).then(|| at(8080)),
            }
        };
        let addresses = (0..desired.units.len()).map(addresses).collect();
        (desired, observed, addresses)
    }

    fn listens(snapshot: &Snapshot) -> Vec<(&str, u16)> {
        snapshot.listeners.iter().map(|l| (l.name.as_str(), l.address.port())).collect()
    }

    #[test]
    fn an_instance_knows_what_it_calls_and_who_is_in_rotation() {
        let (desired, mut observed, addresses) = shop();
        // The units are edge, back-1, back-2, front-1.
        observed.units[2].published = true;
        let front = snapshot(&desired, &observed, &addresses, 3, "run");
        assert_eq!(listens(&front), [("inbound", 302), ("outbound", 303), ("to-back", 305)]);
        assert_eq!(front.app.as_ref().unwrap().address, at(301));
        assert_eq!((front.services.len(), front.services[0].name.as_str()), (1, "back"));
        let endpoint = Endpoint { name: InstanceName::new("back-2").unwrap(), address: at(202) };
        assert_eq!(front.services[0].endpoints, [endpoint]);
        let back = snapshot(&desired, &observed, &addresses, 1, "run");
        assert!(back.services.is_empty());
    }

    #[test]
    fn the_edge_knows_all_and_has_no_app() {
        let (desired, observed, addresses) = shop();
        let edge = snapshot(&desired, &observed, &addresses, 0, "run");
        assert_eq!(listens(&edge), [("outbound", 3), ("edge", 8080)]);
        assert_eq!(edge.services.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["back", "front"]);
        assert!(edge.app.is_none() && edge.service.is_none());
        assert_eq!(edge.version, version("run", observed.generation));
    }

    #[test]
    fn what_is_written_can_be_read() {
        let (desired, mut observed, addresses) = shop();
        observed.units.iter_mut().for_each(|unit| unit.published = true);
        for unit in 0..desired.units.len() {
            let snapshot = snapshot(&desired, &observed, &addresses, unit, "run");
            let text = wire::files::encode_snapshot(&snapshot);
            assert_eq!(wire::files::decode_snapshot(&text, "snapshot").unwrap(), snapshot);
        }
    }
}
