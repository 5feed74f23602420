//! The OpenAPI document, made from the table of routes and the shapes that they name.

use crate::table::{By, ROUTES, Row, Who};
use crate::{Problem, VERSION};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What is described.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Served {
    /// A control plane alone.
    Plane,
    /// An environment on this machine with its control plane.
    Up,
}

/// As much of an OpenAPI document as a client needs to know what there is.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Document {
    /// The version of OpenAPI.
    pub openapi: String,
    /// Each path with its methods in lower case, and what is said of each.
    pub paths: BTreeMap<String, BTreeMap<String, Value>>,
}

/// The OpenAPI 3.1 document of what is served.
pub fn openapi(served: Served) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut paths: Map<String, Value> = Map::new();
    for row in ROUTES.iter().filter(|row| served == Served::Up || row.by != By::Up) {
        let item = paths.entry(row.path).or_insert_with(|| json!({}));
        item[row.method.to_ascii_lowercase()] = operation(row, &mut generator);
    }
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Outrigger",
            "version": format!("v{VERSION}"),
            "description": "What a running environment tells, and how agents speak to its control plane. Fields are \
                            only ever added to a version: let those pass that you do not know.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "bearer": {
                "type": "http",
                "scheme": "bearer",
                "description": "A join token, or the credential that an agent was given for one.",
            } },
        },
    })
}

fn operation(row: &Row, generator: &mut SchemaGenerator) -> Value {
    let mut operation = json!({
        "operationId": format!("{:?}", row.op),
        "summary": row.about,
        "responses": responses(row, generator),
    });
    let parameters = parameters(row);
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(takes) = row.takes {
        let schema = takes(generator);
        operation["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": schema } } });
    }
    if matches!(row.who, Who::Joiner | Who::Agent) {
        operation["security"] = json!([{ "bearer": [] }]);
    }
    operation
}

fn parameters(row: &Row) -> Vec<Value> {
    let in_path = row.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = in_path
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
    let in_query = row.query.iter().map(|param| {
        json!({
            "name": param.name,
            "in": "query",
            "required": param.required,
            "description": param.about,
            "schema": { "type": param.kind },
        })
    });
    in_path.chain(in_query).collect()
}

fn responses(row: &Row, generator: &mut SchemaGenerator) -> Value {
    let good = match row.gives {
        Some(gives) => serde_json::to_value(gives(generator)).unwrap_or_default(),
        None => json!({ "type": "object" }),
    };
    let mut responses = Map::new();
    let answer = |about: &str, schema: Value| json!({ "description": about, "content": { "application/json": { "schema": schema } } });
    responses.insert(row.status.to_string(), answer("What was asked for.", good));
    for status in row.problems {
        let problem = serde_json::to_value(generator.subschema_for::<Problem>()).unwrap_or_default();
        responses.insert(status.to_string(), answer(meaning(*status), problem));
    }
    responses.into()
}

/// What a status means, the same on every route.
const fn meaning(status: u16) -> &'static str {
    match status {
        400 => "The request cannot be read.",
        401 => "Who asks is not known: `not-identified`; or was taken for dead meanwhile: `not-joined`.",
        403 => "Who asks may not do that: `not-permitted`.",
        404 => "There is nothing of that name.",
        409 => "It was refused; the problem says why.",
        503 => "It cannot be kept or done now; nothing has changed. Ask again later.",
        _ => "It was not done; the problem says why.",
    }
}

#[cfg(test)]
mod tests;
