//! `bench control`: a control plane with thousands of followers, each a stream of its own over loopback.
//!
//! `crates/control/examples/followers` does it: the control plane is a process of its own there, so that memory and
//! processor time are its own. This runs it several times in turn, and makes a table of medians.

use super::figures::{Machine, Samples};
use anyhow::{Context as _, Result, ensure};
use clap::Args;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Where the table goes.
const RESULTS: &str = "bench/RESULTS-control.md";

/// How to measure.
#[derive(Args, Debug, Clone)]
pub(crate) struct Options {
    /// How many followers, one measurement for each.
    #[arg(long, value_delimiter = ',', default_value = "2000,10000")]
    pub(crate) followers: Vec<u32>,
    /// Rounds over all numbers of followers.
    #[arg(long, default_value_t = 3)]
    pub(crate) runs: usize,
    /// Changes in one measurement: an instance moves.
    #[arg(long, default_value_t = 1000)]
    pub(crate) changes: u32,
    /// Changes per second, open loop.
    #[arg(long, default_value_t = 100)]
    pub(crate) rate: u32,
    /// What to print: the table (text) or a JSON line for each number of followers.
    #[arg(short, long, default_value = "text", value_parser = ["text", "json"])]
    pub(crate) output: String,
}

/// A row of the table: what it is, the figure's name, and how many decimals are meant.
const ROWS: &[(&str, &str, usize)] = &[
    ("registered → delivered, p50 (ms)", "delivered_ms_p50", 2),
    ("registered → delivered, p99 (ms)", "delivered_ms_p99", 2),
    ("registered → delivered, worst (ms)", "delivered_ms_worst", 1),
    ("of that, until it is kept and answered, p50 (ms)", "kept_ms_p50", 2),
    ("of that, until it is kept and answered, p99 (ms)", "kept_ms_p99", 2),
    ("deliveries in one run", "deliveries", 0),
    ("bytes per change and follower", "bytes_per_delivery", 0),
    ("control plane's processor per delivery (µs)", "processor_us_per_delivery", 0),
    ("control plane's memory per follower (KiB)", "memory_kib_per_follower", 1),
    ("control plane's memory without followers (MiB)", "plane_alone_kib", 1),
    ("control plane's memory at most (MiB)", "plane_at_most_kib", 1),
    ("all come for the first time (s)", "come_seconds", 2),
    ("all come back unchanged (s)", "back_seconds", 2),
    ("bytes of coming back unchanged, both ways, per follower", "back_bytes_per_follower", 0),
    ("of that from the control plane", "back_bytes_sent_per_follower", 0),
    ("control plane's processor for one that comes back (µs)", "back_processor_us_per_follower", 0),
];

/// The figures for one number of followers, a sample of each for each run.
struct Column {
    followers: u32,
    samples: Map<String, Value>,
}

/// Measures, prints, and writes the table after a whole run.
pub(super) fn run(options: &Options) -> Result<()> {
    ensure!(!options.followers.is_empty() && options.rate > 0, "there must be followers, and a rate");
    let machine = Machine::look();
    let program = program()?;
    let mut columns: Vec<Column> = options
        .followers
        .iter()
        .map(|followers| Column { followers: *followers, samples: Map::new() })
        .collect();
    for round in 1..=options.runs.max(1) {
        for column in &mut columns {
            eprintln!("round {round} of {}: {} followers", options.runs.max(1), column.followers);
            column.add(&measure(&program, column.followers, options)?)?;
        }
    }
    if options.output == "json" {
        columns.iter().for_each(|column| println!("{}", column.line()));
        return Ok(());
    }
    let text = markdown(&machine, options, &columns)?;
    print!("{text}");
    let is_whole = options.followers == [2000, 10000] && options.runs >= 3;
    if is_whole {
        let path = crate::root()?.join(RESULTS);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        eprintln!("written to {RESULTS}");
    }
    Ok(())
}

/// Builds the program that is both sides. `PROVE_PROFILE=quick` takes a profile that is built faster.
fn program() -> Result<PathBuf> {
    let root = crate::root()?;
    let profile = std::env::var("PROVE_PROFILE").unwrap_or_else(|_| "release".to_owned());
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let arguments = ["build", "--locked", "--profile", &profile, "-p", "control", "--example", "followers"];
    let built =
        Command::new(cargo).current_dir(&root).args(arguments).status().context("cannot run cargo")?;
    ensure!(built.success(), "the example did not build: mend it first");
    let metadata = cargo_metadata::MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .no_deps()
        .exec()
        .context("cannot ask cargo for its target folder")?;
    Ok(metadata.target_directory.into_std_path_buf().join(profile).join("examples/followers"))
}

fn measure(program: &std::path::Path, followers: u32, options: &Options) -> Result<Map<String, Value>> {
    // One descriptor for each stream on either side, and some for the rest.
    allow_files(followers)?;
    let numbers = [followers, options.changes, options.rate].map(|number| number.to_string());
    let output = Command::new(program).args(numbers).stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot run {}", program.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{followers} followers: {}: {said}", output.status);
    serde_json::from_slice(&output.stdout).with_context(|| format!("it printed no figures: {said}"))
}

