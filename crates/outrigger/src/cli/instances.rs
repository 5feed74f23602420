//! `outrigger instances`: what is running, by instance.

use super::{ApiArgs, Outcome, Output, OutputArgs, table};
use clap::Args;
use std::io::{self, Write};
use std::process::ExitCode;

/// List the instances of the running environment with their sidecars.
#[derive(Args, Debug)]
pub(crate) struct InstancesArgs {
    #[command(flatten)]
    api: ApiArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) fn run(args: &InstancesArgs) -> Outcome {
    let answer = args.api.client().instances()?;
    if args.output.output == Output::Json {
        writeln!(io::stdout(), "{}", api::encode_pretty(&answer))?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<_> = answer.instances.iter().map(row).collect();
    let head = ["NAME", "STATE", "REASON", "PID", "SIDECAR", "APP", "INBOUND", "ADMIN", "RESTARTS", "SINCE"];
    table::print(head, &rows)?;
    Ok(ExitCode::SUCCESS)
}

fn row(instance: &api::Instance) -> [String; 10] {
    [
        instance.name.clone(),
        instance.state.word().into(),
        table::or_dash(&instance.reason),
        table::or_dash(&instance.pid),
        table::or_dash(&instance.sidecar_pid),
        table::or_dash(&instance.app),
        table::or_dash(&instance.inbound),
        table::or_dash(&instance.admin),
        instance.restarts.to_string(),
        instance.since.clone(),
    ]
}
