//! The keys of `environment.toml` and `service.toml`, and what they make.

use super::declare::{Field, Kind, between_ms, field, preset, whole};
use super::decoder::{Decoder, Item, View, as_text, nearest};
use super::settings::{self, PRESETS, ordered};
use model::{
    Edge, EdgeRoute, EnvironmentManifest, Importance, Liveness, Member, Preset, Probe, Restart, Run,
    ServiceKind, ServiceManifest, ServiceName, Startup, Variables,
};

/// A day: longer waits are mistakes of the unit.
const DAY: u64 = 86_400_000;

static IMPORTANCE: [&str; Importance::ALL.len()] = {
    let mut words = [""; Importance::ALL.len()];
    let mut at = 0;
    while at < words.len() {
        words[at] = Importance::ALL[at].word();
        at += 1;
    }
    words
};

static KINDS: [&str; 2] = [ServiceKind::Service.word(), ServiceKind::Job.word()];

/// The keys of `environment.toml`.
pub(crate) static ENVIRONMENT: [Field; 4] = [
    field("name", Kind::Name, "The environment's name.").required().example("\"shop\""),
    field(
        "edge",
        Kind::Table(&EDGE),
        "The way in from outside; without it services can only be called from within.",
    ),
    field("defaults", Kind::Table(&DEFAULTS), "What holds for services that say nothing else."),
    field(
        "services",
        Kind::Map { keys: &Kind::Name, of: &Kind::Table(&MEMBER), least: 1 },
        "The services by name.",
    )
    .required(),
];

static EDGE: [Field; 2] = [
    field("listen", Kind::Address, "Where the edge listens. If this is absent and the port is taken, the next free one.")
        .default("\"127.0.0.1:8080\""),
    field(
        "routes",
        Kind::Map { keys: &Kind::Prefix, of: &Kind::Name, least: 1 },
        "Which service gets requests whose path begins so. A prefix ends at a segment, `/shop` fits `/shop/x` and not \
         `/shopping`; the longest that fits wins.",
    )
    .required()
    .example("{ \"/\" = \"front\" }"),
];

static DEFAULTS: [Field; 1] =
    [field("policies", Kind::Word(&PRESETS), "The preset of services that name none.")
        .default("\"default\"")];

static MEMBER: [Field; 4] = [
    field(
        "path",
        Kind::Folder,
        "The folder with its `service.toml`, below the one of this file. Absent: the service's name.",
    ),
    field(
        "instances",
        Kind::Whole { least: 1, most: Member::MOST_INSTANCES as u64 },
        "How many instances of it run.",
    )
    .default("1")
    .example("2"),
    field(
        "policies",
        Kind::Word(&PRESETS),
        "Replaces all policies of its `service.toml` by a preset. Absent: its own hold.",
    ),
    field(
        "environment",
        Kind::Map { keys: &Kind::Variable, of: &Kind::Text, least: 0 },
        "Variables for its instances, over those of its `service.toml`.",
    ),
];

/// The keys of `service.toml`.
pub(crate) static SERVICE: [Field; 9] = [
    field("name", Kind::Name, "The service's name: the same as its key in `environment.toml`.").required(),
    field("description", Kind::Text, "What it is for, for people.").default("\"\""),
    field(
        "kind",
        Kind::Word(&KINDS),
        "A `service` runs on. A `job` runs to its end: exit status 0 is success, and nobody calls it.",
    )
    .default("\"service\""),
    field(
        "importance",
        Kind::Word(&IMPORTANCE),
        "How important its calls are where no request that it serves says so.",
    )
    .default("\"critical\""),
    field("run", Kind::Table(&RUN), "How it is started and stopped.").required(),
    field("probes", Kind::Table(&PROBES), "How its health is seen."),
    field("restart", Kind::Table(&RESTART), "How an instance that ended is started again."),
    field("outgoing", Kind::Table(&OUTGOING), "What it calls."),
    field(
        "policies",
        Kind::Table(&PRESET_AND_POLICIES),
        "How its callers treat it, and how much it takes at once.",
    ),
];

