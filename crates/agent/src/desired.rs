//! What an environment should be: its services, how many instances of each, in which order they start.
//!
//! The manifests are turned into this at the start. While the environment runs they may change: see [`crate::adopt`].

use crate::up::Wish;
use model::{
    Bounds, EdgeRoute, Environment, EnvironmentService, InstanceName, ServiceKind, ServiceName, Settings,
};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// An environment as it should be.
#[derive(Clone, Debug)]
pub struct Desired {
    /// Its name.
    pub name: String,
    /// The folder that it was read from.
    pub folder: PathBuf,
    /// Its services, sorted by name.
    pub services: Vec<Service>,
    /// Its sidecars and the apps beside them: first the edge, which has no app, then every instance.
    pub units: Vec<Unit>,
    /// Where requests from outside come in; none if nothing does.
    pub edge: Option<Edge>,
    /// What each sidecar may use at most.
    pub bounds: Bounds,
    /// The manifests that it was made from; none: it was not made from a folder of manifests alone.
    pub manifests: Option<Box<Environment>>,
}

/// The way in from outside.
#[derive(Clone, Debug)]
pub struct Edge {
    /// Where it listens; none: at the usual address, or the next free port.
    pub listen: Option<SocketAddr>,
    /// Which path goes where.
    pub routes: Vec<EdgeRoute>,
}

impl Edge {
    /// Where it is to listen: what somebody wrote down is meant exactly.
    pub(crate) fn wish(&self) -> Wish {
        self.listen.map_or(Wish::OrNext(model::Edge::LISTEN), Wish::Exactly)
    }

    /// The address that is wished for.
    pub(crate) fn address(&self) -> SocketAddr {
        self.listen.unwrap_or(model::Edge::LISTEN)
    }
}

/// A sidecar and, but for the edge, the app beside it.
#[derive(Clone, Debug)]
pub struct Unit {
    /// Its name.
    pub name: InstanceName,
    /// The index of its service; none for the edge.
    pub service: Option<usize>,
    /// What it was started with, while that is not what its service is by now: its turn to be restarted comes.
    pub own: Option<Box<Service>>,
    /// It is not wanted any more, and nothing of it runs. Its place is kept, so that others keep theirs.
    pub retired: bool,
}

impl Unit {
    /// A unit that is what its service is.
    pub fn new(name: InstanceName, service: Option<usize>) -> Unit {
        Unit { name, service, own: None, retired: false }
    }
}

/// A service as it should be.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its name.
    pub name: ServiceName,
    /// Whether it goes on or ends.
    pub kind: Kind,
    /// How many instances of it.
    pub instances: u32,
    /// Run once before its first start, in its folder; empty if there is nothing to build.
    pub build: Vec<String>,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Where it runs.
    pub folder: PathBuf,
    /// What is added to its environment.
    pub variables: Vec<(String, String)>,
    /// The services that it calls.
    pub dependencies: Vec<ServiceName>,
    /// The policies of its callers' sidecars for requests to it.
    pub for_callers: Settings,
    /// The policies of its own sidecars for requests to it.
    pub for_app: Settings,
    /// When it counts as started.
    pub startup: Startup,
    /// When it counts as hanging; none: never.
    pub liveness: Option<Liveness>,
    /// How long it has from SIGTERM to its end.
    pub stop_grace: Duration,
    /// How long to wait before it is started again.
    pub back_off: BackOff,
    /// How often a job is tried in all.
    pub attempts: u32,
    /// What becomes of it when it ends by itself.
    pub end: End,
    /// Whether the control plane is told its policies: only where somebody has written some.
    pub is_declared: bool,
    /// How late it starts: after every service of a lower rank that it calls. Stopping goes the other way.
    pub rank: u32,
}

/// Whether a service goes on or ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// It answers requests until it is stopped.
    Service,
    /// It runs to its end.
    Job,
}

impl Kind {
    /// The word in manifests and lists.
    pub const fn word(self) -> &'static str {
        match self {
            Kind::Service => "service",
            Kind::Job => "job",
        }
    }
}

/// What becomes of a service whose app ends by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It is started again.
    Restart,
    /// That is the end of everything: whoever started us decides.
    Stop,
}

/// How an app is asked whether it is there. It is always asked directly, not through its sidecar.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Probe {
    /// A connection to its port succeeds.
    Tcp,
    /// A GET of this path is answered with 200 to 299.
    Http(String),
}

/// When an app counts as started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Startup {
    /// It has once passed this.
    pub probe: Probe,
    /// Asked so often …
    pub every: Duration,
    /// … with so much time to answer.
    pub timeout: Duration,
    /// It must have passed by then.
    pub within: Duration,
}

