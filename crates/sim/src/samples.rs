//! Scenarios with nothing in them, for tests.

use model::scenario::{Clients, Network, Scenario, Service, Start};
use model::{FleetPreset, Preset, ServiceName, Settings, Share};
use std::time::Duration;

/// A scenario of so many services with nothing in them, people and bots.
pub(crate) fn scenario(services: usize) -> Scenario {
    Scenario {
        name: "test".to_owned(),
        about: String::new(),
        starts: Default::default(),
        lasts: Duration::from_secs(20),
        scale: 1.0,
        policies: Preset::Default,
        fleet: FleetPreset::Default,
        network: Network { delay: Duration::ZERO, jitter: Duration::ZERO, loss: Share::NONE },
        compartments: Vec::new(),
        services: (0..services).map(service).collect(),
        caches: Vec::new(),
        limits: Vec::new(),
        clients: vec![clients("humans", true), clients("bots", false)],
        faults: Vec::new(),
        operators: Vec::new(),
        trouble: None,
        acceptance: Vec::new(),
    }
}

/// A service that does nothing.
pub(crate) fn service(number: usize) -> Service {
    Service {
        name: ServiceName::new(&format!("s{number}")).expect("it is a name"),
        instances: 1,
        range: None,
        compartment: None,
        critical: true,
        declared_cores: 1.0,
        memory_mib: 1.0,
        cores: 1.0,
        idle_cores: 0.0,
        threads: 1,
        backlog: 1,
        descriptors: 1,
        health_apart: false,
        start: Start {
            takes: Duration::ZERO,
            cold_speed: Share::ALL,
            cold_for: Duration::ZERO,
            warm_up: Vec::new(),
        },
        neighbours: None,
        drag: 0.0,
        routes: Vec::new(),
    }
}

/// Clients that never come.
pub(crate) fn clients(name: &str, human: bool) -> Clients {
    Clients {
        name: name.to_owned(),
        human,
        demand: Vec::new(),
        even: false,
        sidecars: 1,
        visits: Vec::new(),
        patience: Duration::from_secs(8),
        tells_deadline: false,
        posts: Share::NONE,
        reload: None,
        after_limit: None,
        policies: Settings::default(),
    }
}
