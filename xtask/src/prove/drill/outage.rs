//! The outage of 2018-07-18: it happens as it did, it does not happen without its causes, and what each policy does.

use super::{FIRST_SEED, Line, play, seeds, seen};
use crate::prove::rounded;
use crate::prove::site::Site;
use anyhow::{Result, bail};
use serde_json::json;

/// The first of the seeds that the outage is judged with. Nothing was fitted with them, nor looked at while fitting.
const UNSEEN: u64 = 4001;
/// How many seeds, and how many of them must show the outage.
const SEEDS: u64 = 20;
const MUST_PASS: u64 = 18;
/// Over how many of them it is judged at full scale too: it must not hang on the scale that it is usually played at.
const AT_FULL_SCALE: u64 = 4;
/// With so many of the seeds at most, something "is not shown" by what passes.
const FEW: u64 = 2;
/// Over how many of them the outage is compared with what there is without one of its causes.
const BESIDE: u64 = 10;
/// Without a cause so much more of people's requests succeeds in the half hour around noon, at least: 60 points for the
/// median, 50 for the worst seed against the outage's median.
const POINTS: [f64; 2] = [0.60, 0.50];
/// Over how many seeds policies are compared.
const COMPARED: u64 = 5;
/// The parts of the policies that are dropped and added, one at a time.
const PARTS: &[&str] = &["retry", "breaker", "slow-start", "pick", "autoscale", "watchdog", "reservation"];

/// Without what, and how.
const CAUSES: &[(&str, &str)] = &[
    ("stacked-retries", "retry=default"),
    ("any-retries", "retry=off"),
    ("oversized-reservations", "reservation=default"),
];

/// What the post-mortem says of a line.
const POST_MORTEM: &[(&str, &str)] = &[
    ("search-slows-first", "11:56 to 11:57"),
    ("all-is-reserved", "almost all, 11:58"),
    ("little-is-used", "a fraction"),
    ("down-at-noon", "just before noon"),
    ("back-ends-get-less", "traffic of back ends falls as Opbox fails"),
    ("first-kill", "12:05"),
    ("newcomers-are-killed", "new instances unresponsive at once"),
    ("no-breaker-opens", "the threshold was never reached"),
    ("peak-of-opbox", "2 to 3, by service"),
    ("peak-of-listing", "2 to 3, by service"),
    ("peak-of-search", "2 to 3, by service"),
    ("back", "about 12:20"),
];

/// Acceptance A, and that it fails without its causes; B, which is ours on the same hardware, is printed.
pub(super) fn reproduction(site: &Site) -> Result<Vec<Line>> {
    let drill = judged(site, SEEDS, &["--accept", "A", "--accept", "B"])?;
    let outage = seen::list(&drill, "A")?;
    let must_pass = must_pass(outage.of);
    let bar = format!("acceptance A on >= {must_pass} of {} seeds from {UNSEEN} on", outage.of);
    let holds = outage.passed >= must_pass;
    let mut lines = vec![Line::new("outage-a", seen::summary(outage), bar, holds)];
    for seen in seen::lines(outage) {
        let line = seen.line(format!("outage-a-{}", seen.name), must_pass, None);
        let said = POST_MORTEM.iter().find(|(name, _)| *name == seen.name);
        lines.push(match said {
            Some((_, text)) => line.published(*text),
            None => line,
        });
    }
    lines.extend(at_full_scale(site)?);
    lines.extend(without_causes(site, holds)?);
    let ours = seen::list(&drill, "B")?;
    lines.push(Line::printed("outage-b", seen::summary(ours)));
    let seen = seen::lines(ours);
    lines.extend(seen.iter().map(|seen| Line::printed(format!("outage-b-{}", seen.name), seen.value())));
    Ok(lines)
}

/// As large a share of so many seeds as of all.
fn must_pass(of: u64) -> u64 {
    (MUST_PASS * of).div_ceil(SEEDS)
}

/// A where nothing is scaled down: as a whole, and the lines that say when.
fn at_full_scale(site: &Site) -> Result<Vec<Line>> {
    let drill = judged(site, AT_FULL_SCALE, &["--accept", "A", "--scale", "1"])?;
    let outage = seen::list(&drill, "A")?;
    let must_pass = must_pass(outage.of);
    let bar = format!("acceptance A on >= {must_pass} of {} seeds at full scale", outage.of);
    let whole = seen::summary(outage);
    let mut lines = vec![Line::new("outage-at-full-scale", whole, bar, outage.passed >= must_pass)];
    for seen in seen::lines(outage) {
        lines.push(Line::printed(format!("outage-at-full-scale-{}", seen.name), seen.value()));
    }
    Ok(lines)
}

