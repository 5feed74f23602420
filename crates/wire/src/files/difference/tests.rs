//! Every key of every manifest changed once, and what following that does; a key without a line here is found out.

#![allow(clippy::unwrap_used)]
use super::super::declare::{Field, Kind};
use super::super::decoder::join;
use super::super::manifest::{ENVIRONMENT, SERVICE};
use super::*;
use crate::files::Texts;
use model::Summary;
use std::collections::BTreeMap;

const SHOP: &str = r#"
name = "shop"
[edge]
listen = "127.0.0.1:8080"
routes = { "/" = "front" }
[services.front]
path = "a"
instances = 2
environment = { COLOUR = "red" }
[services.back]
instances = 3
[services.once]
"#;

const FRONT: &str = r#"
name = "front"
description = "d"
importance = "critical"
[run]
command = ["sh", "a"]
build = ["make"]
stop-grace = "5s"
environment = { SIZE = "1", PASSWORD = "hunter" }
[probes.startup]
path = "/health"
period = "100ms"
timeout = "2s"
within = "30s"
[probes.liveness]
path = "/health"
period = "5s"
timeout = "2s"
failures = 4
[restart]
back-off = "2s"
at-most = "20s"
[outgoing]
services = ["back"]
[policies]
preset = "default"
balancing = "peak-ewma"
panic = "50%"
timeouts = { total = "3s", connect = "500ms", idle = "30s", pass-on = true }
retry = { tries = 2, try-timeout = false, budget = "10%", floor-per-second = 1, back-off = "25ms", stacked = false }
hedge = { after = "200ms" }
breaker = { failures = "50%", slow = "50%", slow-factor = 5, window = "10s", minimum-calls = 20, rest = "5s", rest-at-most = "60s" }
ejection = { failures-in-a-row = 5, base = "5s", at-most = "5m", share-at-most = "10%" }
slow-start = { window = "60s", from = "10%" }
limit = { in-flight = 64, queue = 8 }
"#;

/// The shop with `from` replaced by `to` in whichever of its manifests has it.
fn shop(from: &str, to: &str) -> Environment {
    let back = "name = \"back\"\n[run]\ncommand = [\"x\"]\n";
    let once = "name = \"once\"\nkind = \"job\"\n[run]\ncommand = [\"y\"]\n";
    let files = [
        ("environment.toml", SHOP),
        ("a/service.toml", FRONT),
        ("b/service.toml", FRONT),
        ("back/service.toml", back),
        ("once/service.toml", once),
        ("more/service.toml", "name = \"more\"\n[run]\ncommand = [\"z\"]\n"),
    ];
    let had = from.is_empty() || files.iter().any(|(_, text)| text.contains(from));
    assert!(had, "{from} is in none of the files");
    let edited = |text: &str| if from.is_empty() { text.to_owned() } else { text.replacen(from, to, 1) };
    let files: BTreeMap<_, _> = files.map(|(name, text)| (name.to_owned(), edited(text))).into();
    Texts { folder: "/shop".into(), files }.read().unwrap_or_else(|why| panic!("{from} → {to}: {why}"))
}

fn line(change: &Change) -> String {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "–".into());
    let count = change.effect.instances().map_or(String::new(), |n| format!(" {n}"));
    let (before, after) = (or_dash(&change.before), or_dash(&change.after));
    format!("{}: {before} → {after}: {}{count}", change.path(), change.effect.word())
}

fn lines(difference: &Difference) -> Vec<String> {
    difference.changes.iter().map(line).collect()
}

