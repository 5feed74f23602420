//! Scenarios, checked: what the simulator plays, and what must be seen in it.
//!
//! A scenario says what there is (services with their routes and calls, clients, compartments, the network), what is
//! done to it (faults, operators' actions) and what is expected (pass lines). It says nothing of *how* policies decide:
//! they are named by preset, so that the same scenario can be played with any of them. Nothing in it changes with time
//! but the clients' demand, the faults and the operators' actions.
//!
//! Everything refers to everything by position in the lists of [`Scenario`]; names are for people.

use crate::{FleetPreset, Moment, Preset, ServiceName, Settings, Share};
use std::fmt;
use std::time::Duration;

/// The series that a report has, with what they mean. `SERVICE`, `COMPARTMENT`, `CLIENTS` stand for names; `site` sums
/// over all people, not over programs.
pub const SERIES: &[(&str, &str)] = &[
    ("site.demand", "first requests and reloads of people, a second"),
    ("site.goodput", "useful answers to people, a second: below 400 and in time"),
    ("site.success", "share of people's requests, by when they were sent, that got a useful answer"),
    ("site.useful", "of people's requests sent in this second, those that got a useful answer"),
    ("site.p50", "seconds that useful answers to people took, the median"),
    ("site.p99", "the same, the 99th percentile"),
    ("site.attempts", "attempts for each call, all services"),
    ("site.calls", "calls, a second, all services"),
    ("site.rests", "breakers that began to rest"),
    ("CLIENTS.demand", "first requests, a second"),
    ("CLIENTS.reloads", "reloads, a second"),
    ("CLIENTS.goodput", "useful answers, a second"),
    ("CLIENTS.success", "share of requests, by when they were sent, that got a useful answer"),
    ("CLIENTS.limited", "requests that a limit at the edge answered, a second"),
    ("SERVICE.arrivals", "requests that reached an instance, a second"),
    ("SERVICE.served", "answers below 500, a second"),
    ("SERVICE.failed", "attempts that failed or were given up, a second"),
    ("SERVICE.calls", "calls, a second: the first attempts"),
    ("SERVICE.attempts", "attempts for each call"),
    ("SERVICE.refused", "refusals by the callers' sidecars, a second"),
    ("SERVICE.p50", "seconds from a call to its answer, as callers see it, the median"),
    (
        "SERVICE.p99",
        "the same, the 99th percentile; a call that is given up counts with the time that it had",
    ),
    ("SERVICE.queue", "requests that wait for a thread, all instances"),
    ("SERVICE.threads", "share of the threads of its open instances that is taken"),
    ("SERVICE.cpu", "share of the processor time of its open instances that is used"),
    ("SERVICE.starting", "instances that start"),
    ("SERVICE.cold", "instances that are open and not warm"),
    ("SERVICE.ready", "instances that are open and warm"),
    ("SERVICE.kills", "instances that the watchdog killed"),
    ("SERVICE.killed-young", "of those, instances that had not been healthy for a minute"),
    ("SERVICE.progressing-killed", "of those, instances that had completed a request in the last 25 seconds"),
    ("SERVICE.unplaced", "instances that could not be placed"),
    ("COMPARTMENT.reserved", "share of its cores that is reserved"),
    ("COMPARTMENT.used", "share of its cores that is used"),
];

/// A situation that can be played.
#[derive(Clone, PartialEq, Debug)]
pub struct Scenario {
    /// Its name, as on the command line.
    pub name: String,
    /// What it is and where its numbers come from, for people.
    pub about: String,
    /// The time of day of [`Moment::ZERO`].
    pub starts: TimeOfDay,
    /// How long it is played.
    pub lasts: Duration,
    /// What the full demand is multiplied by when nobody says otherwise; see [`Scenario::scale`].
    pub scale: f64,
    /// The policies of the request path that it is about: what was in force then, or what is compared with.
    pub policies: Preset,
    /// The policies of the fleet that it is about.
    pub fleet: FleetPreset,
    /// The network between any two.
    pub network: Network,
    /// Parts of the fleet that services are placed in.
    pub compartments: Vec<Compartment>,
    /// The services.
    pub services: Vec<Service>,
    /// Caches that calls may look into first.
    pub caches: Vec<Cache>,
    /// Limits at the edge.
    pub limits: Vec<EdgeLimit>,
    /// Who sends requests.
    pub clients: Vec<Clients>,
    /// What happens to it, in the order of the file.
    pub faults: Vec<Fault>,
    /// What people do, in the order of the file.
    pub operators: Vec<Action>,
    /// The window that comparisons of policies look at; none: all of it.
    pub trouble: Option<(Moment, Moment)>,
    /// Lists of pass lines by name (`A`, `B`, …).
    pub acceptance: Vec<Acceptance>,
}

