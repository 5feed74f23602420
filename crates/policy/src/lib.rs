//! Every decision of Outrigger, as code that does no input or output.

mod books;
mod call;
mod dice;
mod note;
mod step;

pub use books::{Books, Census, EndpointView, State};
pub use call::{Ask, Call};
pub use dice::{Dice, Purpose, Streams};
pub use note::{Cause, Change, Note};
pub use step::{Answer, Attempt, CallId, Ending, EndpointKey, Event, Reached, Step, Why};
