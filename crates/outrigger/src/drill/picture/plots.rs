//! What is plotted of a run and of the run beside it.

use super::paint::Ink;
use crate::drill::curve::{Curve, Each};
use crate::drill::figures::refusals;
use crate::drill::happening::happenings;
use crate::drill::story::Story;
use crate::drill::transcript::names;
use model::TimeOfDay;
use sim::report::Report;
use std::time::Duration;

/// A plot: lines over time, or bars by word.
#[derive(Clone, Debug)]
pub(crate) struct Plot {
    /// What it shows.
    pub(crate) title: String,
    /// In which unit.
    pub(crate) unit: Unit,
    /// Seconds from the beginning that it shows.
    pub(crate) lasts: f64,
    /// The time of day of its beginning.
    pub(crate) starts: TimeOfDay,
    /// What is drawn over time, the back first.
    pub(crate) lines: Vec<Line>,
    /// Instead of lines: words with the numbers of both runs.
    pub(crate) bars: Vec<(String, [f64; 2])>,
    /// Words of the bars' two runs.
    pub(crate) names: [String; 2],
}

/// The unit of a plot's values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unit {
    /// Shares of one, from nothing to all.
    Share,
    /// Plain numbers, from nothing up.
    Number,
    /// Seconds, by powers of ten.
    Seconds,
    /// How many times, from one up.
    Times,
}

/// What is drawn over time.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Its name in the legend; empty: it is not in it.
    pub(crate) name: String,
    /// Its colour.
    pub(crate) ink: Ink,
    /// How it is drawn.
    pub(crate) stroke: Stroke,
    /// Seconds and values.
    pub(crate) points: Vec<(f64, f64)>,
}

/// How values over time are drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stroke {
    /// A line.
    Bold,
    /// A line that steps back.
    Thin,
    /// All between it and nothing.
    Area,
    /// A bar for each value.
    Bar,
}

/// A moment that is marked in plots.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Mark {
    /// Seconds from the beginning.
    pub(crate) at: f64,
    /// In a few words.
    pub(crate) what: String,
}

/// The marks of a run, in order of time; their numbers count from one.
pub(crate) fn marks(run: &Report) -> Vec<Mark> {
    let marked = happenings(run).into_iter().filter_map(|h| Some((h.at, h.mark?)));
    marked.map(|(at, what)| Mark { at: at.as_nanos() as f64 / 1e9, what }).collect()
}

/// More points than this cannot be told apart.
const POINTS: usize = 300;

/// The plots of `run` with `beside` next to it. The first says most.
pub(crate) fn plots(story: &Story) -> Vec<Plot> {
    let (run, beside) = (&story.run, story.beside.as_ref());
    let mut both = names(story).into_iter();
    let both = [both.next().unwrap_or_default(), both.next().unwrap_or_default()];
    let pair = Pair { run, beside, names: both };
    let mut plots = vec![pair.success(), pair.demand()];
    plots.extend(run.services.iter().map(|service| pair.latency(service)));
    plots.extend(run.compartments.iter().map(|compartment| pair.room(compartment)));
    plots.extend([pair.attempts(), pair.instances(run, "Instances"), pair.kills(), pair.refused()]);
    if let Some(other) = beside {
        let at = plots.len() - 2;
        plots.insert(at, pair.instances(other, "Instances"));
    }
    plots.retain(|plot| !plot.lines.is_empty() || !plot.bars.is_empty());
    plots
}

struct Pair<'a> {
    run: &'a Report,
    beside: Option<&'a Report>,
    names: [String; 2],
}