/// When an app counts as hanging.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Liveness {
    /// It does not pass this …
    pub probe: Probe,
    /// … asked so often …
    pub every: Duration,
    /// … with so much time to answer …
    pub timeout: Duration,
    /// … so many times in a row.
    pub failures: u32,
}

/// How long to wait before something is started again: doubled from time to time, up to a bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BackOff {
    /// After the first failure.
    pub first: Duration,
    /// After many.
    pub at_most: Duration,
}

impl BackOff {
    /// A crash loop leaves the machine usable, whatever its manifest says.
    pub const SHORTEST: Duration = Duration::from_millis(50);

    /// For sidecars, which start within milliseconds and whose absence cuts an instance off: at once at first.
    pub const SIDECAR: BackOff =
        BackOff { first: Duration::from_millis(100), at_most: Duration::from_secs(5) };

    /// The wait after `failures` in a row: nothing after none.
    pub fn wait(&self, failures: u32) -> Duration {
        match failures.checked_sub(1) {
            None => Duration::ZERO,
            Some(doublings) => self.first.saturating_mul(1 << doublings.min(20)).min(self.at_most),
        }
    }
}

/// A job that does not end well is tried so often in all: its next run would most likely end like its last.
const ATTEMPTS: u32 = 3;

impl Service {
    /// What a service's manifest, and its environment's, say.
    pub fn of(service: &EnvironmentService) -> Service {
        let manifest = &service.manifest;
        let liveness = |l: &model::Liveness| Liveness {
            probe: Probe::of(&l.probe),
            every: l.period,
            timeout: l.timeout,
            failures: l.failures,
        };
        Service {
            name: manifest.name.clone(),
            kind: if manifest.kind == ServiceKind::Job { Kind::Job } else { Kind::Service },
            instances: service.instances,
            build: manifest.run.build.clone(),
            command: manifest.run.command.clone(),
            folder: service.folder.clone(),
            variables: service.environment.clone().into_iter().collect(),
            dependencies: manifest.outgoing.clone(),
            for_callers: service.for_callers(),
            for_app: service.for_app(),
            startup: Startup {
                probe: Probe::of(&manifest.startup.probe),
                every: manifest.startup.period,
                timeout: manifest.startup.timeout,
                within: manifest.startup.within,
            },
            liveness: manifest.liveness.as_ref().map(liveness),
            stop_grace: manifest.run.stop_grace,
            back_off: BackOff {
                first: manifest.restart.back_off.max(BackOff::SHORTEST),
                at_most: manifest.restart.at_most.max(BackOff::SHORTEST),
            },
            attempts: ATTEMPTS,
            end: End::Restart,
            is_declared: true,
            rank: 0,
        }
    }
}

impl Probe {
    fn of(probe: &model::Probe) -> Probe {
        match probe {
            model::Probe::Http(path) => Probe::Http(path.clone()),
            model::Probe::Tcp => Probe::Tcp,
        }
    }
}

impl Desired {
    /// What the manifests in `folder` say.
    pub fn of(environment: &Environment, folder: PathBuf) -> Desired {
        let edge =
            environment.edge.as_ref().map(|edge| Edge { listen: edge.listen, routes: edge.routes.clone() });
        let services = environment.services.iter().map(Service::of).collect();
        let desired = Desired::new(environment.name.to_string(), folder, services, edge, Bounds::default());
        Desired { manifests: Some(Box::new(environment.clone())), ..desired }
    }

    /// The environment of these services; ranks and units are worked out here.
    pub fn new(
        name: String,
        folder: PathBuf,
        mut services: Vec<Service>,
        edge: Option<Edge>,
        bounds: Bounds,
    ) -> Desired {
        services.sort_by(|a, b| a.name.cmp(&b.name));
        let mut units = vec![Unit::new(edge_name(), None)];
        for (index, service) in services.iter().enumerate() {
            let instance = |number| Unit::new(service.name.instance(number), Some(index));
            units.extend((1..=service.instances).map(instance));
        }
        let mut desired = Desired { name, folder, services, units, edge, bounds, manifests: None };
        desired.rank_again();
        desired
    }

    /// Works out the ranks of all services.
    pub(crate) fn rank_again(&mut self) {
        for (service, rank) in ranks(&self.services).into_iter().enumerate() {
            self.services[service].rank = rank;
        }
    }

    /// The same without the unit that has no app.
    #[must_use]
    pub fn without_edge(mut self) -> Desired {
        self.units.retain(|unit| unit.service.is_some());
        self.edge = None;
        self.manifests = None;
        self
    }

