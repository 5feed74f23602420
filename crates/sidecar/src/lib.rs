//! The data plane: turns the steps of `policy` into traffic.
//!
//! Read in this order: [`serve`] (one request, on one screen), [`drive`] (the loop), [`exchange`] (the hands of a
//! call), [`upstream`] (connections to instances), [`accept`] (connections from callers), [`snapshot`] (what it
//! knows), [`desk`] (what is shared), [`run`] (the process), [`control_link`] (who tells it what is new).
//!
//! What is *not* here: a decision. Whether to try again, where to send, when to refuse is `policy`'s.
//!
//! **Why some functions stand apart.** A request runs some seven thousand different instructions, most of them once,
//! between system calls that leave the processor's caches full of the kernel. So it costs what it costs to fetch them,
//! by lines of 64 bytes, and the memory that it touches. What a usual request does not need is kept out of its way, here
//! and in `http1`: `#[cold]` where it is rare anywhere, `#[inline(never)]` where other requests may well need it.

mod accept;
mod accesslog;
mod admin;
mod buffers;
mod caller;
mod context;
mod control_link;
#[cfg(test)]
mod cost;
mod desk;
mod digits;
mod drive;
mod exchange;
mod record;
mod request;
mod respond;
mod run;
mod series;
mod serve;
mod snapshot;
mod tape;
mod timers;
mod upstream;
mod worker;

pub use control_link::Control;
pub use run::{Fault, Options, Ready, run, run_until};
