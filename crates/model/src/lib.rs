//! Nouns and units that every room shares: names, addresses, settings, snapshots, reasons.
//!
//! This crate knows no clock, no socket, no serialisation and no policy. What is in it has already been
//! checked: a value of one of these types is valid by construction, and whoever reads bytes (`wire`) turns
//! them into these types or says what is wrong with them.

mod change;
mod endpoint;
pub mod fleet;
mod importance;
mod manifest;
mod name;
mod reason;
mod registration;
pub mod scenario;
mod settings;
mod snapshot;
mod time;
mod units;

pub use change::{Change, Difference, Effect, Summary, fingerprint};
pub use endpoint::Endpoint;
pub use fleet::FleetPreset;
pub use importance::Importance;
pub use manifest::{
    Edge, Environment, EnvironmentManifest, EnvironmentService, Liveness, Member, Probe, Restart, Run,
    ServiceKind, ServiceManifest, Startup, Variables,
};
pub use name::{AgentName, BadName, InstanceName, ServiceName};
pub use reason::{Fault, Reason, Retryable};
pub use registration::{Registration, Settled};
pub use scenario::TimeOfDay;
pub use settings::{
    Balancing, Bounds, Breaker, Ejection, Hedge, Limit, Preset, Rate, Retry, Settings, SlowStart, Timeouts,
};
pub use snapshot::{App, Direction, EdgeRoute, Listener, Peer, Role, Service, Snapshot};
pub use time::Moment;
pub use units::{BadShare, Share};
