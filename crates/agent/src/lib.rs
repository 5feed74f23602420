//! The agent: starts, watches and stops the instances of an environment with their sidecars, on one node.
//!
//! Read in this order: [`desired`] (what should be), [`observed`] (what is), [`plan`] (what to do: pure), `act` (does
//! it), [`up`] (the loop around them). [`plane`] is whom it tells who may be called.
//! *observe → plan → act → observe*: only `act` and what it calls touch processes, files and sockets.

mod act;
pub mod adopt;
mod agent;
mod ask;
mod build;
mod change;
mod child;
pub mod desired;
mod events;
pub mod exit;
mod guard;
mod health;
mod logs;
pub mod observed;
pub mod plan;
pub mod plane;
mod ports;
mod progress;
mod registrar;
mod serve;
mod signals;
mod snapshots;
mod state;
mod terminal;
mod tree;
mod up;
mod view;

pub use guard::stand_guard;
pub use state::{Keep, StateError, default_folder};
pub use tree::machine;
pub use up::{Options, Purpose, UpError, Wish, up};
