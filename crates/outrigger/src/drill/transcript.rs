//! A run as people read it in a terminal: sentences with times, at most 80 columns wide.

use super::curve::Curve;
use super::figures::{Figures, refusals};
use super::happening::{clock, happenings};
use super::story::Story;
use super::words::{count, counted, figure, list, percent, times};
use model::Moment;
use model::scenario::Scenario;
use sim::report::{Finding, Report, Row, Value, Verdict};
use std::fmt::Write as _;

/// As wide as a terminal is.
const WIDTH: usize = 80;

/// Whether the terminal shows colour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ink {
    /// It does.
    Colour,
    /// It does not, or nobody looks.
    Plain,
}

impl Ink {
    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Ink::Colour => format!("\x1b[{code}m{text}\x1b[0m"),
            Ink::Plain => text.to_owned(),
        }
    }
}

/// A run with its heading.
pub(crate) fn transcript(story: &Story, ink: Ink) -> String {
    let run = &story.run;
    let mut text = ink.paint("1", &story.heading()) + "\n\n";
    let told = happenings(run);
    for happening in &told {
        let time = clock(run.starts, happening.at);
        let lines = wrapped(&happening.text, WIDTH - 10);
        for (i, line) in lines.iter().enumerate() {
            let time = if i == 0 { ink.paint("2", &time) } else { " ".repeat(8) };
            let line = if happening.mark.is_some() { ink.paint("1", line) } else { line.clone() };
            writeln!(text, "{time}  {line}").expect("a string takes what is written");
        }
    }
    text
}

/// How many people were served over the whole run, a line for each run, and what they wanted.
pub(crate) fn strip(story: &Story, ink: Ink) -> String {
    let columns = WIDTH - 22;
    let names = names(story).into_iter().zip(story.runs());
    let served = names.map(|(name, run)| (name, Curve::of(run, "site.success"), 1.0));
    let demand = Curve::of(&story.run, "site.demand");
    let most = demand.as_ref().and_then(|c| c.highest(0, c.len())).map_or(1.0, |(_, v)| v);
    let mut text = ink.paint("1", "People served, and what they asked for") + "\n\n";
    for (name, curve, full) in served.chain([("demand".to_owned(), demand, most)]) {
        let Some(curve) = curve else { continue };
        let name: String = name.chars().take(20).collect();
        let bars: String = curve.columns(columns).into_iter().map(|v| bar(v / full)).collect();
        writeln!(text, "{name:<20}  {bars}").expect("a string takes what is written");
    }
    let (from, to) = (story.run.starts, story.run.starts.at(Moment::ZERO.after(story.scenario.lasts)));
    writeln!(text, "{:<20}  {from}{:>rest$}", "", to.to_string(), rest = columns - 8)
        .expect("a string takes what is written");
    text
}

/// A share as a bar of eight steps.
fn bar(share: f64) -> char {
    const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    match share {
        s if !s.is_finite() => ' ',
        // What is next to nothing is still seen; only all is full.
        s => BARS[((s * 8.0 + 0.1).floor() as usize).clamp(1, 8)],
    }
}

/// The figures of a run, beside another's if there is one, and what that one would have changed.
pub(crate) fn comparison(story: &Story, ink: Ink) -> String {
    let figures = story.figures();
    let names = names(story);
    let mut text = ink.paint("1", &format!("From {}", story.window())) + "\n\n";
    let width = names.iter().map(|n| n.chars().count()).max().unwrap_or(0).max(10);
    let line = |head: &str, cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| format!("  {cell:>width$}")).collect();
        format!("{head:<34}{}\n", cells.concat())
    };
    text += &line("", &names);
    let columns: Vec<_> = figures.iter().map(Figures::rows).collect();
    for (i, (head, _)) in columns.iter().flatten().take(columns[0].len()).enumerate() {
        let cells: Vec<String> = columns.iter().map(|column| column[i].1.clone()).collect();
        // What no run has anything of is no row.
        if cells.iter().any(|cell| cell != "–") {
            text += &line(head, &cells);
        }
    }
    if let (Some(beside), [a, b]) = (&story.beside, figures.as_slice()) {
        text.push('\n');
        for line in wrapped(&changed(&story.played(beside), beside, a, b), WIDTH) {
            text += &(line + "\n");
        }
    }
    text
}

/// The policies of each run in as few words as tell them apart.
pub(crate) fn names(story: &Story) -> Vec<String> {
    let acted: Vec<bool> = story.runs().map(|run| run.operators).collect();
    let policies: Vec<&str> = story.runs().map(|run| run.policies.as_str()).collect();
    match (policies.as_slice(), acted.as_slice()) {
        ([a, b], [x, y]) if a == b && x != y => acted
            .iter()
            .map(|acted| if *acted { "operators act" } else { "nobody acts" }.to_owned())
            .collect(),
        // Where both have the same fleet, it is no difference.
        ([a, b], _) if fleet(a) == fleet(b) => {
            policies.iter().map(|name| short(name.split(" + ").next())).collect()
        }
        _ => policies.iter().map(|name| short(Some(name))).collect(),
    }
}

/// The preset of the fleet in the name of policies.
fn fleet(policies: &str) -> &str {
    policies.split_once(" + ").map_or(policies, |(_, fleet)| fleet.trim_end_matches(" fleet"))
}

/// A name, cut so that a column holds it.
fn short(name: Option<&str>) -> String {
    let name = name.unwrap_or_default();
    if name.chars().count() <= 20 { name.to_owned() } else { name.chars().take(19).chain(['…']).collect() }
}

