//! `outrigger sidecar --snapshot FILE --admin ADDR`: the proxy beside one instance.

use super::Outcome;
use anyhow::Context as _;
use clap::Args;
use model::Snapshot;
use sidecar::{Control, Options, Ready};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// Run one sidecar from a snapshot file.
#[derive(Args, Debug)]
pub(crate) struct SidecarArgs {
    /// The file that says where to listen and whom to call; read again on SIGHUP and POST /reload.
    #[arg(long, value_name = "FILE")]
    snapshot: PathBuf,
    /// The control plane that tells where services are and by which policies they are called: HOST:PORT.
    #[arg(long, value_name = "ADDR", value_parser = host_and_port)]
    control: Option<String>,
    /// A file with one line that says to the control plane who we are.
    #[arg(long, value_name = "FILE", requires = "control")]
    credential: Option<PathBuf>,
    /// Keep what the control plane tells in this file, and start from it.
    #[arg(long, value_name = "FILE", requires = "control")]
    last_known_good: Option<PathBuf>,
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
    let (credential, last_known_good) = (args.credential, args.last_known_good);
    let control = args.control.map(|address| Control { address, credential, last_known_good });
    let local = Local { file: args.snapshot, lifeline: args.lifeline, control };
    start(snapshot, Some(local), &args.process, |_| {})
}

/// What a sidecar has and a proxy has not.
pub(crate) struct Local {
    /// The snapshot's file.
    file: PathBuf,
    /// Whether stdin is a lifeline.
    lifeline: bool,
    control: Option<Control>,
}

/// Checks that `text` is a host, or an IP address, and a port.
fn host_and_port(text: &str) -> Result<String, String> {
    let port = text.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
    match port.and_then(|port| port.parse::<u16>().ok()).filter(|port| *port > 0) {
        Some(_) => Ok(text.to_owned()),
        _ => Err("write HOST:PORT, as in 127.0.0.1:7701".to_owned()),
    }
}

/// Runs a sidecar as a process.
pub(crate) fn start(
    snapshot: Snapshot,
    local: Option<Local>,
    process: &ProcessArgs,
    ready: impl FnOnce(&Ready),
) -> Outcome {
    if let Some(admin) = process.admin.filter(|a| !a.ip().is_loopback()) {
        eprintln!(
            "outrigger: --admin {admin}: administration listens on loopback only: write 127.0.0.1:PORT"
        );
        return Ok(ExitCode::from(2));
    }
    let (file, lifeline, control) = match local {
        Some(local) => (Some(local.file), local.lifeline, local.control),
        None => (None, false, None),
    };
    let options = Options {
        snapshot,
        file,
        control,
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
