//! `outrigger logs NAME`: what an app writes.

use super::{ApiArgs, Outcome, Output, OutputArgs};
use api::Query;
use clap::Args;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

/// Print what the app of an instance, or of all instances of a service, wrote.
#[derive(Args, Debug)]
pub(crate) struct LogsArgs {
    /// An instance or a service.
    name: String,
    /// Go on printing until interrupted.
    #[arg(short, long)]
    follow: bool,
    /// So many lines, the newest.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 200)]
    tail: u64,
    #[command(flatten)]
    api: ApiArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) fn run(args: &LogsArgs) -> Outcome {
    let client = args.api.client();
    let mut query = Query::tail(args.tail);
    loop {
        let answer = client.logs(&args.name, query)?;
        print(&answer, args)?;
        if !args.follow {
            return Ok(ExitCode::SUCCESS);
        }
        query = Query::after(answer.next, Duration::from_secs(30));
    }
}

/// The lines of one instance are printed as they were written; those of several say whose they are.
fn print(answer: &api::Logs, args: &LogsArgs) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match (args.output.output, args.follow) {
        (Output::Json, false) => writeln!(out, "{}", api::encode_pretty(answer)),
        (Output::Json, true) => answer.lines.iter().try_for_each(|l| writeln!(out, "{}", api::encode(l))),
        (Output::Table, _) => answer.lines.iter().try_for_each(|l| {
            let text = &l.text;
            if l.instance == args.name {
                writeln!(out, "{text}")
            } else {
                writeln!(out, "{} │ {text}", l.instance)
            }
        }),
    }
}
