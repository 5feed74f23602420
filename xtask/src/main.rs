//! Development commands: `cargo xtask tidy | prove | bench | record-streams`.

mod bench;
mod ports;
mod prove;
mod streams;
mod tidy;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Development commands of Outrigger")]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Check the house rules: fences, sizes, text. Exit code 1 when there are problems.
    Tidy {
        /// Bring xtask/tidy-ratchet.txt down to today's sizes. Never admits a new exception.
        #[arg(long)]
        bless: bool,
    },
    /// Measure what the project claims; one JSON line each: name, value, bar, pass.
    Prove(prove::Options),
    /// Measure this proxy beside its peers, or beside a slow back end.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Record what followers and control plane say to each other, as fixtures of a new wire version.
    RecordStreams(streams::Options),
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(task: Task) -> Result<ExitCode> {
    let root = root()?;
    match task {
        Task::Tidy { bless: true } => {
            eprintln!("{}", tidy::bless(&root)?);
            Ok(ExitCode::SUCCESS)
        }
        Task::Tidy { bless: false } => {
            let problems = tidy::check(&root)?;
            problems.iter().for_each(|problem| println!("{problem}"));
            Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Task::Prove(options) => prove::run(&root, &options),
        Task::Bench(bench) => bench::run(bench).map(|()| ExitCode::SUCCESS),
        Task::RecordStreams(options) => streams::record(&root, &options).map(|()| ExitCode::SUCCESS),
    }
}

/// The repository's root: the folder above this crate.
fn root() -> Result<PathBuf> {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().map(PathBuf::from).context("this crate lies in a folder of the repository")
}