impl Pair<'_> {
    fn plot(&self, title: impl Into<String>, unit: Unit) -> Plot {
        let values = self.run.series.values().map(Vec::len).max().unwrap_or(0);
        let lasts = (self.run.every * values as u32).as_secs_f64();
        let (lines, bars) = (Vec::new(), Vec::new());
        Plot {
            title: title.into(),
            unit,
            lasts,
            starts: self.run.starts,
            lines,
            bars,
            names: self.names.clone(),
        }
    }

    /// Adds a series of both runs to a plot, the run beside behind.
    fn both(&self, plot: &mut Plot, series: &str, stroke: Stroke, what: &str) {
        let [run, beside] = self.names.clone();
        let call = |name: String| if what.is_empty() { name } else { format!("{what}, {name}") };
        if let Some(other) = self.beside {
            add(plot, other, series, call(beside), Ink::Beside, stroke);
        }
        add(plot, self.run, series, call(run), Ink::Run, stroke);
    }

    fn success(&self) -> Plot {
        let mut plot = self.plot("People served", Unit::Share);
        self.both(&mut plot, "site.success", Stroke::Bold, "");
        plot
    }

    fn demand(&self) -> Plot {
        let mut plot = self.plot("Useful answers to people, a second", Unit::Number);
        add(&mut plot, self.run, "site.demand", "asked".into(), Ink::Faint, Stroke::Thin);
        self.both(&mut plot, "site.goodput", Stroke::Bold, "");
        plot
    }

    fn latency(&self, service: &str) -> Plot {
        let mut plot = self.plot(format!("Latency of {service}: p99 (bold) and p50"), Unit::Seconds);
        self.both(&mut plot, &format!("{service}.p50"), Stroke::Thin, "");
        plot.lines.iter_mut().for_each(|line| line.name.clear());
        self.both(&mut plot, &format!("{service}.p99"), Stroke::Bold, "");
        plot
    }

    fn room(&self, compartment: &str) -> Plot {
        let mut plot = self.plot(format!("Cores of {compartment}: reserved (bold) and used"), Unit::Share);
        self.both(&mut plot, &format!("{compartment}.used"), Stroke::Thin, "");
        plot.lines.iter_mut().for_each(|line| line.name.clear());
        self.both(&mut plot, &format!("{compartment}.reserved"), Stroke::Bold, "");
        plot
    }

    fn attempts(&self) -> Plot {
        let mut plot = self.plot("Attempts for each call", Unit::Times);
        self.both(&mut plot, "site.attempts", Stroke::Bold, "");
        plot
    }

    /// Instances of one run by state, one upon the other.
    fn instances(&self, run: &Report, title: &str) -> Plot {
        let mut plot = self.plot(title, Unit::Number);
        if self.beside.is_some() {
            let [a, b] = self.names.clone();
            plot.title = format!("{title}: {}", if std::ptr::eq(run, self.run) { a } else { b });
        }
        let states = [("ready", Ink::Ready), ("cold", Ink::Cold), ("starting", Ink::Starting)];
        let mut below: Vec<(f64, f64)> = Vec::new();
        for (state, ink) in states {
            let names = run.services.iter().map(|service| format!("{service}.{state}"));
            let Some(curve) = Curve::sum(run, names) else { continue };
            let mut points = curve.points(POINTS, Each::Mean);
            let under = |i: usize| below.get(i).map_or(0.0, |(_, v)| *v);
            points.iter_mut().enumerate().for_each(|(i, (_, v))| *v += under(i));
            below.clone_from(&points);
            plot.lines.push(Line { name: state.into(), ink, stroke: Stroke::Area, points });
        }
        // A number that never changes is no picture.
        let same = |line: &Line| line.points.windows(2).all(|pair| pair[0].1 == pair[1].1);
        if plot.lines.iter().all(same) {
            plot.lines.clear();
        }
        // The highest is the furthest back.
        plot.lines.reverse();
        plot
    }

    fn kills(&self) -> Plot {
        let mut plot = self.plot("Kills by the watchdog, a minute", Unit::Number);
        let runs = self.beside.into_iter().map(|b| (b, 1, Ink::Beside)).chain([(self.run, 0, Ink::Run)]);
        for (run, name, ink) in runs {
            let names = run.services.iter().map(|service| format!("{service}.kills"));
            let Some(curve) = Curve::sum(run, names) else { continue };
            let minutes = curve.len().div_ceil(curve.span(Duration::from_secs(60)));
            let points = curve.points(minutes.max(1), Each::Sum);
            plot.lines.push(Line { name: self.names[name].clone(), ink, stroke: Stroke::Bar, points });
        }
        // Nobody was killed: there is nothing to see.
        if plot.lines.iter().all(|line| line.points.iter().all(|(_, v)| *v == 0.0)) {
            plot.lines.clear();
        }
        plot
    }

    fn refused(&self) -> Plot {
        let mut plot = self.plot("Requests not served, by reason", Unit::Number);
        let other = self.beside.map(refusals).unwrap_or_default();
        let of =
            |all: &[(&str, u64)], word: &str| all.iter().find(|(w, _)| *w == word).map_or(0, |(_, n)| *n);
        let own = refusals(self.run);
        let mut words: Vec<&str> = own.iter().chain(&other).map(|(word, _)| *word).collect();
        words.sort_by_key(|word| (u64::MAX - of(&own, word) - of(&other, word), *word));
        words.dedup();
        let bar = |word: &&str| ((*word).to_owned(), [of(&own, word) as f64, of(&other, word) as f64]);
        plot.bars = words.iter().take(7).map(bar).collect();
        plot
    }
}

fn add(plot: &mut Plot, run: &Report, series: &str, name: String, ink: Ink, stroke: Stroke) {
    if let Some(curve) = Curve::of(run, series) {
        plot.lines.push(Line { name, ink, stroke, points: curve.points(POINTS, Each::Mean) });
    }
}
