//! The recorder: counts and histograms by second, from which every series of [`crate::report::SERIES`] comes, the log,
//! and the hash of everything that happened.
//!
//! The world tells it of each event as it happens and calls [`Recorder::tick`] at the end of each second. Recording
//! one event is a few additions. Where there are more than a few hundred services, only those that pass lines and
//! visits name have series of their own; the others are counted in the sums.

mod latency;

use crate::checks;
use crate::choice::Choice;
use crate::report::{Entry, Occurrence, Outcome, Report};
use latency::{SECONDS, Window};
use model::scenario::Scenario;
use model::{Moment, Reason};
use policy::{Cause, Change};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Up to so many services have series of their own, whoever they are.
const SERVICES_AT_MOST: usize = 256;
/// The log ends here: a run that fills it has gone wrong early.
const ENTRIES_AT_MOST: usize = 200_000;
const SECOND: u64 = 1_000_000_000;

/// Whether a client comes for the first time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Coming {
    /// For the first time.
    First,
    /// Once more, after a failure or a limit's page.
    Again,
}

/// What a service is like at the end of a second.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(crate) struct ServiceGauges {
    /// Requests that wait for a thread, all instances.
    pub(crate) queue: u32,
    /// Share of the threads of its open instances that is taken.
    pub(crate) threads: f64,
    /// Share of the processor time of its open instances that was used in this second.
    pub(crate) cpu: f64,
    /// Instances that start.
    pub(crate) starting: u32,
    /// Instances that are open and not warm.
    pub(crate) cold: u32,
    /// Instances that are open and warm.
    pub(crate) ready: u32,
    /// Instances that are wanted and could not be placed.
    pub(crate) unplaced: u32,
}

/// What a compartment is like at the end of a second, as shares of its cores.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(crate) struct CompartmentGauges {
    /// Reserved.
    pub(crate) reserved: f64,
    /// Used in this second.
    pub(crate) used: f64,
}

/// What the watchdog's victim was like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Victim {
    /// How long it had been healthy.
    pub(crate) healthy_for: Duration,
    /// Whether it had completed a request in the last 25 seconds.
    pub(crate) progressing: bool,
}

/// Records a run.
#[derive(Debug)]
pub(crate) struct Recorder {
    report: Report,
    hash: u64,
    clients: Vec<ClientsRecord>,
    people: Window,
    /// Of every service: what the second under way has counted.
    seconds: Vec<ServiceSecond>,
    /// By place; the last place is for the services without series of their own.
    services: Vec<ServiceRecord>,
    place: Vec<u32>,
    compartments: Vec<[Vec<f32>; 2]>,
    site: SiteSeries,
    rests: u32,
    outcomes: [u64; OUTCOMES],
    noted: BTreeMap<(Option<usize>, usize, u8), u64>,
}

