//! `outrigger plan DIR`: what `apply` would change in the running environment, and what that does to what runs.

use super::{ApiArgs, Outcome, Output, OutputArgs};
use api::{Plan, PlanChange, PlanSummary, Wanted, ask};
use clap::Args;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use wire::files::{Problems, Texts};

/// Say what applying the manifests of a folder would change in the running environment.
#[derive(Args, Debug)]
pub(crate) struct PlanArgs {
    /// The folder with `environment.toml`.
    dir: PathBuf,
    #[command(flatten)]
    api: ApiArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// 0: nothing to do; 1: there are changes; 2: there is no plan. A script can tell the three apart.
pub(crate) fn run(args: &PlanArgs) -> Outcome {
    let Some(wanted) = gather(&args.dir) else { return Ok(ExitCode::from(2)) };
    let plan = match args.api.client().send(&ask::plan(&wanted)) {
        Ok(plan) => plan,
        Err(error) => {
            eprintln!("outrigger: {error}");
            return Ok(ExitCode::from(2));
        }
    };
    let text = match args.output.output {
        Output::Json => api::encode_pretty(&plan) + "\n",
        Output::Table => shown(&plan),
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(if plan.changes.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The manifests in `dir`; none, and every mistake told, where they are wrong.
pub(crate) fn gather(dir: &Path) -> Option<Wanted> {
    if !dir.is_dir() {
        eprintln!("outrigger: {} is no folder: name the one with environment.toml", dir.display());
        return None;
    }
    let tell = |problems: Problems| eprint!("{problems}");
    let (texts, _) = Texts::gather(dir).map_err(tell).ok()?;
    Some(Wanted { folder: texts.folder.display().to_string(), files: texts.files, plan: None })
}

/// The plan for people.
pub(crate) fn shown(plan: &Plan) -> String {
    if plan.changes.is_empty() {
        return format!("environment {}: nothing to do, it runs as the manifests say\n", plan.environment);
    }
    let mut text = format!("environment {}\n", plan.environment);
    for group in plan.changes.chunk_by(|a, b| a.service == b.service) {
        text.push('\n');
        match group.first().and_then(|change| change.service.as_ref()) {
            None => lines(group, &mut text),
            Some(service) => of_service(service, group, &mut text),
        }
    }
    // Writing to a text cannot fail.
    let _ = writeln!(text, "\nplan {}: {}", plan.id, summary(&plan.summary));
    text
}

fn of_service(service: &str, changes: &[PlanChange], text: &mut String) {
    let whole = changes.iter().find(|change| change.key.is_empty());
    let _ = match whole {
        Some(change) => {
            writeln!(text, "{} service {service}: {} ({})", sign(change), value(change), effect(change))
        }
        None => writeln!(text, "~ service {service}"),
    };
    let within: Vec<PlanChange> = changes.iter().filter(|change| !change.key.is_empty()).cloned().collect();
    lines(&within, text);
}

fn lines(changes: &[PlanChange], text: &mut String) {
    let width = changes.iter().map(|change| change.key.chars().count()).max().unwrap_or(0);
    for change in changes {
        let (sign, value, effect) = (sign(change), value(change), effect(change));
        let indent = if change.service.is_some() { "    " } else { "" };
        let _ = writeln!(text, "{indent}{sign} {:<width$}  {value}  ({effect})", change.key);
    }
}

fn sign(change: &PlanChange) -> char {
    match (&change.before, &change.after) {
        (None, _) => '+',
        (_, None) => '-',
        _ => '~',
    }
}

fn value(change: &PlanChange) -> String {
    match (&change.before, &change.after) {
        (Some(before), Some(after)) => format!("{before} → {after}"),
        (Some(one), None) | (None, Some(one)) => one.clone(),
        (None, None) => String::new(),
    }
}

fn effect(change: &PlanChange) -> String {
    let instances = change.instances.map_or(String::new(), |n| count(u64::from(n), "instance"));
    match change.effect.as_str() {
        "nothing" => "changes nothing that runs".into(),
        "in-place" => "in place".into(),
        "restart" => format!("rolling restart of {instances}"),
        "start" => format!("starts {instances}"),
        "stop" => format!("stops {instances}"),
        "restart-edge" => "restarts the edge: no requests from outside for a moment".into(),
        "refused" => "cannot be followed while it runs".into(),
        // A newer environment than this program.
        other => other.to_owned(),
    }
}

fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

fn summary(sum: &PlanSummary) -> String {
    let verb = |n: u64, one: &str, more: &str| if n == 1 { one.to_owned() } else { more.to_owned() };
    format!(
        "{} {} in place, {} {} ({}), {} added, {} removed",
        count(sum.in_place, "service"),
        verb(sum.in_place, "changes", "change"),
        sum.restarted,
        verb(sum.restarted, "restarts", "restart"),
        count(sum.restarted_instances, "instance"),
        sum.added,
        sum.removed
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(
        service: Option<&str>,
        key: &str,
        before: Option<&str>,
        after: Option<&str>,
        effect: &str,
        n: Option<u32>,
    ) -> PlanChange {
        PlanChange {
            path: String::new(),
            service: service.map(str::to_owned),
            key: key.into(),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
            effect: effect.into(),
            instances: n,
        }
    }

    #[test]
    fn a_plan_reads_like_a_difference_with_its_effects() {
        let plan = Plan {
            version: 1,
            id: "0af3".into(),
            environment: "shop".into(),
            changes: vec![
                change(None, "edge.routes.\"/\"", Some("\"a\""), Some("\"b\""), "in-place", None),
                change(Some("cart"), "", None, Some("3 instances of `x`"), "start", Some(3)),
                change(Some("item"), "instances", Some("1"), Some("2"), "start", Some(1)),
                change(Some("item"), "run.command", Some("[\"a\"]"), Some("[\"b\"]"), "restart", Some(1)),
                change(Some("item"), "environment.X", None, Some("\"1\""), "restart", Some(1)),
                change(Some("old"), "", Some("1 instance of `y`"), None, "stop", Some(1)),
            ],
            summary: PlanSummary {
                restarted: 1,
                restarted_instances: 1,
                added: 1,
                removed: 1,
                ..PlanSummary::default()
            },
        };
        let want = "environment shop\n\n\
             ~ edge.routes.\"/\"  \"a\" → \"b\"  (in place)\n\n\
             + service cart: 3 instances of `x` (starts 3 instances)\n\n\
             ~ service item\n    \
             ~ instances      1 → 2  (starts 1 instance)\n    \
             ~ run.command    [\"a\"] → [\"b\"]  (rolling restart of 1 instance)\n    \
             + environment.X  \"1\"  (rolling restart of 1 instance)\n\n\
             - service old: 1 instance of `y` (stops 1 instance)\n\n\
             plan 0af3: 0 services change in place, 1 restarts (1 instance), 1 added, 1 removed\n";
        assert_eq!(shown(&plan), want);
    }

    #[test]
    fn where_nothing_differs_that_is_said() {
        let plan = Plan {
            version: 1,
            id: "0af3".into(),
            environment: "shop".into(),
            changes: vec![],
            summary: PlanSummary::default(),
        };
        assert!(shown(&plan).contains("nothing to do"));
    }
}
