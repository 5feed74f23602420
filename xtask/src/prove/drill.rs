//! What "The drill" must show: `outrigger drill` run as a user runs it, and its JSON held against the bars.
//!
//! Seeds begin at 1001: those below were used while scenarios were fitted. `PROVE_SEEDS=N` plays at most N of them, for a
//! first look.

mod classics;
mod outage;
mod pages;
mod results;
mod same;
mod seen;
mod speed;

use super::site::{self, Site};
use super::{Line, Proof};
use anyhow::{Context, Result};
pub(crate) use results::write;
use std::path::Path;
use std::process::{Command, Stdio};

/// The proofs, in the order of the page.
pub(crate) const DRILL: &[Proof] = &[
    Proof { name: "outage", run: outage::reproduction },
    Proof { name: "ablation", run: outage::ablation },
    Proof { name: "slow-back-end", run: classics::slow_back_end },
    Proof { name: "retry-storm", run: classics::retry_storm },
    Proof { name: "load-ramp", run: classics::load_ramp },
    Proof { name: "watchdog-cascade", run: classics::watchdog_cascade },
    Proof { name: "cold-start", run: classics::cold_start },
    Proof { name: "warm-up-storm", run: classics::warm_up_storm },
    Proof { name: "deterministic", run: same::run },
    Proof { name: "speed", run: speed::run },
    Proof { name: "pages", run: pages::run },
];

/// The first seed that nothing was fitted with.
const FIRST_SEED: u64 = 1001;

/// `wanted` seeds, or as many as somebody in a hurry allows.
fn seeds(wanted: u64) -> u64 {
    let most = std::env::var("PROVE_SEEDS").ok().and_then(|n| n.parse().ok());
    most.map_or(wanted, |most: u64| wanted.min(most.max(1)))
}

/// Runs `outrigger drill` with `args` and returns what it prints for people.
fn told(site: &Site, args: &[&str]) -> Result<String> {
    let mut command = Command::new(site.outrigger()?);
    site::output_of(command.arg("drill").args(args))
}

/// Runs `outrigger drill` with `args` and reads its JSON. Pass lines that do not hold are no error here.
fn play(site: &Site, args: &[&str]) -> Result<api::Drill> {
    eprintln!("outrigger drill {}", args.join(" "));
    let mut command = Command::new(site.outrigger()?);
    let output = command.arg("drill").args(args).args(["-o", "json"]).stdin(Stdio::null()).output()?;
    read(&output.stdout).with_context(|| {
        let said = String::from_utf8_lossy(&output.stderr);
        format!("outrigger drill {}: {}: {}", args.join(" "), output.status, site::last_lines(&said, 8))
    })
}

fn read(stdout: &[u8]) -> Result<api::Drill> {
    let text = std::str::from_utf8(stdout).context("the JSON is no text")?;
    api::decode(text).map_err(|error| anyhow::anyhow!("it printed no drill: {error}"))
}

/// Plays `scenario` (a name or a file) over `wanted` new seeds and judges these lists of pass lines; `more` are further
/// flags.
fn judged(site: &Site, scenario: &str, lists: &[&str], wanted: u64, more: &[&str]) -> Result<api::Drill> {
    let (first, count) = (FIRST_SEED.to_string(), seeds(wanted).to_string());
    let mut args = vec![scenario, "--first-seed", &first, "--seeds", &count];
    lists.iter().for_each(|list| args.extend(["--accept", list]));
    args.extend(more);
    play(site, &args)
}

/// The file of a scenario that is built in.
fn scenario_file(site: &Site, name: &str) -> Result<String> {
    let path = site.root().join("scenarios").join(format!("{name}.toml"));
    read_text(&path)
}

fn read_text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))
}