/// Lets what we start open a file for each follower.
fn allow_files(followers: u32) -> Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let wanted = u64::from(followers) + 100;
    let limit = getrlimit(Resource::Nofile);
    ensure!(
        limit.maximum.is_none_or(|most| most >= wanted),
        "{followers} followers need {wanted} open files: raise the hard limit (ulimit -Hn), or ask for fewer"
    );
    if limit.current.is_some_and(|now| now < wanted) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum })?;
    }
    Ok(())
}

impl Column {
    fn add(&mut self, figures: &Map<String, Value>) -> Result<()> {
        for (name, value) in figures {
            let samples = self.samples.entry(name.clone()).or_insert_with(|| json!([]));
            samples.as_array_mut().context("samples are a list")?.push(value.clone());
        }
        Ok(())
    }

    fn samples(&self, name: &str) -> Result<Samples> {
        let list = self.samples.get(name).and_then(Value::as_array);
        let list = list.with_context(|| format!("it printed no {name}"))?;
        Ok(Samples(list.iter().filter_map(Value::as_f64).collect()))
    }

    /// All medians as JSON.
    fn line(&self) -> Value {
        let medians = self.samples.keys().map(|name| {
            let median = self.samples(name).map_or(f64::NAN, |samples| samples.median());
            (name.clone(), json!(median))
        });
        let mut line: Map<String, Value> = medians.collect();
        line.insert("figure".to_owned(), json!("control"));
        line.insert("followers".to_owned(), json!(self.followers));
        line.insert("samples".to_owned(), Value::Object(self.samples.clone()));
        Value::Object(line)
    }
}

/// The table, with what must stand beside it.
fn markdown(machine: &Machine, options: &Options, columns: &[Column]) -> Result<String> {
    let mut text = String::from(
        "# The control plane with thousands of followers\n\n\
         Written by `cargo xtask bench control`; [README.md](README.md) says how figures are made.\n\n",
    );
    writeln!(text, "- Machine: {}, {} cores, Linux {}.", machine.processor, machine.cores, machine.kernel)?;
    writeln!(
        text,
        "- 1,000 services of 2 instances; each follower has a stream of its own and follows 10 services. {} changes, {} a\n  \
         second, open loop: an instance moves, and all who follow its service are told.",
        options.changes, options.rate
    )?;
    writeln!(
        text,
        "- One process is the control plane with its store in a file, another one is all followers: they share the cores.\n\
         - Rounds: {}; medians, smallest and largest in brackets.\n",
        options.runs.max(1)
    )?;
    let heads: Vec<String> =
        columns.iter().map(|column| format!(" {} followers |", column.followers)).collect();
    writeln!(text, "|  |{}\n|---|{}", heads.concat(), "---|".repeat(columns.len()))?;
    for (what, name, decimals) in ROWS {
        let cells: Result<Vec<String>> = columns.iter().map(|column| cell(column, name, *decimals)).collect();
        writeln!(text, "| {what} |{}", cells?.concat())?;
    }
    Ok(text)
}

fn cell(column: &Column, name: &str, decimals: usize) -> Result<String> {
    let samples = column.samples(name)?;
    // What is measured in KiB and is not per follower is told in MiB.
    let unit = if name.starts_with("plane_") { 1024.0 } else { 1.0 };
    let [median, min, max] = [samples.median(), samples.min(), samples.max()].map(|value| value / unit);
    let is_steady = format!("{min:.decimals$}") == format!("{max:.decimals$}");
    let spread = if is_steady { String::new() } else { format!(" ({min:.decimals$}–{max:.decimals$})") };
    Ok(format!(" {median:.decimals$}{spread} |"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn column(values: &[f64]) -> Column {
        let mut column = Column { followers: 2000, samples: Map::new() };
        for value in values {
            let figures = ROWS.iter().map(|(_, name, _)| ((*name).to_owned(), json!(value)));
            column.add(&figures.collect()).unwrap();
        }
        column
    }

    #[test]
    fn a_cell_has_the_median_and_the_spread() {
        let column = column(&[2048.0, 1024.0, 4096.0]);
        assert_eq!(cell(&column, "plane_alone_kib", 1).unwrap(), " 2.0 (1.0–4.0) |");
        assert_eq!(cell(&column, "back_seconds", 0).unwrap(), " 2048 (1024–4096) |");
        assert!(cell(&column, "no_such_figure", 0).is_err());
    }

    #[test]
    fn the_line_has_each_median_once() {
        let line = column(&[3.0, 1.0, 2.0]).line();
        assert_eq!((&line["followers"], &line["delivered_ms_p99"]), (&json!(2000), &json!(2.0)));
        assert_eq!(line["samples"]["delivered_ms_p99"], json!([3.0, 1.0, 2.0]));
    }

    #[test]
    fn every_row_of_the_table_has_its_figure() {
        let options =
            Options { followers: vec![2000], runs: 1, changes: 1, rate: 1, output: "text".to_owned() };
        let machine = Machine { processor: "p".to_owned(), cores: 2, kernel: "k".to_owned() };
        let text = markdown(&machine, &options, &[column(&[1.0])]).unwrap();
        assert_eq!(text.lines().filter(|line| line.starts_with("| ")).count(), ROWS.len() + 1);
    }
}
