//! What a sidecar knows, made ready for use: a snapshot's names resolved to desks and counters.
//!
//! A [`World`] is replaced as a whole. A request keeps the one that it began with; desks and counters are carried over
//! from one world to the next, so that what was learned of an endpoint survives every change that does not concern
//! it.

use crate::desk::Desk;
use crate::record::Counts;
use crate::tape::Tapes;
use model::{
    Direction, Endpoint, InstanceName, Moment, Peer, Role, ServiceName, Settings, Snapshot, Timeouts,
};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// A snapshot in use.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) snapshot: Snapshot,
    pub(crate) entrances: Vec<(SocketAddr, Entrance)>,
    routes: Vec<Route>,
    by_name: HashMap<String, usize>,
    app: Option<usize>,
}

/// Where a request goes, and by which rules.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) target: Arc<Target>,
    pub(crate) timeouts: Timeouts,
    /// Who answers.
    pub(crate) peer: Peer,
}

/// A service in one direction: what outlives a snapshot.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) direction: Direction,
    pub(crate) desk: Desk,
    pub(crate) counts: Counts,
}

/// A listener's role with its services resolved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Entrance {
    Inbound,
    Outbound,
    Service(usize),
    Edge(Vec<(String, usize)>),
}

/// Everything that is carried from world to world.
#[derive(Debug)]
pub(crate) struct Desks {
    targets: HashMap<(Direction, String), Arc<Target>>,
    seed: u64,
    tapes: Tapes,
}

impl Desks {
    pub(crate) fn new(seed: u64, tapes: Tapes) -> Desks {
        Desks { targets: HashMap::new(), seed, tapes }
    }

    /// Makes a world of `snapshot`, in which names have been checked to be known.
    pub(crate) fn world(&mut self, snapshot: Snapshot, now: Moment) -> World {
        let mut routes = Vec::new();
        let mut by_name = HashMap::new();
        for service in &snapshot.services {
            by_name.insert(service.name.as_str().to_owned(), routes.len());
            let name = service.name.as_str();
            let route = self.route(Direction::Outbound, name, &service.endpoints, &service.settings, now);
            routes.push(Route { peer: service.peer, ..route });
        }
        let app = snapshot.app.as_ref().map(|app| {
            let name = snapshot.service.as_ref().map_or("app", ServiceName::as_str);
            let endpoint = Endpoint { name: own_name(&snapshot), address: app.address };
            routes.push(self.route(Direction::Inbound, name, &[endpoint], &app.settings, now));
            routes.len() - 1
        });
        let entrance = |role: &Role| match role {
            Role::Inbound => Entrance::Inbound,
            Role::Outbound => Entrance::Outbound,
            Role::Service(name) => {
                Entrance::Service(by_name.get(name.as_str()).copied().unwrap_or(usize::MAX))
            }
            Role::Edge(edge) => {
                let resolved = edge.iter().filter_map(|route| {
                    Some((segments(&route.prefix), *by_name.get(route.service.as_str())?))
                });
                let mut resolved: Vec<_> = resolved.collect();
                // The longest prefix is the most specific: it is asked first.
                resolved.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
                Entrance::Edge(resolved)
            }
        };
        let entrances = snapshot.listeners.iter().map(|l| (l.address, entrance(&l.role))).collect();
        self.targets.retain(|_, target| routes.iter().any(|r: &Route| Arc::ptr_eq(&r.target, target)));
        World { snapshot, entrances, routes, by_name, app }
    }

    fn route(
        &mut self,
        direction: Direction,
        name: &str,
        endpoints: &[Endpoint],
        settings: &Settings,
        now: Moment,
    ) -> Route {
        let key = (direction, name.to_owned());
        let (seed, tapes) = (self.seed, &mut self.tapes);
        let target = self.targets.entry(key).or_insert_with(|| {
            let tape = tapes.tape(direction, name);
            let desk = Desk::new(settings, seed, tape, now);
            Arc::new(Target { name: name.to_owned(), direction, desk, counts: Counts::default() })
        });
        target.desk.follow(endpoints, settings, now);
        Route { target: target.clone(), timeouts: settings.timeouts, peer: Peer::App }
    }
}

fn own_name(snapshot: &Snapshot) -> InstanceName {
    snapshot.instance.clone().unwrap_or_else(|| InstanceName::new("app").expect("`app` is a name"))
}

impl World {
    /// Where a request goes that came in at `entrance`.
    pub(crate) fn route(&self, entrance: &Entrance, authority: &[u8], path: &[u8]) -> Option<&Route> {
        let index = match entrance {
            Entrance::Inbound => self.app?,
            Entrance::Service(index) => *index,
            Entrance::Outbound => self.by_host(authority)?,
            Entrance::Edge(routes) => routes.iter().find(|(prefix, _)| fits(prefix, path))?.1,
        };
        self.routes.get(index)
    }

    /// The service that an authority names: its host without the port, in any case.
    fn by_host(&self, authority: &[u8]) -> Option<usize> {
        let end = authority.iter().position(|b| *b == b':').unwrap_or(authority.len());
        let host = authority.get(..end)?;
        let mut lower = [0u8; 64];
        let lower = lower.get_mut(..host.len())?;
        lower.copy_from_slice(host);
        lower.make_ascii_lowercase();
        self.by_name.get(std::str::from_utf8(lower).ok()?).copied()
    }

    /// The service of this name that can be called.
    pub(crate) fn outbound(&self, name: &ServiceName) -> Option<&Arc<Target>> {
        self.by_name.get(name.as_str()).and_then(|index| self.routes.get(*index)).map(|route| &route.target)
    }

    /// The service of a valid name that an authority names, although it is none of those here.
    pub(crate) fn stranger(authority: &[u8]) -> Option<ServiceName> {
        let host = authority.split(|byte| *byte == b':').next()?;
        ServiceName::new(&std::str::from_utf8(host).ok()?.to_ascii_lowercase()).ok()
    }

    /// All services and directions.
    pub(crate) fn targets(&self) -> impl Iterator<Item = &Arc<Target>> {
        self.routes.iter().map(|r| &r.target)
    }

    /// Every address that a request may be sent to.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        let services = self.snapshot.services.iter().flat_map(|s| s.endpoints.iter().map(|e| e.address));
        services.chain(self.snapshot.app.iter().map(|app| app.address))
    }
}

/// A prefix as [`fits`] takes it.
fn segments(prefix: &str) -> String {
    prefix.trim_end_matches('/').to_owned()
}

/// Whether `path` begins with `prefix`, which has no slash at its end, at a segment's end. `*`, which asks about a
/// server as a whole (RFC 9112 §3.2.4), has no segments and belongs to whoever has all paths.
fn fits(prefix: &str, path: &[u8]) -> bool {
    let prefix = prefix.as_bytes();
    if path == b"*" {
        return prefix.is_empty();
    }
    match path.strip_prefix(prefix) {
        Some(rest) => rest.is_empty() || rest.first() == Some(&b'/'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_at_a_segment() {
        for (prefix, path, fit) in [
            ("/", "/", true),
            ("/", "/x", true),
            ("/shop", "/shop", true),
            ("/shop", "/shop/x", true),
            ("/shop/", "/shop/x", true),
            ("/shop", "/shopping", false),
            ("/shop", "/", false),
            ("/", "*", true),
            ("/shop", "*", false),
        ] {
            assert_eq!(fits(&segments(prefix), path.as_bytes()), fit, "{prefix} {path}");
        }
    }
}
