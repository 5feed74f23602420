//! `bench slow-backend`: eleven back ends, one of them slow for half of the time.
//!
//! The published test (Finagle's and linkerd's peak-EWMA against round robin and least loaded): 167 ms with a
//! deviation of 5 ms, 1,000 requests a second for 60 s; from 15 s on one back end takes 2 s for 30 s; the caller
//! waits 1 s at most. With round robin about 95 % of the calls succeed, with peak-EWMA about 99.9 %.

use super::process::{PROXY_CORE, Process, pinned};
use super::workshop::{Backend, Workshop};
use crate::ports::free_address;
use anyhow::{Context as _, Result, ensure};
use clap::Args;
use serde_json::{Value, json};

/// How to measure.
#[derive(Args, Debug, Clone)]
pub(crate) struct Options {
    /// Length of a run, in seconds; the slow spell covers the second and third quarter.
    #[arg(long, default_value_t = 60)]
    pub(crate) seconds: u32,
    /// Requests per second.
    #[arg(long, default_value_t = 1000)]
    pub(crate) rate: u32,
    /// Words for `outrigger proxy --policies`, one run for each.
    #[arg(long, value_delimiter = ',', default_value = "round-robin,pick,pick+breaker,default")]
    pub(crate) policies: Vec<String>,
    /// A header that the caller sends, as "Name: value": its deadline, for instance. May be repeated.
    #[arg(long)]
    pub(crate) header: Vec<String>,
    /// What to print: text, or a JSON line for each run.
    #[arg(short, long, default_value = "text", value_parser = ["text", "json"])]
    pub(crate) output: String,
}

/// What one choice of policies achieved.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// The word given to `--policies`.
    pub(crate) policies: String,
    /// The share of the calls that were answered well within the caller's second.
    pub(crate) success_share: f64,
    /// The load's whole report.
    pub(crate) report: Value,
    /// What the back ends executed, refused and queued.
    pub(crate) counts: Value,
}

/// Back ends of the published test.
const INSTANCES: &str = "11";
/// Requests at one back end at a time: the slow one has 182 in flight under round robin, and none may queue.
const WORKERS: &str = "1024";

/// Measures and prints.
pub(super) fn run(options: &Options) -> Result<()> {
    for outcome in measure(options)? {
        let line = outcome.line();
        match options.output.as_str() {
            "json" => println!("{line}"),
            _ => println!(
                "{:<16} {:8.4} % of {} calls succeeded; failed: {}",
                outcome.policies,
                outcome.success_share * 100.0,
                line["sent"],
                line["failures"]
            ),
        }
    }
    Ok(())
}

/// One run for each choice of policies, one after the other.
///
/// # Errors
/// When the tools cannot be built or started, or the proxy does not know the policies' word.
pub(crate) fn measure(options: &Options) -> Result<Vec<Outcome>> {
    let workshop = Workshop::open()?;
    options.policies.iter().map(|policies| one(&workshop, options, policies)).collect()
}

impl Outcome {
    fn line(&self) -> Value {
        let part = |name: &str| self.report.get(name).cloned().unwrap_or(Value::Null);
        json!({
            "figure": "slow_backend", "schema": 1, "policies": self.policies,
            "success_share": self.success_share, "sent": part("sent"), "failures": part("failures"),
            "latency_us": part("latency_us"), "backends": self.counts,
        })
    }
}

fn one(workshop: &Workshop, options: &Options, policies: &str) -> Result<Outcome> {
    eprintln!("{policies}: {} s at {} requests per second", options.seconds, options.rate);
    let backend = backends(workshop, options.seconds)?;
    let to: Vec<String> = backend.addresses.iter().map(ToString::to_string).collect();
    let listen = free_address()?;
    let mut command = pinned(PROXY_CORE, &workshop.tool("outrigger"));
    command.args(["proxy", "--listen", &listen.to_string(), "--to", &to.join(","), "--policies", policies]);
    let mut proxy = Process::start("outrigger", workshop.folder(), &mut command)?;
    proxy.wait_for(listen)?;
    let report = workshop.load(&caller(options, &format!("http://{listen}/")))?;
    let counts = counts(&backend)?;
    let success_share =
        report.get("success_share").and_then(Value::as_f64).context("no share was reported")?;
    Ok(Outcome { policies: policies.to_owned(), success_share, report, counts })
}

fn backends(workshop: &Workshop, seconds: u32) -> Result<Backend> {
    let quarter = f64::from(seconds) / 4.0;
    let slow = format!("0:{quarter}s:{}s:2s", quarter * 2.0);
    let backend = workshop.backend(&[
        "--instances",
        INSTANCES,
        "--workers",
        WORKERS,
        "--service-time",
        "167ms~5ms",
        "--slow",
        &slow,
    ])?;
    ensure!(backend.addresses.len().to_string() == INSTANCES, "not all back ends listen");
    Ok(backend)
}

fn caller(options: &Options, url: &str) -> Vec<String> {
    let (rate, duration) = (options.rate.to_string(), format!("{}s", options.seconds));
    let fixed =
        ["--url", url, "--rate", &rate, "--duration", &duration, "--timeout", "1s", "--connections", "300"];
    let mut arguments: Vec<String> = fixed.map(str::to_owned).to_vec();
    for header in &options.header {
        arguments.extend(["--header".to_owned(), header.clone()]);
    }
    arguments
}

/// Asks the back end what it counted.
fn counts(backend: &Backend) -> Result<Value> {
    use std::io::{Read as _, Write as _};
    let address = backend.addresses.first().context("the back end named no address")?;
    let mut stream = std::net::TcpStream::connect(address)?;
    write!(stream, "GET /__counts HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    serde_json::from_str(body).context("the back end printed no counts")
}
