//! `cargo xtask bench`: this proxy beside its peers, and beside a slow back end; the control plane with thousands of
//! followers. All on real sockets.
//!
//! The tools that make and receive the traffic are the package `bench`; this module starts them and the peers,
//! pins them to processors, reads what they used and writes the tables. `bench/README.md` says how to read them.

mod control;
mod figures;
mod install;
mod peers;
mod process;
mod proxy;
mod slow;
mod table;
mod workshop;
mod wrk;

use anyhow::Result;
use clap::Subcommand;

/// What can be measured.
#[derive(Subcommand)]
pub(crate) enum Bench {
    /// Processor time per request, throughput, latency and memory beside a raw relay and the peers.
    Proxy(proxy::Options),
    /// Eleven back ends, one of them slow for half of the time: which share of the calls succeeds?
    SlowBackend(slow::Options),
    /// The control plane with thousands of followers: time and bytes per change, memory, what a reconnect costs.
    Control(control::Options),
}

/// Measures and prints.
///
/// # Errors
/// When a tool cannot be built, installed or started, or gives no figures.
pub(crate) fn run(bench: Bench) -> Result<()> {
    match bench {
        Bench::Proxy(options) => proxy::run(&options),
        Bench::SlowBackend(options) => slow::run(&options),
        Bench::Control(options) => control::run(&options),
    }
}