#[derive(Debug, Default)]
struct ClientsRecord {
    human: bool,
    second: ClientsSecond,
    series: ClientsSeries,
    /// By the second in which they were sent: all, and those with a useful answer.
    sent: Vec<(u32, u32)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct ClientsSecond {
    demand: u32,
    reloads: u32,
    goodput: u32,
    limited: u32,
}

#[derive(Debug, Default)]
struct ClientsSeries {
    demand: Vec<f32>,
    reloads: Vec<f32>,
    goodput: Vec<f32>,
    limited: Vec<f32>,
}

#[derive(Debug, Default)]
struct SiteSeries {
    demand: Vec<f32>,
    goodput: Vec<f32>,
    p50: Vec<f32>,
    p99: Vec<f32>,
    attempts: Vec<f32>,
    calls: Vec<f32>,
    rests: Vec<f32>,
    ratio: Ratio,
}

#[derive(Debug)]
struct ServiceRecord {
    index: Option<usize>,
    times: Window,
    ratio: Ratio,
    /// By [`SERVICE_SERIES`].
    series: Vec<Vec<f32>>,
}

/// What a second has counted of a service.
#[derive(Clone, Copy, Debug, Default)]
struct ServiceSecond {
    arrivals: u32,
    served: u32,
    failed: u32,
    calls: u32,
    attempts: u32,
    refused: u32,
    kills: u32,
    killed_young: u32,
    progressing_killed: u32,
}

/// The series of a service, in the order of [`ServiceRecord::close`].
const SERVICE_SERIES: [&str; 18] = [
    "arrivals",
    "served",
    "failed",
    "calls",
    "attempts",
    "refused",
    "p50",
    "p99",
    "queue",
    "threads",
    "cpu",
    "starting",
    "cold",
    "ready",
    "unplaced",
    "kills",
    "killed-young",
    "progressing-killed",
];

/// Attempts for each call over the last ten seconds.
#[derive(Clone, Copy, Debug, Default)]
struct Ratio {
    seconds: [(u32, u32); SECONDS],
    now: usize,
}

impl Ratio {
    fn close(&mut self, calls: u32, attempts: u32) -> f32 {
        self.seconds[self.now] = (calls, attempts);
        self.now = (self.now + 1) % SECONDS;
        let calls: u64 = self.seconds.iter().map(|s| u64::from(s.0)).sum();
        let attempts: u64 = self.seconds.iter().map(|s| u64::from(s.1)).sum();
        share(attempts, calls)
    }
}

/// `part / whole`; not a number if there is no whole.
fn share(part: u64, whole: u64) -> f32 {
    if whole == 0 { f32::NAN } else { (part as f64 / whole as f64) as f32 }
}

const OUTCOMES: usize = 5 + Reason::ALL.len();

const fn outcome_number(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Success => 0,
        Outcome::Failure => 1,
        Outcome::Limited => 2,
        Outcome::TimedOut => 3,
        Outcome::Unfinished => 4,
        Outcome::Refused(reason) => 5 + reason as usize,
    }
}

fn every_outcome() -> impl Iterator<Item = Outcome> {
    [Outcome::Success, Outcome::Failure, Outcome::Limited, Outcome::TimedOut, Outcome::Unfinished]
        .into_iter()
        .chain(Reason::ALL.into_iter().map(Outcome::Refused))
}

/// What kind of event is mixed into the hash.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Kind {
    Request = 1,
    Outcome,
    Call,
    Attempt,
    Ended,
    Failed,
    Refused,
    Arrival,
    Served,
    Note,
    Entry,
}

impl Recorder {
    /// An empty record of the run of `scenario` with `choice` and `seed`.
    pub(crate) fn new(scenario: &Scenario, choice: &Choice, seed: u64) -> Recorder {
        let (services, place) = places(scenario);
        Recorder {
            report: Report {
                scenario: scenario.name.clone(),
                policies: choice.to_string(),
                operators: choice.operators,
                seed,
                scale: scenario.scale,
                starts: scenario.starts,
                every: Duration::from_secs(1),
                services: scenario.services.iter().map(|s| s.name.to_string()).collect(),
                compartments: scenario.compartments.iter().map(|c| c.name.clone()).collect(),
                clients: scenario.clients.iter().map(|c| c.name.clone()).collect(),
                ..Report::default()
            },
            hash: seed,
            clients: scenario
                .clients
                .iter()
                .map(|c| ClientsRecord { human: c.human, ..Default::default() })
                .collect(),
            people: Window::new(),
            seconds: vec![ServiceSecond::default(); scenario.services.len()],
            services,
            place,
            compartments: vec![Default::default(); scenario.compartments.len()],
            site: SiteSeries::default(),
            rests: 0,
            outcomes: [0; OUTCOMES],
            noted: BTreeMap::new(),
        }
    }

    /// An event of the queue is played.
    pub(crate) fn on_event(&mut self) {
        self.report.events += 1;
    }

    /// Some client sends a request.
    pub(crate) fn on_request(&mut self, now: Moment, clients: usize, coming: Coming) {
        self.mix(now, Kind::Request, clients as u64, coming as u64);
        let record = &mut self.clients[clients];
        match coming {
            Coming::First => record.second.demand += 1,
            Coming::Again => record.second.reloads += 1,
        }
        record.sent_in(now).0 += 1;
    }

    /// A request that was sent at `sent` ended; also for what is unfinished when the run ends.
    pub(crate) fn on_outcome(&mut self, now: Moment, clients: usize, sent: Moment, outcome: Outcome) {
        self.mix(now, Kind::Outcome, outcome_number(outcome) as u64, sent.as_nanos());
        self.outcomes[outcome_number(outcome)] += 1;
        let record = &mut self.clients[clients];
        match outcome {
            Outcome::Success => {
                record.second.goodput += 1;
                record.sent_in(sent).1 += 1;
                if record.human {
                    self.people.enter(now.since(sent));
                }
            }
            Outcome::Limited => record.second.limited += 1,
            _ => {}
        }
    }

