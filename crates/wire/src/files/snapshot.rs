//! The snapshot file: all that a sidecar knows, in JSON. Written by the agent, read by `outrigger sidecar`.

use super::declare::{Field, Kind, between_ms, field, preset, whole};
use super::decoder::{Decoder, View, begin};
use super::problem::{Format, Problems, Source};
use super::scalar::duration_text;
use super::settings::{self, POLICIES, SettingsShape};
use model::{
    App, Bounds, EdgeRoute, Endpoint, InstanceName, Listener, Peer, Role, Service, Settings, Snapshot,
};
use serde::Serialize;
use std::collections::BTreeSet;

/// The number of the format. A file of another number is refused: better than half understood.
const FORMAT: u64 = 1;

/// The words of [`Role`].
const ROLES: [&str; 4] = ["inbound", "outbound", "service", "edge"];

/// The words of [`Peer`].
const PEERS: [&str; 2] = ["sidecar", "app"];

static SNAPSHOT: [Field; 9] = [
    field("format", Kind::Whole { least: FORMAT, most: FORMAT }, "The number of this format.").required(),
    field("version", Kind::Text, "Names this state of knowledge.").required(),
    field("environment", Kind::Text, "The environment's name.").required(),
    field("service", Kind::Name, "The service beside which the sidecar runs."),
    field("instance", Kind::Name, "The instance beside which the sidecar runs."),
    field(
        "listeners",
        Kind::List { of: &Kind::Table(&LISTENER), least: 0 },
        "Where it listens, and for what.",
    )
    .required(),
    field("app", Kind::Table(&APP), "The app beside it, for its inbound side."),
    field("services", Kind::List { of: &Kind::Table(&SERVICE), least: 0 }, "The services that it can call.")
        .required(),
    field("bounds", Kind::Table(&BOUNDS), "What it may use at most.").required(),
];

static LISTENER: [Field; 5] = [
    field("name", Kind::Text, "For people and labels; unique.").required(),
    field("address", Kind::Address, "Where to listen.").required(),
    field("role", Kind::Word(&ROLES), "What requests that come in here are.").required(),
    field("service", Kind::Name, "With the role `service`: which."),
    field("routes", Kind::List { of: &Kind::Table(&ROUTE), least: 0 }, "With the role `edge`: where to."),
];

static ROUTE: [Field; 2] = [
    field("prefix", Kind::UrlPath, "The path's beginning.").required(),
    field("service", Kind::Name, "Where such requests go.").required(),
];

static APP: [Field; 2] = [
    field("address", Kind::Address, "Where it listens.").required(),
    field("settings", Kind::Table(&POLICIES), "The policies for requests to it.").required(),
];

static SERVICE: [Field; 4] = [
    field("name", Kind::Name, "Its name.").required(),
    field("endpoints", Kind::List { of: &Kind::Table(&ENDPOINT), least: 0 }, "Its instances.").required(),
    field(
        "peer",
        Kind::Word(&PEERS),
        "Who answers at their addresses; only sidecars are believed what they refuse.",
    )
    .default("app"),
    field("settings", Kind::Table(&POLICIES), "The policies for requests to it.").required(),
];

static ENDPOINT: [Field; 2] = [
    field("name", Kind::Name, "The instance's name.").required(),
    field("address", Kind::Address, "Where to connect.").required(),
];

/// A day: longer waits are mistakes of the unit.
const DAY: u64 = 86_400_000;

static BOUNDS: [Field; 10] = [
    preset("connections", whole(1), "Connections from callers."),
    preset("idle-per-endpoint", whole(0), "Idle connections kept per endpoint and worker."),
    preset("buffer-bytes", Kind::Whole { least: 0, most: u64::MAX }, "Bytes in buffers."),
    preset("body-copy", whole(0), "Bytes of a request's body that are kept for a retry."),
    preset("head-bytes", whole(1), "Bytes of a message's head."),
    preset("head-fields", whole(1), "Fields of a message's head."),
    preset("head-time", between_ms(1, DAY), "How long a head may take to arrive."),
    preset("caller-idle", between_ms(1, DAY), "How long a caller's connection may be idle."),
    preset("instance-idle", between_ms(0, DAY), "How long a connection to an instance is kept idle."),
    preset("drain", between_ms(0, DAY), "How long a drain may take before what is left is cut."),
];

/// Reads a snapshot. `file` is its name, for people.
///
/// # Errors
/// Every problem at once: unknown or missing keys, wrong values, and parts that do not fit together.
pub fn decode_snapshot(text: &str, file: &str) -> Result<Snapshot, Problems> {
    let source = Source { file: file.to_owned(), text: text.to_owned(), format: Format::Json };
    let (mut decoder, tree) = begin(&source, &SNAPSHOT, true);
    let snapshot = View::whole_file(&tree, &SNAPSHOT).and_then(|view| read(&mut decoder, &view));
    decoder.finish(snapshot)
}

