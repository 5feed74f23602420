//! What is missing is started where there is room; what is too much is stopped.

use super::importance;
use super::nodes::Seat;
use crate::report::Occurrence;
use crate::world::World;
use model::fleet::Resources;
use policy::fleet::placement::{self, Node, Placed, Running, Verdict, Want};
use policy::fleet::reservation::{Seen, Shortage, Shrink};
use policy::fleet::{CompartmentKey, InstanceKey, NodeKey, ServiceKey};
use std::collections::BTreeMap;

/// The machines as a plan sees them, with what runs on each.
pub(super) struct Board {
    nodes: Vec<(Node<'static>, Vec<Running>)>,
}

impl Board {
    pub(super) fn view(&self) -> Vec<Node<'_>> {
        self.nodes.iter().map(|(node, runs)| Node { runs, ..*node }).collect()
    }
}

/// An instance that was refused a place, and why.
struct Refused {
    want: Want,
    reason: &'static str,
}

impl World {
    /// Brings each service to the number that is wanted of it, as far as there is room.
    pub(super) fn reconcile(&mut self) {
        let mut wants = Vec::new();
        for service in 0..self.scenario.services.len() {
            let (wanted, present) = (self.fleet.orders[service].wanted, self.present(service).count() as u32);
            for _ in present..wanted {
                match self.want(service) {
                    Some(want) => wants.push(want),
                    None => {
                        self.begin_instance(service as u32);
                    }
                }
            }
            if present > wanted {
                self.stop_youngest(service, present - wanted);
            }
        }
        self.place(wants);
    }

    /// None where there is room without end.
    fn want(&self, service: usize) -> Option<Want> {
        let what = &self.scenario.services[service];
        Some(Want {
            service: ServiceKey(service as u32),
            importance: importance(what),
            compartment: CompartmentKey(what.compartment? as u32),
            need: self.fleet.orders[service].need,
            again: false,
        })
    }

    fn stop_youngest(&mut self, service: usize, count: u32) {
        let youngest: Vec<u32> = self.present(service).rev().take(count as usize).collect();
        let why = self.fleet.orders[service].fewer;
        youngest.into_iter().for_each(|instance| self.stop(instance, why));
    }

