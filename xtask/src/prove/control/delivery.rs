//! Two thousand followers: how soon a change is there, and what it costs. Measured by `cargo xtask bench control`.

use crate::prove::Line;
use crate::prove::site::{self, Site};
use anyhow::{Context, Result};
use serde_json::Value;
use std::process::{Command, Stdio};

/// Figure, bar, unit.
const BARS: &[(&str, f64, &str)] = &[
    ("delivered_ms_p99", 50.0, "ms from the registration to a follower"),
    ("memory_kib_per_follower", 64.0, "KiB"),
    ("bytes_per_delivery", 200.0, "bytes a change and follower"),
    ("back_bytes_per_follower", 4096.0, "bytes each to come back unchanged"),
];
/// Figures that have no bar.
const PRINTED: &[&str] =
    &["delivered_ms_p50", "processor_us_per_delivery", "back_seconds", "plane_at_most_kib"];

pub(super) fn run(site: &Site) -> Result<Vec<Line>> {
    let ourselves = std::env::current_exe().context("this program has no path")?;
    let mut command = Command::new(ourselves);
    let words = ["bench", "control", "--followers", "2000", "--runs", "3", "-o", "json"];
    command.args(words).current_dir(site.root()).stderr(Stdio::inherit());
    let figures: Value = serde_json::from_str(site::output_of(&mut command)?.trim())?;
    let figure = |name: &str| figures[name].as_f64().with_context(|| format!("no figure {name} was printed"));
    let mut lines = Vec::new();
    for (name, most, unit) in BARS {
        lines.push(Line::at_most(format!("delivery-{name}"), figure(name)?, *most, unit));
    }
    for name in PRINTED {
        lines.push(Line::printed(format!("delivery-{name}"), crate::prove::rounded(figure(name)?)));
    }
    Ok(lines)
}
