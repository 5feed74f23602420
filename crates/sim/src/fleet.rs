//! The fleet in the world: observe → plan → act, once a second, with the plans that ship.
//!
//! `nodes` (machines and what is reserved on them), `sight` (what can be seen of services), `scale` (how many
//! instances), `gate` (when they warm up), `place` (where they run, what is reclaimed, who gives way), `watch` (who is killed). A number of instances
//! is wanted of each service; what is missing is started where there is room, again and again until there is, whoever
//! died and why. People's orders change the number, as the autoscaler does.

mod gate;
mod nodes;
mod place;
mod scale;
mod sight;
mod watch;

#[cfg(test)]
mod tests;

use crate::checks;
use crate::report::{Occurrence, Report};
use crate::service::Stage;
use crate::world::World;
use model::fleet;
use model::scenario::{Deed, Scenario};
use model::{Importance, Moment, Share};
use nodes::{Nodes, declared};
use policy::fleet::autoscale::Autoscaler;
use policy::fleet::reservation::Reservations;
use sight::Sight;

/// What the fleet knows and has decided.
#[derive(Debug)]
pub(crate) struct Fleet {
    rule: fleet::Fleet,
    nodes: Nodes,
    /// By instance, as the world counts them.
    tenants: Vec<Tenant>,
    /// By service.
    orders: Vec<Order>,
    sights: Vec<Sight>,
    links: sight::Links,
    watches: watch::Watches,
    scaler: Autoscaler,
    gate: gate::Gate,
    known: Reservations,
}

/// What shall be of a service.
#[derive(Clone, Copy, Debug)]
struct Order {
    /// So many instances.
    wanted: u32,
    /// So much for each new one.
    need: fleet::Resources,
    /// So many of the wanted have no place.
    unplaced: u32,
    /// Why the number became smaller the last time.
    fewer: &'static str,
    /// When the log last said how many it shall have.
    told: Option<Moment>,
}

/// An instance in the fleet's books.
#[derive(Clone, Copy, Debug, Default)]
struct Tenant {
    /// When its start began.
    began: Moment,
    /// Core seconds until the last second.
    cpu: f64,
    /// Cores that it uses, over the last few seconds.
    used: f64,
}

/// Who stops first where there is no room.
fn importance(service: &model::scenario::Service) -> Importance {
    if service.critical { Importance::Critical } else { Importance::BestEffort }
}

impl Fleet {
    pub(crate) fn new(scenario: &Scenario, rule: fleet::Fleet) -> Fleet {
        let order = |service: &model::scenario::Service| Order {
            wanted: service.instances,
            need: declared(service),
            unplaced: 0,
            fewer: "operator",
            told: None,
        };
        Fleet {
            rule,
            nodes: Nodes::new(&scenario.compartments),
            tenants: Vec::new(),
            orders: scenario.services.iter().map(order).collect(),
            sights: vec![Sight::default(); scenario.services.len()],
            links: sight::Links::new(scenario),
            watches: watch::Watches::default(),
            scaler: Autoscaler::default(),
            gate: gate::Gate::default(),
            known: Reservations::default(),
        }
    }

    /// Instances of a service that are wanted and have no place.
    pub(crate) fn unplaced(&self, service: usize) -> u32 {
        self.orders[service].unplaced
    }

    /// The share of a compartment's cores that is reserved.
    pub(crate) fn reserved(&self, compartment: usize) -> f64 {
        self.nodes.reserved(compartment)
    }

    /// Cores of a compartment that are there.
    pub(crate) fn cores(&self, compartment: usize) -> f64 {
        self.nodes.of(compartment).map(|n| n.capacity.millicores).sum::<u64>() as f64 / 1000.0
    }

