//! Instances that are to warm up take turns, so that what they read from keeps its headroom: the tokens of
//! [`policy::fleet::autoscale::warm_ups`], handed out once a second to those that have waited the longest.

use super::importance;
use crate::report::Occurrence;
use crate::service::Stage;
use crate::world::World;
use model::Share;
use policy::fleet::autoscale::{Dependency, Observed, Service, Uses, warm_ups};
use policy::fleet::{DependencyKey, ServiceKey};

/// A mean of the last few seconds has forgotten a warm-up after so many of them.
const FORGOTTEN: u32 = 15;

/// Who waits for its turn, who has it, and what is used besides.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// In the order of their coming.
    waiting: Vec<u32>,
    warming: Vec<u32>,
    /// By service that is called in warm-ups.
    usual: Vec<Usual>,
}

/// What a service does for instances that are warm.
#[derive(Clone, Copy, Debug, Default)]
struct Usual {
    /// So many seconds until what is seen of it says nothing of warm-ups any more.
    busy: u32,
    /// Cores, when it was not busy with warm-ups the last time …
    cpu: f64,
    /// … and the calls a second that its callers' requests made of it then.
    calls: f64,
}

impl World {
    /// Whether an instance whose process is there may warm up at once; otherwise it is told when.
    pub(crate) fn fleet_lets_warm_up(&mut self, instance: u32) -> bool {
        let service = self.instances[instance as usize].service as usize;
        if self.headroom().is_none() || self.fleet.links.warm_ups[service].is_empty() {
            return true;
        }
        self.fleet.gate.waiting.push(instance);
        false
    }

    fn headroom(&self) -> Option<Share> {
        self.fleet.rule.autoscale.as_ref()?.headroom
    }

    /// Looks at who warms up, and lets in as many as there are tokens.
    pub(super) fn warm_up(&mut self) {
        if self.headroom().is_none() || self.fleet.links.warm_ups.iter().all(|w| w.is_empty()) {
            return;
        }
        let mut gate = std::mem::take(&mut self.fleet.gate);
        let starts = |i: &u32| self.instances[*i as usize].stage == Stage::Starting;
        gate.waiting.retain(starts);
        gate.warming.retain(starts);
        self.learn_usual(&mut gate);
        self.fleet.gate = gate;
        if !self.fleet.gate.waiting.is_empty() {
            self.hand_out();
        }
    }

    fn learn_usual(&self, gate: &mut Gate) {
        gate.usual.resize(self.services.len(), Usual::default());
        let shares = self.shares();
        for (service, usual) in gate.usual.iter_mut().enumerate() {
            let reads = |i: &u32| self.fleet.links.warm_ups[self.service_of(*i)].contains_key(&service);
            let warms = gate.warming.iter().any(reads);
            usual.busy = if warms { FORGOTTEN } else { usual.busy.saturating_sub(1) };
            if usual.busy == 0 {
                (usual.cpu, usual.calls) = (self.fleet.sights[service].few.cpu, shares[service]);
            }
        }
    }

    /// Cores that a service uses for instances that are warm: what it used before warm-ups began, and more as its callers
    /// get more to do.
    pub(super) fn used_by_the_warm(&self, service: usize, calls: f64) -> f64 {
        let seen = self.fleet.sights[service].few.cpu;
        match self.fleet.gate.usual.get(service) {
            Some(usual) if usual.busy > 0 => {
                let grown = if usual.calls > 0.0 { calls / usual.calls } else { 1.0 };
                (usual.cpu * grown.max(1.0)).min(seen.max(usual.cpu))
            }
            _ => seen,
        }
    }

    fn hand_out(&mut self) {
        let Some(rule) = self.fleet.rule.autoscale.clone() else { return };
        let uses: Vec<Vec<Uses>> =
            self.fleet.links.warm_ups.iter().map(|w| w.iter().map(warms).collect()).collect();
        let services: Vec<Service<'_>> = (0..self.services.len())
            .filter(|s| !uses[*s].is_empty())
            .map(|s| Service {
                importance: importance(&self.scenario.services[s]),
                starting: self.of_service(&self.fleet.gate.waiting, s),
                warming: self.of_service(&self.fleet.gate.warming, s),
                uses: &uses[s],
                ..Service::new(ServiceKey(s as u32))
            })
            .collect();
        let shares = self.shares();
        let dependencies: Vec<Dependency> =
            (0..self.services.len()).map(|s| self.dependency(s, shares[s])).collect();
        let seen = Observed { services: &services, dependencies: &dependencies, compartments: &[] };
        for token in warm_ups(&rule, &seen) {
            self.let_in(token.service.0 as usize, token.at_once, token.reason.word());
        }
    }

    /// What there is of a service for those that call it, in cores.
    pub(super) fn dependency(&self, service: usize, calls: f64) -> Dependency {
        let what = &self.scenario.services[service];
        let each = what.cores.min(f64::from(what.threads));
        let capacity = self.services[service].open.len() as f64 * each;
        let used = self.used_by_the_warm(service, calls);
        Dependency { dependency: DependencyKey(service as u32), capacity, used }
    }

    fn let_in(&mut self, service: usize, at_once: u32, reason: &'static str) {
        let more = at_once.saturating_sub(self.of_service(&self.fleet.gate.warming, service));
        let waiting = std::mem::take(&mut self.fleet.gate.waiting);
        let (mut turn, mut stay) = (Vec::new(), Vec::new());
        for instance in waiting {
            let now = self.service_of(instance) == service && (turn.len() as u32) < more;
            if now { turn.push(instance) } else { stay.push(instance) }
        }
        self.fleet.gate.waiting = stay;
        if !turn.is_empty() {
            let waiting = self.of_service(&self.fleet.gate.waiting, service);
            let what = Occurrence::WarmUps { service, begin: turn.len() as u32, waiting, reason };
            self.record.log(self.agenda.now(), what);
        }
        for instance in turn {
            self.fleet.gate.warming.push(instance);
            self.begin_warm_up(instance);
        }
    }

    fn of_service(&self, instances: &[u32], service: usize) -> u32 {
        instances.iter().filter(|i| self.service_of(**i) == service).count() as u32
    }

    fn service_of(&self, instance: u32) -> usize {
        self.instances[instance as usize].service as usize
    }
}

fn warms((service, cores): (&usize, &f64)) -> Uses {
    Uses { dependency: DependencyKey(*service as u32), per_call: 0.0, warm_up: *cores, waits: true }
}
