//! `outrigger up DIR [-- CMD]`: an environment on this machine.

use super::Outcome;
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Start the environment of a folder on this machine: every service with its sidecars behind one edge.
#[derive(Args, Debug)]
pub(crate) struct UpArgs {
    /// The folder with `environment.toml`.
    dir: PathBuf,
    /// Run this when all is ready, then stop; its exit status is returned.
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
    /// Where the API answers. Unless given, the next free port is taken when this one is not.
    #[arg(long, value_name = "ADDR", default_value = api::DEFAULT_ADDRESS)]
    api: SocketAddr,
    /// Where requests from outside come in, in place of the manifest's address.
    #[arg(long, value_name = "ADDR")]
    edge: Option<SocketAddr>,
    /// Where logs, events and snapshots are kept.
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Do not print what the apps write.
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) fn run(args: UpArgs) -> Outcome {
    anyhow::bail!("`up` is not built yet ({args:?})")
}
