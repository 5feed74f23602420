//! **Reserved is what was used lately and a little more, not what somebody once declared.**
//!
//! Reservations are written down once and for the worst day, so that half of a cluster is reserved and idle; in the
//! outage of 2018 no instance could be started while 70 % of the cores were free. Two answers, at two speeds:
//!
//! *Right-sizing*, over hours. Of each service a histogram of what its instances use, in which a sample counts half after
//! 12 h (memory: 48 h).
//!
//! ```text
//! cpu    = p95 of the processor time used, each bucket weighed by its value (load-adjusted)
//! memory = p98 of what was used
//! reserve = the highest of the last hour of (cpu, memory) · 1.15, at most twice what was declared
//! ```
//!
//! *Load-adjusted*: p95 of the work, not of the time. A job that idles nine hours in ten is sized for the tenth.
//!
//! *Emergency reclaim*, at once. When an instance is refused a place, reservations in that compartment shrink in place to
//! `max(mean + 3σ, p98)` of the last ten minutes · 1.15, never below what is used: the least important first, then those
//! who strand most, until the refused fit.
//!
//! | declared | used in 24 h | reserved | the last ten minutes | after a reclaim |
//! |---|---|---|---|---|
//! | 8 cores | 0.5 by night, 2.5 at noon | 2.9–3.1 | 1.0 | 1.15–1.25 |
//! | 8 cores | not seen for a day yet | 8 | 2.5 | 2.9–3.1 |
//!
//! ```
//! # use policy::fleet::{reservation::*, *}; use model::{Moment, fleet::{Reservation, Resources}};
//! let (rule, mut known) = (Reservation::default(), Reservations::default());
//! let declared = Resources::new(8_000, 4 << 30);
//! for minute in 0..=24 * 60 { // 2 of 8 cores and 1 of 4 GiB, for a day
//!     known.on_usage(&rule, Moment::from_millis(minute * 60_000), ServiceKey(1), Resources::new(2_000, 1 << 30));
//! }
//! let seen = Seen { service: ServiceKey(1), declared, reserved: declared, used: Resources::new(2_000, 1 << 30) };
//! let plan = known.plan(&rule, Moment::from_millis(24 * 3_600_000), &[seen]);
//! assert!((2_300..2_500).contains(&plan[0].to.millicores), "{plan:?}");
//! assert_eq!(plan[0].reason, Reason::UsesLess);
//! ```
//!
//! Source: Autopilot's moving windows (EuroSys 2020); the peak predictor of "Take it to the limit" (EuroSys 2021).

mod usage;

use super::placement::{Node, Running};
use super::{CompartmentKey, InstanceKey, NodeKey, Reason, ServiceKey};
use model::Moment;
use model::fleet::{Reclaim, Reservation, Resources};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;
use usage::Usage;

/// A recommendation is made so often; Autopilot's histograms are of five minutes too.
const EVERY: Duration = Duration::from_secs(300);
/// A change smaller than a twentieth is not worth the disturbance.
const WORTH: f64 = 0.05;

/// What is known of the use of each service.
#[derive(Clone, Debug, Default)]
pub struct Reservations {
    services: BTreeMap<ServiceKey, Usage>,
}

/// One service as it is now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Which it is.
    pub service: ServiceKey,
    /// What its manifest declares for an instance.
    pub declared: Resources,
    /// What is reserved for an instance.
    pub reserved: Resources,
    /// What its hungriest instance uses now.
    pub used: Resources,
}

/// What shall be reserved for each instance of a service from now on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reserve {
    /// Whose.
    pub service: ServiceKey,
    /// So much it was.
    pub from: Resources,
    /// So much it shall be: for new instances, and in place where the node has room.
    pub to: Resources,
    /// Why.
    pub reason: Reason,
}

/// Instances that were refused a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shortage {
    /// Where.
    pub compartment: CompartmentKey,
    /// What each of them needs.
    pub need: Resources,
    /// How many.
    pub count: u32,
}

/// A reservation that shrinks in place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shrink {
    /// Whose.
    pub instance: InstanceKey,
    /// Of which service.
    pub service: ServiceKey,
    /// Where it runs.
    pub node: NodeKey,
    /// So much it was.
    pub from: Resources,
    /// So much it shall be.
    pub to: Resources,
    /// Why.
    pub reason: Reason,
}

impl Reservations {
    /// An instance of `service` uses `used`, over the last few seconds. Tell it of each instance, or of a few of each
    /// service, once a minute or more often; never of one that is still warming up.
    pub fn on_usage(&mut self, rule: &Reservation, now: Moment, service: ServiceKey, used: Resources) {
        self.services.entry(service).or_insert_with(|| Usage::begin(now)).on_sample(rule, now, used);
    }

    /// Forgets a service.
    pub fn forget(&mut self, service: ServiceKey) {
        self.services.remove(&service);
    }

    /// What shall be reserved for each service, where that is another amount than now. Decides every five minutes.
    pub fn plan(&mut self, rule: &Reservation, now: Moment, observed: &[Seen]) -> Vec<Reserve> {
        observed.iter().filter_map(|seen| self.size(rule, now, seen)).collect()
    }

