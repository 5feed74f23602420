//! The autoscaler in the world: what it sees, and the numbers that it wants.

use super::sight::{Sight, seconds};
use super::{importance, nodes};
use crate::report::Occurrence;
use crate::service::Stage;
use crate::world::World;
use model::Share;
use model::fleet::{Autoscale, Order, Resources, Signal};
use policy::fleet::autoscale::{Calls, Dependency, Observed, Room, Scale, Service, Uses};
use policy::fleet::{CompartmentKey, DependencyKey, ServiceKey};
use std::collections::BTreeMap;
use std::time::Duration;

/// The compartment of those for whom there is room without end.
const ANYWHERE: CompartmentKey = CompartmentKey(u32::MAX);

/// That a service should have more instances than it gets is told again after this time.
const TOLD_AGAIN: Duration = Duration::from_secs(60);

impl World {
    /// Asks the autoscaler how many instances each service shall have.
    pub(super) fn scale(&mut self) {
        let now = self.agenda.now();
        if self.fleet.scaler.next_wakeup() > now {
            return;
        }
        let Some(rule) = self.fleet.rule.autoscale.clone() else { return };
        let links = self.seen_links(&rule);
        let services = self.seen_services(&links);
        let (dependencies, rooms) = (self.seen_dependencies(), self.rooms(&rule));
        let seen = Observed { services: &services, dependencies: &dependencies, compartments: &rooms };
        let mut scaler = std::mem::take(&mut self.fleet.scaler);
        let plan = scaler.plan(&rule, now, &seen);
        self.fleet.scaler = scaler;
        plan.into_iter().for_each(|scale| self.rescale(scale));
    }

    fn rescale(&mut self, Scale { service, from, to, wanted, reason }: Scale) {
        let now = self.agenda.now();
        let (service, reason) = (service.0 as usize, reason.word());
        let order = &mut self.fleet.orders[service];
        if to < order.wanted {
            order.fewer = reason;
        }
        // Who gets less than it should have is told of with each step, and once in a while between them.
        let held = wanted > to && order.told.is_none_or(|at| now.since(at) >= TOLD_AGAIN);
        if order.wanted != to || held {
            order.told = Some(now);
            self.record.log(now, Occurrence::Scaled { service, from, to, reason });
        }
        self.fleet.orders[service].wanted = to;
    }

    /// Whether the autoscaler has a service in its hands; the others are dependencies.
    fn is_scaled(&self, service: usize) -> bool {
        self.scenario.services[service].range.is_some()
    }

    /// Whom each service calls and what it uses, as seen lately.
    fn seen_links(&self, rule: &Autoscale) -> Vec<(Vec<Calls>, Vec<Uses>)> {
        let looks = matches!(rule.signal, Signal::Offered { .. });
        if !looks {
            return vec![(Vec::new(), Vec::new()); self.services.len()];
        }
        let (waiting, shares) = (self.waiting(), self.shares());
        let held = rule.headroom.is_some();
        (0..self.services.len()).map(|caller| self.links_of(caller, held, &waiting, &shares)).collect()
    }

    /// How much of the calls that each service gets comes of how it is built, all callers together.
    pub(super) fn shares(&self) -> Vec<f64> {
        let mut shares = vec![0.0; self.services.len()];
        for (caller, calls) in self.fleet.links.calls.iter().enumerate() {
            for (callee, times) in calls {
                shares[*callee] += times * self.fleet.sights[caller].few.calls;
            }
        }
        shares
    }

    fn links_of(
        &self,
        caller: usize,
        held: bool,
        waiting: &BTreeMap<(usize, usize), u32>,
        shares: &[f64],
    ) -> (Vec<Calls>, Vec<Uses>) {
        let (mut calls, mut uses) = (Vec::new(), Vec::new());
        let links = &self.fleet.links;
        let warm_ups = &links.warm_ups[caller];
        let mut callees: Vec<usize> = links.calls[caller].keys().chain(warm_ups.keys()).copied().collect();
        callees.sort_unstable();
        callees.dedup();
        for callee in callees {
            let times = links.calls[caller].get(&callee).copied().unwrap_or(0.0);
            let seen = &self.fleet.sights[callee];
            // What is built is an average over routes; what is seen is right, and is shared out by what is built.
            let per_call = if shares[callee] > 0.0 { times * seen.few.calls / shares[callee] } else { times };
            if self.is_scaled(callee) {
                let waiting = f64::from(waiting.get(&(caller, callee)).copied().unwrap_or(0));
                calls.push(Calls { callee: ServiceKey(callee as u32), per_call, waiting });
            } else {
                uses.push(Uses {
                    dependency: DependencyKey(callee as u32),
                    per_call: per_call * seen.work,
                    warm_up: warm_ups.get(&callee).copied().unwrap_or(0.0),
                    waits: held,
                });
            }
        }
        (calls, uses)
    }

