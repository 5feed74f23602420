//! The classics: published failures with the policies that they were published for, and with ours.

use super::{FIRST_SEED, Line, judged, play, scenario_file, seeds, seen};
use crate::prove::rounded;
use crate::prove::site::Site;
use anyhow::{Context, Result};
use serde_json::json;
use std::fmt::Write as _;

/// Over how many seeds each of them is played.
const SEEDS: u64 = 5;
/// How far a share may lie from what is asked for.
const POINTS: f64 = 0.0015;

/// Policies, the share that is asked for, and what was published. Round robin sends one in eleven to an instance that is
/// slow for half of the time: 1 - 1/22; that is what was published as 95 %.
const BALANCERS: &[(&str, f64, &str)] = &[
    ("round-robin", 1.0 - 1.0 / 22.0, "95 %"),
    ("least-loaded", 0.99, "99 %"),
    ("pick", 0.998, "99.9 % (peak EWMA)"),
];

/// What is asked of the median of a pass line over the seeds; of the others it is asked that the seeds pass.
const BOUNDS: &[(&str, f64, f64)] = &[
    ("retry-storm-a-baseline-recovers", 0.95, f64::INFINITY),
    ("retry-storm-b-baseline-never-recovers", 0.0, 0.15),
    ("retry-storm-b-baseline-attempts", 2.5, 3.5),
    ("retry-storm-b-default-recovers", 0.95, f64::INFINITY),
    ("retry-storm-b-default-few-retries", 0.0, 1.10),
    ("retry-storm-b-budget-recovers-back-within-five-seconds", 0.95, f64::INFINITY),
    ("retry-storm-b-budget-recovers-few-attempts-more", 0.0, 1.10),
    ("retry-storm-c-baseline-recovers", 0.95, f64::INFINITY),
    ("retry-storm-d-baseline-recovers", 0.95, f64::INFINITY),
    // The timeout is 5 s.
    ("load-ramp-round-robin-at-the-timeout", 4.9, f64::INFINITY),
    ("load-ramp-least-loaded-grows", 1.4, f64::INFINITY),
    ("watchdog-cascade-kubernetes-a-wave-of-kills", 10.0, f64::INFINITY),
    ("watchdog-cascade-marathon-a-wave-of-kills", 10.0, f64::INFINITY),
    ("cold-start-baseline-slow-while-cold", 1.5, f64::INFINITY),
    ("warm-up-storm-baseline-the-shard-is-full", 0.95, f64::INFINITY),
    ("warm-up-storm-baseline-reads-time-out", 1.0, f64::INFINITY),
];

/// What others have published for a line.
const PUBLISHED: &[(&str, &str)] = &[
    ("retry-storm-a-baseline-recovers", "recovers"),
    ("retry-storm-b-baseline-never-recovers", "600 of 6200 a second: 0.10"),
    ("retry-storm-b-baseline-attempts", "20 000 for 6200 a second: 3.2"),
    ("retry-storm-c-baseline-recovers", "recovers"),
    ("retry-storm-d-baseline-recovers", "recovers"),
    ("load-ramp-round-robin-at-the-timeout", "the timeout, 5 s (weighted round robin)"),
    ("load-ramp-round-robin-p99-at-70", "the timeout, 5 s"),
    ("load-ramp-round-robin-p99-at-90", "the timeout, 5 s"),
    ("load-ramp-least-loaded-grows", "1.47"),
    ("load-ramp-least-loaded-p99-at-70", "1.804 s"),
    ("load-ramp-least-loaded-p99-at-90", "2.654 s"),
    ("load-ramp-pick-p99-at-70", "Prequal 0.281 s, C3 0.299 s"),
    ("load-ramp-pick-p99-at-90", "Prequal 0.286 s, C3 0.304 s"),
    ("load-ramp-pick-growth", "Prequal 1.018, C3 1.017"),
    ("warm-up-storm-baseline-the-shard-is-full", "the shard was saturated"),
    ("warm-up-storm-baseline-reads-time-out", "timeouts after 3 s"),
];

/// S2: one of eleven back ends is slow for half a minute of a minute.
pub(super) fn slow_back_end(site: &Site) -> Result<Vec<Line>> {
    let policies = ["round-robin", "least-loaded", "pick", "default"];
    let mut shares = [const { Vec::new() }; 4];
    for seed in FIRST_SEED..FIRST_SEED + seeds(SEEDS) {
        for pair in [0, 2] {
            let (a, b, seed) = (policies[pair], policies[pair + 1], seed.to_string());
            let drill = play(site, &["slow-back-end", "--compare", a, b, "--seed", &seed])?;
            for (i, run) in drill.runs.iter().enumerate() {
                let share = run.availability.context("nobody asked for anything")?;
                shares[pair + i].push(share);
            }
        }
    }
    shares.iter_mut().for_each(|shares| shares.sort_by(f64::total_cmp));
    let lines = policies.iter().zip(&shares).map(|(policies, shares)| success(policies, shares));
    Ok(lines.collect())
}

