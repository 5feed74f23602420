//! The page of results: a section for each proof, written anew when the proof was run.

use super::{DRILL, FIRST_SEED, Line};
use anyhow::{Context, Result};
use serde_json::{Map, Value};
use std::fmt::Write as _;
use std::path::Path;

/// Where the page lies.
const PAGE: &str = "docs/drill/RESULTS.md";

/// What stands above all sections.
const HEAD: &str = "\
# What the drill shows

Written by `cargo xtask prove drill --write`; nothing here is typed by hand. `--only NAME` renews one section, and without
`--write` the same figures are printed as JSON. Unless a section says otherwise, seeds are those from {FIRST} on, which
nothing was fitted with. \"Held\" says whether a bar is met; what has no bar is printed beside for comparison.
";

/// A section of the page.
struct Section {
    proof: &'static str,
    title: &'static str,
    /// What is shown, with its sources.
    about: &'static str,
    /// How one run of it is looked at.
    again: &'static str,
}

const SECTIONS: &[Section] = &[
    Section {
        proof: "outage",
        title: "The outage of 2018-07-18",
        about: "The outage of allegro.pl after its post-mortem (\"Postmortem - why Allegro went down\", blog.allegro.tech, \
            2018). Published are times and multiples; the numbers of the model are fitted to them, and marked so in \
            `scenarios/allegro-2018.toml`. A is the outage as it was, B is the same hardware and demand with what ships and \
            nobody's help. Each figure is the median over the seeds, with the lowest and the highest.",
        again: "outrigger drill allegro-2018 --accept A --accept B --first-seed 4001 --seeds 20",
    },
    Section {
        proof: "ablation",
        title: "What each policy does in the outage",
        about: "What ships without each of its parts, and the policies of 2018 with each of ours added alone; operators act \
            as they did. Figures are the median and the worst seed, from 11:55 to 12:25.",
        again: "outrigger drill allegro-2018 --ablate --first-seed 1001 --seeds 5",
    },
    Section {
        proof: "slow-back-end",
        title: "One of eleven back ends is slow",
        about: "After \"Beyond round robin: load balancing for latency\" (Linkerd's blog, 2016): the share of 1000 requests a \
            second that succeed within 1 s while one of eleven answers after 2 s for half of the minute. Round robin sends it \
            one in eleven, so 1 - 1/22 = 95.45 % is what arithmetic gives and what was published as 95 %.",
        again: "outrigger drill slow-back-end --compare round-robin pick --seed 1001",
    },
    Section {
        proof: "retry-storm",
        title: "A storm of retries that never ends",
        about: "After Huang et al., \"Metastable failures in the wild\" (OSDI 2022, section 5.2), cases (a) to (d): only (b) \
            never recovers. The store's capacity, its backlog and the driver's connections are fitted to that edge.",
        again: "outrigger drill retry-storm-b --accept baseline --accept default --first-seed 1001 --seeds 5",
    },
    Section {
        proof: "load-ramp",
        title: "More and more load, with neighbours",
        about: "After Wydrowski et al., \"Load is not what you should balance\" (NSDI 2024, figure 6 and table 1). p99 in \
            seconds at 70 % and 90 % of what the instances were promised, the highest at 103 %, the growth from 70 % to 90 %, \
            and the share that succeeds at 174 %. `pick` is our present choice of an instance alone, by what callers see; what \
            servers report of themselves is not used yet.",
        again: "outrigger drill load-ramp --compare least-loaded pick --seed 1001",
    },
    Section {
        proof: "watchdog-cascade",
        title: "A watchdog that kills what is busy",
        about: "After field reports and the post-mortem of 2018: instances asked for their health through their own busy \
            threads are killed although they make progress. One instance did hang, and should be found.",
        again: "outrigger drill watchdog-cascade --accept kubernetes --accept default --first-seed 1001 --seeds 5",
    },
    Section {
        proof: "cold-start",
        title: "Cold instances under fire",
        about: "Ten instances become twenty at twice the load, and newcomers work at 35 % of their speed for a minute. The shape \
            is the post-mortem's, the numbers are our own; there is no published figure.",
        again: "outrigger drill cold-start --accept baseline --accept default --first-seed 1001 --seeds 5",
    },
    Section {
        proof: "warm-up-storm",
        title: "Help that hurts",
        about: "After \"A mysterious Couchbase performance drop\" (blog.allegro.tech, 2024): thirty new gateways read one large \
            document 200 times each, all on one shard.",
        again: "outrigger drill warm-up-storm --accept baseline --accept default --first-seed 1001 --seeds 5",
    },
    Section {
        proof: "deterministic",
        title: "The same seed is the same run",
        about: "Two processes with the same seed, and one with another. A test draws once more in one policy after the other \
            and looks at the runs in which that policy decides nothing.",
        again: "outrigger drill slow-back-end --seed 1001 -o json",
    },
    Section {
        proof: "speed",
        title: "How fast, and how large",
        about: "The best of three, since machines are noisy. Seconds are those that somebody waits for `outrigger drill`, which \
            plays two runs at once; events a second are counted in the processor's time, as one core plays them.",
        again: "outrigger drill allegro-2018 --seed 1001",
    },
    Section {
        proof: "pages",
        title: "What people look at",
        about: "The report in Chromium without a network, on a desk and on a phone, and the transcripts' widest line.",
        again: "outrigger drill cold-start --html drill.html",
    },
];

/// Writes the section of `proof` into the page of the checkout at `root`; the other sections stay as they are.
///
/// # Errors
/// When the page cannot be written.
pub(crate) fn write(root: &Path, proof: &str, lines: &[Line]) -> Result<()> {
    let path = root.join(PAGE);
    let old = std::fs::read_to_string(&path).unwrap_or_default();
    std::fs::write(&path, page(&old, proof, lines)?)
        .with_context(|| format!("could not write {}", path.display()))
}

