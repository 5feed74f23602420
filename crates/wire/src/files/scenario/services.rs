//! Services, their routes and their calls.

use super::super::decoder::{Decoder, Item, View};
use super::super::settings;
use super::super::tree::{Node, Value};
use super::graph::{self, Edge};
use super::{Context, all};
use model::scenario::{CallTo, Neighbours, Route, Service, Spread, Start};
use model::{ServiceName, Share};
use std::time::Duration;

/// Every service; none if one of them could not be read.
pub(super) fn services(
    decoder: &mut Decoder<'_>,
    context: &Context<'_>,
    view: &View<'_>,
) -> Option<Vec<Service>> {
    let mut edges = Vec::new();
    let items = view.map("services");
    let services =
        all(items.iter().enumerate(), |(at, item)| service(decoder, context, item, at, &mut edges));
    graph::check(decoder, context, &edges);
    services
}

fn service(
    decoder: &mut Decoder<'_>,
    context: &Context<'_>,
    item: &Item<'_>,
    at: usize,
    edges: &mut Vec<Edge>,
) -> Option<Service> {
    let view = &item.table()?;
    let name = ServiceName::new(&item.entry.key).ok();
    let instances = view.whole32("instances");
    let range = range(decoder, view, instances);
    let compartment = context.names.compartment_of(decoder, view, "compartment");
    let start = match view.table("start") {
        Some(start) => self::start(decoder, context, &start),
        None => Some(START),
    };
    let neighbours = view.table("neighbours").map(|v| neighbours(decoder, &v));
    let routes = view.map("routes");
    let routes =
        all(routes.iter().enumerate(), |(nth, route)| self::route(decoder, context, route, (at, nth), edges));
    let cores = view.number("cores").unwrap_or(1.0);
    Some(Service {
        name: name?,
        instances: instances?,
        range,
        compartment,
        critical: view.flag("critical").unwrap_or(true),
        declared_cores: view.number("declared-cores").unwrap_or(cores),
        memory_mib: view.number("memory-mib").unwrap_or(1024.0),
        cores,
        idle_cores: view.number("idle-cores").unwrap_or_default(),
        threads: view.whole32("threads").unwrap_or(200),
        backlog: view.whole32("backlog").unwrap_or(u32::MAX),
        descriptors: view.whole32("descriptors").unwrap_or(u32::MAX),
        health_apart: view.flag("health-apart").unwrap_or(false),
        start: start?,
        neighbours: match neighbours {
            Some(neighbours) => Some(neighbours?),
            None => None,
        },
        drag: view.number("drag").unwrap_or_default(),
        routes: routes?,
    })
}

/// A start of which nothing is said.
const START: Start = Start {
    takes: Duration::from_secs(30),
    cold_speed: Share::ALL,
    cold_for: Duration::ZERO,
    warm_up: Vec::new(),
};

fn range(decoder: &mut Decoder<'_>, view: &View<'_>, instances: Option<u32>) -> Option<(u32, u32)> {
    let whole = |node: &Node| match node.value {
        Value::Whole(n) => u32::try_from(n).ok(),
        _ => None,
    };
    let (least, most) = view.pair("range")?;
    let (least, most) = (whole(least)?, whole(most)?);
    if least > most {
        let message = format!("from {least} to {most} there is nothing");
        decoder.report_at(view, "range", message, format!("write range = [{most}, {least}]"));
    } else if let Some(n) = instances.filter(|n| !(least..=most).contains(n)) {
        let message = format!("it begins with {n} instances, which this range excludes");
        let mend = format!("write range = [{}, {}], or change `instances`", least.min(n), most.max(n));
        decoder.report_at(view, "range", message, mend);
    }
    Some((least, most))
}

fn start(decoder: &mut Decoder<'_>, context: &Context<'_>, view: &View<'_>) -> Option<Start> {
    let cold_speed = view.share("cold-speed").unwrap_or(START.cold_speed);
    if cold_speed == Share::NONE {
        let message = "an instance without any speed never becomes warm".to_owned();
        decoder.report_at(view, "cold-speed", message, "write cold-speed = \"35%\", or so".to_owned());
    }
    let calls = view.tables("warm-up");
    let warm_up =
        all(calls.iter().enumerate(), |(nth, v)| call(decoder, context, v, nth).map(|(call, ..)| call));
    Some(Start {
        takes: view.duration("takes").unwrap_or(START.takes),
        cold_speed,
        cold_for: view.duration("cold-for").unwrap_or(START.cold_for),
        warm_up: warm_up?,
    })
}

