//! How many instances a service should have, before anybody asks whether there is room.

use super::history::History;
use super::{Scale, Service, ServiceKey};
use crate::fleet::Reason;
use model::Moment;
use model::fleet::{Autoscale, Signal};
use std::time::Duration;

/// Sums over the call graph settle in so many rounds in any graph of that depth; a cycle goes round as often.
const ROUNDS: usize = 8;
/// No number of calls is larger.
const MOST: f64 = 1e12;
/// Calls are shed in earnest above this share.
const SHEDDING: f64 = 0.01;

/// A number from outside: what is none, negative or endless is made one that can be reckoned with.
pub(super) fn sane(number: f64) -> f64 {
    if number.is_nan() { 0.0 } else { number.clamp(0.0, MOST) }
}

/// Who calls whom, by position, with what passes along.
pub(super) struct Graph {
    edges: Vec<Edge>,
    /// Calls a second that would come if no caller shed any.
    potential: Vec<f64>,
    /// Of the requests in progress, so many wait longer for callees than they would in a quiet hour.
    excess: Vec<f64>,
    /// The highest share that is shed or fails of the service or of one that calls it.
    trouble: Vec<f64>,
}

/// One service calls another.
#[derive(Clone, Copy)]
pub(super) struct Edge {
    pub(super) caller: usize,
    pub(super) callee: usize,
    per_call: f64,
    /// Whether the caller spends at least half of its requests' time waiting for this callee.
    pub(super) waits: bool,
}

/// What one service is offered.
pub(super) struct Flow {
    pub(super) potential: f64,
    pub(super) excess: f64,
}

