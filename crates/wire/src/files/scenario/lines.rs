//! Pass lines: what must be seen, of which series, and when.

use super::super::decoder::{Decoder, Item, View, nearest};
use super::names::SITE;
use super::{Context, all};
use model::scenario::{Acceptance, Bound, Clients, PassLine, SERIES, Take};
use model::{FleetPreset, Moment, Preset};
use std::collections::BTreeSet;

/// Every list of pass lines; none if one could not be read.
pub(super) fn acceptance(
    decoder: &mut Decoder<'_>,
    context: &Context<'_>,
    view: &View<'_>,
    clients: Option<&[Clients]>,
) -> Option<Vec<Acceptance>> {
    let people = clients.is_none_or(|clients| clients.iter().any(|c| c.human));
    all(view.map("acceptance"), |item| list(decoder, context, &item, people))
}

fn list(
    decoder: &mut Decoder<'_>,
    context: &Context<'_>,
    item: &Item<'_>,
    people: bool,
) -> Option<Acceptance> {
    let view = &item.table()?;
    let seeds = view.whole32("seeds").unwrap_or(20);
    let must_pass = view.whole32("must-pass").unwrap_or(seeds);
    if must_pass > seeds {
        let message = format!("{must_pass} of {seeds} seeds cannot pass");
        decoder.report_at(view, "must-pass", message, format!("write at most {seeds}, or raise `seeds`"));
    }
    let mut names = BTreeSet::new();
    let lines = all(view.tables("lines"), |view| {
        if let Some(name) = view.text("name").filter(|name| !names.insert(*name)) {
            let message = format!("there are two lines \"{name}\" in this list");
            decoder.report_at(&view, "name", message, "give one of them another name".to_owned());
        }
        line(decoder, context, &view, people)
    });
    let policies = view.text("policies").and_then(Preset::from_word);
    let fleet = view.text("fleet").and_then(FleetPreset::from_word);
    Some(Acceptance {
        name: item.entry.key.clone(),
        policies: (policies.is_some() || fleet.is_some())
            .then(|| (policies.unwrap_or(context.policies), fleet.unwrap_or(context.fleet))),
        operators: view.flag("operators").unwrap_or(true),
        seeds,
        must_pass,
        lines: lines?,
    })
}

fn line(decoder: &mut Decoder<'_>, context: &Context<'_>, view: &View<'_>, people: bool) -> Option<PassLine> {
    check_series(decoder, context, view, people);
    let relative_to = view.get("relative-to").map(|_| context.window(decoder, view, "relative-to"));
    let take = take(decoder, context, view);
    let bound = bound(decoder, context, view);
    let name = view.text("name")?;
    Some(PassLine {
        name: name.to_owned(),
        says: view.text("says").unwrap_or(name).to_owned(),
        operators: view.flag("operators"),
        series: view.text("series")?.to_owned(),
        take: take?,
        relative_to: match relative_to {
            Some(window) => Some(window?),
            None => None,
        },
        bound: bound?,
    })
}

const TAKES: [&str; 9] = ["at", "most", "least", "mean", "total", "fall", "above", "below", "back-above"];

/// What is made of the series: exactly one thing.
fn take(decoder: &mut Decoder<'_>, context: &Context<'_>, view: &View<'_>) -> Option<Take> {
    let mut found = TAKES.iter().filter(|key| view.get(key).is_some());
    let Some(key) = found.next().copied() else {
        let message = "it does not say what is looked at in the series".to_owned();
        let mend = format!("add one of {}, such as mean = [\"11:55\", \"12:25\"]", TAKES.join(", "));
        decoder.report(&view.span, &view.path, message, mend);
        return None;
    };
    for second in found {
        let message = format!("a line takes one thing of its series, and there is `{key}`");
        decoder.report_at(view, second, message, "remove one of them, or write a second line".to_owned());
    }
    check_bounds(decoder, view, key);
    let stays = view.duration("stays").unwrap_or_default();
    match key {
        "above" => return Some(Take::Above(view.number(key)?, stays)),
        "below" => return Some(Take::Below(view.number(key)?, stays)),
        "back-above" => return Some(Take::BackAbove(view.number(key)?, stays)),
        _ => {}
    }
    if view.get("stays").is_some() {
        let message = format!("`{key}` takes a number: nothing stays there");
        decoder.report_at(view, "stays", message, "remove it".to_owned());
    }
    if key == "at" {
        return context.moment_of(decoder, view, key).map(Take::At);
    }
    let (from, to): (Moment, Moment) = context.window(decoder, view, key)?;
    Some(match key {
        "most" => Take::Most(from, to),
        "least" => Take::Least(from, to),
        "mean" => Take::Mean(from, to),
        "total" => Take::Total(from, to),
        _ => Take::Fall(from, to),
    })
}