/// That A fails without each of the causes, and that it fails because the outage does not come: what people got, and
/// what was killed, beside what it was with all causes.
fn without_causes(site: &Site, holds: bool) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for (cause, part) in CAUSES {
        let without = judged(site, SEEDS, &["--accept", "A", "--with", part])?;
        let list = seen::list(&without, "A")?;
        let few = FEW * list.of / SEEDS;
        let bar = format!("A holds, and with --with {part} it passes on <= {few} of {} seeds", list.of);
        // What fails anyway shows nothing by failing without something.
        let fails = holds && list.passed <= few;
        lines.push(Line::new(format!("outage-a-without-{cause}"), seen::summary(list), bar, fails));
        lines.push(beside(site, cause, part)?);
    }
    Ok(lines)
}

/// What people got without a cause, beside what they got with it.
fn beside(site: &Site, cause: &str, part: &str) -> Result<Line> {
    let (first, count) = (UNSEEN.to_string(), seeds(BESIDE).to_string());
    let other = format!("own,{part}");
    let args = ["allegro-2018", "--compare", "own", &other, "--first-seed", &first, "--seeds", &count];
    let drill = play(site, &args)?;
    let [with, without] = drill.compared.as_slice() else {
        bail!("two sets of policies were compared, and {} rows came", drill.compared.len());
    };
    let shown = |row: &api::DrillRow| {
        json!({
            "availability": row.availability.map(rounded),
            "minutes_below_half": row.minutes_below_half.map(rounded),
            "kills": row.kills,
        })
    };
    let more = without.availability.map(|share| share - with.availability[0]);
    let goes = more[0] >= POINTS[0] && more[1] >= POINTS[1];
    let bar = format!(
        "share of people's requests that succeed from 11:55 to 12:25, {count} seeds, --with {part}: the median >= {:.0} \
         points above the outage's median, the worst seed >= {:.0}",
        POINTS[0] * 100.0,
        POINTS[1] * 100.0
    );
    let value = json!({ "with": shown(with), "without": shown(without) });
    Ok(Line::new(format!("outage-gone-without-{cause}"), value, bar, goes))
}

fn judged(site: &Site, wanted: u64, how: &[&str]) -> Result<api::Drill> {
    let (first, count) = (UNSEEN.to_string(), seeds(wanted).to_string());
    let mut args = vec!["allegro-2018", "--first-seed", &first, "--seeds", &count];
    args.extend(how);
    play(site, &args)
}

/// What ships without each of its parts, and what was with each of them.
pub(super) fn ablation(site: &Site) -> Result<Vec<Line>> {
    let (first, count) = (FIRST_SEED.to_string(), seeds(COMPARED).to_string());
    let drill = play(site, &["allegro-2018", "--ablate", "--first-seed", &first, "--seeds", &count])?;
    let wanted = wanted();
    let names: Vec<&str> = drill.compared.iter().map(|row| row.policies.as_str()).collect();
    let missing: Vec<&String> = wanted.iter().filter(|row| !names.contains(&row.as_str())).collect();
    let value = json!({ "rows": names.len(), "seeds": seeds(COMPARED), "missing": missing });
    let bar = format!("{} rows: both, each part dropped, each added; >= {COMPARED} seeds", wanted.len());
    let all = missing.is_empty() && seeds(COMPARED) >= COMPARED;
    let mut lines = vec![Line::new("ablation", value, bar, all)];
    lines.extend(drill.compared.iter().map(|row| {
        let both = |[median, worst]: [f64; 2]| json!([rounded(median), rounded(worst)]);
        Line::printed(
            format!("ablation-{}", row.policies.replace(' ', "-")),
            json!({
                "availability": both(row.availability),
                "minutes_below_half": both(row.minutes_below_half),
                "kills": row.kills,
                "attempts": both(row.attempts),
                "unplaced": row.unplaced,
            }),
        )
    }));
    Ok(lines)
}

/// The rows of the comparison by name.
fn wanted() -> Vec<String> {
    let both = ["allegro-2018".to_owned(), "default".to_owned()];
    let dropped = PARTS.iter().map(|part| format!("default without {part}"));
    let added = PARTS.iter().map(|part| format!("allegro-2018 with {part}"));
    both.into_iter().chain(dropped).chain(added).collect()
}