/// Declared key; what is replaced by what; what differs then. The rows with a `*` are about services that come or go.
const ROWS: &[(&str, &str, &str, &str)] = &[
    ("name", "name = \"shop\"", "name = \"mall\"", "name: \"shop\" → \"mall\": refused"),
    ("edge.listen", ":8080", ":8081", "edge.listen: \"127.0.0.1:8080\" → \"127.0.0.1:8081\": restart-edge"),
    (
        "edge.routes",
        "\"/\" = \"front\"",
        "\"/\" = \"back\"",
        "edge.routes.\"/\": \"front\" → \"back\": in-place",
    ),
    (
        "edge.routes",
        "\"/\" = \"front\"",
        "\"/\" = \"front\", \"/b\" = \"back\"",
        "edge.routes.\"/b\": – → \"back\": in-place",
    ),
    ("defaults.policies", "[services.once]", "[services.once]\n[defaults]\npolicies = \"least-loaded\"", "*"),
    ("services", "[services.back]", "[services.more]\n[services.back]", "*"),
    (
        "services.NAME.path",
        "path = \"a\"",
        "path = \"b\"",
        "services.front.path: \"/shop/a\" → \"/shop/b\": restart 2",
    ),
    ("services.NAME.instances", "instances = 2", "instances = 5", "services.front.instances: 2 → 5: start 3"),
    ("services.NAME.instances", "instances = 3", "instances = 1", "services.back.instances: 3 → 1: stop 2"),
    ("services.NAME.policies", "instances = 2", "instances = 2\npolicies = \"pick\"", "*"),
    (
        "services.NAME.environment",
        "\"red\"",
        "\"blue\"",
        "services.front.environment.COLOUR: \"red\" → \"blue\": restart 2",
    ),
    (
        "run.environment",
        "SIZE = \"1\"",
        "SIZE = \"2\"",
        "services.front.environment.SIZE: \"1\" → \"2\": restart 2",
    ),
    // What the environment lays over it hides it: nothing differs.
    ("run.environment", "SIZE = \"1\"", "SIZE = \"1\", COLOUR = \"green\"", ""),
    (
        "run.environment",
        "hunter",
        "2",
        "services.front.environment.PASSWORD: (not shown) → (not shown): restart 2",
    ),
    (
        "description",
        "description = \"d\"",
        "description = \"e\"",
        "services.front.description: \"d\" → \"e\": nothing",
    ),
    ("kind", "kind = \"job\"", "kind = \"service\"", "services.once.kind: \"job\" → \"service\": refused"),
    (
        "importance",
        "= \"critical\"",
        "= \"bulk\"",
        "services.front.importance: \"critical\" → \"bulk\": nothing",
    ),
    (
        "run.command",
        "[\"sh\", \"a\"]",
        "[\"sh\", \"b\"]",
        "services.front.run.command: [\"sh\", \"a\"] → [\"sh\", \"b\"]: restart 2",
    ),
    (
        "run.build",
        "[\"make\"]",
        "[\"ninja\"]",
        "services.front.run.build: [\"make\"] → [\"ninja\"]: restart 2",
    ),
    (
        "run.stop-grace",
        "stop-grace = \"5s\"",
        "stop-grace = \"6s\"",
        "services.front.run.stop-grace: \"5s\" → \"6s\": in-place",
    ),
    (
        "probes.startup.path",
        "path = \"/health\"",
        "path = \"/h\"",
        "services.front.probes.startup.path: \"/health\" → \"/h\": restart 2",
    ),
    ("probes.startup.tcp", "path = \"/health\"", "tcp = true", "*"),
    (
        "probes.startup.period",
        "100ms",
        "200ms",
        "services.front.probes.startup.period: \"100ms\" → \"200ms\": restart 2",
    ),
    (
        "probes.startup.timeout",
        "timeout = \"2s\"",
        "timeout = \"3s\"",
        "services.front.probes.startup.timeout: \"2s\" → \"3s\": restart 2",
    ),
    (
        "probes.startup.within",
        "30s",
        "31s",
        "services.front.probes.startup.within: \"30s\" → \"31s\": restart 2",
    ),
    (
        "probes.liveness.path",
        "path = \"/health\"\nperiod = \"5s\"",
        "path = \"/x\"\nperiod = \"5s\"",
        "services.front.probes.liveness.path: \"/health\" → \"/x\": restart 2",
    ),
    ("probes.liveness.tcp", "path = \"/health\"\nperiod = \"5s\"", "tcp = true\nperiod = \"5s\"", "*"),
    (
        "probes.liveness.period",
        "period = \"5s\"",
        "period = \"6s\"",
        "services.front.probes.liveness.period: \"5s\" → \"6s\": restart 2",
    ),
    (
        "probes.liveness.timeout",
        "period = \"5s\"\ntimeout = \"2s\"",
        "period = \"5s\"\ntimeout = \"1s\"",
        "services.front.probes.liveness.timeout: \"2s\" → \"1s\": restart 2",
    ),
    (
        "probes.liveness.failures",
        "failures = 4",
        "failures = 5",
        "services.front.probes.liveness.failures: 4 → 5: restart 2",
    ),
    (
        "restart.back-off",
        "back-off = \"2s\"",
        "back-off = \"3s\"",
        "services.front.restart.back-off: \"2s\" → \"3s\": in-place",
    ),
    (
        "restart.at-most",
        "at-most = \"20s\"",
        "at-most = \"30s\"",
        "services.front.restart.at-most: \"20s\" → \"30s\": in-place",
    ),
    (
        "outgoing.services",
        "services = [\"back\"]",
        "services = []",
        "services.front.outgoing.services: [\"back\"] → []: restart 2",
    ),
    ("policies.preset", "preset = \"default\"", "preset = \"off\"", ""),
    (
        "policies.balancing",
        "peak-ewma",
        "round-robin",
        "services.front.policies.balancing: \"peak-ewma\" → \"round-robin\": in-place",
    ),
    (
        "policies.panic",
        "panic = \"50%\"",
        "panic = \"40%\"",
        "services.front.policies.panic: \"50%\" → \"40%\": in-place",
    ),
    (
        "policies.timeouts.total",
        "total = \"3s\"",
        "total = \"4s\"",
        "services.front.policies.timeouts.total: \"3s\" → \"4s\": in-place",
    ),
    (
        "policies.timeouts.connect",
        "500ms",
        "600ms",
        "services.front.policies.timeouts.connect: \"500ms\" → \"600ms\": in-place",
    ),
    (
        "policies.timeouts.idle",
        "idle = \"30s\"",
        "idle = \"1m\"",
        "services.front.policies.timeouts.idle: \"30s\" → \"1m\": in-place",
    ),
    (
        "policies.timeouts.pass-on",
        "pass-on = true",
        "pass-on = false",
        "services.front.policies.timeouts.pass-on: true → false: in-place",
    ),
    (
        "policies.retry.tries",
        "tries = 2",
        "tries = 3",
        "services.front.policies.retry.tries: 2 → 3: in-place",
    ),
    (
        "policies.retry.try-timeout",
        "try-timeout = false",
        "try-timeout = \"1s\"",
        "services.front.policies.retry.try-timeout: false → \"1s\": in-place",
    ),
    (
        "policies.retry.budget",
        "budget = \"10%\"",
        "budget = false",
        "services.front.policies.retry.budget: \"10%\" → false: in-place",
    ),
    (
        "policies.retry.floor-per-second",
        "floor-per-second = 1",
        "floor-per-second = 2",
        "services.front.policies.retry.floor-per-second: 1 → 2: in-place",
    ),
    (
        "policies.retry.back-off",
        "25ms",
        "30ms",
        "services.front.policies.retry.back-off: \"25ms\" → \"30ms\": in-place",
    ),
    (
        "policies.retry.stacked",
        "stacked = false",
        "stacked = true",
        "services.front.policies.retry.stacked: false → true: in-place",
    ),
    (
        "policies.hedge.after",
        "after = \"200ms\"",
        "after = \"300ms\"",
        "services.front.policies.hedge.after: \"200ms\" → \"300ms\": in-place",
    ),
    (
        "policies.hedge.after",
        "hedge = { after = \"200ms\" }",
        "hedge = false",
        "services.front.policies.hedge: { after = \"200ms\" } → false: in-place",
    ),
    (
        "policies.breaker.failures",
        "failures = \"50%\"",
        "failures = \"12.5%\"",
        "services.front.policies.breaker.failures: \"50%\" → \"12.5%\": in-place",
    ),
    (
        "policies.breaker.slow",
        "slow = \"50%\"",
        "slow = \"60%\"",
        "services.front.policies.breaker.slow: \"50%\" → \"60%\": in-place",
    ),
    (
        "policies.breaker.slow-factor",
        "slow-factor = 5",
        "slow-factor = 6",
        "services.front.policies.breaker.slow-factor: 5 → 6: in-place",
    ),
    (
        "policies.breaker.window",
        "window = \"10s\"",
        "window = \"20s\"",
        "services.front.policies.breaker.window: \"10s\" → \"20s\": in-place",
    ),
    (
        "policies.breaker.minimum-calls",
        "minimum-calls = 20",
        "minimum-calls = 30",
        "services.front.policies.breaker.minimum-calls: 20 → 30: in-place",
    ),
    (
        "policies.breaker.rest",
        "rest = \"5s\"",
        "rest = \"6s\"",
        "services.front.policies.breaker.rest: \"5s\" → \"6s\": in-place",
    ),
    (
        "policies.breaker.rest-at-most",
        "rest-at-most = \"60s\"",
        "rest-at-most = \"90s\"",
        "services.front.policies.breaker.rest-at-most: \"1m\" → \"90s\": in-place",
    ),
    (
        "policies.ejection.failures-in-a-row",
        "failures-in-a-row = 5",
        "failures-in-a-row = 6",
        "services.front.policies.ejection.failures-in-a-row: 5 → 6: in-place",
    ),
    (
        "policies.ejection.base",
        "base = \"5s\"",
        "base = \"6s\"",
        "services.front.policies.ejection.base: \"5s\" → \"6s\": in-place",
    ),
    (
        "policies.ejection.at-most",
        "at-most = \"5m\"",
        "at-most = \"6m\"",
        "services.front.policies.ejection.at-most: \"5m\" → \"6m\": in-place",
    ),
    (
        "policies.ejection.share-at-most",
        "share-at-most = \"10%\"",
        "share-at-most = \"20%\"",
        "services.front.policies.ejection.share-at-most: \"10%\" → \"20%\": in-place",
    ),
    (
        "policies.slow-start.window",
        "window = \"60s\"",
        "window = \"30s\"",
        "services.front.policies.slow-start.window: \"1m\" → \"30s\": in-place",
    ),
    (
        "policies.slow-start.from",
        "from = \"10%\"",
        "from = \"20%\"",
        "services.front.policies.slow-start.from: \"10%\" → \"20%\": in-place",
    ),
    (
        "policies.limit.in-flight",
        "in-flight = 64",
        "in-flight = 32",
        "services.front.policies.limit.in-flight: 64 → 32: in-place",
    ),
    (
        "policies.limit.queue",
        "queue = 8",
        "queue = 0",
        "services.front.policies.limit.queue: 8 → 0: in-place",
    ),
];

