//! How fast drills are, and how large a fleet they hold.
//!
//! Machines are noisy, so each measurement is the best of three. Events a second are counted in the processor's time of
//! all threads: what one core does.

use super::{FIRST_SEED, Line};
use crate::prove::rounded;
use crate::prove::site::{self, Site};
use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, WaitId, WaitIdOptions};
use serde_json::json;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How often each is measured.
const ROUNDS: usize = 3;
/// Millions of events a second on one core.
const MILLIONS: f64 = 2.0;
/// The outage, by scale, and how long it may take.
const OUTAGE: &[(&str, f64)] = &[("0.1", 5.0), ("1", 60.0)];
/// What a hundred thousand instances may take.
const MOST_MIB: f64 = 8192.0;

/// One drill.
struct Took {
    wall: Duration,
    processor: f64,
    events: u64,
    runs: usize,
}

impl Took {
    fn rate(&self) -> f64 {
        self.events as f64 / self.processor / 1e6
    }
}

/// The outage at two sizes, events a second, and the fleet.
pub(super) fn run(site: &Site) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    let mut best_rate: f64 = 0.0;
    for (scale, most) in OUTAGE {
        let mut took = Vec::new();
        for _ in 0..ROUNDS {
            took.push(outage(site, scale)?);
            // What takes minutes is not noise: once is enough to know.
            if took[0].wall.as_secs_f64() > 3.0 * most {
                break;
            }
        }
        best_rate = took.iter().map(Took::rate).fold(best_rate, f64::max);
        let fastest = took.iter().min_by_key(|took| took.wall).context("it was never measured")?;
        lines.push(Line::at_most(
            format!("allegro-2018-seconds-at-scale-{scale}"),
            fastest.wall.as_secs_f64(),
            *most,
            "s",
        ));
        let value = json!({
            "processor_seconds_of_a_run": rounded(fastest.processor / fastest.runs as f64),
            "events_of_a_run": fastest.events / fastest.runs as u64,
            "runs": fastest.runs,
            "measured": took.len(),
        });
        lines.push(Line::printed(format!("allegro-2018-cost-at-scale-{scale}"), value));
    }
    let at_the_outage = Line::at_least("million-events-a-second", best_rate, MILLIONS, "million/s");
    lines.insert(0, at_the_outage);
    lines.insert(0, Line::printed("profile", site::profile()));
    lines.extend(fleet(site)?);
    Ok(lines)
}

/// Plays the outage as a user does: with its own policies, and beside it with ours.
fn outage(site: &Site, scale: &str) -> Result<Took> {
    let mut command = Command::new(site.outrigger()?);
    let seed = FIRST_SEED.to_string();
    command.args(["drill", "allegro-2018", "--scale", scale, "--seed", &seed, "-o", "json"]);
    eprintln!("{command:?}");
    let began = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut text = String::new();
    child.stdout.take().context("it has no output")?.read_to_string(&mut text)?;
    let pid = Pid::from_child(&child);
    // It has ended, and its account is still there to be read.
    rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
    let wall = began.elapsed();
    let processor = processor_seconds(child.id());
    ensure!(child.wait()?.success(), "{command:?} failed");
    let drill: api::Drill = api::decode(&text).map_err(anyhow::Error::msg)?;
    let events = drill.runs.iter().map(|run| run.events).sum();
    Ok(Took { wall, processor: processor?, events, runs: drill.runs.len() })
}

/// The processor's time of all threads of a process, ended ones included, in ticks of a hundredth of a second.
fn processor_seconds(id: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
    ticks(&stat).map(|ticks| ticks as f64 / 100.0).context("its account cannot be read")
}

/// In user space and in the system: fields 14 and 15, counted after the name, which may have blanks.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

/// Ten thousand services with a hundred thousand instances.
fn fleet(site: &Site) -> Result<Vec<Line>> {
    let mut example = site::cargo();
    let profile = site::profile();
    example.args(["run", "--quiet", "--profile", &profile, "--locked", "--package", "sim"]);
    let said = site::output_of(example.args(["--example", "fleet_of_100k"]).current_dir(site.root()))?;
    let number = |before: &str, after: &str| -> Option<f64> {
        said.split(before).nth(1)?.split(after).next()?.trim().parse().ok()
    };
    let what = || format!("the example said: {said}");
    let instances = number("services,", "instances").with_context(what)?;
    let mib = number("peak", "MiB").with_context(what)?;
    let rate = number(" s,", "million").with_context(what)?;
    Ok(vec![
        Line::at_least("fleet-instances", instances, 100_000.0, ""),
        Line::at_most("fleet-of-100k-mib", mib, MOST_MIB, "MiB"),
        Line::printed("fleet-of-100k-million-events-a-second", rate),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_after_any_name() {
        let stat = "7 (a b) c) R 1 1 1 0 -1 4194304 100 0 0 0 150 25 0 0 20 0";
        assert_eq!(ticks(stat), Some(175));
        assert_eq!(ticks("7 (a"), None);
    }
}