/// A time of day, to the second.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct TimeOfDay(u32);

impl TimeOfDay {
    /// `hours:minutes:seconds`; none if there is no such time of day.
    pub const fn new(hours: u32, minutes: u32, seconds: u32) -> Option<TimeOfDay> {
        if hours < 24 && minutes < 60 && seconds < 60 {
            Some(TimeOfDay(hours * 3600 + minutes * 60 + seconds))
        } else {
            None
        }
    }

    /// Seconds since midnight.
    pub const fn seconds(self) -> u32 {
        self.0
    }

    /// The time of day at `moment` of a run that began at `self`.
    pub fn at(self, moment: Moment) -> TimeOfDay {
        TimeOfDay(((u64::from(self.0) + moment.as_nanos() / 1_000_000_000) % 86_400) as u32)
    }

    /// The moment of a run that began at `self` at which it is `time`, the next day if need be.
    pub fn until(self, time: TimeOfDay) -> Moment {
        Moment::from_millis(u64::from((time.0 + 86_400 - self.0) % 86_400) * 1000)
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}:{:02}", self.0 / 3600, self.0 / 60 % 60, self.0 % 60)
    }
}

/// The network.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Network {
    /// One way.
    pub delay: Duration,
    /// Up to so much more, evenly drawn.
    pub jitter: Duration,
    /// This share of messages never arrives.
    pub loss: Share,
}

/// A part of the fleet: machines that only the services placed in it may use.
#[derive(Clone, PartialEq, Debug)]
pub struct Compartment {
    /// Its name.
    pub name: String,
    /// Machines.
    pub nodes: u32,
    /// Processor cores of each machine.
    pub cores: f64,
    /// Memory of each machine, in MiB.
    pub memory_mib: f64,
    /// Compartments whose free room its services may use where the placement policy allows it.
    pub may_borrow_from: Vec<usize>,
}

/// A service.
#[derive(Clone, PartialEq, Debug)]
pub struct Service {
    /// Its name.
    pub name: ServiceName,
    /// Instances at the beginning, warm.
    pub instances: u32,
    /// The autoscaler keeps to this range; none: it is not scaled automatically.
    pub range: Option<(u32, u32)>,
    /// Where its instances are placed; none: wherever there is room, without end.
    pub compartment: Option<usize>,
    /// Whether users miss it when it is gone; others may be stopped to make room.
    pub critical: bool,
    /// Cores that each instance declares and thus reserves.
    pub declared_cores: f64,
    /// Memory that each instance declares and uses, in MiB.
    pub memory_mib: f64,
    /// Cores that an instance can use at most.
    pub cores: f64,
    /// Cores that an instance uses apart from requests.
    pub idle_cores: f64,
    /// Requests that are worked on at once; a request keeps its thread while its calls wait.
    pub threads: u32,
    /// Requests that wait for a thread, first come first served, for as long as it takes; beyond it connections are refused.
    pub backlog: u32,
    /// Connections in and out at once; beyond it connections are refused, its own too.
    pub descriptors: u32,
    /// Whether its health endpoint has a thread of its own, so that it answers probes however busy it is; otherwise a
    /// probe waits with the requests.
    pub health_apart: bool,
    /// How it begins.
    pub start: Start,
    /// Machines shared with others who take their part now and then.
    pub neighbours: Option<Neighbours>,
    /// Work grows by this share of itself for each request that is inside beyond its threads' half (garbage
    /// collection, context switches); 0: it does not.
    pub drag: f64,
    /// What it answers.
    pub routes: Vec<Route>,
}

/// How an instance begins.
#[derive(Clone, PartialEq, Debug)]
pub struct Start {
    /// From the decision to an open port.
    pub takes: Duration,
    /// Then it works at this share of its speed …
    pub cold_speed: Share,
    /// … for so long of its own working time at the least as on the clock.
    pub cold_for: Duration,
    /// Calls that it makes before it is ready, one after another.
    pub warm_up: Vec<CallTo>,
}

/// Machines that are shared with others.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Neighbours {
    /// This share of the instances has greedy neighbours at any time …
    pub share: Share,
    /// … and works at this share of its speed …
    pub speed: Share,
    /// … until the lot is drawn again, evenly between these.
    pub drawn_again: (Duration, Duration),
}

