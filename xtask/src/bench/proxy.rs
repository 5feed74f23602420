//! `bench proxy`: every contestant in turn, round after round, so that what disturbs one disturbs all.

use super::figures::{Figures, Machine, Row};
use super::peers::{Contestant, Running};
use super::process::{LOAD_CORE, Process, pinned};
use super::workshop::Workshop;
use super::wrk::{self, Workload};
use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, ValueEnum as _};
use std::net::SocketAddr;

/// Connections that are held while memory is read.
const HELD: usize = 1000;
/// Figures whose contestants waited more than this share of their time for other programs are not kept.
const TOO_BUSY: f64 = 0.1;

/// How to measure.
#[derive(Args, Debug, Clone)]
pub(crate) struct Options {
    /// One round only: about a minute, without spread.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Rounds over all contestants.
    #[arg(long, default_value_t = 5)]
    pub(crate) runs: usize,
    /// Length of one window, in seconds.
    #[arg(long, default_value_t = 1)]
    pub(crate) seconds: u32,
    /// Only these contestants; a missing one is then an error.
    #[arg(long, value_delimiter = ',')]
    pub(crate) only: Vec<Contestant>,
    /// What to print: the tables (text) or a JSON line for each figure.
    #[arg(short, long, default_value = "text", value_parser = ["text", "json"])]
    pub(crate) output: String,
}

/// Measures, prints, and writes `bench/RESULTS.md` after a whole run.
pub(super) fn run(options: &Options) -> Result<()> {
    let figures = measure(options)?;
    if options.output == "json" {
        figures.lines().iter().for_each(|line| println!("{line}"));
        return Ok(());
    }
    let text = super::table::markdown(&figures);
    print!("{text}");
    if !options.only.is_empty() || options.quick {
        return Ok(());
    }
    if figures.disturbed() > TOO_BUSY {
        eprintln!("bench/RESULTS.md is left as it is: other programs disturbed these figures too much");
        return Ok(());
    }
    let path = crate::root()?.join("bench/RESULTS.md");
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    eprintln!("written to bench/RESULTS.md");
    Ok(())
}

/// Measures all contestants that are asked for and can run.
///
/// # Errors
/// When a tool cannot be built or started, or a contestant that was named cannot.
pub(crate) fn measure(options: &Options) -> Result<Figures> {
    let machine = Machine::look();
    ensure!(machine.cores >= 2, "two cores are needed: one for the proxy, one for the load");
    let workshop = Workshop::open()?;
    let backend = workshop.backend(&["--fast"])?;
    let backend_address = *backend.addresses.first().context("the back end named no address")?;
    let runs = if options.quick { 1 } else { options.runs.max(1) };
    let mut field = Field { workshop: &workshop, contestants: Vec::new(), seconds: options.seconds.max(1) };
    for contestant in chosen(options) {
        eprintln!("{}: memory", contestant.name());
        match enter(&workshop, contestant, backend_address) {
            Ok(entered) => field.contestants.push(entered),
            Err(error) if options.only.is_empty() => {
                eprintln!("{} is left out: {error:#}", contestant.name())
            }
            Err(error) => return Err(error.context(format!("{} was asked for", contestant.name()))),
        }
    }
    ensure!(!field.contestants.is_empty(), "no contestant could be started");
    field.closed_rounds(runs)?;
    let rate = field.fair_rate();
    field.latency_rounds(runs, rate)?;
    let rows = field.contestants.into_iter().map(|(_, row)| row).collect();
    Ok(Figures { machine, runs, seconds: options.seconds.max(1), rate, rows })
}

fn chosen(options: &Options) -> Vec<Contestant> {
    let all = Contestant::value_variants().iter().copied();
    all.filter(|one| options.only.is_empty() || options.only.contains(one)).collect()
}

/// Reads memory in a first process, then starts the one for all other figures: held connections would burden it.
fn enter(workshop: &Workshop, contestant: Contestant, backend: SocketAddr) -> Result<(Running, Row)> {
    let mut row = Row::new(contestant, contestant.version(workshop)?);
    let first = contestant.start(workshop, backend)?;
    row.idle_mib = first.process.resident_mib()?;
    row.held_mib = memory_with_held(workshop, &first)?;
    drop(first);
    Ok((contestant.start(workshop, backend)?, row))
}

fn memory_with_held(workshop: &Workshop, running: &Running) -> Result<f64> {
    let mut command = pinned(LOAD_CORE, &workshop.tool("load"));
    command.args(["--hold", "--connections", &HELD.to_string(), "--timeout", "10s", "--duration", "60s"]);
    command.args(request(workshop, running.address)?);
    let mut holder = Process::start("hold", workshop.folder(), &mut command)?;
    let line = holder.first_line()?;
    let held = line.get("held").and_then(serde_json::Value::as_u64).unwrap_or(0);
    ensure!(held == HELD as u64, "{held} of {HELD} connections could be held: {line}");
    running.process.resident_mib()
}