    fn seen_services<'l>(&mut self, links: &'l [(Vec<Calls>, Vec<Uses>)]) -> Vec<Service<'l>> {
        let scaled: Vec<usize> = (0..self.services.len()).filter(|s| self.is_scaled(*s)).collect();
        scaled.into_iter().map(|service| self.seen_service(service, &links[service])).collect()
    }

    fn seen_service<'l>(&mut self, service: usize, links: &'l (Vec<Calls>, Vec<Uses>)) -> Service<'l> {
        let (warming, ready) = self.warming_and_ready(service);
        let cpu = self.cpu_share(service);
        let what = &self.scenario.services[service];
        let order = &self.fleet.orders[service];
        let sight: &Sight = &self.fleet.sights[service];
        let (at_least, at_most) = what.range.unwrap_or((order.wanted, order.wanted));
        let part = |some: f64, all: f64| {
            let part = if all > 0.0 { some / all } else { 0.0 };
            Share::new(part.clamp(0.0, 1.0)).unwrap_or(Share::NONE)
        };
        Service {
            importance: importance(what),
            compartment: what.compartment.map_or(ANYWHERE, |c| CompartmentKey(c as u32)),
            need: order.need,
            at_least,
            at_most,
            starting: order.wanted.saturating_sub(warming + ready),
            warming,
            ready,
            arrivals: sight.few.calls,
            in_flight: sight.few.inside,
            queued: 0.0,
            unloaded: seconds(sight.unloaded),
            per_instance: sight.per_instance(what.cores, f64::from(what.threads)),
            shed: part(sight.few.refused, sight.few.calls),
            errors: part(sight.few.failed, sight.few.attempts),
            cpu,
            calls: &links.0,
            uses: &links.1,
            ..Service::new(ServiceKey(service as u32))
        }
    }

    fn warming_and_ready(&mut self, service: usize) -> (u32, u32) {
        let open: Vec<_> = self.see(service as u32).into_iter().filter(|s| s.stage == Stage::Open).collect();
        let cold = open.iter().filter(|s| s.cold).count() as u32;
        (cold, open.len() as u32 - cold)
    }

    /// Processor time used, as a share of what is reserved. What is reserved beyond what an instance can use at all does
    /// not count: an autoscaler that looks at it would never act.
    fn cpu_share(&self, service: usize) -> f64 {
        let what = &self.scenario.services[service];
        let most = nodes::resources(what.cores, what.memory_mib).millicores;
        let (mut used, mut reserved) = (0, 0);
        for &instance in &self.services[service].open {
            let seat = self.fleet.nodes.seat(instance).map_or(most, |s| s.reserved.millicores);
            used += self.used(service, instance).millicores;
            reserved += seat.min(most);
        }
        if reserved == 0 { 0.0 } else { used as f64 / reserved as f64 }
    }

    /// Services that nobody scales, in cores.
    fn seen_dependencies(&self) -> Vec<Dependency> {
        let shares = self.shares();
        let unscaled = (0..self.services.len()).filter(|s| !self.is_scaled(*s));
        unscaled.map(|service| self.dependency(service, shares[service])).collect()
    }

    /// What is left of each compartment, with what could be reclaimed.
    fn rooms(&self, rule: &Autoscale) -> Vec<Room> {
        if rule.order == Order::Alone {
            return Vec::new();
        }
        let mut free: Vec<Resources> = vec![Resources::NONE; self.scenario.compartments.len()];
        for node in self.fleet.nodes.all() {
            free[node.compartment] = free[node.compartment].plus(node.room());
        }
        if let Some(reservation) = self.fleet.rule.reservation {
            let board = self.board();
            let now = self.agenda.now();
            for (compartment, more) in self.fleet.known.reclaimable(&reservation, now, &board.view()) {
                let free = &mut free[compartment.0 as usize];
                *free = free.plus(more);
            }
        }
        let room = |(i, free)| Room { compartment: CompartmentKey(i as u32), free };
        let anywhere = Room { compartment: ANYWHERE, free: Resources::new(u64::MAX, u64::MAX) };
        free.into_iter().enumerate().map(room).chain([anywhere]).collect()
    }
}