fn read(decoder: &mut Decoder<'_>, view: &View<'_>) -> Option<Snapshot> {
    let services: Vec<Option<Service>> =
        view.tables("services").iter().map(|v| service(decoder, v)).collect();
    let app = view.table("app").map(|v| app(decoder, &v));
    let listeners: Vec<Option<Listener>> = view.tables("listeners").iter().map(listener).collect();
    check_parts(decoder, view);
    Some(Snapshot {
        version: view.text("version")?.to_owned(),
        environment: view.text("environment")?.to_owned(),
        service: view.name("service"),
        instance: view.text("instance").and_then(|name| InstanceName::new(name).ok()),
        listeners: listeners.into_iter().collect::<Option<_>>()?,
        app: app.flatten(),
        services: services.into_iter().collect::<Option<_>>()?,
        bounds: bounds(&view.table("bounds")?)?,
    })
}

fn service(decoder: &mut Decoder<'_>, view: &View<'_>) -> Option<Service> {
    let settings = view.table("settings").map(|v| settings::decode(decoder, &v, &Settings::default()));
    let endpoints = view.tables("endpoints");
    unique(decoder, &endpoints, "name", "endpoint");
    let endpoint = |v: &View<'_>| {
        Some(Endpoint { name: InstanceName::new(v.text("name")?).ok()?, address: v.address("address")? })
    };
    Some(Service {
        name: view.name("name")?,
        endpoints: endpoints.iter().map(endpoint).collect::<Option<_>>()?,
        peer: if view.text("peer") == Some("sidecar") { Peer::Sidecar } else { Peer::App },
        settings: settings?,
    })
}

fn app(decoder: &mut Decoder<'_>, view: &View<'_>) -> Option<App> {
    let settings = view.table("settings").map(|v| settings::decode(decoder, &v, &Settings::default()));
    Some(App { address: view.address("address")?, settings: settings? })
}

fn listener(view: &View<'_>) -> Option<Listener> {
    let route =
        |v: &View<'_>| Some(EdgeRoute { prefix: v.text("prefix")?.to_owned(), service: v.name("service")? });
    let role = match view.text("role")? {
        "inbound" => Role::Inbound,
        "outbound" => Role::Outbound,
        "service" => Role::Service(view.name("service")?),
        "edge" => Role::Edge(view.tables("routes").iter().map(route).collect::<Option<_>>()?),
        _ => return None,
    };
    Some(Listener { name: view.text("name")?.to_owned(), address: view.address("address")?, role })
}

fn bounds(view: &View<'_>) -> Option<Bounds> {
    Some(Bounds {
        connections: view.whole32("connections")?,
        idle_per_endpoint: view.whole32("idle-per-endpoint")?,
        buffer_bytes: view.whole("buffer-bytes")?,
        body_copy: view.whole32("body-copy")?,
        head_bytes: view.whole32("head-bytes")?,
        head_fields: view.whole32("head-fields")?,
        head_time: view.duration("head-time")?,
        caller_idle: view.duration("caller-idle")?,
        instance_idle: view.duration("instance-idle")?,
        drain: view.duration("drain")?,
    })
}

/// Names are unique, and what is named is there.
fn check_parts(decoder: &mut Decoder<'_>, view: &View<'_>) {
    let listeners = view.tables("listeners");
    let services = view.tables("services");
    unique(decoder, &listeners, "name", "listener");
    unique(decoder, &services, "name", "service");
    let names: BTreeSet<&str> = services.iter().filter_map(|s| s.text("name")).collect();
    for listener in &listeners {
        check_role(decoder, listener, view.get("app").is_some());
        known(decoder, listener, &names);
        for route in &listener.tables("routes") {
            known(decoder, route, &names);
        }
    }
}

/// No two of `views` may have the same `key`.
fn unique(decoder: &mut Decoder<'_>, views: &[View<'_>], key: &str, what: &str) {
    let mut seen = BTreeSet::new();
    for view in views {
        if let Some(name) = view.text(key).filter(|name| !seen.insert(*name)) {
            decoder.report_at(view, key, format!("there are two of this {what}: {name:?}"), String::new());
        }
    }
}

/// A role's companions are there, no other role's are, and what it names is known.
fn check_role(decoder: &mut Decoder<'_>, listener: &View<'_>, has_app: bool) {
    let Some(role) = listener.text("role") else { return };
    for (key, of) in [("service", "service"), ("routes", "edge")] {
        match (role == of, listener.get(key).is_some()) {
            (true, false) => {
                let message = format!("the role \"{of}\" needs `{key}`");
                decoder.report_at(listener, key, message, format!("add `{key}`"));
            }
            (false, true) => {
                let message = format!("only the role \"{of}\" has `{key}`");
                decoder.report_at(
                    listener,
                    key,
                    message,
                    format!("remove `{key}`, or write \"role\": \"{of}\""),
                );
            }
            _ => {}
        }
    }
    if role == "inbound" && !has_app {
        let message = "an inbound listener needs an app to pass requests to".to_owned();
        decoder.report_at(listener, "role", message, "add \"app\", or remove this listener".to_owned());
    }
}

