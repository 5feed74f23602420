//! `outrigger validate PATH`: are the manifests of a folder right, or is a scenario's file?

use super::{Outcome, Output, OutputArgs};
use clap::Args;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use wire::files::{ENVIRONMENT_FILE, Problem, Problems, SERVICE_FILE, load, load_scenario, load_service};

/// Check the manifests of a folder, or a scenario's file, without running anything.
#[derive(Args, Debug)]
pub(crate) struct ValidateArgs {
    /// The folder with `environment.toml`, or with one `service.toml`; or the file of a scenario.
    path: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
}

/// What manifests amount to that are in order.
struct Sizes {
    services: u64,
    instances: u64,
}

pub(crate) fn run(args: ValidateArgs) -> Outcome {
    let path = &args.path;
    if let Some(why) = neither(path) {
        eprintln!("outrigger: {} {why}", path.display());
        return Ok(ExitCode::from(2));
    }
    let result = if path.is_dir() { check(path) } else { check_scenario(path) };
    match (args.output.output, &result) {
        (Output::Json, _) => writeln!(io::stdout(), "{}", api::encode_pretty(&validation(path, &result)))?,
        (Output::Table, Ok(sizes)) => eprintln!("{}: {}, all in order", path.display(), counted(sizes)),
        (Output::Table, Err(problems)) => eprint!("{problems}"),
    }
    Ok(if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Why `path` is nothing to be checked.
fn neither(path: &Path) -> Option<&'static str> {
    match path.file_name().and_then(|name| name.to_str()) {
        _ if path.is_dir() => None,
        _ if !path.exists() => Some("is no folder and no file: name the folder with environment.toml"),
        Some(ENVIRONMENT_FILE | SERVICE_FILE) => Some("is checked with its folder: name that"),
        _ => None,
    }
}

/// Reads a scenario.
fn check_scenario(file: &Path) -> Result<Sizes, Problems> {
    let scenario = load_scenario(file)?;
    let instances = scenario.services.iter().map(|s| u64::from(s.instances)).sum();
    Ok(Sizes { services: scenario.services.len() as u64, instances })
}

/// Reads the environment in `dir`; where there is none but a service, that alone.
fn check(dir: &Path) -> Result<Sizes, Problems> {
    if !dir.join(ENVIRONMENT_FILE).exists() && dir.join(SERVICE_FILE).exists() {
        return load_service(dir).map(|_| Sizes { services: 1, instances: 1 });
    }
    let environment = load(dir)?;
    Ok(Sizes { services: environment.services.len() as u64, instances: environment.instances() })
}

fn counted(sizes: &Sizes) -> String {
    let of = |n: u64, noun: &str| format!("{n} {noun}{}", if n == 1 { "" } else { "s" });
    format!("{}, {}", of(sizes.services, "service"), of(sizes.instances, "instance"))
}

fn validation(path: &Path, result: &Result<Sizes, Problems>) -> api::Validation {
    let sizes = result.as_ref().ok();
    api::Validation {
        version: api::VERSION,
        folder: path.display().to_string(),
        services: sizes.map(|s| s.services),
        instances: sizes.map(|s| s.instances),
        mistakes: result.as_ref().err().map_or(&[][..], Problems::all).iter().map(mistake).collect(),
    }
}

fn mistake(problem: &Problem) -> api::Mistake {
    api::Mistake {
        file: problem.file.clone(),
        line: problem.line as u64,
        column: problem.column as u64,
        width: problem.width as u64,
        path: problem.path.clone(),
        message: problem.message.clone(),
        mend: problem.mend.clone(),
    }
}