    /// The watchdog's rule for what it may kill at most: `report` shows whether it was kept.
    pub(crate) fn check_kills(&self, report: &Report) -> Option<String> {
        let budget = self.rule.watchdog?.budget?;
        let instances = |service: usize, at: Moment| {
            let second = (at.as_nanos() / 1_000_000_000).saturating_sub(1) as usize;
            let of = |name: &str| {
                let series = report.series.get(&format!("{}.{name}", report.services[service]))?;
                series.get(second).copied()
            };
            // Without series nothing can be said.
            of("ready").zip(of("cold")).map_or(f64::INFINITY, |(ready, cold)| f64::from(ready + cold))
        };
        checks::kills_within(&report.log, budget.per, |service, at| {
            let share = (budget.share.part() * instances(service, at)) as u32;
            share.max(budget.at_least)
        })
    }

    fn tenant(&mut self, instance: u32) -> &mut Tenant {
        let instance = instance as usize;
        if self.tenants.len() <= instance {
            self.tenants.resize(instance + 1, Tenant::default());
        }
        &mut self.tenants[instance]
    }
}

impl World {
    /// The world begins: the instances that have been there all along have their places. Those for whom there is none
    /// are not there.
    pub(crate) fn fleet_begins(&mut self) {
        let all: Vec<u32> = self.services.iter().flat_map(|s| &s.members).copied().collect();
        for instance in self.seat_the_first(&all) {
            self.kill(instance);
        }
        self.reconcile();
    }

    /// A second is over.
    pub(crate) fn fleet_second(&mut self) {
        self.observe();
        self.watch();
        self.scale();
        self.resize();
        self.reconcile();
        self.warm_up();
    }

    /// A probe was answered, or refused, or its instance died.
    pub(crate) fn fleet_probed(&mut self, number: u32, well: bool) {
        self.probed(number, well);
    }

    /// An instance of a service died by itself: its place is free, and another is started.
    pub(crate) fn fleet_lost(&mut self, _service: u32, _instance: u32) {
        self.reconcile();
    }

    /// An instance is gone.
    pub(crate) fn fleet_freed(&mut self, instance: u32) {
        self.fleet.nodes.leave(instance);
        self.fleet.watches.forget(instance);
    }

    /// Machines of a compartment are gone.
    pub(crate) fn fleet_loses_nodes(&mut self, compartment: usize, nodes: u32) {
        for instance in self.fleet.nodes.lose(compartment, nodes) {
            self.kill(instance);
        }
        self.reconcile();
    }

    /// People give an order.
    pub(crate) fn fleet_ordered(&mut self, deed: &Deed) {
        match *deed {
            Deed::Scale(service, by) => {
                let order = &mut self.fleet.orders[service];
                order.wanted = order.wanted.saturating_add_signed(by);
                order.fewer = "operator";
            }
            Deed::AddNodes(compartment, nodes) => {
                self.fleet.nodes.add(compartment, &self.scenario.compartments[compartment], nodes);
            }
            Deed::StopNonCritical(compartment, share) => self.stop_non_critical(compartment, share),
        }
        self.reconcile();
    }

    fn stop_non_critical(&mut self, compartment: usize, share: Share) {
        for (service, order) in self.scenario.services.iter().zip(&mut self.fleet.orders) {
            if !service.critical && service.compartment == Some(compartment) {
                let stop = (f64::from(order.wanted) * share.part()).ceil() as u32;
                order.wanted = order.wanted.saturating_sub(stop);
                order.fewer = "operator";
            }
        }
    }

    /// Instances of a service that start or are open.
    fn present(&self, service: usize) -> impl DoubleEndedIterator<Item = u32> + '_ {
        let here = |i: &u32| matches!(self.instances[*i as usize].stage, Stage::Starting | Stage::Open);
        self.services[service].members.iter().copied().filter(here)
    }

    /// Starts an instance that has a place.
    fn begin_instance(&mut self, service: u32) -> u32 {
        let instance = self.start(service);
        self.fleet.tenant(instance).began = self.agenda.now();
        instance
    }

    fn tell_unplaced(&mut self, service: usize, count: u32, reason: &'static str) {
        let before = std::mem::replace(&mut self.fleet.orders[service].unplaced, count);
        if count > before {
            let now = self.agenda.now();
            self.record.log(now, Occurrence::Unplaced { service, count: count - before, reason });
        }
    }
}
