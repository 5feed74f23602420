//! What the books tell people: an endpoint began to rest, was taken out, came back, and why.

use model::Moment;

/// Something that happened to an endpoint, or to the service as a whole, that an operator wants to read.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Note {
    /// When.
    pub at: Moment,
    /// The driver's handle of the endpoint; none where it concerns all of them.
    pub handle: Option<u32>,
    /// What happened.
    pub change: Change,
    /// Why.
    pub cause: Cause,
    /// Until when it holds, where that is known.
    pub until: Option<Moment>,
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Change {
    /// The breaker gives the endpoint a rest.
    Resting,
    /// The rest is over and a few calls try the endpoint.
    Probing,
    /// The endpoint gets its full share again.
    Admitting,
    /// The endpoint is out after failures in a row.
    Ejected,
    /// The endpoint is back in after its ejection.
    Returned,
    /// So few endpoints are available that all are used, whatever their state.
    Panic,
    /// Enough endpoints are available again.
    PanicOver,
}

/// Why it happened.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Cause {
    /// Too large a share of its calls failed.
    Failures,
    /// Too large a share of its calls was slow.
    Slowness,
    /// A probe failed or was slow.
    ProbeFailed,
    /// Failures in a row.
    InARow,
    /// The time for it had come.
    Time,
    /// Its probes went well.
    ProbesWentWell,
    /// The share of available endpoints crossed the panic threshold.
    Availability,
}

impl Change {
    /// The word in events and logs; breaker states carry the word that runbooks use beside ours.
    pub const fn word(self) -> &'static str {
        match self {
            Change::Resting => "resting (open)",
            Change::Probing => "probing (half-open)",
            Change::Admitting => "admitting (closed)",
            Change::Ejected => "ejected",
            Change::Returned => "returned",
            Change::Panic => "panic",
            Change::PanicOver => "panic-over",
        }
    }
}

impl Cause {
    /// The word in events and logs.
    pub const fn word(self) -> &'static str {
        match self {
            Cause::Failures => "failures",
            Cause::Slowness => "slowness",
            Cause::ProbeFailed => "probe-failed",
            Cause::InARow => "failures-in-a-row",
            Cause::Time => "time",
            Cause::ProbesWentWell => "probes-went-well",
            Cause::Availability => "availability",
        }
    }
}
