//! Every decision of Outrigger, as code that does no input or output.

pub mod admit;
mod books;
mod call;
mod dice;
pub mod health;
mod note;
pub mod pick;
pub mod retry;
mod step;
pub mod tape;

pub use books::{Books, Census, EndpointView, State};
pub use call::{Ask, Call};
pub use dice::{Dice, Purpose, Streams};
pub use note::{Cause, Change, Note};
pub use step::{Answer, Attempt, CallId, Ending, EndpointKey, Event, Reached, Step, Why};
