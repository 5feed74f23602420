//! The document and the routes are the same: none is missing, and none is more.

#![allow(clippy::unwrap_used)]
use super::*;
use crate::table::{Found, find};
use std::collections::BTreeSet;

fn operations(document: &Value) -> BTreeSet<(String, String)> {
    let paths = document["paths"].as_object().unwrap();
    let methods = |(path, item): (&String, &Value)| {
        let methods = item.as_object().unwrap().keys();
        methods.map(|method| (method.to_uppercase(), path.clone())).collect::<Vec<_>>()
    };
    paths.iter().flat_map(methods).collect()
}

#[test]
fn every_route_is_in_the_document_and_every_path_in_it_is_a_route() {
    let all: BTreeSet<_> = ROUTES.iter().map(|row| (row.method.to_owned(), row.path.to_owned())).collect();
    assert_eq!(operations(&openapi(Served::Up)), all);
    for (method, path) in operations(&openapi(Served::Plane)) {
        let row = ROUTES.iter().find(|row| row.method == method && row.path == path).unwrap();
        let path = path.replace(['{', '}'], "");
        assert!(matches!(find(&method, &path), Found::Op(op, _) if op == row.op), "{method} {path}");
    }
    let planes = ROUTES.iter().filter(|row| row.by != By::Up).count();
    assert_eq!(operations(&openapi(Served::Plane)).len(), planes);
}

#[test]
fn every_reference_leads_somewhere_and_every_shape_is_referred_to() {
    let document = openapi(Served::Up);
    let text = document.to_string();
    let schemas: BTreeSet<String> =
        document["components"]["schemas"].as_object().unwrap().keys().cloned().collect();
    let front = "#/components/schemas/";
    let named = text.split(front).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
    assert_eq!(named.collect::<BTreeSet<_>>(), schemas);
    assert!(schemas.contains("Registration") && schemas.contains("Problem"), "{schemas:?}");
}

#[test]
fn what_takes_a_body_says_of_what_shape_and_what_is_for_agents_needs_a_bearer() {
    let document = openapi(Served::Plane);
    let join = &document["paths"]["/v1/agents/{agent}/join"]["post"];
    assert_eq!(
        join["requestBody"]["content"]["application/json"]["schema"]["$ref"],
        "#/components/schemas/Join"
    );
    assert_eq!(join["security"], json!([{ "bearer": [] }]));
    assert_eq!(join["parameters"][0]["name"], "agent");
    let register = &document["paths"]["/v1/agents/{agent}/instances/{name}"];
    assert_eq!(register["delete"]["parameters"][2]["name"], "session");
    assert!(register["put"]["responses"]["503"].is_object());
}

#[test]
fn every_brace_of_a_path_is_a_parameter_and_everything_is_answered() {
    let document = openapi(Served::Plane);
    assert_eq!(document["openapi"], "3.1.0");
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let braces = path.matches('{').count();
            let in_path = operation["parameters"].as_array().into_iter().flatten();
            assert_eq!(in_path.filter(|param| param["in"] == "path").count(), braces, "{method} {path}");
            assert!(operation["responses"].as_object().is_some_and(|all| !all.is_empty()), "{method} {path}");
        }
    }
}
