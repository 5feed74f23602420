//! The caller: sends requests at a rate that does not bend to the answers, and
//! counts what became of each.
//!
//! **Open loop** (`--rate`): the moment at which each request is meant to leave
//! is fixed beforehand. Latency counts from that moment, so that a stall of the
//! far side, which delays the requests behind it, is not hidden ("coordinated
//! omission": Gil Tene, "How not to measure latency", 2013). When all
//! connections are busy another one is opened, up to `--max-connections`;
//! beyond that requests wait, and the wait is part of their latency.
//!
//! **Closed loop** (`--closed`): each connection sends when its last answer has
//! come. That finds the throughput, not the latency.
//!
//! **Hold** (`--hold`): each connection sends one request and then stays idle,
//! so that the far side's memory can be read.
//!
//! A request that misses `--timeout` counts as failed at its deadline and its
//! connection is closed. Percentiles are those of the successful requests;
//! failures are counted by class beside them.

mod closed_loop;
mod connection;
mod failure;
mod hold;
mod open_loop;
mod options;
mod report;
mod request;
mod tally;

pub use options::{Mode, Options};
pub use report::{Percentiles, Report};

use std::rc::Rc;

/// Runs the load that `options` asks for. Needs a `LocalSet`.
///
/// # Errors
/// When the options contradict each other, the host is unknown, or a file or
/// timer cannot be opened. Failed requests are no errors: they are the report.
pub async fn run(options: Options) -> anyhow::Result<Report> {
    let target = Rc::new(options.target()?);
    match options.mode()? {
        Mode::Open { rate } => open_loop::run(options, target, rate).await,
        Mode::Closed => closed_loop::run(options, target).await,
        Mode::Hold => hold::run(options, target).await,
    }
}

#[cfg(test)]
mod tests;