impl Graph {
    pub(super) fn new(services: &[Service<'_>]) -> Graph {
        let places = Places::new(services);
        let mut edges = Vec::new();
        let mut excess = vec![0.0; services.len()];
        for (caller, service) in services.iter().enumerate() {
            for calls in service.calls {
                let Some(callee) = places.of(calls.callee).filter(|callee| *callee != caller) else {
                    continue;
                };
                let (per_call, waiting) = (sane(calls.per_call), sane(calls.waiting));
                let usual = sane(service.arrivals) * per_call * services[callee].unloaded.as_secs_f64();
                excess[caller] += (waiting - usual).max(0.0);
                let waits = waiting > 0.0 && waiting * 2.0 >= sane(service.in_flight);
                edges.push(Edge { caller, callee, per_call, waits });
            }
        }
        let mut graph = Graph { edges, potential: Vec::new(), excess, trouble: Vec::new() };
        graph.potential = graph.potential(services);
        graph.trouble =
            graph.spread(services.iter().map(|s| s.shed.part().max(s.errors.part())).collect(), f64::max);
        graph
    }

    /// Arrivals, and what the callers' shed calls would have added.
    fn potential(&self, services: &[Service<'_>]) -> Vec<f64> {
        let came: Vec<f64> = services.iter().map(|s| sane(s.arrivals)).collect();
        let mut potential = came.clone();
        for _ in 0..ROUNDS {
            let mut next = came.clone();
            for edge in &self.edges {
                let passed = came[edge.caller] * (1.0 - services[edge.caller].shed.part());
                let lost = (potential[edge.caller] - passed).max(0.0);
                next[edge.callee] = (next[edge.callee] + lost * edge.per_call).min(MOST);
            }
            if next == potential {
                break;
            }
            potential = next;
        }
        potential
    }

    /// Passes `values` on from callers to callees until nothing changes.
    fn spread(&self, mut values: Vec<f64>, join: impl Fn(f64, f64) -> f64) -> Vec<f64> {
        for _ in 0..ROUNDS {
            let mut changed = false;
            for edge in &self.edges {
                let next = join(values[edge.callee], values[edge.caller]);
                changed |= next != values[edge.callee];
                values[edge.callee] = next;
            }
            if !changed {
                break;
            }
        }
        values
    }

    pub(super) fn edges(&self) -> &[Edge] {
        &self.edges
    }

    pub(super) fn flow(&self, service: usize) -> Flow {
        Flow { potential: self.potential[service], excess: self.excess[service] }
    }

    pub(super) fn trouble(&self, service: usize) -> f64 {
        self.trouble[service]
    }
}

/// Where in the list a service stands.
struct Places {
    sorted: Vec<(ServiceKey, usize)>,
}

impl Places {
    fn new(services: &[Service<'_>]) -> Places {
        let mut sorted: Vec<_> = services.iter().enumerate().map(|(i, s)| (s.service, i)).collect();
        sorted.sort_unstable();
        Places { sorted }
    }

    fn of(&self, service: ServiceKey) -> Option<usize> {
        self.sorted.binary_search_by_key(&service, |(key, _)| *key).ok().map(|at| self.sorted[at].1)
    }
}

/// What a service should have and what it gets.
pub(super) struct Wish {
    pub(super) service: ServiceKey,
    /// So many it has.
    pub(super) from: u32,
    /// So many it should have.
    pub(super) wanted: u32,
    /// So many it may have by its own bounds, then so many it gets.
    pub(super) to: u32,
    pub(super) reason: Reason,
}

impl Wish {
    /// What is told of it: changes, and what is held back.
    pub(super) fn told(self) -> Option<Scale> {
        let Wish { service, from, wanted, to, reason } = self;
        let held = wanted > to || reason == Reason::Frozen || reason == Reason::WaitingForCallee;
        (to != from || held).then_some(Scale { service, from, to, wanted, reason })
    }
}

/// What `service` should have by demand, and may have by its own bounds and speed.
pub(super) fn wish(
    rule: &Autoscale,
    now: Moment,
    service: &Service<'_>,
    flow: &Flow,
    frozen: bool,
    history: &mut History,
) -> Wish {
    let from = service.instances();
    let keep = rule.down.map_or(rule.up.per, |down| down.step.per.max(rule.up.per));
    history.on_instances(now, from, keep);
    let (needed, why) = match rule.signal {
        Signal::Offered { target, drain } => {
            offered(rule, now, service, flow, (target.part(), drain), history)
        }
        Signal::Cpu { target } => (by_cpu(rule, service, target.part()), Reason::CpuAboveTarget),
    };
    let least = service.at_least.min(service.at_most);
    let wish = |wanted, to, reason| Wish { service: service.service, from, wanted, to, reason };
    if from > service.at_most {
        // People said so: that is obeyed at once, whatever is shed.
        return wish(service.at_most, service.at_most, Reason::AtMaximum);
    }
    let needed_up = needed.max(least);
    if needed_up > from {
        if let Some(down) = rule.down {
            history.highest(now, needed_up, down.window);
        }
        let step = history.at_most(now, &rule.up).max(from);
        let to = needed_up.min(service.at_most).min(step).max(from);
        let reason = match why {
            _ if needed_up > service.at_most && to == service.at_most.max(from) => Reason::AtMaximum,
            _ if to == from => Reason::StepLimit,
            _ if needed < least => Reason::AtMinimum,
            why => why,
        };
        return wish(needed_up, to, reason);
    }
    let (to, reason) = fewer(rule, now, from, needed_up, frozen, history);
    if to == from && why == Reason::WaitingForCallee {
        return wish(from, from, why);
    }
    wish(needed_up, to, reason)
}

/// What is left when `from` are there and `needed` would do.
fn fewer(
    rule: &Autoscale,
    now: Moment,
    from: u32,
    needed: u32,
    frozen: bool,
    history: &mut History,
) -> (u32, Reason) {
    let Some(down) = rule.down else { return (from, Reason::NotNeeded) };
    if frozen {
        history.highest(now, from, down.window);
        let reason = if needed < from { Reason::Frozen } else { Reason::NotNeeded };
        return (from, reason);
    }
    let highest = history.highest(now, needed, down.window);
    (highest.max(history.at_least(now, &down.step)).min(from), Reason::NotNeeded)
}

/// Little's law; and the reason that applies if it is more than there are.
fn offered(
    rule: &Autoscale,
    now: Moment,
    service: &Service<'_>,
    flow: &Flow,
    (target, drain): (f64, Duration),
    history: &mut History,
) -> (u32, Reason) {
    let from = service.instances();
    let time = service.unloaded.as_secs_f64();
    let each = sane(service.per_instance) * target;
    if each <= 0.0 || time <= 0.0 {
        return (from, Reason::NotNeeded);
    }
    let (in_flight, queued) = (sane(service.in_flight), sane(service.queued));
    let served = sane(service.arrivals) * (1.0 - service.shed.part());
    // This part of the requests in progress is its own; the others wait for callees that are slower than usual.
    let own = 1.0 - (flow.excess / in_flight.max(1e-9)).clamp(0.0, 1.0);
    let backlog = (in_flight - flow.excess - served * time).max(0.0) + queued * own;
    let demand = flow.potential * time + backlog * time / drain.as_secs_f64().max(1.0);
    let count = |demand: f64| within(rule, from, demand / each);
    let now_needed = count(demand);
    let ahead = rule.trend.map_or(0, |trend| count(history.forecast(now, flow.potential * time, &trend)));
    let shedding = service.shed.part() > SHEDDING;
    if now_needed > from {
        (now_needed.max(ahead), Reason::OfferedConcurrency)
    } else if ahead > from {
        (ahead, Reason::Trend)
    } else if shedding && own >= 0.5 && from == service.ready {
        // What it can have in progress was judged too high, or its calls have become dearer.
        (from.saturating_add(from.div_ceil(10)).max(1), Reason::StillShedding)
    } else if count(in_flight + queued) > from && own < 0.5 {
        (from, Reason::WaitingForCallee)
    } else {
        (now_needed.max(ahead), Reason::NotNeeded)
    }
}

/// `exact` instances in whole ones; what is within the tolerance of what there is stays.
fn within(rule: &Autoscale, from: u32, exact: f64) -> u32 {
    let change = exact / f64::from(from).max(1e-9) - 1.0;
    if from > 0 && change.abs() <= rule.tolerance.part() { from } else { libm::ceil(exact) as u32 }
}

/// Kubernetes' formula: instances that are not ready count as idle on the way up, and not at all on the way down.
fn by_cpu(rule: &Autoscale, service: &Service<'_>, target: f64) -> u32 {
    let (from, ready) = (service.instances(), f64::from(service.ready));
    if service.ready == 0 || target <= 0.0 {
        return from;
    }
    let ratio = sane(service.cpu) / target;
    let judged = if ratio > 1.0 { ratio * ready / f64::from(from) } else { ratio };
    let wrong_way = ratio > 1.0 && judged < 1.0;
    if wrong_way || (judged - 1.0).abs() <= rule.tolerance.part() {
        return from;
    }
    // A product that is whole but for the last bit is whole.
    libm::ceil(ratio * ready - 1e-9) as u32
}