/// The service that `view` names is one of the snapshot's.
fn known(decoder: &mut Decoder<'_>, view: &View<'_>, names: &BTreeSet<&str>) {
    let Some(name) = view.text("service") else { return };
    if !names.contains(name) {
        let message = format!("no service {name:?} in `services`");
        decoder.report_at(view, "service", message, "add it to `services`".to_owned());
    }
}

#[derive(Serialize)]
struct SnapshotShape<'a> {
    format: u64,
    version: &'a str,
    environment: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<&'a str>,
    listeners: Vec<ListenerShape<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<AppShape>,
    services: Vec<ServiceShape<'a>>,
    bounds: BoundsShape,
}

#[derive(Serialize)]
struct ListenerShape<'a> {
    name: &'a str,
    address: String,
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    routes: Option<Vec<RouteShape<'a>>>,
}

#[derive(Serialize)]
struct RouteShape<'a> {
    prefix: &'a str,
    service: &'a str,
}

#[derive(Serialize)]
struct AppShape {
    address: String,
    settings: SettingsShape,
}

#[derive(Serialize)]
struct ServiceShape<'a> {
    name: &'a str,
    endpoints: Vec<EndpointShape<'a>>,
    peer: &'static str,
    settings: SettingsShape,
}

#[derive(Serialize)]
struct EndpointShape<'a> {
    name: &'a str,
    address: String,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct BoundsShape {
    connections: u32,
    idle_per_endpoint: u32,
    buffer_bytes: u64,
    body_copy: u32,
    head_bytes: u32,
    head_fields: u32,
    head_time: String,
    caller_idle: String,
    instance_idle: String,
    drain: String,
}

/// Reads the settings of one service as [`encode_settings`] writes them. `what` names them, for people.
///
/// # Errors
/// Every problem at once.
pub fn decode_settings(text: &str, what: &str) -> Result<Settings, Problems> {
    let source = Source { file: what.to_owned(), text: text.to_owned(), format: Format::Json };
    let (mut decoder, tree) = begin(&source, &POLICIES, true);
    let view = View::whole_file(&tree, &POLICIES);
    let settings = view.map(|view| settings::decode(&mut decoder, &view, &Settings::default()));
    decoder.finish(settings)
}

/// Writes the settings of one service in JSON, every one of them.
pub fn encode_settings(settings: &Settings) -> String {
    serde_json::to_string(&settings::encode(settings))
        .expect("plain structs with text keys are written in memory")
}

/// Writes a snapshot as [`decode_snapshot`] reads it: indented, in a stable order, every setting in full.
pub fn encode_snapshot(snapshot: &Snapshot) -> String {
    let shape = SnapshotShape {
        format: FORMAT,
        version: &snapshot.version,
        environment: &snapshot.environment,
        service: snapshot.service.as_ref().map(|name| name.as_str()),
        instance: snapshot.instance.as_ref().map(|name| name.as_str()),
        listeners: snapshot.listeners.iter().map(listener_shape).collect(),
        app: snapshot.app.as_ref().map(|app| AppShape {
            address: app.address.to_string(),
            settings: settings::encode(&app.settings),
        }),
        services: snapshot.services.iter().map(service_shape).collect(),
        bounds: bounds_shape(&snapshot.bounds),
    };
    let text =
        serde_json::to_string_pretty(&shape).expect("plain structs with text keys are written in memory");
    text + "\n"
}

fn listener_shape(listener: &Listener) -> ListenerShape<'_> {
    let (role, service, routes) = match &listener.role {
        Role::Inbound => ("inbound", None, None),
        Role::Outbound => ("outbound", None, None),
        Role::Service(name) => ("service", Some(name.as_str()), None),
        Role::Edge(routes) => ("edge", None, Some(routes.iter().map(route_shape).collect())),
    };
    ListenerShape { name: &listener.name, address: listener.address.to_string(), role, service, routes }
}

fn route_shape(route: &EdgeRoute) -> RouteShape<'_> {
    RouteShape { prefix: &route.prefix, service: route.service.as_str() }
}

fn endpoint_shape(endpoint: &Endpoint) -> EndpointShape<'_> {
    EndpointShape { name: endpoint.name.as_str(), address: endpoint.address.to_string() }
}

fn service_shape(service: &Service) -> ServiceShape<'_> {
    ServiceShape {
        name: service.name.as_str(),
        endpoints: service.endpoints.iter().map(endpoint_shape).collect(),
        peer: match service.peer {
            Peer::Sidecar => "sidecar",
            Peer::App => "app",
        },
        settings: settings::encode(&service.settings),
    }
}

fn bounds_shape(bounds: &Bounds) -> BoundsShape {
    BoundsShape {
        connections: bounds.connections,
        idle_per_endpoint: bounds.idle_per_endpoint,
        buffer_bytes: bounds.buffer_bytes,
        body_copy: bounds.body_copy,
        head_bytes: bounds.head_bytes,
        head_fields: bounds.head_fields,
        head_time: duration_text(bounds.head_time),
        caller_idle: duration_text(bounds.caller_idle),
        instance_idle: duration_text(bounds.instance_idle),
        drain: duration_text(bounds.drain),
    }
}

#[cfg(test)]
mod tests;
