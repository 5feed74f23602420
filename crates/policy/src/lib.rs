//! Every decision of Outrigger, as code that does no input or output.

mod dice;
mod step;

pub use dice::{Dice, Purpose, Streams};
pub use step::{Answer, Attempt, CallId, Ending, EndpointKey, Event, Reached, Step, Why};