/// The page `old` with a new section of `proof`. Sections come in the order of the proofs.
fn page(old: &str, proof: &str, lines: &[Line]) -> Result<String> {
    let mut text = HEAD.replace("{FIRST}", &FIRST_SEED.to_string());
    for part in DRILL.iter().filter_map(|known| SECTIONS.iter().find(|part| part.proof == known.name)) {
        if part.proof == proof {
            text.push_str(&section(part, lines)?);
        } else if let Some(kept) = kept(old, part.title) {
            text.push_str(&kept);
        }
    }
    Ok(text)
}

/// The section of this title, as it stands.
fn kept(old: &str, title: &str) -> Option<String> {
    let from = old.find(&format!("\n## {title}\n"))?;
    let to = old[from + 1..].find("\n## ").map_or(old.len(), |to| from + 1 + to);
    Some(old[from..to].trim_end().to_owned() + "\n")
}

fn section(part: &Section, lines: &[Line]) -> Result<String> {
    let mut text = format!("\n## {}\n\n{}\n", part.title, wrapped(part.about));
    let published = lines.iter().any(|line| line.published.is_some());
    let head =
        if published { "| what | published | here | bar | held |" } else { "| what | here | bar | held |" };
    let rule = if published { "|---|---|---|---|---|" } else { "|---|---|---|---|" };
    write!(text, "\n{head}\n{rule}\n")?;
    for line in lines {
        let held = if line.bar == "printed" {
            ""
        } else if line.pass {
            "yes"
        } else {
            "**no**"
        };
        let bar = if line.bar == "printed" { "" } else { line.bar.as_str() };
        let mut cells =
            vec![line.name.replace('-', " "), words(&line.value), bar.to_owned(), held.to_owned()];
        if published {
            cells.insert(1, line.published.clone().unwrap_or_default());
        }
        let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "/")).collect();
        writeln!(text, "| {} |", cells.join(" | "))?;
    }
    write!(text, "\n```console\n$ cargo xtask prove drill --only {}\n$ {}\n```\n", part.proof, part.again)?;
    Ok(text)
}

/// A value in words: `0.99`; `median 0.99, lowest 0.98`.
fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => match values.as_slice() {
            [] => "none".to_owned(),
            [Value::Number(median), Value::Number(worst)] => format!("{median} (worst {worst})"),
            values => values.iter().map(words).collect::<Vec<_>>().join(", "),
        },
        Value::Object(fields) if fields.contains_key("median") => spread(fields),
        Value::Object(fields) => {
            let some =
                fields.iter().filter(|(_, value)| value.as_object().is_none_or(|object| !object.is_empty()));
            let some = some.map(|(name, value)| format!("{} {}", name.replace('_', " "), words(value)));
            some.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

/// `0.95 (0.93 to 0.97), 5 of 5 seeds`.
fn spread(fields: &Map<String, Value>) -> String {
    let word = |name: &str| fields.get(name).map(words);
    let mut text = word("median").unwrap_or_default();
    let from = word("lowest").or(word("earliest"));
    let to = word("highest").or(word("latest"));
    match (from, to, word("worst")) {
        (Some(from), Some(to), _) if from != to => text.push_str(&format!(" ({from} to {to})")),
        (_, _, Some(worst)) => text.push_str(&format!(" (worst {worst})")),
        _ => {}
    }
    match (word("passed"), word("of")) {
        (Some(passed), Some(of)) => text.push_str(&format!(", {passed} of {of} seeds")),
        (None, Some(of)) => text.push_str(&format!(", {of} seeds")),
        _ => {}
    }
    text
}

/// A paragraph in lines of at most 120 characters.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last().map_or(0, |line| line.chars().count());
        if last > 0 && last + 1 + word.chars().count() > 120 {
            lines.push(String::new());
        }
        let line = lines.last_mut().expect("there is a line from the beginning");
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn every_proof_has_a_section() {
        let sections: Vec<&str> = SECTIONS.iter().map(|part| part.proof).collect();
        let proofs: Vec<&str> = DRILL.iter().map(|proof| proof.name).collect();
        assert_eq!(sections, proofs);
    }

    #[test]
    fn one_section_is_renewed_and_the_others_stay() {
        let line = |value: f64| vec![Line::at_least("some-share", value, 0.9, "").published("91 %")];
        let first = page("", "speed", &line(0.95)).unwrap();
        let both = page(&first, "outage", &line(0.5)).unwrap();
        assert!(both.find("## The outage").unwrap() < both.find("## How fast").unwrap());
        assert!(both.contains("| some share | 91 % | 0.95 | >= 0.9 | yes |"), "{both}");
        assert!(both.contains("| some share | 91 % | 0.5 | >= 0.9 | **no** |"), "{both}");
        let again = page(&both, "outage", &line(0.97)).unwrap();
        assert!(!again.contains("**no**") && again.contains("0.95") && again.contains("0.97"), "{again}");
        assert_eq!(page(&again, "outage", &line(0.97)).unwrap(), again);
    }

    #[test]
    fn values_are_put_in_words() {
        assert_eq!(words(&json!({ "passed": 3, "seeds_that_fail_a_line": {} })), "passed 3");
        assert_eq!(words(&json!([0.5, 0.25])), "0.5 (worst 0.25)");
        let spread = json!({ "median": 2, "lowest": 1, "highest": 3, "passed": 4, "of": 5 });
        assert_eq!(words(&spread), "2 (1 to 3), 4 of 5 seeds");
        assert_eq!(words(&json!({ "median": 2, "worst": 1, "of": 5 })), "2 (worst 1), 5 seeds");
        assert_eq!(words(&json!([])), "none");
    }
}
