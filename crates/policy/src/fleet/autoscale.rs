//! **A service gets as many instances as what it is offered needs, and the bottleneck gets its own first.**
//!
//! Processor time cannot say how much is missing: it ends at 100 %, and with threads as what is short it is low while
//! users wait. What is *offered* can: calls that are served, shed and queued. By Little's law
//!
//! ```text
//! offered = (served + shed calls a second) · time of an unhurried call  +  backlog · time / drain
//! wanted  = ⌈offered / (what one instance can have in progress · 70 %)⌉
//! ```
//!
//! where the backlog (what is in progress or queued beyond the first term) is to be worked off within 30 s. The time of
//! an *unhurried* call, as a call's time under load says how long it waited, not how much there is to do. Time spent
//! waiting for a slow callee is no backlog: another instance would wait for the same callee. Calls that a caller
//! sheds would have come to its callees, which are therefore scaled with it, not after it.
//!
//! | offered | at 10 in progress each | wanted |
//! |---|---|---|
//! | 100/s served · 0.2 s = 20 | 7 by target | 3 |
//! | 100/s served, 100/s shed · 0.2 s = 40 | 7 | 6 |
//! | the same and 300 queued: + (300 · 0.2 s / 30 s = 2) | 7 | 6 |
//!
//! *Up* at once, at most twofold in 15 s. *Down* to the highest of the last 300 s, a tenth a minute, and not at all
//! while the service or one that calls it sheds or fails: missing traffic comes back (Scryer). A *trend* is a floor:
//! level and slope of demand (Holt) give what will be needed when an instance begun now is warm.
//!
//! *One allocator.* Autoscalers of their own fill a compartment with the wrong services. So while room is left, the next
//! instance goes to the most important service with the smallest part of what it needs, which is the bottleneck of its
//! chain; a callee is as important as who spends its time waiting for it. Who cannot get more (no room, at its maximum)
//! holds those back who mostly wait for it and have as large a part already. No grant loads a dependency beyond 80 %:
//! neither with the calls that it lets through nor with warm-ups that begin by themselves; those that wait to be told
//! are counted out by [`warm_ups`].
//!
//! The autoscalers of others are settings of this one: [`Signal::Cpu`](model::fleet::Signal::Cpu) with
//! [`Order::Alone`] is Kubernetes' (`⌈ready · used / target⌉`, instances that are not ready count as idle on the way up).
//!
//! ```
//! # use policy::fleet::{autoscale::*, *}; use model::{Importance, Moment, Share, fleet::{Autoscale, Resources}};
//! # use std::time::Duration;
//! let search = Service {
//!     ready: 3, arrivals: 200.0, in_flight: 20.0, unloaded: Duration::from_millis(200), per_instance: 10.0,
//!     shed: Share::percent(50), need: Resources::new(3_000, 1 << 30), ..Service::new(ServiceKey(4))
//! };
//! let room = [Room { compartment: CompartmentKey(0), free: Resources::new(6_000, 8 << 30) }];
//! let seen = Observed { services: &[search], dependencies: &[], compartments: &room };
//! let plan = Autoscaler::default().plan(&Autoscale::default(), Moment::from_millis(0), &seen);
//! // Six are wanted, and twice three are allowed; but only two find room.
//! assert_eq!(plan[0], Scale { service: ServiceKey(4), from: 3, to: 5, wanted: 6, reason: Reason::CompartmentFull });
//! ```
//!
//! Source: Kubernetes' Horizontal Pod Autoscaler (formula, tolerance, stabilisation); Netflix' Scryer (prediction as a
//! floor); Allegro's account of warm-ups that overloaded one shard of a store (2024); the allocator is ours.

mod allot;
mod demand;
mod history;

use super::{CompartmentKey, DependencyKey, Reason, ServiceKey};
use history::History;
use model::fleet::{Autoscale, Order, Resources};
use model::{Importance, Moment, Share};
use std::collections::BTreeMap;
use std::time::Duration;

/// What is seen of the whole fleet.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// Every service, once each.
    pub services: &'a [Service<'a>],
    /// What they use and nobody scales.
    pub dependencies: &'a [Dependency],
    /// What is left to be reserved.
    pub compartments: &'a [Room],
}

/// What is seen of one service. Rates and means are over the last few seconds (5 to 10), all instances together.
#[derive(Clone, Copy, Debug)]
pub struct Service<'a> {
    /// Which it is.
    pub service: ServiceKey,
    /// How important it is.
    pub importance: Importance,
    /// Where its instances are placed.
    pub compartment: CompartmentKey,
    /// What is reserved for one more instance.
    pub need: Resources,
    /// It never has fewer instances …
    pub at_least: u32,
    /// … nor more.
    pub at_most: u32,
    /// Instances that have been asked for and do not answer yet, those without a place included.
    pub starting: u32,
    /// Instances that answer and are not warm.
    pub warming: u32,
    /// Instances that are warm.
    pub ready: u32,
    /// First attempts a second that came, whether they were served, queued or shed. Not retries.
    pub arrivals: f64,
    /// Requests in progress, the mean.
    pub in_flight: f64,
    /// Requests that wait for a slot in sidecars, the mean.
    pub queued: f64,
    /// How long a request takes when nothing waits, as the sidecars learn it from quiet times; callees included.
    pub unloaded: Duration,
    /// How many requests one instance can have in progress before its latency grows: its limit, given or learned.
    pub per_instance: f64,
    /// This share of the arrivals was shed, by overload and not by a limit on the caller.
    pub shed: Share,
    /// This share of the arrivals failed otherwise, callers that gave up included.
    pub errors: Share,
    /// Processor time that ready instances use, as a part of what is reserved for them; may exceed 1.
    pub cpu: f64,
    /// The services that it calls.
    pub calls: &'a [Calls],
    /// The dependencies that it uses.
    pub uses: &'a [Uses],
}

