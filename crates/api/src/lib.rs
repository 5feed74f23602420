//! What the running environment tells: the shapes of its HTTP API and of `-o json`, its routes, and the client
//! that the commands use.
//!
//! Every shape carries `"version": 1`. Fields are only ever added to a version; a program that reads them must
//! let fields pass that it does not know. Times are RFC 3339 in UTC with milliseconds, durations milliseconds.
//!
//! Nothing streams: what goes on is read by asking again for what came `after` the last number seen, with `wait`
//! saying how long the answer may be held back until there is something. A broken connection then loses nothing.

pub mod ask;
mod check;
mod client;
mod drill;
mod happening;
mod openapi;
mod plan;
mod plane;
mod route;
mod shape;
mod table;
mod time;
mod validation;

pub use ask::{Ask, Unanswered};
pub use check::{Check, CheckState, Checks, Explanation};
pub use client::{Client, ClientError};
pub use drill::{
    Drill, DrillAcceptance, DrillHappening, DrillLine, DrillRow, DrillRun, DrillSeed, ScenarioLine, Scenarios,
};
pub use happening::{Happening, RecentEvents};
pub use openapi::{Document, Served, openapi};
pub use plan::{Plan, PlanChange, PlanSummary, Wanted};
pub use plane::{
    Agent, AgentState, Agents, Contested, Declaration, Declarations, Heard, Join, Joined, List, Listed,
    ListedInstance, Refusal, RefusedBy, RefusedInstance, Registration, Settled, Sidecar, SidecarState, Sync,
    Token, TokenWish, Tokens, Word,
};
pub use route::{MAX_WAIT, Query, Route};
pub use shape::{
    BODY_AT_MOST, Environment, EnvironmentState, Event, Events, Instance, InstanceState, Instances, LogLine,
    Logs, Operation, OperationState, Problem, Progress, Service, Services, VERSION,
};
pub use table::{By, Found, Op, Param, ROUTES, Row, Who, find};
pub use time::rfc3339;
pub use validation::{Mistake, Validation};

/// The address at which a running environment answers unless it is told another.
pub const DEFAULT_ADDRESS: &str = "127.0.0.1:7700";

/// A shape of this crate: it can be read and written.
pub trait Shape: serde::Serialize + for<'a> serde::Deserialize<'a> {}

impl<T: serde::Serialize + for<'a> serde::Deserialize<'a>> Shape for T {}

/// Writes `shape` as one line of JSON.
pub fn encode<T: serde::Serialize>(shape: &T) -> String {
    // The shapes of this crate hold nothing that JSON cannot say (no maps with odd keys, no NaN).
    serde_json::to_string(shape).unwrap_or_default()
}

/// Writes `shape` as JSON for people to read.
pub fn encode_pretty<T: serde::Serialize>(shape: &T) -> String {
    serde_json::to_string_pretty(shape).unwrap_or_default()
}

/// Reads a shape.
///
/// # Errors
/// A text that says where `text` is not such a shape.
pub fn decode<'a, T: serde::Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|e| e.to_string())
}
