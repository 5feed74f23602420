//! Extra attempts: whether there is budget for one, how long to wait before it, when to begin it beside a slow first.

mod backoff;
mod budget;
mod hedge;

pub use backoff::back_off;
pub use budget::Budget;
pub use hedge::hedge_at;