static RUN: [Field; 4] = [
    field(
        "command",
        Kind::List { of: &Kind::Text, least: 1 },
        "The program and its arguments. No shell reads them; the program is looked up in `PATH`, or in the service's \
         folder if it has a `/`.",
    )
    .required()
    .example("[\"python3\", \"app.py\"]"),
    field(
        "build",
        Kind::List { of: &Kind::Text, least: 1 },
        "A command that is run once in the service's folder before its first instance.",
    )
    .example("[\"make\"]"),
    field("stop-grace", between_ms(0, DAY), "How long an instance has between SIGTERM and SIGKILL.").default("\"10s\""),
    field("environment", Kind::Map { keys: &Kind::Variable, of: &Kind::Text, least: 0 }, "Variables for its instances."),
];

static PROBES: [Field; 2] = [
    field(
        "startup",
        Kind::Table(&STARTUP),
        "When an instance is ready for requests. Absent: when it accepts a connection on its port.",
    ),
    field(
        "liveness",
        Kind::Table(&LIVENESS),
        "When an instance that runs has to be killed. Absent: never, only its exit counts.",
    ),
];

static STARTUP: [Field; 5] = [
    field("path", Kind::UrlPath, "A GET of this path is answered with 200 to 299.").example("\"/health\""),
    field("tcp", Kind::Flag, "`true` instead of a path: a connection is accepted."),
    field("period", between_ms(1, DAY), "How long from one question to the next.").default("\"200ms\""),
    field("timeout", between_ms(1, DAY), "How long an answer may take.").default("\"1s\""),
    field("within", between_ms(1, DAY), "The start has failed when the instance is not ready within this.")
        .default("\"60s\""),
];

static LIVENESS: [Field; 5] = [
    field("path", Kind::UrlPath, "A GET of this path is answered with 200 to 299.").example("\"/health\""),
    field("tcp", Kind::Flag, "`true` instead of a path: a connection is accepted."),
    field("period", between_ms(1, DAY), "How long from one question to the next.").default("\"10s\""),
    field("timeout", between_ms(1, DAY), "How long an answer may take.").default("\"1s\""),
    field("failures", whole(1), "After so many in a row the instance is killed and started again.")
        .default("3"),
];

static RESTART: [Field; 2] = [
    field(
        "back-off",
        between_ms(0, DAY),
        "The wait before the second start in a row; each further one is twice as long …",
    )
    .default("\"1s\""),
    field("at-most", between_ms(0, DAY), "… up to this; never less than `back-off`.").default("\"30s\""),
];

static OUTGOING: [Field; 1] = [field(
    "services",
    Kind::List { of: &Kind::Name, least: 0 },
    "The services that it calls; for each its instances get `NAME_URL`.",
)
.default("[]")];

/// The preset's name, then the policies themselves.
static PRESET_AND_POLICIES: [Field; 10] = {
    let [a, b, c, d, e, f, g, h, i] = settings::policies();
    [
        preset(
            "preset",
            Kind::Word(&PRESETS),
            "What the keys below are differences from. Absent: the preset that the environment names in `[defaults]`, \
             or else `default`.",
        ),
        a,
        b,
        c,
        d,
        e,
        f,
        g,
        h,
        i,
    ]
};

/// What `environment.toml` says. What is wrong is left out or replaced, so that the services' own files can be
/// checked all the same; the decoder knows.
pub(crate) fn environment(decoder: &mut Decoder<'_>, view: &View<'_>) -> Option<EnvironmentManifest> {
    let services = view.map("services");
    let edge = view
        .table("edge")
        .map(|edge| Edge { listen: edge.address("listen"), routes: routes(decoder, &edge, &services) });
    let default = view.table("defaults").and_then(|d| d.text("policies")).and_then(Preset::from_word);
    let services = services.iter().filter_map(|item| member(decoder, item)).collect();
    Some(EnvironmentManifest {
        name: view.name("name")?,
        edge,
        policies: default.unwrap_or_default(),
        services,
    })
}

