//! The parts that the measuring tools share: spans of time as people write
//! them, random draws, HTTP/1.1 framing for well-behaved peers, and a clock
//! that wakes to the microsecond.
//!
//! The tools are `relay` (the limit that a proxy can reach), `backend` (what
//! stands behind it) and `load` (what calls it). They share two cores with the
//! thing they measure, so each is as cheap as it can be: one thread, no type
//! per header, no allocation that a message does not need.

pub mod backend;
pub mod draw;
pub mod limits;
pub mod load;

pub mod message;
pub mod pace;
pub mod span;
