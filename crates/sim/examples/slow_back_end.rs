//! One of eleven back ends is slow for half of a minute: which share of the requests succeeds with which policies.
//!
//! `cargo run --release -p sim --example slow_back_end -- [--json] [--seed N] [--hedge MS]`

use model::{Hedge, Preset};
use sim::report::{Occurrence, Outcome};
use sim::{Choice, Report, play};
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| arguments.iter().position(|a| a == name).and_then(|i| arguments.get(i + 1));
    let seed = value("--seed").map_or(Ok(1), |text| text.parse())?;
    let json = arguments.iter().any(|a| a == "--json");
    let text = include_str!("../../../scenarios/slow-back-end.toml");
    let mut scenario = wire::files::decode_scenario(text, "slow-back-end.toml").map_err(|p| p.to_string())?;
    // As the callers of `cargo xtask bench slow-backend`, with which this is compared.
    scenario.clients[0].tells_deadline = false;
    scenario.clients[0].even = true;
    for preset in [Preset::RoundRobin, Preset::Pick, Preset::PickAndBreaker, Preset::Default] {
        let choice = Choice::preset(&scenario, preset, scenario.fleet);
        print(preset.word(), &play(&scenario, &choice, seed), json);
    }
    if let Some(after) = value("--hedge") {
        let hedge = Some(Hedge { after: Duration::from_millis(after.parse()?) });
        scenario.clients[0].policies = model::Settings { hedge, ..Preset::Default.settings() };
        print("default+hedge", &play(&scenario, &Choice::own(&scenario), seed), json);
    }
    Ok(())
}

/// The highest value of a series, in milliseconds.
fn worst(report: &Report, series: &str) -> f64 {
    report.series[series].iter().fold(0.0, |worst: f64, v| worst.max(f64::from(*v))) * 1e3
}

fn print(policies: &str, report: &Report, json: bool) {
    // The last ones are still under way when the minute is over.
    let ended = report.outcomes.iter().filter(|(outcome, _)| **outcome != Outcome::Unfinished);
    let requests: u64 = ended.map(|(_, count)| count).sum();
    let good = report.outcomes.get(&Outcome::Success).copied().unwrap_or(0);
    let share = good as f64 / requests as f64;
    let attempts = worst(report, "back-end.attempts") / 1e3;
    let (p50, p99) = (worst(report, "site.p50"), worst(report, "site.p99"));
    if json {
        let outcomes: Vec<String> =
            report.outcomes.iter().map(|(outcome, n)| format!("\"{}\":{n}", outcome.word())).collect();
        println!(
            "{{\"figure\":\"slow_backend\",\"schema\":2,\"policies\":\"{policies}\",\"seed\":{},\"success_share\":{share},\
             \"sent\":{requests},\"attempts_per_call\":{attempts:.4},\"outcomes\":{{{}}},\
             \"worst_ms\":{{\"p50\":{p50:.1},\"p99\":{p99:.1}}}}}",
            report.seed,
            outcomes.join(","),
        );
        return;
    }
    println!(
        "{policies:<14} {:9.4} % of {requests} succeeded, {} did not; {attempts:.3} attempts for each at worst; p99 {p99:.0} ms at worst",
        share * 100.0,
        requests - good,
    );
    for entry in &report.log {
        if let Occurrence::Note { change, cause, .. } = entry.what {
            println!("    {:7.3} s  {change} ({cause})", entry.at.as_nanos() as f64 / 1e9);
        }
    }
}