    /// A call to `service` begins; its first attempt is told as an attempt too.
    pub(crate) fn on_call(&mut self, now: Moment, service: usize) {
        self.mix(now, Kind::Call, service as u64, 0);
        self.second(service).calls += 1;
    }

    /// An attempt of a call begins, the first one included.
    pub(crate) fn on_attempt(&mut self, now: Moment, service: usize) {
        self.mix(now, Kind::Attempt, service as u64, 0);
        self.second(service).attempts += 1;
    }

    /// An attempt failed or was given up.
    pub(crate) fn on_failed(&mut self, now: Moment, service: usize) {
        self.mix(now, Kind::Failed, service as u64, 0);
        self.second(service).failed += 1;
    }

    /// A call has got its answer, or was given up, `took` after it began.
    pub(crate) fn on_call_ended(&mut self, now: Moment, service: usize, took: Duration) {
        self.mix(now, Kind::Ended, service as u64, took.as_nanos() as u64);
        let place = self.place[service] as usize;
        self.services[place].times.enter(took);
    }

    /// A caller's sidecar refused a call.
    pub(crate) fn on_refused(&mut self, now: Moment, service: usize, reason: Reason) {
        self.mix(now, Kind::Refused, service as u64, reason as u64);
        self.second(service).refused += 1;
    }

    /// A request reached an instance.
    pub(crate) fn on_arrival(&mut self, now: Moment, service: usize, instance: u32) {
        self.mix(now, Kind::Arrival, service as u64, u64::from(instance));
        self.second(service).arrivals += 1;
    }

    /// An instance gave an answer below 500.
    pub(crate) fn on_served(&mut self, now: Moment, service: usize, instance: u32) {
        self.mix(now, Kind::Served, service as u64, u64::from(instance));
        self.second(service).served += 1;
    }

    /// The sidecars of `caller` (none: of clients) wrote a note of `service`. The first of its kind in a minute goes
    /// into the log.
    pub(crate) fn on_note(
        &mut self,
        now: Moment,
        caller: Option<usize>,
        service: usize,
        (change, cause): (Change, Cause),
    ) {
        self.mix(now, Kind::Note, service as u64, change as u64);
        if change == Change::Resting {
            self.rests += 1;
        }
        let minute = now.as_nanos() / (60 * SECOND);
        if self.noted.insert((caller, service, change as u8), minute) != Some(minute) {
            let (change, cause) = (change.word(), cause.word());
            self.log(now, Occurrence::Note { caller, service, change, cause });
        }
    }

    /// The watchdog kills an instance: counted, and written into the log.
    pub(crate) fn on_kill(
        &mut self,
        now: Moment,
        service: usize,
        instance: u32,
        reason: &'static str,
        victim: Victim,
    ) {
        let second = self.second(service);
        second.kills += 1;
        second.killed_young += u32::from(victim.healthy_for < Duration::from_secs(60));
        second.progressing_killed += u32::from(victim.progressing);
        self.log(now, Occurrence::Killed { service, instance, reason, healthy_for: victim.healthy_for });
    }

    /// Something happened that people want to read.
    pub(crate) fn log(&mut self, now: Moment, what: Occurrence) {
        self.mix(now, Kind::Entry, digest(&what), 0);
        if self.report.log.len() < ENTRIES_AT_MOST {
            self.report.log.push(Entry { at: now, what });
        }
    }

    /// A promise was broken, in words; the same words once.
    pub(crate) fn on_broken(&mut self, promise: String) {
        if !self.report.broken.contains(&promise) && self.report.broken.len() < 100 {
            self.report.broken.push(promise);
        }
    }

