//! What can be seen of services from outside: rates and means of the last few seconds, and what is learned of a request
//! in quiet times.

use super::nodes::resources;
use crate::flight::Caller;
use crate::service::Stage;
use crate::service::seen::Counts;
use crate::world::World;
use model::fleet::Resources;
use model::scenario::{CallTo, Scenario, Spread};
use policy::fleet::ServiceKey;
use std::collections::BTreeMap;
use std::time::Duration;

/// A value of one second is this part of a mean of the last few …
const FEW: f64 = 0.2;
/// … and of the last thirty.
const THIRTY: f64 = 1.0 / 30.0;
/// With more trouble than this nothing is learned: failures are quick, and say nothing of the work.
const QUIET: f64 = 0.01;
/// Requests of thirty seconds, before something is learned of them.
const ENOUGH: f64 = 50.0;

/// Rates a second and levels of a service, over some time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Means {
    pub(super) calls: f64,
    pub(super) attempts: f64,
    pub(super) failed: f64,
    pub(super) refused: f64,
    /// Requests inside its instances.
    pub(super) inside: f64,
    /// Cores that requests use.
    pub(super) cpu: f64,
}

impl Means {
    fn mix(&mut self, second: &Means, part: f64) {
        let mix = |mean: &mut f64, value: f64| *mean += part * (value - *mean);
        mix(&mut self.calls, second.calls);
        mix(&mut self.attempts, second.attempts);
        mix(&mut self.failed, second.failed);
        mix(&mut self.refused, second.refused);
        mix(&mut self.inside, second.inside);
        mix(&mut self.cpu, second.cpu);
    }

    fn is_quiet(&self) -> bool {
        self.failed <= QUIET * self.attempts && self.refused <= QUIET * self.calls
    }
}

/// What is seen of a service.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sight {
    before: Counts,
    seconds: u32,
    pub(super) few: Means,
    thirty: Means,
    /// How long a request takes when nothing waits, in seconds; 0 until that is known.
    pub(super) unloaded: f64,
    /// Core seconds of a request, when its instances are warm; 0 until that is known.
    pub(super) work: f64,
}

impl Sight {
    fn on_second(&mut self, counts: Counts, inside: f64, cpu: f64) {
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64;
        let second = Means {
            calls: rate(counts.calls, self.before.calls),
            attempts: rate(counts.attempts, self.before.attempts),
            failed: rate(counts.failed, self.before.failed),
            refused: rate(counts.refused, self.before.refused),
            inside,
            cpu,
        };
        self.before = counts;
        self.seconds = self.seconds.saturating_add(1);
        // The first value is the mean of itself.
        let first = 1.0 / f64::from(self.seconds);
        self.few.mix(&second, FEW.max(first));
        self.thirty.mix(&second, THIRTY.max(first));
        if self.seconds >= 30 && self.thirty.attempts * 30.0 >= ENOUGH && self.thirty.is_quiet() {
            // Little's law: the time inside is what is inside for each that comes in a second.
            self.unloaded = lower(self.unloaded, self.thirty.inside / self.thirty.attempts);
            self.work = lower(self.work, self.thirty.cpu / self.thirty.attempts);
        }
    }

    /// How many requests one instance of so many cores and threads can have in progress before its latency grows.
    pub(super) fn per_instance(&self, cores: f64, threads: f64) -> f64 {
        let busy = if self.work > 0.0 { cores / self.work * self.unloaded } else { threads };
        busy.min(threads).max(1.0)
    }
}

/// The lower of two of which the first may not be known yet.
fn lower(known: f64, seen: f64) -> f64 {
    if known > 0.0 { known.min(seen) } else { seen }
}

/// Who calls whom, as the scenario is built.
#[derive(Clone, Debug, Default)]
pub(super) struct Links {
    /// Of each service: whom it calls, and how often for each request (of its routes, all alike).
    pub(super) calls: Vec<BTreeMap<usize, f64>>,
    /// Of each service: the cores of whom it calls that one instance takes while it warms up.
    pub(super) warm_ups: Vec<BTreeMap<usize, f64>>,
}

