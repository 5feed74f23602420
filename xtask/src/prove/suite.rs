//! `make test` from a clean clone, twice in a row, within its time.

use super::Line;
use super::site::{Site, last_lines};
use anyhow::{Context, Result};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Fifteen minutes on two cores.
const MOST_SECONDS: f64 = 900.0;

/// Two clones, built and tested one after the other from nothing.
pub(crate) fn run(site: &Site) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for round in ["first", "second"] {
        let clone = site.clean_clone()?;
        let began = Instant::now();
        let mut make = Command::new("make");
        make.arg("test").current_dir(&clone).env_remove("CARGO_TARGET_DIR").env_remove("MAKEFLAGS");
        let output = make.stdin(Stdio::null()).output().context("could not run make")?;
        let seconds = began.elapsed().as_secs_f64();
        let text = String::from_utf8_lossy(&output.stderr);
        text.lines()
            .filter(|line| line.starts_with("took "))
            .for_each(|line| eprintln!("suite {round}: {line}"));
        if !output.status.success() {
            eprintln!(
                "{}\n{}",
                last_lines(&String::from_utf8_lossy(&output.stdout), 30),
                last_lines(&text, 30)
            );
        }
        let passes = output.status.success();
        lines.push(Line::new(
            format!("suite-{round}-passes"),
            output.status.to_string(),
            "exit status: 0",
            passes,
        ));
        lines.push(Line::at_most(format!("suite-{round}-seconds"), seconds, MOST_SECONDS, "s"));
        let _ = std::fs::remove_dir_all(clone);
    }
    Ok(lines)
}
