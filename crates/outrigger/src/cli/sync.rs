//! `outrigger sync`: how far the sidecars are with what they follow.

use super::check::duration;
use super::{ApiArgs, Outcome, Output, OutputArgs, table};
use api::{Contested, Sidecar, Sync, ask};
use clap::Args;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

/// Tell for each sidecar whether it has what it follows, is behind, or refuses something; exit status 1 if one does.
#[derive(Args, Debug)]
pub(crate) struct SyncArgs {
    /// A sidecar that is behind for longer than this is a finding.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    patience: Duration,
    #[command(flatten)]
    api: ApiArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) fn run(args: &SyncArgs) -> Outcome {
    let answer = args.api.client().send(&ask::sync())?;
    if args.output.output == Output::Json {
        writeln!(io::stdout(), "{}", api::encode_pretty(&answer))?;
    } else {
        print(&answer)?;
    }
    Ok(ExitCode::from(u8::from(is_finding(&answer, args.patience))))
}

/// Whether somebody is behind for longer than `patience`, or something is refused.
fn is_finding(answer: &Sync, patience: Duration) -> bool {
    let late = |sidecar: &Sidecar| sidecar.behind_ms.is_some_and(|ms| Duration::from_millis(ms) > patience);
    let refuses = |sidecar: &Sidecar| !sidecar.refuses.is_empty();
    !answer.refused.is_empty() || answer.sidecars.iter().any(|sidecar| late(sidecar) || refuses(sidecar))
}

fn print(answer: &Sync) -> io::Result<()> {
    let rows: Vec<_> = answer.sidecars.iter().map(row).collect();
    table::print(["SIDECAR", "SERVICE", "STATE", "FOLLOWS", "HOLDS", "BEHIND", "FOR", "REFUSES"], &rows)?;
    let mut out = io::stdout().lock();
    for sidecar in &answer.sidecars {
        for refusal in &sidecar.refuses {
            writeln!(out, "{} refuses {} {}: {}", sidecar.name, refusal.kind, refusal.name, refusal.why)?;
        }
    }
    answer.refused.iter().try_for_each(|contested| writeln!(out, "{}", sentence(contested)))
}

fn row(sidecar: &Sidecar) -> [String; 8] {
    let refuses: Vec<String> = sidecar.refuses.iter().map(|r| format!("{} {}", r.kind, r.name)).collect();
    let service = (!sidecar.service.is_empty()).then_some(&sidecar.service);
    [
        sidecar.name.clone(),
        table::or_dash(&service),
        sidecar.state.word().into(),
        sidecar.follows.to_string(),
        sidecar.holds.to_string(),
        sidecar.behind.to_string(),
        table::or_dash(&sidecar.behind_ms.map(|ms| format!("{}.{:03}s", ms / 1000, ms % 1000))),
        if refuses.is_empty() { "–".into() } else { refuses.join(", ") },
    ]
}

fn sentence(contested: &Contested) -> String {
    let Contested { kind, name, version, author, count, withdrawn, .. } = contested;
    let author = if author.is_empty() { String::new() } else { format!(" (declared by {author})") };
    let times = if *count == 1 { "once".to_owned() } else { format!("{count} times") };
    let then = if *withdrawn {
        "the last good version is served in its place: declare another one"
    } else {
        "others have accepted it, or there is no good one before it"
    };
    format!("{kind} {name}{author}, version {version}, was refused {times}; {then}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::{Refusal, SidecarState, VERSION};

    fn sidecar(behind_ms: Option<u64>, refuses: &[&str]) -> Sidecar {
        let refusal = |name: &&str| Refusal {
            kind: "policy".into(),
            name: (*name).into(),
            version: "0".into(),
            why: "no".into(),
        };
        Sidecar {
            name: "a-1".into(),
            service: String::new(),
            state: SidecarState::Behind,
            follows: 1,
            holds: 1,
            behind: u64::from(behind_ms.is_some()),
            behind_ms,
            refuses: refuses.iter().map(refusal).collect(),
            strange: 0,
        }
    }

    #[test]
    fn a_finding_is_who_is_behind_for_long_or_refuses() {
        let patience = Duration::from_secs(5);
        let finding = |sidecar| {
            is_finding(&Sync { version: VERSION, sidecars: vec![sidecar], refused: vec![] }, patience)
        };
        assert!(!finding(sidecar(None, &[])));
        assert!(!finding(sidecar(Some(5_000), &[])));
        assert!(finding(sidecar(Some(5_001), &[])));
        assert!(finding(sidecar(None, &["offers"])));
    }

    #[test]
    fn a_row_says_how_long_and_what() {
        let row = row(&sidecar(Some(1_250), &["offers", "listing"]));
        assert_eq!(row[1..], ["–", "behind", "1", "1", "1", "1.250s", "policy offers, policy listing"]);
    }
}
