//! Which endpoint is asked: what each costs, and how large a newcomer's share may be.

mod latency;
mod slow_start;
mod two;

pub use latency::{Latency, UNKNOWN};
pub use slow_start::{part, part_at_least};
pub use two::two_choices;
