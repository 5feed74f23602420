//! A drill as one page that needs nothing else: no network, no scripts, light and dark, wide and narrow.

mod tables;

use super::figures::Figures;
use super::happening::{clock, happenings};
use super::library::first_sentence;
use super::picture::{Mark, Paint, Plot, Size, drawn, marks, plots};
use super::story::Story;
use super::transcript::{changed, names};
use super::words::{count, percent, span};
use anyhow::anyhow;
use sim::report::Report;
use std::fmt::Write as _;

const WIDE: Size = Size { width: 1200, height: 320 };
const NARROW: Size = Size { width: 380, height: 300 };
const SMALL: Size = Size { width: 400, height: 230 };

/// The page of a drill.
///
/// # Errors
/// When a plot cannot be drawn.
pub(crate) fn page(story: &Story) -> anyhow::Result<String> {
    let (marks, plots) = (marks(&story.run), plots(story));
    let figures = story.figures();
    let mut body = String::new();
    body += &head(story, &figures);
    if let Some((first, others)) = plots.split_first() {
        body += &format!(
            "<section class=\"hero\"><div class=\"wide\">{}</div><div class=\"narrow\">{}</div>{}</section>\n",
            svg(first, &marks, WIDE)?,
            svg(first, &marks, NARROW)?,
            key(&marks)
        );
        body += &sides(story, others, &marks)?;
    }
    body += &tables::side_by_side(story, &figures);
    body += &tables::compared(story);
    story.verdicts.iter().for_each(|verdict| body += &tables::judged(story, verdict));
    if let Some(beside) = &story.beside {
        let summary = format!("Timeline of {}", story.title(beside));
        body += &format!(
            "<section><details><summary>{}</summary>{}</details></section>\n",
            escaped(&summary),
            timeline(beside)
        );
    }
    body += &foot(story);
    let title = escaped(&story.heading());
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>\n{}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n",
        include_str!("page.css")
    ))
}

/// `text` as HTML shows it.
fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    // A number stays with its unit.
    text.replace(" %", "\u{a0}%")
}

fn svg(plot: &Plot, marks: &[Mark], size: Size) -> anyhow::Result<String> {
    drawn(plot, marks, size, Paint::Page).map_err(|e| anyhow!("{} cannot be drawn: {e}", plot.title))
}

/// Name, the two figures that matter most, and what they mean.
fn head(story: &Story, figures: &[Figures]) -> String {
    let mut text = format!("<header>\n<h1>{}</h1>\n", escaped(&story.run.scenario));
    writeln!(text, "<p class=\"lead\">{}</p>", escaped(&first_sentence(&story.scenario.about)))
        .expect("a string");
    text += "<div class=\"headline\">\n";
    for ((name, figures), (run, class)) in
        names(story).iter().zip(figures).zip(story.runs().zip(["run", "beside"]))
    {
        let acted = if run.operators { "operators act" } else { "nobody acts" };
        let alone = story.scenario.operators.is_empty() || name == acted;
        let name = escaped(&if alone { name.clone() } else { format!("{name}, {acted}") });
        let served = percent(figures.availability);
        writeln!(text, "<div class=\"{class}\"><b>{served}</b><span class=\"name\">{name}</span></div>")
            .expect("a string");
    }
    text += "</div>\n";
    writeln!(text, "<p class=\"faint\">of people's requests got a useful answer, {}</p>", story.window())
        .expect("a string");
    if let (Some(beside), [a, b]) = (&story.beside, figures) {
        writeln!(text, "<p>{}</p>", escaped(&changed(&story.played(beside), beside, a, b)))
            .expect("a string");
    }
    for broken in story.runs().flat_map(|run| &run.broken) {
        writeln!(text, "<p class=\"bad\">The run broke a promise: {}</p>", escaped(broken))
            .expect("a string");
    }
    text + "</header>\n"
}

/// What the numbers in a plot stand for.
fn key(marks: &[Mark]) -> String {
    let of = |(number, mark): (usize, &Mark)| {
        format!("<li><span class=\"number\">{number}</span>{}</li>", escaped(&mark.what))
    };
    let all: String = (1..).zip(marks).map(of).collect();
    if all.is_empty() { all } else { format!("<ul class=\"key\">{all}</ul>") }
}

/// The timeline with the plots beside it.
fn sides(story: &Story, plots: &[Plot], marks: &[Mark]) -> anyhow::Result<String> {
    let mut text = format!(
        "<div class=\"sides\">\n<section><h2>What happened, {}</h2>{}</section>\n<div class=\"plots\">\n",
        escaped(&story.title(&story.run)),
        timeline(&story.run)
    );
    for plot in plots {
        // Bars need room for each word only.
        let height = if plot.bars.is_empty() { SMALL.height } else { 64 + 32 * plot.bars.len() as i32 };
        let size = Size { height: height.min(SMALL.height), ..SMALL };
        writeln!(text, "<div class=\"card plot\">{}</div>", svg(plot, marks, size)?).expect("a string");
    }
    Ok(text + "</div>\n</div>\n")
}

fn timeline(run: &Report) -> String {
    let mut text = "<ol class=\"time\">\n".to_owned();
    let mut number = 0;
    for happening in happenings(run) {
        let time = clock(run.starts, happening.at);
        let told = escaped(&happening.text);
        let told = if happening.mark.is_some() {
            number += 1;
            format!("<span class=\"marked\"><span class=\"number\">{number}</span>{told}</span>")
        } else {
            format!("<span>{told}</span>")
        };
        writeln!(text, "<li><time>{time}</time>{told}</li>").expect("a string");
    }
    text + "</ol>"
}

/// What was played and how it is played again.
fn foot(story: &Story) -> String {
    let mut text = "<section>\n<h2>To see the same again</h2>\n".to_owned();
    writeln!(text, "<pre>{}</pre>\n<dl>", escaped(&story.command)).expect("a string");
    let (first, seeds) = story.seeds;
    let seeds = if seeds == 1 { format!("{first}") } else { format!("{first} to {}", first + seeds - 1) };
    let mut row = |head: &str, value: &str| {
        writeln!(text, "<dt>{head}</dt><dd>{}</dd>", escaped(value)).expect("a string");
    };
    row("seeds", &seeds);
    row("size", &percent(story.run.scale));
    for (name, run) in names(story).iter().zip(story.runs()) {
        row(name, &format!("{} events, hash {:016x}", count(run.events as f64), run.hash));
    }
    row("took", &span(story.took));
    row("version", env!("CARGO_PKG_VERSION"));
    text += "</dl>\n</section>\n";
    let about: Vec<String> =
        story.scenario.about.trim().split("\n\n").map(|p| format!("<p>{}</p>\n", escaped(p))).collect();
    writeln!(text, "<section>\n<h2>The scenario</h2>\n{}</section>", about.concat()).expect("a string");
    text
}
