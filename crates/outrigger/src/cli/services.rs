//! `outrigger services`: what is running, by service.

use super::{ApiArgs, Outcome, Output, OutputArgs, table};
use clap::Args;
use std::io::{self, Write};
use std::process::ExitCode;

/// List the services of the running environment.
#[derive(Args, Debug)]
pub(crate) struct ServicesArgs {
    #[command(flatten)]
    api: ApiArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) fn run(args: &ServicesArgs) -> Outcome {
    let answer = args.api.client().services()?;
    if args.output.output == Output::Json {
        writeln!(io::stdout(), "{}", api::encode_pretty(&answer))?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<_> = answer.services.iter().map(row).collect();
    table::print(["NAME", "KIND", "IN ROTATION", "RESTARTS", "CALLS"], &rows)?;
    Ok(ExitCode::SUCCESS)
}

fn row(service: &api::Service) -> [String; 5] {
    [
        service.name.clone(),
        service.kind.clone(),
        format!("{}/{}", service.in_rotation, service.instances),
        service.restarts.to_string(),
        if service.dependencies.is_empty() { "–".into() } else { service.dependencies.join(" ") },
    ]
}
