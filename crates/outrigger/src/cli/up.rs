//! `outrigger up DIR [-- CMD]`: an environment on this machine.

use super::Outcome;
use crate::plane;
use agent::desired::Desired;
use agent::{Keep, Options, Purpose, Wish};
use anyhow::Context;
use clap::Args;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

/// Start the environment of a folder on this machine: every service with its sidecars behind one edge.
#[derive(Args, Debug)]
pub(crate) struct UpArgs {
    /// The folder with `environment.toml`.
    dir: PathBuf,
    /// Run this when all is ready, then stop; its exit status is returned.
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
    /// Where the API answers [default: 127.0.0.1:7700, or the next free port].
    #[arg(long, value_name = "ADDR")]
    api: Option<SocketAddr>,
    /// Where requests from outside come in, in place of the manifest's address.
    #[arg(long, value_name = "ADDR")]
    edge: Option<SocketAddr>,
    /// Where logs, events and snapshots are kept [default: outrigger/NAME in the XDG state folder].
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Do not print what the apps write.
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) fn run(args: UpArgs) -> Outcome {
    if !args.dir.is_dir() {
        eprintln!("outrigger: {} is no folder: name the one with environment.toml", args.dir.display());
        return Ok(ExitCode::from(2));
    }
    let environment = match wire::files::load(&args.dir) {
        Ok(environment) => environment,
        Err(problems) => {
            eprint!("{problems}");
            return Ok(ExitCode::FAILURE);
        }
    };
    let folder =
        args.dir.canonicalize().with_context(|| format!("{} cannot be found", args.dir.display()))?;
    let desired = Desired::of(&environment, folder);
    let options = Options {
        program: std::env::current_exe().context("the path of this program cannot be found")?,
        state: args.state_dir.map_or_else(|| agent::default_folder(&desired.name), Ok)?,
        keep: Keep::Always,
        api: Some(args.api.map_or_else(default_api, Wish::Exactly)),
        edge: args.edge.map(Wish::Exactly),
        reached_at: Ipv4Addr::LOCALHOST.into(),
        show_apps: !args.quiet && args.command.is_empty(),
        command: args.command,
        plane: plane::within(desired.name.clone()),
        purpose: Purpose::Environment,
    };
    Ok(ExitCode::from(agent::up(desired, options)?))
}

fn default_api() -> Wish {
    Wish::OrNext(api::DEFAULT_ADDRESS.parse().expect("a constant of the form ADDRESS:PORT"))
}