/// The share of requests that succeed, from lowest to highest, against what is asked of these policies.
fn success(policies: &str, shares: &[f64]) -> Line {
    let median = shares[shares.len() / 2];
    let value = json!({ "median": rounded(median), "worst": rounded(shares[0]), "of": shares.len() });
    let name = format!("slow-back-end-{policies}-success");
    match BALANCERS.iter().find(|(name, ..)| *name == policies) {
        Some((_, wanted, published)) => {
            let bar = format!("median {:.4} within 0.0015", wanted);
            Line::new(name, value, bar, (median - wanted).abs() <= POINTS).published(*published)
        }
        None => Line::printed(name, value),
    }
}

/// S7: a storm of retries that dies away, or does not.
pub(super) fn retry_storm(site: &Site) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for case in ["a", "b", "c", "d"] {
        let scenario = format!("retry-storm-{case}");
        lines.extend(held(site, &scenario, &["baseline", "default"])?);
    }
    // Case (b) with its own time-outs, and our budget as the only change.
    lines.extend(held(site, "retry-storm-b-budget", &["recovers"])?);
    Ok(lines)
}

/// S1: more and more load, with neighbours who take their part.
pub(super) fn load_ramp(site: &Site) -> Result<Vec<Line>> {
    let mut lines = held(site, "load-ramp", &["round-robin", "least-loaded", "default"])?;
    let presets = ["round-robin", "least-loaded", "pick", "default"];
    let looks: &[(&str, &str)] = &[
        ("p99-at-70", "series = \"back-end.p99\"\nmean = [\"10s\", \"240s\"]"),
        ("p99-at-90", "series = \"back-end.p99\"\nmean = [\"250s\", \"480s\"]"),
        (
            "growth",
            "series = \"back-end.p99\"\nrelative-to = [\"10s\", \"240s\"]\nmean = [\"250s\", \"480s\"]",
        ),
        ("p99-at-103", "series = \"back-end.p99\"\nmost = [\"580s\", \"600s\"]"),
        ("success-at-174", "series = \"site.success\"\nmean = [\"730s\", \"745s\"]"),
    ];
    lines.extend(looked_at(site, "load-ramp", &presets, looks)?);
    Ok(lines)
}

/// S9: busy instances are asked for their health through their own busy threads.
pub(super) fn watchdog_cascade(site: &Site) -> Result<Vec<Line>> {
    held(site, "watchdog-cascade", &["kubernetes", "marathon", "default"])
}

/// S10: cold instances get a full share.
pub(super) fn cold_start(site: &Site) -> Result<Vec<Line>> {
    held(site, "cold-start", &["baseline", "default"])
}

/// S11: what was started to help asks all of one shard.
pub(super) fn warm_up_storm(site: &Site) -> Result<Vec<Line>> {
    held(site, "warm-up-storm", &["baseline", "default"])
}

/// Each pass line of these lists as a claim of its own.
fn held(site: &Site, scenario: &str, lists: &[&str]) -> Result<Vec<Line>> {
    let drill = judged(site, scenario, lists, SEEDS, &[])?;
    let mut lines = Vec::new();
    for &name in lists {
        let list = seen::list(&drill, name)?;
        for seen in seen::lines(list) {
            let name = format!("{scenario}-{name}-{}", seen.name);
            let bounds = BOUNDS.iter().find(|(of, ..)| *of == name).map(|(_, from, to)| (*from, *to));
            lines.push(with_published(seen.line(name, list.must_pass, bounds)));
        }
    }
    Ok(lines)
}

/// Figures that the scenario asks nothing of, printed for each of `presets`: its file with lists of our own at the end.
fn looked_at(site: &Site, scenario: &str, presets: &[&str], looks: &[(&str, &str)]) -> Result<Vec<Line>> {
    let mut text = scenario_file(site, scenario)?;
    for preset in presets {
        write!(text, "\n[acceptance.seen-{preset}]\npolicies = \"{preset}\"\n")?;
        if *preset == "default" {
            text.push_str("fleet = \"default\"\n");
        }
        for (name, take) in looks {
            write!(text, "[[acceptance.seen-{preset}.lines]]\nname = \"{name}\"\nsays = \"Seen\"\n{take}\n")?;
            text.push_str("at-least = 0\n");
        }
    }
    let file = site.folder("scenario")?.join(format!("{scenario}.toml"));
    std::fs::write(&file, text)?;
    let lists: Vec<String> = presets.iter().map(|preset| format!("seen-{preset}")).collect();
    let lists: Vec<&str> = lists.iter().map(String::as_str).collect();
    let drill = judged(site, &file.to_string_lossy(), &lists, SEEDS, &[])?;
    let mut lines = Vec::new();
    for (preset, list) in presets.iter().zip(lists) {
        for seen in seen::lines(seen::list(&drill, list)?) {
            let name = format!("{scenario}-{preset}-{}", seen.name);
            lines.push(with_published(Line::printed(name, numbers(&seen))));
        }
    }
    Ok(lines)
}

/// The numbers of a line that nothing is asked of.
fn numbers(seen: &seen::Seen<'_>) -> serde_json::Value {
    let mut value = seen.value();
    if let Some(value) = value.as_object_mut() {
        value.remove("passed");
    }
    value
}

fn with_published(line: Line) -> Line {
    match PUBLISHED.iter().find(|(name, _)| *name == line.name) {
        Some((_, what)) => line.published(*what),
        None => line,
    }
}