    /// A second is over. Gauges are asked for the services and compartments that have series.
    pub(crate) fn tick(
        &mut self,
        mut service: impl FnMut(usize) -> ServiceGauges,
        mut compartment: impl FnMut(usize) -> CompartmentGauges,
    ) {
        let (mut calls, mut attempts) = (0, 0);
        for second in &self.seconds {
            calls += second.calls;
            attempts += second.attempts;
        }
        for record in &mut self.services {
            let Some(index) = record.index else { continue };
            record.close(self.seconds[index], service(index));
        }
        self.seconds.fill(ServiceSecond::default());
        for (index, series) in self.compartments.iter_mut().enumerate() {
            let gauges = compartment(index);
            series[0].push(gauges.reserved as f32);
            series[1].push(gauges.used as f32);
        }
        self.close_site(calls, attempts);
        self.clients.iter_mut().for_each(ClientsRecord::close);
    }

    fn close_site(&mut self, calls: u32, attempts: u32) {
        let people = self.clients.iter().filter(|c| c.human);
        let (demand, goodput) = people.fold((0, 0), |(demand, goodput), c| {
            (demand + c.second.demand + c.second.reloads, goodput + c.second.goodput)
        });
        let (p50, p99) = self.people.median_and_99th();
        self.people.tick();
        let site = &mut self.site;
        site.demand.push(demand as f32);
        site.goodput.push(goodput as f32);
        site.p50.push(p50);
        site.p99.push(p99);
        site.attempts.push(site.ratio.close(calls, attempts));
        site.calls.push(calls as f32);
        site.rests.push(std::mem::take(&mut self.rests) as f32);
    }

    /// The run is over.
    pub(crate) fn finish(mut self) -> Report {
        let sent: u64 = self.clients.iter().flat_map(|c| &c.sent).map(|(sent, _)| u64::from(*sent)).sum();
        let ended: u64 = self.outcomes.iter().sum();
        if sent != ended {
            self.on_broken(format!("every request has one outcome: {sent} were sent, {ended} ended"));
        }
        let mut report = self.report;
        report.hash = self.hash;
        report.outcomes =
            every_outcome().map(|o| (o, self.outcomes[outcome_number(o)])).filter(|(_, n)| *n > 0).collect();
        let seconds = self.site.demand.len();
        let mut put = |owner: &str, name: &str, values: Vec<f32>| {
            report.series.insert(format!("{owner}.{name}"), values);
        };
        put_site(&mut put, self.site, &self.clients, seconds);
        for (record, name) in self.clients.into_iter().zip(&report.clients) {
            record.put(&mut put, name, seconds);
        }
        for record in self.services {
            let Some(index) = record.index else { continue };
            for (name, values) in SERVICE_SERIES.iter().zip(record.series) {
                put(&report.services[index], name, values);
            }
        }
        for ([reserved, used], name) in self.compartments.into_iter().zip(&report.compartments) {
            put(name, "reserved", reserved);
            put(name, "used", used);
        }
        report.broken.extend(checks::check(&report));
        report
    }

    fn second(&mut self, service: usize) -> &mut ServiceSecond {
        &mut self.seconds[service]
    }

    /// Rotate, exclusive or, multiply (the mix of Firefox's hash maps), twice.
    fn mix(&mut self, now: Moment, kind: Kind, a: u64, b: u64) {
        const K: u64 = 0x517c_c1b7_2722_0a95;
        let first = (self.hash.rotate_left(5) ^ now.as_nanos()).wrapping_mul(K);
        let what = a.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ b.rotate_left(32) ^ kind as u64;
        self.hash = (first.rotate_left(5) ^ what).wrapping_mul(K);
    }
}