/// The paths of every value that may be declared.
fn declared(fields: &'static [Field], path: &str, out: &mut Vec<String>) {
    for field in fields {
        let path = join(path, field.key);
        match &field.kind {
            Kind::Table(inner) | Kind::OffOr(inner) => declared(inner, &path, out),
            Kind::Map { of: Kind::Table(inner), .. } => {
                out.push(path.clone());
                declared(inner, &format!("{path}.NAME"), out);
            }
            _ => out.push(path),
        }
    }
}

#[test]
fn every_key_is_followed_as_the_table_says() {
    let before = shop("", "");
    for (key, from, to, want) in ROWS {
        let lines = lines(&difference(&before, &shop(from, to)));
        if *want != "*" {
            assert_eq!(lines.join("\n"), *want, "{key}");
        } else {
            assert!(!lines.is_empty(), "{key}: {from} → {to} makes no difference");
        }
    }
}

#[test]
fn no_key_of_a_manifest_is_missing_in_the_table() {
    let mut keys = Vec::new();
    declared(&ENVIRONMENT, "", &mut keys);
    declared(&SERVICE, "", &mut keys);
    assert!(keys.len() > 50, "{keys:?}");
    for key in keys {
        assert!(ROWS.iter().any(|(row, ..)| *row == key), "add a row for `{key}`");
    }
}

