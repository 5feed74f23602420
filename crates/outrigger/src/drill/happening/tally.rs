//! Occurrences that come in numbers: the first is told in full, the rest as counts over stretches of time.

use super::{Happening, entries, name};
use crate::drill::words::{counted as counted_noun, figure, list, span};
use model::{Moment, TimeOfDay};
use sim::report::{Occurrence, Report};
use std::collections::BTreeMap;
use std::time::Duration;

/// No kind of occurrence gets more lines than this beside its first.
const LINES: usize = 10;

/// An instance that was healthy for less than this is young.
const YOUNG: Duration = Duration::from_secs(60);

/// Kills, scaling, refused placements, changed reservations, and what sidecars noted.
pub(super) fn counted(report: &Report) -> Vec<Happening> {
    let mut told = kills(report);
    told.extend(scaling(report));
    told.extend(unplaced(report));
    told.extend(resized(report));
    told.extend(warm_ups(report));
    told.extend(notes(report));
    told
}

/// What happened in one stretch of time: its first and last moment, and all of it.
struct Stretch<T> {
    first: Moment,
    last: Moment,
    all: Vec<T>,
}

/// Splits what comes in order into stretches of equal length, so long that there are at most [`LINES`].
fn stretches<T: Clone>(all: &[(Moment, T)]) -> Vec<Stretch<T>> {
    let split = |seconds: u64| {
        let mut stretches: BTreeMap<u64, Stretch<T>> = BTreeMap::new();
        for (at, what) in all {
            let new = || Stretch { first: *at, last: *at, all: Vec::new() };
            let stretch = stretches.entry(at.as_nanos() / 1_000_000_000 / seconds).or_insert_with(new);
            stretch.last = *at;
            stretch.all.push(what.clone());
        }
        stretches.into_values().collect::<Vec<_>>()
    };
    let lengths = [60, 120, 300, 600, 1800, 3600, 7200];
    lengths.into_iter().map(split).find(|s| s.len() <= LINES).unwrap_or_else(|| split(86_400))
}

/// ` since 12:04:10`, where that is not the moment itself.
fn since(report: &Report, first: Moment, last: Moment) -> String {
    let long = last.since(first) >= Duration::from_secs(1);
    if long { format!(" since {}", clock(report.starts, first)) } else { String::new() }
}

/// `opbox 12 and listing 5`, the most first.
fn by_service(report: &Report, counts: impl Iterator<Item = (usize, u64)>) -> String {
    let mut sums: BTreeMap<usize, u64> = BTreeMap::new();
    counts.for_each(|(service, n)| *sums.entry(service).or_default() += n);
    let mut sums: Vec<(usize, u64)> = sums.into_iter().collect();
    sums.sort_by_key(|(service, n)| (u64::MAX - n, *service));
    let words: Vec<String> =
        sums.iter().map(|(s, n)| format!("{} {n}", name(&report.services, *s))).collect();
    list(&words, 4)
}

#[derive(Clone, Copy)]
struct Kill {
    service: usize,
    reason: &'static str,
    healthy_for: Duration,
}

fn kills(report: &Report) -> Vec<Happening> {
    let all = entries(report, |what| match what {
        Occurrence::Killed { service, reason, healthy_for, .. } => {
            Some(Kill { service: *service, reason, healthy_for: *healthy_for })
        }
        _ => None,
    });
    let Some(((at, first), rest)) = all.split_first() else { return Vec::new() };
    let of = name(&report.services, first.service);
    let text = format!("The watchdog kills an instance of {of} ({}).", first.reason);
    let mut told = vec![Happening::mark(*at, "first kill", text)];
    if let Some((at, young)) = all.iter().find(|(_, kill)| kill.healthy_for < YOUNG) {
        let of = name(&report.services, young.service);
        let text = if young.healthy_for.is_zero() {
            format!("It kills an instance of {of} that has never been healthy.")
        } else {
            format!(
                "It kills an instance of {of} that has been healthy for {} only.",
                span(young.healthy_for)
            )
        };
        told.push(Happening::note(*at, text));
    }
    for Stretch { first, last, all } in stretches(rest) {
        let young = all.iter().filter(|kill| kill.healthy_for < YOUNG).count() as u64;
        let kills = counted_noun(all.len() as u64, "kill");
        let of = by_service(report, all.iter().map(|kill| (kill.service, 1)));
        let mut text = format!("{kills}{}: {of}.", since(report, first, last));
        if young > 0 {
            text += &format!(" {young} had been healthy for less than a minute.");
        }
        told.push(Happening::note(last, text));
    }
    told
}

fn scaling(report: &Report) -> Vec<Happening> {
    let all = entries(report, |what| match what {
        Occurrence::Scaled { service, from, to, reason } => {
            Some((*service, f64::from(*from), f64::from(*to), *reason))
        }
        _ => None,
    });
    changes(report, &all, "The autoscaler wants other numbers of instances", "")
}

