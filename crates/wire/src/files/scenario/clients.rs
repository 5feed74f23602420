//! Clients: their demand, what they ask for, and what they do when they do not get it.

use super::super::decoder::{Decoder, Item, View, as_number};
use super::super::scalar::duration_text;
use super::super::tree::Value;
use super::services::policies;
use super::{Context, all};
use model::scenario::{Clients, Reload, Visit};
use model::{Moment, Share};
use std::time::Duration;

/// Points in time with numbers.
type Curve = Vec<(Moment, f64)>;

/// Every kind of clients; none if one of them could not be read.
pub(super) fn clients(
    decoder: &mut Decoder<'_>,
    context: &Context<'_>,
    view: &View<'_>,
) -> Option<Vec<Clients>> {
    all(view.map("clients"), |item| some_clients(decoder, context, &item))
}

fn some_clients(decoder: &mut Decoder<'_>, context: &Context<'_>, item: &Item<'_>) -> Option<Clients> {
    let view = &item.table()?;
    let demand = curve(decoder, context, view, "demand");
    if demand.as_ref().is_some_and(|points| points.iter().all(|(_, rate)| *rate == 0.0)) {
        let message = "these clients never come".to_owned();
        decoder.report_at(view, "demand", message, "write how many requests a second they send".to_owned());
    }
    let visits = all(view.map("visits"), |item| visit(decoder, context, &item));
    if let Some(visits) = &visits {
        check_weights(decoder, context, view, visits);
    }
    let reload = view.table("reload").map(|v| reload(decoder, &v));
    let after_limit = view.table("after-limit").map(|v| self::reload(decoder, &v));
    if after_limit.is_some() && visits.as_ref().is_some_and(|v| v.iter().all(|visit| visit.limit.is_none())) {
        let message = "no limit covers any of these visits".to_owned();
        decoder.report_at(view, "after-limit", message, "add `limit` to a visit, or remove this".to_owned());
    }
    let policies = policies(decoder, context, view);
    Some(Clients {
        name: item.entry.key.clone(),
        human: view.flag("human").unwrap_or_default(),
        demand: demand?,
        even: view.text("arrivals") == Some("even"),
        sidecars: view.whole32("sidecars").unwrap_or(1),
        visits: visits?,
        patience: view.duration("patience").unwrap_or(Duration::from_secs(10)),
        tells_deadline: view.flag("tells-deadline").unwrap_or_default(),
        posts: view.share("posts").unwrap_or(Share::NONE),
        reload: maybe(reload)?,
        after_limit: maybe(after_limit)?,
        policies,
    })
}

/// What is absent is fine, what is there and could not be read is not.
fn maybe<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        Some(None) => None,
        Some(Some(value)) => Some(Some(value)),
        None => Some(None),
    }
}

fn visit(decoder: &mut Decoder<'_>, context: &Context<'_>, item: &Item<'_>) -> Option<Visit> {
    let view = &item.table()?;
    let weight = match view.get("weight") {
        Some(_) => curve(decoder, context, view, "weight"),
        None => Some(vec![(Moment::ZERO, 1.0)]),
    };
    let target = context.names.route(decoder, view);
    let limit = context.names.limit(decoder, view, "limit");
    let (service, route) = target?;
    Some(Visit { name: item.entry.key.clone(), weight: weight?, service, route, limit })
}

/// At any time there is something to ask for, and everything is asked for at some time.
fn check_weights(decoder: &mut Decoder<'_>, context: &Context<'_>, view: &View<'_>, visits: &[Visit]) {
    let mut idle = 0;
    for (item, visit) in view.map("visits").iter().zip(visits) {
        if let (true, Some(view)) = (visit.weight.iter().all(|(_, w)| *w == 0.0), item.table()) {
            idle += 1;
            let message = "with a weight of zero this visit is never made".to_owned();
            decoder.report_at(&view, "weight", message, "raise it, or remove the visit".to_owned());
        }
    }
    if idle == visits.len() {
        return;
    }
    let moments = visits.iter().flat_map(|visit| &visit.weight).map(|(at, _)| *at);
    let nothing = |at: &Moment| visits.iter().all(|visit| value_at(&visit.weight, *at) == 0.0);
    if let Some(at) = moments.filter(nothing).min() {
        let message =
            format!("at {} all weights are zero: there is nothing to ask for", context.starts.at(at));
        decoder.report_at(view, "visits", message, "raise one of them there".to_owned());
    }
}

/// The value of a curve at a moment.
fn value_at(points: &[(Moment, f64)], at: Moment) -> f64 {
    let after = points.partition_point(|(moment, _)| *moment <= at);
    let before = after.checked_sub(1).and_then(|n| points.get(n));
    match (before, points.get(after)) {
        (Some((from, a)), Some((to, b))) => {
            let part = at.since(*from).as_secs_f64() / to.since(*from).as_secs_f64();
            a + (b - a) * part
        }
        (Some((_, value)), None) | (None, Some((_, value))) => *value,
        (None, None) => 0.0,
    }
}

/// A number, or points in time with numbers.
fn curve(decoder: &mut Decoder<'_>, context: &Context<'_>, view: &View<'_>, key: &str) -> Option<Curve> {
    let node = view.get(key)?;
    let Value::List(points) = &node.value else {
        return as_number(&node.value).map(|number| vec![(Moment::ZERO, number)]);
    };
    let read = points.iter().enumerate().map(|(nth, point)| {
        let path = format!("{}[{nth}]", view.path_of(key));
        let Value::List(pair) = &point.value else { return None };
        let [when, number] = pair.as_slice() else { return None };
        let at = context.moment(decoder, when, &format!("{path}[0]"))?;
        Some((at, as_number(&number.value)?, when.span.clone(), path))
    });
    let read: Vec<_> = read.collect();
    let sound: Vec<_> = read.iter().flatten().collect();
    for pair in sound.windows(2) {
        if let [(before, ..), (at, _, span, path)] = pair
            && at <= before
        {
            let message = "this goes back in time: it is not later than the point before it".to_owned();
            let mend = "write the points in the order of time, one for each moment".to_owned();
            decoder.report(span, path, message, mend);
        }
    }
    read.into_iter().map(|point| point.map(|(at, number, ..)| (at, number))).collect()
}

fn reload(decoder: &mut Decoder<'_>, view: &View<'_>) -> Option<Reload> {
    let (after, jitter) = (view.duration("after"), view.duration("jitter").unwrap_or_default());
    if after.is_some_and(|after| jitter > after) {
        let most = after.map(duration_text).unwrap_or_default();
        let message = format!("nobody comes before they left: `after` is only {most}");
        decoder.report_at(view, "jitter", message, format!("write at most \"{most}\""));
    }
    Some(Reload {
        share: view.share("share")?,
        after: after?,
        jitter,
        at_most: view.whole32("at-most").unwrap_or(3),
        ceiling: view.number("ceiling").unwrap_or(1.0),
    })
}
