//! Is an endpoint fit to be asked? Three pages: what is usual, the breaker, ejection.

mod baseline;
mod breaker;
mod outlier;

pub use baseline::{Percentile95, usual};
pub use breaker::{Breaker, RAMP, Seen, Verdict};
pub use outlier::{Outlier, out_at_most};