/// What an entry of the log adds to the hash: its words.
fn digest(what: &Occurrence) -> u64 {
    // FNV-1a, 64 bits.
    format!("{what:?}")
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A record for each service that has series, one for all the others, and each service's place among them.
fn places(scenario: &Scenario) -> (Vec<ServiceRecord>, Vec<u32>) {
    let count = scenario.services.len();
    let watched: BTreeSet<usize> =
        if count <= SERVICES_AT_MOST { (0..count).collect() } else { named(scenario) };
    let mut services: Vec<ServiceRecord> = watched.iter().map(|i| ServiceRecord::new(Some(*i))).collect();
    let mut place = vec![services.len() as u32; count];
    for (record, service) in watched.into_iter().enumerate() {
        place[service] = record as u32;
    }
    services.push(ServiceRecord::new(None));
    (services, place)
}

/// The services that pass lines and visits name.
fn named(scenario: &Scenario) -> BTreeSet<usize> {
    let lines = scenario.acceptance.iter().flat_map(|list| &list.lines);
    let owners: BTreeSet<&str> =
        lines.filter_map(|line| line.series.rsplit_once('.')).map(|(owner, _)| owner).collect();
    let in_lines = scenario.services.iter().enumerate().filter(|(_, s)| owners.contains(s.name.as_str()));
    let visited = scenario.clients.iter().flat_map(|c| &c.visits).map(|v| v.service);
    in_lines.map(|(i, _)| i).chain(visited).take(SERVICES_AT_MOST).collect()
}

fn put_site(
    put: &mut impl FnMut(&str, &str, Vec<f32>),
    site: SiteSeries,
    clients: &[ClientsRecord],
    seconds: usize,
) {
    let mut sent = vec![(0, 0); seconds];
    for record in clients.iter().filter(|c| c.human) {
        for (all, one) in sent.iter_mut().zip(&record.sent) {
            *all = (all.0 + one.0, all.1 + one.1);
        }
    }
    put("site", "success", trailing(&sent, seconds));
    put("site", "useful", sent.iter().map(|(_, useful)| *useful as f32).collect());
    put("site", "demand", site.demand);
    put("site", "goodput", site.goodput);
    put("site", "p50", site.p50);
    put("site", "p99", site.p99);
    put("site", "attempts", site.attempts);
    put("site", "calls", site.calls);
    put("site", "rests", site.rests);
}

/// The share of the useful among those sent in the last ten seconds, for each second.
fn trailing(sent: &[(u32, u32)], seconds: usize) -> Vec<f32> {
    let sum = |from: usize, to: usize| {
        sent.get(from..to.min(sent.len()))
            .unwrap_or_default()
            .iter()
            .fold((0u64, 0u64), |(all, useful), s| (all + u64::from(s.0), useful + u64::from(s.1)))
    };
    (0..seconds)
        .map(|second| {
            let (all, useful) = sum((second + 1).saturating_sub(SECONDS), second + 1);
            share(useful, all)
        })
        .collect()
}

impl ClientsRecord {
    fn sent_in(&mut self, at: Moment) -> &mut (u32, u32) {
        let second = (at.as_nanos() / SECOND) as usize;
        if self.sent.len() <= second {
            self.sent.resize(second + 1, (0, 0));
        }
        &mut self.sent[second]
    }

    fn close(&mut self) {
        let second = std::mem::take(&mut self.second);
        self.series.demand.push(second.demand as f32);
        self.series.reloads.push(second.reloads as f32);
        self.series.goodput.push(second.goodput as f32);
        self.series.limited.push(second.limited as f32);
    }

    fn put(self, put: &mut impl FnMut(&str, &str, Vec<f32>), name: &str, seconds: usize) {
        put(name, "success", trailing(&self.sent, seconds));
        put(name, "demand", self.series.demand);
        put(name, "reloads", self.series.reloads);
        put(name, "goodput", self.series.goodput);
        put(name, "limited", self.series.limited);
    }
}

impl ServiceRecord {
    fn new(index: Option<usize>) -> ServiceRecord {
        ServiceRecord {
            index,
            times: Window::new(),
            ratio: Ratio::default(),
            series: vec![Vec::new(); SERVICE_SERIES.len()],
        }
    }

    fn close(&mut self, second: ServiceSecond, gauges: ServiceGauges) {
        let (p50, p99) = self.times.median_and_99th();
        self.times.tick();
        let values: [f32; SERVICE_SERIES.len()] = [
            second.arrivals as f32,
            second.served as f32,
            second.failed as f32,
            second.calls as f32,
            self.ratio.close(second.calls, second.attempts),
            second.refused as f32,
            p50,
            p99,
            gauges.queue as f32,
            gauges.threads as f32,
            gauges.cpu as f32,
            gauges.starting as f32,
            gauges.cold as f32,
            gauges.ready as f32,
            gauges.unplaced as f32,
            second.kills as f32,
            second.killed_young as f32,
            second.progressing_killed as f32,
        ];
        for (series, value) in self.series.iter_mut().zip(values) {
            series.push(value);
        }
    }
}

#[cfg(test)]
mod tests;
