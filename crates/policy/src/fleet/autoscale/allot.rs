//! Who gets the next instance while room is left, and who may warm up.

use super::demand::{Graph, Wish, sane};
use super::{Observed, Service, WarmUp};
use crate::fleet::{CompartmentKey, DependencyKey, Reason};
use model::fleet::{Autoscale, Resources, Signal};
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// A service in the queue for its next instance: the most important first, then the one with the smallest part of what it
/// needs, then the one that others wait for, then the first in the list.
#[derive(PartialEq)]
struct Turn {
    importance: u8,
    part: f64,
    depth: u8,
    service: usize,
}

impl Eq for Turn {}

impl Ord for Turn {
    fn cmp(&self, other: &Turn) -> Ordering {
        self.importance
            .cmp(&other.importance)
            .then(self.part.total_cmp(&other.part))
            .then(other.depth.cmp(&self.depth))
            .then(self.service.cmp(&other.service))
    }
}

impl PartialOrd for Turn {
    fn partial_cmp(&self, other: &Turn) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What is left to be given.
struct Left {
    rooms: Vec<(CompartmentKey, Resources)>,
    dependencies: Vec<(DependencyKey, f64)>,
}

impl Left {
    fn new(rule: &Autoscale, observed: &Observed<'_>) -> Left {
        let mut rooms: Vec<_> = observed.compartments.iter().map(|r| (r.compartment, r.free)).collect();
        rooms.sort_by_key(|(key, _)| *key);
        rooms.dedup_by_key(|(key, _)| *key);
        let mut dependencies = Vec::new();
        if let Some(share) = rule.headroom {
            dependencies.extend(
                observed
                    .dependencies
                    .iter()
                    .map(|d| (d.dependency, share.part() * sane(d.capacity) - sane(d.used))),
            );
            dependencies.sort_by_key(|(key, _)| *key);
            dependencies.dedup_by_key(|(key, _)| *key);
        }
        Left { rooms, dependencies }
    }

    fn room(&mut self, compartment: CompartmentKey) -> Option<&mut Resources> {
        let at = self.rooms.binary_search_by_key(&compartment, |(key, _)| *key).ok()?;
        Some(&mut self.rooms[at].1)
    }

