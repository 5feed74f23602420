//! `outrigger restart NAME`: one instance after the other, each back in rotation before the next goes.

use super::{ApiArgs, Outcome, Output, OutputArgs};
use api::{OperationState, Query};
use clap::Args;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

/// Restart an instance, or all instances of a service one after the other.
#[derive(Args, Debug)]
pub(crate) struct RestartArgs {
    /// An instance, a service, or `all`.
    name: String,
    #[command(flatten)]
    api: ApiArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) fn run(args: &RestartArgs) -> Outcome {
    let client = args.api.client();
    let mut operation = client.restart(&args.name)?;
    loop {
        for step in &operation.progress {
            eprintln!("{}", step.text);
        }
        match operation.state {
            OperationState::Running => {
                operation =
                    client.operation(operation.id, Query::after(operation.next, Duration::from_secs(30)))?;
            }
            ended => return finish(&client, args, operation.id, ended),
        }
    }
}

fn finish(client: &api::Client, args: &RestartArgs, id: u64, ended: OperationState) -> Outcome {
    if args.output.output == Output::Json {
        writeln!(io::stdout(), "{}", api::encode_pretty(&client.operation(id, Query::default())?))?;
    }
    Ok(if ended == OperationState::Done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
