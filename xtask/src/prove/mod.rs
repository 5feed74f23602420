//! Proofs: what the project claims, measured. Each line is `{name, value, bar, pass}` in JSON on stdout.
//!
//! A proof that cannot run has failed: its line says why. Progress goes to stderr. Nothing here is part of
//! `make test`, since a proof takes minutes and wants the machine for itself.

mod control;
mod cost;
mod demo;
mod drill;
mod fuzz;
mod http;
mod kills;
mod open_loop;
mod process;
mod shop;
mod site;
mod slow_backend;
mod strict;
mod suite;

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;
use site::Site;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// Which proofs to run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The collection of proofs.
    #[arg(default_value = "spine", value_parser = ["spine", "drill", "control"])]
    name: String,
    /// Only proofs whose name contains this.
    #[arg(long, value_name = "SUBSTRING")]
    only: Option<String>,
    /// Print the names of the proofs and run nothing.
    #[arg(long)]
    list: bool,
    /// Write what was measured into the collection's page (drill: docs/drill/RESULTS.md); parts that were not measured
    /// stay as they are.
    #[arg(long)]
    write: bool,
}

/// One measured claim.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    name: String,
    value: Value,
    bar: String,
    pass: bool,
    /// What others have published for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    published: Option<String>,
}

impl Line {
    /// A claim that holds when `pass`; `bar` says in words what was asked for.
    fn new(name: impl Into<String>, value: impl Into<Value>, bar: impl Into<String>, pass: bool) -> Line {
        Line { name: name.into(), value: value.into(), bar: bar.into(), pass, published: None }
    }

    /// The same beside what others have published.
    fn published(self, what: impl Into<String>) -> Line {
        Line { published: Some(what.into()), ..self }
    }

    /// `value ≤ most`, both in `unit`.
    fn at_most(name: impl Into<String>, value: f64, most: f64, unit: &str) -> Line {
        Line::new(name, rounded(value), format!("<= {most} {unit}").trim_end().to_owned(), value <= most)
    }

    /// `value ≥ least`, both in `unit`.
    fn at_least(name: impl Into<String>, value: f64, least: f64, unit: &str) -> Line {
        Line::new(name, rounded(value), format!(">= {least} {unit}").trim_end().to_owned(), value >= least)
    }

    /// A count that must be zero.
    fn none(name: impl Into<String>, count: usize) -> Line {
        Line::new(name, count, "0", count == 0)
    }

    /// A figure that is printed and has no bar.
    fn printed(name: impl Into<String>, value: impl Into<Value>) -> Line {
        Line::new(name, value, "printed", true)
    }
}

/// Four significant decimals are more than any of these measurements can tell.
fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

/// A group of claims that are measured together.
struct Proof {
    name: &'static str,
    run: fn(&Site) -> Result<Vec<Line>>,
}

/// What "The spine" must show.
const SPINE: &[Proof] = &[
    Proof { name: "demo", run: demo::run },
    Proof { name: "kills", run: kills::run },
    Proof { name: "slow-backend", run: slow_backend::run },
    Proof { name: "cost-proxy", run: cost::proxy },
    Proof { name: "cost-request", run: cost::request },
    Proof { name: "cost-idle", run: cost::idle },
    Proof { name: "cost-start", run: cost::start },
    Proof { name: "strict-corpus", run: strict::corpus },
    Proof { name: "strict-end-to-end", run: strict::end_to_end },
    Proof { name: "strict-hyper", run: strict::hyper },
    Proof { name: "fuzz", run: fuzz::run },
    Proof { name: "suite", run: suite::run },
];

/// Every file under `folder`, however deep.
fn files_under(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files_under(&entry.path())),
            Ok(_) => found.push(entry.path()),
            // Gone since it was listed.
            Err(_) => {}
        }
    }
    found
}

/// Runs the proofs that `options` name over the checkout at `root`.
///
/// # Errors
/// When there is no proof of that name, or no folder for temporary files.
pub(crate) fn run(root: &Path, options: &Options) -> Result<ExitCode> {
    let wanted = |proof: &&Proof| options.only.as_ref().is_none_or(|part| proof.name.contains(part.as_str()));
    let all = match options.name.as_str() {
        "drill" => drill::DRILL,
        "control" => control::CONTROL,
        _ => SPINE,
    };
    anyhow::ensure!(!options.write || options.name == "drill", "{} has no page to write", options.name);
    let proofs: Vec<&Proof> = all.iter().filter(wanted).collect();
    anyhow::ensure!(!proofs.is_empty(), "no proof of {} has such a name: see --list", options.name);
    if options.list {
        proofs.iter().for_each(|proof| println!("{}", proof.name));
        return Ok(ExitCode::SUCCESS);
    }
    let site = Site::new(root)?;
    let mut all_pass = true;
    for proof in proofs {
        eprintln!("prove {}", proof.name);
        let began = Instant::now();
        let lines = (proof.run)(&site).unwrap_or_else(|error| {
            vec![Line::new(proof.name, format!("{error:#}"), "the proof can be run", false)]
        });
        for line in &lines {
            println!("{}", serde_json::to_string(line)?);
            all_pass &= line.pass;
        }
        if options.write {
            drill::write(root, proof.name, &lines)?;
        }
        eprintln!("prove {}: {:.1} s", proof.name, began.elapsed().as_secs_f64());
    }
    Ok(if all_pass { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