fn resized(report: &Report) -> Vec<Happening> {
    let all = entries(report, |what| match what {
        Occurrence::Resized { service, from, to, reason } => Some((*service, *from, *to, *reason)),
        _ => None,
    });
    changes(report, &all, "Instances reserve other numbers of cores", "")
}

type Change = (usize, f64, f64, &'static str);

/// Numbers that went from one value to another, by service and stretch of time, each with its reasons.
fn changes(report: &Report, all: &[(Moment, Change)], head: &str, unit: &str) -> Vec<Happening> {
    let mut told = Vec::new();
    for Stretch { last, all, .. } in stretches(all) {
        let mut sums: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
        let mut reasons: Vec<String> = Vec::new();
        for (service, from, to, reason) in all {
            sums.entry(service).or_insert((from, to)).1 = to;
            if !reasons.iter().any(|r| r == reason) {
                reasons.push(reason.to_owned());
            }
        }
        let word = |(service, (from, to)): (&usize, &(f64, f64))| {
            format!("{} {} → {}{unit}", name(&report.services, *service), figure(*from), figure(*to))
        };
        let words: Vec<String> = sums.iter().map(word).collect();
        told.push(Happening::note(last, format!("{head}: {} ({}).", list(&words, 5), list(&reasons, 3))));
    }
    told
}

fn unplaced(report: &Report) -> Vec<Happening> {
    let all = entries(report, |what| match what {
        Occurrence::Unplaced { service, count, reason } => Some((*service, u64::from(*count), *reason)),
        _ => None,
    });
    let Some(((at, (service, count, reason)), rest)) = all.split_first() else { return Vec::new() };
    let of = name(&report.services, *service);
    let wanted = counted_noun(*count, "new instance");
    let find = if *count == 1 { "finds" } else { "find" };
    let text = format!("{wanted} of {of} {find} no room ({reason}).");
    let mut told = vec![Happening::mark(*at, "no room", text)];
    for Stretch { first, last, all } in stretches(rest) {
        let sum: u64 = all.iter().map(|(_, n, _)| n).sum();
        let of = by_service(report, all.iter().map(|(s, n, _)| (*s, *n)));
        let since = since(report, first, last);
        let placements = counted_noun(sum, "placement");
        told.push(Happening::note(last, format!("{placements} refused for want of room{since}: {of}.")));
    }
    told
}

/// Instances that take turns with their warm-ups, so that who serves those keeps its headroom.
fn warm_ups(report: &Report) -> Vec<Happening> {
    let all = entries(report, |what| match what {
        Occurrence::WarmUps { service, begin, waiting, reason } => {
            Some((*service, u64::from(*begin), *waiting, *reason))
        }
        _ => None,
    });
    let mut told = Vec::new();
    for Stretch { first, last, all } in stretches(&all) {
        let of = by_service(report, all.iter().map(|(s, n, ..)| (*s, *n)));
        let since = since(report, first, last);
        let Some((.., waiting, reason)) = all.last() else { continue };
        told.push(Happening::note(last, format!("Warm-ups begin{since}: {of}; {waiting} wait ({reason}).")));
    }
    told
}

/// What the sidecars noted, the first of each kind and service, and until when it went on.
fn notes(report: &Report) -> Vec<Happening> {
    type Kind = (usize, &'static str, &'static str);
    let mut kinds: BTreeMap<Kind, (Moment, Moment, Option<usize>)> = BTreeMap::new();
    for entry in &report.log {
        let Occurrence::Note { caller, service, change, cause } = &entry.what else { continue };
        // That all is well again, or tried whether it is, follows from that it was not.
        if !matches!(*change, "resting (open)" | "ejected" | "panic") {
            continue;
        }
        let (_, last, _) = kinds.entry((*service, change, cause)).or_insert((entry.at, entry.at, *caller));
        *last = entry.at;
    }
    let tell =
        |((service, change, cause), (first, last, caller)): (Kind, (Moment, Moment, Option<usize>))| {
            let who = caller.map_or("clients", |c| name(&report.services, c));
            let of = name(&report.services, service);
            let what = match change {
                "panic" => format!("see so few healthy instances of {of} that they use all (panic"),
                _ => format!("let an instance of {of} rest ({change}"),
            };
            let mut text = format!("Sidecars of {who} {what}, {cause}).");
            if last.since(first) > Duration::from_secs(60) {
                text += &format!(" The like goes on until {}.", clock(report.starts, last));
            }
            Happening::note(first, text)
        };
    kinds.into_iter().map(tell).collect()
}

/// The time of day as the transcript prints it.
pub(crate) fn clock(starts: TimeOfDay, at: Moment) -> String {
    starts.at(at).to_string()
}
