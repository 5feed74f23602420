//! Every fuzz target, each for a minute, without a crash.

use super::Line;
use super::site::{Site, last_lines};
use anyhow::{Context, Result};
use std::process::{Command, Stdio};

/// How long each target runs.
const SECONDS: u32 = 60;
/// Head, framing, request and response pair, `Call`.
const TARGETS: usize = 4;

/// `fuzz/run TARGET 60` for each target that the fuzz workspace names.
pub(crate) fn run(site: &Site) -> Result<Vec<Line>> {
    let manifest = std::fs::read_to_string(site.root().join("fuzz/Cargo.toml"))
        .context("there is no fuzz/Cargo.toml")?;
    let targets = targets(&manifest);
    let mut lines = vec![Line::at_least("fuzz-targets", targets.len() as f64, TARGETS as f64, "")];
    for target in targets {
        eprintln!("fuzz: {target} for {SECONDS} s");
        let mut run = Command::new(site.root().join("fuzz/run"));
        run.args([target.as_str(), &SECONDS.to_string()]).current_dir(site.root()).stdin(Stdio::null());
        let output = run.output().context("could not run fuzz/run")?;
        let said =
            String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            eprintln!("{}", last_lines(&said, 30));
        }
        let runs = said.lines().rev().find_map(executions);
        let value = format!(
            "{}, {} executions",
            output.status,
            runs.map_or("unknown".into(), |runs| runs.to_string())
        );
        let passes = output.status.success() && runs.is_some_and(|runs| runs > 0);
        lines.push(Line::new(
            format!("fuzz-{target}"),
            value,
            format!("{SECONDS} s without a crash"),
            passes,
        ));
    }
    Ok(lines)
}

/// The names of the `[[bin]]` tables of a manifest.
fn targets(manifest: &str) -> Vec<String> {
    let tables = manifest.split("[[bin]]").skip(1);
    tables
        .filter_map(|table| {
            let line = table.lines().find(|line| line.trim_start().starts_with("name"))?;
            Some(line.split('"').nth(1)?.to_owned())
        })
        .collect()
}

/// The count in libFuzzer's last line, `Done 123 runs in 61 second(s)`.
fn executions(line: &str) -> Option<u64> {
    line.trim().strip_prefix("Done ")?.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_counts_are_read() {
        let manifest =
            "[package]\nname = \"x\"\n[[bin]]\nname = \"head\"\n[[bin]]\npath=\"a\"\nname = \"call\"\n";
        assert_eq!(targets(manifest), ["head", "call"]);
        assert_eq!(executions("Done 123 runs in 61 second(s)"), Some(123));
    }
}
