//! What a run of a scenario was like, as data: series of numbers, a log of what happened, counts. Whoever asked for the
//! run renders it.

use model::{Moment, Reason, Share, TimeOfDay};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a run of a scenario was like.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Report {
    /// The scenario's name.
    pub scenario: String,
    /// The policies that were in force, in a few words: `allegro-2018`, `default`, `default without retry`.
    pub policies: String,
    /// Whether the operators acted.
    pub operators: bool,
    /// The seed of all chance.
    pub seed: u64,
    /// The scale.
    pub scale: f64,
    /// The time of day at [`Moment::ZERO`].
    pub starts: TimeOfDay,
    /// The time between two values of a series.
    pub every: Duration,
    /// The services, in the scenario's order.
    pub services: Vec<String>,
    /// The compartments, in the scenario's order.
    pub compartments: Vec<String>,
    /// The clients, in the scenario's order.
    pub clients: Vec<String>,
    /// Series by name: value `i` is about the time from `i` to `i + 1` times [`Report::every`]. See [`SERIES`]. Shares,
    /// percentiles and attempts for each call look back over ten seconds, so that a second with few requests says
    /// something; where there was nothing at all they are not a number.
    pub series: BTreeMap<String, Vec<f32>>,
    /// What happened, in order.
    pub log: Vec<Entry>,
    /// Requests of clients by how they ended, over the whole run.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Promises that the run broke (nothing lost or answered twice, budgets kept, reserved within capacity, every
    /// refusal with a reason), in words; none is what we want.
    pub broken: Vec<String>,
    /// Events that were played.
    pub events: u64,
    /// A hash of everything that happened, in order: equal runs have equal hashes.
    pub hash: u64,
}

pub use model::scenario::SERIES;

/// How a request of a client ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Outcome {
    /// A useful answer, in time.
    Success,
    /// An answer of 500 and above.
    Failure,
    /// A limit's page at the edge.
    Limited,
    /// A refusal by a sidecar.
    Refused(Reason),
    /// The client lost its patience.
    TimedOut,
    /// It was under way when the run ended.
    Unfinished,
}

impl Outcome {
    /// The word in output.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Success => "success",
            Outcome::Failure => "failure",
            Outcome::Limited => "limited",
            Outcome::Refused(reason) => reason.word(),
            Outcome::TimedOut => "timed-out",
            Outcome::Unfinished => "unfinished",
        }
    }
}

/// Something that happened.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// When.
    pub at: Moment,
    /// What.
    pub what: Occurrence,
}

/// What can happen. Services, compartments and clients are named by their position in the report's lists.
#[derive(Clone, PartialEq, Debug)]
pub enum Occurrence {
    /// A fault of the scenario begins, in words.
    FaultBegan(String),
    /// It is over.
    FaultEnded(String),
    /// An operator does something, in words.
    Operator(String),
    /// A service is asked to have another number of instances, by the autoscaler.
    Scaled {
        /// Which service.
        service: usize,
        /// Before.
        from: u32,
        /// After.
        to: u32,
        /// Why: a word of `policy::fleet`.
        reason: &'static str,
    },
    /// Instances that were wanted could not be placed.
    Unplaced {
        /// Which service.
        service: usize,
        /// How many.
        count: u32,
        /// Why: a word of `policy::fleet`.
        reason: &'static str,
    },
    /// An instance begins to start.
    Starting {
        /// Which service.
        service: usize,
        /// Which instance: a number that is never used again within the service.
        instance: u32,
    },
    /// An instance is open.
    Open {
        /// Which service.
        service: usize,
        /// Which instance.
        instance: u32,
    },
    /// An instance was stopped.
    Stopped {
        /// Which service.
        service: usize,
        /// Which instance.
        instance: u32,
        /// Why: a word.
        reason: &'static str,
    },
    /// The watchdog killed an instance.
    Killed {
        /// Which service.
        service: usize,
        /// Which instance.
        instance: u32,
        /// Why: a word of `policy::fleet`.
        reason: &'static str,
        /// How long it had been healthy.
        healthy_for: Duration,
    },
    /// Instances that had waited for it begin with their warm-up.
    WarmUps {
        /// Which service.
        service: usize,
        /// So many.
        begin: u32,
        /// So many still wait.
        waiting: u32,
        /// Why they may, or the others may not: a word of `policy::fleet`.
        reason: &'static str,
    },
    /// Reservations of a service were changed.
    Resized {
        /// Which service.
        service: usize,
        /// Cores of each instance before.
        from: f64,
        /// Cores of each instance after.
        to: f64,
        /// Why: a word of `policy::fleet`.
        reason: &'static str,
    },
    /// The first of a minute's notes of one kind that the sidecars of `caller` wrote of `service`: a breaker rested, an
    /// endpoint was ejected, panic.
    Note {
        /// Whose sidecars; a service, or none for clients.
        caller: Option<usize>,
        /// Of whom.
        service: usize,
        /// What changed: the word of `policy::Change`.
        change: &'static str,
        /// Why: the word of `policy::Cause`.
        cause: &'static str,
    },
}

/// What was found for a pass line.
#[derive(Clone, PartialEq, Debug)]
pub struct Finding {
    /// The pass line's name.
    pub name: String,
    /// It in words.
    pub says: String,
    /// What was seen; none if it never happened.
    pub value: Option<Value>,
    /// Whether that is right.
    pub passed: bool,
}

/// A number or a time.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Value {
    /// A number, in the unit of its series.
    Number(f64),
    /// A time.
    Time(Moment),
}

/// What a swarm of seeds found for a list of pass lines.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Verdict {
    /// The list's name.
    pub name: String,
    /// Each seed with what was found.
    pub seeds: Vec<(u64, Vec<Finding>)>,
    /// How many seeds must pass.
    pub must_pass: u32,
}

impl Verdict {
    /// Seeds that passed every line.
    pub fn passed(&self) -> usize {
        self.seeds.iter().filter(|(_, findings)| findings.iter().all(|f| f.passed)).count()
    }
}

/// A row of a comparison: a set of policies with what it came to over the seeds.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    /// The policies in a few words.
    pub policies: String,
    /// Availability for people over the scenario's window of trouble: median and worst seed.
    pub availability: (Share, Share),
    /// Minutes below one half: median and worst seed.
    pub minutes_below_half: (f64, f64),
    /// Kills: median and worst seed.
    pub kills: (u64, u64),
    /// Attempts for each call over the window: median and worst seed.
    pub attempts: (f64, f64),
    /// Instances that could not be placed: median and worst seed.
    pub unplaced: (u64, u64),
}
