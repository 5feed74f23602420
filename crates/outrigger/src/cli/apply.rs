//! `outrigger apply DIR`: shows what the manifests change in the running environment, and does it.

use super::plan::{gather, shown};
use super::{ApiArgs, Outcome, Output, OutputArgs};
use api::{Operation, OperationState, Query, ask};
use clap::Args;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Make the running environment what the manifests of a folder say.
#[derive(Args, Debug)]
pub(crate) struct ApplyArgs {
    /// The folder with `environment.toml`.
    dir: PathBuf,
    /// Only if this plan, which was looked at, still fits.
    #[arg(long, value_name = "ID")]
    plan: Option<String>,
    #[command(flatten)]
    api: ApiArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) fn run(args: &ApplyArgs) -> Outcome {
    let Some(mut wanted) = gather(&args.dir) else { return Ok(ExitCode::FAILURE) };
    let client = args.api.client();
    let plan = client.send(&ask::plan(&wanted))?;
    eprint!("{}", shown(&plan));
    if args.plan.as_ref().is_some_and(|looked_at| *looked_at != plan.id) {
        eprintln!("outrigger: the environment or the manifests have changed since: plan again");
        return Ok(ExitCode::FAILURE);
    }
    if plan.changes.is_empty() {
        if args.output.output == Output::Json {
            writeln!(io::stdout(), "{}", api::encode_pretty(&nothing_to_do()))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    // What was shown is what is done: whoever changes something between the two is noticed.
    wanted.plan = Some(plan.id);
    eprintln!();
    let begun = client.send(&ask::apply(&wanted))?;
    let id = begun.id;
    let ended = follow(&client, begun)?;
    if args.output.output == Output::Json {
        let whole = client.operation(id, Query::default());
        writeln!(io::stdout(), "{}", api::encode_pretty(&whole.unwrap_or(ended.clone())))?;
    }
    if ended.state == OperationState::Done {
        eprintln!("what runs is what the manifests say");
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("to go back, apply the manifests as they were before; `outrigger instances` shows what runs");
    Ok(ExitCode::FAILURE)
}

/// What is answered where nothing was begun, as nothing differs.
fn nothing_to_do() -> Operation {
    let (version, state) = (api::VERSION, OperationState::Done);
    Operation { version, id: 0, state, done: 0, total: 0, progress: Vec::new(), next: 0 }
}

/// Tells each step until there is none any more.
fn follow(client: &api::Client, mut operation: Operation) -> anyhow::Result<Operation> {
    loop {
        for step in &operation.progress {
            eprintln!("{}", step.text);
        }
        if operation.state != OperationState::Running {
            return Ok(operation);
        }
        operation = client.operation(operation.id, Query::after(operation.next, Duration::from_secs(30)))?;
    }
}
