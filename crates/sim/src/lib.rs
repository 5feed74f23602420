//! The simulator: the policies that ship, run against a world of instances and callers on a virtual clock.
//!
//! Read in this order: [`clock`] (what happens next), `world` (all that there is), `drive` (the twin of the sidecar's
//! loop: the same names, an event queue in the place of the await) with `exchange` and `desk` (the books), `workload`
//! (clients), `service` (`instance`, `work`, `life`), `fleet` (observe → plan → act), `faults`, `network`, `cache`; then
//! [`choice`] (which policies), [`report`] (what a run gives), [`accept`] and [`ablate`] (what is made of it).
//!
//! Everything follows from the seed: time is whole nanoseconds, events at the same moment come in the order in which
//! they were entered, and each source of chance has a stream of its own. Nothing here knows sockets, the system clock or
//! the machine's randomness. A run gives a [`Report`] as data; whoever asked for it renders it.

pub mod ablate;
pub mod accept;
mod cache;
mod chance;
mod checks;
pub mod choice;
pub mod clock;
mod desk;
mod drive;
mod exchange;
mod faults;
mod fleet;
mod flight;
mod layout;
mod network;
mod record;
pub mod report;
#[cfg(test)]
mod samples;
pub mod scenario;
mod service;
mod shuffle;
mod workload;
mod world;

pub use choice::{Choice, Component};
pub use report::Report;
pub use shuffle::shuffle;

use model::scenario::Scenario;

/// Plays `scenario` with the policies of `choice`, all chance drawn from `seed`.
pub fn play(scenario: &Scenario, choice: &Choice, seed: u64) -> Report {
    recorded(scenario, choice, seed, false).0
}

/// The same with a tape of every decision of every sidecar, in text: see [`policy::tape`].
pub fn play_with_tape(scenario: &Scenario, choice: &Choice, seed: u64) -> (Report, String) {
    recorded(scenario, choice, seed, true)
}

fn recorded(scenario: &Scenario, choice: &Choice, seed: u64, tape: bool) -> (Report, String) {
    match choice.shuffle {
        Some(share) => world::World::new(&shuffle(scenario, share, seed), choice, seed, tape).play(),
        None => world::World::new(scenario, choice, seed, tape).play(),
    }
}
