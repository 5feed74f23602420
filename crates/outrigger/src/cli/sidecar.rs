//! `outrigger sidecar --snapshot FILE --admin ADDR`: the proxy beside one instance.

use super::Outcome;
use anyhow::Context as _;
use clap::Args;
use model::Snapshot;
use sidecar::{Options, Ready};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// Run one sidecar from a snapshot file.
#[derive(Args, Debug)]
pub(crate) struct SidecarArgs {
    /// The file that says where to listen and whom to call; read again on SIGHUP and POST /reload.
    #[arg(long, value_name = "FILE")]
    snapshot: PathBuf,
    /// End when stdin ends: it is a pipe whose other end the agent holds.
    #[arg(long)]
    lifeline: bool,
    #[command(flatten)]
    process: ProcessArgs,
}

/// What a sidecar and a proxy have in common as processes.
#[derive(Args, Debug)]
pub(crate) struct ProcessArgs {
    /// Where it tells about itself (GET / lists the pages); must be a loopback address.
    #[arg(long, value_name = "ADDR")]
    admin: Option<SocketAddr>,
    /// Worker threads.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: u16,
    /// Write a line of JSON for each request to this file; `-` is stdout.
    #[arg(long, value_name = "FILE")]
    access_log: Option<PathBuf>,
    /// Record every step of every call to this file, to be replayed.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Decides every draw of the policies, so that a recording can be repeated.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
}

pub(crate) fn run(args: SidecarArgs) -> Outcome {
    let name = args.snapshot.display().to_string();
    let text = std::fs::read_to_string(&args.snapshot).with_context(|| format!("cannot read {name}"))?;
    let snapshot = match wire::files::decode_snapshot(&text, &name) {
        Ok(snapshot) => snapshot,
        Err(problems) => {
            eprint!("{problems}");
            return Ok(ExitCode::FAILURE);
        }
    };
    let lifeline = args.lifeline;
    start(snapshot, Some((args.snapshot, lifeline)), &args.process, |_| {})
}

/// Runs a sidecar as a process. `file` is the snapshot's, with whether stdin is a lifeline.
pub(crate) fn start(
    snapshot: Snapshot,
    file: Option<(PathBuf, bool)>,
    process: &ProcessArgs,
    ready: impl FnOnce(&Ready),
) -> Outcome {
    if let Some(admin) = process.admin.filter(|a| !a.ip().is_loopback()) {
        eprintln!(
            "outrigger: --admin {admin}: administration listens on loopback only: write 127.0.0.1:PORT"
        );
        return Ok(ExitCode::from(2));
    }
    let lifeline = file.as_ref().is_some_and(|(_, lifeline)| *lifeline);
    let options = Options {
        snapshot,
        file: file.map(|(path, _)| path),
        workers: usize::from(process.workers),
        admin: process.admin,
        access_log: process.access_log.clone(),
        record: process.record.clone(),
        seed: process.seed,
        lifeline,
    };
    sidecar::run(options, ready)?;
    Ok(ExitCode::SUCCESS)
}
