//! What the API says of the registry: shapes made from what is registered.

use super::Shared;
use crate::registry::{Instance as Member, Registry};
use api::{
    Environment, EnvironmentState, Instance, InstanceState, Instances, Service, Services, VERSION, rfc3339,
};
use model::ServiceName;
use std::net::SocketAddr;
use wire::xds::Kind;

/// A type of resources in one word.
pub(super) const fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Service => "service",
        Kind::Policy => "policy",
        Kind::Endpoint => "endpoint",
    }
}

/// The service that a resource is about: an endpoint's name is SERVICE/INSTANCE.
pub(super) fn service_of(resource: &str) -> &str {
    resource.split_once('/').map_or(resource, |(service, _)| service)
}

fn url(address: &SocketAddr) -> String {
    format!("http://{address}/")
}

/// The environment as a whole.
pub(super) fn environment(shared: &Shared) -> Environment {
    let state = if *shared.stopping.borrow() { EnvironmentState::Stopping } else { EnvironmentState::Ready };
    Environment {
        version: VERSION,
        name: shared.environment.clone(),
        state,
        folder: String::new(),
        state_folder: shared.state.display().to_string(),
        pid: std::process::id(),
        since: rfc3339(shared.since),
        api: shared.api.get().map(url).unwrap_or_default(),
        edge: None,
        outbound: None,
    }
}

/// All services.
pub(super) fn services(registry: &Registry) -> Services {
    let services = registry.services().map(|(name, _)| service(registry, name)).collect();
    Services { version: VERSION, services }
}

fn service(registry: &Registry, name: &ServiceName) -> Service {
    // Every instance that is registered is to be called, those that are held included.
    let count = u32::try_from(registry.instances_of(name).count()).unwrap_or(u32::MAX);
    Service {
        name: name.to_string(),
        kind: "service".into(),
        instances: count,
        in_rotation: count,
        restarts: 0,
        dependencies: Vec::new(),
    }
}

/// All instances.
pub(super) fn instances(registry: &Registry) -> Instances {
    let instances = registry.instances().map(|(member, held)| instance(member, held)).collect();
    Instances { version: VERSION, instances }
}

fn instance(member: &Member, held: bool) -> Instance {
    Instance {
        name: member.name.to_string(),
        service: Some(member.service.to_string()),
        state: InstanceState::InRotation,
        reason: held.then(|| "membership-held".into()),
        since: String::new(),
        pid: None,
        sidecar_pid: None,
        app: None,
        inbound: Some(member.address.to_string()),
        outbound: None,
        admin: None,
        restarts: 0,
        sidecar_restarts: 0,
    }
}
