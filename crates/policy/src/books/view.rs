//! The books as others see them: for metrics, for people.

use model::Moment;
use std::time::Duration;

/// The state of an endpoint.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum State {
    /// It gets its full share.
    Admitting,
    /// It is new and its share is capped.
    SlowStart,
    /// Its breaker gives it a rest.
    Resting,
    /// After a rest: a few calls try it.
    Probing,
    /// It is out after failures in a row.
    Ejected,
}

impl State {
    /// Every state.
    pub const ALL: [State; 5] =
        [State::Admitting, State::SlowStart, State::Resting, State::Probing, State::Ejected];

    /// Whether it counts as available: what is below the panic threshold are those.
    pub const fn is_available(self) -> bool {
        matches!(self, State::Admitting | State::SlowStart)
    }

    /// The word in labels and output.
    pub const fn word(self) -> &'static str {
        match self {
            State::Admitting => "admitting",
            State::SlowStart => "slow-start",
            State::Resting => "resting",
            State::Probing => "probing",
            State::Ejected => "ejected",
        }
    }
}

/// The books in numbers, for metrics.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Census {
    /// Endpoints with their full share.
    pub admitting: u32,
    /// Newcomers.
    pub slow_start: u32,
    /// Endpoints at rest.
    pub resting: u32,
    /// Endpoints being tried after a rest.
    pub probing: u32,
    /// Endpoints that are out after failures in a row.
    pub ejected: u32,
    /// Whether so few are available that all are used.
    pub panic: bool,
    /// Calls that hold a slot.
    pub in_flight: u32,
    /// Attempts that wait for an answer.
    pub pending: u32,
    /// How many calls may hold a slot; none: as many as come.
    pub limit: Option<u32>,
    /// Calls that wait for a slot.
    pub queue: u32,
    /// How much of the retry budget is left, from 0 (none) to 1 (all that it can hold).
    pub retry_budget: f64,
}

/// One endpoint, for people.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct EndpointView {
    /// The driver's handle.
    pub handle: u32,
    /// Its state.
    pub state: State,
    /// Until when it rests or is out.
    pub until: Option<Moment>,
    /// The estimate of its latency; none before its first answer.
    pub latency: Option<Duration>,
    /// Attempts that wait for its answer.
    pub pending: u32,
}
