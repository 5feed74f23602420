//! **An instance goes where what it reserves fits; when nothing fits, less important ones give way.**
//!
//! Processor and memory are two numbers that must both fit. The most important goes first, each onto the node that is
//! left with the least (best fit: the large instance that comes later finds a place) or that has the fewest of its
//! service (spread). When its own compartment is full:
//!
//! | step | when |
//! |---|---|
//! | it *borrows* from a compartment that lends and keeps a fifth of itself free | at once |
//! | it is *refused*, with what is stranded there (reserved and not used) and by whom most | nothing to borrow |
//! | what is stranded is reclaimed ([`Reservations::reclaim`](super::reservation::Reservations::reclaim)) | the driver asks for it |
//! | best-effort and bulk instances *give way* | it is asked for [`again`](Want::again) and still does not fit |
//!
//! ```
//! # use policy::fleet::{placement::*, *}; use model::{Importance, fleet::{Placement, Resources}};
//! let gib = 1 << 30;
//! let node = |key, reserved| Node {
//!     node: NodeKey(key), compartment: CompartmentKey(0), capacity: Resources::new(32_000, 64 * gib), lends: false,
//!     reserved: Resources::new(reserved, 8 * gib), runs: &[],
//! };
//! let want = |cores: u64| Want {
//!     service: ServiceKey(1), importance: Importance::Critical, compartment: CompartmentKey(0),
//!     need: Resources::new(cores * 1000, 4 * gib), again: false,
//! };
//! let plan = plan(&Placement::default(), &[node(0, 10_000), node(1, 20_000)], &[want(10), want(20), want(8)]);
//! assert_eq!(plan[0].verdict, Verdict::Place { node: NodeKey(1) }); // 2 cores are left there, 12 would be on the other
//! assert_eq!(plan[1].verdict, Verdict::Place { node: NodeKey(0) });
//! assert_eq!(plan[2].reason, Reason::CompartmentFull);
//! ```
//!
//! Source: best fit and vectors as in Borg (EuroSys 2015); the post-mortem of 2018-07-18 for what is stranded and for
//! non-critical services that were stopped by hand.

use super::{CompartmentKey, InstanceKey, NodeKey, Reason, ServiceKey};
use model::Importance;
use model::fleet::{Fit, Placement, Resources};
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::ops::Range;

/// A node as its agent reports it.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    /// Which it is.
    pub node: NodeKey,
    /// Where it belongs.
    pub compartment: CompartmentKey,
    /// What it has.
    pub capacity: Resources,
    /// What is reserved on it, for what runs and for what has been placed.
    pub reserved: Resources,
    /// Whether its compartment lends to others.
    pub lends: bool,
    /// What runs on it.
    pub runs: &'a [Running],
}

/// An instance on a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Running {
    /// Which it is.
    pub instance: InstanceKey,
    /// Of which service.
    pub service: ServiceKey,
    /// How important that is.
    pub importance: Importance,
    /// What is reserved for it.
    pub reserved: Resources,
    /// What it uses, over the last few seconds.
    pub used: Resources,
}

/// An instance that wants a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Want {
    /// Of which service.
    pub service: ServiceKey,
    /// How important that is.
    pub importance: Importance,
    /// Where it belongs.
    pub compartment: CompartmentKey,
    /// What is reserved for it.
    pub need: Resources,
    /// Whether it was refused before, and what can be reclaimed has been: now others may give way.
    pub again: bool,
}

/// What becomes of a want.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is placed there.
    Place {
        /// Where.
        node: NodeKey,
    },
    /// This instance stops to make room for it; the place follows in the list. The place can be taken when it has
    /// stopped.
    Stop {
        /// Who stops.
        instance: InstanceKey,
        /// Where it is.
        node: NodeKey,
    },
    /// It is not placed.
    Refuse {
        /// What is reserved in its compartment and not used.
        stranded: Resources,
        /// Whose instances strand the most processor time; none: nobody's.
        by: Option<ServiceKey>,
    },
}

/// What becomes of one want, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Placed {
    /// Its position in the list of wants.
    pub want: usize,
    /// What becomes of it.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
}

/// Where each of `wants` goes, most important first. Each want has exactly one place or refusal.
pub fn plan(rule: &Placement, nodes: &[Node<'_>], wants: &[Want]) -> Vec<Placed> {
    let mut board = Board::new(nodes, rule.fit);
    let mut order: Vec<usize> = (0..wants.len()).collect();
    order.sort_by_key(|i| wants[*i].importance);
    let mut placed = Vec::with_capacity(wants.len());
    for want in order {
        board.settle(rule, want, &wants[want], &mut placed);
    }
    placed
}

/// The nodes while a plan is made.
struct Board<'a> {
    nodes: &'a [Node<'a>],
    fit: Fit,
    /// Positions of nodes, by compartment.
    by_pool: Vec<usize>,
    pools: Vec<Pool>,
    /// What is reserved on each, which may be more than it has.
    reserved: Vec<Resources>,
    /// Services of instances that this plan put on a node.
    given: Vec<Vec<ServiceKey>>,
    stopped: BTreeSet<InstanceKey>,
    /// How many instances of one service each node has: of the service that was looked at last.
    mates: (Option<ServiceKey>, Vec<u32>),
}