fn routes(decoder: &mut Decoder<'_>, edge: &View<'_>, services: &[Item<'_>]) -> Vec<EdgeRoute> {
    let mut routes: Vec<EdgeRoute> = Vec::new();
    for item in edge.map("routes") {
        let Some(service) = item.text().and_then(|text| ServiceName::new(text).ok()) else { continue };
        let names = || services.iter().map(|s| s.entry.key.as_str());
        if !names().any(|name| name == service.as_str()) {
            let (message, mend) = no_such_service(&service, names());
            decoder.report(&item.entry.node.span, &item.path, message, mend);
        }
        // A prefix ends at a segment anyway: `/shop/` says the same as `/shop`.
        let prefix = match item.entry.key.trim_end_matches('/') {
            "" => "/",
            prefix => prefix,
        };
        if routes.iter().any(|r| r.prefix == prefix) {
            let message = format!("there are two routes for \"{prefix}\"");
            decoder.report(&item.entry.key_span, &item.path, message, "remove one of them".to_owned());
        }
        routes.push(EdgeRoute { prefix: prefix.to_owned(), service });
    }
    routes.sort_by(|a, b| b.prefix.len().cmp(&a.prefix.len()).then_with(|| a.prefix.cmp(&b.prefix)));
    routes
}

/// What to say of a service that is named but is not there.
pub(crate) fn no_such_service<'n>(
    name: &ServiceName,
    known: impl Iterator<Item = &'n str>,
) -> (String, String) {
    let mend = match nearest(name.as_str(), known) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("add [services.{name}] to environment.toml"),
    };
    (format!("there is no service \"{name}\" in this environment"), mend)
}

fn member(decoder: &mut Decoder<'_>, item: &Item<'_>) -> Option<Member> {
    let name = ServiceName::new(&item.entry.key).ok()?;
    let view = item.table()?;
    Some(Member {
        path: view.text("path").unwrap_or(name.as_str()).to_owned(),
        instances: view.whole32("instances").unwrap_or(Member::INSTANCES),
        policies: view.text("policies").and_then(Preset::from_word),
        environment: variables(decoder, &view, &[]),
        name,
    })
}

/// Variables; those that Outrigger sets itself are refused, since one of the two would be lost in silence.
fn variables(decoder: &mut Decoder<'_>, view: &View<'_>, outgoing: &[ServiceName]) -> Variables {
    let mut variables = Variables::new();
    for item in view.map("environment") {
        let name = &item.entry.key;
        if is_ours(name, outgoing) {
            refuse_variable(decoder, &item);
        }
        variables.insert(name.clone(), item.text().unwrap_or_default().to_owned());
    }
    variables
}

/// Notes that Outrigger sets this variable itself.
pub(crate) fn refuse_variable(decoder: &mut Decoder<'_>, item: &Item<'_>) {
    let message = "this variable is set by Outrigger".to_owned();
    let mend = "remove it, or take another name".to_owned();
    decoder.report(&item.entry.key_span, &item.path, message, mend);
}

/// Whether each app gets this variable from Outrigger.
fn is_ours(name: &str, outgoing: &[ServiceName]) -> bool {
    let proxy = ["HTTP_PROXY", "NO_PROXY"].iter().any(|p| p.eq_ignore_ascii_case(name));
    name == "PORT" || name.starts_with("OUTRIGGER_") || proxy || is_url(name, outgoing)
}

/// Whether an app that calls the services `outgoing` gets this variable for one of them.
pub(crate) fn is_url(name: &str, outgoing: &[ServiceName]) -> bool {
    name.strip_suffix("_URL").is_some_and(|front| outgoing.iter().any(|s| s.variable() == front))
}

/// What `service.toml` says. `base` is the preset of services that name none.
pub(crate) fn service(decoder: &mut Decoder<'_>, view: &View<'_>, base: Preset) -> Option<ServiceManifest> {
    let kind = match view.text("kind") {
        Some("job") => ServiceKind::Job,
        _ => ServiceKind::Service,
    };
    let outgoing = outgoing(decoder, view);
    let run = view.table("run").map(|v| run(decoder, &v, &outgoing));
    let probes = view.table("probes");
    if let (ServiceKind::Job, Some(probes)) = (kind, &probes) {
        let message = "a job has no probes: it is judged by its exit status".to_owned();
        decoder.report(&probes.span, &probes.path, message, "remove [probes]".to_owned());
    }
    let startup = probes.as_ref().and_then(|p| p.table("startup")).map(|v| startup(decoder, &v));
    let liveness = probes.as_ref().and_then(|p| p.table("liveness")).map(|v| liveness(decoder, &v));
    let restart = view.table("restart").map(|v| restart(decoder, &v));
    let settings = match view.table("policies") {
        Some(policies) => {
            let base = policies.text("preset").and_then(Preset::from_word).unwrap_or(base);
            settings::decode(decoder, &policies, &base.settings())
        }
        None => base.settings(),
    };
    Some(ServiceManifest {
        name: view.name("name")?,
        description: view.text("description").unwrap_or_default().to_owned(),
        kind,
        importance: view
            .text("importance")
            .and_then(|word| Importance::from_word(word.as_bytes()))
            .unwrap_or_default(),
        run: run?,
        startup: startup.unwrap_or_default(),
        liveness,
        restart: restart.unwrap_or_default(),
        outgoing,
        settings,
    })
}

