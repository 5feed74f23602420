//! The simulator: the policies that ship, run against a world of instances and callers on a virtual clock.
//!
//! Read in this order: `clock` (what happens next), [`world`] (instances, callers, one sidecar), `drive` (the twin of the
//! sidecar's loop: the same names, an event queue in the place of the await), [`scenario`] (what is played), [`checks`]
//! (what may never happen).
//!
//! Everything follows from the seed: time is whole nanoseconds, events at the same moment come in the order in which
//! they were entered, and each source of chance has a stream of its own. Nothing here knows sockets, the system clock or
//! the machine's randomness. A run gives a [`Report`] as data; whoever asked for it renders it.

pub mod ablate;
pub mod accept;
mod chance;
#[allow(dead_code, reason = "the world that is checked comes next")]
mod checks;
pub mod choice;
mod clock;
pub mod first;
#[allow(dead_code, reason = "the world that is recorded comes next")]
mod record;
pub mod report;
#[cfg(test)]
mod samples;
mod shuffle;

pub use shuffle::shuffle;