    /// The same with names of instances that no other node has: `SERVICE-NODE-NUMBER`.
    #[must_use]
    pub fn on_node(mut self, node: &str) -> Desired {
        for index in 0..self.services.len() {
            let units: Vec<usize> = self.instances(index).collect();
            for (number, unit) in (1u32..).zip(units) {
                let tail = format!("{node}-{number}");
                // A node's name that makes no name of an instance is left out.
                let name = named_after(&self.services[index].name, &tail);
                self.units[unit].name = name.unwrap_or_else(|_| self.services[index].name.instance(number));
            }
        }
        // They know nothing of these names: what they say would be others.
        self.manifests = None;
        self
    }

    /// The same with one instance of one service, called `name`.
    #[must_use]
    pub fn single(mut self, name: InstanceName) -> Desired {
        self.units = vec![Unit::new(name, Some(0))];
        self.edge = None;
        self.manifests = None;
        self
    }

    /// The service of the unit `unit`, as that unit has it; none for the edge.
    pub fn service(&self, unit: usize) -> Option<&Service> {
        let unit = self.units.get(unit)?;
        unit.own.as_deref().or_else(|| unit.service.and_then(|index| self.services.get(index)))
    }

    /// The units of the service `service`.
    pub fn instances(&self, service: usize) -> impl Iterator<Item = usize> + '_ {
        let is_one = move |u: &Unit| u.service == Some(service) && !u.retired;
        self.units.iter().enumerate().filter(move |(_, u)| is_one(u)).map(|(at, _)| at)
    }

    /// How late a unit starts. The edge is last, and so the first to stop.
    pub fn rank(&self, unit: usize) -> u32 {
        self.service(unit).map_or(u32::MAX, |service| service.rank)
    }

    /// The services that `service` waits for at the start: those that it calls and that have a lower rank. Within a
    /// circle of calls nobody waits.
    pub fn awaited<'a>(&'a self, service: &'a Service) -> impl Iterator<Item = usize> + 'a {
        let called = |(_, s): &(usize, &Service)| service.dependencies.contains(&s.name);
        let before = |(_, s): &(usize, &Service)| s.rank < service.rank && s.kind == Kind::Service;
        self.services.iter().enumerate().filter(called).filter(before).map(|(at, _)| at)
    }

    /// The units that `name` means: an instance, all instances of a service, or with `all` every instance of every
    /// service. The edge and jobs, whose work is done once, are meant only by their own names.
    pub fn named(&self, name: &str) -> Vec<usize> {
        let fits = |unit: &usize| {
            let service = self.service(*unit);
            self.units[*unit].name.as_str() == name
                || service.is_some_and(|s| s.name.as_str() == name)
                || (name == "all" && service.is_some_and(|s| s.kind == Kind::Service))
        };
        (0..self.units.len()).filter(|unit| !self.units[*unit].retired).filter(fits).collect()
    }
}

/// `SERVICE-TAIL`; the service's name is cut where the whole would be too long.
///
/// # Errors
/// The tail makes no name.
pub fn named_after(service: &ServiceName, tail: &str) -> Result<InstanceName, model::BadName> {
    let room = 62usize.saturating_sub(tail.len());
    let front = service.as_str().get(..room.min(service.as_str().len())).unwrap_or_default();
    InstanceName::new(&format!("{front}-{tail}"))
}

/// The name of the unit that has no app.
fn edge_name() -> InstanceName {
    InstanceName::new("edge").expect("four lower-case letters make a name")
}

/// For each service the length of the longest chain of calls below it, circles counted as one.
///
/// Services that call each other in a circle get the same rank: it is found by raising ranks until nothing changes,
/// but never across a circle, whose members reach each other.
fn ranks(services: &[Service]) -> Vec<u32> {
    let index = |name: &ServiceName| services.iter().position(|s| s.name == *name);
    let calls: Vec<Vec<usize>> =
        services.iter().map(|s| s.dependencies.iter().filter_map(index).collect()).collect();
    let reaches: Vec<Vec<bool>> = (0..services.len()).map(|from| reached(&calls, from)).collect();
    let mut ranks = vec![0; services.len()];
    loop {
        let before = ranks.clone();
        for from in 0..services.len() {
            for &to in &calls[from] {
                let step = u32::from(!reaches[to][from]);
                ranks[from] = ranks[from].max(ranks[to] + step);
            }
        }
        if ranks == before {
            return ranks;
        }
    }
}

