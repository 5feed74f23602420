//! What the API says of the registry: shapes made from what is registered.

use super::Shared;
use crate::delivery::table::{Refusals, version_text};
use crate::delivery::{Follower, Lag};
use crate::registry::keys::is_spent;
use crate::registry::{Instance as Member, Registry, Token};
use api::{
    Agent, AgentState, Agents, Contested, Environment, EnvironmentState, Instance, InstanceState, Instances,
    Refusal, RefusedBy, Service, Services, Sidecar, SidecarState, Sync, Tokens, VERSION, rfc3339,
};
use model::{Moment, ServiceName};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use wire::xds::Kind;

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

/// All instances. `since` says when each was registered; where that is forgotten, it was before we had `begun`.
pub(super) fn instances(registry: &Registry, since: &BTreeMap<String, String>, begun: &str) -> Instances {
    let of = |member: &Member| since.get(member.name.as_str()).map_or(begun, String::as_str).to_owned();
    let instances = registry.instances().map(|(member, held)| instance(member, held, of(member))).collect();
    Instances { version: VERSION, instances }
}

fn instance(member: &Member, held: bool, since: String) -> Instance {
    Instance {
        name: member.name.to_string(),
        service: Some(member.service.to_string()),
        state: InstanceState::InRotation,
        reason: held.then(|| "membership-held".into()),
        since,
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

/// How every follower stands.
pub(super) fn sync(
    registry: &Registry,
    now: Moment,
    followers: Vec<Follower>,
    refusals: Vec<(Kind, Arc<str>, Refusals)>,
) -> Sync {
    let mut sidecars: Vec<Sidecar> = followers.into_iter().map(|follower| sidecar(now, follower)).collect();
    sidecars.sort_by(|one, other| one.name.cmp(&other.name));
    let refused = refusals.into_iter().map(|refused| contested(registry, refused)).collect();
    Sync { version: VERSION, sidecars, refused }
}

fn sidecar(now: Moment, follower: Follower) -> Sidecar {
    let sum = |count: fn(&Lag) -> usize| follower.lag.iter().map(count).sum::<usize>() as u64;
    let behind = sum(|lag| lag.behind);
    let refuses: Vec<Refusal> = follower.lag.iter().flat_map(|lag| &lag.refuses).map(refusal).collect();
    let since = follower.lag.iter().filter_map(|lag| lag.waiting_since).min();
    let state = match () {
        () if !refuses.is_empty() => SidecarState::Refuses,
        () if behind > 0 => SidecarState::Behind,
        () => SidecarState::InStep,
    };
    let millis = |since: Moment| u64::try_from(since.until(now).as_millis()).unwrap_or(u64::MAX);
    Sidecar {
        name: follower.name.to_string(),
        service: follower.service.to_string(),
        state,
        follows: sum(|lag| lag.follows),
        holds: sum(|lag| lag.holds),
        behind,
        behind_ms: since.filter(|_| behind > 0).map(millis),
        refuses,
        strange: follower.strange,
    }
}

fn refusal(refusal: &crate::delivery::Refusal) -> Refusal {
    Refusal {
        kind: refusal.kind.word().into(),
        name: refusal.name.to_string(),
        version: version_text(refusal.version),
        why: refusal.why.clone(),
    }
}

fn contested(registry: &Registry, (kind, name, refusals): (Kind, Arc<str>, Refusals)) -> Contested {
    let declared = ServiceName::new(service_of(&name)).ok();
    let author = declared.and_then(|service| registry.service(&service).map(|known| known.author.clone()));
    let by = |by: &crate::delivery::table::RefusedBy| RefusedBy {
        sidecar: by.follower.to_string(),
        why: by.why.clone(),
    };
    Contested {
        kind: kind.word().into(),
        name: name.to_string(),
        version: version_text(refusals.version),
        author: author.unwrap_or_default(),
        count: refusals.count,
        withdrawn: refusals.withdrawn,
        by: refusals.by.iter().map(by).collect(),
    }
}

/// The agents that are known.
pub(super) fn agents(registry: &Registry) -> Agents {
    let agent = |known: crate::registry::Agent<'_>| Agent {
        name: known.name.to_string(),
        state: match (known.alive, known.instances) {
            (true, _) => AgentState::Alive,
            (false, 0) => AgentState::Away,
            (false, _) => AgentState::Silent,
        },
        instances: known.instances as u64,
        services: known.services.map(names).unwrap_or_default(),
    };
    Agents { version: VERSION, agents: registry.agents().map(agent).collect() }
}

/// The join tokens that are good, `wall` milliseconds after 1970.
pub(super) fn tokens(registry: &Registry, wall: u64) -> Tokens {
    let good = registry.tokens().filter(|(_, token)| !is_spent(token, wall));
    let shown = |(id, token): (&Arc<str>, &Token)| api::Token {
        version: VERSION,
        id: id.to_string(),
        token: None,
        services: names(&token.services),
        expires: token.expires.map(|at| rfc3339(UNIX_EPOCH + Duration::from_millis(at))),
        uses: token.uses,
    };
    Tokens { version: VERSION, tokens: good.map(shown).collect() }
}

fn names(services: &BTreeSet<ServiceName>) -> Vec<String> {
    services.iter().map(ToString::to_string).collect()
}