/// What a service answers, and what it takes.
#[derive(Clone, PartialEq, Debug)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// Processor time of an answer, before its calls.
    pub cpu: Spread,
    /// Waiting that uses no processor (a disk, somebody else's system).
    pub wait: Spread,
    /// This share of answers is a failure (500).
    pub failing: Share,
    /// Calls that must be answered before the answer.
    pub calls: Vec<CallTo>,
}

/// A duration that differs from time to time.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Spread {
    /// Always the same.
    Fixed(Duration),
    /// Exponentially distributed with this mean.
    Exponential(Duration),
    /// Normally distributed, cut off at zero: mean and deviation.
    Normal(Duration, Duration),
}

/// A call to another service.
#[derive(Clone, PartialEq, Debug)]
pub struct CallTo {
    /// Whom.
    pub service: usize,
    /// Which of its routes.
    pub route: usize,
    /// How often on average: the whole part always, the rest by lot.
    pub times: f64,
    /// Whether they are made at once with the call before them instead of after it.
    pub beside: bool,
    /// Whether the answer can do without it.
    pub optional: bool,
    /// Connections that an instance has for it; whoever finds none free waits for one, without end. None: no limit.
    pub pool: Option<u32>,
    /// A cache that is looked into first.
    pub cache: Option<usize>,
    /// The settings in force with [`Scenario::policies`]; any other preset brings its own.
    pub policies: Settings,
}

/// A look-aside cache, shared by all who name it: who misses asks the service and stores the answer, if it still waits
/// for it.
#[derive(Clone, PartialEq, Debug)]
pub struct Cache {
    /// Its name.
    pub name: String,
    /// Keys, asked for by Zipf's law …
    pub keys: u32,
    /// … with this exponent.
    pub skew: f64,
    /// How many it holds, the most popular ones at the beginning; the least recently used goes.
    pub holds: u32,
}

/// A limit at the edge: so many requests a second, first come first served; the others get a page that says so.
#[derive(Clone, PartialEq, Debug)]
pub struct EdgeLimit {
    /// Its name.
    pub name: String,
    /// Requests a second at full scale.
    pub rate: f64,
    /// Requests at once.
    pub burst: u32,
}

/// Some who send requests, whatever becomes of the earlier ones.
#[derive(Clone, PartialEq, Debug)]
pub struct Clients {
    /// Their name.
    pub name: String,
    /// Whether they are people: their success is the site's.
    pub human: bool,
    /// First requests a second at full scale: points in time, joined by straight lines.
    pub demand: Vec<(Moment, f64)>,
    /// Whether they come at even intervals instead of by chance (Poisson).
    pub even: bool,
    /// So many sidecars carry them, each with books of its own, by turns.
    pub sidecars: u32,
    /// What they ask for, by weight.
    pub visits: Vec<Visit>,
    /// How long one waits.
    pub patience: Duration,
    /// Whether the sidecar is told how long that is.
    pub tells_deadline: bool,
    /// This share of requests must not be carried out twice.
    pub posts: Share,
    /// What they do after a failure or in vain waiting.
    pub reload: Option<Reload>,
    /// What they do after a limit's page.
    pub after_limit: Option<Reload>,
    /// The settings in force with [`Scenario::policies`].
    pub policies: Settings,
}

/// One of the things that clients ask for.
#[derive(Clone, PartialEq, Debug)]
pub struct Visit {
    /// Its name.
    pub name: String,
    /// Its weight at points in time, joined by straight lines.
    pub weight: Vec<(Moment, f64)>,
    /// Whom.
    pub service: usize,
    /// Which of its routes.
    pub route: usize,
    /// The limit that covers it, if any does.
    pub limit: Option<usize>,
}

/// Trying again.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Reload {
    /// This share of those who failed does.
    pub share: Share,
    /// After so long …
    pub after: Duration,
    /// … give or take this.
    pub jitter: Duration,
    /// So many times at most.
    pub at_most: u32,
    /// Reloads are at most this many times the first requests of the last ten seconds.
    pub ceiling: f64,
}

/// Something that goes wrong.
#[derive(Clone, PartialEq, Debug)]
pub struct Fault {
    /// When.
    pub at: Moment,
    /// For how long; none: for good.
    pub lasts: Option<Duration>,
    /// What.
    pub what: Trouble,
}