/// Which services are reached from `from` by one call or more.
fn reached(calls: &[Vec<usize>], from: usize) -> Vec<bool> {
    let mut seen = vec![false; calls.len()];
    let mut open = calls[from].clone();
    while let Some(next) = open.pop() {
        if !std::mem::replace(&mut seen[next], true) {
            open.extend(&calls[next]);
        }
    }
    seen
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A service for tests: `name` × `instances`, calling `dependencies`.
    pub(crate) fn service(name: &str, instances: u32, dependencies: &[&str]) -> Service {
        Service {
            name: ServiceName::new(name).unwrap(),
            kind: Kind::Service,
            instances,
            build: vec![],
            command: vec!["app".into()],
            folder: PathBuf::new(),
            variables: vec![],
            dependencies: dependencies.iter().map(|d| ServiceName::new(d).unwrap()).collect(),
            for_callers: Settings::default(),
            for_app: Settings::default(),
            startup: Startup {
                probe: Probe::Tcp,
                every: Duration::from_millis(100),
                timeout: Duration::from_secs(1),
                within: Duration::from_secs(10),
            },
            liveness: None,
            stop_grace: Duration::from_secs(5),
            back_off: BackOff { first: Duration::from_millis(500), at_most: Duration::from_secs(30) },
            attempts: 3,
            end: End::Restart,
            is_declared: true,
            rank: 0,
        }
    }

    /// An environment of these services for tests.
    pub(crate) fn environment(services: Vec<Service>) -> Desired {
        Desired::new("test".into(), PathBuf::new(), services, None, Bounds::default())
    }

    fn rank_of(desired: &Desired, name: &str) -> u32 {
        desired.services.iter().find(|s| s.name.as_str() == name).unwrap().rank
    }

    #[test]
    fn ranks_follow_the_calls_and_circles_stand_together() {
        let shop = environment(vec![
            service("opbox", 1, &["item", "listing"]),
            service("item", 1, &[]),
            service("listing", 1, &["search"]),
            service("search", 1, &[]),
            service("ping", 1, &["pong"]),
            service("pong", 1, &["ping", "search"]),
        ]);
        for (name, rank) in
            [("item", 0), ("search", 0), ("listing", 1), ("opbox", 2), ("ping", 1), ("pong", 1)]
        {
            assert_eq!(rank_of(&shop, name), rank, "{name}");
        }
        let pong = shop.services.iter().find(|s| s.name.as_str() == "pong").unwrap();
        let awaited: Vec<_> = shop.awaited(pong).map(|i| shop.services[i].name.as_str()).collect();
        assert_eq!(awaited, ["search"], "in a circle nobody waits");
    }

    #[test]
    fn the_edge_comes_first_and_names_mean_units() {
        let shop = environment(vec![service("b", 2, &["a"]), service("a", 1, &[])]);
        let names: Vec<_> = shop.units.iter().map(|u| u.name.to_string()).collect();
        assert_eq!(names, ["edge", "a-1", "b-1", "b-2"]);
        assert_eq!(shop.named("b"), [2, 3]);
        assert_eq!(shop.named("b-2"), [3]);
        assert_eq!(shop.named("all"), [1, 2, 3]);
        assert!(shop.named("c").is_empty());
    }

    #[test]
    fn nodes_name_their_instances_and_do_without_the_edge() {
        let long = "x".repeat(60);
        let mut shop = environment(vec![service("a", 2, &[]), service(&long, 1, &[])]);
        let name = ServiceName::new("shop").unwrap();
        shop.manifests = Some(Box::new(Environment { name, edge: None, services: vec![] }));
        assert!(shop.clone().on_node("host").manifests.is_none(), "they know nothing of its names");
        let node = shop.clone().on_node("host-1f").without_edge();
        let names: Vec<_> = node.units.iter().map(|u| u.name.to_string()).collect();
        assert_eq!(names[..2], ["a-host-1f-1", "a-host-1f-2"]);
        assert_eq!((names[2].len(), names[2].ends_with("x-host-1f-1")), (63, true));
        let one = shop.single(InstanceName::new("a-7").unwrap());
        assert_eq!((one.units.len(), one.service(0).unwrap().name.as_str()), (1, "a"));
    }

    #[test]
    fn back_off_doubles_up_to_its_bound() {
        let back_off = BackOff { first: Duration::from_millis(500), at_most: Duration::from_secs(3) };
        let waits: Vec<_> = [0, 1, 2, 3, 4, 1000].map(|n| back_off.wait(n).as_millis()).into();
        assert_eq!(waits, [0, 500, 1000, 2000, 3000, 3000]);
    }
}
