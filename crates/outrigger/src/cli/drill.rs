//! `outrigger drill SCENARIO`: an outage replayed or rehearsed with the policies that ship.

mod order;
mod policies;

use super::{Outcome, OutputArgs};
use crate::drill::library;
use clap::Args;
use model::{FleetPreset, Preset, Share};
use policies::{Policies, Swap};
use std::path::PathBuf;
use std::process::ExitCode;

/// Replay or rehearse an outage in the simulator, with the policies that ship and with others.
#[derive(Args, Debug)]
pub(crate) struct DrillArgs {
    /// A scenario that is built in, or a file with one; without it the built-in ones are listed.
    scenario: Option<String>,
    /// List the scenarios that are built in.
    #[arg(long)]
    list: bool,
    /// The seed of all chance.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Compare over this many seeds, or judge pass lines over them [default: 1, or as many as the pass lines ask for].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    seeds: Option<u64>,
    /// The first of these seeds [default: the seed].
    #[arg(long, value_name = "N")]
    first_seed: Option<u64>,
    /// Multiply demand and the size of every instance by this [default: the scenario's].
    #[arg(long, value_name = "FACTOR", value_parser = policies::scale)]
    scale: Option<f64>,
    /// Play with these policies of the request path instead of the scenario's.
    #[arg(long, value_name = "PRESET", value_parser = policies::preset)]
    policies: Option<Preset>,
    /// Play with these policies of the fleet [default: those of the same name, or the scenario's].
    #[arg(long, value_name = "PRESET", value_parser = policies::fleet)]
    fleet: Option<FleetPreset>,
    /// Play with this part of other policies, as in `retry=default`; pass lines are judged with it too.
    #[arg(long, value_name = "PART=PRESET", conflicts_with_all = ["compare", "ablate"])]
    with: Vec<Swap>,
    /// Nobody acts, whatever the scenario says.
    #[arg(long)]
    no_operators: bool,
    /// Play these two side by side: `own`, or a preset; with single parts of others as in `default,retry=off`.
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with_all = ["policies", "fleet"])]
    compare: Vec<Policies>,
    /// Compare what ships without each part of it, and the scenario's own policies with each part added.
    #[arg(long)]
    ablate: bool,
    /// Vary each fitted number of the scenario by up to this share, drawn from the seed.
    #[arg(long, value_name = "SHARE", value_parser = policies::share)]
    shuffle: Option<Share>,
    /// Judge a list of the scenario's pass lines over its seeds; the exit status is 1 if it does not hold.
    #[arg(long, value_name = "NAME")]
    accept: Vec<String>,
    /// Write the report as one page, which opens without a network.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write the plots as one picture.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Write the plots as one picture of pixels.
    #[arg(long, value_name = "FILE")]
    png: Option<PathBuf>,
    /// Write every decision of the run's sidecars into a file, to be played again.
    #[arg(long, value_name = "FILE")]
    tape: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) fn run(args: &DrillArgs) -> Outcome {
    match &args.scenario {
        Some(name) if !args.list => order::run(args, name),
        _ => list(args),
    }
}

fn list(args: &DrillArgs) -> Outcome {
    use std::io::Write as _;
    let lines = library::lines();
    let mut out = std::io::stdout().lock();
    if args.output.output == super::Output::Json {
        let line = |(name, about): (&str, String)| api::ScenarioLine { name: name.to_owned(), about };
        let scenarios = lines.into_iter().map(line).collect();
        writeln!(out, "{}", api::encode_pretty(&api::Scenarios { version: api::VERSION, scenarios }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 2;
    let room = 78_usize.saturating_sub(width).max(20);
    for (name, about) in lines {
        let mut name = name;
        for line in crate::drill::transcript::wrapped(&about, room) {
            writeln!(out, "{name:<width$}{line}")?;
            // The rest of a sentence stands below its beginning.
            name = "";
        }
    }
    eprintln!("\nNext: outrigger drill NAME");
    Ok(ExitCode::SUCCESS)
}
