//! One of eleven back ends is slow for half a minute: what each policy adds, on real sockets and in the simulator.

use super::site::{self, Site};
use super::{Line, cost};
use anyhow::{Context, Result};
use serde_json::Value;

/// The balancers, each with everything of the one before; the last is what ships.
const BALANCERS: &[&str] = &["round-robin", "pick", "pick+breaker", "default"];
/// What the last must reach, as a share of requests answered within the caller's second.
const SHIPPED_SUCCESS: f64 = 0.999;
/// How far the simulated share of failures may lie from the real one, relative to the real one.
const TOLERANCE: f64 = 0.25;

/// `cargo xtask bench slow-backend`, and the same scenario in `sim`.
pub(crate) fn run(site: &Site) -> Result<Vec<Line>> {
    let real = cost::bench(site, &["slow-backend"])?;
    let simulated = simulate(site);
    let mut lines = Vec::new();
    for &balancer in BALANCERS {
        let failed = failed_share(&real, balancer)?;
        let success = super::rounded((1.0 - failed) * 100.0) / 100.0;
        let name = format!("slow-backend-{balancer}-success");
        lines.push(if Some(&balancer) == BALANCERS.last() {
            Line::at_least(name, success, SHIPPED_SUCCESS, "")
        } else {
            Line::printed(name, success)
        });
        lines.push(compare(balancer, failed, simulated.as_ref()));
    }
    Ok(lines)
}

/// The same scenario on the virtual clock.
fn simulate(site: &Site) -> Result<Value> {
    let mut example = site::cargo();
    example.args([
        "run",
        "--quiet",
        "--release",
        "--locked",
        "--package",
        "sim",
        "--example",
        "slow_backend",
        "--",
        "--json",
    ]);
    let text = site::output_of(example.current_dir(site.root()))?;
    serde_json::from_str(&text).context("the simulator printed no JSON")
}

fn compare(balancer: &str, real: f64, simulated: Result<&Value, &anyhow::Error>) -> Line {
    let name = format!("slow-backend-{balancer}-failed-in-sim");
    let bar = format!("within 25 % of the real {real:.5}");
    match simulated
        .map_err(|error| format!("{error:#}"))
        .and_then(|report| failed_share(report, balancer).map_err(|error| format!("{error:#}")))
    {
        Ok(share) => Line::new(name, share, bar, (share - real).abs() <= TOLERANCE * real),
        Err(error) => Line::new(name, error, bar, false),
    }
}

/// Failed requests as a share of all that were due, from `{rows: [{balancer, failed, sent}]}`.
fn failed_share(report: &Value, balancer: &str) -> Result<f64> {
    let rows = report["rows"].as_array().context("the report has no list `rows`")?;
    let row = rows.iter().find(|row| row["balancer"] == balancer);
    let row = row.with_context(|| format!("the report has no row of {balancer}"))?;
    let count =
        |field: &str| row[field].as_f64().with_context(|| format!("the row of {balancer} has no {field}"));
    Ok(count("failed")? / count("sent")?.max(1.0))
}
