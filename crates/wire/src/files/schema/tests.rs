//! The published schemas are current, and judge samples as the decoder does.
#![allow(clippy::unwrap_used)]

use super::super::problem::{Format, Source};
use super::super::tree;
use super::super::{decode_environment, decode_scenario, decode_service, golden};
use super::*;
use regex_lite::Regex;
use std::path::Path;

/// The file as JSON, if its syntax is right.
fn as_json(text: &str) -> Option<Value> {
    fn value(node: &tree::Node) -> Value {
        match &node.value {
            tree::Value::Text(text) => json!(text),
            tree::Value::Whole(n) => json!(i64::try_from(*n).unwrap_or(i64::MAX)),
            tree::Value::Real(n) => json!(n),
            tree::Value::Flag(flag) => json!(flag),
            tree::Value::List(items) => items.iter().map(value).collect(),
            tree::Value::Table(entries) => {
                Value::Object(entries.iter().map(|e| (e.key.clone(), value(&e.node))).collect())
            }
            tree::Value::Other => Value::Null,
        }
    }
    let source = Source { file: "f".into(), text: text.into(), format: Format::Toml };
    let (node, problems) = tree::parse(&source);
    problems.is_empty().then(|| value(&node))
}

/// Whether `schema` accepts `value`: as much of JSON Schema as is used here. A word that is not known fails the test.
fn accepts(schema: &Value, value: &Value) -> bool {
    schema.as_object().unwrap().iter().all(|(word, rule)| match word.as_str() {
        "$schema" | "title" | "description" | "default" | "examples" => true,
        "type" => match rule.as_str().unwrap() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            odd => panic!("{odd}"),
        },
        "properties" => value.as_object().is_none_or(|v| {
            v.iter().all(|(key, value)| rule.get(key).is_none_or(|schema| accepts(schema, value)))
        }),
        "additionalProperties" => value.as_object().is_none_or(|v| {
            let named = schema.get("properties");
            v.iter().filter(|(key, _)| named.and_then(|n| n.get(key)).is_none()).all(
                |(_, value)| match rule {
                    Value::Bool(may) => *may,
                    schema => accepts(schema, value),
                },
            )
        }),
        "required" => value
            .as_object()
            .is_none_or(|v| rule.as_array().unwrap().iter().all(|key| v.contains_key(key.as_str().unwrap()))),
        "propertyNames" => value.as_object().is_none_or(|v| v.keys().all(|key| accepts(rule, &json!(key)))),
        "minProperties" => value.as_object().is_none_or(|v| v.len() as u64 >= rule.as_u64().unwrap()),
        "items" => value.as_array().is_none_or(|v| v.iter().all(|item| accepts(rule, item))),
        "prefixItems" => value.as_array().is_none_or(|v| {
            v.iter().zip(rule.as_array().unwrap()).all(|(item, schema)| accepts(schema, item))
        }),
        "maxItems" => value.as_array().is_none_or(|v| v.len() as u64 <= rule.as_u64().unwrap()),
        "minItems" => value.as_array().is_none_or(|v| v.len() as u64 >= rule.as_u64().unwrap()),
        "minimum" => value.as_f64().is_none_or(|v| v >= rule.as_f64().unwrap()),
        "maximum" => value.as_f64().is_none_or(|v| v <= rule.as_f64().unwrap()),
        "enum" => rule.as_array().unwrap().contains(value),
        "const" => rule == value,
        "anyOf" => rule.as_array().unwrap().iter().any(|schema| accepts(schema, value)),
        "pattern" => value.as_str().is_none_or(|v| Regex::new(rule.as_str().unwrap()).unwrap().is_match(v)),
        odd => panic!("{odd}"),
    })
}

fn parsed(manifest: Manifest) -> Value {
    serde_json::from_str(&schema(manifest)).unwrap()
}

fn decodes(manifest: Manifest, text: &str) -> bool {
    match manifest {
        Manifest::Environment => decode_environment(text, "f").is_ok(),
        Manifest::Service => decode_service(text, "f", Preset::Default).is_ok(),
        Manifest::Scenario => decode_scenario(text, "f").is_ok(),
    }
}

#[test]
fn the_published_schemas_are_current() {
    for manifest in Manifest::ALL {
        golden(&format!("../../docs/schema/{}.json", manifest.word()), &schema(manifest));
        assert_eq!(Manifest::from_word(manifest.word()), Some(manifest));
    }
}

