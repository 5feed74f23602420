//! Whether a call may go on now, waits, or is refused before an endpoint is chosen.

mod queue;

pub use queue::{Queue, Verdict};
