//! What the API says of the agent: shapes made from what should be and what is.

use crate::agent::Agent;
use crate::desired::{Desired, Kind};
use crate::observed::{App, Drain, Ended, Observed, Sidecar, Wanted};
use api::{
    Environment, EnvironmentState, Instance, InstanceState, Instances, Operation, OperationState, Progress,
    Service, Services, VERSION, rfc3339,
};
use model::Moment;
use std::net::SocketAddr;

/// How far a unit is, in one word.
pub(crate) fn state(desired: &Desired, observed: &Observed, at: usize) -> InstanceState {
    let unit = &observed.units[at];
    let leaving = observed.stopping.is_some() || unit.wanted != Wanted::Run;
    match (unit.app, unit.sidecar) {
        (App::Done, _) => InstanceState::Done,
        (App::Failed, _) => InstanceState::Failed,
        (App::Stopping(..), _) => InstanceState::Stopping,
        (App::Up(_), _) if unit.drain != Drain::No => InstanceState::Draining,
        (App::Up(_), _) if leaving && !unit.published() => InstanceState::Draining,
        (App::Up(_), _) if observed.in_rotation(at) => InstanceState::InRotation,
        (App::Up(_), _) if is_job(desired, at) => InstanceState::Starting,
        (App::Up(_), _) => InstanceState::OutOfRotation,
        (App::Starting(_), _) => InstanceState::Starting,
        (App::None, Sidecar::Ready(_)) => InstanceState::InRotation,
        (_, Sidecar::Stopping(..)) => InstanceState::Stopping,
        (_, Sidecar::Starting(_)) => InstanceState::SidecarStarting,
        (App::Absent(_), Sidecar::Ready(_)) if unit.app_failures > 0 => InstanceState::BackingOff,
        (App::Absent(_), Sidecar::Ready(_)) => InstanceState::Waiting,
        (App::Absent(_) | App::None, Sidecar::Absent(_)) if unit.sidecar_failures > 0 && !leaving => {
            InstanceState::BackingOff
        }
        (App::Absent(_) | App::None, Sidecar::Absent(_)) => InstanceState::Stopped,
    }
}

fn is_job(desired: &Desired, at: usize) -> bool {
    desired.service(at).is_some_and(|service| service.kind == Kind::Job)
}

/// A service that only other agents run.
fn elsewhere(name: String) -> Service {
    let (kind, dependencies) = (Kind::Service.word().into(), Vec::new());
    Service { name, kind, instances: 0, in_rotation: 0, restarts: 0, dependencies }
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}/")
}

impl Agent {
    /// The environment as a whole.
    pub(crate) fn environment(&self) -> Environment {
        let edge = self.hands.addresses.first();
        let state = match () {
            () if self.observed.failed_start(&self.desired).is_some() => EnvironmentState::Failed,
            () if self.observed.stopping.is_some() => EnvironmentState::Stopping,
            () if self.observed.ready => EnvironmentState::Ready,
            () => EnvironmentState::Starting,
        };
        Environment {
            version: VERSION,
            name: self.desired.name.clone(),
            state,
            folder: self.desired.folder.display().to_string(),
            state_folder: self.hands.state.path.display().to_string(),
            pid: std::process::id(),
            since: rfc3339(self.since),
            api: self.api.map(url).unwrap_or_default(),
            edge: edge.and_then(|a| a.edge).map(url),
            outbound: edge.map(|a| url(a.outbound)),
        }
    }

    /// All services, and those of which other agents run the instances that are among `all`.
    pub(crate) fn services_with(&self, all: Vec<Instance>) -> Services {
        let mut services = self.services();
        for name in self.others(all).filter_map(|instance| instance.service) {
            let known = services.services.iter().position(|service| service.name == name);
            let at = known.unwrap_or_else(|| {
                services.services.push(elsewhere(name));
                services.services.len() - 1
            });
            services.services[at].instances += 1;
            services.services[at].in_rotation += 1;
        }
        services
    }

