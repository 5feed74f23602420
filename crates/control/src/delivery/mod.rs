//! How every change reaches the followers that need it.
//!
//! Read in this order: [`table`](mod@table) is what can be followed, [`Conversation`] is the protocol with one
//! follower, both pure; [`Hub`] puts them together, and [`serve`] carries it over sockets.

mod conversation;
mod hub;
mod pace;
mod publish;
pub mod serve;
pub mod table;

pub use conversation::{Conversation, Lag, Reaction, Refusal, TooMuch};
pub use hub::{Follower, Hub, Stream, Trouble};
pub use pace::Pace;
pub use publish::Publisher;
