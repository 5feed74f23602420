//! `outrigger sidecar --snapshot FILE --admin ADDR`: the proxy beside one instance.

use super::Outcome;
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Run one sidecar from a snapshot file.
#[derive(Args, Debug)]
pub(crate) struct SidecarArgs {
    /// The file that says where to listen and whom to call; read again on SIGHUP.
    #[arg(long, value_name = "FILE")]
    snapshot: PathBuf,
    /// Where it tells about itself, on loopback.
    #[arg(long, value_name = "ADDR")]
    admin: Option<SocketAddr>,
    /// End when stdin ends: it is a pipe whose other end the agent holds.
    #[arg(long)]
    lifeline: bool,
}

pub(crate) fn run(args: SidecarArgs) -> Outcome {
    anyhow::bail!("`sidecar` is not built yet ({args:?})")
}