#[test]
fn what_is_the_same_makes_no_difference() {
    assert!(difference(&shop("", ""), &shop("", "")).is_empty());
    let order = "[policies]\npreset = \"default\"\nbalancing = \"peak-ewma\"\npanic = \"50%\"\n";
    let other = "[policies]\npanic = \"50%\"\nbalancing = \"peak-ewma\"\n";
    assert!(difference(&shop("", ""), &shop(order, other)).is_empty());
}

#[test]
fn a_probe_or_an_edge_that_comes_or_goes_is_one_change_each() {
    let without =
        shop("[probes.liveness]\npath = \"/health\"\nperiod = \"5s\"\ntimeout = \"2s\"\nfailures = 4\n", "");
    assert_eq!(
        lines(&difference(&without, &shop("", ""))),
        [
            "services.front.probes.liveness: – → { path = \"/health\", period = \"5s\", timeout = \"2s\", failures = 4 }: restart 2"
        ]
    );
    let shut = shop("[edge]\nlisten = \"127.0.0.1:8080\"\nroutes = { \"/\" = \"front\" }\n", "");
    assert_eq!(
        lines(&difference(&shop("", ""), &shut)),
        [
            "edge.listen: \"127.0.0.1:8080\" → –: restart-edge",
            "edge.routes: { \"/\" = \"front\" } → –: in-place"
        ]
    );
}