    fn dependency(&mut self, dependency: DependencyKey) -> Option<&mut f64> {
        let at = self.dependencies.binary_search_by_key(&dependency, |(key, _)| *key).ok()?;
        Some(&mut self.dependencies[at].1)
    }
}

/// Cuts each wish down to what there is.
pub(super) fn bottleneck_first(
    rule: &Autoscale,
    observed: &Observed<'_>,
    graph: &Graph,
    wishes: &mut [Wish],
) {
    if wishes.iter().all(|w| w.to <= w.from) {
        return;
    }
    let services = observed.services;
    let ranks = ranks(services, graph);
    let limits: Vec<u32> = wishes.iter().map(|w| w.to).collect();
    let mut left = Left::new(rule, observed);
    for (i, service) in services.iter().enumerate() {
        commit(rule, service, graph.flow(i).potential, &mut left);
    }
    // A service that cannot get more, with the part of what it needs that it has.
    let mut stuck: Vec<Option<f64>> = vec![None; services.len()];
    let mut turns = BinaryHeap::new();
    for (i, wish) in wishes.iter_mut().enumerate() {
        if wish.wanted > wish.from {
            wish.to = wish.from;
            turns.push(Reverse(turn(ranks[i], i, wish)));
        }
    }
    let waits_for = waiting(services.len(), graph);
    while let Some(Reverse(Turn { part, service: i, .. })) = turns.pop() {
        let refusal = if wishes[i].to >= limits[i] {
            // Its own bound: the reason for that is known already.
            Some(wishes[i].reason)
        } else if waits_for[i].iter().any(|callee| stuck[*callee].is_some_and(|has| has <= part)) {
            Some(Reason::WaitingForCallee)
        } else {
            take(rule, &services[i], wishes[i].to, graph.flow(i).potential, &mut left).err()
        };
        match refusal {
            None => {
                wishes[i].to += 1;
                if wishes[i].to < wishes[i].wanted {
                    turns.push(Reverse(turn(ranks[i], i, &wishes[i])));
                }
            }
            Some(reason) => {
                stuck[i] = Some(part);
                wishes[i].reason = reason;
            }
        }
    }
}

fn turn((importance, depth): (u8, u8), service: usize, wish: &Wish) -> Turn {
    Turn { importance, depth, part: f64::from(wish.to) / f64::from(wish.wanted.max(1)), service }
}

/// A callee is as important as who spends its time waiting for it, and lies deeper.
fn ranks(services: &[Service<'_>], graph: &Graph) -> Vec<(u8, u8)> {
    let mut ranks: Vec<(u8, u8)> = services.iter().map(|s| (s.importance as u8, 0)).collect();
    // As deep as any chain of callers that wait; a cycle goes round as often.
    for _ in 0..8 {
        let before = ranks.clone();
        for edge in graph.edges().iter().filter(|e| e.waits) {
            let (importance, depth) = before[edge.caller];
            let callee = &mut ranks[edge.callee];
            *callee = (callee.0.min(importance), callee.1.max(depth + 1));
        }
        if ranks == before {
            break;
        }
    }
    ranks
}

/// For each service, the callees that its time is spent waiting for.
fn waiting(services: usize, graph: &Graph) -> Vec<Vec<usize>> {
    let mut callees = vec![Vec::new(); services];
    for edge in graph.edges().iter().filter(|e| e.waits) {
        callees[edge.caller].push(edge.callee);
    }
    callees
}

/// What instances that there are will take of the dependencies and do not yet: those that are not ready will serve what is
/// not served now, and warm up.
fn commit(rule: &Autoscale, service: &Service<'_>, potential: f64, left: &mut Left) {
    let (all, ready) = (service.instances(), service.ready);
    if all == ready {
        return;
    }
    let more = serves(rule, service, all, potential) - serves(rule, service, ready, potential);
    let coming = f64::from(all - ready);
    for uses in service.uses {
        if let Some(left) = left.dependency(uses.dependency) {
            let warm_up = if uses.waits { 0.0 } else { sane(uses.warm_up) * coming };
            *left -= more * sane(uses.per_call) + warm_up;
        }
    }
}

/// Takes what one more instance than `have` needs, if it is there.
fn take(
    rule: &Autoscale,
    service: &Service<'_>,
    have: u32,
    potential: f64,
    left: &mut Left,
) -> Result<(), Reason> {
    let room = left.room(service.compartment).filter(|room| room.holds(service.need));
    if room.is_none() {
        return Err(Reason::CompartmentFull);
    }
    let more = serves(rule, service, have + 1, potential) - serves(rule, service, have, potential);
    let load =
        |uses: &super::Uses| more * sane(uses.per_call) + if uses.waits { 0.0 } else { sane(uses.warm_up) };
    for uses in service.uses {
        let needs = load(uses);
        if needs > 0.0 && left.dependency(uses.dependency).is_some_and(|left| *left < needs) {
            return Err(Reason::DependencyHeadroom);
        }
    }
    for uses in service.uses {
        if let Some(left) = left.dependency(uses.dependency) {
            *left -= load(uses);
        }
    }
    if let Some(room) = left.room(service.compartment) {
        *room = room.minus(service.need);
    }
    Ok(())
}

/// Calls a second that so many instances serve when `potential` come.
fn serves(rule: &Autoscale, service: &Service<'_>, instances: u32, potential: f64) -> f64 {
    let Signal::Offered { target, .. } = rule.signal else { return 0.0 };
    let time = service.unloaded.as_secs_f64().max(1e-9);
    potential.min(f64::from(instances) * sane(service.per_instance) * target.part() / time)
}

/// See [`super::warm_ups`].
pub(super) fn warm_ups(rule: &Autoscale, observed: &Observed<'_>) -> Vec<WarmUp> {
    let mut left = Left::new(rule, observed);
    let waits = |s: &Service<'_>| s.uses.iter().any(|u| u.waits && sane(u.warm_up) > 0.0);
    let mut order: Vec<usize> =
        (0..observed.services.len()).filter(|i| waits(&observed.services[*i])).collect();
    order.sort_by_key(|i| (observed.services[*i].importance, *i));
    // Those that warm up already cannot be asked to stop.
    let mut busy: Vec<DependencyKey> = Vec::new();
    for service in observed.services {
        for uses in service.uses.iter().filter(|u| service.warming > 0 && sane(u.warm_up) > 0.0) {
            busy.push(uses.dependency);
            if let Some(left) = left.dependency(uses.dependency) {
                *left -= sane(uses.warm_up) * f64::from(service.warming);
            }
        }
    }
    busy.sort_unstable();
    order.into_iter().map(|i| tokens(&observed.services[i], &mut left, &mut busy)).collect()
}

/// How many of one service may warm up, taken from what is left.
fn tokens(service: &Service<'_>, left: &mut Left, busy: &mut Vec<DependencyKey>) -> WarmUp {
    let mut more = service.starting;
    for uses in service.uses.iter().filter(|u| sane(u.warm_up) > 0.0) {
        let Some(left) = left.dependency(uses.dependency) else { continue };
        // What is nearly whole is whole: 0.8 · 125 / 20 is 5.
        let fit = libm::floor(*left / sane(uses.warm_up) + 1e-9).max(0.0) as u32;
        // One that needs more than there is would never start; alone it may.
        let alone = *left > 0.0 && busy.binary_search(&uses.dependency).is_err();
        more = more.min(fit.max(u32::from(alone)));
    }
    for uses in service.uses.iter().filter(|u| more > 0 && sane(u.warm_up) > 0.0) {
        if let Some(left) = left.dependency(uses.dependency) {
            *left -= sane(uses.warm_up) * f64::from(more);
        }
        if let Err(at) = busy.binary_search(&uses.dependency) {
            busy.insert(at, uses.dependency);
        }
    }
    let reason = if more < service.starting { Reason::DependencyHeadroom } else { Reason::WarmUpToken };
    WarmUp { service: service.service, at_once: service.warming.saturating_add(more), reason }
}