impl Links {
    pub(super) fn new(scenario: &Scenario) -> Links {
        let mut links = Links::default();
        for service in &scenario.services {
            let mut calls: BTreeMap<usize, f64> = BTreeMap::new();
            for call in service.routes.iter().flat_map(|r| &r.calls) {
                *calls.entry(call.service).or_default() += call.times / service.routes.len() as f64;
            }
            links.calls.push(calls);
            links.warm_ups.push(warm_up(scenario, &service.start.warm_up));
        }
        links
    }
}

/// Rounds one after another, each as long as its longest call works and waits and travels, or as the work of all of it
/// takes where it is done.
fn warm_up(scenario: &Scenario, calls: &[CallTo]) -> BTreeMap<usize, f64> {
    let travels = 2.0 * scenario.network.delay.as_secs_f64();
    let (mut work, mut lasts): (BTreeMap<usize, f64>, f64) = (BTreeMap::new(), 0.0);
    for round in calls.chunk_by(|_, next| next.beside) {
        let (mut here, mut longest): (BTreeMap<usize, f64>, f64) = (BTreeMap::new(), 0.0);
        for call in round {
            let callee = &scenario.services[call.service];
            let Some(route) = callee.routes.get(call.route) else { continue };
            let cpu = mean(route.cpu);
            let done = here.entry(call.service).or_default();
            *done += call.times * cpu;
            // The first of a round makes its calls one after another.
            let in_a_row = if call.beside { 1.0 } else { call.times };
            let servers = f64::from(callee.instances.max(1)) * callee.cores.min(f64::from(callee.threads));
            longest =
                longest.max(in_a_row * (cpu + mean(route.wait) + travels)).max(*done / servers + travels);
        }
        lasts += longest;
        here.into_iter().for_each(|(service, done)| *work.entry(service).or_default() += done);
    }
    work.values_mut().for_each(|w| *w /= lasts.max(1e-9));
    work
}

fn mean(spread: Spread) -> f64 {
    match spread {
        Spread::Fixed(mean) | Spread::Exponential(mean) | Spread::Normal(mean, _) => mean.as_secs_f64(),
    }
}

impl World {
    /// Looks at everything, once a second.
    pub(super) fn observe(&mut self) {
        if self.fleet.rule.autoscale.is_none() && self.fleet.rule.reservation.is_none() {
            return;
        }
        let sampled = (self.agenda.now().as_nanos() / 1_000_000_000).is_multiple_of(10);
        for service in 0..self.services.len() {
            let (mut inside, mut cpu) = (0.0, 0.0);
            for seen in self.see(service as u32) {
                inside += f64::from(seen.inside);
                let tenant = self.fleet.tenant(seen.instance);
                let second = seen.cpu - std::mem::replace(&mut tenant.cpu, seen.cpu);
                tenant.used += FEW * (second - tenant.used);
                cpu += second;
                if sampled && seen.stage == Stage::Open && !seen.cold {
                    self.sample(service, seen.instance);
                }
            }
            let counts = self.services[service].counts;
            self.fleet.sights[service].on_second(counts, inside, cpu);
        }
    }

    fn sample(&mut self, service: usize, instance: u32) {
        if let Some(rule) = self.fleet.rule.reservation {
            let (now, used) = (self.agenda.now(), self.used(service, instance));
            self.fleet.known.on_usage(&rule, now, ServiceKey(service as u32), used);
        }
    }

    /// What an instance uses, over the last few seconds. All of its memory: nobody gives memory back.
    pub(super) fn used(&self, service: usize, instance: u32) -> Resources {
        let what = &self.scenario.services[service];
        let cores = self.fleet.tenants.get(instance as usize).map_or(0.0, |t| t.used);
        resources(cores + what.idle_cores, what.memory_mib)
    }

    /// Calls of one service to another that are under way.
    pub(super) fn waiting(&self) -> BTreeMap<(usize, usize), u32> {
        let mut waiting = BTreeMap::new();
        for (_, flight) in self.flights.live() {
            if let Caller::Job { .. } = flight.errand.caller
                && let Some((caller, _)) = self.desks[flight.errand.desk as usize].caller
            {
                *waiting.entry((caller as usize, flight.errand.service as usize)).or_default() += 1;
            }
        }
        waiting
    }
}

/// Seconds as a duration.
pub(super) fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.clamp(0.0, 1e6))
}
