//! Whether a call may go on now, waits, or is refused before an endpoint is chosen.

mod queue;
mod rate;

pub use queue::{Queue, Verdict};
pub use rate::Allowance;
