//! Nouns taken apart: every field of every manifest with its key, its value, and how a change of it is followed.
//!
//! Every pattern names every field. Whoever adds one to the model decides here what a change of it does.

use super::super::settings::balancing_word;
use super::shown::{Shown, duration, list, or_false, plain, share, table, text, variable};
use model::{
    Breaker, Edge, EdgeRoute, Ejection, Environment, EnvironmentService, Hedge, Limit, Liveness, Probe,
    Restart, Retry, Run, ServiceManifest, Settings, SlowStart, Startup, Timeouts,
};

/// How a change is followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Follow {
    /// Nothing is to be done.
    Nothing,
    /// What runs takes it over.
    InPlace,
    /// The service's instances are restarted.
    Restart,
    /// The edge is restarted.
    RestartEdge,
    /// It cannot be.
    Refused,
}

/// A setting, or a table of settings that are followed in the same way.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) key: String,
    pub(crate) shown: Shown,
    pub(crate) follow: Follow,
}

fn part(key: &str, follow: Follow, shown: Shown) -> Part {
    Part { key: key.to_owned(), shown, follow }
}

/// The settings of the environment as a whole. Its services are compared one by one.
pub(crate) fn environment(environment: &Environment) -> Vec<Part> {
    let Environment { name, edge: way_in, services: _ } = environment;
    // An environment of another name is another environment.
    let mut parts = vec![part("name", Follow::Refused, text(name.as_str()))];
    if let Some(way_in) = way_in {
        parts.extend(edge(way_in));
    }
    parts
}

fn edge(edge: &Edge) -> Vec<Part> {
    let Edge { listen, routes } = edge;
    let route = |EdgeRoute { prefix, service }: &EdgeRoute| (prefix.clone(), text(service.as_str()));
    let routes = part("edge.routes", Follow::InPlace, Shown::Table(routes.iter().map(route).collect()));
    // Where it stands that it listens where it would anyway, it may not move to the next free port.
    let listen = listen.map_or_else(
        || format!("\"{}\", or the next free port", Edge::LISTEN),
        |listen| format!("\"{listen}\""),
    );
    vec![part("edge.listen", Follow::RestartEdge, Shown::Value(listen)), routes]
}

/// The settings of a service in its environment, but for the number of its instances.
pub(crate) fn service(service: &EnvironmentService) -> Vec<Part> {
    // What becomes of a change in their number depends on both numbers.
    let EnvironmentService { manifest: own, folder, instances: _, environment, settings } = service;
    let value = |(name, value): (&String, &String)| (name.clone(), variable(name, value));
    let mut parts = vec![part("path", Follow::Restart, text(&folder.display().to_string()))];
    parts.extend(manifest(own));
    parts.push(part("environment", Follow::Restart, Shown::Table(environment.iter().map(value).collect())));
    parts.push(policies(settings));
    parts
}

fn manifest(manifest: &ServiceManifest) -> Vec<Part> {
    let ServiceManifest {
        // By it the two were found.
        name: _,
        description,
        kind,
        importance,
        run:
            Run {
                command,
                build,
                stop_grace,
                // Those of the environment are laid over them: the whole is compared.
                environment: _,
            },
        startup: Startup { probe: asked, period, timeout, within },
        liveness: alive,
        restart: Restart { back_off, at_most },
        outgoing,
        // The environment may replace them: what holds is compared.
        settings: _,
    } = manifest;
    let startup = table_of(
        probe(asked),
        [("period", duration(*period)), ("timeout", duration(*timeout)), ("within", duration(*within))],
    );
    let mut parts = vec![
        part("description", Follow::Nothing, text(description)),
        // A job has no address that callers know, a service has: an instance cannot turn from one into the other.
        part("kind", Follow::Refused, text(kind.word())),
        // Nothing reads it yet: calls that begin here have the importance of their cause.
        part("importance", Follow::Nothing, text(importance.word())),
        part("run.command", Follow::Restart, list(command)),
        part("run.build", Follow::Restart, list(build)),
        part("run.stop-grace", Follow::InPlace, duration(*stop_grace)),
        part("probes.startup", Follow::Restart, startup),
    ];
    parts.extend(alive.as_ref().map(|alive| part("probes.liveness", Follow::Restart, liveness(alive))));
    // Their order means nothing.
    let mut called: Vec<&str> = outgoing.iter().map(model::ServiceName::as_str).collect();
    called.sort_unstable();
    parts.extend([
        part("restart.back-off", Follow::InPlace, duration(*back_off)),
        part("restart.at-most", Follow::InPlace, duration(*at_most)),
        // Each of them has a listener of the sidecar, and a variable that names it.
        part("outgoing.services", Follow::Restart, list(&called)),
    ]);
    parts
}