    /// All instances, and those among `all` that other agents run.
    pub(crate) fn instances_with(&self, all: Vec<Instance>) -> Instances {
        let mut instances = self.instances();
        instances.instances.extend(self.others(all));
        instances
    }

    fn others(&self, all: Vec<Instance>) -> impl Iterator<Item = Instance> {
        let own = |name: &str| self.desired.units.iter().any(|unit| unit.name.as_str() == name);
        all.into_iter().filter(move |instance| !own(&instance.name))
    }

    /// All services.
    pub(crate) fn services(&self) -> Services {
        // A service without instances is one that was wanted once.
        let known = (0..self.desired.services.len()).filter(|s| self.desired.instances(*s).next().is_some());
        let mut services: Vec<Service> = known.map(|index| self.service(index)).collect();
        services.sort_by(|a, b| a.name.cmp(&b.name));
        Services { version: VERSION, services }
    }

    fn service(&self, index: usize) -> Service {
        let service = &self.desired.services[index];
        let units: Vec<usize> = self.desired.instances(index).collect();
        let wanted = [InstanceState::InRotation, InstanceState::Done];
        let there = units.iter().filter(|at| wanted.contains(&self.states[**at].0)).count();
        Service {
            name: service.name.to_string(),
            kind: service.kind.word().into(),
            instances: service.instances,
            in_rotation: u32::try_from(there).unwrap_or(u32::MAX),
            restarts: units.iter().map(|at| self.observed.units[*at].app_restarts).sum(),
            dependencies: service.dependencies.iter().map(ToString::to_string).collect(),
        }
    }

    /// All instances.
    pub(crate) fn instances(&self) -> Instances {
        let known = (0..self.desired.units.len()).filter(|at| !self.desired.units[*at].retired);
        let mut instances: Vec<Instance> = known.map(|at| self.instance(at)).collect();
        // Those that came later stand with the rest of their service.
        instances.sort_by(|a, b| a.service.cmp(&b.service));
        Instances { version: VERSION, instances }
    }

    fn instance(&self, at: usize) -> Instance {
        let (unit, addresses) = (&self.observed.units[at], &self.hands.addresses[at]);
        let (state, since) = self.states[at];
        let fine = matches!(state, InstanceState::InRotation | InstanceState::Done);
        Instance {
            name: self.desired.units[at].name.to_string(),
            service: self.desired.service(at).map(|s| s.name.to_string()),
            state,
            reason: unit.reason.clone().filter(|_| !fine),
            since: rfc3339(since),
            pid: unit.app_pid,
            sidecar_pid: unit.sidecar_pid,
            app: addresses.app.map(|a| a.to_string()),
            inbound: addresses.inbound.map(|a| a.to_string()),
            outbound: Some(addresses.outbound.to_string()),
            admin: Some(addresses.admin.to_string()),
            restarts: unit.app_restarts,
            sidecar_restarts: unit.sidecar_run.saturating_sub(1),
        }
    }

    /// How far the operation `id` is, with what happened after step `after`; none if there is no such operation.
    pub(crate) fn operation(&self, id: u64, after: u64) -> Option<Operation> {
        let operation = self.observed.operations.iter().find(|operation| operation.id == id)?;
        let steps = (1u64..).zip(&operation.progress).filter(|(seq, _)| *seq > after);
        let progress = |(seq, (at, text)): (u64, &(Moment, String))| Progress {
            seq,
            time: self.wall(*at),
            text: text.clone(),
        };
        Some(Operation {
            version: VERSION,
            id,
            state: match operation.ended {
                None => OperationState::Running,
                Some(Ended::Done) => OperationState::Done,
                Some(Ended::Failed) => OperationState::Failed,
            },
            done: operation.done,
            total: operation.total,
            progress: steps.map(progress).collect(),
            next: operation.progress.len() as u64,
        })
    }

    /// A moment of the plan as a time of day.
    fn wall(&self, moment: Moment) -> String {
        let ago = moment.until(self.clock.now());
        rfc3339(std::time::SystemTime::now().checked_sub(ago).unwrap_or(self.since))
    }
}
