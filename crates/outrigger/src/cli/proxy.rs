//! `outrigger proxy --listen ADDR --to ADDR[,ADDR…]`: the data path as a one-line reverse proxy.

use super::Outcome;
use clap::Args;
use std::net::SocketAddr;

/// Forward what comes in at one address to others, with all policies and no file.
#[derive(Args, Debug)]
pub(crate) struct ProxyArgs {
    /// Where to listen.
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
    /// Where to forward to.
    #[arg(long, value_name = "ADDR", required = true, value_delimiter = ',')]
    to: Vec<SocketAddr>,
}

pub(crate) fn run(args: ProxyArgs) -> Outcome {
    anyhow::bail!("`proxy` is not built yet ({args:?})")
}
