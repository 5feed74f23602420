//! What is told of a run: crossings found in its series and occurrences of its log, as sentences in order of time.

mod crossing;
mod tally;

pub(crate) use tally::clock;

use model::Moment;
use sim::report::{Entry, Occurrence, Report};
use std::time::Duration;

/// Something to tell.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Happening {
    /// When.
    pub(crate) at: Moment,
    /// Whether it belongs into a picture, and in a few words what it is.
    pub(crate) mark: Option<String>,
    /// It in a sentence or two.
    pub(crate) text: String,
}

impl Happening {
    fn note(at: Moment, text: impl Into<String>) -> Happening {
        Happening { at, mark: None, text: text.into() }
    }

    fn mark(at: Moment, mark: impl Into<String>, text: impl Into<String>) -> Happening {
        Happening { at, mark: Some(mark.into()), text: text.into() }
    }
}

/// Everything that is told of a run, in order.
pub(crate) fn happenings(report: &Report) -> Vec<Happening> {
    let mut told = crossing::opening(report);
    told.extend(said(report));
    told.extend(crossing::found(report));
    told.extend(tally::counted(report));
    // A stable sort: at the same moment causes (which were entered first) stand before effects.
    told.sort_by_key(|h| h.at.as_nanos() / 1_000_000_000);
    told
}

/// Deeds that follow each other so closely are one.
const ONE_DEED: Duration = Duration::from_secs(60);

/// Faults and deeds, as the log says them.
fn said(report: &Report) -> Vec<Happening> {
    let mut told: Vec<Happening> = Vec::new();
    let mut deeds: Vec<(Moment, Moment, Vec<String>)> = Vec::new();
    for entry in &report.log {
        match &entry.what {
            Occurrence::FaultBegan(what) => {
                told.push(Happening::mark(entry.at, what.clone(), format!("Fault: {what}.")));
            }
            Occurrence::FaultEnded(what) => told.push(Happening::note(entry.at, format!("Over: {what}."))),
            Occurrence::Operator(what) => match deeds.last_mut() {
                Some((_, last, all)) if entry.at.since(*last) <= ONE_DEED => {
                    *last = entry.at;
                    all.push(what.clone());
                }
                _ => deeds.push((entry.at, entry.at, vec![what.clone()])),
            },
            _ => {}
        }
    }
    told.extend(deeds.into_iter().map(|(at, last, all)| {
        let until = if last > at { format!(" until {}", clock(report.starts, last)) } else { String::new() };
        Happening::mark(at, "operators act", format!("Operators{until}: {}.", all.join("; ")))
    }));
    told
}

/// The name at a position of one of the report's lists.
fn name(names: &[String], at: usize) -> &str {
    names.get(at).map_or("?", String::as_str)
}

/// The entries of the log that `which` makes something of, with their moments.
fn entries<T>(report: &Report, which: impl Fn(&Occurrence) -> Option<T>) -> Vec<(Moment, T)> {
    let of = |entry: &Entry| which(&entry.what).map(|what| (entry.at, what));
    report.log.iter().filter_map(of).collect()
}
