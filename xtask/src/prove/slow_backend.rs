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
        let success = success_share(&real, balancer)?;
        let name = format!("slow-backend-{balancer}-success");
        lines.push(if Some(&balancer) == BALANCERS.last() {
            Line::at_least(name, success, SHIPPED_SUCCESS, "")
        } else {
            Line::printed(name, success)
        });
        lines.push(match simulated.as_ref().map(|figures| success_share(figures, balancer)) {
            Ok(Ok(in_sim)) => compare(balancer, 1.0 - success, 1.0 - in_sim),
            Ok(Err(error)) => not_simulated(balancer, &error),
            Err(error) => not_simulated(balancer, error),
        });
    }
    Ok(lines)
}

/// The same scenario on the virtual clock, printed in the same lines.
fn simulate(site: &Site) -> Result<Vec<Value>> {
    let mut example = site::cargo();
    example.args([
        "run",
        "--quiet",
        "--release",
        "--locked",
        "--package",
        "sim",
        "--example",
        "slow_back_end",
    ]);
    let text = site::output_of(example.args(["--", "--json"]).current_dir(site.root()))?;
    text.lines().map(|line| serde_json::from_str(line).context("the simulator printed no JSON")).collect()
}

fn compare(balancer: &str, real: f64, simulated: f64) -> Line {
    let bar = format!("within 25 % of the real {real:.6}");
    let near = (simulated - real).abs() <= TOLERANCE * real;
    Line::new(format!("slow-backend-{balancer}-failed-in-sim"), simulated, bar, near)
}

fn not_simulated(balancer: &str, error: &anyhow::Error) -> Line {
    Line::new(
        format!("slow-backend-{balancer}-failed-in-sim"),
        format!("{error:#}"),
        "within 25 % of the real",
        false,
    )
}

/// The share of calls answered well within the caller's second, from `{policies, success_share}`.
fn success_share(figures: &[Value], balancer: &str) -> Result<f64> {
    let figure = cost::figure(figures, &[("policies", balancer)])?;
    figure["success_share"].as_f64().with_context(|| format!("the figure of {balancer} has no success_share"))
}