impl Service<'_> {
    /// A critical service of which nothing is seen: at least one instance and no upper bound, in compartment 0.
    pub const fn new(service: ServiceKey) -> Service<'static> {
        Service {
            service,
            importance: Importance::Critical,
            compartment: CompartmentKey(0),
            need: Resources::NONE,
            at_least: 1,
            at_most: u32::MAX,
            starting: 0,
            warming: 0,
            ready: 0,
            arrivals: 0.0,
            in_flight: 0.0,
            queued: 0.0,
            unloaded: Duration::ZERO,
            per_instance: 0.0,
            shed: Share::NONE,
            errors: Share::NONE,
            cpu: 0.0,
            calls: &[],
            uses: &[],
        }
    }

    fn instances(&self) -> u32 {
        self.starting.saturating_add(self.warming).saturating_add(self.ready)
    }
}

/// A service that another one calls.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Calls {
    /// Who is called.
    pub callee: ServiceKey,
    /// Calls for each request that is served.
    pub per_call: f64,
    /// Calls to it in progress, retries and back-offs included, the mean: how many requests wait for it.
    pub waiting: f64,
}

/// How a service uses a dependency.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Uses {
    /// What is used.
    pub dependency: DependencyKey,
    /// Operations on its most loaded shard for each request that is served.
    pub per_call: f64,
    /// Operations on that shard a second of one instance that warms up.
    pub warm_up: f64,
    /// Whether a started instance waits with its warm-up until it is told ([`warm_ups`]).
    pub waits: bool,
}

/// What services use and nobody scales.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Dependency {
    /// Which it is.
    pub dependency: DependencyKey,
    /// Operations a second that its most loaded shard can do.
    pub capacity: f64,
    /// Operations a second that it does for instances that are warm.
    pub used: f64,
}

/// What is left of a compartment.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Room {
    /// Which it is.
    pub compartment: CompartmentKey,
    /// What is not reserved, without what instances need that have no place yet, with what a reclaim, a lender or who
    /// gives way would add.
    pub free: Resources,
}

/// How many instances a service shall have, and why. Told where that changes, and where more (or, frozen, fewer) are
/// wanted than it gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scale {
    /// Whose.
    pub service: ServiceKey,
    /// So many it has.
    pub from: u32,
    /// So many it shall have.
    pub to: u32,
    /// So many it should have.
    pub wanted: u32,
    /// Why it changes; or, where it gets less than is wanted, why not more.
    pub reason: Reason,
}

/// How many instances of a service may warm up at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WarmUp {
    /// Whose.
    pub service: ServiceKey,
    /// So many, those that do so already included.
    pub at_once: u32,
    /// [`Reason::WarmUpToken`] when all that wait may, [`Reason::DependencyHeadroom`] when some have to wait.
    pub reason: Reason,
}

/// What is remembered of each service.
#[derive(Clone, Debug, Default)]
pub struct Autoscaler {
    services: BTreeMap<ServiceKey, History>,
    due: Moment,
}

impl Autoscaler {
    /// When it next decides; before that a plan is empty.
    pub fn next_wakeup(&self) -> Moment {
        self.due
    }

    /// How many instances each service shall have, in the order of `observed.services`. The numbers are targets, not
    /// steps: as long as they have not been reached the same answer comes again.
    pub fn plan(&mut self, rule: &Autoscale, now: Moment, observed: &Observed<'_>) -> Vec<Scale> {
        if now < self.due {
            return Vec::new();
        }
        self.due = now.after(rule.every);
        let graph = demand::Graph::new(observed.services);
        let mut wishes = Vec::with_capacity(observed.services.len());
        for (i, service) in observed.services.iter().enumerate() {
            let history = self
                .services
                .entry(service.service)
                .or_insert_with(|| History::begin(now, service.instances()));
            let frozen =
                rule.down.and_then(|d| d.frozen).is_some_and(|above| graph.trouble(i) > above.part());
            wishes.push(demand::wish(rule, now, service, &graph.flow(i), frozen, history));
        }
        self.services.retain(|_, history| history.seen_at(now));
        if rule.order == Order::BottleneckFirst {
            allot::bottleneck_first(rule, observed, &graph, &mut wishes);
        }
        wishes.into_iter().filter_map(demand::Wish::told).collect()
    }
}

/// How many instances may warm up at once, for every service with warm-ups that wait to be told: as many as fit into what
/// is left of each dependency below `rule.headroom`, the most important service first, then in the order of `observed`.
/// While a dependency has anything left, one may.
pub fn warm_ups(rule: &Autoscale, observed: &Observed<'_>) -> Vec<WarmUp> {
    allot::warm_ups(rule, observed)
}

#[cfg(test)]
mod tests;
