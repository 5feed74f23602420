//! Same seed, same run; and a draw more in one policy changes no other.

use super::{Line, play, told};
use crate::prove::site::{self, Site};
use anyhow::Result;
use serde_json::json;

/// What is played twice: the outage at a fiftieth of its size, and the classic of balancing.
const PLAYED: &[(&str, &str)] = &[("allegro-2018", "0.02"), ("slow-back-end", "1")];

/// Two processes for each seed, and the simulator's own test of its streams of chance.
pub(super) fn run(site: &Site) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for (scenario, scale) in PLAYED {
        let hashes = |seed| -> Result<Vec<String>> {
            let drill = play(site, &[scenario, "--scale", scale, "--seed", seed])?;
            Ok(drill.runs.into_iter().map(|run| run.hash).collect())
        };
        let (one, two, other) = (hashes("1001")?, hashes("1001")?, hashes("1002")?);
        let differ = one.iter().zip(&other).all(|(one, other)| one != other);
        let same = !one.is_empty() && one == two && differ;
        let value = json!({ "first": one, "second": two, "another_seed": other });
        let bar = "the same twice, others with another seed";
        lines.push(Line::new(format!("same-seed-same-hash-{scenario}"), value, bar, same));
        let text = || told(site, &[scenario, "--scale", scale, "--seed", "1001"]);
        let (one, two) = (text()?, text()?);
        let value = json!({ "lines": one.lines().count(), "same": one == two });
        let bar = "the same twice";
        lines.push(Line::new(format!("same-seed-same-transcript-{scenario}"), value, bar, one == two));
    }
    lines.push(draw(site)?);
    Ok(lines)
}

/// The test of `sim` that draws once more for each purpose.
fn draw(site: &Site) -> Result<Line> {
    const TEST: &str = "desk::tests::a_draw_more_in_one_policy_leaves_the_other_hashes_alone";
    let mut test = site::cargo();
    test.args(["test", "--locked", "--package", "sim", "--lib", "--", "--exact", TEST]);
    let said = site::output_of(test.current_dir(site.root()))?;
    let result = said.lines().find(|line| line.starts_with("test result:")).unwrap_or("no test was run");
    let passed = result.contains("ok. 1 passed");
    let result = result.split(';').next().unwrap_or(result);
    Ok(Line::new("a-draw-more-leaves-other-hashes-alone", result, "ok. 1 passed", passed))
}