/// A time is bounded by times, a number by numbers.
fn check_bounds(decoder: &mut Decoder<'_>, view: &View<'_>, take: &str) {
    let asks_when = matches!(take, "above" | "below" | "back-above");
    let (numbers, times) = (["at-least", "at-most"], ["between", "not-before"]);
    let (wrong, right) = if asks_when { (numbers, times) } else { (times, numbers) };
    let what = if asks_when { "a time" } else { "a number" };
    for key in wrong.iter().filter(|key| view.get(key).is_some()) {
        let message = format!("`{take}` takes {what}");
        decoder.report_at(view, key, message, format!("bound it with `{}` or `{}`", right[0], right[1]));
    }
    if !wrong.iter().chain(&right).any(|key| view.get(key).is_some()) {
        let message = "it does not say what is right".to_owned();
        decoder.report(&view.span, &view.path, message, format!("add `{}` or `{}`", right[0], right[1]));
    }
}

fn bound(decoder: &mut Decoder<'_>, context: &Context<'_>, view: &View<'_>) -> Option<Bound> {
    if view.get("between").is_some() {
        if view.get("not-before").is_some() {
            let message = "`between` says it already".to_owned();
            decoder.report_at(view, "not-before", message, "remove one of them".to_owned());
        }
        return context.window(decoder, view, "between").map(|(from, to)| Bound::Time(from, to));
    }
    if view.get("not-before").is_some() {
        return context.moment_of(decoder, view, "not-before").map(Bound::NotBefore);
    }
    let (least, most) = (view.number("at-least"), view.number("at-most"));
    if let (Some(least), Some(most)) = (least, most)
        && least > most
    {
        let message = format!("nothing is at least {least} and at most {most}");
        decoder.report_at(view, "at-least", message, "write the smaller one here".to_owned());
    }
    (least.is_some() || most.is_some())
        .then(|| Bound::Number(least.unwrap_or(f64::NEG_INFINITY), most.unwrap_or(f64::INFINITY)))
}

/// The series is one that a run has.
fn check_series(decoder: &mut Decoder<'_>, context: &Context<'_>, view: &View<'_>, people: bool) {
    let Some(series) = view.text("series") else { return };
    let (owner, measure) = series.rsplit_once('.').unwrap_or((series, ""));
    let measures = measures(context, owner);
    if measures.contains(&measure) {
        // These series count people; the others of the site count calls.
        if owner == SITE && !people && !matches!(measure, "attempts" | "rests") {
            let message = "this is about people, and no clients are".to_owned();
            decoder.report_at(view, "series", message, "write human = true for some clients".to_owned());
        }
        return;
    }
    let mend = if measures.is_empty() {
        nearest(owner, owners(context)).map(|near| format!("did you mean \"{near}.{measure}\"?"))
    } else {
        nearest(measure, measures.iter().copied()).map(|near| format!("did you mean \"{owner}.{near}\"?"))
    };
    let mend = mend.unwrap_or_else(|| match measures.as_slice() {
        [] => "write \"site.success\", or another measure of a service, a compartment or clients".to_owned(),
        some => format!("`{owner}` has {}", some.join(", ")),
    });
    decoder.report_at(view, "series", format!("there is no series {series:?}"), mend);
}

/// Everything that has series.
fn owners<'c>(context: &'c Context<'_>) -> impl Iterator<Item = &'c str> {
    let names = &context.names;
    let all = names.services().iter().chain(names.compartments()).chain(names.clients());
    std::iter::once(SITE).chain(all.copied())
}

/// What is measured of `owner`.
fn measures(context: &Context<'_>, owner: &str) -> Vec<&'static str> {
    let names = &context.names;
    let kinds = [
        (SITE, owner == SITE),
        ("SERVICE", names.services().contains(&owner)),
        ("COMPARTMENT", names.compartments().contains(&owner)),
        ("CLIENTS", names.clients().contains(&owner)),
    ];
    let of = |name: &'static str| {
        let (kind, measure) = name.split_once('.')?;
        kinds.contains(&(kind, true)).then_some(measure)
    };
    SERIES.iter().filter_map(|(name, _)| of(name)).collect()
}