/// What goes wrong.
#[derive(Clone, PartialEq, Debug)]
pub enum Trouble {
    /// Instances die with all that they are doing; the fleet starts others.
    Kill(Those),
    /// Instances answer nothing, and use nothing.
    Hang(Those),
    /// Instances work at this share of their speed.
    Slow(Those, Share),
    /// Instances answer after this time, whatever they do.
    Delay(Those, Duration),
    /// Instances answer 500 for this share.
    Fail(Those, Share),
    /// A machine of a compartment is gone.
    LoseNodes(usize, u32),
    /// The network is like this.
    Network(Network),
    /// A cache forgets this share of what it holds, the most popular first.
    Flush(usize, Share),
}

/// Some instances of a service: the first `count`, all without it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Those {
    /// Whose.
    pub service: usize,
    /// How many.
    pub count: Option<u32>,
}

/// What people do.
#[derive(Clone, PartialEq, Debug)]
pub struct Action {
    /// When.
    pub at: Moment,
    /// What.
    pub what: Deed,
}

/// What people can do.
#[derive(Clone, PartialEq, Debug)]
pub enum Deed {
    /// Ask for so many instances more, or fewer.
    Scale(usize, i32),
    /// Add machines to a compartment.
    AddNodes(usize, u32),
    /// Stop this share of the instances that are not critical in a compartment.
    StopNonCritical(usize, Share),
}

/// A list of pass lines.
#[derive(Clone, PartialEq, Debug)]
pub struct Acceptance {
    /// Its name.
    pub name: String,
    /// The policies that it is about; none: those of the scenario.
    pub policies: Option<(Preset, FleetPreset)>,
    /// Whether operators act in the run that it is about. Lines may say otherwise.
    pub operators: bool,
    /// Of this many seeds …
    pub seeds: u32,
    /// … so many must pass.
    pub must_pass: u32,
    /// What must be seen.
    pub lines: Vec<PassLine>,
}

/// What must be seen.
#[derive(Clone, PartialEq, Debug)]
pub struct PassLine {
    /// Its name.
    pub name: String,
    /// It in words.
    pub says: String,
    /// Whether operators act in the run that it is about; none: as in its list.
    pub operators: Option<bool>,
    /// The series that it looks at, `search.p99`.
    pub series: String,
    /// What is made of the series.
    pub take: Take,
    /// The series is divided by its mean over this window first.
    pub relative_to: Option<(Moment, Moment)>,
    /// What is right.
    pub bound: Bound,
}

/// What is made of a series: a number, or a time.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Take {
    /// Its value at a moment.
    At(Moment),
    /// Its highest value in a window.
    Most(Moment, Moment),
    /// Its lowest value in a window.
    Least(Moment, Moment),
    /// Its mean over a window.
    Mean(Moment, Moment),
    /// Its sum over a window.
    Total(Moment, Moment),
    /// Which share of its highest mean over a minute it loses after it, within the window.
    Fall(Moment, Moment),
    /// When it is first above a value and stays there for a while.
    Above(f64, Duration),
    /// When it is first below a value and stays there for a while.
    Below(f64, Duration),
    /// When it is above a value again for a while, after the last time it was below it that long; never if it ends
    /// below.
    BackAbove(f64, Duration),
}

/// What is right.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Bound {
    /// A number from and up to.
    Number(f64, f64),
    /// A time from and up to.
    Time(Moment, Moment),
    /// A time not before this, or never.
    NotBefore(Moment),
}

impl Scenario {
    /// The same scenario with everything that has a size multiplied by `scale`: demand and limits; threads, backlogs,
    /// descriptors, pools and cores of each instance. (Retries that a budget always allows are scaled where policies are
    /// laid out.) The number of instances and what they reserve stays, so that
    /// placement is the same. The simulator's processors are coarse below full scale: an answer takes as long as at full
    /// scale, and only a lasting overload makes requests wait.
    #[must_use]
    pub fn scaled(&self, scale: f64) -> Scenario {
        let whole = |n: u32| if n == u32::MAX { n } else { ((f64::from(n) * scale).round() as u32).max(1) };
        let mut scenario = self.clone();
        scenario.scale = scale;
        for service in &mut scenario.services {
            service.threads = whole(service.threads);
            service.backlog = whole(service.backlog);
            service.descriptors = whole(service.descriptors);
            for call in service.routes.iter_mut().flat_map(|r| &mut r.calls) {
                call.pool = call.pool.map(whole);
            }
        }
        for clients in &mut scenario.clients {
            clients.demand.iter_mut().for_each(|(_, rate)| *rate *= scale);
        }
        for limit in &mut scenario.limits {
            limit.rate *= scale;
            limit.burst = whole(limit.burst);
        }
        scenario
    }
}