    fn place(&mut self, wants: Vec<Want>) {
        let short = if wants.is_empty() { Vec::new() } else { self.place_once(&wants) };
        let short = self.reclaim_and_place(short);
        self.check_room(&short);
        let mut missing: BTreeMap<usize, (u32, &'static str)> = BTreeMap::new();
        for Refused { want, reason } in short {
            missing.entry(want.service.0 as usize).or_insert((0, reason)).0 += 1;
        }
        for service in 0..self.scenario.services.len() {
            let (count, reason) = missing.get(&service).copied().unwrap_or((0, ""));
            self.tell_unplaced(service, count, reason);
        }
    }

    /// Shrinks reservations that are not used for those who were refused, and asks again, when others may give way.
    fn reclaim_and_place(&mut self, short: Vec<Refused>) -> Vec<Refused> {
        if short.is_empty() {
            return short;
        }
        if let Some(rule) = self.fleet.rule.reservation {
            let board = self.board();
            let now = self.agenda.now();
            let shrinks = self.fleet.known.reclaim(&rule, now, &shortages(&short), &board.view());
            self.shrink(shrinks);
        }
        let again: Vec<Want> = short.into_iter().map(|r| Want { again: true, ..r.want }).collect();
        self.place_once(&again)
    }

    /// Starts those of `wants` that find a place; the others.
    fn place_once(&mut self, wants: &[Want]) -> Vec<Refused> {
        let board = self.board();
        let placed = placement::plan(&self.fleet.rule.placement, &board.view(), wants);
        let mut short = Vec::new();
        for Placed { want, verdict, reason } in placed {
            let want = wants[want];
            match verdict {
                Verdict::Place { node } => {
                    if !self.start_on(node, &want) {
                        short.push(Refused { want, reason: policy::fleet::Reason::Fragmented.word() });
                    }
                }
                Verdict::Stop { instance, .. } => self.gives_way(instance.0, reason.word()),
                Verdict::Refuse { .. } => short.push(Refused { want, reason: reason.word() }),
            }
        }
        short
    }

    fn start_on(&mut self, node: NodeKey, want: &Want) -> bool {
        let seat = Seat { node: Some(node.0), reserved: want.need };
        if !self.fleet.nodes.has(seat) {
            return false;
        }
        let instance = self.begin_instance(want.service.0);
        self.fleet.nodes.sit(instance, want.service.0, seat)
    }

    /// An instance stops for a more important one. It gets nothing new and its place is taken at once: the newcomer needs
    /// longer to start than what is under way to end.
    fn gives_way(&mut self, instance: u32, reason: &'static str) {
        let service = self.instances[instance as usize].service as usize;
        let order = &mut self.fleet.orders[service];
        order.wanted = order.wanted.saturating_sub(1);
        self.fleet.nodes.leave(instance);
        self.stop(instance, reason);
    }

    /// Seats instances that have been there all along; those for whom there is no room.
    pub(super) fn seat_the_first(&mut self, instances: &[u32]) -> Vec<u32> {
        let service = |i: &u32| self.instances[*i as usize].service;
        let wants: Vec<(u32, Want)> =
            instances.iter().filter_map(|i| Some((*i, self.want(service(i) as usize)?))).collect();
        let board = self.board();
        let asked: Vec<Want> = wants.iter().map(|(_, want)| *want).collect();
        let mut homeless = Vec::new();
        for Placed { want, verdict, .. } in placement::plan(&self.fleet.rule.placement, &board.view(), &asked)
        {
            let (instance, want) = wants[want];
            let seat = |node: NodeKey| Seat { node: Some(node.0), reserved: want.need };
            let seated = matches!(verdict, Verdict::Place { node }
                if self.fleet.nodes.sit(instance, want.service.0, seat(node)));
            if !seated {
                homeless.push(instance);
            }
        }
        homeless
    }

    /// The machines that are there, with what runs on them.
    pub(super) fn board(&self) -> Board {
        let nodes = self.fleet.nodes.all();
        let mut runs: Vec<Vec<Running>> = vec![Vec::new(); nodes.len()];
        for service in 0..self.scenario.services.len() {
            let importance = importance(&self.scenario.services[service]);
            for instance in self.present(service) {
                let Some(Seat { node: Some(node), reserved }) = self.fleet.nodes.seat(instance) else {
                    continue;
                };
                runs[node as usize].push(Running {
                    instance: InstanceKey(instance),
                    service: ServiceKey(service as u32),
                    importance,
                    reserved,
                    used: self.used(service, instance),
                });
            }
        }
        let lends = |compartment: usize| {
            self.scenario.compartments.iter().any(|c| c.may_borrow_from.contains(&compartment))
        };
        let lends: Vec<bool> = (0..self.scenario.compartments.len()).map(lends).collect();
        let up = nodes.iter().zip(runs).enumerate().filter(|(_, (node, _))| node.up);
        let nodes = up.map(|(number, (node, runs))| {
            let (capacity, reserved) = (node.capacity, node.reserved);
            let (compartment, lends) = (CompartmentKey(node.compartment as u32), lends[node.compartment]);
            (Node { node: NodeKey(number as u32), compartment, capacity, reserved, lends, runs: &[] }, runs)
        });
        Board { nodes: nodes.collect() }
    }

    fn shrink(&mut self, shrinks: Vec<Shrink>) {
        let mut told: BTreeMap<u32, Shrink> = BTreeMap::new();
        for shrink in shrinks {
            if self.fleet.nodes.resize(shrink.instance.0, shrink.to) {
                told.entry(shrink.service.0).or_insert(shrink);
            }
        }
        for (service, shrink) in told {
            self.tell_resized(service, shrink.from, shrink.to, shrink.reason.word());
        }
    }

    fn tell_resized(&mut self, service: u32, from: Resources, to: Resources, reason: &'static str) {
        let cores = |r: Resources| r.millicores as f64 / 1000.0;
        let (service, from, to) = (service as usize, cores(from), cores(to));
        if from != to {
            self.record.log(self.agenda.now(), Occurrence::Resized { service, from, to, reason });
        }
    }

    /// Right-sizing: what is reserved for each instance of a service from now on.
    pub(super) fn resize(&mut self) {
        let Some(rule) = self.fleet.rule.reservation else { return };
        let seen: Vec<Seen> = (0..self.scenario.services.len()).map(|s| self.reservation_seen(s)).collect();
        let now = self.agenda.now();
        for reserve in self.fleet.known.plan(&rule, now, &seen) {
            let service = reserve.service.0 as usize;
            self.fleet.orders[service].need = reserve.to;
            let present: Vec<u32> = self.present(service).collect();
            for instance in present {
                self.fleet.nodes.resize(instance, reserve.to);
            }
            self.tell_resized(reserve.service.0, reserve.from, reserve.to, reserve.reason.word());
        }
    }

    fn reservation_seen(&self, service: usize) -> Seen {
        let used =
            self.present(service).map(|i| self.used(service, i)).fold(Resources::NONE, Resources::most);
        Seen {
            service: ServiceKey(service as u32),
            declared: super::declared(&self.scenario.services[service]),
            reserved: self.fleet.orders[service].need,
            used,
        }
    }

    /// A promise: who is not placed found no room.
    fn check_room(&mut self, short: &[Refused]) {
        let found =
            short.iter().find(|r| self.fleet.nodes.has_room(r.want.compartment.0 as usize, r.want.need));
        if let Some(Refused { want, .. }) = found {
            let name = &self.scenario.services[want.service.0 as usize].name;
            self.record.on_broken(format!("who is not placed found no room: {name}"));
        }
    }
}

fn shortages(short: &[Refused]) -> Vec<Shortage> {
    let mut counted: Vec<Shortage> = Vec::new();
    for Refused { want, .. } in short {
        let same = |s: &&mut Shortage| s.compartment == want.compartment && s.need == want.need;
        match counted.iter_mut().find(same) {
            Some(shortage) => shortage.count += 1,
            None => counted.push(Shortage { compartment: want.compartment, need: want.need, count: 1 }),
        }
    }
    counted
}
