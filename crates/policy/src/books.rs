//! Everything that outlives a call, for one service and direction.

use crate::{CallId, Dice, EndpointKey, Note, Purpose};
use model::{Moment, Settings};
use std::collections::VecDeque;
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

/// Everything that outlives a call, for one service and direction. It holds no lock: the driver does.
#[derive(Clone, Debug)]
pub struct Books {
    handles: Vec<u32>,
    pending: u32,
    in_flight: u32,
    woken: Vec<CallId>,
    notes: VecDeque<Note>,
}

impl Books {
    /// Books without endpoints; [`Books::follow`] adds them.
    pub fn new(_settings: &Settings, _now: Moment) -> Books {
        Books { handles: Vec::new(), pending: 0, in_flight: 0, woken: Vec::new(), notes: VecDeque::new() }
    }

    /// Makes the books follow a new snapshot. Endpoints that stay (same handle) keep all that was learned.
    pub fn follow(&mut self, handles: &[u32], _settings: &Settings, _now: Moment) {
        self.handles = handles.to_vec();
    }

    /// The driver's handle of an endpoint; none if it has been removed.
    pub fn handle(&self, key: EndpointKey) -> Option<u32> {
        self.handles.get(key.slot as usize).copied()
    }

    /// Calls that the driver must wake ([`crate::Event::Woken`]) because of what another call did.
    pub fn take_woken(&mut self) -> impl Iterator<Item = CallId> + '_ {
        self.woken.drain(..)
    }

    /// What happened since they were last taken; the oldest are forgotten when nobody takes them.
    pub fn take_notes(&mut self) -> impl Iterator<Item = Note> + '_ {
        self.notes.drain(..)
    }

    /// The books in numbers.
    pub fn census(&self, _now: Moment) -> Census {
        Census { in_flight: self.in_flight, pending: self.pending, ..Census::default() }
    }

    /// Each endpoint, in the order of the handles that the books follow.
    pub fn endpoints(&self, _now: Moment) -> impl Iterator<Item = EndpointView> + '_ {
        self.handles.iter().map(|&handle| EndpointView {
            handle,
            state: State::Admitting,
            until: None,
            latency: None,
            pending: 0,
        })
    }

    /// Whether nothing is under way: in flight, pending and queue are all zero.
    pub fn is_quiet(&self) -> bool {
        self.in_flight == 0 && self.pending == 0
    }

    pub(crate) fn pick(&mut self, dice: &mut impl Dice) -> Option<EndpointKey> {
        if self.handles.is_empty() {
            return None;
        }
        let slot = dice.below(Purpose::Pick, self.handles.len() as u64) as u32;
        Some(EndpointKey { slot, generation: 0 })
    }
}
