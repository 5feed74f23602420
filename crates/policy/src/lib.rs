//! Every decision of Outrigger, as code that does no input or output.
//!
//! Read [`Step`] and [`Event`] first (`step.rs`: the whole conversation between a call and its driver), then [`Call`]
//! (the conductor), then [`Books`] (what outlives a call, and how the policies are put together). Each policy has a page
//! of its own with its rule, reason, formula, worked example and source:
//!
//! | page | decides |
//! |---|---|
//! | [`admit::Queue`] | whether a call goes on, waits or is refused: limit and bounded queue |
//! | [`admit::Allowance`] | whether a key's request is over its rate (for the edge; a call does not ask it yet) |
//! | [`pick::two_choices`], [`pick::Latency`] | which endpoint is asked: the cheaper of two, by latency and waiting calls |
//! | [`pick::part`] | how large a newcomer's share may be |
//! | [`health::Breaker`], [`health::Percentile95`] | when an endpoint rests and how it comes back; what is slow |
//! | [`health::Outlier`] | when an endpoint is taken out after failures in a row |
//! | [`retry::Budget`], [`retry::back_off`], [`retry::hedge_at`] | whether there may be another attempt, and when |
//! | `books/judge.rs` | what the end of an attempt teaches each of them |
//! | [`fleet::autoscale`] | how many instances a service has, and which get theirs first |
//! | [`fleet::placement`] | on which node an instance runs, and who gives way |
//! | [`fleet::reservation`] | what is reserved for an instance, and what is taken back at once |
//! | [`fleet::watchdog`] | which instance is killed: one that is dead, not one that is slow |
//! | [`tape`] | all of it in text, to be played again |
//!
//! # Dictionary
//! A *call* is one logical request; it makes one or more *attempts* (*tries* in settings), each at an *endpoint* (an
//! instance, as callers know it). A *refusal* is an answer that Outrigger gives instead of an instance. An endpoint is
//! *admitting*, *resting* or *probing* by its breaker, *ejected* by failures in a row, in *slow start* while it is new;
//! the first and the last are *available*. In *panic* so few are available that all are asked.
//!
//! # Invariants
//! * No clock, no randomness, no input or output: `now` and [`Dice`] are passed in. The same inputs give the same steps
//!   on every machine, and the simulator runs this very code.
//! * After any sequence of events, a dropped driver included, in flight, pending and queue return to zero.
//! * At most so many attempts as the rule says, and two at once; one answer; no attempt after the answer; no further
//!   attempt that is not safe; none beyond the budget. (`tests/any_sequence.rs` checks this and the one before against a
//!   naive model.)
//! * No lock, no iteration over a hash map, at most 128 bytes for an endpoint, nothing allocated for a request.
//! * There is no error type for decisions: a decision cannot fail, it is a step with a reason.

pub mod admit;
mod books;
mod call;
mod dice;
pub mod fleet;
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
