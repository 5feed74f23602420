//! What `drill` says of the runs of a scenario.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a drill gave.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Drill {
    /// [`crate::VERSION`].
    pub version: u32,
    /// The scenario's name.
    pub scenario: String,
    /// What the full demand was multiplied by.
    pub scale: f64,
    /// What is typed to see the same again.
    pub command: String,
    /// How long all runs took together, as a clock on the wall saw it.
    pub wall_ms: u64,
    /// The part of the day that the figures are about: from and to, `HH:MM:SS`.
    pub window: [String; 2],
    /// The run that the drill is about, and the one beside it, if there is one.
    pub runs: Vec<DrillRun>,
    /// Policies compared over the seeds; empty unless that was asked for.
    pub compared: Vec<DrillRow>,
    /// Lists of pass lines by name, those that were asked for.
    pub acceptance: BTreeMap<String, DrillAcceptance>,
}

/// One run. Numbers are null where there was nothing to measure.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DrillRun {
    /// The policies in a few words.
    pub policies: String,
    /// Whether the operators acted.
    pub operators: bool,
    /// The seed.
    pub seed: u64,
    /// The share of people's requests in the window that got a useful answer.
    pub availability: Option<f64>,
    /// The lowest of that over ten seconds.
    pub worst_ten_seconds: Option<f64>,
    /// Minutes of the window in which it was below one half.
    pub minutes_below_half: f64,
    /// The highest 99th percentile of useful answers to people in the window.
    pub p99_ms: Option<f64>,
    /// Attempts for each call in the window.
    pub attempts: Option<f64>,
    /// Instances that the watchdog killed.
    pub kills: u64,
    /// Of them, those that had completed a request within 30 seconds.
    pub progressing_killed: u64,
    /// Instances that found no room, the most at once.
    pub unplaced: u64,
    /// Breakers that began to rest.
    pub breakers_rested: u64,
    /// Used by reserved cores in the window.
    pub used_of_reserved: Option<f64>,
    /// Requests of clients by how they ended: `success`, `failure`, `limited`, `timed-out`, `unfinished`, or the reason of a
    /// refusal.
    pub outcomes: BTreeMap<String, u64>,
    /// Events that were played.
    pub events: u64,
    /// A hash of everything that happened, in hexadecimal digits.
    pub hash: String,
    /// Promises that the run broke; empty is what is wanted.
    pub broken: Vec<String>,
    /// What the transcript tells.
    pub timeline: Vec<DrillHappening>,
}

/// Something that the transcript tells.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DrillHappening {
    /// The time of day in the scenario, `HH:MM:SS`.
    pub time: String,
    /// Milliseconds from the beginning.
    pub at_ms: u64,
    /// In a few words, if pictures mark it.
    pub mark: Option<String>,
    /// In a sentence or two.
    pub text: String,
}

/// Policies over several seeds: median and worst.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DrillRow {
    /// The policies in a few words.
    pub policies: String,
    /// The share of people's requests that got a useful answer.
    pub availability: [f64; 2],
    /// Minutes in which it was below one half.
    pub minutes_below_half: [f64; 2],
    /// Instances that the watchdog killed.
    pub kills: [u64; 2],
    /// Attempts for each call.
    pub attempts: [f64; 2],
    /// Instances that found no room.
    pub unplaced: [u64; 2],
}

/// A list of pass lines held against several seeds.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DrillAcceptance {
    /// Seeds that passed every line.
    pub passed: u64,
    /// All seeds.
    pub of: u64,
    /// How many must pass.
    pub must_pass: u64,
    /// Whether so many did.
    pub holds: bool,
    /// Each seed.
    pub seeds: Vec<DrillSeed>,
}

/// What one seed showed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DrillSeed {
    /// The seed.
    pub seed: u64,
    /// Whether it passed every line.
    pub passed: bool,
    /// Each line.
    pub lines: Vec<DrillLine>,
}

/// What one seed showed of one line.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DrillLine {
    /// The line's name.
    pub name: String,
    /// It in words.
    pub says: String,
    /// Whether what was seen is right.
    pub passed: bool,
    /// What was seen, if it is a number.
    pub number: Option<f64>,
    /// What was seen, if it is a time of day.
    pub time: Option<String>,
}

/// The scenarios that are built in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Scenarios {
    /// [`crate::VERSION`].
    pub version: u32,
    /// Each of them.
    pub scenarios: Vec<ScenarioLine>,
}

/// One scenario in a line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ScenarioLine {
    /// Its name.
    pub name: String,
    /// What it is, in a sentence.
    pub about: String,
}