/// The request of `get.lua`, as arguments of the load.
fn request(workshop: &Workshop, address: SocketAddr) -> Result<Vec<String>> {
    let script = std::fs::read_to_string(workshop.root().join("bench/peers/get.lua"))?;
    let path = wrk::path(&script).context("get.lua names no path")?;
    let mut arguments = vec!["--url".to_owned(), format!("http://{address}{path}")];
    for header in wrk::headers(&script) {
        arguments.extend(["--header".to_owned(), header]);
    }
    Ok(arguments)
}

/// All contestants that run, and what was measured of them so far.
struct Field<'a> {
    workshop: &'a Workshop,
    contestants: Vec<(Running, Row)>,
    seconds: u32,
}

impl Field<'_> {
    fn closed_rounds(&mut self, runs: usize) -> Result<()> {
        for (running, _) in &self.contestants {
            self.warm(running)?;
        }
        for round in 0..runs {
            for workload in Workload::ALL {
                eprintln!("round {} of {runs}: {}", round + 1, workload.label());
                for at in order(self.contestants.len(), round) {
                    self.closed_window(at, workload)?;
                }
            }
        }
        Ok(())
    }

    fn warm(&self, running: &Running) -> Result<()> {
        let mut arguments = request(self.workshop, running.address)?;
        arguments.extend(["--closed", "--duration", "200ms"].map(str::to_owned));
        self.workshop.load(&arguments).map(|_| ())
    }

    fn closed_window(&mut self, at: usize, workload: Workload) -> Result<()> {
        let Some((running, row)) = self.contestants.get_mut(at) else { return Ok(()) };
        let before = running.process.used()?;
        let window = wrk::run(self.workshop, workload, running.address, self.seconds)?;
        let used = running.process.used()?.since(before);
        if window.requests == 0 {
            bail!("{} answered no request in {} s", row.contestant.name(), self.seconds);
        }
        let ticks = (used.user_ticks + used.kernel_ticks).max(1);
        row.errors += window.errors;
        let closed = row.closed_mut(workload);
        closed.cpu_us.0.push(used.nanoseconds as f64 / 1e3 / window.requests as f64);
        let wanted = (used.waited + used.nanoseconds).max(1);
        closed.waited_share.0.push(used.waited as f64 / wanted as f64);
        closed.user_share.0.push(used.user_ticks as f64 / ticks as f64);
        closed.per_second.0.push(window.per_second);
        Ok(())
    }

    /// Half of what the slowest does, so that the rate is the same for all and saturates none.
    fn fair_rate(&self) -> f64 {
        let medians = self.contestants.iter().map(|(_, row)| row.closed(Workload::Get32).per_second.median());
        (medians.fold(f64::INFINITY, f64::min) / 2.0).max(1.0).round()
    }

    fn latency_rounds(&mut self, runs: usize, rate: f64) -> Result<()> {
        for round in 0..runs {
            eprintln!("round {} of {runs}: latency at {rate} requests per second", round + 1);
            for at in order(self.contestants.len(), round) {
                self.latency_window(at, rate)?;
            }
        }
        Ok(())
    }

    fn latency_window(&mut self, at: usize, rate: f64) -> Result<()> {
        let Some((running, row)) = self.contestants.get_mut(at) else { return Ok(()) };
        let mut arguments = request(self.workshop, running.address)?;
        let duration = format!("{}s", self.seconds);
        let rate = rate.to_string();
        let more =
            ["--rate", &rate, "--duration", &duration, "--connections", "32", "--max-connections", "128"];
        arguments.extend(more.map(str::to_owned));
        arguments.extend(["--timeout", "10s"].map(str::to_owned));
        let report = self.workshop.load(&arguments)?;
        let number = |pointer: &str| {
            let value = report.pointer(pointer).and_then(serde_json::Value::as_f64);
            value.with_context(|| format!("the load's report lacks {pointer}"))
        };
        row.errors += number("/failed")? as u64;
        row.latency.p50.0.push(number("/latency_us/p50")?);
        row.latency.p99.0.push(number("/latency_us/p99")?);
        row.latency.p999.0.push(number("/latency_us/p999")?);
        Ok(())
    }
}

/// The order of one round: each round begins with another contestant, so that none is always behind the same one's
/// noise.
fn order(contestants: usize, round: usize) -> impl Iterator<Item = usize> {
    (0..contestants).map(move |at| (at + round) % contestants.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_has_everyone_and_another_beginner() {
        let rounds: Vec<Vec<usize>> = (0..3).map(|round| order(3, round).collect()).collect();
        assert_eq!(rounds, [[0, 1, 2], [1, 2, 0], [2, 0, 1]]);
        assert_eq!(order(0, 4).count(), 0);
    }
}