fn neighbours(decoder: &mut Decoder<'_>, view: &View<'_>) -> Option<Neighbours> {
    let drawn_again = view.pair("drawn-again").and_then(|(least, most)| Some((wait(least)?, wait(most)?)));
    if let Some((least, most)) = drawn_again
        && (least > most || most.is_zero())
    {
        let message = "the longer of the two comes second, and is more than nothing".to_owned();
        decoder.report_at(view, "drawn-again", message, "write drawn-again = [\"1s\", \"10s\"]".to_owned());
    }
    Some(Neighbours { share: view.share("share")?, speed: view.share("speed")?, drawn_again: drawn_again? })
}

fn wait(node: &Node) -> Option<Duration> {
    super::scalar::duration(super::as_text(node)?)
}

fn route(
    decoder: &mut Decoder<'_>,
    context: &Context<'_>,
    item: &Item<'_>,
    at: (usize, usize),
    edges: &mut Vec<Edge>,
) -> Option<Route> {
    let view = &item.table()?;
    let (cpu, wait) = (spread(decoder, view, "cpu"), spread(decoder, view, "wait"));
    let calls = view.tables("calls");
    let calls = all(calls.iter().enumerate(), |(nth, v)| {
        let (call, service, route) = call(decoder, context, v, nth)?;
        edges.push(Edge::of(v, at, (service, route), call.times));
        Some(call)
    });
    Some(Route {
        name: item.entry.key.clone(),
        cpu: cpu?,
        wait: wait?,
        failing: view.share("failing").unwrap_or(Share::NONE),
        calls: calls?,
    })
}

fn spread(decoder: &mut Decoder<'_>, view: &View<'_>, key: &str) -> Option<Spread> {
    let Some(node) = view.get(key) else { return Some(Spread::Fixed(Duration::ZERO)) };
    let Some(table) = view.table(key) else { return wait(node).map(Spread::Fixed) };
    let normal = table.text("spread") == Some("normal");
    match (normal, table.get("deviation").is_some()) {
        (true, false) => {
            let message = "a normal distribution has a deviation".to_owned();
            decoder.report_at(&table, "deviation", message, "add deviation = \"5ms\", or so".to_owned());
        }
        (false, true) => {
            let message = "only a normal distribution has a deviation".to_owned();
            let mend = "write spread = \"normal\", or remove it".to_owned();
            decoder.report_at(&table, "deviation", message, mend);
        }
        _ => {}
    }
    let mean = table.duration("mean")?;
    Some(match table.text("spread") {
        Some("fixed") => Spread::Fixed(mean),
        Some("normal") => Spread::Normal(mean, table.duration("deviation").unwrap_or_default()),
        _ => Spread::Exponential(mean),
    })
}

/// A call, with the service and the route that it goes to. It is the `nth` of its list.
fn call(
    decoder: &mut Decoder<'_>,
    context: &Context<'_>,
    view: &View<'_>,
    nth: usize,
) -> Option<(CallTo, usize, usize)> {
    let target = context.names.route(decoder, view);
    let cache = context.names.cache(decoder, view, "cache");
    let policies = policies(decoder, context, view);
    let times = view.number("times").unwrap_or(1.0);
    let beside = view.flag("beside").unwrap_or_default();
    if times == 0.0 && view.get("times").is_some() {
        let message = "this call is never made".to_owned();
        decoder.report_at(view, "times", message, "write how often it is, or remove the call".to_owned());
    }
    if beside && nth == 0 {
        let message = "there is no call before this one".to_owned();
        decoder.report_at(view, "beside", message, "remove `beside`".to_owned());
    }
    let (service, route) = target?;
    let optional = view.flag("optional").unwrap_or_default();
    let pool = view.whole32("pool");
    Some((CallTo { service, route, times, beside, optional, pool, cache, policies }, service, route))
}

/// The settings of calls that `view` is about.
pub(super) fn policies(decoder: &mut Decoder<'_>, context: &Context<'_>, view: &View<'_>) -> model::Settings {
    match view.table("policies") {
        Some(policies) => settings::decode(decoder, &policies, &context.settings),
        None => context.settings.clone(),
    }
}
