//! Machines, and what of them is reserved for whom.

use model::fleet::Resources;
use model::scenario::{Compartment, Service};
use std::collections::BTreeMap;

/// Thousandths of so many cores, and so many MiB in bytes.
pub(super) fn resources(cores: f64, memory_mib: f64) -> Resources {
    // A cast of what is below zero, or no number, gives zero.
    Resources::new((cores * 1000.0).round() as u64, (memory_mib * 1_048_576.0).round() as u64)
}

/// What an instance of `service` declares.
pub(super) fn declared(service: &Service) -> Resources {
    resources(service.declared_cores, service.memory_mib)
}

/// A machine.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) compartment: usize,
    pub(crate) capacity: Resources,
    pub(crate) reserved: Resources,
    /// Whether it is there.
    pub(crate) up: bool,
    /// Its instances of each service.
    pub(crate) instances: BTreeMap<u32, u32>,
}

impl Node {
    /// What is free for reservations.
    pub(crate) fn room(&self) -> Resources {
        if self.up { self.capacity.minus(self.reserved) } else { Resources::NONE }
    }
}

/// Where an instance sits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Seat {
    /// Its machine; none where there is room without end.
    pub(crate) node: Option<u32>,
    /// What is reserved for it.
    pub(crate) reserved: Resources,
}

/// All machines, and the seats of all instances.
#[derive(Debug, Default)]
pub(crate) struct Nodes {
    nodes: Vec<Node>,
    /// By instance, as the world counts them.
    seats: BTreeMap<u32, (u32, Seat)>,
}

impl Nodes {
    pub(super) fn new(compartments: &[Compartment]) -> Nodes {
        let mut nodes = Nodes::default();
        for (number, compartment) in compartments.iter().enumerate() {
            nodes.add(number, compartment, compartment.nodes);
        }
        nodes
    }

    /// Adds machines to a compartment.
    pub(super) fn add(&mut self, number: usize, compartment: &Compartment, count: u32) {
        let node = Node {
            compartment: number,
            capacity: resources(compartment.cores, compartment.memory_mib),
            reserved: Resources::NONE,
            up: true,
            instances: BTreeMap::new(),
        };
        self.nodes.extend(std::iter::repeat_n(node, count as usize));
    }

    /// Machines of a compartment that are there are gone, the last first; with whom they carried.
    pub(super) fn lose(&mut self, compartment: usize, count: u32) -> Vec<u32> {
        let lost: Vec<u32> = (0..self.nodes.len() as u32)
            .rev()
            .filter(|n| self.nodes[*n as usize].compartment == compartment && self.nodes[*n as usize].up)
            .take(count as usize)
            .collect();
        lost.iter().for_each(|n| self.nodes[*n as usize].up = false);
        let carried = |seat: &Seat| seat.node.is_some_and(|n| lost.contains(&n));
        self.seats.iter().filter(|(_, (_, seat))| carried(seat)).map(|(instance, _)| *instance).collect()
    }

    pub(super) fn all(&self) -> &[Node] {
        &self.nodes
    }

    pub(super) fn seat(&self, instance: u32) -> Option<Seat> {
        self.seats.get(&instance).map(|(_, seat)| *seat)
    }

    /// Whether there is room for this seat.
    pub(super) fn has(&self, seat: Seat) -> bool {
        seat.node.is_none_or(|node| self.nodes[node as usize].room().holds(seat.reserved))
    }

    /// Seats an instance of `service`, if there is room for it there.
    #[must_use]
    pub(super) fn sit(&mut self, instance: u32, service: u32, seat: Seat) -> bool {
        if let Some(node) = seat.node {
            let node = &mut self.nodes[node as usize];
            if !node.room().holds(seat.reserved) {
                return false;
            }
            node.reserved = node.reserved.plus(seat.reserved);
            *node.instances.entry(service).or_default() += 1;
        }
        self.seats.insert(instance, (service, seat));
        true
    }

    /// An instance is gone, and what was reserved for it is free.
    pub(super) fn leave(&mut self, instance: u32) {
        let Some((service, Seat { node: Some(node), reserved })) = self.seats.remove(&instance) else {
            return;
        };
        let node = &mut self.nodes[node as usize];
        node.reserved = node.reserved.minus(reserved);
        if let Some(count) = node.instances.get_mut(&service) {
            *count -= 1;
            if *count == 0 {
                node.instances.remove(&service);
            }
        }
    }

    /// Reserves another amount for an instance, or as much of it as its machine has.
    pub(super) fn resize(&mut self, instance: u32, to: Resources) -> bool {
        let Some((_, seat)) = self.seats.get_mut(&instance) else { return false };
        if let Some(node) = seat.node {
            let node = &mut self.nodes[node as usize];
            let without = node.reserved.minus(seat.reserved);
            if !node.capacity.holds(without.plus(to)) {
                return false;
            }
            node.reserved = without.plus(to);
        }
        seat.reserved = to;
        true
    }

    /// The machines of a compartment that are there.
    pub(super) fn of(&self, compartment: usize) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(move |n| n.compartment == compartment && n.up)
    }

    /// The share of a compartment's cores that is reserved.
    pub(super) fn reserved(&self, compartment: usize) -> f64 {
        let sum =
            |of: fn(&Node) -> Resources| self.of(compartment).map(of).map(|r| r.millicores).sum::<u64>();
        let (reserved, capacity) = (sum(|n| n.reserved), sum(|n| n.capacity));
        if capacity == 0 { 0.0 } else { reserved as f64 / capacity as f64 }
    }

    /// Whether `need` would find room on a machine of a compartment.
    pub(super) fn has_room(&self, compartment: usize, need: Resources) -> bool {
        self.of(compartment).any(|n| n.room().holds(need))
    }
}
