//! One of eleven back ends is slow for half of a minute: which share of the requests succeeds with which policies.
//!
//! `cargo run --release -p sim --example slow_back_end -- [--json] [--seed N] [--hedge MS]`

use model::{Hedge, Preset};
use sim::first::{Report, slow_back_end, slow_back_end_with};
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| arguments.iter().position(|a| a == name).and_then(|i| arguments.get(i + 1));
    let seed = value("--seed").map_or(Ok(1), |text| text.parse())?;
    let json = arguments.iter().any(|a| a == "--json");
    for preset in [Preset::RoundRobin, Preset::Pick, Preset::PickAndBreaker, Preset::Default] {
        print(&slow_back_end(preset, seed), json);
    }
    if let Some(after) = value("--hedge") {
        let hedge = Some(Hedge { after: Duration::from_millis(after.parse()?) });
        let settings = model::Settings { hedge, ..Preset::Default.settings() };
        print(&slow_back_end_with(settings, "default+hedge", seed), json);
    }
    Ok(())
}

fn print(report: &Report, json: bool) {
    let (share, requests) = (report.success_share(), report.requests());
    let percentile = |p| report.percentile(p).unwrap_or_default().as_micros();
    if json {
        let failures: Vec<String> =
            report.outcomes.iter().map(|(outcome, n)| format!("\"{}\":{n}", outcome.word())).collect();
        println!(
            "{{\"figure\":\"slow_backend\",\"schema\":1,\"policies\":\"{}\",\"seed\":{},\"success_share\":{share},\
             \"sent\":{requests},\"attempts\":{},\"outcomes\":{{{}}},\
             \"latency_us\":{{\"p50\":{},\"p99\":{},\"p999\":{}}}}}",
            report.name,
            report.seed,
            report.attempts,
            failures.join(","),
            percentile(0.5),
            percentile(0.99),
            percentile(0.999),
        );
        return;
    }
    let failed = requests - report.outcomes.get(&sim::first::Outcome::Success).copied().unwrap_or(0);
    println!(
        "{:<14} {:9.4} % of {requests} succeeded, {failed} did not; {} attempts; p99 {} ms",
        report.name,
        share * 100.0,
        report.attempts,
        percentile(0.99) / 1000,
    );
    for note in &report.notes {
        let handle = note.handle.map_or_else(|| "all".into(), |h| format!("instance {h}"));
        println!(
            "    {:7.3} s  {handle} {} ({})",
            note.at.as_nanos() as f64 / 1e9,
            note.change.word(),
            note.cause.word()
        );
    }
}