fn liveness(liveness: &Liveness) -> Shown {
    let Liveness { probe: asked, period, timeout, failures } = liveness;
    table_of(
        probe(asked),
        [("period", duration(*period)), ("timeout", duration(*timeout)), ("failures", plain(failures))],
    )
}

fn probe(probe: &Probe) -> (&'static str, Shown) {
    match probe {
        Probe::Http(path) => ("path", text(path)),
        Probe::Tcp => ("tcp", plain(true)),
    }
}

fn table_of<const N: usize>(first: (&'static str, Shown), rest: [(&str, Shown); N]) -> Shown {
    let rest = rest.into_iter().map(|(key, value)| (key.to_owned(), value));
    Shown::Table([(first.0.to_owned(), first.1)].into_iter().chain(rest).collect())
}

/// The policies of a service. Sidecars take all of them over while they serve.
pub(crate) fn policies(settings: &Settings) -> Part {
    let Settings {
        balancing,
        timeouts: Timeouts { total, connect, idle, pass_on },
        retry: again,
        hedge,
        breaker: rests,
        ejection: out,
        slow_start,
        panic,
        limit,
    } = settings;
    let timeouts = table([
        ("total", duration(*total)),
        ("connect", duration(*connect)),
        ("idle", duration(*idle)),
        ("pass-on", plain(pass_on)),
    ]);
    let shown = table([
        ("balancing", text(balancing_word(*balancing))),
        ("timeouts", timeouts),
        ("retry", or_false(*again, retry)),
        ("hedge", or_false(*hedge, |Hedge { after }| table([("after", duration(after))]))),
        ("breaker", or_false(*rests, breaker)),
        ("ejection", or_false(*out, ejection)),
        (
            "slow-start",
            or_false(*slow_start, |SlowStart { window, from }| {
                table([("window", duration(window)), ("from", share(from))])
            }),
        ),
        ("panic", share(*panic)),
        (
            "limit",
            or_false(*limit, |Limit { in_flight, queue }| {
                table([("in-flight", plain(in_flight)), ("queue", plain(queue))])
            }),
        ),
    ]);
    part("policies", Follow::InPlace, shown)
}

fn retry(retry: Retry) -> Shown {
    let Retry { tries, try_timeout, budget, floor_per_second, back_off, stacked } = retry;
    table([
        ("tries", plain(tries)),
        ("try-timeout", or_false(try_timeout, duration)),
        ("budget", or_false(budget, share)),
        ("floor-per-second", plain(floor_per_second)),
        ("back-off", duration(back_off)),
        ("stacked", plain(stacked)),
    ])
}

fn breaker(breaker: Breaker) -> Shown {
    let Breaker { failures, slow, slow_factor, window, minimum_calls, rest, rest_at_most } = breaker;
    table([
        ("failures", share(failures)),
        ("slow", share(slow)),
        ("slow-factor", plain(slow_factor)),
        ("window", duration(window)),
        ("minimum-calls", plain(minimum_calls)),
        ("rest", duration(rest)),
        ("rest-at-most", duration(rest_at_most)),
    ])
}

fn ejection(ejection: Ejection) -> Shown {
    let Ejection { failures_in_a_row, base, at_most, share_at_most } = ejection;
    table([
        ("failures-in-a-row", plain(failures_in_a_row)),
        ("base", duration(base)),
        ("at-most", duration(at_most)),
        ("share-at-most", share(share_at_most)),
    ])
}
