//! `outrigger events`: what happened, and with `-f` what happens.

use super::{ApiArgs, Outcome, Output, OutputArgs};
use api::{Event, Query};
use clap::Args;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

/// Tell what happened in the running environment.
#[derive(Args, Debug)]
pub(crate) struct EventsArgs {
    /// Go on telling until interrupted.
    #[arg(short, long)]
    follow: bool,
    /// Only what came after the event of this number.
    #[arg(long, value_name = "SEQ")]
    after: Option<u64>,
    /// Only so many, the newest.
    #[arg(short = 'n', long, value_name = "N")]
    tail: Option<u64>,
    #[command(flatten)]
    api: ApiArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) fn run(args: &EventsArgs) -> Outcome {
    let client = args.api.client();
    let mut query = Query { after: args.after, tail: args.tail, wait: Duration::ZERO };
    loop {
        let answer = client.events(query)?;
        print(&answer, args)?;
        if !args.follow {
            return Ok(ExitCode::SUCCESS);
        }
        query = Query::after(answer.next, Duration::from_secs(30));
    }
}

/// With `-f` JSON is one event a line, as a reader of a stream wants it; without, it is the whole answer.
fn print(answer: &api::Events, args: &EventsArgs) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match (args.output.output, args.follow) {
        (Output::Json, false) => writeln!(out, "{}", api::encode_pretty(answer)),
        (Output::Json, true) => answer.events.iter().try_for_each(|e| writeln!(out, "{}", api::encode(e))),
        (Output::Table, _) => answer.events.iter().try_for_each(|e| writeln!(out, "{}", line(e))),
    }
}

fn line(event: &Event) -> String {
    let who = event.instance.as_ref().or(event.service.as_ref()).map_or("–", String::as_str);
    let reason = event.reason.as_ref().map_or(String::new(), |r| format!(" [{r}]"));
    format!("{}  {:<14} {:<21} {}{reason}", event.time, who, event.kind, event.text)
}
