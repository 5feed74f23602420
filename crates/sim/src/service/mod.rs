//! Services as they are played: their instances, what those work on, how they begin and end.

pub(crate) mod instance;
mod job;
mod life;
pub(crate) mod processor;
pub(crate) mod seen;
mod work;

pub(crate) use instance::{Instance, Stage};
pub(crate) use job::{Job, Jobs, Serves};
pub(crate) use seen::Counts;

/// A service.
#[derive(Debug, Default)]
pub(crate) struct Service {
    /// Its instances that are not gone, in the order of their beginnings.
    pub(crate) members: Vec<u32>,
    /// Those that callers know of.
    pub(crate) open: Vec<u32>,
    /// How often the list of those has changed.
    pub(crate) version: u32,
    /// How many there have ever been.
    pub(crate) begun: u32,
    /// What its callers' sidecars have counted.
    pub(crate) counts: Counts,
}
