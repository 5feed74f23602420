//! `outrigger guard`: started by the agent, not by people.

use super::Outcome;
use agent::Keep;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Outlive a killed agent for as long as it takes to end what it started.
#[derive(Args, Debug)]
#[command(hide = true)]
pub(crate) struct GuardArgs {
    /// The state folder of the environment.
    #[arg(long, value_name = "DIR")]
    state_dir: PathBuf,
    /// The mark in the environment of every process that belongs to the run.
    #[arg(long, value_name = "TEXT")]
    run: String,
    /// Remove the state folder in the end.
    #[arg(long)]
    passing: bool,
}

pub(crate) fn run(args: &GuardArgs) -> Outcome {
    let keep = if args.passing { Keep::Never } else { Keep::Always };
    agent::stand_guard(&args.state_dir, &args.run, keep)?;
    Ok(ExitCode::SUCCESS)
}