/// What the second run did otherwise, in a paragraph.
pub(crate) fn changed(title: &str, beside: &Report, a: &Figures, b: &Figures) -> String {
    let served = (percent(a.availability), percent(b.availability));
    let mut text = if served.0 == served.1 {
        format!("With {title} as many people are served: {}.", served.1)
    } else if b.availability > a.availability {
        format!(
            "With {title} {} of people's requests would have been answered in time instead of {}.",
            served.1, served.0
        )
    } else {
        format!(
            "With {title} it would have been worse: {} of people's requests in time instead of {}.",
            served.1, served.0
        )
    };
    let minutes = |minutes: f64| format!("{minutes:.1} minutes");
    if a.minutes_below_half >= 0.1 && b.minutes_below_half < 0.1 {
        text += &format!(
            " Success would never have been below one half; it was for {}.",
            minutes(a.minutes_below_half)
        );
    } else if (a.minutes_below_half - b.minutes_below_half).abs() >= 0.1 {
        let (was, is) = (minutes(a.minutes_below_half), minutes(b.minutes_below_half));
        text += &format!(" Success would have been below one half for {is} instead of {was}.");
    }
    let mut also = Vec::new();
    if (a.attempts - b.attempts).abs() > 0.1 {
        also.push(format!(
            "each call would have been tried {} times instead of {}",
            times(b.attempts),
            times(a.attempts)
        ));
    }
    if a.kills != b.kills {
        let kills = if b.kills == 0 { "nothing killed".into() } else { counted(b.kills, "kill") };
        also.push(format!("{kills} instead of {}", counted(a.kills, "kill")));
    }
    if !also.is_empty() {
        text += &format!(" Also: {}.", list(&also, 5));
    }
    let reasons: Vec<String> =
        refusals(beside).iter().take(3).map(|(word, n)| format!("{word} {}", count(*n as f64))).collect();
    if !reasons.is_empty() {
        text += &format!(" Who was not served, most often: {}.", list(&reasons, 3));
    }
    text
}

/// `text` in lines of at most `width` characters.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    // A number stays with its unit.
    for word in text.replace(" %", "\u{a0}%").split(' ') {
        let line = lines.last_mut().expect("there is always a line");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.iter().map(|line| line.replace('\u{a0}', " ")).collect()
}

/// What was seen for a pass line.
pub(crate) fn value(scenario: &Scenario, value: Option<Value>) -> String {
    match value {
        None => "never".into(),
        Some(Value::Number(number)) => figure(number),
        Some(Value::Time(at)) => scenario.starts.at(at).to_string(),
    }
}

/// Policies compared over all seeds.
pub(crate) fn compared(story: &Story, ink: Ink) -> String {
    let seeds = counted(story.seeds.1, "seed");
    let mut text = ink.paint("1", &format!("People served from {}, {seeds}", story.window())) + "\n\n";
    writeln!(text, "{:<44}{:>9}{:>9}{:>8}{:>10}", "", "median", "worst", "kills", "attempts")
        .expect("a string");
    for row in &story.rows {
        let (median, worst) = (percent(row.availability.0.part()), percent(row.availability.1.part()));
        let (kills, attempts) = (count(row.kills.0 as f64), times(row.attempts.0));
        let name: String = row.policies.chars().take(43).collect();
        writeln!(text, "{name:<44}{median:>9}{worst:>9}{kills:>8}{attempts:>10}").expect("a string");
    }
    text
}

/// Which single part of what ships did most for the scenario's own policies, in a sentence: of the rows that add one.
pub(crate) fn did_most(rows: &[Row]) -> Option<String> {
    let (own, others) = rows.split_first()?;
    let added = others.iter().filter(|row| row.policies.starts_with(&format!("{} ", own.policies)));
    let best = added.max_by(|a, b| a.availability.0.part().total_cmp(&b.availability.0.part()))?;
    let (from, to) = (own.availability.0.part(), best.availability.0.part());
    if to - from < 0.01 {
        return Some(format!("No single part of what ships would have helped {} by itself.", own.policies));
    }
    Some(format!(
        "Of single parts this one would have done most: {} serves {} instead of {}.",
        best.policies,
        percent(to),
        percent(from)
    ))
}

/// A list of pass lines and what was found for each.
pub(crate) fn judged(story: &Story, verdict: &Verdict, ink: Ink) -> String {
    let (passed, of) = (verdict.passed(), verdict.seeds.len());
    let head =
        format!("Acceptance {}: {passed} of {of} seeds pass, {} must", verdict.name, verdict.must_pass);
    let mut text = ink.paint("1", &head) + "\n\n";
    for (i, finding) in verdict.seeds.first().map_or(&[][..], |(_, all)| all).iter().enumerate() {
        let of_line = |(_, all): &&(u64, Vec<Finding>)| all.get(i).is_some_and(|f| f.passed);
        let passes = verdict.seeds.iter().filter(of_line).count();
        let mark = if passes == of { "yes" } else { " no" };
        let seen = value(&story.scenario, finding.value);
        let says = finding.says.trim_end_matches('.');
        let words = format!("{says}: {seen} with seed {}; {passes} of {of} pass.", story.seeds.0);
        for (n, line) in wrapped(&words, WIDTH - 5).iter().enumerate() {
            writeln!(text, "{:<5}{line}", if n == 0 { mark } else { "" }).expect("a string");
        }
    }
    text
}

/// Promises that the runs broke, if there are any.
pub(crate) fn broken(story: &Story) -> Option<String> {
    let all = story.runs().flat_map(|run| &run.broken).map(|what| format!("A promise was broken: {what}\n"));
    Some(all.collect::<String>()).filter(|text| !text.is_empty())
}