/// Mistakes that no schema can see: what does not fit together, what is out of a text's range.
const BEYOND_A_SCHEMA: [&str; 11] = [
    "scenario-graph.toml",
    "scenario-many-calls.toml",
    "scenario-names.toml",
    "scenario-room.toml",
    "environment-routes.toml",
    "service-breaker-that-cannot-trip.toml",
    "service-counts-out-of-reach.toml",
    "service-job-with-probes.toml",
    "service-orders.toml",
    "service-probes.toml",
    "service-variables.toml",
];

#[test]
fn the_schemas_refuse_what_has_the_wrong_shape() {
    let mut refused = 0;
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad")).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        let manifest = Manifest::from_word(file.split('-').next().unwrap());
        let (Some(manifest), true) = (manifest, file.ends_with(".toml")) else { continue };
        let Some(value) = as_json(&std::fs::read_to_string(&path).unwrap()) else { continue };
        let accepted = accepts(&parsed(manifest), &value);
        assert!(!accepted || BEYOND_A_SCHEMA.contains(&file.as_str()), "{file} is accepted");
        refused += usize::from(!accepted);
    }
    assert!(refused >= 20, "{refused}");
}

/// Values of one key, right ones and wrong ones.
const VALUES: &str = "0 | 1 | 2 | -1 | 1001 | 0.0 | 0.5 | 1.0 | 1.5 | true | false | '' | 'a' | 'A b' | '10%' | '10.5 %' \
    | '100%' | '100.1%' | '.5%' | '0.%' | '%' | '5s' | ' 5s ' | '1m30s' | '1m1m' | '5' | '25h' | '0s' | '1500us' | '/' \
    | '/a?b' | '/a b' | 'a/b' | 'a/b/' | '/a' | '.' | '..' | '127.0.0.1:80' | '[::1]:80' | 'localhost:80' | '127.0.0.1' \
    | 'default' | 'pick+breaker' | 'job' | 'bulk' | 'round-robin' | [] | ['a'] | ['a', 1] | [['a']] | {} | { A = 'x' } \
    | { a-b = 'x' } | ['1s', '2s'] | [1, 3] | [['5s', 1], ['6s', 2.5]] | [['5s']] | '00:01' | '00:01:02' | '24:00' \
    | { v = { to = 'a' } } | { mean = '1ms' } | [{ to = 'b' }] | [{ at = '1s', kill = { service = 'a' } }] | { share = 1, after = '1s' } \
    | 500 | 1.5e300 | -0.5 | { '/' = 'a' } | { after = '1s' } | { in-flight = 1, queue = 0 } | 1979-05-27";

const ENVIRONMENT_KEYS: &str = "name edge.listen edge.routes defaults.policies services services.a.path \
    services.a.instances services.a.policies services.a.environment services.a.odd";

const SERVICE_KEYS: &str = "description kind importance run.command run.build run.stop-grace run.environment \
    probes.startup.path probes.liveness.failures restart.back-off outgoing.services policies.preset policies.balancing \
    policies.panic policies.retry policies.hedge policies.limit policies.timeouts.total policies.retry.budget \
    policies.retry.tries policies.retry.try-timeout policies.retry.stacked \
    policies.breaker.slow-factor policies.ejection.share-at-most policies.slow-start policies.odd";

const SCENARIO_KEYS: &str = "scenario about starts lasts scale policies fleet network.delay network.loss \
    compartments.c.cores compartments.c.may-borrow-from services.a.instances services.a.range services.a.compartment \
    services.a.threads services.a.start.takes services.a.start.warm-up services.a.neighbours.drawn-again \
    services.a.routes services.a.routes.r.cpu services.a.routes.r.cpu.mean services.a.routes.r.calls caches.c.skew \
    clients.h.demand clients.h.posts clients.h.reload clients.h.policies.retry clients.h.visits \
    clients.h.visits.v.weight clients.h.visits.v.to faults operators acceptance.A.seeds acceptance.A.lines odd";

const SCENARIO_BESIDE: &str = "scenario = 's'
lasts = '5m'
services.a.routes.r.cpu = '1ms'
compartments.c.nodes = 99
compartments.c.cores = 99
clients.h.demand = 1
clients.h.visits.v.to = 'a'
acceptance.A.lines = [{ name = 'n', series = 'a.cpu', at = '5s', at-most = 1 }]
caches.c.keys = 10
caches.c.holds = 10
services.a.neighbours.share = 0
services.a.neighbours.speed = 1
services.a.neighbours.drawn-again = ['1s', '2s']
clients.h.human = true";

