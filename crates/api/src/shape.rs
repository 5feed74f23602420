//! The shapes: what is said about environments, services, instances, events, logs and operations.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version of every shape in this crate.
pub const VERSION: u32 = 1;

/// The longest body, in bytes, that agents, people and control planes take from each other: a list of 10,000 instances has
/// some 1.5 MB, and as many refusals have some 3 MB.
pub const BODY_AT_MOST: usize = 8 << 20;

/// An environment as a whole.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Environment {
    /// [`VERSION`].
    pub version: u32,
    /// Its name.
    pub name: String,
    /// How far it is.
    pub state: EnvironmentState,
    /// The folder that it was read from.
    pub folder: String,
    /// Where it keeps logs, events and snapshots.
    pub state_folder: String,
    /// Process id of its agent.
    pub pid: u32,
    /// When it was started.
    pub since: String,
    /// Where this API answers.
    pub api: String,
    /// Where requests from outside come in; none if it has no edge.
    pub edge: Option<String>,
    /// A forward proxy that knows every service by name.
    pub outbound: Option<String>,
}

/// How far an environment is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EnvironmentState {
    /// Not every instance is in rotation yet.
    Starting,
    /// Every instance has been in rotation, every job done.
    Ready,
    /// It is being stopped.
    Stopping,
    /// It could not be started and is being stopped.
    Failed,
}

/// All services.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Services {
    /// [`VERSION`].
    pub version: u32,
    /// In the order of their names.
    pub services: Vec<Service>,
}

/// A service.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// `service` or `job`.
    pub kind: String,
    /// How many instances it should have.
    pub instances: u32,
    /// How many of them callers are sent to; for a job: how many are done.
    pub in_rotation: u32,
    /// How often its instances were started again.
    pub restarts: u64,
    /// The services that it says it calls.
    pub dependencies: Vec<String>,
}

/// All instances.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Instances {
    /// [`VERSION`].
    pub version: u32,
    /// In the order of their names, the edge first.
    pub instances: Vec<Instance>,
}

/// An instance with its sidecar.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Instance {
    /// Its name.
    pub name: String,
    /// Its service; none for the edge.
    pub service: Option<String>,
    /// How far it is.
    pub state: InstanceState,
    /// Why it is not in rotation, where there is a reason.
    pub reason: Option<String>,
    /// Since when it has been in this state.
    pub since: String,
    /// Process id of the app, while it runs.
    pub pid: Option<u32>,
    /// Process id of the sidecar, while it runs.
    pub sidecar_pid: Option<u32>,
    /// Where the app listens.
    pub app: Option<String>,
    /// Where callers reach it: the inbound side of its sidecar.
    pub inbound: Option<String>,
    /// Where its app calls others by name: the outbound side of its sidecar.
    pub outbound: Option<String>,
    /// Where its sidecar tells about itself.
    pub admin: Option<String>,
    /// How often its app was started again.
    pub restarts: u64,
    /// How often its sidecar was started again.
    pub sidecar_restarts: u64,
}

/// How far an instance is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceState {
    /// Waits for the services that it calls to be there first.
    Waiting,
    /// Its sidecar is being started.
    SidecarStarting,
    /// Its app was started and has not passed its startup probe yet.
    Starting,
    /// Its app answers, but not every caller knows of it, or its sidecar is away.
    OutOfRotation,
    /// Callers are sent to it.
    InRotation,
    /// Callers are being told that it leaves, or its last requests are being finished.
    Draining,
    /// Its app was told to stop.
    Stopping,
    /// Its app ended and will be started again after a while.
    BackingOff,
    /// A job that ended well.
    Done,
    /// It ended badly too often and is not started again by itself.
    Failed,
    /// Nothing of it runs.
    Stopped,
}

impl InstanceState {
    /// The word for people and labels, the same as in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            InstanceState::Waiting => "waiting",
            InstanceState::SidecarStarting => "sidecar-starting",
            InstanceState::Starting => "starting",
            InstanceState::OutOfRotation => "out-of-rotation",
            InstanceState::InRotation => "in-rotation",
            InstanceState::Draining => "draining",
            InstanceState::Stopping => "stopping",
            InstanceState::BackingOff => "backing-off",
            InstanceState::Done => "done",
            InstanceState::Failed => "failed",
            InstanceState::Stopped => "stopped",
        }
    }
}

/// Something that happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Counts up by one from event to event, from 1 at the environment's start.
    pub seq: u64,
    /// When.
    pub time: String,
    /// What, in one word.
    pub kind: String,
    /// Of which service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Of which instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Why, in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// A sentence for people.
    pub text: String,
}

/// Events, oldest first.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Events {
    /// [`VERSION`].
    pub version: u32,
    /// The events.
    pub events: Vec<Event>,
    /// Ask `after` this number for what comes next.
    pub next: u64,
    /// How many asked-for events are forgotten by now; they are in the file of the state folder.
    pub lost: u64,
}

/// A line that an app wrote.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LogLine {
    /// Counts up over all instances of the environment, so that lines can be put in order.
    pub seq: u64,
    /// When it was read.
    pub time: String,
    /// Which instance wrote it.
    pub instance: String,
    /// The line without its end.
    pub text: String,
}

/// Lines of one or more apps, oldest first.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Logs {
    /// [`VERSION`].
    pub version: u32,
    /// The lines.
    pub lines: Vec<LogLine>,
    /// Ask `after` this number for what comes next.
    pub next: u64,
}

/// Work that takes a while, such as a rolling restart.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Operation {
    /// [`VERSION`].
    pub version: u32,
    /// Its number.
    pub id: u64,
    /// How far it is.
    pub state: OperationState,
    /// Instances that are through.
    pub done: u32,
    /// Instances in all.
    pub total: u32,
    /// What happened since `after`, one line each.
    pub progress: Vec<Progress>,
    /// Ask `after` this number for what comes next.
    pub next: u64,
}

/// A step of an operation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    /// Counts up from 1 within the operation.
    pub seq: u64,
    /// When.
    pub time: String,
    /// A sentence for people.
    pub text: String,
}

/// How far an operation is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OperationState {
    /// It goes on.
    Running,
    /// It is through.
    Done,
    /// It was given up; the last step says why.
    Failed,
}

/// Why a request to the API was not answered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// [`VERSION`].
    pub version: u32,
    /// The reason in one word.
    pub problem: String,
    /// A sentence for people, with the way out.
    pub text: String,
    /// With `stale`: the incarnation that was known; a later process has a higher one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<u64>,
}

impl Problem {
    /// The problem called `problem`, with `text` for people.
    pub fn new(problem: impl Into<String>, text: impl Into<String>) -> Problem {
        Problem { version: VERSION, problem: problem.into(), text: text.into(), known: None }
    }
}
