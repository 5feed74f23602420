//! `outrigger check`: is everything in order? What is seen is gathered first ([`machine`], [`plane`]), then judged
//! without looking at anything else ([`examine`]), then told.

pub(crate) mod catalogue;
mod examine;
mod machine;
mod plane;
mod tell;

use super::{ApiArgs, Outcome, Output, OutputArgs};
use api::{CheckState, Checks, Query, VERSION};
use clap::Args;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Check whether everything is in order: this machine, the control plane, agents, sidecars and services.
#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// Look again until nothing is broken and all is ready, for so long: `30s`, `2m`.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    wait: Option<Duration>,
    #[command(flatten)]
    api: ApiArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// `30s`, `2m`, `24h`, or a bare number of seconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let each = match unit {
        "ms" => Duration::from_millis(1),
        "" | "s" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        "h" => Duration::from_secs(3600),
        _ => return Err("write a time such as 30s or 2m".to_owned()),
    };
    let number: u32 = number.parse().map_err(|_| "write a time such as 30s or 2m".to_owned())?;
    Ok(each * number)
}

/// Everything that was seen.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) machine: machine::Machine,
    /// What the environment says, or why it says nothing.
    pub(crate) plane: Result<plane::Answers, String>,
}

pub(crate) fn run(args: &CheckArgs) -> Outcome {
    let until = args.wait.map(|wait| Instant::now() + wait);
    let checks = loop {
        let (checks, next) = look(args);
        let left = until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
        if settled(&checks) || left.is_zero() {
            break checks;
        }
        await_news(args, next, left);
    };
    let text = match args.output.output {
        Output::Json => api::encode_pretty(&checks) + "\n",
        Output::Table => tell::text(&checks, &tell::Style::of_stdout(io::stdout().is_terminal())),
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(if checks.broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Looks at everything once. The number is that of the next event, for whoever waits for news.
fn look(args: &CheckArgs) -> (Checks, Option<u64>) {
    let plane = plane::ask(&args.api);
    let next = plane.as_ref().ok().map(|answers| answers.next_event);
    let state = plane.as_ref().ok().map(|answers| answers.environment.state_folder.clone());
    let seen = Seen { machine: machine::look(state.as_deref()), plane };
    let checks = examine::examine(&seen);
    let count = |state| checks.iter().filter(|check| check.state == state).count() as u64;
    let (warnings, broken) = (count(CheckState::Warning), count(CheckState::Broken));
    (Checks { version: VERSION, checks, warnings, broken }, next)
}

/// Whether waiting is over: nothing is broken, and the environment is ready.
fn settled(checks: &Checks) -> bool {
    let waits = [catalogue::READY, catalogue::ROTATION, catalogue::UNKNOWN, catalogue::IN_STEP];
    let fine = |check: &api::Check| check.state == CheckState::Fine;
    checks.broken == 0 && checks.checks.iter().filter(|c| waits.contains(&c.id.as_str())).all(fine)
}

/// Waits until something happened, a second at most: not everything that is looked at is an event.
fn await_news(args: &CheckArgs, next: Option<u64>, left: Duration) {
    let wait = left.min(Duration::from_secs(1));
    let asked = next.map(|next| args.api.client().events(Query::after(next, wait)));
    if !matches!(asked, Some(Ok(_))) {
        // Nobody is there who could say when to look again.
        std::thread::sleep(wait.min(Duration::from_millis(200)));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_time_has_a_number_and_a_unit() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("7"), Ok(Duration::from_secs(7)));
        for bad in ["", "s", "1h30", "-1s", "1.5s", "ten"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
