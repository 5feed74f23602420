//! The JSON Schemas of the manifests, for editors, made from the declarations that the decoder reads by.

use super::declare::{Field, Kind, Need};
use super::manifest::{ENVIRONMENT, SERVICE};
use super::scenario::SCENARIO;
use super::settings;
use model::{Preset, Settings};
use serde_json::{Map, Value, json};

/// A file that people write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manifest {
    /// `environment.toml`.
    Environment,
    /// `service.toml`.
    Service,
    /// A scenario's file, whatever its name.
    Scenario,
}

impl Manifest {
    /// Every manifest.
    pub const ALL: [Manifest; 3] = [Manifest::Environment, Manifest::Service, Manifest::Scenario];

    /// The word for it, its file's name without the ending.
    pub const fn word(self) -> &'static str {
        match self {
            Manifest::Environment => "environment",
            Manifest::Service => "service",
            Manifest::Scenario => "scenario",
        }
    }

    /// The manifest that `word` names.
    pub fn from_word(word: &str) -> Option<Manifest> {
        Manifest::ALL.into_iter().find(|m| m.word() == word)
    }

    pub(crate) fn shape(self) -> &'static [Field] {
        match self {
            Manifest::Environment => &ENVIRONMENT,
            Manifest::Service => &SERVICE,
            Manifest::Scenario => &SCENARIO,
        }
    }
}

/// The JSON Schema of a manifest, indented. It accepts whatever the decoder accepts and refuses what has the wrong
/// shape; what only fits together or not is left to `outrigger validate`.
pub fn schema(manifest: Manifest) -> String {
    let mut schema = table(manifest.shape(), "");
    if let Value::Object(top) = &mut schema {
        top.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
        top.insert("title".into(), json!(format!("{}.toml", manifest.word())));
    }
    format!("{schema:#}\n")
}

fn table(fields: &'static [Field], path: &str) -> Value {
    let mut properties = Map::new();
    for field in fields {
        let path = super::decoder::join(path, field.key);
        properties.insert(field.key.into(), property(field, &path));
    }
    let required: Vec<&str> = fields.iter().filter(|f| f.need == Need::Required).map(|f| f.key).collect();
    let mut schema = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if let (Value::Object(schema), false) = (&mut schema, required.is_empty()) {
        schema.insert("required".into(), json!(required));
    }
    schema
}

fn property(field: &'static Field, path: &str) -> Value {
    let mut schema = of_kind(&field.kind, path);
    if let Value::Object(schema) = &mut schema {
        schema.insert("description".into(), json!(field.about));
        if let Some(default) = default(field, path) {
            schema.insert("default".into(), default);
        }
        if let Ok(example) = serde_json::from_str::<Value>(field.example) {
            schema.insert("examples".into(), json!([example]));
        }
    }
    schema
}

/// What holds where `field` is absent, as it would be written. A policy's is that of the preset `default`.
pub(crate) fn default(field: &Field, path: &str) -> Option<Value> {
    match (field.need, &field.kind) {
        (Need::Required, _) | (_, Kind::Table(_)) => None,
        (Need::Preset, Kind::Word(words)) if words.contains(&Preset::Default.word()) => None,
        (Need::Preset, kind) => {
            let settings = serde_json::to_value(settings::encode(&Settings::default())).ok()?;
            // Elsewhere they stand below other tables, and mean what a preset says that the file names.
            let found =
                path.strip_prefix("policies.")?.split('.').try_fold(&settings, |at, key| at.get(key))?;
            match kind {
                Kind::OffOr(_) => found.as_bool().map(Value::Bool),
                Kind::Share | Kind::FalseOr(Kind::Share) if found.is_number() => {
                    found.as_f64().map(|part| json!(format!("{}%", (part * 1000.0).round() / 10.0)))
                }
                _ => Some(found.clone()),
            }
        }
        (Need::Optional, _) => serde_json::from_str(field.default).ok(),
    }
}

fn of_kind(kind: &'static Kind, path: &str) -> Value {
    match kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Whole { least, most } => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Kind::Number { least, most } => json!({ "type": "number", "minimum": least, "maximum": most }),
        Kind::Signed { least, most } => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Kind::Curve { most } => {
            let number = json!({ "type": "number", "minimum": 0, "maximum": most });
            let parts = [json!({ "type": "string", "pattern": pattern(&Kind::When) }), number.clone()];
            let point = json!({ "type": "array", "prefixItems": parts, "minItems": 2, "maxItems": 2 });
            json!({ "anyOf": [number, { "type": "array", "items": point, "minItems": 1 }] })
        }
        Kind::Pair(of) => {
            json!({ "type": "array", "items": of_kind(of, path), "minItems": 2, "maxItems": 2 })
        }
        Kind::Either(of, fields) => json!({ "anyOf": [of_kind(of, path), table(fields, path)] }),
        Kind::Share => json!({ "anyOf": [
            { "type": "number", "minimum": 0, "maximum": 1 },
            { "type": "string", "pattern": "^\\s*(100(\\.0*)?|[0-9]{1,2}(\\.[0-9]*)?|0*\\.[0-9]+)\\s*%\\s*$" },
        ] }),
        Kind::Word(words) => json!({ "enum": words }),
        Kind::Name
        | Kind::Label
        | Kind::TimeOfDay
        | Kind::When
        | Kind::Duration { .. }
        | Kind::Address
        | Kind::Folder
        | Kind::UrlPath
        | Kind::Prefix
        | Kind::Variable => json!({ "type": "string", "pattern": pattern(kind) }),
        Kind::List { of, least } => {
            let mut list = json!({ "type": "array", "items": of_kind(of, path) });
            at_least(&mut list, "minItems", *least);
            list
        }
        Kind::Table(fields) => table(fields, path),
        Kind::OffOr(fields) => json!({ "anyOf": [{ "const": false }, table(fields, path)] }),
        Kind::FalseOr(of) => json!({ "anyOf": [{ "const": false }, of_kind(of, path)] }),
        Kind::Map { keys, of, least } => {
            let mut map = json!({
                "type": "object",
                "propertyNames": { "pattern": pattern(keys) },
                "additionalProperties": of_kind(of, &super::decoder::join(path, "NAME")),
            });
            at_least(&mut map, "minProperties", *least);
            map
        }
    }
}

fn at_least(schema: &mut Value, word: &str, least: usize) {
    if let (Value::Object(schema), true) = (schema, least > 0) {
        schema.insert(word.into(), json!(least));
    }
}

/// The form of a text, as a regular expression that every engine understands.
fn pattern(kind: &Kind) -> &'static str {
    match kind {
        Kind::Name => "^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$",
        Kind::Label => "^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$",
        Kind::TimeOfDay => "^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$",
        Kind::When => "^(([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?|\\s*([0-9]+(h|ms|us|ns|m|s))+\\s*)$",
        Kind::Duration { .. } => "^\\s*([0-9]+(h|ms|us|ns|m|s))+\\s*$",
        Kind::Address => "^(\\[.+\\]|[0-9.]+):[0-9]+$",
        Kind::Folder => "^[^/\\\\]([^\\\\]*[^\\\\])?$",
        Kind::UrlPath => "^/[^ #]*$",
        Kind::Prefix => "^/[^ #?]*$",
        Kind::Variable => "^[A-Za-z_][A-Za-z0-9_]*$",
        _ => "",
    }
}

#[cfg(test)]
mod tests;