    fn size(&mut self, rule: &Reservation, now: Moment, seen: &Seen) -> Option<Reserve> {
        let usage = self.services.get_mut(&seen.service)?;
        if now.since(usage.began) < rule.after || now < usage.due {
            return None;
        }
        usage.due = now.after(EVERY);
        let margin = 1.0 + rule.margin.part();
        let wanted = usage.usual(rule).scaled(margin).least(seen.declared.scaled(rule.at_most));
        let to = usage.highest(now, wanted, rule.hold).most(seen.used);
        let far = |a: u64, b: u64| a.abs_diff(b) as f64 > WORTH * b as f64;
        let cores = far(to.millicores, seen.reserved.millicores);
        let worth = cores || far(to.bytes, seen.reserved.bytes);
        // Named after the processor time where both change.
        let less =
            if cores { to.millicores < seen.reserved.millicores } else { to.bytes < seen.reserved.bytes };
        let reason = if less { Reason::UsesLess } else { Reason::UsesMore };
        worth.then_some(Reserve { service: seen.service, from: seen.reserved, to, reason })
    }

    /// Which reservations shrink so that those that were refused find a place: the least important first. Nothing that is
    /// used is taken, and nothing from a service of which nothing was seen in the last ten minutes.
    pub fn reclaim(
        &self,
        rule: &Reservation,
        now: Moment,
        short: &[Shortage],
        nodes: &[Node<'_>],
    ) -> Vec<Shrink> {
        let Some(reclaim) = &rule.reclaim else { return Vec::new() };
        let floors = self.floors(reclaim, now);
        let mut short = short.to_vec();
        short.sort_by_key(|s| (s.compartment, Reverse(s.need.millicores), Reverse(s.need.bytes)));
        let mut shrinks = Vec::new();
        for shortages in short.chunk_by(|a, b| a.compartment == b.compartment) {
            shrinks.extend(squeeze(shortages, nodes, &floors));
        }
        shrinks
    }

    /// What a reclaim could free at once in each compartment of `nodes`, by compartment: part of
    /// [`autoscale::Room::free`](super::autoscale::Room::free).
    pub fn reclaimable(
        &self,
        rule: &Reservation,
        now: Moment,
        nodes: &[Node<'_>],
    ) -> Vec<(CompartmentKey, Resources)> {
        let Some(reclaim) = &rule.reclaim else { return Vec::new() };
        let floors = self.floors(reclaim, now);
        let mut freed: BTreeMap<CompartmentKey, Resources> = BTreeMap::new();
        for node in nodes {
            let sum = node.runs.iter().filter_map(|run| least(run, &floors).map(|to| run.reserved.minus(to)));
            let sum = sum.fold(Resources::NONE, Resources::plus);
            let all = freed.entry(node.compartment).or_default();
            *all = all.plus(sum);
        }
        freed.into_iter().collect()
    }

    /// What an instance of each service must keep.
    fn floors(&self, rule: &Reclaim, now: Moment) -> Vec<(ServiceKey, Resources)> {
        let floor = |(key, usage): (&ServiceKey, &Usage)| usage.floor(rule, now).map(|floor| (*key, floor));
        self.services.iter().filter_map(floor).collect()
    }
}

/// What one instance keeps; none if that is all that it has.
fn least(run: &Running, floors: &[(ServiceKey, Resources)]) -> Option<Resources> {
    let at = floors.binary_search_by_key(&run.service, |(key, _)| *key).ok()?;
    let to = floors[at].1.most(run.used).least(run.reserved);
    (to != run.reserved).then_some(to)
}

/// Shrinks in one compartment until all that is short fits.
fn squeeze(short: &[Shortage], nodes: &[Node<'_>], floors: &[(ServiceKey, Resources)]) -> Vec<Shrink> {
    let here: Vec<&Node<'_>> =
        nodes.iter().filter(|n| short.iter().any(|s| s.compartment == n.compartment)).collect();
    let mut reserved: Vec<Resources> = here.iter().map(|n| n.reserved).collect();
    let mut willing: Vec<(usize, &Running, Resources)> = Vec::new();
    for (at, node) in here.iter().enumerate() {
        willing.extend(node.runs.iter().filter_map(|run| Some((at, run, least(run, floors)?))));
    }
    willing.sort_by_key(|(_, run, to)| {
        (Reverse(run.importance), Reverse(run.reserved.minus(*to).millicores), run.instance)
    });
    let mut willing = willing.into_iter();
    let mut shrinks = Vec::new();
    for shortage in short {
        let mut missing = u64::from(shortage.count);
        for (node, reserved) in here.iter().zip(&mut reserved) {
            missing -= settle(node.capacity, reserved, shortage.need, missing);
        }
        while missing > 0
            && let Some((at, run, to)) = willing.next()
        {
            reserved[at] = reserved[at].minus(run.reserved.minus(to));
            missing -= settle(here[at].capacity, &mut reserved[at], shortage.need, missing);
            let (from, reason) = (run.reserved, Reason::Reclaimed);
            let (instance, service, node) = (run.instance, run.service, here[at].node);
            shrinks.push(Shrink { instance, service, node, from, to, reason });
        }
    }
    shrinks
}

/// Reserves as many of `need` as fit, at most `missing`; how many that were.
fn settle(capacity: Resources, reserved: &mut Resources, need: Resources, missing: u64) -> u64 {
    let count = capacity.minus(*reserved).fits(need).min(missing);
    *reserved = reserved.plus(need.times(count));
    count
}

#[cfg(test)]
mod tests;