#[test]
fn services_come_and_go_whole_and_the_sum_counts_each_once() {
    let before = shop("", "");
    let mut after = shop("instances = 2", "instances = 4");
    let front = after.services.iter_mut().find(|s| s.manifest.name.as_str() == "front").unwrap();
    front.manifest.run.command = vec!["other".into()];
    front.environment.insert("X".into(), "1".into());
    after.services.retain(|s| s.manifest.name.as_str() != "once");
    let mut new = after.service(&ServiceName::new("back").unwrap()).unwrap().clone();
    new.manifest.name = ServiceName::new("new").unwrap();
    after.services.push(new);
    let back = after.services.iter_mut().find(|s| s.manifest.name.as_str() == "back").unwrap();
    back.settings.panic = model::Share::NONE;
    let difference = difference(&before, &after);
    assert_eq!(
        lines(&difference),
        [
            "services.back.policies.panic: \"50%\" → \"0%\": in-place",
            "services.front.instances: 2 → 4: start 2",
            "services.front.run.command: [\"sh\", \"a\"] → [\"other\"]: restart 2",
            "services.front.environment.X: – → \"1\": restart 2",
            "services.new: – → 3 instances of `x`: start 3",
            "services.once: 1 instance of `y` → –: stop 1",
        ]
    );
    let sum = Summary {
        in_place: 1,
        restarted: 1,
        restarted_instances: 2,
        added: 1,
        removed: 1,
        started_instances: 5,
        stopped_instances: 1,
    };
    assert_eq!(difference.summary(), sum);
}

#[test]
fn where_only_policies_are_known_only_policies_are_compared() {
    let name = |text: &str| ServiceName::new(text).unwrap();
    let usual = Settings::default();
    let known = [(name("old"), usual.clone()), (name("same"), usual.clone()), (name("other"), usual.clone())];
    let wanted = [
        (name("new"), usual.clone()),
        (name("same"), usual.clone()),
        (
            name("other"),
            Settings { hedge: Some(model::Hedge { after: std::time::Duration::from_secs(1) }), ..usual },
        ),
    ];
    let before = |n: &ServiceName| known.iter().find(|(k, _)| k == n).map(|(_, s)| s);
    let difference = policies_difference(before, known.iter().map(|(n, _)| n.clone()), &wanted);
    assert_eq!(
        lines(&difference),
        [
            "services.new: – → its policies: in-place",
            "services.old: its policies → –: in-place",
            "services.other.policies.hedge: false → { after = \"1s\" }: in-place",
        ]
    );
}