/// What a manifest needs beside `key`.
fn beside(manifest: Manifest, key: &str) -> String {
    let text = match (manifest, key) {
        (Manifest::Environment, "name") => "services.a = {}",
        (Manifest::Environment, "services") => "name = 'e'",
        (Manifest::Environment, "edge.listen") => "name = 'e'\nedge.routes.'/' = 'a'\nservices.a = {}",
        (Manifest::Environment, key) if key.starts_with("services.a") => "name = 'e'",
        (Manifest::Environment, _) => "name = 'e'\nservices.a = {}",
        (Manifest::Service, "run.command") => "name = 'a'",
        (Manifest::Service, _) => "name = 'a'\nrun.command = ['a']",
        (Manifest::Scenario, key) => {
            let with = format!("services.a.instances = 2\n{SCENARIO_BESIDE}");
            let below = |a: &str, b: &str| {
                a.strip_prefix(b).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            let named = |line: &str| line.split(" =").next().unwrap_or_default().to_owned();
            let kept = |line: &&str| !below(&named(line), key) && !below(key, &named(line));
            return with.lines().filter(kept).collect::<Vec<_>>().join("\n");
        }
    };
    text.to_owned()
}

#[test]
fn the_schemas_accept_what_the_decoder_accepts() {
    let (mut both, mut neither) = (0, 0);
    for (manifest, keys) in [
        (Manifest::Environment, ENVIRONMENT_KEYS),
        (Manifest::Service, SERVICE_KEYS),
        (Manifest::Scenario, SCENARIO_KEYS),
    ] {
        let schema = parsed(manifest);
        for (key, value) in keys.split(' ').flat_map(|key| VALUES.split(" | ").map(move |value| (key, value)))
        {
            let text = format!("{}\n{key} = {value}\n", beside(manifest, key));
            let json = as_json(&text).unwrap_or_else(|| panic!("{text}"));
            match (decodes(manifest, &text), accepts(&schema, &json)) {
                (true, true) => both += 1,
                (false, false) => neither += 1,
                (true, false) => panic!("the schema refuses what the decoder accepts:\n{text}"),
                (false, true) => {} // What only fits together or not.
            }
        }
    }
    assert!(both > 100 && neither > 1000, "{both} {neither}");
}

/// Defaults are told in two places: as text in the declarations, as values in `model`. Writing all of them out must
/// change nothing.
#[test]
fn the_defaults_that_are_told_are_those_that_hold() {
    fn lines(fields: &'static [Field], path: &str, out: &mut Vec<String>) {
        for field in fields {
            let path = super::super::decoder::join(path, field.key);
            match &field.kind {
                // Hedge and limit have no defaults of their own; their absence is one.
                Kind::Table(inner) | Kind::OffOr(inner)
                    if inner.iter().all(|f| f.need != Need::Required) || path == "run" =>
                {
                    lines(inner, &path, out);
                }
                _ => out.extend(default(field, &path).map(|value| format!("{path} = {value}"))),
            }
        }
    }
    let mut written = vec!["name = \"a\"".to_owned(), "run.command = [\"a\"]".to_owned()];
    let bare = written.join("\n");
    lines(&SERVICE, "", &mut written);
    written.push("probes.startup.tcp = true\nprobes.liveness.tcp = true".into());
    assert!(written.iter().any(|line| line == "policies.retry.budget = \"10%\""), "{written:#?}");
    assert!(written.iter().any(|line| line == "policies.limit = false"), "{written:#?}");
    assert!(written.len() > 35, "{written:#?}");
    let read = |text: &str| decode_service(text, "f", Preset::Default).unwrap_or_else(|p| panic!("{p}"));
    let mut want = read(&bare);
    want.liveness = Some(model::Liveness::default());
    assert_eq!(read(&written.join("\n")), want);
    let text = "name = 'a'\ndefaults.policies = 'default'\nservices.a.instances = 1";
    assert_eq!(
        decode_environment(text, "f").unwrap(),
        decode_environment("name = 'a'\nservices.a = {}", "f").unwrap()
    );
    assert_eq!(model::Edge::LISTEN.to_string(), "127.0.0.1:8080");
}
