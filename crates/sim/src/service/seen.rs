//! What can be seen of services and instances by those who decide about them: the fleet.

use super::Stage;
use crate::world::World;
use model::Moment;

/// What is counted of a service since the beginning, by its callers' sidecars.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Counts {
    /// Calls that began.
    pub(crate) calls: u64,
    /// Their attempts.
    pub(crate) attempts: u64,
    /// Attempts that failed or were given up.
    pub(crate) failed: u64,
    /// Calls that were refused.
    pub(crate) refused: u64,
}

/// What can be seen of an instance.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct InstanceSeen {
    /// Its handle, for [`World::stop`], [`World::kill`] and [`World::probe`].
    pub(crate) instance: u32,
    /// Its number within the service, for people.
    pub(crate) number: u32,
    pub(crate) stage: Stage,
    /// Whether its process is alive and its sidecar answers; an app that hangs is not its sidecar's.
    pub(crate) alive: bool,
    /// Whether it has not worked long enough to be warm.
    pub(crate) cold: bool,
    /// When it opened; never, before that.
    pub(crate) opened: Moment,
    /// When it last gave an answer below 500.
    pub(crate) served: Option<Moment>,
    /// Requests that it completed in the last 25 to 30 seconds, with or without success.
    pub(crate) completed: u32,
    /// Requests inside, with a thread or waiting for one.
    pub(crate) inside: u32,
    /// Core seconds that it has used for requests since it began, in the cores of the full scale.
    pub(crate) cpu: f64,
    /// Answers of 500 and above, and connections that it refused, since it began.
    pub(crate) failed: u32,
    pub(crate) refused: u32,
}

impl World {
    /// What can be seen of each instance of a service that is not gone, in the order of their beginnings.
    pub(crate) fn see(&mut self, service: u32) -> Vec<InstanceSeen> {
        let members = self.services[service as usize].members.clone();
        members.into_iter().map(|instance| self.see_instance(instance)).collect()
    }

    /// What can be seen of an instance.
    pub(crate) fn see_instance(&mut self, instance: u32) -> InstanceSeen {
        let now = self.agenda.now();
        let here = &mut self.instances[instance as usize];
        let layout = &self.layout.services[here.service as usize];
        let cores = self.scenario.services[here.service as usize].cores;
        InstanceSeen {
            instance,
            number: here.number,
            stage: here.stage,
            alive: here.stage != Stage::Gone,
            cold: here.is_cold(layout, now),
            opened: here.opened,
            served: here.served,
            completed: here.completions.lately(now),
            inside: here.inside(),
            cpu: here.cpu.used(layout.servers, now) as f64 / 1e9 / f64::from(layout.servers) * cores,
            failed: here.failed,
            refused: here.refused,
        }
    }
}
