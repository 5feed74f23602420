//! The first, small world: one sidecar and its instances. It gives way to `world.rs`.

mod chance;
pub mod checks;
mod clock;
mod drive;
mod instance;
mod report;
pub mod scenario;
pub mod world;

pub use instance::{Service, Slowdown};
pub use report::{Outcome, Report};
pub use scenario::{slow_back_end, slow_back_end_with};
