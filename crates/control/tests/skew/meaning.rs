//! What a message means, in words that do not change from release to release.

use model::{Balancing, Settings, Share};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;
use wire::xds::resource::{decode_endpoint, decode_policy, decode_service};
use wire::xds::{Given, Kind, Request, Update};

/// How an update begins whose type is not known.
pub(crate) const UNKNOWN_TYPE_SENT: &str = "a type that is not known";

fn list(what: &str, names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!(", {what} {}", names.join(" ")) }
}

/// A request: type, sender, names, what is held, and what it thinks of which answer.
pub(crate) fn of_request(request: &Request) -> String {
    let Request { node, type_url, subscribe, unsubscribe, initial, nonce, error } = request;
    let kind = Kind::from_url(type_url).map_or(type_url.as_str(), |kind| kind.word());
    let from = node.as_ref().map(|node| format!(", from {} of {}", node.id, node.cluster));
    let held: Vec<String> = initial.keys().cloned().collect();
    let answer = match error {
        Some(why) => format!(", refuses {nonce}: {why}"),
        None if nonce.is_empty() => String::new(),
        None => format!(", accepts {nonce}"),
    };
    let names = list("wants", subscribe) + &list("drops", unsubscribe) + &list("holds", &held);
    format!("{kind}{}{names}{answer}", from.unwrap_or_default())
}

/// An update: type, what each resource says, and what is gone.
pub(crate) fn of_update(update: &Update) -> String {
    let Some(kind) = Kind::from_url(&update.type_url) else {
        let word = if update.resources.is_empty() { &update.type_url } else { UNKNOWN_TYPE_SENT };
        return format!("{word}, number {}{}", update.nonce, list("gone", &update.removed));
    };
    let given: Vec<String> = update.resources.iter().map(|given| of_resource(kind, given)).collect();
    let given = if given.is_empty() { String::new() } else { format!(", {}", given.join(", ")) };
    format!("{}, number {}{given}{}", kind.word(), update.nonce, list("gone", &update.removed))
}

fn of_resource(kind: Kind, given: &Given) -> String {
    let Given { name, version, payload } = given;
    assert!(!version.is_empty(), "{name} has no version");
    let says = match kind {
        Kind::Service => decode_service(name, payload).map(|(_, policy)| format!("policy {policy}")),
        Kind::Policy => decode_policy(payload).map(|settings| of_settings(&settings)),
        Kind::Endpoint => decode_endpoint(name, payload).map(|(_, endpoint)| endpoint.address.to_string()),
    };
    format!("{name} = {}", says.unwrap_or_else(|why| format!("unreadable: {why}")))
}

/// All settings of wire version 1. What a later version adds is printed where it is switched on, behind these.
fn of_settings(settings: &Settings) -> String {
    let Settings { balancing, timeouts, retry, hedge, breaker, ejection, slow_start, panic, limit } =
        settings;
    let ms = |time: Duration| format!("{} ms", time.as_millis());
    let balancing = match balancing {
        Balancing::PeakEwma => "peak-ewma",
        Balancing::LeastLoaded => "least-loaded",
        Balancing::RoundRobin => "round-robin",
    };
    let mut said = vec![
        format!("[{balancing}"),
        format!("total {}", ms(timeouts.total)),
        format!("connect {}", ms(timeouts.connect)),
        format!("idle {}", ms(timeouts.idle)),
        format!("pass on {}", timeouts.pass_on),
        format!("panic {}", panic.part()),
    ];
    said.extend(retry.as_ref().map(|it| {
        let (each, budget) = (it.try_timeout.map(ms), it.budget.map(Share::part));
        let (floor, back_off, stacked) = (it.floor_per_second, ms(it.back_off), it.stacked);
        format!("retry {} {each:?} {budget:?} {floor} {back_off} {stacked}", it.tries)
    }));
    said.extend(hedge.as_ref().map(|it| format!("hedge {}", ms(it.after))));
    said.extend(breaker.as_ref().map(|it| {
        let (window, rest, most) = (ms(it.window), ms(it.rest), ms(it.rest_at_most));
        let (failures, slow) = (it.failures.part(), it.slow.part());
        format!("breaker {failures} {slow} {} {window} {} {rest} {most}", it.slow_factor, it.minimum_calls)
    }));
    said.extend(ejection.as_ref().map(|it| {
        let (base, most, share) = (ms(it.base), ms(it.at_most), it.share_at_most.part());
        format!("ejection {} {base} {most} {share}", it.failures_in_a_row)
    }));
    said.extend(slow_start.as_ref().map(|it| format!("slow start {} {}", ms(it.window), it.from.part())));
    said.extend(limit.as_ref().map(|it| format!("limit {} {}", it.in_flight, it.queue)));
    said.join("; ") + "]"
}

/// What a follower holds that accepts all that it can read.
#[derive(Default)]
pub(crate) struct Held(BTreeMap<(Kind, String), Given>);

impl Held {
    pub(crate) fn apply(&mut self, update: &Update) {
        let Some(kind) = Kind::from_url(&update.type_url) else { return };
        for given in &update.resources {
            self.0.insert((kind, given.name.clone()), given.clone());
        }
        for name in &update.removed {
            self.0.remove(&(kind, name.clone()));
        }
    }

    /// Drops what it does not want any more.
    pub(crate) fn leave(&mut self, request: &Request) {
        for dropped in &request.unsubscribe {
            let gone = |name: &str| match dropped.strip_suffix('*') {
                Some(folder) => name.starts_with(folder),
                None => name == dropped,
            };
            self.0.retain(|(kind, name), _| kind.url() != request.type_url || !gone(name));
        }
    }

    /// Version by name, of one type.
    pub(crate) fn versions(&self, kind: Kind) -> BTreeMap<String, String> {
        let mine = self.0.iter().filter(|((of, _), _)| *of == kind);
        mine.map(|((_, name), given)| (name.clone(), given.version.clone())).collect()
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let says: Vec<String> = self
            .0
            .iter()
            .map(|((kind, _), given)| format!("{} {}", kind.word(), of_resource(*kind, given)))
            .collect();
        f.write_str(&says.join(", "))
    }
}
