//! Scenarios made in code: the plain parts that tests and examples are made of, and random ones for swarms of seeds.

mod anything;

use model::scenario::{Cache, CallTo, Clients, Network, Route, Scenario, Service, Spread, Start, Visit};
use model::{FleetPreset, Moment, Preset, ServiceName, Settings, Share, TimeOfDay};
use std::time::Duration;

pub use anything::anything;

/// A scenario without anything in it; the network takes no time.
pub fn empty(name: &str, lasts: Duration) -> Scenario {
    Scenario {
        name: name.to_owned(),
        about: String::new(),
        starts: TimeOfDay::default(),
        lasts,
        scale: 1.0,
        policies: Preset::Default,
        fleet: FleetPreset::Default,
        network: Network { delay: Duration::ZERO, jitter: Duration::ZERO, loss: Share::NONE },
        compartments: Vec::new(),
        services: Vec::new(),
        caches: Vec::<Cache>::new(),
        limits: Vec::new(),
        clients: Vec::new(),
        faults: Vec::new(),
        operators: Vec::new(),
        trouble: None,
        acceptance: Vec::new(),
    }
}

/// A service with these routes on `instances` instances of `cores` cores, without any other bound.
///
/// # Panics
/// If `name` is no name of a service.
pub fn service(name: &str, (instances, cores): (u32, f64), routes: Vec<Route>) -> Service {
    Service {
        name: ServiceName::new(name).expect("names of services in code are good"),
        instances,
        range: None,
        compartment: None,
        critical: true,
        declared_cores: cores,
        memory_mib: 512.0,
        cores,
        idle_cores: 0.0,
        threads: u32::MAX,
        backlog: u32::MAX,
        descriptors: u32::MAX,
        health_apart: false,
        start: Start {
            takes: Duration::from_secs(1),
            cold_speed: Share::ALL,
            cold_for: Duration::ZERO,
            warm_up: Vec::new(),
        },
        neighbours: None,
        drag: 0.0,
        routes,
    }
}

/// A route that takes processor time, and then waits.
pub fn route(cpu: Spread, wait: Spread, calls: Vec<CallTo>) -> Route {
    Route { name: "all".to_owned(), cpu, wait, failing: Share::NONE, calls }
}

/// A call to the first route of a service.
pub fn call(service: usize) -> CallTo {
    CallTo {
        service,
        route: 0,
        times: 1.0,
        beside: false,
        optional: false,
        pool: None,
        cache: None,
        policies: Settings::default(),
    }
}

/// People who come `rate` times a second to the first route of the first service, and wait `patience`.
pub fn people(rate: f64, patience: Duration) -> Clients {
    let visit = Visit {
        name: "visit".to_owned(),
        weight: vec![(Moment::ZERO, 1.0)],
        service: 0,
        route: 0,
        limit: None,
    };
    Clients {
        name: "people".to_owned(),
        human: true,
        demand: vec![(Moment::ZERO, rate)],
        even: false,
        sidecars: 1,
        visits: vec![visit],
        patience,
        tells_deadline: false,
        posts: Share::NONE,
        reload: None,
        after_limit: None,
        policies: Settings::default(),
    }
}

/// Nothing to do.
pub const NOTHING: Spread = Spread::Fixed(Duration::ZERO);