/// A compartment.
struct Pool {
    key: CompartmentKey,
    nodes: Range<usize>,
    capacity: Resources,
    free: Resources,
    lends: bool,
    /// Needs for which no place was found, so that a thousand of the same kind are not looked for one by one.
    full_for: Vec<Resources>,
    stuck_for: Vec<(Importance, Resources)>,
    stranded: Option<(Resources, Option<ServiceKey>)>,
}

impl<'a> Board<'a> {
    fn new(nodes: &'a [Node<'a>], fit: Fit) -> Board<'a> {
        let reserved: Vec<_> = nodes.iter().map(|n| n.reserved).collect();
        let mut by_pool: Vec<usize> = (0..nodes.len()).collect();
        by_pool.sort_by_key(|i| (nodes[*i].compartment, *i));
        let mut pools: Vec<Pool> = Vec::new();
        for (at, node) in by_pool.iter().enumerate() {
            let key = nodes[*node].compartment;
            if pools.last().is_none_or(|pool| pool.key != key) {
                pools.push(Pool::new(key, at));
            }
            let Some(pool) = pools.last_mut() else { continue };
            pool.nodes.end = at + 1;
            pool.capacity = pool.capacity.plus(nodes[*node].capacity);
            pool.free = pool.free.plus(nodes[*node].capacity.minus(reserved[*node]));
            pool.lends |= nodes[*node].lends;
        }
        let given = vec![Vec::new(); nodes.len()];
        Board {
            nodes,
            fit,
            by_pool,
            pools,
            reserved,
            given,
            stopped: BTreeSet::new(),
            mates: (None, Vec::new()),
        }
    }

    /// Finds a place for one, or says why there is none.
    fn settle(&mut self, rule: &Placement, index: usize, want: &Want, placed: &mut Vec<Placed>) {
        let own = self.pools.binary_search_by_key(&want.compartment, |p| p.key).ok();
        let mut place = |board: &mut Board<'_>, pool: usize, node: usize, reason| {
            board.take(pool, node, want);
            let verdict = Verdict::Place { node: board.nodes[node].node };
            placed.push(Placed { want: index, verdict, reason });
        };
        if let Some(pool) = own
            && let Some(node) = self.find(pool, want)
        {
            let reason = if self.fit == Fit::Best { Reason::BestFit } else { Reason::MostSpread };
            return place(self, pool, node, reason);
        }
        if let Some(keep) = rule.borrow {
            for pool in 0..self.pools.len() {
                if Some(pool) != own
                    && self.pools[pool].spares(want.need, keep.part())
                    && let Some(node) = self.find(pool, want)
                {
                    return place(self, pool, node, Reason::Borrowed);
                }
            }
        }
        let reason = Reason::GivesWay;
        if let Some(pool) = own.filter(|_| want.again)
            && let Some(class) = rule.gives_way
            && let Some((node, victims)) = self.who_stops(pool, class, want)
        {
            for victim in victims {
                self.stop(pool, node, &victim);
                let verdict = Verdict::Stop { instance: victim.instance, node: self.nodes[node].node };
                placed.push(Placed { want: index, verdict, reason });
            }
            self.take(pool, node, want);
            let verdict = Verdict::Place { node: self.nodes[node].node };
            return placed.push(Placed { want: index, verdict, reason });
        }
        placed.push(self.refuse(own, index, want));
    }

    /// The best node of a compartment that has room; none: no node has.
    fn find(&mut self, pool: usize, want: &Want) -> Option<usize> {
        if self.pools[pool].full_for.iter().any(|need| want.need.holds(*need)) {
            return None;
        }
        if self.fit == Fit::Spread {
            self.count_mates(want.service);
        }
        let room = self.of(pool).filter(|node| self.free(*node).holds(want.need));
        let found = match self.fit {
            Fit::Best => room.min_by_key(|node| {
                let left = self.free(*node).minus(want.need);
                (left.millicores, left.bytes, *node)
            }),
            Fit::Spread => room.min_by_key(|node| {
                let free = self.free(*node);
                (self.mates.1[*node], Reverse(free.millicores), Reverse(free.bytes), *node)
            }),
        };
        if found.is_none() {
            self.pools[pool].full_for.push(want.need);
        }
        found
    }

    fn of(&self, pool: usize) -> impl Iterator<Item = usize> {
        self.by_pool[self.pools[pool].nodes.clone()].iter().copied()
    }

    /// Counts the instances of `service` on each node.
    fn count_mates(&mut self, service: ServiceKey) {
        if self.mates.0 != Some(service) {
            let here = |(node, given): (&Node<'_>, &Vec<ServiceKey>)| {
                let runs = node.runs.iter().filter(|run| run.service == service).count();
                (runs + given.iter().filter(|given| **given == service).count()) as u32
            };
            self.mates = (Some(service), self.nodes.iter().zip(&self.given).map(here).collect());
        }
    }

    fn take(&mut self, pool: usize, node: usize, want: &Want) {
        self.reserve(pool, node, self.reserved[node].plus(want.need));
        self.given[node].push(want.service);
        if self.mates.0 == Some(want.service) {
            self.mates.1[node] += 1;
        }
    }

    fn stop(&mut self, pool: usize, node: usize, victim: &Running) {
        self.reserve(pool, node, self.reserved[node].minus(victim.reserved));
        self.pools[pool].full_for.clear();
        self.stopped.insert(victim.instance);
    }

    /// From now on so much is reserved on a node.
    fn reserve(&mut self, pool: usize, node: usize, reserved: Resources) {
        let before = self.free(node);
        self.reserved[node] = reserved;
        let now = self.free(node);
        let pool = &mut self.pools[pool];
        pool.free = pool.free.minus(before).plus(now);
    }

    fn free(&self, node: usize) -> Resources {
        self.nodes[node].capacity.minus(self.reserved[node])
    }

    /// The node on which the least important have to stop, and among those the fewest.
    fn who_stops(&mut self, pool: usize, class: Importance, want: &Want) -> Option<(usize, Vec<Running>)> {
        let known = |(by, need): &(Importance, Resources)| *by <= want.importance && want.need.holds(*need);
        if self.pools[pool].stuck_for.iter().any(known) {
            return None;
        }
        let found = self
            .of(pool)
            .filter_map(|node| self.victims(node, class, want).map(|victims| (node, victims)))
            .min_by_key(|(node, victims)| {
                let most_important = victims.iter().map(|v| v.importance).min();
                (Reverse(most_important), victims.len(), *node)
            });
        if found.is_none() {
            self.pools[pool].stuck_for.push((want.importance, want.need));
        }
        found
    }

    /// Who has to stop on a node so that `want` fits: the least important and largest first.
    fn victims(&self, node: usize, class: Importance, want: &Want) -> Option<Vec<Running>> {
        let mut runs: Vec<Running> = self.nodes[node]
            .runs
            .iter()
            .filter(|r| r.importance >= class && r.importance > want.importance)
            .filter(|r| !self.stopped.contains(&r.instance))
            .copied()
            .collect();
        runs.sort_by_key(|r| (Reverse(r.importance), Reverse(r.reserved.millicores), r.instance));
        let (capacity, mut reserved) = (self.nodes[node].capacity, self.reserved[node]);
        let mut count = 0;
        while !capacity.minus(reserved).holds(want.need) {
            reserved = reserved.minus(runs.get(count)?.reserved);
            count += 1;
        }
        runs.truncate(count);
        Some(runs)
    }

    fn refuse(&mut self, pool: Option<usize>, index: usize, want: &Want) -> Placed {
        let nothing = (Resources::NONE, None);
        let Some(pool) = pool else {
            let verdict = Verdict::Refuse { stranded: nothing.0, by: nothing.1 };
            return Placed { want: index, verdict, reason: Reason::NoSuchCompartment };
        };
        let reason = if !self.of(pool).any(|node| self.nodes[node].capacity.holds(want.need)) {
            Reason::LargerThanAnyNode
        } else if self.pools[pool].free.holds(want.need) {
            Reason::Fragmented
        } else {
            Reason::CompartmentFull
        };
        let known = self.pools[pool].stranded;
        let (stranded, by) = known.unwrap_or_else(|| self.stranded(pool));
        self.pools[pool].stranded = Some((stranded, by));
        Placed { want: index, verdict: Verdict::Refuse { stranded, by }, reason }
    }

    /// What is reserved in a compartment and not used, and by whom most.
    fn stranded(&self, pool: usize) -> (Resources, Option<ServiceKey>) {
        let runs = self.of(pool).flat_map(|node| self.nodes[node].runs);
        let mut each: Vec<(ServiceKey, Resources)> =
            runs.map(|run| (run.service, run.reserved.minus(run.used))).collect();
        each.sort_by_key(|(service, _)| *service);
        each.dedup_by(|next, first| {
            let same = next.0 == first.0;
            if same {
                first.1 = first.1.plus(next.1);
            }
            same
        });
        let all = each.iter().fold(Resources::NONE, |sum, (_, stranded)| sum.plus(*stranded));
        let most = each.iter().max_by_key(|(service, stranded)| (stranded.millicores, Reverse(*service)));
        (all, most.filter(|(_, stranded)| stranded.millicores > 0).map(|(service, _)| *service))
    }
}

impl Pool {
    fn new(key: CompartmentKey, at: usize) -> Pool {
        Pool {
            key,
            nodes: at..at,
            capacity: Resources::NONE,
            free: Resources::NONE,
            lends: false,
            full_for: Vec::new(),
            stuck_for: Vec::new(),
            stranded: None,
        }
    }

    /// Whether it lends `need` and still has the share of itself that it keeps.
    fn spares(&self, need: Resources, keep: f64) -> bool {
        self.lends && self.free.holds(need.plus(self.capacity.scaled(keep)))
    }
}

#[cfg(test)]
mod tests;