fn outgoing(decoder: &mut Decoder<'_>, view: &View<'_>) -> Vec<ServiceName> {
    let Some(outgoing) = view.table("outgoing") else { return Vec::new() };
    let mut names = Vec::new();
    for (at, node) in outgoing.list("services").iter().enumerate() {
        let Some(name) = as_text(node).and_then(|text| ServiceName::new(text).ok()) else { continue };
        if names.contains(&name) {
            let path = format!("{}[{at}]", outgoing.path_of("services"));
            decoder.report(&node.span, &path, format!("\"{name}\" is listed twice"), "remove one".to_owned());
            continue;
        }
        names.push(name);
    }
    names
}

fn run(decoder: &mut Decoder<'_>, view: &View<'_>, outgoing: &[ServiceName]) -> Run {
    Run {
        command: words(decoder, view, "command"),
        build: words(decoder, view, "build"),
        stop_grace: view.duration("stop-grace").unwrap_or(Run::STOP_GRACE),
        environment: variables(decoder, view, outgoing),
    }
}

fn words(decoder: &mut Decoder<'_>, view: &View<'_>, key: &str) -> Vec<String> {
    let nodes = view.list(key);
    if let Some(program) = nodes.first().filter(|node| as_text(node) == Some("")) {
        let path = format!("{}[0]", view.path_of(key));
        decoder.report(&program.span, &path, "the program has no name".to_owned(), String::new());
    }
    nodes.iter().filter_map(as_text).map(str::to_owned).collect()
}

fn probe(decoder: &mut Decoder<'_>, view: &View<'_>) -> Probe {
    let tcp = view.flag("tcp") == Some(true);
    match (view.text("path"), tcp) {
        (Some(path), false) => Probe::Http(path.to_owned()),
        (None, true) => Probe::Tcp,
        (Some(_), true) => {
            let message = "a probe has a path or is `tcp`, not both".to_owned();
            decoder.report_at(view, "tcp", message, "remove one of them".to_owned());
            Probe::Tcp
        }
        (None, false) => {
            // A path of the wrong type has been reported as such.
            if view.get("path").is_none() {
                let message = "a probe needs `path` or `tcp`".to_owned();
                let mend = "add path = \"/health\", or tcp = true".to_owned();
                decoder.report(&view.span, &view.path, message, mend);
            }
            Probe::Tcp
        }
    }
}

fn startup(decoder: &mut Decoder<'_>, view: &View<'_>) -> Startup {
    let default = Startup::default();
    Startup {
        probe: probe(decoder, view),
        period: view.duration("period").unwrap_or(default.period),
        timeout: view.duration("timeout").unwrap_or(default.timeout),
        within: view.duration("within").unwrap_or(default.within),
    }
}

fn liveness(decoder: &mut Decoder<'_>, view: &View<'_>) -> Liveness {
    let default = Liveness::default();
    Liveness {
        probe: probe(decoder, view),
        period: view.duration("period").unwrap_or(default.period),
        timeout: view.duration("timeout").unwrap_or(default.timeout),
        failures: view.whole32("failures").unwrap_or(default.failures),
    }
}

fn restart(decoder: &mut Decoder<'_>, view: &View<'_>) -> Restart {
    let default = Restart::default();
    let (back_off, at_most) =
        ordered(decoder, view, ("back-off", default.back_off), ("at-most", default.at_most));
    Restart { back_off, at_most }
}
